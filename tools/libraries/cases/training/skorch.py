"""Fit classifiers and a regressor: pipeline, grid search, callbacks, saved files."""

requires = ["skorch", "scikit-learn"]


def run():
    """Return scores, losses and predictions."""
    import numpy as np
    import torch
    from sklearn.datasets import load_diabetes, load_iris
    from sklearn.model_selection import GridSearchCV, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from skorch import NeuralNetClassifier, NeuralNetRegressor
    from skorch.callbacks import (
        Checkpoint,
        EarlyStopping,
        EpochScoring,
        GradientNormClipping,
        LRScheduler,
    )
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split

    class Net(torch.nn.Module):
        def __init__(self, hidden=8, inputs=4, outputs=3, final=torch.nn.Softmax):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(inputs, hidden),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.1),
                torch.nn.Linear(hidden, outputs),
            )
            self.final = final(-1)

        def forward(self, X):
            return self.final(self.layers(X))

    x, y = load_iris(return_X_y=True)
    x = StandardScaler().fit_transform(x).astype(np.float32)
    net = NeuralNetClassifier(
        Net,
        max_epochs=8,
        lr=0.1,
        batch_size=16,
        iterator_train__shuffle=True,
        verbose=0,
        callbacks=[
            EarlyStopping(patience=5),
            LRScheduler("StepLR", step_size=3, gamma=0.5),
            GradientNormClipping(1.0),
            Checkpoint(dirname="saved", monitor="valid_loss_best"),
            EpochScoring("f1_macro", name="f1", lower_is_better=False),
        ],
    )
    net.fit(x, y)
    found = {
        "losses": net.history[:, "train_loss"],
        "validation": net.history[:, "valid_loss"],
        "F1": net.history[:, "f1"],
        "probabilities": net.predict_proba(x[:5]),
    }
    net.load_params(
        checkpoint=net.callbacks_[[n for n, _ in net.callbacks_].index("Checkpoint")][1]
    )
    found["accuracy of the best"] = net.score(x, y)
    torch.manual_seed(1)
    plain = NeuralNetClassifier(Net, max_epochs=3, verbose=0, optimizer=torch.optim.Adam)
    search = GridSearchCV(
        plain, {"lr": [0.01, 0.1], "module__hidden": [4, 8]}, cv=2, scoring="accuracy"
    )
    search.fit(x, y)
    found["best parameters"] = {k: float(v) for k, v in search.best_params_.items()}
    found["scores"] = search.cv_results_["mean_test_score"]
    torch.manual_seed(2)
    x, y = load_diabetes(return_X_y=True)
    x, y = x.astype(np.float32), (y / 100).astype(np.float32)[:, None]
    regressor = NeuralNetRegressor(
        Net,
        module__inputs=10,
        module__outputs=1,
        module__final=torch.nn.Identity,
        lr=0.05,
        max_epochs=4,
        verbose=0,
        train_split=predefined_split(Dataset(x[:50], y[:50])),
    )
    pipeline = make_pipeline(StandardScaler(), regressor)
    pipeline.fit(x, y)
    found["regression"] = pipeline.predict(x[:6])
    found["cross validation"] = cross_val_predict(pipeline, x[:60], y[:60], cv=2)[:5]
    return found
