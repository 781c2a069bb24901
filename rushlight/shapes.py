"""Shape arithmetic on plain tuples; the errors name the shapes and dims that do not fit."""

from math import prod

from rushlight.errors import DimError, ShapeError

__all__ = [
    "broadcast", "check_expansion", "dim", "dims", "flag", "matmul", "numel", "reduced", "sizes",
]  # fmt: skip

numel = prod


def dim(d, ndim, name="dim"):
    """Return the dim ``d`` counted from the front; a 0-dim tensor has the dims 0 and -1.

    >>> dim(-1, 3)
    2
    """
    if type(d) is not int:
        d = _index(d, name)
    n = ndim or 1
    if not -n <= d < n:
        raise DimError(
            f"{name}: Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got "
            f"{d})"
        )
    return d % n


def _index(d, name):
    if isinstance(d, bool) or not hasattr(d, "__index__"):
        raise TypeError(f"{name}: dim must be an int, not {type(d).__name__}")
    return d.__index__()


def flag(value, name, argument="keepdim"):
    """Return ``value`` if it is a bool, else raise TypeError."""
    if value is not True and value is not False:
        raise TypeError(f"{name}(): argument '{argument}' must be bool, not {type(value).__name__}")
    return value


def dims(d, ndim, name="dim"):
    """Return a tuple of different dims from an int or a sequence; None and () mean all dims."""
    if d is None:
        return tuple(range(ndim))
    if type(d) is int and -ndim <= d < ndim:
        return (d % ndim,)
    if isinstance(d, (tuple, list)):
        found = tuple([i if type(i) is int and 0 <= i < ndim else dim(i, ndim, name) for i in d])
        if len(set(found)) != len(found):
            twice = next(i for i in found if found.count(i) > 1)
            raise ShapeError(
                f"{name}: dim {twice} appears multiple times in the list of dims {tuple(d)}"
            )
        if ndim == 0:
            return ()
        return found or tuple(range(ndim))
    d = dim(d, ndim, name)
    return (d,) if ndim else ()


def reduced(shape, d, keepdim, name="sum"):
    """Return the shape after a reduction of the dims ``d`` (None, int, tuple).

    >>> reduced((2, 3, 4), (0, -1), True)
    (1, 3, 1)
    """
    gone = dims(d, len(shape), name)
    return tuple([1 if i in gone else n for i, n in enumerate(shape) if keepdim or i not in gone])


def broadcast(name, *shapes, names="xyzw"):
    """Return the shape to which ``shapes`` broadcast; ShapeError names the dims that do not fit.

    >>> broadcast("add", (2, 1), (3,))
    (2, 3)
    """
    if shapes and shapes.count(shapes[0]) == len(shapes):
        return tuple(shapes[0])
    ndim = max(map(len, shapes), default=0)
    out = [1] * ndim
    for shape in shapes:
        # As PyTorch, from the last dim on, so that the message names the last one that differs.
        for i, n in zip(range(ndim - 1, -1, -1), reversed(shape), strict=False):
            if n != 1:
                if out[i] not in (1, n):
                    listed = " and ".join(
                        f"{k} {tuple(s)}" for k, s in zip(names, shapes, strict=False)
                    )
                    raise ShapeError(
                        f"{name}: {listed} do not broadcast together: The size of tensor a "
                        f"({out[i]}) must match the size of tensor b ({n}) at non-singleton "
                        f"dimension {i}"
                    )
                out[i] = n
    return tuple(out)


def _disagreement(x, y):
    """What PyTorch says of factors of these shapes, whose inner sizes differ."""
    if len(y) > 2:
        batch = numel(y[:-2] if len(y) >= len(x) else x[:-2])
        return (
            f"Expected size for first two dimensions of batch2 tensor to be: [{batch}, {x[-1]}] "
            f"but got: [{batch}, {y[-2]}]."
        )
    rows = numel(x[:-1])
    if len(y) == 2:
        sizes = f"{rows}x{x[-1]} and {y[0]}x{y[1]}"
        return f"mat1 and mat2 shapes cannot be multiplied ({sizes})"
    if len(x) > 1:
        return f"size mismatch, got input ({rows}), mat ({rows}x{x[-1]}), vec ({y[0]})"
    return (
        f"inconsistent tensor size, expected tensor [{x[0]}] and src [{y[0]}] to have the same "
        f"number of elements, but got {x[0]} and {y[0]} elements respectively"
    )


def check_expansion(name, have, size):
    """Raise if ``size`` is not a shape to which ``have`` can be expanded.

    >>> check_expansion("expand: x", (2, 1), (4, 2, 3))
    """
    if len(size) < len(have):
        raise ShapeError(
            f"{name} {tuple(have)} does not expand to {tuple(size)}: the number of sizes provided "
            f"({len(size)}) must be greater or equal to the number of dimensions in the tensor "
            f"({len(have)})"
        )
    for i, n in [*enumerate(have, len(size) - len(have))][::-1]:  # PyTorch names the last one
        if n != 1 and n != size[i]:
            raise ShapeError(
                f"{name} {tuple(have)} does not expand to {tuple(size)}: The expanded size of the "
                f"tensor ({size[i]}) must match the existing size ({n}) at non-singleton dimension "
                f"{i}.  Target sizes: {list(size)}.  Tensor sizes: {list(have)}"
            )


def sizes(shape, name="size"):
    """Return the sizes in ``(2, 3)`` or ``((2, 3),)`` as a tuple of ints; refuse negative sizes."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    out = []
    for n in shape:
        if type(n) is not int:
            try:
                n = n.__index__()
            except (AttributeError, TypeError):
                raise TypeError(
                    f"{name}: sizes must be ints, not {type(n).__name__} in {tuple(shape)}"
                ) from None
        if n < 0:
            raise ShapeError(
                f"{name}: Trying to create tensor with negative dimension {n}: {tuple(shape)}"
            )
        out.append(n)
    if prod(out) >= 2**63 or (0 in out and max(out) >= 2**63):
        raise ShapeError(f"{name}: Storage size calculation overflowed with sizes={list(out)}")
    return tuple(out)


def matmul(x, y, name="matmul"):
    """Return the shape of ``x @ y``; ``x`` and ``y`` are shapes of at least one dim.

    >>> matmul((5, 2, 3), (3, 4))
    (5, 2, 4)
    """
    if not x or not y:
        raise ShapeError(
            f"{name}: both arguments need to be at least 1D, but x is {x} and y is {y}"
        )
    inner = y[-2] if len(y) > 1 else y[0]
    if x[-1] != inner:
        raise ShapeError(
            f"{name}: x {x} and y {y} disagree: x has {x[-1]} in its last dim, y has {inner} in "
            f"its {'second-last' if len(y) > 1 else 'only'} dim ({_disagreement(x, y)})"
        )
    try:
        batch = broadcast(name, x[:-2], y[:-2])
    except ShapeError as error:
        raise ShapeError(f"{error}, the batch dims of x {x} and y {y}") from None
    return batch + x[-2:-1] + (y[-1:] if len(y) > 1 else ())
