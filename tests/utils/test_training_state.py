"""TrainingState: an interrupted run that goes on is, bit for bit, the run that was not."""

import pickle
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

import rushlight as torch
from rushlight.nn import functional as F
from rushlight.utils.training_state import TrainingState

pytestmark = [
    # Python 3.12 and later warn of every fork of a process with threads, BLAS's too.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*This DataLoader will create:UserWarning"),
]


class Images(torch.utils.data.Dataset):
    """Pictures with noise of every generator, from where they are read."""

    def __len__(self):
        return 22

    def __getitem__(self, index):
        noise = torch.rand(1, 8, 8) + random.random() + float(np.random.rand())
        return noise + index / 22, index % 3


def mlp():
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 12), torch.nn.BatchNorm1d(12), torch.nn.ReLU(),
        torch.nn.Dropout(0.3), torch.nn.Linear(12, 3),
    )  # fmt: skip


def cnn():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Dropout2d(0.3), torch.nn.Flatten(), torch.nn.Linear(36, 3),
    )  # fmt: skip


def begin(model, workers, **more):
    torch.manual_seed(1), random.seed(2), np.random.seed(3)
    net = {"mlp": mlp, "cnn": cnn}[model]()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, amsgrad=True)
    options = {"num_workers": workers} if workers else {}
    return TrainingState(
        model=net,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 15),
        scaler=torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3),
        loader=torch.utils.data.DataLoader(Images(), 4, shuffle=True, **options),
        noise=torch.Generator().manual_seed(5),
        epoch=0,
        losses=[],
        **more,
    )


def train(state, stop=None, save=lambda: None):
    """Two epochs, or to a number of losses; True at the end."""
    while state.epoch < 2:
        for x, y in state.loader:
            x = x + torch.rand(x.shape, generator=state.noise) * random.random()
            loss = F.cross_entropy(state.model(x), y)
            state.optimizer.zero_grad()
            state.scaler.scale(loss).backward()
            state.scaler.step(state.optimizer)
            state.scaler.update()
            state.scheduler.step()
            state.losses.append(loss.item() + float(np.random.rand()))
            save()
            if len(state.losses) == stop:
                return False
        state.epoch += 1
        if len(state.losses) + 1000 == stop:  # between two epochs
            return False
    return True


def outcome(value):
    """Every bit of a state. (Files may differ: an optimizer keeps its tensors in one memory.)"""
    if isinstance(value, TrainingState):
        return outcome(value.state_dict())
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: outcome(v) for key, v in value.items()}
    return [outcome(v) for v in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_resumed_run_equals_an_unbroken_one(model, workers, tmp_path):
    whole = begin(model, workers)
    assert train(whole) and len(whole.losses) == 12
    stops = (1, 4, 6, 1006, 7, 12) if not workers else (random.randrange(1, 12), 1006)
    for stop in stops:
        path = tmp_path / f"{stop}.pt"
        broken = begin(model, workers)
        train(broken, stop)
        broken.save(path)
        broken.loader = None
        torch.manual_seed(9), random.seed(9), np.random.seed(9)
        again = begin(model, workers)
        assert again.resume(path) and train(again)
        assert again.losses == whole.losses
        assert outcome(again) == outcome(whole)


def main(path, model, workers):
    """Train in a process of its own, which saves after each step and says so."""
    state = begin(model, int(workers))
    state.resume(path)

    def save():
        state.save(path)
        print(len(state.losses), flush=True)

    train(state, save=save)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")
@pytest.mark.parametrize(
    "model, workers", [("mlp", 0), pytest.param("cnn", 2, marks=pytest.mark.slow)]
)
def test_a_run_that_is_killed_at_random(model, workers, tmp_path):
    def run(name, *kills):
        """The state that a process of its own leaves, killed after so many steps and begun again."""
        path = tmp_path / name
        command = [sys.executable, __file__, str(path), model, str(workers)]
        for step in (*kills, None):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout:
                    if step is not None and int(line) >= step:
                        process.kill()
                        break
            assert process.returncode == (-signal.SIGKILL if step else 0)
        found = begin(model, workers)
        found.load(path)
        return found

    unbroken, broken = run("unbroken.pt"), run("broken.pt", random.randrange(1, 12))
    assert broken.losses == unbroken.losses and len(broken.losses) == 12
    assert outcome(broken) == outcome(unbroken)


def test_parts_by_name(tmp_path):
    path = tmp_path / "x.pt"
    state = TrainingState(model=torch.nn.Linear(1, 1), epoch=3, best=torch.ones(2))
    assert not state.resume(path)
    with pytest.raises(FileNotFoundError):
        state.load(path)
    state.save(path)
    state.epoch, state.best = 5, None
    state.load(path)
    assert state.epoch == 3 and state.best.tolist() == [1, 1]
    with pytest.raises(ValueError, match="holds model, epoch, best, and this run has model"):
        TrainingState(model=torch.nn.Linear(1, 1)).load(path)
    with pytest.raises(ValueError, match="save is a method"):
        TrainingState(save=1)
    with pytest.raises(AttributeError, match="given model, epoch, best, not scheduler"):
        _ = state.scheduler
    torch.save({"model": 1}, path)
    with pytest.raises(ValueError, match="not a state of version 1"):
        state.load(path)
    state.epoch = {1}.union
    state.save(tmp_path / "code.pt")
    with pytest.raises(pickle.UnpicklingError, match="getattr"):
        state.load(tmp_path / "code.pt")


def test_a_compiled_step_goes_on(tmp_path):
    def run(stop=None, resume=False):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        state = TrainingState(model=model, optimizer=optimizer, step=0)

        @torch.compile
        def step(x):
            optimizer.zero_grad()
            loss = F.dropout(model(x)).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        if resume:
            state.load(tmp_path / "x.pt")
        while state.step < (stop or 6):
            step(torch.rand(3, 4))
            state.step += 1
        if stop:
            state.save(tmp_path / "x.pt")
        return model.weight

    whole = run()
    run(stop=3)
    torch.testing.assert_close(run(resume=True), whole, rtol=0, atol=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
