"""Questions about sizes that a recording leaves open: here all sizes are plain numbers."""

__all__ = [
    "GuardOnDataDependentSymNode", "free_symbols", "free_unbacked_symbols", "guard_or_false",
    "guard_or_true", "statically_known_true",
]  # fmt: skip


class GuardOnDataDependentSymNode(RuntimeError):
    """The error of a question about an open size, which rushlight never raises."""


def guard_or_false(a):
    """Return whether ``a`` is true.

    >>> guard_or_false(2 > 1)
    True
    """
    return bool(a)


def guard_or_true(a):
    """Return whether ``a`` is true.

    >>> guard_or_true(2 < 1)
    False
    """
    return bool(a)


def statically_known_true(x):
    """Return whether ``x`` is true.

    >>> statically_known_true(1 == 1)
    True
    """
    return bool(x)


def free_symbols(val):
    """Return the open sizes in ``val``: none.

    >>> free_symbols((2, 3))
    set()
    """
    return set()


free_unbacked_symbols = free_symbols
