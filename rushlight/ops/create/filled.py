"""New tensors of a given shape, or of another tensor's shape: filled or uninitialised."""

from math import prod

import numpy as np

import rushlight.dtype as dtypes
from rushlight import late, shapes
from rushlight.autograd import mode
from rushlight.device import CPU, META, require
from rushlight.device_array import placed, reserved
from rushlight.docstrings import document
from rushlight.errors import ShapeError
from rushlight.handled import takes_handler
from rushlight.meta import MetaArray
from rushlight.ops.core.definition import OPS, composed, function
from rushlight.ops.core.kinds import source
from rushlight.ops.core.outputs import store
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.ops.create.from_data import check_dtype
from rushlight.ops.tensor.array_dtypes import as_element, as_scalar
from rushlight.ops.tensor.memory_format import (
    channels_last,
    channels_last_3d,
    preserve_format,
    strided,
    strides_in,
)
from rushlight.remote import at, default_device, device_of
from rushlight.storage import geometry, reach, settled, span
from rushlight.strides import empty_like as dense_like
from rushlight.strides import is_dense, is_odd
from rushlight.tensor import Tensor, disabled_torch_function, from_array


@source(public=False, primitive="constant")
def full_(xp, *, shape, value, dtype):
    """Return an array filled with one value."""
    if type(value) is int and not value:
        return settled(xp.zeros(shape, dtype))
    return settled(xp.full(shape, value, dtype))


@source(public=False, primitive="constant unset")
def unset(xp, *, shape, dtype, value=0):
    """Return zeros that are all overwritten: compiled programs leave this memory as it is."""
    return xp.zeros(shape, dtype)


@source(public=False)
def empty_(xp, *, shape, dtype):
    """Return an uninitialised array."""
    return settled(xp.empty(shape, dtype))


empty_.lower(lambda shape, dtype: full_(shape=shape, value=0, dtype=dtype))


def options(dtype, layout, device, name):
    """Return the dtype for a new tensor; raise if rushlight lacks the layout or the device."""
    if device is not None and require(device) is not default_device():
        raise AssertionError(f"{name}: its guard has not entered the device {device}")
    check_dtype(dtype, name)
    if layout is not None and layout is not strided:
        raise RuntimeError(
            f"{name}: layout {layout} is not supported; rushlight's tensors are strided"
        )
    return dtypes.get_default_dtype() if dtype is None else dtype


def dtype_of(out, name):
    """Return the dtype of the tensor ``out``, or None if no ``out`` is given."""
    if out is not None and not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    return None if out is None else out.dtype


def finished(t, requires_grad, out=None, name=None, casts=False, silent=True):
    """Write ``t`` into ``out`` if that is given; return the result, with ``requires_grad`` set."""
    if out is not None:
        t = store(out, t, name, casts, silent)
    return t.requires_grad_(True) if requires_grad else t


def made(shape, value, d, name):
    """Return a tensor of ``shape`` filled with ``value``, or uninitialised if that is None."""
    if shapes.numel(shape) * d.itemsize >= 2**63:
        raise ShapeError(f"{name}: Storage size calculation overflowed with sizes={list(shape)}")
    if 0 in shape and prod([n or 1 for n in shape]) * d.itemsize >= 2**63:
        raise ShapeError(f"{name}: Stride calculation overflowed with sizes={list(shape)}")
    try:
        if not mode.intercept:
            return from_array(
                empty_.op.forward(np, shape=shape, dtype=d.numpy)
                if value is None
                else full_.op.forward(np, shape=shape, value=value, dtype=d.numpy)
            )
        if value is None:
            return empty_(shape=shape, dtype=d.numpy)
        return full_(shape=shape, value=value, dtype=d.numpy)
    except (MemoryError, ValueError) as error:
        if mode.intercept and not isinstance(error, MemoryError):
            raise  # it may be the error of a handler
        size = shapes.numel(shape) * d.itemsize
        raise RuntimeError(
            f"{name}: can't allocate memory: you tried to allocate {size} bytes for shape "
            f"{tuple(shape)}: {error}"
        ) from None


