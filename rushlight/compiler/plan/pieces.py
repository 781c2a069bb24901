"""Into how many pieces the work of a kernel is cut, for threads or for the groups of a device."""

__all__ = ["share"]


def share(units, work, worth, most):
    """The number of units of work in each piece; the last piece may have fewer.

    The pieces depend on sizes alone, so results do not depend on the number of threads.

    Args:
        units: The number of units, which are not cut.
        work: The work of all units together: nanoseconds, multiplications, or elements.
        worth: A piece has at least this much work, if all units together have it.
        most: The largest number of pieces.

    >>> share(units=100, work=100.0, worth=30, most=64)
    34
    """
    pieces = max(1, min(units, most, int(work / worth)))
    return max(1, -(-units // pieces))
