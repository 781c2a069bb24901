"""Bags of embeddings: a bag is a group of indices, whose rows become one sum, mean or maximum."""

import operator
import warnings

import numpy as np

from rushlight.autograd import mode as modes
from rushlight.autograd.tape import renamed, watch
from rushlight.backend.accumulate import sum_runs
from rushlight.dtype import bfloat16, float16, float32, int64, promote_types
from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.fast_path import plain
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.range import arange
from rushlight.ops.index.embedding import embedding
from rushlight.ops.index.embedding_bag import bag_maxima
from rushlight.ops.reduce.search import searchsorted
from rushlight.tensor import from_array

__all__ = ["bag_records", "embedding_bag"]


def _check_options(input, offsets, mode, scale_grad_by_freq, sparse, per_sample_weights):
    if input.ndim == 2 and offsets is not None:
        raise ValueError(
            "embedding_bag: if input is 2D, its rows are the bags and offsets has to be None: "
            f"input {tuple(input.shape)}, offsets {tuple(offsets.shape)}"
        )
    if input.ndim == 1 and (offsets is None or offsets.ndim != 1):
        given = None if offsets is None else tuple(offsets.shape)
        raise ValueError(f"embedding_bag: offsets has to be a 1D Tensor, but is {given}")
    if input.ndim not in (1, 2):
        raise ValueError(f"embedding_bag: input has to be 1D or 2D, but is {tuple(input.shape)}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: mode has to be one of sum, mean or max, not {mode!r}")
    if mode == "max" and (scale_grad_by_freq or sparse):
        raise ValueError("embedding_bag: max mode does not support scale_grad_by_freq or sparse")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            f"embedding_bag: per_sample_weights is only supported for mode='sum', not {mode!r}"
        )


def _check_types(input, weight, offsets, padding_idx, per_sample_weights):
    rows = weight.shape[0]
    if input.dtype.category != 1 or input.dtype.itemsize < 4:
        raise DtypeError(
            "embedding_bag: Expected 'indices' to be of type Long or Int, but got "
            f"{input.dtype}; convert with .long()"
        )
    if offsets is not None and (offsets.dtype.category != 1 or offsets.dtype.itemsize < 4):
        raise DtypeError(
            "embedding_bag: Expected 'offsets' to be of type Long or Int, but got "
            f"{offsets.dtype}; convert with .long()"
        )
    if not weight.is_floating_point():
        raise DtypeError(f"embedding_bag: weight must be of floats, but is {weight.dtype}")
    if per_sample_weights is not None and per_sample_weights.dtype is not weight.dtype:
        raise DtypeError(
            f"embedding_bag: per_sample_weights ({per_sample_weights.dtype}) must have the "
            f"same type as weight ({weight.dtype})"
        )
    if padding_idx is not None and not -rows <= operator.index(padding_idx) < rows:
        raise RuntimeError(
            f"embedding_bag: padding_idx must be within the number of embeddings, {-rows} through "
            f"{rows - 1}, but got {padding_idx}"
        )


def in_one_type(indices, offsets):
    """``indices`` and ``offsets`` in the dtype to which both are promoted."""
    if offsets is None or offsets.dtype is indices.dtype:
        return indices, offsets
    kind = promote_types(indices.dtype, offsets.dtype)
    return indices.to(kind), offsets.to(kind)


def _check_offsets(offsets, n, include_last_offset):
    """Raise if the first or the last offset is wrong for ``n`` indices."""
    if offsets is None:
        return
    if not offsets.numel():
        if include_last_offset:
            raise ShapeError(
                "embedding_bag: include_last_offset: number of offset should be at least 1: the "
                "last one is the end of the last bag"
            )
        return
    check_range(
        offsets[:1], low=0, high=0, error=ShapeError,
        message="embedding_bag: offsets[0] has to be 0, the start of the first bag, but got {}",
    )  # fmt: skip
    check_range(
        offsets[-1:], low=0, high=n, error=ShapeError,
        message=f"embedding_bag: offsets[-1] can not be greater than input's length {n}, but got "
        "{}",
    )  # fmt: skip
    check_range(
        offsets.diff(), low=0, high=n, error=ShapeError,
        message="embedding_bag: each offset has to be at least the one before it, but one is {} "
        "places from it",
    )  # fmt: skip


