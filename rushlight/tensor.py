"""Tensor: an array and its history.

The class has the slots and the properties that are read from the array. The modules that define
operations, gradients and conversions bind those methods to it (``rushlight.ops``,
``rushlight.autograd``).
"""

import weakref
from functools import wraps
from math import prod
from typing import TYPE_CHECKING, Any

import rushlight.dtype as dtypes
from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU
from rushlight.device_array import placed
from rushlight.docstrings import document
from rushlight.handled import HandledArray, cover, handled, is_handled, lifted, refuse_class
from rushlight.meta import is_meta, refuse_reading
from rushlight.remote import default_device, device_of, is_remote

__all__ = [
    "Size", "Tensor", "as_class", "constant", "disabled_torch_dispatch", "disabled_torch_function",
    "from_array", "has_handler", "method", "reads_values", "revived",
    "short",
]  # fmt: skip


def _whole(n):
    """Return the size ``n`` as an int; a symbolic size, such as a ragged one, as it is."""
    if getattr(type(n), "symbolic", False):
        return n
    try:
        return int(n.__index__())
    except (AttributeError, TypeError):
        raise TypeError(f"Size: a size must be an int, not {type(n).__name__}") from None


class Size(tuple):
    """A tensor's shape: a tuple with ``numel()``.

    Args:
        iterable: The size of each dim, an int. Default: no dims.

    Raises:
        TypeError: A size is no whole number.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).shape, torch.Size([2, 3]).numel()
    (torch.Size([2, 3]), 6)
    """

    __slots__ = ()

    def __new__(cls, iterable=()):
        sizes = tuple.__new__(cls, iterable)
        for n in sizes:
            if type(n) is not int:
                return tuple.__new__(cls, map(_whole, sizes))
        return sizes

    def __repr__(self):
        return f"torch.Size({list(self)})"

    def numel(self):
        """Return the product of the sizes.

        Returns:
            An int: the number of elements of a tensor with this shape.
        """
        return prod(self)

    def __add__(self, other):
        if not isinstance(other, tuple):
            raise TypeError(
                f"can only concatenate tuple (not {type(other).__name__}) to torch.Size"
            )
        return Size(tuple.__add__(self, other))

    def __radd__(self, other):
        if not isinstance(other, tuple):
            return NotImplemented  # Python asks here first for ``some_list += size``, too
        return Size(other + tuple(self))

    def __mul__(self, n):
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __getitem__(self, i):
        found = tuple.__getitem__(self, i)
        return Size(found) if isinstance(i, slice) else found

    def __reduce__(self):
        return Size, (tuple(self),)


#: Makes a ``Size`` of a tuple of ints, without looking at them.
_known_sizes = tuple.__new__


class ViewOf:
    """How a view was made from the tensor that owns its memory.

    Attributes:
        root: The tensor that owns the memory.
        path: The view operations that lead from ``root`` to the view, each as (op, args, params).
        seen: The root's clock when the view's history was last derived from the root's.
        untracked: True if an operation of ``path`` ran while gradients were not recorded.
    """

    __slots__ = ("path", "root", "seen", "untracked")
    lazy = False

    def __init__(self, root, path, seen, untracked):
        self.root = root
        self.path = path
        self.seen = seen
        self.untracked = untracked


class LazyViewOf(ViewOf):
    """How a tensor was made from ``root`` by a path that contains a conjugate (``conj``, ``mH``).

    PyTorch's conjugate is a view. NumPy has no such view, so the tensor's array has memory of its
    own. The array is computed again on use if ``root`` was written since.
    """

    __slots__ = ()
    lazy = True


def disabled_torch_function(*args, **kwargs):
    """A ``__torch_function__`` for subclasses that operations should treat as plain tensors."""
    return NotImplemented


def disabled_torch_dispatch(func, types, args=(), kwargs=None):
    """The ``__torch_dispatch__`` of Tensor: ``func`` on the memory of its operands."""
    return late.handlers().beneath(func, args, kwargs or {})


