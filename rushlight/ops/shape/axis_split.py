"""Splits along the first, second or third dim: ``vsplit``, ``hsplit`` and ``dsplit``."""

from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.shape.split import tensor_split
from rushlight.ops.shape.view import tensor_array

__all__ = ["dsplit", "hsplit", "vsplit"]

_forms = takes("input, sections: int", "input, indices: shape")


def _split(name, input, sections, indices, dim, least):
    """Split ``input`` along ``dim``; it must have at least ``least`` dims."""
    shape = tensor_array(input, name).shape
    if len(shape) < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor "
            f"with {len(shape)} dimensions!"
        )
    cuts = indices if sections is None else sections
    if isinstance(cuts, (tuple, list)):
        return tensor_split(input, [c.__index__() for c in cuts], dim)
    cuts = cuts.__index__()
    if cuts == 0 or shape[dim] % cuts:
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{shape[dim]} is not divisible by the split_size {cuts}!"
        )
    return tensor_split(input, cuts, dim)


@function
@_forms
def hsplit(input, sections=None, *, indices=None):
    """Split ``input`` side by side, along its dim 1, or along dim 0 if it is a vector.

    Args:
        input: Tensor with at least 1 dim.
        sections: Number of views of equal size, or the indices before which to cut: a tuple of
            ints.
        indices: The indices before which to cut, instead of ``sections``: a tuple of ints.

    Returns:
        Tuple of views. n indices give n + 1 views.

    Raises:
        RuntimeError: ``input`` is 0-dim, or ``sections`` does not divide the size of the dim.

    >>> import rushlight as torch
    >>> [part.tolist() for part in torch.hsplit(torch.arange(4), 2)]
    [[0, 1], [2, 3]]
    """
    return _split("hsplit", input, sections, indices, 1 if input.ndim > 1 else 0, 1)


@function
@_forms
def vsplit(input, sections=None, *, indices=None):
    """Split ``input`` from top to bottom, along its dim 0.

    Args:
        input: Tensor with at least 2 dims.
        sections: Number of views of equal size, or the indices before which to cut: a tuple of
            ints.
        indices: The indices before which to cut, instead of ``sections``: a tuple of ints.

    Returns:
        Tuple of views. n indices give n + 1 views.

    Raises:
        RuntimeError: ``input`` has fewer than 2 dims, or ``sections`` does not divide its size.

    >>> import rushlight as torch
    >>> [part.tolist() for part in torch.vsplit(torch.arange(4).reshape(2, 2), 2)]
    [[[0, 1]], [[2, 3]]]
    """
    return _split("vsplit", input, sections, indices, 0, 2)


@function
@_forms
def dsplit(input, sections=None, *, indices=None):
    """Split ``input`` in depth, along its dim 2.

    Args:
        input: Tensor with at least 3 dims.
        sections: Number of views of equal size, or the indices before which to cut: a tuple of
            ints.
        indices: The indices before which to cut, instead of ``sections``: a tuple of ints.

    Returns:
        Tuple of views. n indices give n + 1 views.

    Raises:
        RuntimeError: ``input`` has fewer than 3 dims, or ``sections`` does not divide its size.

    >>> import rushlight as torch
    >>> [part.tolist() for part in torch.dsplit(torch.arange(4).reshape(1, 2, 2), (1,))]
    [[[[0], [2]]], [[[1], [3]]]]
    """
    return _split("dsplit", input, sections, indices, 2, 3)
