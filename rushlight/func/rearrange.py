"""``torch.func.rearrange``: the axes of a tensor by a pattern, as the package einops writes it."""

import re
from math import prod

from rushlight.ops.core.definition import FUNCTIONS

__all__ = ["rearrange"]

_DOTS = "..."


def rearrange(tensor, pattern, **axes_lengths):
    """Permute, divide and join axes as a pattern says.

    Args:
        tensor: Tensor, or a sequence of tensors, which are stacked along a new first axis.
        pattern: The axes before and after ``->``. Each name is an axis. Names in parentheses are
            parts of one axis. ``...`` stands for all other axes, ``1`` and ``()`` for one of
            length 1.
        axes_lengths: The lengths of names in parentheses. One for each axis may be left out.

    Returns:
        Tensor with the same elements.

    Raises:
        ValueError: The pattern cannot be read, or does not fit the tensor.

    >>> import rushlight as torch
    >>> images = torch.zeros(2, 8, 8, 3)
    >>> torch.func.rearrange(images, "b (h h1) (w w1) c -> b h w (c h1 w1)", h1=2, w1=2).shape
    torch.Size([2, 4, 4, 12])
    """
    if isinstance(tensor, (list, tuple)):
        tensor = FUNCTIONS["stack"](tensor)
    if pattern.count("->") != 1:
        raise ValueError("Pattern must contain a single '->' separator")
    left, right = map(_axes, pattern.split("->"))
    _check(left, right, axes_lengths, pattern)
    dots = _hidden(left, tensor.ndim)
    left, right = _spelled(left, dots), _spelled(right, dots)
    sizes: dict[str, int] = {}
    for axis, size in zip(left, tensor.shape, strict=True):
        sizes |= _lengths(axis, size, axes_lengths)
    names = [name for axis in left for name in axis]
    order = [names.index(name) for axis in right for name in axis]
    parts = tensor.reshape([sizes[name] for name in names]).permute(order)
    return parts.reshape([prod(sizes[name] for name in axis) for axis in right])


def _axes(side):
    """The axes of one side of a pattern: a list of names for each, or ``...``."""
    found: list = []
    inside = False
    for word in re.findall(r"\.\.\.|[()]|[^\s().]+|\.", side):
        if word in "()":
            if inside is (word == "("):
                raise ValueError(f"Imbalanced parentheses in expression: {side!r}")
            inside = not inside
            if inside:
                found.append([])
        elif word == "1":
            found += [] if inside else [[]]
        elif word.isdigit():
            raise ValueError("rearrange only supports unnamed axes of size 1")
        elif word != _DOTS and (not word.isidentifier() or "_" in (word[0], word[-1])):
            raise ValueError(f"Invalid axis identifier: {word}")
        elif inside:
            found[-1].append(word)
        else:
            found.append(word if word == _DOTS else [word])
    if inside:
        raise ValueError(f"Imbalanced parentheses in expression: {side!r}")
    return found


def _check(left, right, lengths, pattern):
    """Raise ValueError unless each name occurs once on each side."""
    if any(axis != _DOTS and _DOTS in axis for axis in left):
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    sides = [[x for axis in side for x in ([axis] if axis == _DOTS else axis)]
             for side in (left, right)]  # fmt: skip
    for names in sides:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"Indexing expression contains duplicate dimension {twice!r}")
    if set(sides[0]) != set(sides[1]):
        raise ValueError(
            "Identifiers only on one side of rearrange expression (should be on both): "
            f"{set(sides[0]) ^ set(sides[1])}"
        )
    if not lengths.keys() <= set(sides[0]):
        raise ValueError(
            f"Identifiers not found in rearrange expression: {lengths.keys() - set(sides[0])}"
        )


def _hidden(left, ndim):
    """Names for the axes that ``...`` stands for."""
    named = sum(axis != _DOTS for axis in left)
    if named > ndim or (named < ndim and _DOTS not in left):
        relation = "less than or equal to" if _DOTS in left else "equal to"
        raise ValueError(
            f"Number of dimensions in pattern ({named}) must be {relation} the number of "
            f"dimensions in the tensor ({ndim})"
        )
    return [f"{_DOTS}{i}" for i in range(ndim - named)]


def _spelled(side, dots):
    """The axes with ``dots`` in place of ``...``."""
    found = []
    for axis in side:
        if axis == _DOTS:
            found += [[name] for name in dots]
        else:
            found.append([y for x in axis for y in (dots if x == _DOTS else [x])])
    return found


def _lengths(axis, size, lengths):
    """The lengths of the names that are parts of one axis of the tensor."""
    found = {name: lengths[name] for name in axis if name in lengths}
    left = [name for name in axis if name not in lengths]
    known = prod(found.values())
    if len(left) > 1:
        raise ValueError(f"cannot infer the sizes of two dimensions at once: {left}")
    if left and (known == 0 or size % known):
        raise ValueError(f"axes of length {known} do not evenly fit into {size}")
    if left:
        found[left[0]] = size // known
    elif known != size:
        raise ValueError(f"Dimension sizes do not match ({size} != {known}) in ({' '.join(axis)})")
    return found
