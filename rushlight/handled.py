"""Arrays of tensors whose class has ``__torch_dispatch__``, the *handler* of the class.

The handler computes each operation on such a tensor, below autograd: the tape records the operation
as it records any other. The tensor may have no memory of its own (``_make_wrapper_subclass``), or
elements that only the handler gets to see (``_make_subclass``).

The array of such a tensor is a ``HandledArray``, a remote array. The full path of an operation
finds it among the operands, and calls ``library/handlers.py``. Nothing else can read its elements.
The tape saves arrays. So a ``HandledArray`` that is saved keeps a *twin* of its tensor: an object
of the same class with the same attributes, and without history.
"""

import weakref
from typing import Any, NoReturn

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.device import CPU
from rushlight.remote import Crossing, RemoteArray, place_of
from rushlight.storage import offset

__all__ = [
    "HandledArray", "attributes", "classes_of", "cover", "handled", "is_handled", "keep", "lifted",
    "own_slots", "refuse_class", "refuse_memory", "takes_handler", "twin",
]  # fmt: skip

_new = object.__new__
#: The fields of a tensor that are not copied to its twin.
_HISTORY = (
    "__dict__",
    "__weakref__",
    "_array",
    "_cell",
    "_grad",
    "_leaf",
    "node",
    "turned",
    "view_of",
)


class _Noted(Crossing):
    """Counts a tensor with a handler: all operations then take the full path.

    It is a crossing because the gradients of such tensors are tensors.
    """

    __slots__ = ()
    address = 0
    device = CPU

    def bytes(self):
        """Raise RuntimeError: there are none that may be read."""
        refuse_memory()


class NoElements(RuntimeError, AttributeError):
    """Raised where code asks for the elements of a tensor with a handler."""


def refuse_memory(name="") -> NoReturn:
    """Raise the error that the elements of a tensor with a handler were asked for."""
    where = f"{name}: " if name else ""
    raise NoElements(
        f"{where}the elements of a tensor whose class has __torch_dispatch__ were asked for "
        "outside of the class's handler. The tensor has a shape, and its data is not allocated; "
        "let the handler unwrap it first"
    )


class HandledArray(RemoteArray):
    """The array of a tensor with a handler.

    Attributes:
        data: The array with the elements, or None if the tensor only wraps others.
        device: Where the tensor says that it is.
        owner: A function that returns the tensor, or None after its end.
        kept: None, or the twin that a saved array keeps.
    """

    __slots__ = ("data", "device", "kept", "owner")
    may_be_huge = True
    #: Whether there ever was one. If not, operations do not look for them.
    made = False

    def __init__(self, shape, dtype, strides, start, data, device, owner, kept=None, memory=None):
        super().__init__(shape, dtype, strides, memory or _Noted(), start)
        self.data, self.device, self.owner, self.kept = data, device, owner, kept
        if not HandledArray.made:
            HandledArray.made = True

    def of(self, tensor):
        """The same array as that of another ``tensor``."""
        rest = self.shape, self.dtype, self.strides, self.start, self.data, self.device
        return HandledArray(*rest, weakref.ref(tensor), None, self.memory)

    def tensor(self):
        """A tensor with this array: the one that it was made for, or another like that."""
        found = self.owner()
        return twin(self.kept) if found is None else found

    @property
    def address(self):
        return 0 if type(self.data) is not ndarray else self.data.ctypes.data

    @property
    def flags(self):
        refuse_memory()

    def like(self):
        refuse_memory()

    def copy(self, order="K"):
        t = self.tensor().detach().clone()
        return keep(t._array)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        refuse_memory(name)

    def __array__(self, dtype=None, copy=None):
        refuse_memory()

    def __array_function__(self, function, types, args, kwargs):
        refuse_memory(function.__name__)

    def __bool__(self):
        refuse_memory()

    def __repr__(self):
        return f"handled:{self.dtype.name}{list(self.shape)}"


def handled(x, array, data=None, device=CPU, start=0):
    """Give the tensor ``x`` a ``HandledArray`` like ``array``."""
    x._array = HandledArray(
        array.shape, array.dtype, array.strides, start, data, device, weakref.ref(x)
    )


def cover(x):
    """Give the tensor ``x``, whose class has a handler, an array that only the handler can read."""
    array = x._array
    if type(array) is HandledArray:
        x._array = array.of(x)
    else:
        start = offset(array) * array.itemsize if type(array) is ndarray else array.start
        handled(x, array, array, place_of(array), start)


def is_handled(x):
    """Whether operations on the object ``x`` are the business of its class's handler."""
    # The class is asked first: a number of a trace would note that somebody reads its value.
    if not HandledArray.made or not hasattr(type(x), "_array"):
        return False
    return type(getattr(x, "_array", None)) is HandledArray


def takes_handler(*values):
    """Whether a handler is to compute an operation on ``values``."""
    return mode.state.handlers and any(map(is_handled, values))


def classes_of(values):
    """The classes with a handler among ``values``, also inside lists, each one once."""
    found: list = []
    for x in values:
        if isinstance(x, (list, tuple)):
            found += [k for k in classes_of(x) if k not in found]
        elif is_handled(x) and type(x) not in found:
            found.append(type(x))
    return tuple(found)


def refuse_class(x, kind):
    """Raise RuntimeError: the memory of ``x`` belongs to the handler of its class."""
    raise RuntimeError(
        f"Creating a new Tensor subclass {kind.__name__} but the raw Tensor object is already "
        f"associated to a python object of type {type(x).__name__} which is not a subclass of the "
        "requested type"
    )


def own_slots(kind):
    """The names of the fields that ``kind``, a subclass of Tensor, has outside ``__dict__``."""
    for owner in kind.__mro__:
        names: Any = vars(owner).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in _HISTORY:
                yield name


def attributes(x):
    """The attributes of ``x`` that its class, or the user, gave it."""
    return {**x.__dict__, **{k: getattr(x, k) for k in own_slots(type(x)) if hasattr(x, k)}}


def twin(x):
    """Another object of the class of ``x`` with its attributes and its memory, without history."""
    t = _new(type(x))
    for name in own_slots(type(x)):
        if hasattr(x, name):
            setattr(t, name, getattr(x, name))
    t.__dict__.update(x.__dict__)
    t.node = t._grad = t.view_of = None
    t.turned = True
    t._cell = x.cell
    t._array = x._array.of(t)
    return t


def keep(value):
    """``value`` as the tape saves it: an array of a tensor with a handler keeps a twin of that."""
    if type(value) is HandledArray and value.kept is None:
        x = value.owner()
        if x is None:
            return value
        rest = value.shape, value.dtype, value.strides, value.start, value.data, value.device
        return HandledArray(*rest, lambda: None, twin(x), value.memory)
    if type(value) in (list, tuple):
        return type(value)([keep(v) for v in value])
    return value


def lifted(array):
    """A new tensor for a saved ``HandledArray``."""
    found = array.kept if array.kept is not None else array.owner()
    if found is None:
        refuse_memory("backward")
    return twin(found)
