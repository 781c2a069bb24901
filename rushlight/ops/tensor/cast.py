"""Copies and conversions of dtype: clone, contiguous, to, float, type and their relatives."""

import numpy as np

import rushlight.dtype as dtypes
from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh, typed
from rushlight.device import CPU, META, device, require
from rushlight.device_array import is_dense, placed, sent
from rushlight.docstrings import document
from rushlight.handled import takes_handler
from rushlight.meta import is_meta, refuse
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import composed, function
from rushlight.ops.core.dispatch import record
from rushlight.ops.core.fast_path import plain, taped
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.replays import replayed
from rushlight.ops.tensor.array_dtypes import converted
from rushlight.ops.tensor.memory_format import (
    check_rank,
    contiguous_format,
    guessed,
    memory_format,
    preserve_format,
)
from rushlight.remote import Crossing, device_of
from rushlight.storage import geometry, strided, strides_of
from rushlight.strides import copied, empty_like
from rushlight.tensor import Tensor, from_array, method, short

# Copies -----------------------------------------------------------------------------------


def laid_out(array, form, name, dtype=None):
    """Return an uninitialised array with the shape of ``array``.

    The new array is laid out in the memory format ``form``; None means preserve_format. Its dtype
    is ``dtype``, by default that of ``array``.
    """
    dtype = dtype or array.dtype
    if form is None or form.name == "preserve_format":
        return empty_like(array, dtype)
    if form is contiguous_format:
        return np.empty(array.shape, dtype)
    check_rank(form, array.ndim, name)
    shape = array.shape
    return np.moveaxis(np.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)


@kernel(public=False, method=False, name="clone", widen=False, primitive="copy", keeps_order=True,
        moves=True)  # fmt: skip
def _clone(xp, x, *, memory_format=None):
    """A copy."""
    if memory_format is None and x.flags.c_contiguous:
        out = x.copy()
        return out if out.strides == x.strides else strided(out, x.shape, strides_of(x))
    return copied(x, laid_out(x, memory_format, "clone"))


_clone.grad(x=lambda g: g)


@short
@function
@replayed
def clone(input, *, memory_format=None):
    """Return a copy of ``input``.

    Gradients flow from the copy back to ``input``.

    Returns:
        Tensor of ``input``'s shape and dtype, with memory of its own.

    >>> import rushlight as torch
    >>> torch.ones(2).clone()
    tensor([1., 1.])
    """
    if not mode.intercept and type(input) is Tensor:
        try:
            array = _clone.op.forward(np, plain(input), memory_format=memory_format)
        except (AttributeError, RuntimeError):
            pass  # the call below raises the error
        else:
            out = taped(_clone.op, array, (input.node,), (), ())
            out.turned = True
            return out
    if memory_format is None:
        return _clone(input)
    return _clone(input, memory_format=memory_format)


def _dense_in(array, form):
    array = geometry(array)
    if form is None or form is contiguous_format or form is preserve_format:
        return array.flags.c_contiguous
    return array.ndim == form.rank and np.moveaxis(array, 1, -1).flags.c_contiguous


@method
@composed
def contiguous(self, memory_format=contiguous_format):
    """Return the tensor itself if it is contiguous, and a contiguous copy if it is not.

    A tensor is contiguous if its elements lie in memory without gaps, in the order of its dims
    or in the order that ``memory_format`` names.

    Args:
        memory_format: ``torch.contiguous_format`` (the default: in the order of the dims),
            ``torch.channels_last`` for (N, C, H, W), or ``torch.channels_last_3d`` for
            (N, C, D, H, W).

    Returns:
        Tensor of this tensor's shape.

    Raises:
        RuntimeError: A copy would be in ``torch.preserve_format``, or the format is one for another
            number of dims.

    >>> import rushlight as torch
    >>> x = torch.zeros(2, 3)
    >>> x.contiguous() is x, x.t().contiguous().stride()
    (True, (2, 1))
    """
    if _dense_in(self._array, memory_format):
        return self
    if memory_format is preserve_format:
        raise RuntimeError(
            "contiguous: preserve memory format is unsupported by the contiguous operator"
        )
    return clone(self, memory_format=memory_format)


