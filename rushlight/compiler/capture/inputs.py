"""What a program gets from outside at each run: tensors, gradients of leaves, and numbers."""

from rushlight.shaped import Shaped

__all__ = ["Captured", "Grad", "Live", "has_memory", "key_of"]


def has_memory(array):
    """Whether an array from outside has elements: on the device "meta" it has none."""
    return not isinstance(array, Shaped) or hasattr(array, "__array_interface__")


def key_of(array):
    """The key of the memory that an array looks at: its address, shape, strides and dtype.

    An array on the device "meta" has no memory, so it shares its key with no other array.
    """
    if not has_memory(array):
        return id(array)
    return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.num


class Captured:
    """A tensor from outside, an input of the program.

    Attributes:
        get: How each run finds the tensor. None: it is always the same object. An integer: the
            tensor is the argument at this position. A function: its result, as with ``Grad``.
    """

    __slots__ = ("get", "tensor", "value")

    def __init__(self, tensor, get, value):
        self.tensor, self.get, self.value = tensor, get, value


class Grad:
    """Finds the gradient that a leaf has at each run."""

    __slots__ = ("leaf",)

    def __init__(self, leaf):
        self.leaf = leaf

    def __call__(self):
        return self.leaf._grad


class Live:
    """A Python number that is read again at each run; it is a 0-dim input of the program.

    Attributes:
        get: ``get()`` gives the number.
        place: None, or ``place()`` gives the (dict, key) where the number is stored. A run calls
            ``get`` only if the object stored there is another one than before.
        steady: True if the number changes only together with one of the recorder's ``places``.
        after: How many of the deferred calls run before the number is read.
        number: None, or the ``SymbolicNumber`` whose value this is; the call's function computes
            it.
    """

    __slots__ = ("after", "get", "number", "place", "steady", "value")

    def __init__(self, get, place, steady, after, value, number=None):
        self.get, self.place, self.steady, self.after = get, place, steady, after
        self.value, self.number = value, number