def has_handler(cls):
    """Whether the class ``cls`` computes operations on its tensors itself (``handled.py``)."""
    return cls.__torch_dispatch__ is not disabled_torch_dispatch


def short(function):
    """Mark a function that checks its arguments itself: the general guard is left out.

    The guard (``ops/core/guard.py``) would make a call slower. This decorator goes above all
    others. Subclasses of Tensor that override operations are still asked: ``handlers.ask`` replaces
    the marked methods in such a class.
    """
    function.is_short = True
    return function


_new = object.__new__
_CLASS: Any = vars(object)["__class__"]


def _leave_fast_path(cls):
    """Let no operation take the fast path as long as ``cls`` exists.

    The fast path does not look at the operands' classes, and ``cls``, which overrides functions,
    gets its first instance. Many libraries have such a class that most programs never use. An
    interrupt between the lines leaves a count that is too high, which only costs time.
    """
    mode.add_intercept(1)
    weakref.finalize(cls, mode.add_intercept, -1).atexit = False
    cls._is_awaited = False


def as_class(x, cls):
    """Return the new tensor ``x``, which nothing else refers to, as an object of ``cls``.

    Python does not change the class of an object to one with ``__slots__`` of its own. So the
    fields of ``x`` move to another object then.
    """
    try:
        x.__class__ = cls
        if has_handler(cls):
            cover(x)
        return x
    except TypeError:
        found = Tensor._make_subclass(cls, x)
        for name in ("_grad", "view_of", "turned", "node", "_leaf"):
            if hasattr(x, name):
                setattr(found, name, getattr(x, name))
        return found


if TYPE_CHECKING:

    class TensorMeta(type):
        """For type checkers: methods are bound to the class by the modules that define them."""

        def __getattr__(cls, name: str) -> Any: ...
        def __setattr__(cls, name: str, value: Any) -> None: ...

else:
    TensorMeta = type