@method
def is_contiguous(self, memory_format=contiguous_format):
    """Tell whether the elements lie in memory without gaps, in the order of the dims.

    Args:
        memory_format: ``torch.channels_last`` or ``torch.channels_last_3d`` asks for that order
            instead. Default: the order of the dims.

    Returns:
        True if they do. False for a number of dims that ``memory_format`` is not for.

    >>> import rushlight as torch
    >>> x = torch.zeros(2, 3)
    >>> x.is_contiguous(), x.t().is_contiguous()
    (True, False)
    """
    return _dense_in(self._array, memory_format)


# Dtypes -----------------------------------------------------------------------------------


@kernel(public=False, method=False, name="to_copy", widen=False, primitive="copy", keeps_order=True)
def cast(xp, x, *, dtype, memory_format=None):
    """Convert ``x`` to ``dtype``, which is a NumPy dtype."""
    if memory_format is not None:
        found = laid_out(x, memory_format, "to", dtype)
        found[...] = converted(x, dtype)
        return found
    return converted(x, dtype)


cast.grad(x=lambda g, x_dtype: typed(g, x_dtype))


def _parsed(args, kwargs):
    """Return (device, dtype, copy, memory_format) from the arguments of ``to``."""
    wanted = None
    dtype = kwargs.pop("dtype", None)
    form = kwargs.pop("memory_format", None)
    rest = list(args)
    if "other" in kwargs:
        rest.insert(0, kwargs.pop("other"))
    if "device" in kwargs:
        wanted = _device(kwargs.pop("device"))
    elif rest and isinstance(rest[0], (str, int, device)) and not isinstance(rest[0], bool):
        wanted = require(rest.pop(0))
    elif rest and isinstance(rest[0], Tensor):
        dtype, wanted = rest[0].dtype, rest.pop(0).device
    elif rest and rest[0] is None:
        rest.pop(0)
    if rest and (isinstance(rest[0], dtypes.dtype) or rest[0] is None):
        dtype = rest.pop(0) or dtype
    flags = dict(zip(("non_blocking", "copy"), rest, strict=False))
    flags.update(kwargs)
    unknown = set(flags) - {"non_blocking", "copy"}
    if unknown or len(rest) > 2 or not all(isinstance(v, bool) for v in flags.values()):
        kinds = ", ".join([type(a).__name__ for a in args] + [f"{k}=" for k in kwargs])
        raise TypeError(f"to() received an invalid combination of arguments - got ({kinds})")
    return wanted, dtype, flags.get("copy", False), form


def _device(d):
    return None if d is None else require(d)


_TO = "non_blocking=, copy: bool=, *, memory_format?="


