"""New tensors: from data, filled, ranges, and like another."""

import numbers
import warnings

import numpy as np

from rushlight import dtype as dtypes
from rushlight import shapes
from rushlight.autograd import mode
from rushlight.device import require
from rushlight.dtype import OF, dtype, of
from rushlight.ops.definition import function
from rushlight.ops.kinds import source
from rushlight.ops.layout import strided
from rushlight.tensor import Size, Tensor, from_array

# From data --------------------------------------------------------------------------------


def _as_array(data, name="tensor", wanted=None):
    """An array of what ``data`` holds; Python numbers by PyTorch's defaults, or whole if ``wanted``."""
    if isinstance(data, np.ndarray):
        of(data.dtype) if data.dtype != object else None
        if data.dtype == object:
            raise TypeError(
                f"{name}: can't convert np.ndarray of type numpy.object_. Convert it first, for example "
                "with np.stack or .astype(float)"
            )
        return data
    if isinstance(data, np.generic):
        return np.asarray(data)
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (numbers.Number, bool)):
        return _from_numbers(data, wanted)
    if isinstance(data, str) or not hasattr(data, "__len__"):
        if hasattr(data, "__array__"):
            return np.asarray(data)
        raise TypeError(f"{name}: could not infer dtype of {type(data).__name__}" if not isinstance(data, str)
                        else f"{name}: new(): invalid data type 'str'")  # fmt: skip
    if not isinstance(data, (list, tuple, range)) and hasattr(data, "__array__"):
        return np.asarray(data)
    return _from_sequence(data, name, wanted)


def _from_numbers(values, wanted=None):
    array = np.asarray(values)
    kind = array.dtype.kind
    if wanted is not None and kind in "fc":
        return array  # rounded once, to the dtype that is wanted
    if kind == "f":
        return array.astype(dtypes._default.numpy) if dtypes._default is not dtypes.float64 else array
    if kind == "c":
        return array.astype(dtypes._default.to_complex().numpy)
    if kind == "u" or kind == "O":
        raise RuntimeError("Overflow when unpacking long long: the number does not fit into int64")
    return array.astype(np.int64) if kind == "i" else array


def _nested_shape(data, name):
    """The shape of nested sequences; ValueError where they are ragged."""
    shape = []
    while hasattr(data, "__len__") and not isinstance(data, (str, bytes, dict)):
        if isinstance(data, (Tensor, np.ndarray)):
            shape.extend(data.shape)
            break
        shape.append(len(data))
        if not len(data):
            break
        lengths = {len(d) for d in data if hasattr(d, "__len__") and np.ndim(getattr(d, "array", 1)) is not None
                   and not (isinstance(d, Tensor) and d.array.ndim == 0)}  # fmt: skip
        mixed = any(hasattr(d, "__len__") for d in data) and not all(hasattr(d, "__len__") for d in data)
        if len(lengths) > 1 or mixed:
            want = len(data[0]) if hasattr(data[0], "__len__") else 0
            got = next((len(d) if hasattr(d, "__len__") else 0) for d in data
                       if (len(d) if hasattr(d, "__len__") else 0) != want)  # fmt: skip
            raise ValueError(
                f"{name}: expected sequence of length {want} at dim {len(shape)} (got {got}): the nested "
                "lists are ragged; pad them to one length"
            )
        data = data[0]
        if isinstance(data, Tensor) and data.array.ndim == 0:
            break
    return tuple(shape)


def _from_sequence(data, name, wanted=None):
    if len(data) and any(isinstance(d, (Tensor, np.ndarray)) for d in data):
        data = [d.tolist() if isinstance(d, Tensor) else d for d in data]
        if all(isinstance(d, (np.ndarray, np.generic)) for d in data):
            return np.stack([np.asarray(d) for d in data])
    try:
        array = np.array(data)
    except (ValueError, OverflowError):
        _nested_shape(data, name)
        array = np.array(_plain(data))
    if not array.size and array.dtype.kind == "f":
        return array.astype(dtypes._default.numpy)
    if array.dtype.kind in "OUS":
        _nested_shape(data, name)
        array = np.array(_plain(data))
        if array.dtype.kind in "OUS":
            kind = type(next(iter(np.array(data, dtype=object).flat))).__name__
            raise (RuntimeError if kind == "int" else TypeError)(
                f"{name}: Overflow when unpacking long long" if kind == "int"
                else f"{name}: could not infer dtype of {kind}"
            )  # fmt: skip
    first = data
    while isinstance(first, (list, tuple)) and len(first):
        first = first[0]
    if isinstance(first, np.generic):
        return array  # NumPy's own scalars keep their type
    return _from_numbers(array, wanted)


