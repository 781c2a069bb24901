"""torch._subclasses.fake_tensor: libraries ask whether a tensor is fake."""

from rushlight.tensor import Tensor

__all__ = ["FakeTensor", "FakeTensorMode", "is_fake"]


class FakeTensor(Tensor, intercepts=False):
    """The class of PyTorch's tensors that only look as if they lay on a device. It has no objects.

    Raises:
        NotImplementedError: An object is made.
    """

    def __new__(cls, *args, **kwargs):
        raise NotImplementedError(
            "FakeTensor: rushlight has tensors without elements on the device 'meta'"
        )


class FakeTensorMode:
    """The mode in which PyTorch makes fake tensors, which rushlight does not have.

    Raises:
        NotImplementedError: An object is made.
    """

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(
            "FakeTensorMode: rushlight has tensors without elements on the device 'meta'"
        )


def is_fake(x):
    """Whether ``x`` is a ``FakeTensor``: never.

    >>> import rushlight as torch
    >>> is_fake(torch.ones(2))
    False
    """
    return isinstance(x, FakeTensor)
