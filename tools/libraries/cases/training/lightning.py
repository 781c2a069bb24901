"""Train a module with Trainer: callbacks, schedules, checkpoints, resuming, Fabric."""

requires = ["lightning", "tensorboard"]


def run():
    """Return losses, logged metrics and predictions."""
    import lightning as L
    import torch
    from lightning.pytorch.callbacks import (
        EarlyStopping,
        GradientAccumulationScheduler,
        LearningRateMonitor,
        ModelCheckpoint,
        StochasticWeightAveraging,
    )
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
    from torch.utils.data import DataLoader, TensorDataset, random_split

    class Classifier(L.LightningModule):
        def __init__(self, hidden=16, lr=0.05):
            super().__init__()
            self.save_hyperparameters()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(4, hidden),
                torch.nn.BatchNorm1d(hidden),
                torch.nn.ReLU(),
                torch.nn.Linear(hidden, 3),
            )
            self.seen = []

        def forward(self, x):
            return self.layers(x)

        def training_step(self, batch, index):
            loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            self.seen.append(loss.item())
            return loss

        def validation_step(self, batch, index):
            scores = self(batch[0])
            self.log("val_loss", torch.nn.functional.cross_entropy(scores, batch[1]))
            self.log("val_acc", (scores.argmax(-1) == batch[1]).float().mean())

        test_step = validation_step

        def predict_step(self, batch, index):
            return self(batch[0]).softmax(-1)

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), self.hparams.lr, momentum=0.9)
            steps = self.trainer.estimated_stepping_batches
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": schedule, "interval": "step"},
            }

    L.seed_everything(7, verbose=False)
    x = torch.randn(96, 4)
    data = TensorDataset(x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long())
    train, rest = random_split(data, [64, 32])
    loaders = DataLoader(train, 16, shuffle=True), DataLoader(rest, 16)
    options = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    checkpoint = ModelCheckpoint("saved", monitor="val_loss", filename="best")
    trainer = L.Trainer(
        max_epochs=3,
        logger=[CSVLogger("logs"), TensorBoardLogger("logs")],
        gradient_clip_val=1.0,
        log_every_n_steps=1,
        callbacks=[
            checkpoint,
            EarlyStopping("val_loss", patience=5),
            LearningRateMonitor(),
            GradientAccumulationScheduler({0: 1, 2: 2}),
        ],
        **options,
    )
    model = Classifier()
    trainer.fit(model, *loaders)
    found = {"losses": model.seen, "test": trainer.test(model, loaders[1], verbose=False)}
    found["predictions"] = trainer.predict(model, loaders[1])[0]
    again = Classifier.load_from_checkpoint(checkpoint.best_model_path)
    found["hyper-parameters"] = dict(again.hparams)
    found["weight of the best"] = again.layers[0].weight
    longer = L.Trainer(max_epochs=4, logger=False, enable_checkpointing=False, **options)
    resumed = Classifier()
    longer.fit(resumed, *loaders, ckpt_path=checkpoint.best_model_path)
    found["resumed"] = resumed.seen
    averaged = L.Trainer(
        max_epochs=4,
        logger=False,
        enable_checkpointing=False,
        callbacks=[StochasticWeightAveraging(0.01, 2)],
        **options,
    )
    model = Classifier(hidden=8)
    averaged.fit(model, *loaders)
    found["averaged"] = model.layers[3].weight

    fabric = L.Fabric(accelerator="cpu", precision="bf16-mixed")
    net = Classifier(hidden=8)
    net, optimizer = fabric.setup(net, torch.optim.AdamW(net.parameters(), 0.01))
    loader = fabric.setup_dataloaders(DataLoader(train, 32))
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        fabric.backward(loss)
        fabric.clip_gradients(net, optimizer, max_norm=0.5)
        optimizer.step()
        losses.append(loss.item())
    found["Fabric's losses"] = losses
    return found