def sized(size, name):
    """Return the shape that a function's positional sizes give: ``(2, 3)`` or ``((2, 3),)``."""
    plain = size[0] if len(size) == 1 and type(size[0]) is tuple else size
    for n in plain:
        if type(n) is not int or n < 0:
            break
    else:
        if shapes.numel(plain) < 2**48:
            return plain
    if any(isinstance(n, (bool, float, str)) for n in size):
        raise TypeError(
            f"{name}(): argument 'size' (position 1) must be tuple of ints, not "
            f"{type(size[0]).__name__}"
        )
    if len(size) > 1 and isinstance(size[0], (tuple, list)):
        raise TypeError(f"{name}() takes 1 positional argument but {len(size)} were given")
    return shapes.sizes(size, name)


def _named_size(name, size, named):
    given = named.pop("size", None)
    if named or (given is not None and size):
        raise TypeError(
            f"{name}() got an unexpected keyword argument '{next(iter(named), 'size')}'"
        )
    if given is None:
        return size
    return (given,)


# Filled -----------------------------------------------------------------------------------


def _sparse(name, size, value, dtype, layout, requires_grad):
    """Return a tensor of a sparse ``layout`` that stores no elements: ``value`` must be 0."""
    if value:
        raise RuntimeError(f"{name}: full(...) is not implemented for sparse layout {layout}")
    from rushlight.sparse.sizes import without_elements

    found = without_elements(layout, size, zeros(0, dtype=dtype))
    return found.requires_grad_() if requires_grad else found


def _filler(name, value, example):
    def make(
        *size, out=None, dtype=None, layout=None, device=None, pin_memory=False,
        requires_grad=False, **named,
    ):  # fmt: skip
        form = named.pop("memory_format", None) if value is None else None
        if form is preserve_format:
            raise RuntimeError(f"{name}: unsupported memory format option {form}")
        size = _named_size(name, size, named) if named else size
        if not size:
            raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
        dtype = dtype_of(out, name) if dtype is None else dtype
        if layout is not None and layout is not strided:
            if out is not None:
                raise RuntimeError(f"{name}: layout {layout} does not match that of out, {strided}")
            return _sparse(name, sized(size, name), value, dtype, layout, requires_grad)
        d = options(dtype, layout, device, name)
        t = made(sized(size, name), value, d, name)
        t = t if form is None else t.clone(memory_format=form)
        return finished(t, requires_grad, out, name)

    make.__name__ = make.__qualname__ = name
    what = "an uninitialised tensor" if value is None else f"a tensor filled with {value}"
    make.__doc__ = (
        f"Return {what} of the given size.\n\n    >>> import rushlight as torch\n{example}"
    )
    return function(document(make, "source"), name=name, method=False)


zeros = _filler(
    "zeros", 0, "    >>> torch.zeros(2, 3)\n    tensor([[0., 0., 0.],\n            [0., 0., 0.]])\n"
)
ones = _filler("ones", 1, "    >>> torch.ones(2)\n    tensor([1., 1.])\n")
empty = _filler("empty", None, "    >>> torch.empty(2, 3).shape\n    torch.Size([2, 3])\n")


