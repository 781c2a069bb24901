"""The steps of ``steps.py`` in JAX: the whole step under ``jit``, parameters and state donated.

``stepping(row)`` returns a function that takes one training step, and the batches for it. The
networks are pure functions of a tree of parameters. The optimizers are a few lines of
``jax.numpy``, so that no library besides JAX is needed.
"""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import steps as sizes

__all__ = ["adam", "stepping"]

_random = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(_random.standard_normal(shape, np.float32))


def classes(count, *shape):
    return jnp.asarray(_random.integers(0, count, shape))


def linear_init(n, m):
    return {"w": normal(n, m) / np.sqrt(n), "b": jnp.zeros(m)}


def linear(p, x):
    return x @ p["w"] + p["b"]


def norm_init(n):
    return {"w": jnp.ones(n), "b": jnp.zeros(n)}


def layer_norm(p, x):
    x = x - x.mean(-1, keepdims=True)
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * p["w"] + p["b"]


def cross_entropy(logits, y):
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1)
    return -picked.mean()


# Networks: (parameters, function of parameters and input) -----------------------------------


def mlp(*widths):
    def forward(layers, x):
        for p in layers[:-1]:
            x = jax.nn.relu(linear(p, x))
        return linear(layers[-1], x)

    return [linear_init(n, m) for n, m in pairwise(widths)], forward


def conv_init(n, m):
    return {"w": normal(m, n, 3, 3) / np.sqrt(9 * n), "b": jnp.zeros((m, 1, 1))}


def conv(p, x):
    return lax.conv(x, p["w"], (1, 1), "VALID") + p["b"]


def mnist_cnn():
    parameters = {
        "conv1": conv_init(1, 32), "conv2": conv_init(32, 64),
        "hidden": linear_init(9216, 128), "head": linear_init(128, 10),
    }  # fmt: skip

    def forward(p, x):
        x = jax.nn.relu(conv(p["conv2"], jax.nn.relu(conv(p["conv1"], x))))
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        x = jax.nn.relu(linear(p["hidden"], x.reshape(len(x), -1)))
        return linear(p["head"], x)

    return parameters, forward


def block_init(n):
    return {
        "norm1": norm_init(n), "qkv": linear_init(n, 3 * n), "out": linear_init(n, n),
        "norm2": norm_init(n), "up": linear_init(n, 4 * n), "down": linear_init(4 * n, n),
    }  # fmt: skip


def block(p, x):
    b, t, c = x.shape
    heads = linear(p["qkv"], layer_norm(p["norm1"], x)).reshape(b, t, 3, sizes.GPT_HEADS, -1)
    q, k, v = heads.transpose(2, 0, 1, 3, 4)
    y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
    x = x + linear(p["out"], y.reshape(b, t, c))
    up = jax.nn.gelu(linear(p["up"], layer_norm(p["norm2"], x)), approximate=False)
    return x + linear(p["down"], up)


def gpt():
    n = sizes.GPT_WIDTH
    parameters = {
        "token": normal(sizes.GPT_VOCABULARY, n), "place": normal(sizes.GPT_CONTEXT, n),
        "blocks": [block_init(n) for _ in range(sizes.GPT_LAYERS)],
        "norm": norm_init(n), "head": normal(n, sizes.GPT_VOCABULARY) / np.sqrt(n),
    }  # fmt: skip

    def forward(p, tokens):
        x = p["token"][tokens] + p["place"]
        for q in p["blocks"]:
            x = block(q, x)
        return (layer_norm(p["norm"], x) @ p["head"]).reshape(-1, sizes.GPT_VOCABULARY)

    return parameters, forward


def lstm():
    n, m = sizes.LSTM_INPUT, sizes.LSTM_WIDTH
    parameters = {
        "input": linear_init(n, 4 * m), "hidden": linear_init(m, 4 * m), "head": linear_init(m, 10),
    }  # fmt: skip

    def forward(p, x):
        def advance(state, drive):
            h, c = state
            i, f, g, o = jnp.split(drive + linear(p["hidden"], h), 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), None

        zero = jnp.zeros((len(x), m))
        (h, _), _ = lax.scan(advance, (zero, zero), linear(p["input"], x).swapaxes(0, 1))
        return linear(p["head"], h)

    return parameters, forward


# Optimizers: (state, function of parameters, gradients and state) ---------------------------


def sgd(parameters):
    def update(p, g, state):
        return jax.tree.map(lambda p, g: p - 0.01 * g, p, g), state

    return (), update


def adam(parameters, decay=0.0, rate=1e-3):
    """Adam, or AdamW if ``decay`` is not 0."""
    zeros = lambda: jax.tree.map(jnp.zeros_like, parameters)

    def update(p, g, state):
        mean, square, t = state
        t = t + 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, g)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, g)
        scale, root = rate / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        new = lambda p, m, v: p * (1 - rate * decay) - scale * m / (jnp.sqrt(v) / root + 1e-8)
        return jax.tree.map(new, p, mean, square), (mean, square, t)

    return (zeros(), zeros(), jnp.zeros((), jnp.float32)), update


adamw = partial(adam, decay=0.01)


def images():
    return normal(64, 1, 28, 28), classes(10, 64)


def text():
    shape = (12, sizes.GPT_CONTEXT)
    return classes(sizes.GPT_VOCABULARY, *shape), classes(sizes.GPT_VOCABULARY, *shape).ravel()


#: (network, batch, optimizer) for each row of ``steps.STEPS``, in the same order.
_PARTS = [
    (partial(mlp, 4, 8, 2), lambda: (normal(1, 4), classes(2, 1)), sgd),
    (partial(mlp, 4, 64, 64, 2), lambda: (normal(32, 4), classes(2, 32)), adam),
    (partial(mlp, 784, 128, 10), lambda: (normal(64, 784), classes(10, 64)), adam),
    (partial(mlp, 784, 1024, 1024, 10), lambda: (normal(128, 784), classes(10, 128)), adam),
    (mnist_cnn, images, adam),
    (gpt, text, adamw),
    (lstm, lambda: (normal(16, 32, sizes.LSTM_INPUT), classes(10, 16)), adam),
]


def stepping(row):
    """(a function that takes one step of ``row``, the batches to call it with)."""
    network, batch, optimizer = dict(zip(sizes.STEPS, _PARTS, strict=True))[row]
    parameters, forward = network()
    batches = [batch() for _ in range(sizes.BATCHES)]
    state, update = optimizer(parameters)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(parameters, state, x, y):
        loss, g = jax.value_and_grad(lambda p: cross_entropy(forward(p, x), y))(parameters)
        return *update(parameters, g, state), loss

    def run(x, y):
        nonlocal parameters, state
        parameters, state, loss = step(parameters, state, x, y)
        return loss

    return run, batches
