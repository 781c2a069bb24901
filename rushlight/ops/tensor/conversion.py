"""Tensors as Python values: sizes and addresses, numbers, lists, iteration, printing."""

import sys
import weakref

import numpy as np

import rushlight.dtype as dtypes
from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf, Output, refresh
from rushlight.device import CPU
from rushlight.device_array import DeviceArray, to_host
from rushlight.dtype import OF
from rushlight.handled import is_handled, refuse_memory
from rushlight.meta import is_meta
from rushlight.notices import shown, warn_once
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import plain
from rushlight.ops.core.handlers import in_python, overridden
from rushlight.ops.core.promotion import as_real
from rushlight.printing import format_tensor, set_printoptions
from rushlight.remote import RemoteStorage, device_of, is_remote
from rushlight.storage import Storage, address, offset, strides_of
from rushlight.tensor import Size, Tensor, from_array, method, reads_values, short

# What an array tells ----------------------------------------------------------------------


@short
@method
def dim(self):
    """Return the number of dims.

    Returns:
        An int; 0 for a tensor of shape ().

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).dim()
    2
    """
    return self._array.ndim


Tensor.ndimension = dim


@function
def numel(input):
    """Return the number of elements.

    Returns:
        An int: the product of the sizes, 1 for a tensor of shape ().

    Raises:
        TypeError: ``input`` is no tensor.

    >>> import rushlight as torch
    >>> torch.numel(torch.zeros(2, 3))
    6
    """
    if mode.intercept:
        found = overridden(numel, (input,), {})
        if found is not NotImplemented:
            return found
    if not isinstance(input, Tensor):
        raise TypeError(f"numel(): argument 'input' must be Tensor, not {type(input).__name__}")
    return input._array.size


Tensor.nelement = numel


@short
@method
def size(self, dim=None):
    """Return the shape, or the size of ``dim`` if ``dim`` is given.

    Args:
        dim: The dim whose size is wanted. Negative dims count from the end. Default: all dims.

    Returns:
        A ``torch.Size``, or an int if ``dim`` is given.

    Raises:
        IndexError: ``dim`` is out of range.

    >>> import rushlight as torch
    >>> x = torch.zeros(2, 3)
    >>> x.size(), x.size(-1)
    (torch.Size([2, 3]), 3)
    """
    shape = self._array.shape
    if dim is None:
        return Size(shape)
    if not shape:
        raise IndexError("size: Dimension specified as 0 but tensor has no dimensions")
    return shape[shapes.dim(dim, len(shape), "size")]


