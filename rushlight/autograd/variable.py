"""Variable: in PyTorch before 0.4, a tensor with a history. Programs still use the name."""

import warnings

from rushlight.tensor import Tensor

__all__ = ["Variable"]


class _VariableMeta(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, Tensor)

    def __call__(cls, data=None, requires_grad=False, volatile=None):
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile is not None:
            warnings.warn(
                "volatile was removed and now has no effect: use `with torch.no_grad():`",
                stacklevel=2,
            )
        # A sparse tensor has a ``_make_subclass`` of its own, and keeps its class.
        return type(data)._make_subclass(Tensor, data, requires_grad)


class Variable(metaclass=_VariableMeta):
    """A tensor over the memory of ``data``, without history; every tensor is a Variable.

    >>> import rushlight as torch
    >>> torch.autograd.Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """
