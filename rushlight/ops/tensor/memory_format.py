"""Memory layouts and memory formats: constants that PyTorch's functions take as arguments."""

import numpy as np

from rushlight import late
from rushlight.errors import ShapeError
from rushlight.strides import channels_order, dense_strides, kept_strides

__all__ = [
    "channels_last", "channels_last_3d", "contiguous_format", "jagged", "layout",
    "legacy_contiguous_format", "memory_format", "preserve_format", "sparse_bsc", "sparse_bsr",
    "sparse_coo", "sparse_csc", "sparse_csr", "strided",
    "guessed", "strides_in",
]  # fmt: skip


class memory_format:
    """The order of a tensor's dims in memory, as an argument of ``clone``, ``to`` and others.

    The formats are constants of ``torch``. ``contiguous_format``: the order of the dims.
    ``preserve_format``: the order that the argument has. ``channels_last`` for (N, C, H, W) and
    ``channels_last_3d`` for (N, C, D, H, W): the channels lie side by side.

    Args:
        name: The name that prints after ``torch.``.
        rank: The number of dims that the format is for. Default: None, any.

    >>> import rushlight as torch
    >>> torch.channels_last
    torch.channels_last
    >>> torch.zeros(1, 2, 3, 4).contiguous(memory_format=torch.contiguous_format).shape
    torch.Size([1, 2, 3, 4])
    """

    __slots__ = ("name", "rank")

    def __init__(self, name, rank=None):
        self.name, self.rank = name, rank

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name


def check_rank(form, n, name):
    """Raise RuntimeError if the memory format ``form`` is not for tensors of ``n`` dims."""
    if form.rank not in (None, n):
        raise ShapeError(
            f"{name}: required rank {form.rank} tensor to use {form.name} format, but got {n} dims"
        )


class layout:
    """The way that a tensor's elements are stored.

    The layouts are constants of ``torch``. ``strided``: all elements, in memory with strides.
    ``sparse_coo``: indices and values. ``sparse_csr``, ``sparse_csc``: the rows, or the columns,
    are compressed to the places where they begin. ``sparse_bsr``, ``sparse_bsc``: the same of
    blocks. ``jagged``: sequences of different lengths, one after the other (``torch.nested``).

    Args:
        name: The name that prints after ``torch.``.

    >>> import rushlight as torch
    >>> torch.zeros(2).layout
    torch.strided
    """

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name


contiguous_format = memory_format("contiguous_format")
legacy_contiguous_format = contiguous_format
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last", 4)
channels_last_3d = memory_format("channels_last_3d", 5)
late.strided = strided = layout("strided")
sparse_coo, sparse_csr, sparse_csc, sparse_bsr, sparse_bsc = map(
    layout, ("sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")
)
jagged = layout("jagged")


def guessed(array):
    """Return the memory format that the strides of ``array`` have, in PyTorch's opinion.

    Where sizes of 1 leave the format open, it is contiguous_format. So is any other order of dims.
    """
    if array.ndim not in (4, 5) or channels_order([array]) is None:
        return contiguous_format
    return channels_last if array.ndim == 4 else channels_last_3d


def strides_in(form, array, dtype):
    """The strides, in bytes, of a copy of ``array`` in a memory format; None: it is contiguous."""
    shape, size = array.shape, np.dtype(dtype).itemsize
    if form is None or form is preserve_format:
        return kept_strides(shape, array.strides, array.itemsize, size)
    if form is contiguous_format:
        return None
    check_rank(form, len(shape), "to")
    return dense_strides(shape, (0, *range(2, len(shape)), 1), size)
