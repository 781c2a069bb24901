"""Tensor: an array and its history.

The class holds the slots and what can be read from them. Operations, gradients and conversions
bind their methods to it where they are defined (``rushlight.ops``, ``rushlight.autograd``).
"""

import weakref
from functools import wraps
from math import prod
from typing import TYPE_CHECKING, Any

import rushlight.dtype as dtypes
from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU

__all__ = [
    "Size", "Tensor", "disabled_torch_function", "from_array", "method", "reads_values", "short",
]  # fmt: skip


class Size(tuple):
    """A tensor's shape: a tuple with ``numel()``.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).shape, torch.Size([2, 3]).numel()
    (torch.Size([2, 3]), 6)
    """

    __slots__ = ()

    def __repr__(self):
        return f"torch.Size({list(self)})"

    def numel(self):
        return prod(self)

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other):
        return Size(tuple(other) + tuple(self))

    def __mul__(self, n):
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __getitem__(self, i):
        found = tuple.__getitem__(self, i)
        return Size(found) if isinstance(i, slice) else found

    def __reduce__(self):
        return Size, (tuple(self),)


class ViewOf:
    """How a view came from the tensor that owns its memory.

    ``path`` is the list of view operations from ``root``; ``seen`` is the root's clock when the
    view's own history was last derived from the root's.
    """

    __slots__ = ("path", "root", "seen", "untracked")
    lazy = False

    def __init__(self, root, path, seen, untracked):
        self.root = root
        self.path = path
        self.seen = seen
        self.untracked = untracked


class LazyViewOf(ViewOf):
    """How a tensor came from another by a path with a conjugate in it.

    Its array has memory of its own, computed again on use where the other was written since.
    """

    __slots__ = ()
    lazy = True


def disabled_torch_function(*args, **kwargs):
    """As a subclass's ``__torch_function__``: operations treat it as a plain Tensor."""
    return NotImplemented


def short(function):
    """A function with a short way of its own, which a guard of its arguments would make longer.

    Goes above all other decorators. What overrides operations is asked where the function fails;
    a class of tensors that does has methods that ask it, see ``dispatch.ask``.
    """
    function.is_short = True
    return function


_new = object.__new__

if TYPE_CHECKING:

    class TensorMeta(type):
        """For type checkers: methods are bound to the class by the modules that define them."""

        def __getattr__(cls, name: str) -> Any: ...
        def __setattr__(cls, name: str, value: Any) -> None: ...

else:
    TensorMeta = type


class Tensor(metaclass=TensorMeta):
    """A multi-dimensional array of one dtype that can record how it was computed.

    >>> import rushlight as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """

    # array    the elements: a NumPy array, or an abstract value inside a trace
    # node     the history: a tape node, or None where no gradient is wanted
    # grad     the accumulated gradient of a leaf
    # view_of  a ViewOf where the memory belongs to another tensor's history
    # _cell    the clock of the memory, shared with its views; None before anybody asked for it
    # turned   None where the elements are known to lie in the order of the dims, else True
    # _leaf    unset, or the leaf that a tensor without gradients had, for when it has them again
    __slots__ = (
        "__dict__", "__weakref__", "_cell", "_grad", "_leaf", "array", "node", "turned", "view_of",
    )  # fmt: skip

    __array_priority__ = 1000  # NumPy arrays leave operators to us

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """What an operation on a subclass does: the operation, its results as ``cls``."""
        return late.keep_subclass(cls, func, args, kwargs or {})

    if TYPE_CHECKING:
        array: Any
        node: Any
        _grad: Any
        view_of: ViewOf | None
        _cell: list | None
        turned: bool | None

        def __getattr__(self, name: str) -> Any: ...

    def __new__(cls, *args, **kwargs):
        return late.legacy_constructor(cls, *args, **kwargs)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__torch_function__ is not disabled_torch_function:
            # While the class exists, every operation looks at its operands' classes.
            late.ask(cls)
            mode.add_intercept(1)
            weakref.finalize(cls, mode.add_intercept, -1).atexit = False

    @staticmethod
    def _make_subclass(cls, data, require_grad=False):
        """A ``cls`` over the memory of ``data``, with no history."""
        self = _new(cls)
        self.array = data.array
        self._grad = None
        self.view_of = None
        self.turned = True
        self.cell = data.cell
        self.node = None
        if mode.intercept and mode.state.recorder is not None:
            mode.state.recorder.note_alias(self, data)
        if require_grad:
            self.requires_grad = True
        return self

    @property
    def cell(self):
        """The clock of the memory; see ``mode.new_cell``."""
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
        return Size(self.array.shape)

    @property
    def dtype(self):
        """The elements' type.

        >>> import rushlight as torch
        >>> torch.zeros(2).dtype
        torch.float32
        """
        return dtypes.OF[self.array.dtype]

    @property
    def ndim(self):
        """The number of dims.

        >>> import rushlight as torch
        >>> torch.zeros(2, 3).ndim
        2
        """
        return self.array.ndim

    @property
    def device(self):
        """Where the elements live: ``device(type='cpu')``.

        >>> import rushlight as torch
        >>> torch.zeros(2).device
        device(type='cpu')
        """
        return CPU

    @property
    def itemsize(self):
        """Bytes of one element.

        >>> import rushlight as torch
        >>> torch.zeros(2).itemsize
        4
        """
        return self.array.itemsize

    @property
    def nbytes(self):
        """Bytes of all elements.

        >>> import rushlight as torch
        >>> torch.zeros(2).nbytes
        8
        """
        return self.array.size * self.array.itemsize

    is_cpu = property(
        lambda self: True,
        doc="""True: there is no other device.

        >>> import rushlight as torch
        >>> torch.zeros(2).is_cpu
        True
        """,
    )
    is_cuda = is_meta = is_sparse = is_quantized = is_mps = is_xpu = property(
        lambda self: False,
        doc="""False: there is no such tensor.

        >>> import rushlight as torch
        >>> torch.zeros(2).is_cuda
        False
        """,
    )
    is_nested = is_mkldnn = is_sparse_csr = is_vulkan = is_xla = is_ipu = is_mtia = is_cuda
    names = property(lambda self: (None,) * self.array.ndim)

    @property
    def layout(self):
        """How the elements are stored: ``torch.strided``."""
        return late.strided

    @short
    def __len__(self):
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __hash__(self):
        return id(self)


def from_array(array):
    """A tensor over ``array``'s memory, with no history. ``array`` must be an ndarray."""
    self = _new(Tensor)
    self.array = array
    self.node = self._grad = self.view_of = None
    self.turned = True
    self._cell = mode.new_cell() if mode.grad_off else None
    return self


def method(function):
    """Bind ``function`` to Tensor under its own name."""
    setattr(Tensor, function.__name__, function)
    return function


def reads_values(function):
    """A method that looks at elements: inside a trace it is refused, also for outer tensors."""

    @wraps(function)
    def checked(self, *args, **kwargs):
        if mode.intercept and mode.state.recorder is not None:
            mode.state.recorder.refuse_values(self, function.__name__.strip("_"))
        return function(self, *args, **kwargs)

    return method(checked)
