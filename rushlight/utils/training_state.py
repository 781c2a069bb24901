"""All that a training run depends on, saved and restored by one call."""

import os
from typing import Any

from rushlight.random import Generator
from rushlight.serialization.checkpoint import load, save
from rushlight.utils import random_state

__all__ = ["TrainingState"]

_VERSION = 1


class TrainingState:
    """What a training run depends on: give it by name, and it is saved and restored as a whole.

    What has ``state_dict`` and ``load_state_dict`` (modules, optimizers, schedulers, scalers,
    averages, data loaders) is saved by them, a Generator by its state, and everything else (an
    epoch, a best loss, a history) as the plain value that it is at the time; each is an attribute.
    The random numbers of torch, NumPy and Python are saved too, and a DataLoader's place in its
    data, so that a run that was interrupted and goes on is, bit for bit, the run that was not.

    >>> import os, tempfile, rushlight as torch
    >>> from rushlight.utils.training_state import TrainingState
    >>> def train(path, stop=None):
    ...     torch.manual_seed(0)
    ...     model = torch.nn.Linear(2, 1)
    ...     data = torch.utils.data.TensorDataset(torch.ones(6, 2), torch.zeros(6, 1))
    ...     state = TrainingState(
    ...         model=model,
    ...         optimizer=torch.optim.Adam(model.parameters()),
    ...         loader=torch.utils.data.DataLoader(data, 2, shuffle=True),
    ...         epoch=0,
    ...     )
    ...     state.resume(path)
    ...     while state.epoch < 2:
    ...         for x, y in state.loader:
    ...             loss = (model(torch.nn.functional.dropout(x)) - y).square().mean()
    ...             state.optimizer.zero_grad()
    ...             loss.backward()
    ...             state.optimizer.step()
    ...             state.save(path)
    ...             if stop is not None and (stop := stop - 1) == 0:
    ...                 return
    ...         state.epoch += 1
    ...     return model.weight
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     whole, broken = os.path.join(folder, "whole.pt"), os.path.join(folder, "broken.pt")
    ...     unbroken = train(whole)
    ...     train(broken, stop=4)  # within the second epoch
    ...     torch.equal(train(broken), unbroken)
    True
    """

    def __init__(self, **parts):
        for name in parts:
            if hasattr(type(self), name):
                raise ValueError(f"TrainingState: {name} is a method of it; use another name")
        self.__dict__.update(parts)

    def __getattr__(self, name) -> Any:
        raise AttributeError(f"TrainingState: it was given {', '.join(vars(self))}, not {name}")

    def state_dict(self):
        """All of it, of tensors, containers and plain values."""
        return {
            "version": _VERSION,
            "parts": {name: _state(part) for name, part in vars(self).items()},
            "random": random_state.capture(),
        }

    def load_state_dict(self, state_dict):
        """Go back to what ``state_dict`` gave.

        Raises:
            ValueError: it was of other parts, or another version of rushlight saved it otherwise.
        """
        version = state_dict.get("version") if isinstance(state_dict, dict) else None
        if version != _VERSION:
            raise ValueError(f"TrainingState: not a state of version {_VERSION}, but {version!r}")
        saved = state_dict["parts"]
        if saved.keys() != vars(self).keys():
            raise ValueError(
                f"TrainingState: the state holds {', '.join(saved)}, and this run has "
                f"{', '.join(vars(self))}"
            )
        for name, part in vars(self).items():
            if hasattr(part, "load_state_dict"):
                part.load_state_dict(saved[name])
            elif isinstance(part, Generator):
                part.set_state(saved[name])
            else:
                vars(self)[name] = saved[name]
        random_state.restore(state_dict["random"])

    def save(self, path):
        """Write the state to a file, which is at every moment the old one or the new one, whole."""
        save(self.state_dict(), path)

    def load(self, path):
        """Go back to the state in a file; no code in it is run.

        Raises:
            FileNotFoundError: there is none.
            RuntimeError, pickle.UnpicklingError: it is damaged, or holds more than plain values.
            ValueError: it is of other parts.
        """
        self.load_state_dict(load(path))

    def resume(self, path):
        """``load`` where the file exists; returns whether it does."""
        if not os.path.exists(path):
            return False
        self.load(path)
        return True


def _state(part):
    if hasattr(part, "state_dict"):
        return part.state_dict()
    return part.get_state() if isinstance(part, Generator) else part
