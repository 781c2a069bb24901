"""torch._prims_common: questions about how tensors lie in memory."""

__all__ = ["is_contiguous", "is_contiguous_or_false"]


def is_contiguous(a):
    """Return whether a tensor lies in memory without gaps, in the order of its dims.

    >>> import rushlight as torch
    >>> is_contiguous(torch.ones(2, 3).t())
    False
    """
    return a.is_contiguous()


is_contiguous_or_false = is_contiguous
