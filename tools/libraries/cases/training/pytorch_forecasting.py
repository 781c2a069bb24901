"""Forecasts of several series: a temporal fusion transformer, N-BEATS and DeepAR are trained."""

requires = ["pytorch-forecasting", "lightning"]


def series():
    """Sales of three shops for 60 days: a trend, a week's rhythm and noise, as a table."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    days = np.arange(60)
    tables = []
    for i, shop in enumerate("abc"):
        sales = 5 + 0.05 * days * (i + 1) + np.sin(2 * np.pi * days / 7 + i)
        tables.append(
            pd.DataFrame({
                "day": days,
                "shop": shop,
                "weekday": [str(d % 7) for d in days],
                "price": 1 + 0.1 * np.cos(days / 5 + i),
                "sales": sales + 0.1 * rng.standard_normal(60),
            })
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def run():
    """Return losses, forecasts and what the transformer attends to."""
    import lightning.pytorch as pl
    import torch
    from pytorch_forecasting import (
        DeepAR,
        NBeats,
        TemporalFusionTransformer,
        TimeSeriesDataSet,
    )
    from pytorch_forecasting.data import GroupNormalizer
    from pytorch_forecasting.metrics import NormalDistributionLoss, QuantileLoss

    found, table = {}, series()
    common = {
        "time_idx": "day", "target": "sales", "group_ids": ["shop"], "max_encoder_length": 14,
        "max_prediction_length": 5,
    }  # fmt: skip

    def train(name, cls, data, **options):
        pl.seed_everything(3)
        loader = data.to_dataloader(train=True, batch_size=16, num_workers=0)
        model = cls.from_dataset(data, learning_rate=0.01, **options)
        trainer = pl.Trainer(
            max_epochs=2, limit_train_batches=4, gradient_clip_val=0.1, accelerator="cpu",
            logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(model, loader)
        found[f"{name}'s loss"] = float(trainer.callback_metrics["train_loss_epoch"])
        # Biases of attention's keys have no gradient but rounding, which Adam makes large.
        found[f"{name}'s weights"] = [
            p.detach() for key, p in model.named_parameters() if "k_layers" not in key
        ]
        return model.eval()

    known = TimeSeriesDataSet(
        table, **common, static_categoricals=["shop"], time_varying_known_reals=["day", "price"],
        time_varying_known_categoricals=["weekday"], time_varying_unknown_reals=["sales"],
        target_normalizer=GroupNormalizer(groups=["shop"]), add_relative_time_idx=True,
        add_target_scales=True, add_encoder_length=True,
    )  # fmt: skip
    small = {"hidden_size": 8, "dropout": 0.1}
    fusion = train(
        "transformer", TemporalFusionTransformer, known, attention_head_size=2,
        hidden_continuous_size=4, loss=QuantileLoss(), **small,
    )  # fmt: skip
    x, _ = next(iter(known.to_dataloader(train=False, batch_size=6, num_workers=0)))
    with torch.no_grad():
        out = fusion(x)
        found["transformer's forecast"] = fusion.to_prediction(out)
        found["transformer's quantiles"] = fusion.to_quantiles(out)
        told = fusion.interpret_output(out, reduction="sum")
    found["what it attends to"] = {key: value for key, value in told.items() if "length" not in key}

    alone = TimeSeriesDataSet(table, **common, time_varying_unknown_reals=["sales"])
    beats = train("N-BEATS", NBeats, alone, widths=[16, 32], backcast_loss_ratio=0.1)
    x, _ = next(iter(alone.to_dataloader(train=False, batch_size=6, num_workers=0)))
    with torch.no_grad():
        found["N-BEATS's forecast"] = beats.to_prediction(beats(x))

    chances = TimeSeriesDataSet(
        table, **common, static_categoricals=["shop"], time_varying_known_reals=["price"],
        time_varying_unknown_reals=["sales"],
    )  # fmt: skip
    deep = train("DeepAR", DeepAR, chances, loss=NormalDistributionLoss(), **small)
    x, _ = next(iter(chances.to_dataloader(train=False, batch_size=6, num_workers=0)))
    torch.manual_seed(5)
    with torch.no_grad():
        found["DeepAR's samples"] = deep(x, n_samples=4)["prediction"]
    return found