@method
@composed
@takes(
    f"input, dtype: dtype, {_TO}", f"input, other: Tensor, {_TO}",
    f"input, device: device?=, dtype: dtype?=, {_TO}",
)  # fmt: skip
def to(self, *args, **kwargs):
    """Convert the tensor to another dtype or device; return the tensor itself if nothing changes.

    The forms are ``to(dtype)``, ``to(device, dtype)`` and ``to(other)``. Each form also takes
    ``non_blocking``, ``copy`` and ``memory_format``.

    Args:
        dtype: The dtype of the result. Default: that of this tensor.
        device: The CPU or ``"meta"``, where only the shape is kept. Default: None, the same device.
        other: A tensor whose dtype and device the result gets.
        non_blocking: Accepted without effect: copies are done at once.
        copy: Return a copy even if nothing changes. Default: False.
        memory_format: Order of the dims in memory. Default: ``torch.preserve_format``.

    Returns:
        Tensor of this tensor's shape.

    Raises:
        AssertionError: ``device`` is a CUDA or XPU device.
        NotImplementedError: The tensor is on the device ``meta``, and ``device`` is the CPU.
        RuntimeError: ``device`` is one that rushlight lacks.

    >>> import rushlight as torch
    >>> torch.tensor([1.7]).to(torch.int64), torch.ones(1).to("cpu", torch.float64)
    (tensor([1]), tensor([1.], dtype=torch.float64))
    """
    if len(args) == 1 and not kwargs and isinstance(args[0], dtypes.dtype):
        wanted, dtype, copy, form = None, args[0], False, None
    else:
        wanted, dtype, copy, form = _parsed(args, kwargs)
    if form is not None and not isinstance(form, memory_format):
        raise TypeError(f"to(): argument 'memory_format' must be torch.memory_format, not {form!r}")
    if wanted is not None and wanted is not device_of(self):
        return _moved(self, wanted, dtype, form)
    if dtype is None or dtype.numpy == self._array.dtype:
        if copy:
            return clone(self, memory_format=form)
        # Sizes of 1 leave open which format a tensor has. PyTorch compares the one that it guesses.
        if form is None or form is preserve_format or form is guessed(geometry(self._array)):
            return self
        return clone(self, memory_format=form)
    return cast(self, dtype=dtype.numpy, memory_format=form)


@kernel(public=False, method=False, name="to_device", grad_name="ToCopyBackward0", widen=False)
def _to_device(xp, x, *, there, back, count):
    """A copy of ``x`` on the device ``there``; gradients go to the device ``back``."""
    return x.copy(order="K") if getattr(xp, "dry", False) else placed(x, there)


# The node keeps ``count``, so backward knows that some tensor is not on the CPU.
_to_device.grad(x=lambda g, back, count: to(g, back))


def _packed(x, d):
    """The array of ``x``; between devices one without gaps, so that it is copied in one piece."""
    if CPU in (device_of(x), d) or META in (device_of(x), d) or is_dense(x._array):
        return x._array
    return x.detach().clone()._array


def _moved(x, d, dtype, form):
    """``x`` with its elements on the device ``d``; those of ``meta`` are lost for good."""
    if is_meta(x):
        refuse()
    if takes_handler(x):
        out = late.handlers().moved(x, d, dtype, form)
        if x.node is not None and mode.records():
            params = {"there": d, "back": device_of(x), "count": Crossing()}
            record(_to_device.op, (x,), [x._array], [x.node], params, out)
        return out
    recording = mode.recorder()
    if recording is not None and not recording.batches and d is not META:
        recording.enter(d)
        out = _to_device(x, there=d, back=device_of(x), count=None)
        return to(out, dtype, memory_format=form)
    refresh(x)
    out = from_array(sent(_packed(x, d), d))
    if x.node is not None and mode.records():
        params = {"there": d, "back": device_of(x), "count": Crossing()}
        record(_to_device.op, (x,), [x._array], [x.node], params, out)
    return to(out, dtype, memory_format=form)


def _converter(name, dtype):
    def convert(self, memory_format=None):
        return (
            to(self, dtype)
            if memory_format is None
            else to(self, dtype, memory_format=memory_format)
        )

    convert.__name__ = convert.__qualname__ = name
    convert.__doc__ = f"""Convert the tensor to ``torch.{dtype.name}``, as ``to`` does.

    Returns:
        Tensor of this tensor's shape; the tensor itself if it has the dtype.

    >>> import rushlight as torch
    >>> torch.tensor([0, 1]).{name}().dtype
    torch.{dtype.name}
    """
    setattr(Tensor, name, document(composed(convert)))


for _name, _dtype in {
    **dtypes.ALIASES, "bfloat16": dtypes.bfloat16, "bool": dtypes.bool, "byte": dtypes.uint8,
    "char": dtypes.int8,
}.items():  # fmt: skip
    _converter(_name, _dtype)


