"""Search hyper-parameters of small networks: pruning by medians, TPE, and skorch's callback."""

requires = ["optuna", "optuna-integration", "skorch", "scikit-learn"]


def run():
    """Return the values of the trials and the best parameters."""
    import numpy as np
    import optuna
    import torch
    from optuna_integration import SkorchPruningCallback
    from sklearn.datasets import load_iris
    from skorch import NeuralNetClassifier

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    x, y = load_iris(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)

    def objective(trial):
        torch.manual_seed(trial.number)
        width = trial.suggest_int("width", 4, 16)
        kind = trial.suggest_categorical("optimizer", ["Adam", "SGD", "RMSprop"])
        lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
        model = torch.nn.Sequential(
            torch.nn.Linear(4, width), torch.nn.Tanh(), torch.nn.Linear(width, 3)
        )
        optimizer = getattr(torch.optim, kind)(model.parameters(), lr)
        for step in range(6):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            trial.report(loss.item(), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss.item()

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0), pruner=optuna.pruners.MedianPruner(2, 1)
    )
    study.optimize(objective, 10)

    class Net(torch.nn.Module):
        def __init__(self, width=4):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 3)
            )

        def forward(self, X):
            return self.layers(X).softmax(-1)

    def of_skorch(trial):
        torch.manual_seed(trial.number)
        net = NeuralNetClassifier(
            Net,
            module__width=trial.suggest_int("width", 2, 8),
            max_epochs=3,
            verbose=0,
            lr=0.1,
            callbacks=[SkorchPruningCallback(trial, "valid_acc")],
        )
        net.fit(x.numpy(), y.numpy())
        return float(np.mean(net.predict(x.numpy()) == y.numpy()))

    second = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1)
    )
    second.optimize(of_skorch, 4)
    return {
        "values": [t.value for t in study.trials if t.value is not None],
        "states": [t.state.name for t in study.trials],
        "best": dict(study.best_params),
        "accuracies": [t.value for t in second.trials],
        "widths": [t.params["width"] for t in second.trials],
    }