class Tensor(metaclass=TensorMeta):
    """A multi-dimensional array of one dtype that can record how it was computed.

    Functions such as ``torch.tensor`` and ``torch.zeros`` make tensors of any dtype. A call of the
    class is PyTorch's first way to make one. Its dtype is ``torch.get_default_dtype()``.

    Args:
        *args: The sizes of an uninitialised tensor, or one sequence with its elements. A tensor or
            a storage gives a tensor that shares its memory. Default: no elements, shape ``(0,)``.
        device: None or the CPU.

    >>> import rushlight as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """

    # _array   the elements: a NumPy array; without elements a MetaArray, or an abstract value
    #          inside a trace
    # node     the history: a node on the tape, or None if no gradient is wanted
    # _grad    the accumulated gradient of a leaf
    # view_of  a ViewOf if the tensor is a view of another one, else None
    # _cell    the clock of the memory, shared with the views; None until it is first needed
    # turned   None if the elements are known to lie in memory in the order of the dims, else True
    # _leaf    unset, or the leaf node of a tensor whose requires_grad was turned off: the tensor
    #          gets the same node again when requires_grad is turned on
    __slots__ = (
        "__dict__", "__weakref__", "_array", "_cell", "_grad", "_leaf", "node", "turned", "view_of",
    )  # fmt: skip

    __array_priority__ = 1000  # NumPy arrays leave operators to us

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Run ``func`` and give its results the class ``cls``; subclasses may override this.

        ``NotImplemented`` beside operands of classes that ``cls`` does not derive from.
        """
        if not all(issubclass(cls, t) for t in types):
            return NotImplemented
        return late.keep_subclass(cls, func, args, kwargs or {})

    if TYPE_CHECKING:
        _array: Any
        node: Any
        _grad: Any
        view_of: ViewOf | None
        _cell: list | None
        turned: bool | None

        def __getattr__(self, name: str) -> Any: ...

    __torch_dispatch__ = staticmethod(disabled_torch_dispatch)

    #: Whether the class overrides functions, and has had no instance yet; see ``_leave_fast_path``.
    _is_awaited = False

    def _change_class(self, cls):
        if getattr(cls, "_is_awaited", False):
            _leave_fast_path(cls)
        _CLASS.__set__(self, cls)

    __class__ = property(type, _change_class)

    def __new__(cls, *args, **kwargs):
        return late.legacy_constructor(cls, *args, **kwargs)

    def __init_subclass__(cls, intercepts=True, **kwargs):
        super().__init_subclass__(**kwargs)
        if has_handler(cls):
            own = getattr(cls.__torch_function__, "__func__", None)
            if own is vars(Tensor)["__torch_function__"].__func__:
                cls.__torch_function__ = disabled_torch_function  # type: ignore[method-assign]
        overrides = cls.__torch_function__ is not disabled_torch_function
        # Without ``intercepts``, instances have no array, and never get along the fast path.
        cls._is_awaited = overrides and intercepts
        if overrides:
            own = getattr(cls.__torch_function__, "__func__", None)
            late.ask(cls, intercepts and own is not vars(Tensor)["__torch_function__"].__func__)

    @staticmethod
    def _make_subclass(cls, data, require_grad=False):
        """A tensor of class ``cls`` over the memory of ``data``, without history."""
        late.refresh(data)
        if is_handled(data) and not issubclass(type(data), cls):
            refuse_class(data, cls)
        if cls._is_awaited:
            _leave_fast_path(cls)
        self = _new(cls)
        self._array = data._array
        self._grad = None
        self.view_of = None
        self.turned = True
        self.cell = data.cell
        self.node = None
        if has_handler(cls):
            cover(self)
        if mode.intercept and (recording := mode.recorder()):
            recording.note_alias(self, data)
        if require_grad:
            self.requires_grad = True
        return self

    @staticmethod
    def _make_wrapper_subclass(cls, size, **options):
        """A tensor of class ``cls`` with the shape ``size`` and without memory of its own."""
        if not has_handler(cls):
            raise TypeError(f"{cls.__name__} must define __torch_dispatch__")
        self = _new(cls)
        self._grad = self.view_of = self.node = None
        self.turned = True
        self._cell = mode.inference_cell() if mode.state.inference else None
        array, device, start, requires_grad = late.handlers().described(size, **options)
        handled(self, array, None, device, start)
        if requires_grad:
            self.requires_grad = True
        return self

    @property
    def cell(self):
        """The clock of the memory; see ``mode.inference_cell``."""
        found = self._cell
        if found is None:
            found = self._cell = [0, 0]
        return found

    @cell.setter
    def cell(self, cell):
        self._cell = cell

    # What can be read from the array -----------------------------------------------------

    @property
    def shape(self):
        """The size of each dim, as a ``Size``.

        >>> import rushlight as torch
        >>> torch.zeros(2, 3).shape
        torch.Size([2, 3])
        """
        return _known_sizes(Size, self._array.shape)

    @property
    def dtype(self):
        """The elements' type.

        >>> import rushlight as torch
        >>> torch.zeros(2).dtype
        torch.float32
        """
        return dtypes.OF[self._array.dtype]

    @property
    def ndim(self):
        """The number of dims.

        >>> import rushlight as torch
        >>> torch.zeros(2, 3).ndim
        2
        """
        return self._array.ndim

    @property
    def device(self):
        """Where the elements are: the CPU, an OpenCL device, or the device ``meta`` for none.

        >>> import rushlight as torch
        >>> torch.zeros(2).device
        device(type='cpu')
        """
        return device_of(self)

    @property
    def itemsize(self):
        """The size of one element in bytes.

        >>> import rushlight as torch
        >>> torch.zeros(2).itemsize
        4
        """
        return self._array.itemsize

    @property
    def nbytes(self):
        """The size of all elements together in bytes.

        >>> import rushlight as torch
        >>> torch.zeros(2).nbytes
        8
        """
        return self._array.size * self._array.itemsize

    is_cpu = property(
        lambda self: device_of(self) is CPU,
        doc="""True if the elements are in the computer's own memory.

        >>> import rushlight as torch
        >>> torch.zeros(2).is_cpu
        True
        """,
    )
    is_meta = property(
        is_meta,
        doc="""True if the tensor is on the device ``meta``: it has a shape, but no elements.

        >>> import rushlight as torch
        >>> torch.empty(10**12, device="meta").is_meta
        True
        """,
    )
    is_cuda = property(
        lambda self: device_of(self).type == "cuda",
        doc="""True if the tensor is on a GPU of NVIDIA's.

        >>> import rushlight as torch
        >>> torch.zeros(2).is_cuda
        False
        """,
    )
    is_xpu = property(
        lambda self: device_of(self).type == "xpu",
        doc="""True if the tensor is on a GPU of Intel's.

        >>> import rushlight as torch
        >>> torch.zeros(2).is_xpu
        False
        """,
    )
    is_sparse = is_quantized = is_mps = is_nested = is_mkldnn = property(
        lambda self: False,
        doc="""False: there is no such tensor.

        >>> import rushlight as torch
        >>> torch.zeros(2).is_mps
        False
        """,
    )
    is_sparse_csr = is_vulkan = is_xla = is_ipu = is_mtia = is_maia = volatile = is_mps
    names = property(lambda self: (None,) * self._array.ndim)

    @property
    def layout(self):
        """How the elements are stored: ``torch.strided``."""
        return late.strided

    @short
    def __len__(self):
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._array.shape[0]

    def __hash__(self):
        return id(self)


def from_array(array):
    """A tensor over the memory of ``array``, without history.

    ``array`` must be an ndarray, or an abstract value inside a trace.
    """
    self = _new(Tensor)
    self._array = array
    self.node = self._grad = self.view_of = None
    self.turned = True
    self._cell = mode.inference_cell() if mode.grad_off and mode.state.inference else None
    return self


def revived(array):
    """A tensor without history over a saved ``array``; for a ``HandledArray`` one of its class."""
    return lifted(array) if type(array) is HandledArray else from_array(array)


def constant(array):
    """A tensor over ``array``, an ndarray, on the device on which new tensors are made now."""
    return from_array(array if default_device() is CPU else placed(array, default_device()))


def method(function):
    """Bind ``function`` to Tensor under its own name."""
    name = function.__name__
    setattr(Tensor, name, document(function, "in_place" if name.endswith("_") else ""))
    return function


_NUMBERS = ("item", "bool", "int", "float", "complex", "index")  # methods that give one number


def _read_far(x, function, args, kwargs):
    """Run a method that reads elements on a tensor that is not on the CPU."""
    name = function.__name__.strip("_")
    if is_handled(x):
        return late.handlers().read(x, name, function, args, kwargs)
    if is_meta(x):
        refuse_reading(x, name)
    elif name in ("numpy", "array") and not kwargs.get("force"):
        x._array.__array__()  # raises PyTorch's error
    elif name not in ("deepcopy", "reduce_ex", "repr", "format"):
        if name in _NUMBERS:
            x._array.refuse_recorded(name)
        x = x.cpu()
    return function(x, *args, **kwargs)


def reads_values(function):
    """Bind a method that reads the values of elements; inside a trace the method raises.

    Tensors from outside the trace are refused as well, because the value at recording time would
    be frozen into every later run.
    """

    @wraps(function)
    def checked(self, *args, **kwargs):
        if mode.intercept:
            if recording := mode.recorder():
                recording.refuse_values(self, function.__name__.strip("_"))
            if is_remote(self):
                return _read_far(self, function, args, kwargs)
        return function(self, *args, **kwargs)

    return method(checked)