def _bags(input, offsets, include_last_offset):
    """Return (the number of bags, the bag of each index, a mask of the indices that are in a bag).

    The mask is None if every index is in a bag.
    """
    if input.ndim == 2:
        bags, n = input.shape
        return bags, arange(bags).unsqueeze(1).expand(bags, n).reshape(-1), None
    starts = offsets[:-1] if include_last_offset else offsets
    places = arange(input.numel(), dtype=offsets.dtype)
    bag = searchsorted(starts.contiguous(), places, right=True) - 1
    return starts.numel(), bag, places < offsets[-1] if include_last_offset else None


def _added(rows, bag, bags):
    if not bags:
        return rows[:0]  # of nothing, but with a gradient
    return rows.new_zeros((bags, *rows.shape[1:])).index_add(0, bag, rows)


def _zeroed(rows, kept):
    """Return ``rows`` with zeros where ``kept`` is False. Infinity times 0 would be nan."""
    return rows if kept is None else rows.masked_fill(kept.logical_not().unsqueeze(1), 0)


def _largest(rows, kept, bag, bags):
    """Return the maximum of each column in each bag; zeros for a bag without kept rows."""
    if not (rows.shape[0] and bags):
        return _added(rows, bag, bags)
    if kept is None:
        kept = rows.new_ones(rows.shape[0], dtype=bool_)
    found = rows.gather(0, bag_maxima(rows.detach(), bag, kept, bags=bags))
    empty = _added(kept.to(rows.dtype), bag, bags) == 0
    return found.masked_fill(empty.unsqueeze(1), 0)


def bag_records(indices, weight, offsets, mode, factors, include_last_offset, padding_idx):
    """Return what ``torch.embedding_bag`` tells about the bags besides its result.

    Returns:
        The bag of each index, the number of indices in each bag, and for maxima the row that each
        element comes from, else the number of indices again. For sums these are zeros, and no bags
        are told where PyTorch sums rows that lie in one piece.
    """
    _check_offsets(offsets, indices.numel(), include_last_offset)
    bags, bag, kept = _bags(indices, offsets, include_last_offset)
    bag, none = bag.to(indices.dtype), indices.new_zeros(bags)
    if mode == "sum":
        plain = padding_idx is None and weight.dtype in (float32, float16, bfloat16)
        plain = plain and weight.stride(1) == 1 and (factors is None or factors.stride(0) == 1)
        return bag[:0] if plain else bag, none, none.clone()
    kept = indices.new_ones(len(indices), dtype=bool_) if kept is None else kept
    if padding_idx is not None:
        kept = kept & (indices != padding_idx % weight.shape[0])
    sizes = none.index_add(0, bag, kept.to(indices.dtype))
    if mode == "mean":
        return bag, sizes, sizes.clone()
    best = bag_maxima(weight.detach()[indices], bag, kept, bags=bags)
    rows = indices[best] if len(indices) else best.to(indices.dtype)
    return bag, sizes, rows.masked_fill((sizes == 0).unsqueeze(1), 0)


