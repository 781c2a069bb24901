"""What functions on machine words call; ``codegen/word_function.py`` translates the calls."""

__all__ = [
    "Comes", "External", "Puts", "Slot", "call", "load", "load8", "load32", "stack", "store",
    "store8", "store32",
]  # fmt: skip


def load(address):
    """The word at ``address``."""
    raise NotImplementedError


def load32(address):
    """The 32 bits at ``address``."""
    raise NotImplementedError


def load8(address):
    """The 8 bits at ``address``."""
    raise NotImplementedError


def store(address, value):
    """Write the word ``value`` to ``address``."""
    raise NotImplementedError


def store32(address, value):
    """Write the lower 32 bits of ``value`` to ``address``."""
    raise NotImplementedError


def store8(address, value):
    """Write the lower 8 bits of ``value`` to ``address``."""
    raise NotImplementedError


def call(address, *args):
    """The result of the C function at ``address``."""
    raise NotImplementedError


def stack(count):
    """The address of ``count`` words, a constant, that last until the function returns."""
    raise NotImplementedError


class Comes:
    """``comes(x, y)``: whether the number at the address x comes before the one at y.

    Attributes:
        dtype: The kind and size of the numbers, such as "f4".
        sign: "<": smaller numbers come first, and nan last. ">": larger ones first, and nan last.
    """

    def __init__(self, dtype, sign):
        self.dtype, self.sign = dtype, sign

    def __call__(self, x, y):
        """Whether the number comes first."""
        raise NotImplementedError


class Puts:
    """``puts(x, y)``: write the number at the address y to x, or add it; ``dtype``: of both."""

    def __init__(self, dtype, adds):
        self.dtype, self.adds = dtype, adds

    def __call__(self, x, y):
        """Write or add the number."""
        raise NotImplementedError


class External:
    """A C function that machine code calls by its name."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args):
        """The result of the C function."""
        raise NotImplementedError


class Slot:
    """A value of the process: the entry ``number`` of its table."""

    def __init__(self, number):
        self.number = number