def _plain(data):
    """Nested lists with tensors and arrays turned to numbers."""
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_plain(d) for d in data]
    return data


def _converted(array, d):
    if d is None or array.dtype == d.numpy:
        return array
    from rushlight.ops.cast import cast

    return cast.op.forward(np, array, dtype=d.numpy)


@function(method=False)
def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor that copies ``data`` (numbers, nested sequences, an array, a tensor).

    Raises:
        ValueError: nested sequences of different lengths.
        TypeError: something that is no number.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    require(device)
    check_dtype(dtype, "tensor")
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            stacklevel=2,
        )
    if mode.state.recorder is not None and isinstance(data, Tensor):
        t = data.detach().clone()
        return t if dtype is None else t.to(dtype)
    array = _as_array(data, wanted=dtype)
    found = _converted(array, dtype)
    t = from_array(np.array(found, order="C", copy=True) if found is array else found)
    if requires_grad:
        t.requires_grad = True
    return t


def check_dtype(d, name):
    """TypeError unless ``d`` is a dtype or None."""
    if d is not None and not isinstance(d, dtype):
        raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(d).__name__}")


@function(method=False)
def from_numpy(ndarray):
    """A tensor over the memory of a NumPy array, shared both ways.

    Raises:
        TypeError: no ndarray, or of a type that PyTorch lacks.
        ValueError: negative strides.

    >>> import numpy, rushlight as torch
    >>> a = numpy.zeros(2)
    >>> t = torch.from_numpy(a).add_(1)
    >>> a
    array([1., 1.])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    of(ndarray.dtype)
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are "
            "not currently supported. (You can probably work around this by making a copy of your array with "
            "array.copy().)"
        )
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. "
            "Copy it (array.copy()) before writing to the tensor.",
            stacklevel=2,
        )
    return from_array(ndarray.view(np.ndarray))


@function(method=False)
def as_tensor(data, dtype=None, device=None):
    """``data`` as a tensor, sharing memory where it can (arrays and tensors of that dtype).

    >>> import rushlight as torch
    >>> torch.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
    require(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        t = from_numpy(data)
        return t if dtype is None else t.to(dtype)
    return tensor(data, dtype=dtype)


@function(method=False)
def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """``obj`` as a tensor; ``copy`` True always copies, False never does, None where it must.

    >>> import rushlight as torch
    >>> torch.asarray([1, 2])
    tensor([1, 2])
    """
    shares = isinstance(obj, (Tensor, np.ndarray))
    t = as_tensor(obj, dtype, device)
    source = obj.array if isinstance(obj, Tensor) else obj
    shared = shares and np.shares_memory(t.array, source)
    if copy is False and not shared:
        raise ValueError("asarray: can't alias the given object with copy=False: it needs a copy")
    if copy and shared:
        t = t.clone()
    t = t.detach() if isinstance(obj, Tensor) and not requires_grad and copy is None and False else t
    return t.requires_grad_(True) if requires_grad and not t.requires_grad else t


# Filled -----------------------------------------------------------------------------------


@source(public=False)
def full_(xp, *, shape, value, dtype):
    """An array of one value."""
    return xp.full(shape, value, dtype)


@source(public=False)
def empty_(xp, *, shape, dtype):
    """An array of whatever was in memory."""
    return xp.empty(shape, dtype)


def options(dtype, layout, device, name):
    require(device)
    check_dtype(dtype, name)
    if layout is not None and layout is not strided:
        raise RuntimeError(f"{name}: layout {layout} is not supported; rushlight's tensors are strided")
    return dtypes._default if dtype is None else dtype


def finished(t, requires_grad, out=None, name=None):
    if out is not None:
        from rushlight.ops.dispatch import store

        t = store(out, t, name)
    return t.requires_grad_(True) if requires_grad else t


def _filler(name, value, example):
    def make(*size, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False, **named):
        if named:
            size = _named_size(name, size, named)
        d = options(out.dtype if out is not None and dtype is None else dtype, layout, device, name)
        shape = shapes.sizes(size, name)
        if value is None:
            t = empty_(shape=shape, dtype=d.numpy)
        else:
            t = full_(shape=shape, value=value, dtype=d.numpy)
        return finished(t, requires_grad, out, name)

    make.__name__ = make.__qualname__ = name
    what = "uninitialised" if value is None else f"filled with {value}"
    make.__doc__ = f"A tensor of the given size, {what}.\n\n    >>> import rushlight as torch\n{example}"
    return function(make, name=name, method=False)


def _named_size(name, size, named):
    named.pop("memory_format", None)
    if not named:
        return size
    given = named.pop("size", None)
    if given is None or named or size:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named), 'size')}'")
    return (given,) if isinstance(given, (tuple, list)) else ((given,),)