def embedding_bag(
    input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode="mean",
    sparse=False, per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    """Return the sum, mean or maximum of the rows of ``weight`` at the indices of each bag.

    Args:
        input: Indices ``(bags, n)``, where each row is a bag, or ``(n)`` with ``offsets``.
        weight: Tensor ``(rows, features)``: the table.
        offsets: Tensor ``(bags)``: the position in a one-dim ``input`` at which each bag begins.
        mode: ``"sum"``, ``"mean"`` (default) or ``"max"``.
        per_sample_weights: Tensor of ``input``'s shape: factors of the rows in a sum. Default: 1.
        include_last_offset: The last offset is the end of the last bag. Default: False.
        padding_idx: Index of a row that is left out of all bags. Default: none.
        max_norm, norm_type, scale_grad_by_freq, sparse: As for ``embedding``.

    Returns:
        Tensor ``(bags, features)``; zeros for an empty bag.

    Raises:
        ValueError: Shapes or options do not go together.
        RuntimeError: An index, an offset or ``padding_idx`` is out of range, or a dtype is wrong.

    >>> import rushlight as torch
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> bag = torch.nn.functional.embedding_bag
    >>> bag(torch.tensor([0, 1, 2]), table, torch.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [5., 6.]])
    """
    if weight.dtype is int64 and input.is_floating_point():
        warnings.warn("embedding_bag: input comes before weight, since PyTorch 0.4", stacklevel=2)
        input, weight = weight, input
    if per_sample_weights is not None and per_sample_weights.shape != input.shape:
        raise ValueError(
            f"embedding_bag: per_sample_weights {tuple(per_sample_weights.shape)} must have the "
            f"shape of input, {tuple(input.shape)}"
        )
    _check_options(input, offsets, mode, scale_grad_by_freq, sparse, per_sample_weights)
    input, offsets = in_one_type(input, offsets)
    _check_types(input, weight, offsets, padding_idx, per_sample_weights)
    _check_offsets(offsets, input.numel(), include_last_offset)
    index = input if input.ndim == 1 else input.reshape(-1)
    check_range(
        index, low=0, high=weight.shape[0] - 1, error=RuntimeError,
        message=(
            "embedding_bag: Expected idx >= 0 && idx < num_embeddings, but an index is {}, and "
            f"num_embeddings {weight.shape[0]}"
        ),
    )  # fmt: skip
    skipped = padding_idx if sparse else None  # a sparse gradient does not store this row
    factors = per_sample_weights
    if mode != "max" and max_norm is None and not _recorded(weight, factors):
        found = _summed(input, weight, offsets, mode, factors, include_last_offset, padding_idx)
        if found is not None:
            return watch(found, input, offsets, factors)
    bags, bag, kept = _bags(input, offsets, include_last_offset)
    rows = embedding(index, weight, skipped, max_norm, norm_type, scale_grad_by_freq, sparse)
    if padding_idx is not None:
        counted = index != padding_idx % weight.shape[0]
        kept = counted if kept is None else kept & counted
    found = _reduced(rows, kept, bag, bags, mode, factors)
    # PyTorch's gradient needs these, and the table only for that of the factors.
    table = weight if factors is not None and factors.requires_grad else None
    return watch(renamed(found, "EmbeddingBagBackward0"), input, offsets, factors, table)


def _recorded(*tensors):
    """Whether a gradient of one of ``tensors`` may be wanted, or operations must be seen."""
    wanted = any(t is not None and t.node is not None for t in tensors)
    return modes.intercept or (wanted and modes.records())


def _summed(input, weight, offsets, mode, factors, include_last_offset, padding_idx):
    """The sums or means of bags, which are runs of indices, in one pass; None: see ``sum_runs``."""
    index = plain(input).reshape(-1)
    if offsets is None:
        ends = np.arange(len(input) + 1) * input.shape[1]
    else:
        ends = plain(offsets)
        ends = ends if include_last_offset else np.concatenate((ends, (len(index),)))
        if np.count_nonzero(ends[1:] < ends[:-1]):
            return None
    factors = None if factors is None else plain(factors).reshape(-1)
    if padding_idx is not None:
        kept = index != padding_idx % len(weight)
        ends = np.append(0, np.cumsum(kept))[ends]
        index, factors = index[kept], None if factors is None else factors[kept]
    table = plain(weight)
    total = sum_runs(table, index, ends, factors)
    if total is not None and mode == "mean":
        total /= np.maximum(np.diff(ends), 1).astype(table.dtype)[:, None]
    return None if total is None else from_array(total)


def _reduced(rows, kept, bag, bags, mode, factors):
    """Return the sum, mean or maximum of the ``rows`` of each bag."""
    if mode == "max":
        return _largest(rows, kept, bag, bags)
    rows = _zeroed(rows, kept)
    if factors is not None:
        rows = rows * _zeroed(factors.reshape(-1, 1), kept)
    total = _added(rows, bag, bags)
    if mode == "sum":
        return total
    ones = rows.new_ones(rows.shape[0]) if kept is None else kept.to(rows.dtype)
    return total / _added(ones, bag, bags).clamp_min(1).unsqueeze(1)
