"""Uninitialized parameters and buffers: the tensors of lazy modules, without a shape.

An uninitialized tensor has a dtype and ``requires_grad``, but no elements. Every access to its
elements or shape raises an error until ``materialize`` turns it into an ordinary tensor.
"""

from typing import TYPE_CHECKING, Any

import rushlight
from rushlight.device import require
from rushlight.dtype import get_default_dtype
from rushlight.nn.parameter import Buffer, Parameter
from rushlight.remote import default_device
from rushlight.tensor import Tensor

__all__ = [
    "UninitializedBuffer", "UninitializedParameter", "UninitializedTensorMixin", "is_lazy",
]  # fmt: skip

_new = object.__new__

NO_ELEMENTS = (
    "Attempted to use an uninitialized parameter or buffer: its shape is not known yet. Call the "
    "lazy module with a batch first (a dummy one will do); that initializes it"
)
NO_SHAPE = (
    "Can't access the shape of an uninitialized parameter or buffer: call the lazy module with a "
    "batch first. In load_state_dict: the state is of a module that is not initialized, and this "
    "one is"
)


class UninitializedTensorMixin:
    """The common base of uninitialized parameters and buffers."""

    cls_to_become: type
    _dtype: Any
    _device: Any
    _wants_grad: bool

    if TYPE_CHECKING:
        node: Any
        _grad: Any
        view_of: Any
        _cell: Any
        turned: Any
        cell: Any

    @classmethod
    def _make(cls, requires_grad, dtype, device=None):
        self = _new(cls)
        self._device = default_device() if device is None else require(device)
        self._dtype = dtype or get_default_dtype()
        self._wants_grad = requires_grad
        self.node = self._grad = self.view_of = self._cell = self.turned = None
        return self

    def materialize(self, shape, device=None, dtype=None):
        """Turn this object into an ordinary tensor with arbitrary values.

        Args:
            shape: The shape of the tensor: a tuple of ints.
            device: Where the tensor lies. Default: this object's device.
            dtype: The dtype of the tensor. Default: this object's dtype.
        """
        made = rushlight.empty(shape, device=device or self._device, dtype=dtype or self._dtype)
        requires_grad = self._wants_grad
        del self._dtype, self._device, self._wants_grad
        self.__class__ = self.cls_to_become
        self._array, self.cell = made._array, made.cell  # type: ignore[misc]
        self.requires_grad = requires_grad

    @property
    def _array(self):
        raise ValueError(NO_ELEMENTS)

    @property
    def shape(self):
        """Raise RuntimeError, because the shape is not known yet."""
        raise RuntimeError(NO_SHAPE)

    @property
    def dtype(self):
        """The dtype that the elements will have."""
        return self._dtype

    @property
    def device(self):
        """Where the elements will lie."""
        return self._device

    @property
    def requires_grad(self):
        """Whether the tensor will require a gradient."""
        return self._wants_grad

    @requires_grad.setter
    def requires_grad(self, wanted):
        self._wants_grad = bool(wanted)

    def requires_grad_(self, requires_grad=True):
        """Set whether the tensor will require a gradient."""
        self._wants_grad = bool(requires_grad)
        return self

    @property
    def data(self):
        """This object itself, because there are no elements to share."""
        return self

    @data.setter
    def data(self, value):
        self._dtype = value.dtype

    def is_floating_point(self):
        """Whether the dtype is floating point."""
        return self._dtype.is_floating_point

    def is_complex(self):
        """Whether the dtype is complex."""
        return self._dtype.is_complex

    def share_memory_(self):
        """Raise RuntimeError, because there is no memory yet."""
        raise RuntimeError(
            f"Can't share memory on an uninitialized parameter or buffer: {NO_ELEMENTS}"
        )

    def __repr__(self, *, tensor_contents=None):
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            memo[id(self)] = self._make(self._wants_grad, self._dtype, self._device)
            memo[id(self)].__dict__.update(self.__dict__)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return type(self), (self._wants_grad,)

    # Each conversion makes another uninitialized tensor.

    def to(self, *args, **kwargs):
        """Make an uninitialized tensor of another dtype; the arguments are ``Module.to``'s."""
        from rushlight.nn.modules.conversion import parse_to

        device, dtype, *_ = parse_to(*args, **kwargs)
        found = self.type(dtype)
        found._device = device or self._device
        return found

    def type(self, dtype=None):
        """Make an uninitialized tensor of another dtype."""
        found = self._make(self._wants_grad, dtype or self._dtype, self._device)
        found.__dict__.update({k: v for k, v in self.__dict__.items() if k != "_dtype"})
        return found

    def float(self):
        return self.type(rushlight.float32)

    def double(self):
        return self.type(rushlight.float64)

    def half(self):
        return self.type(rushlight.float16)

    def bfloat16(self):
        return self.type(rushlight.bfloat16)

    def cpu(self):
        return self.type()


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is not known yet.

    Args:
        requires_grad: Record the parameter's use, for gradients. Default: True.
        device: Where the parameter will lie. Default: ``torch.get_default_device()``.
        dtype: The dtype of the parameter. Default: ``torch.get_default_dtype()``.

    >>> import rushlight as torch
    >>> p = torch.nn.UninitializedParameter()
    >>> p.materialize((2, 3))
    >>> type(p).__name__, p.shape
    ('Parameter', torch.Size([2, 3]))
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return cls._make(requires_grad, dtype, device)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape is not known yet.

    Args:
        requires_grad: Record the buffer's use, for gradients. Default: False.
        device: Where the buffer will lie. Default: ``torch.get_default_device()``.
        dtype: The dtype of the buffer. Default: ``torch.get_default_dtype()``.
        persistent: Save the buffer in the module's ``state_dict``. Default: True.

    >>> import rushlight as torch
    >>> b = torch.nn.UninitializedBuffer()
    >>> b.materialize((2, 3))
    >>> type(b).__name__, b.shape
    ('Tensor', torch.Size([2, 3]))
    """

    __torch_function__ = Buffer.__torch_function__
    cls_to_become = Tensor

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        buffer = cls._make(requires_grad, dtype, device)
        buffer.persistent = persistent
        buffer._is_buffer = True
        return buffer


def is_lazy(param):
    """Return whether ``param`` is an uninitialized parameter or buffer.

    Args:
        param: Any object.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.nn.parameter.is_lazy(torch.nn.UninitializedParameter())
    True
    """
    return isinstance(param, UninitializedTensorMixin)