zeros = _filler("zeros", 0, "    >>> torch.zeros(2, 3)\n    tensor([[0., 0., 0.],\n            [0., 0., 0.]])\n")
ones = _filler("ones", 1, "    >>> torch.ones(2)\n    tensor([1., 1.])\n")
empty = _filler("empty", None, "    >>> torch.empty(2, 3).shape\n    torch.Size([2, 3])\n")


@function(method=False)
def full(size, fill_value, *, out=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False):
    """A tensor of the given size filled with one value, of that value's dtype.

    >>> import rushlight as torch
    >>> torch.full((2,), 3)
    tensor([3, 3])
    """
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if dtype is None:
        dtype = OF[_from_numbers(fill_value).dtype]
    d = options(dtype, layout, device, "full")
    t = full_(shape=shapes.sizes((size,), "full"), value=fill_value, dtype=d.numpy)
    return finished(t, requires_grad, out, "full")


def _like(name, value):
    def make(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
        d = options(dtype or input.dtype, layout, device, name)
        shape = tuple(input.array.shape)
        if value is None:
            t = empty_(shape=shape, dtype=d.numpy)
        else:
            t = full_(shape=shape, value=value, dtype=d.numpy)
        return finished(t, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"``{name[:-5]}`` with the size and dtype of ``input``."
    return function(make, name=name, method=False)


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)
empty_like = _like("empty_like", None)


@function(method=False)
def full_like(input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
    """``full`` with the size and dtype of ``input``."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def _new_method(name, value):
    def make(self, *size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, **named):
        size = _named_size(name, size, named) if named else size
        d = options(dtype or self.dtype, layout, device, name)
        shape = shapes.sizes(size, name)
        t = empty_(shape=shape, dtype=d.numpy) if value is None else full_(shape=shape, value=value, dtype=d.numpy)
        return finished(t, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"``{name[4:]}`` of the given size, in this tensor's dtype."
    setattr(Tensor, name, make)


_new_method("new_zeros", 0)
_new_method("new_ones", 1)
_new_method("new_empty", None)


def legacy_constructor(cls, *args, dtype=None, device=None):
    """``torch.Tensor(2, 3)``, ``torch.Tensor([1, 2])``, ``torch.FloatTensor(...)``."""
    require(device)
    d = dtype or dtypes._default
    if len(args) == 1 and not isinstance(args[0], numbers.Integral) and not isinstance(args[0], Size):
        data = args[0]
        if isinstance(data, Tensor):
            found = data.to(d).detach() if data.dtype is not d else data.detach()
        else:
            found = tensor(data, dtype=d)
    else:
        found = empty(*args, dtype=d) if args else empty(0, dtype=d)
    if cls is not Tensor:
        found = Tensor._make_subclass(cls, found)
    return found
