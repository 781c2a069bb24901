"""Keras on the torch backend: fit, evaluate, predict, recurrent layers, saved models."""

requires = ["keras"]


def run():
    """Return losses, metrics, predictions and gradients."""
    import os

    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import numpy as np
    import torch
    from keras import layers, ops

    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8, 8, 1)).astype("float32")
    y = (x.mean((1, 2, 3)) > 0).astype("int64")
    inputs = keras.Input((8, 8, 1))
    h = layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2")(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.MaxPooling2D()(h)
    h = layers.add([h, layers.SeparableConv2D(4, 3, padding="same")(h)])
    h = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(h))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(h))
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.02, 20)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        x, y, batch_size=16, epochs=3, validation_split=0.25, verbose=0, shuffle=False
    )
    found = {"history": history.history, "evaluation": model.evaluate(x, y, verbose=0)}
    model.save("model.keras")
    found["loaded"] = keras.models.load_model("model.keras").predict(x[:4], verbose=0)

    ids = rng.integers(1, 20, (32, 6))
    reader = keras.Sequential(
        [
            layers.Embedding(20, 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.GRU(5),
            layers.LayerNormalization(),
            layers.Dense(1),
        ]
    )
    reader.compile("rmsprop", "mse", metrics=["mae"])
    target = ids.mean(1, keepdims=True).astype("float32")
    history = reader.fit(ids, target, epochs=2, verbose=0, shuffle=False)
    found["recurrent"] = history.history
    found["reads"] = reader.predict(ids[:3], verbose=0)

    class Attends(keras.Model):
        def __init__(self):
            super().__init__()
            self.attention = layers.MultiHeadAttention(2, 4)
            self.head = layers.Dense(3)

        def call(self, x):
            return self.head(ops.mean(self.attention(x, x), axis=1))

    net = Attends()
    a = ops.convert_to_tensor(rng.normal(size=(2, 5, 8)).astype("float32"))
    loss = ops.sum(ops.logsumexp(net(a), axis=-1))
    loss.backward()
    found["gradient"] = net.head.kernel.value.grad
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    optimizer.step()
    found["a step of torch's"] = net(a)
    image = ops.image.resize(ops.convert_to_tensor(x[:1]), (4, 4))
    found["ops"] = [
        image,
        ops.top_k(a[0], 2)[1],
        ops.einsum("bij,bkj->bik", a, a),
        ops.nn.one_hot(y[:3], 2),
        ops.segment_sum(a[0, :, 0], ops.convert_to_tensor([0, 0, 1, 1, 2]), 3),
        ops.fft((a[0], a[0] * 0))[0],
    ]
    return found