@method
def cpu(self, memory_format=None):
    """Return the tensor with its elements in the computer's own memory.

    Returns:
        This tensor if it is there; otherwise a copy. If ``memory_format`` asks for another order of
        the dims in memory: a copy with that order.

    Raises:
        NotImplementedError: The tensor is on the device ``meta``.

    >>> import rushlight as torch
    >>> x = torch.zeros(2)
    >>> x.cpu() is x
    True
    """
    if memory_format is None and device_of(self) is CPU:
        return self
    return to(self, CPU, memory_format=memory_format)


@method
def cuda(self, device=None, non_blocking=False, memory_format=None):
    """Return the tensor on a CUDA device.

    Args:
        device: Default: the current CUDA device.
        non_blocking: Accepted without effect.
        memory_format: The order of the result's elements in memory. Default: as it is.

    Returns:
        This tensor if it is there, else a copy.

    Raises:
        AssertionError: There is no CUDA device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     assert torch.zeros(2).cuda().is_cuda
    """
    return _on_type(self, "cuda", device, memory_format)


@method
def xpu(self, device=None, non_blocking=False, memory_format=None):
    """Return the tensor on a GPU of Intel's.

    Args:
        device: Default: the current one.
        non_blocking: Accepted without effect.
        memory_format: The order of the result's elements in memory. Default: as it is.

    Returns:
        This tensor if it is there, else a copy.

    Raises:
        AssertionError: There is no such device.

    >>> import rushlight as torch
    >>> if torch.xpu.is_available():
    ...     assert torch.zeros(2).xpu().device.type == "xpu"
    """
    return _on_type(self, "xpu", device, memory_format)


def _on_type(x, kind, device, memory_format):
    if isinstance(device, int):
        device = f"{kind}:{device}"
    return to(x, require(kind if device is None else device), memory_format=memory_format)


@composed
@takes("input, dtype: any?=, non_blocking=, *, memory_format?=")
def _type(self, dtype=None, non_blocking=False, *, memory_format=None):
    """Return the legacy name of the type, or with ``dtype`` convert the tensor to it.

    Args:
        dtype: A dtype, a legacy type such as ``torch.LongTensor``, or its name. Default: None, so
            that nothing is converted.
        non_blocking: Accepted without effect: copies are done at once.
        memory_format: Order of the dims in memory. Default: ``torch.preserve_format``.

    Returns:
        Without ``dtype`` a string, such as ``"torch.FloatTensor"``; else a tensor of this tensor's
        shape.

    Raises:
        ValueError: The string ``dtype`` names no type.

    >>> import rushlight as torch
    >>> torch.zeros(2).type()
    'torch.FloatTensor'
    >>> torch.zeros(2).type(torch.int64).dtype
    torch.int64
    """
    if dtype is None:
        name = dtypes.TYPE_NAMES[self.dtype]
        place = device_of(self)
        return name if place is CPU else name.replace("torch.", f"torch.{place.type}.")
    if isinstance(dtype, str):
        named = late.named_type(dtype)
        if named is None:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = named
    if dtype is Tensor:
        dtype = dtypes.get_default_dtype()
    place = getattr(dtype, "place", None)
    if place is not None and place != device_of(self).type:
        self = to(self, require(place))
    # A legacy type knows its dtype.
    return to(self, getattr(dtype, "dtype", dtype), memory_format=memory_format)


_type.__name__ = _type.__qualname__ = "type"
Tensor.type = _type


@method
@composed
@takes("input, other: Tensor")
def type_as(self, other):
    """Convert the tensor to the dtype of ``other``.

    Args:
        other: Tensor of any shape.

    Returns:
        Tensor of this tensor's shape; the tensor itself if it has the dtype.

    >>> import rushlight as torch
    >>> torch.tensor([1.5]).type_as(torch.tensor([1]))
    tensor([1])
    """
    return to(self, other.dtype)
