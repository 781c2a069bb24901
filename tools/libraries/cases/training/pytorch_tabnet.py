"""Pretrain TabNet without labels, classify, regress, explain, and load from a file."""

requires = ["pytorch-tabnet", "scikit-learn"]
# Batch normalisation follows itself, so that some gradients are nothing but rounding errors.
tolerance = 1e-3


def run():
    """Return predictions, importances and the history of the losses."""
    import numpy as np
    import torch
    from pytorch_tabnet.pretraining import TabNetPretrainer
    from pytorch_tabnet.tab_model import TabNetClassifier, TabNetRegressor
    from sklearn.datasets import load_breast_cancer, load_diabetes

    x, y = load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)[:200]
    y = y[:200]
    small = {
        "n_d": 4,
        "n_a": 4,
        "n_steps": 2,
        "verbose": 0,
        "device_name": "cpu",
        "seed": 0,
        "optimizer_fn": torch.optim.SGD,
        "optimizer_params": {"lr": 0.02, "momentum": 0.9},
    }
    before = TabNetPretrainer(mask_type="entmax", **small)
    before.fit(x, eval_set=[x[:64]], max_epochs=2, batch_size=64, virtual_batch_size=32)
    model = TabNetClassifier(
        scheduler_fn=torch.optim.lr_scheduler.StepLR,
        scheduler_params={"step_size": 2, "gamma": 0.9},
        **small,
    )
    model.fit(
        x[:150],
        y[:150],
        eval_set=[(x[150:], y[150:])],
        eval_metric=["auc", "logloss"],
        max_epochs=4,
        batch_size=64,
        virtual_batch_size=32,
        from_unsupervised=before,
        weights=1,
    )
    explained, masks = model.explain(x[:4])
    path = model.save_model("tabnet")
    loaded = TabNetClassifier()
    loaded.load_model(path)
    x2, y2 = load_diabetes(return_X_y=True)
    regressor = TabNetRegressor(**small)
    regressor.fit(
        x2[:200].astype(np.float32),
        y2[:200, None] / 100,
        max_epochs=2,
        batch_size=64,
        virtual_batch_size=64,
    )
    return {
        "pretraining": before.history["loss"],
        "losses": model.history["loss"],
        "AUC": [float(v) for v in model.history["val_0_auc"]],
        "importances": model.feature_importances_,
        "explained": explained,
        "mask": masks[0],
        "loaded": loaded.predict_proba(x[:5]),
        "regression": regressor.predict(x2[:5].astype(np.float32)),
    }
