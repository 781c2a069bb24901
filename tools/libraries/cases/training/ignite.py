"""Train and evaluate with engines: handlers, metrics, checkpoints, schedules, early stopping."""

requires = ["pytorch-ignite"]


def run():
    """Return losses, metrics and learning rates."""
    import torch
    from ignite.contrib.handlers import ProgressBar  # noqa: F401 - the import is a part of the test
    from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
    from ignite.handlers import (
        Checkpoint,
        CosineAnnealingScheduler,
        DiskSaver,
        EarlyStopping,
        EMAHandler,
        FastaiLRFinder,  # noqa: F401
        TerminateOnNan,
        create_lr_scheduler_with_warmup,
    )
    from ignite.metrics import (
        Accuracy,
        ConfusionMatrix,
        Fbeta,
        Loss,
        Precision,
        Recall,
        RunningAverage,
        TopKCategoricalAccuracy,
    )
    from ignite.utils import manual_seed
    from torch.utils.data import DataLoader, TensorDataset

    manual_seed(5)
    x = torch.randn(64, 6)
    y = x[:, :3].argmax(1)
    model = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    criterion = torch.nn.CrossEntropyLoss()
    trainer = create_supervised_trainer(model, optimizer, criterion)
    precision, recall = Precision(average=False), Recall(average=False)
    evaluator = create_supervised_evaluator(
        model,
        metrics={
            "accuracy": Accuracy(),
            "loss": Loss(criterion),
            "precision": precision,
            "recall": recall,
            "F1": Fbeta(1, precision=precision, recall=recall),
            "confusion": ConfusionMatrix(3),
            "top 2": TopKCategoricalAccuracy(2),
        },
    )
    RunningAverage(output_transform=lambda out: out).attach(trainer, "average")
    cosine = CosineAnnealingScheduler(optimizer, "lr", 0.02, 0.001, 12)
    warmup = create_lr_scheduler_with_warmup(cosine, 0.0, 4, 0.02)
    trainer.add_event_handler(Events.ITERATION_STARTED, warmup)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    ema = EMAHandler(model, momentum=0.1)
    ema.attach(trainer)
    loader = DataLoader(TensorDataset(x, y), 16, shuffle=True)
    losses, rates, epochs = [], [], []

    @trainer.on(Events.ITERATION_COMPLETED(every=2))
    def note(engine):
        losses.append(engine.state.output)
        rates.append(optimizer.param_groups[0]["lr"])

    @trainer.on(Events.EPOCH_COMPLETED)
    def evaluate(engine):
        evaluator.run(loader)
        epochs.append(evaluator.state.metrics["accuracy"])

    saver = Checkpoint(
        {"model": model, "optimizer": optimizer, "trainer": trainer},
        DiskSaver("saved", create_dir=True),
        n_saved=2,
        score_function=lambda e: e.state.metrics["accuracy"],
    )
    evaluator.add_event_handler(Events.COMPLETED, saver)
    evaluator.add_event_handler(
        Events.COMPLETED, EarlyStopping(3, lambda e: e.state.metrics["accuracy"], trainer)
    )
    trainer.run(loader, max_epochs=3)
    again = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3))
    Checkpoint.load_objects(
        {"model": again},
        {
            "model": torch.load(
                saver.last_checkpoint
                if hasattr(saver.last_checkpoint, "open")
                else "saved/" + saver.last_checkpoint
            )["model"]
        },
    )
    metrics = dict(evaluator.state.metrics.items())
    return {
        "losses": losses,
        "rates": rates,
        "accuracies": epochs,
        "metrics": metrics,
        "average": trainer.state.metrics["average"],
        "loaded": again[0].weight,
        "moving average": ema.ema_model[0].weight,
    }
