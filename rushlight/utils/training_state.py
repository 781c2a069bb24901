"""Save and restore everything that a training run depends on, with one call."""

import os
from typing import Any

from rushlight.random import Generator
from rushlight.serialization.checkpoint import load, save
from rushlight.utils import random_state

__all__ = ["TrainingState"]

_VERSION = 1


class TrainingState:
    """The parts that a training run depends on, which are saved and restored together.

    The parts are given by name and become attributes. Parts with ``state_dict`` and
    ``load_state_dict`` (modules, optimizers, schedulers, scalers, averages, data loaders) are saved
    by these methods. A Generator is saved by its state. Every other part (an epoch, a best loss, a
    history) is saved as the plain value that the attribute has at the time.

    The states of torch's, NumPy's and Python's random generators and the place of a DataLoader in
    its data are saved, too. So a run that was interrupted and resumed gives, bit for bit, the
    results of a run that was not interrupted.

    Args:
        **parts: The parts by name. A name must not be that of a method.

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
        """Return the state of all parts, made of tensors, containers and plain values.

        Returns:
            Dict for ``load_state_dict``.
        """
        return {
            "version": _VERSION,
            "parts": {name: _state(part) for name, part in vars(self).items()},
            "random": random_state.capture(),
        }

    def load_state_dict(self, state_dict):
        """Go back to a state that ``state_dict`` returned.

        Args:
            state_dict: The dict that ``state_dict()`` returned.

        Raises:
            ValueError: the state has other parts, or a format of another version of rushlight.
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
        """Write the state to a file, which always holds all of the old or all of the new state.

        Args:
            path: Name of the file. It is replaced only when the new one is complete.
        """
        save(self.state_dict(), path)

    def load(self, path):
        """Go back to the state in a file, without running any code that the file names.

        Args:
            path: Name of the file.

        Raises:
            FileNotFoundError: the file does not exist.
            RuntimeError, pickle.UnpicklingError: the file is damaged, or holds objects that
                ``torch.load(weights_only=True)`` refuses.
            ValueError: the state has other parts.
        """
        self.load_state_dict(load(path))

    def resume(self, path):
        """Load the file if it exists.

        Args:
            path: Name of the file.

        Returns:
            True if the file exists.
        """
        if not os.path.exists(path):
            return False
        self.load(path)
        return True


def _state(part):
    if hasattr(part, "state_dict"):
        return part.state_dict()
    return part.get_state() if isinstance(part, Generator) else part
