"""Optimizers with ``foreach=True``, under PyTorch's older names."""

from functools import partialmethod
from typing import Any

from rushlight import optim

__all__: list[str] = []


def _for_lists(name) -> Any:
    cls: Any = getattr(optim, name)
    members = {
        "__init__": partialmethod(cls.__init__, foreach=True),
        "__doc__": f"``torch.optim.{name}`` with ``foreach=True``.",
        "__module__": __name__,
    }
    return type(name, (cls,), members)


Adam, AdamW, NAdam = map(_for_lists, ("Adam", "AdamW", "NAdam"))
SGD, RAdam, RMSprop = map(_for_lists, ("SGD", "RAdam", "RMSprop"))
Rprop, ASGD, Adamax = map(_for_lists, ("Rprop", "ASGD", "Adamax"))
Adadelta, Adagrad = map(_for_lists, ("Adadelta", "Adagrad"))
