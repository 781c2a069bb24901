"""PyTorch's first constructors: ``torch.Tensor(2, 3)``, ``torch.FloatTensor``, ``x.new``."""

import numbers
from typing import Any

import numpy as np

import rushlight.dtype as dtypes
from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU
from rushlight.device import device as to_device
from rushlight.device_array import drivers
from rushlight.dtype import TENSOR_TYPES
from rushlight.notices import warn_once
from rushlight.ops.core.definition import FUNCTIONS, function
from rushlight.ops.create.filled import empty
from rushlight.ops.create.from_data import array_of, new
from rushlight.ops.tensor.memory_format import strided
from rushlight.remote import at, default_device, device_of
from rushlight.storage import Storage
from rushlight.tensor import Size, Tensor, as_class
from rushlight.typed_storage import TypedStorage

__all__ = ["CUDA_TYPES", "CudaType", "TensorType", "legacy_constructor", "named_type"]


def _constructed(d, args, device, any_dtype=False, where=CPU):
    """Make a tensor of dtype ``d`` by the legacy rules: ints are sizes, a sequence is data."""
    if default_device() is not where:
        with at(where):
            return _constructed(d, args, device, any_dtype, where)
    if device is not None and to_device(device).type != where.type:
        raise RuntimeError(
            f"legacy constructor expects device type: {where} but device type: "
            f"{to_device(device).type} was passed"
        )
    if not args:
        return empty(0, dtype=d)
    first = args[0]
    if len(args) == 1 and not isinstance(first, Size):
        if isinstance(first, Tensor):
            if device is not None:
                raise RuntimeError(
                    "Legacy tensor constructor of the form torch.Tensor(tensor, device=device) is "
                    "not supported.  Use torch.tensor(...) or torch.as_tensor(...) instead."
                )
            return _alias(first, d, any_dtype)
        if isinstance(first, (Storage, TypedStorage)):
            return empty(0, dtype=d).set_(first)
        if isinstance(first, (bool, float, complex)) and not isinstance(first, np.integer):
            raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
        if not isinstance(first, numbers.Integral):
            return new(array_of(first, d)[0])
    if not all(isinstance(n, (numbers.Integral, Size)) for n in args):
        given = ", ".join([type(a).__name__ for a in args])
        raise TypeError(f"new() received an invalid combination of arguments - got ({given})")
    return empty(*args, dtype=d)


def _alias(x, d, any_dtype):
    if x.dtype is not d and not any_dtype:
        raise TypeError(
            f"expected a tensor of {d} (got {x.dtype}): the legacy constructor shares memory; use "
            f".to({d})"
        )
    with mode.unasked():
        return x[...]  # a view with the history of x


def legacy_constructor(cls, *args, dtype=None, device=None):
    """Make the tensor of ``torch.Tensor(2, 3)`` or ``torch.Tensor([1, 2])``, or of a subclass."""
    found = _constructed(dtype or dtypes.get_default_dtype(), args, device, any_dtype=True)
    if cls is Tensor:
        return found
    return as_class(found, cls)


late.legacy_constructor = legacy_constructor


def _new(self, *args, device=None, size=None):
    """Make a tensor of this tensor's dtype by PyTorch's first constructor.

    ``torch.tensor`` and ``new_zeros`` say more clearly what they make.

    Args:
        *args: The sizes of an uninitialised tensor, or one sequence with its elements. A tensor or
            a storage gives a tensor that shares its memory. Default: no elements, shape ``(0,)``.
        device: None or the CPU.
        size: The sizes, in place of ``args``.

    Returns:
        Tensor of the given sizes, or with the sequence's shape.

    Raises:
        TypeError: ``args`` are neither sizes nor data, or a tensor of another dtype.
        RuntimeError: ``args`` are a tensor, and ``device`` is given.

    >>> import rushlight as torch
    >>> torch.zeros(1).new([1, 2])
    tensor([1., 2.])
    """
    args = args if size is None else (Size(size),)
    return _constructed(self.dtype, args, device, where=device_of(self))


