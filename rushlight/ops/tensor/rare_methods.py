"""Methods of Tensor that few programs call: map2_, module_load, record_stream, …"""

import numpy as np

from rushlight.autograd.write import stamp
from rushlight.dtype import OF
from rushlight.meta import is_meta
from rushlight.ops.tensor.storage import _plain, _put
from rushlight.remote import is_remote
from rushlight.tensor import method
from rushlight.typed_storage import NAMES, TypedStorage


@method
def map2_(self, x, y, callable):
    """Replace each element by ``callable(element, element of x, element of y)``.

    The calls run in Python, so they are slow.

    Args:
        x, y: Tensors of this tensor's dtype, whose shapes broadcast to this tensor's.
        callable: Takes three elements as Python numbers, and returns a number.

    Raises:
        RuntimeError: A tensor requires grad, or a shape does not fit.
        TypeError: ``x`` or ``y`` has another dtype, or ``callable`` returns no number.

    >>> import rushlight as torch
    >>> z, one = torch.tensor([1.0, 2.0]), torch.ones(2)
    >>> z.map2_(one, one, lambda a, b, c: a + b + c)
    tensor([3., 4.])
    """
    array = self._array
    for name, t in (("self", self), ("x", x), ("y", y)):
        _plain(t, "map2_")
        if t._array.dtype != array.dtype:
            raise TypeError(
                f"map2_: expected {OF[array.dtype]} for argument '{name}' but got {t.dtype}"
            )
    first, second = x.expand(array.shape)._array, y.expand(array.shape)._array
    for place in np.ndindex(array.shape):
        found = callable(array[place].item(), first[place].item(), second[place].item())
        _put(array, place, found, "map2_")
    stamp(self)
    return self


@method
def module_load(self, other, assign=False):
    """Return what ``Module.load_state_dict`` puts in this tensor's place.

    Args:
        other: The tensor of the state dict.
        assign: Return ``other`` itself, detached. Default: copy it into this tensor.

    Returns:
        A new tensor object.

    >>> import rushlight as torch
    >>> torch.zeros(2).module_load(torch.ones(2))
    tensor([1., 1.])
    """
    return other.detach() if assign else self.copy_(other).detach()


@method
def record_stream(self, stream):
    """Keep the memory, once the tensor is gone, until the work of ``stream`` so far has run.

    Memory goes back to the stream in which it was allocated, whose later work may use it again.

    Args:
        stream: A ``Stream`` of the tensor's device, whose work uses the tensor.

    Raises:
        NotImplementedError: The tensor is on the CPU.

    >>> import rushlight as torch
    >>> torch.ones(2).record_stream(torch.Stream("cpu"))
    Traceback (most recent call last):
    NotImplementedError: record_stream: the tensor is on the CPU, whose memory no stream uses
    """
    if not is_remote(self):
        raise NotImplementedError(
            "record_stream: the tensor is on the CPU, whose memory no stream uses"
        )
    if not is_meta(self):
        self._array.memory.use(stream._queue)


@method
def reinforce(self, reward):
    """Raise, as in PyTorch: ``torch.distributions`` took this method's place.

    Args:
        reward: Accepted without effect.

    Raises:
        RuntimeError: always.

    >>> import rushlight as torch
    >>> torch.ones(1).reinforce(1)
    Traceback (most recent call last):
    RuntimeError: reinforce() was removed. Use torch.distributions: -log_prob(action) * reward
    """
    raise RuntimeError(
        "reinforce() was removed. Use torch.distributions: -log_prob(action) * reward"
    )


@method
def is_distributed(self):
    """Tell whether the tensor is distributed among processes; those are ``DTensor`` objects.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.ones(1).is_distributed()
    False
    """
    return False


@method
def _is_all_true(self):
    """Whether all elements of a bool tensor are True, as a 0-dim tensor."""
    return self.all()


@method
def _is_any_true(self):
    """Whether an element of a bool tensor is True, as a 0-dim tensor."""
    return self.any()


@method
def _typed_storage(self):
    """``storage()`` without its warning."""
    return TypedStorage(wrap_storage=self.untyped_storage(), dtype=self.dtype)


@method
def storage_type(self):
    """Return the old class of storages of this tensor's dtype.

    Returns:
        A class such as ``torch.FloatStorage``.

    >>> import rushlight as torch
    >>> torch.ones(1).storage_type() is torch.FloatStorage
    True
    """
    from rushlight import typed_storage as classes

    return getattr(classes, NAMES[self.dtype])