@function(method=False, kinds={"size": "shape"})
def full(
    size, fill_value, *, out=None, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Return a tensor of the given size filled with ``fill_value``.

    Args:
        size: The shape of the result: a tuple of ints.
        fill_value: Number or 0-dim tensor.
        dtype: The dtype of the result. Default: ``out``'s, else bool, int64,
            ``torch.get_default_dtype()`` or its complex counterpart, after ``fill_value``.

    Returns:
        Tensor of shape ``size``.

    Raises:
        RuntimeError: ``dtype`` cannot hold ``fill_value``.

    >>> import rushlight as torch
    >>> torch.full((2,), 3)
    tensor([3, 3])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if dtype is None:
        dtype = dtype_of(out, "full")
    if dtype is None:
        dtype = scalar_dtype(fill_value)
        if dtype is not None and dtype.is_complex and dtype.itemsize < 8:
            dtype = dtypes.complex64  # in half precision, too, as in PyTorch
    d = options(dtype, layout, device, "full")
    size = sized((size,), "full")
    # As in PyTorch, a number too large for half precision is an error, but infinite without dims.
    value = (as_scalar if size else as_element)(fill_value, d.numpy)[()]
    return finished(made(size, value, d, "full"), requires_grad, out, "full")


@function(method=False)
def empty_strided(
    size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return an uninitialised tensor of the given size and strides.

    Args:
        size: The shape of the result: a tuple of ints.
        stride: For each dim, the elements from one position to the next: a tuple of ints.
        dtype: The dtype of the result. Default: ``torch.get_default_dtype()``.

    Returns:
        Tensor of shape ``size``.

    Raises:
        RuntimeError: ``size`` and ``stride`` differ in length, a stride is negative, or the memory
            is too large.

    >>> import rushlight as torch
    >>> torch.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    d = options(dtype, layout, device, "empty_strided")
    shape = sized((size,), "empty_strided")
    if len(shape) != len(stride):
        raise ShapeError(
            f"empty_strided: dimensionality of sizes ({len(shape)}) must match dimensionality of "
            f"strides ({len(stride)})"
        )
    recording = mode.recorder() if mode.intercept else None
    if recording is not None and not recording.batches and default_device() is not META:
        strides = tuple([s * d.itemsize for s in stride])
        if not is_dense(shape, strides, d.itemsize):
            mode.refuse_in_trace("empty_strided with gaps is not recorded: make the tensor outside")
        return finished(_lying(made(shape, None, d, "empty_strided"), strides), requires_grad)
    if default_device() is not CPU:
        strides = tuple([s * d.itemsize for s in stride])
        found = reserved(shape, d.numpy, strides, default_device())
        return finished(from_array(found), requires_grad)
    n = span(shape, stride)
    if min(stride, default=0) < 0:
        raise RuntimeError(f"empty_strided: strides must not be negative, but are {tuple(stride)}")
    if n * d.itemsize >= 2**63:
        raise ShapeError(f"empty_strided: Storage size calculation overflowed: {n} elements")
    memory = np.empty(n, d.numpy)
    return finished(from_array(reach(memory, shape, stride, 0, "empty_strided")), requires_grad)


# Like another -----------------------------------------------------------------------------


def _of_class(t, x):
    """Return ``t`` as an object of the class of ``x``.

    ``t`` stays a plain tensor if that class turns off ``__torch_function__``.
    """
    kind = type(x)
    if kind is Tensor or kind.__torch_function__ is disabled_torch_function:
        return t
    return Tensor._make_subclass(kind, t, t.requires_grad)


def _lying(t, strides):
    """The tensor ``t`` of a trace, as it lies in memory with the ``strides`` in bytes."""
    return OPS["patch"].call(t, t, path=(), strides=strides)


def _like(name, value):
    def make(
        input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False,
        memory_format=preserve_format,
    ):  # fmt: skip
        if layout is not None and layout is not strided:
            kind = dtype or input.dtype
            return _sparse(name, tuple(input.shape), value, kind, layout, requires_grad)
        d = options(dtype or input.dtype, layout, device, name)
        return _made_like(input, value, name, d, memory_format, requires_grad, device)

    make.__name__ = make.__qualname__ = name
    what = "an uninitialised tensor" if value is None else f"a tensor filled with {value}"
    make.__doc__ = f"""Return {what}, with the size and dtype of ``input``.

    >>> import rushlight as torch
    >>> torch.{name}(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    return function(document(make, "like"), name=name, method=False)


def _made_like(input, value, name, d, form, requires_grad, device):
    if mode.intercept and takes_handler(input):
        named = {"fill_value": value} if name == "full_like" else {}
        return finished(late.handlers().like(name, input, d, form, device, **named), requires_grad)
    if mode.intercept and device is None and device_of(input) is not default_device():
        with at(device_of(input)):
            return _made_like(input, value, name, d, form, requires_grad, device)
    array = geometry(input._array)  # for an array without elements one that looks like it
    if default_device() is META:
        found = MetaArray(array.shape, d.numpy, strides_in(form, array, d.numpy))
        return _of_class(finished(from_array(found), requires_grad), input)
    plain = form is None or form is preserve_format
    odd = array is input._array and is_odd(array)
    if (plain and array.flags.c_contiguous and not odd) or (
        not plain and form not in (channels_last, channels_last_3d)
    ):  # fmt: skip
        return _of_class(finished(made(tuple(array.shape), value, d, name), requires_grad), input)
    if plain:
        found = dense_like(array, d.numpy)
    else:
        from rushlight.ops.tensor.cast import laid_out

        found = laid_out(np.empty(array.shape, d.numpy), form, name)
    if mode.intercept and mode.recorder() is not None:
        t = _lying(made(tuple(array.shape), value, d, name), found.strides)
        return _of_class(finished(t, requires_grad), input)
    if default_device() is not CPU:
        if value is not None:
            found.fill(value)
        found = placed(found, default_device())
        return _of_class(finished(from_array(found), requires_grad), input)
    if value is not None:
        found.fill(value)
    return _of_class(finished(from_array(found), requires_grad), input)


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)


late.ones_like = ones_like


empty_like = _like("empty_like", None)


@function(method=False)
def full_like(
    input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False, memory_format=preserve_format,
):  # fmt: skip
    """Return a tensor filled with ``fill_value``, with the size and dtype of ``input``.

    Args:
        fill_value: Number or 0-dim tensor.
        dtype: The dtype of the result. Default: that of ``input``.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: The dtype cannot hold ``fill_value``.

    >>> import rushlight as torch
    >>> torch.full_like(torch.ones(2), 7.0)
    tensor([7., 7.])
    """
    d = options(dtype or input.dtype, layout, device, "full_like")
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    value = as_scalar(value, d.numpy)[()]
    return _made_like(input, value, "full_like", d, memory_format, requires_grad, device)


# In the dtype of another ------------------------------------------------------------------


def _new_method(name, value):
    def make(
        self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False,
        **named,
    ):  # fmt: skip
        size = _named_size(name, size, named) if named else size
        if not size:
            raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
        if mode.intercept and takes_handler(self):
            given = {"dtype": dtype, "device": device}
            given = {k: v for k, v in given.items() if v is not None}
            found = late.handlers().ask(name, self, list(sized(size, name)), **given)
            return finished(found, requires_grad)
        if mode.intercept and device is None and device_of(self) is not default_device():
            with at(device_of(self)):
                return make(self, *size, dtype=dtype, requires_grad=requires_grad)
        d = options(dtype or self.dtype, layout, device, name)
        return _of_class(finished(made(sized(size, name), value, d, name), requires_grad), self)

    make.__name__ = make.__qualname__ = name
    what = "an uninitialised tensor" if value is None else f"a tensor filled with {value}"
    make.__doc__ = f"""Return {what} of the given size, in this tensor's dtype.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).{name}(3, 4).dtype
    torch.int64
    """
    setattr(Tensor, name, document(composed(make), "new"))


_new_method("new_zeros", 0)
_new_method("new_ones", 1)
_new_method("new_empty", None)


def _new_full(
    self, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None,
    pin_memory=False,
):  # fmt: skip
    """Return a tensor filled with ``fill_value`` of the given size, in this tensor's dtype.

    Args:
        size: The shape of the result: a tuple of ints.
        fill_value: Number or 0-dim tensor.

    Raises:
        RuntimeError: The dtype cannot hold ``fill_value``.

    >>> import rushlight as torch
    >>> torch.ones(2, dtype=torch.int64).new_full((3,), 7)
    tensor([7, 7, 7])
    """
    if mode.intercept and takes_handler(self):
        given = {"dtype": dtype, "device": device}
        given = {k: v for k, v in given.items() if v is not None}
        found = late.handlers().ask("new_full", self, list(size), fill_value, **given)
        return finished(found, requires_grad)
    return full(
        size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad,
        layout=layout,
    )  # fmt: skip


_new_full.__name__ = _new_full.__qualname__ = "new_full"
Tensor.new_full = document(composed(_new_full), "new")