_new.__name__ = _new.__qualname__ = "new"
Tensor.new = _new


class TensorType(type):
    """The metaclass of the legacy types, such as ``torch.FloatTensor``, each for one dtype."""

    dtype: dtypes.dtype
    layout: Any = strided
    place = "cpu"  # the kind of device
    is_cuda = is_sparse = False

    def __new__(mcs, name, module, dtype, doc):
        return super().__new__(mcs, name, (), {"__module__": module, "__doc__": doc})

    def __init__(cls, name, module, dtype, doc):
        super().__init__(name, (), {})
        cls.dtype = dtype

    def __instancecheck__(cls, instance):
        return (
            isinstance(instance, Tensor)
            and instance.dtype is cls.dtype
            and instance.layout is cls.layout
            and instance.device.type == cls.place
        )

    def __call__(cls, *args, device=None):
        return _constructed(cls.dtype, args, device)


class CudaType(TensorType):
    """The metaclass of the legacy types of NVIDIA's GPUs, such as ``torch.cuda.FloatTensor``."""

    place = "cuda"
    is_cuda = True

    def check(cls):
        """Raise TypeError if there is no such device."""
        if not drivers("cuda"):
            raise TypeError(
                f"type {cls.__module__}.{cls.__name__} not available. Torch not compiled with CUDA "
                "enabled."
            )

    def __call__(cls, *args, device=None):
        cls.check()
        return _constructed(cls.dtype, args, device, where=to_device("cuda"))


for _name, _dtype in TENSOR_TYPES.items():
    _short = _name.removeprefix("torch.")
    FUNCTIONS[_short] = TensorType(
        _short,
        "torch",
        _dtype,
        f"""The legacy type of {_dtype} tensors.

    Args:
        *args: The sizes of an uninitialised tensor, or one sequence with its elements. A tensor or
            a storage gives a tensor that shares its memory. Default: no elements, shape ``(0,)``.
        device: None or the CPU.

    >>> import rushlight as torch
    >>> torch.{_short}([1, 0]).dtype
    {_dtype}
    """,
    )

_PLACED = ("Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double")
#: Name → the legacy type of tensors on NVIDIA's GPUs.
CUDA_TYPES = {
    f"{n}Tensor": CudaType(
        f"{n}Tensor",
        "torch.cuda",
        TENSOR_TYPES[f"torch.{n}Tensor"],
        "The legacy type of tensors of one dtype on NVIDIA's GPUs.",
    )
    for n in _PLACED
}


def named_type(name):
    """The legacy type that ``Tensor.type`` calls ``name``; None if there is none."""
    kind, _, short = name.removeprefix("torch.").rpartition(".")
    types = {"": FUNCTIONS, "cuda": CUDA_TYPES, "sparse": FUNCTIONS}.get(kind, {})
    found = types.get(short) if name.startswith("torch.") else None
    return found if isinstance(found, TensorType) else None


late.named_type = named_type


@function(method=False)
def set_default_tensor_type(t):
    """Set the default dtype by a legacy type.

    Args:
        t: A legacy type of a floating-point dtype, such as ``torch.DoubleTensor``, or its name.

    Raises:
        TypeError: ``t`` is no such type.

    >>> import rushlight as torch
    >>> torch.set_default_tensor_type(torch.DoubleTensor)
    >>> torch.tensor(0.5).dtype
    torch.float64
    >>> torch.set_default_tensor_type("torch.FloatTensor")
    """
    warn_once(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use "
        "torch.set_default_dtype() and torch.set_default_device() as alternatives."
    )
    if isinstance(t, str):
        named = named_type(t)
        if named is None:
            raise TypeError(f"invalid type object: {t!r} names no tensor type")
        t = named
    if not isinstance(t, TensorType):
        raise TypeError(f"invalid type object: {t!r} is no tensor type")
    if isinstance(t, CudaType):
        t.check()
        late.framework.set_default_device("cuda")
    dtypes.set_default_dtype(t.dtype)