@method
def stride(self, dim=None):
    """Return how many elements apart in memory two neighbours along a dim are.

    Args:
        dim: The dim whose stride is wanted. Negative dims count from the end. Default: all dims.

    Returns:
        A tuple of one int for each dim, in elements; or one int if ``dim`` is given.

    Raises:
        IndexError: ``dim`` is out of range.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).stride()
    (3, 1)
    """
    array = self._array
    step = array.itemsize
    if dim is None:
        return tuple([s // step for s in strides_of(array)])
    if not array.ndim:
        raise IndexError("stride: Dimension specified as 0 but tensor has no dimensions")
    return strides_of(array)[shapes.dim(dim, array.ndim, "stride")] // step


@method
def storage_offset(self):
    """Return the position of the first element in the storage.

    Returns:
        An int, in elements; 0 at the start of the storage.

    >>> import rushlight as torch
    >>> torch.zeros(4)[1:].storage_offset()
    1
    """
    recorder = mode.recorder() if mode.intercept else None
    return offset(self._array) if recorder is None else recorder.offset(self)


@method
def data_ptr(self):
    """Return the memory address of the first element.

    Returns:
        An int, in bytes; 0 for an empty tensor.

    >>> import rushlight as torch
    >>> x = torch.zeros(4)
    >>> x[1:].data_ptr() - x.data_ptr()
    4
    """
    return address(self._array) if self._array.size else 0


@method
def element_size(self):
    """Return the size of one element.

    Returns:
        An int, in bytes.

    >>> import rushlight as torch
    >>> torch.zeros(2, dtype=torch.float64).element_size()
    8
    """
    return self._array.itemsize


@method
def get_device(self):
    """Return the number of the tensor's device.

    Returns:
        An int; -1 on the CPU and on the device ``meta``.

    >>> import rushlight as torch
    >>> torch.zeros(2).get_device()
    -1
    """
    index = device_of(self).index
    return -1 if index is None else index


@method
def untyped_storage(self):
    """Return the memory behind the tensor.

    Returns:
        An ``UntypedStorage``. A tensor and its views share one storage.

    >>> import rushlight as torch
    >>> x = torch.zeros(4)
    >>> x[1:].untyped_storage().nbytes()
    16
    """
    if is_handled(self):
        if self._array.data is None:
            refuse_memory("untyped_storage")
        return from_array(self._array.data).untyped_storage()
    if is_remote(self):
        return RemoteStorage(self._array.memory)
    found = Storage(self._array)
    found._holder = weakref.ref(self)
    return found


@method
def is_set_to(self, tensor):
    """Tell whether both tensors show the same elements of the same storage.

    Args:
        tensor: Tensor to compare with.

    Returns:
        True if storage, position in the storage, shape and strides are equal.

    >>> import rushlight as torch
    >>> x = torch.zeros(2)
    >>> x.is_set_to(x.view(2)), x.is_set_to(x.clone())
    (True, False)
    """
    a, b = self._array, tensor._array
    return (
        untyped_storage(self) == untyped_storage(tensor)
        and address(a) == address(b)
        and a.shape == b.shape
        and offset(a) == offset(b)
        and a.strides == b.strides
    )


def _described(name, is_so, doc):
    def ask(input):
        if not isinstance(input, Tensor):
            raise TypeError(
                f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}"
            )
        return is_so(OF[input._array.dtype])

    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = f"""{doc}

    Returns:
        A bool.

    Raises:
        TypeError: ``input`` is no tensor.

    >>> import rushlight as torch
    >>> torch.{name}(torch.tensor([1.0]))
    {is_so(dtypes.float32)}
    """
    return function(ask)


@method
def dequantize(self):
    """Return the numbers of this tensor as float32, as a quantized tensor does.

    Returns:
        Tensor of this shape; this tensor itself if it is float32.

    >>> import rushlight as torch
    >>> torch.tensor([1, 2]).dequantize()
    tensor([1., 2.])
    """
    return self.float()


is_complex = _described("is_complex", lambda d: d.is_complex, "Tell whether the dtype is complex.")
is_floating_point = _described(
    "is_floating_point",
    lambda d: d.is_floating_point,
    "Tell whether the dtype is real floating point.",
)
is_signed = _described(
    "is_signed", lambda d: d.is_signed, "Tell whether the dtype has negative values."
)


@short
@function(method=False)
def is_tensor(obj):
    """Tell whether ``obj`` is a tensor.

    Args:
        obj: Any object.

    Returns:
        True for a ``Tensor`` and for objects of its subclasses.

    >>> import rushlight as torch
    >>> torch.is_tensor(torch.zeros(1)), torch.is_tensor([1])
    (True, False)
    """
    return isinstance(obj, Tensor)


function(set_printoptions, method=False)

# Python values ----------------------------------------------------------------------------


@short
@reads_values
def item(self):
    """Return the only element as a Python number.

    Returns:
        A bool, int, float or complex.

    Raises:
        RuntimeError: The tensor does not have exactly one element.

    >>> import rushlight as torch
    >>> torch.tensor([2.5]).item()
    2.5
    """
    array = plain(self)
    if array.size != 1:
        raise RuntimeError(
            f"a Tensor with {array.size} elements cannot be converted to Scalar (its shape is "
            f"{tuple(array.shape)}): index or reduce it first"
        )
    return array.item()


@short
@reads_values
def tolist(self):
    """Return the elements as nested lists of Python numbers.

    Returns:
        Lists nested as deep as the tensor has dims; a number for a tensor of shape ().

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """
    return plain(self).tolist()


@reads_values
def __bool__(self):
    array = plain(self)
    if array.size != 1:
        many = "more than one value" if array.size else "no values"
        raise RuntimeError(
            f"Boolean value of Tensor with {many} is ambiguous (shape {tuple(array.shape)}): use "
            ".any() or .all()"
        )
    if type(array) is not np.ndarray and hasattr(array, "noted"):
        return bool(array)  # a call that will be replayed, if the number is as true then
    return bool(array.item())


def _scalar(x):
    if x._array.size != 1:
        raise ValueError(
            "only one element tensors can be converted to Python scalars, not a tensor of shape "
            f"{tuple(x._array.shape)}"
        )
    return plain(x).item()


def _number(kind, x):
    try:
        return kind(x)
    except TypeError:  # a complex number
        return kind(as_real(x))


@reads_values
def __int__(self):
    return _number(int, _scalar(self))


_WITH_GRADIENT = (
    "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
    "Consider using tensor.detach() first."
)


@reads_values
def __float__(self):
    if (self.node or self.view_of) and _WITH_GRADIENT not in shown and self.requires_grad:
        warn_once(_WITH_GRADIENT)
    return _number(float, _scalar(self))


@reads_values
def __complex__(self):
    if (self.node or self.view_of) and _WITH_GRADIENT not in shown and self.requires_grad:
        warn_once(_WITH_GRADIENT)
    return complex(_scalar(self))


@reads_values
def __index__(self):
    if OF[self._array.dtype].category > 1 or self._array.size != 1:
        raise TypeError(
            "only integer tensors of a single element can be converted to an index, not "
            f"{self.dtype} of shape {tuple(self._array.shape)}"
        )
    return int(plain(self).item())


@method
def __contains__(self, element):
    if isinstance(element, (Tensor, int, float, complex, np.number)):
        return bool((self == element).any())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


@method
def __iter__(self):
    if not self._array.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


@method
def __reversed__(self):
    return self.flip(0) if self._array.ndim else self


@reads_values
def __format__(self, spec):
    if is_meta(self) and not spec:
        return repr(self)
    if self._array.ndim or type(self) is not Tensor:
        return object.__format__(self, spec)
    return format(item(self), spec)


@reads_values
@in_python
def __repr__(self, *, tensor_contents=None):
    refresh(self)
    forward_ad = sys.modules.get("rushlight.autograd.forward_ad")  # was imported if it is in use
    if forward_ad is None or forward_ad._current_level < 0:
        return _text(self, contents=tensor_contents)
    primal, tangent = forward_ad.unpack_dual(self)
    if tangent is None:
        return _text(self)
    return _text(self, primal.node, _text(tangent) if tangent.ndim else f"{tangent.item()}")


def _text(self, node=None, tangent=None, contents=None):
    """The text of ``self``, with the tangent's text; then the history is that of ``node``."""
    node = self.node if tangent is None else node
    name = None
    if node is not None and type(node) is not Leaf:
        name = type(node.source if type(node) is Output else node).__name__
    kind, array = type(self), self._array
    found = format_tensor(
        to_host(array) if isinstance(array, np.ndarray | DeviceArray) else array,
        self.dtype,
        default_dtype=dtypes.get_default_dtype(),
        requires_grad=node is not None,
        grad_fn_name=name,
        device_suffix=str(self.device) if device_of(self) is not CPU else None,
        tangent=tangent,
        given=contents,
        class_name="tensor" if kind is Tensor else vars(kind).get("_printed_name", kind.__name__),
    )
    return f"Parameter({found})" if getattr(self, "_is_param", False) else found
