"""Rows of a table looked up by index (``embedding``), and ``one_hot``."""

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.write import write
from rushlight.backend.accumulate import add_rows
from rushlight.dtype import bool as bool_
from rushlight.dtype import int64
from rushlight.errors import DtypeError, IndexRangeError, ShapeError
from rushlight.ops.core.dispatch import apply, refuse
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.promotion import as_number
from rushlight.ops.core.range_checks import check_range, within
from rushlight.ops.create.filled import zeros
from rushlight.ops.create.range import arange
from rushlight.ops.index.along_dim import repeated, slices
from rushlight.ops.reduce.vector_norm import vector_norm
from rushlight.tensor import Tensor

__all__ = ["embedding"]


def _checked(indices, rows):
    if within(indices, 0, rows - 1):
        return
    bad = indices[(indices < 0) | (indices >= rows)][0]
    error = IndexError if rows else IndexRangeError
    raise error(
        f"embedding: index out of range in self: {bad} is outside [0, {rows}), the rows of weight"
    )


@kernel(public=False, method=False, name="embedding", widen=False, own_slope=True)
def _embedding(xp, x, indices, *, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """Return the rows of x at ``indices``."""
    _checked(indices, len(x))
    return x.take(indices, 0)


def _of_batch(batch, e, operands, params):
    """Indices of a batch are more indices. If each sample has a table, all tables become one."""
    (x, own_table), (indices, own_indices) = operands
    if not own_table:
        return None if params["scale_grad_by_freq"] else batch.apply(e.op, [x, indices], params)
    if params["padding_idx"] >= 0 or params["sparse"]:
        return None
    n, rows = x.shape[:2]
    _in_table(x[0], indices)
    if not own_indices:
        indices = indices.expand(n, *indices.shape)
    first = arange(0, n * rows, rows, device=indices.device)
    indices = indices + first.reshape(n, *[1] * (len(indices.shape) - 1))
    return batch.apply(e.op, [x.reshape(n * rows, x.shape[2]), indices], params)


_embedding.op.batching = _of_batch


@_embedding.lower
def _embedding_of_gather(x, indices):
    found = slices(x, 0, indices.reshape(indices.numel()))
    return found.reshape((*indices.shape, x.shape[1]))


@_embedding.lower_check
def _in_table(x, indices):
    n = x.shape[0]
    message = f"embedding: index out of range in self: {{}} is outside [0, {n}), the rows of weight"
    check_range(indices, low=0, high=n - 1, error=IndexError, message=message)


@kernel(
    public=False, method=False, name="embedding_backward", widen=False,
    shape=lambda g, indices, *, rows, **params: (rows, g.shape[-1]),
)  # fmt: skip
def _scatter(xp, g, indices, *, rows, padding_idx, scale_grad_by_freq):
    """Return the gradient of the table: for each row, the sum of the entries of ``g`` for it.

    The row ``padding_idx`` gets 0.
    """
    flat = indices.reshape(-1)
    values = g.reshape(len(flat), g.shape[-1])
    wide = values.astype(np.float32) if g.dtype.itemsize == 2 else values
    if scale_grad_by_freq:
        wide = wide / np.bincount(flat, minlength=rows)[flat][:, None].astype(wide.dtype)
    found = np.zeros((rows, g.shape[-1]), wide.dtype)
    add_rows(found, flat, wide)
    if padding_idx >= 0:
        found[padding_idx] = 0
    return found.astype(g.dtype, copy=False)


def _shares(values, index, rows, padding_idx, scale_grad_by_freq):
    """Return ``values`` (n, features) scaled as in the gradient of the rows ``index`` (n).

    ``scale_grad_by_freq`` divides each value by the count of its row, and ``padding_idx`` masks a
    row.
    """
    if scale_grad_by_freq:
        count = values.new_zeros(rows).scatter_add(0, index, values.new_ones(index.numel()))
        values = values / count.gather(0, index).unsqueeze(1)
    if padding_idx >= 0:
        values = values.masked_fill((index == padding_idx).unsqueeze(1), 0)
    return values


@_scatter.lower
def _scatter_of_rows(g, indices, rows, padding_idx, scale_grad_by_freq):
    index, width = indices.reshape(indices.numel()), g.shape[-1]
    values = g.reshape(indices.numel(), width)
    values = values.float() if g.dtype.itemsize == 2 else values
    values = _shares(values, index, rows, padding_idx, scale_grad_by_freq)
    found = values.new_zeros((rows, width))
    return found.scatter_add(0, repeated(index, 0, found.shape), values).to(g.dtype)


@kernel(public=False, method=False, name="embedding_double_backward", widen=False)
def _gather(xp, h, indices, *, padding_idx, scale_grad_by_freq):
    """Return the gradient of ``_scatter`` with respect to its ``g``.

    ``h`` is the gradient of the result of ``_scatter``.
    """
    found = h.take(indices, 0)
    if scale_grad_by_freq:
        found /= np.bincount(indices.reshape(-1))[indices][..., None].astype(h.dtype)
    if padding_idx >= 0:
        found[indices == padding_idx] = 0
    return found


@_gather.lower
def _gather_of_rows(h, indices, padding_idx, scale_grad_by_freq):
    index = indices.reshape(indices.numel())
    found = _shares(slices(h, 0, index), index, h.shape[0], padding_idx, scale_grad_by_freq)
    return found.reshape((*indices.shape, h.shape[1]))


def _gradient(g, x_shape, indices, padding_idx, scale_grad_by_freq, sparse):
    options = {"padding_idx": padding_idx, "scale_grad_by_freq": scale_grad_by_freq}
    if not sparse:
        return _scatter(g, indices, rows=x_shape[0], **options)
    from rushlight.sparse.rows import gradient_of_rows

    return gradient_of_rows(g, indices, x_shape[0], **options)


_embedding.grad(x=_gradient)
_scatter.grad(
    g=lambda h, indices, padding_idx, scale_grad_by_freq: _gather(
        h, indices, padding_idx=padding_idx, scale_grad_by_freq=scale_grad_by_freq
    )
)
_gather.grad(
    h=lambda h, h_shape, indices, padding_idx, scale_grad_by_freq: _scatter(
        h, indices, rows=h_shape[0], padding_idx=padding_idx, scale_grad_by_freq=scale_grad_by_freq
    )
)


@kernel(public=False, method=False, name="embedding_renorm")
def _renormed(xp, x, indices, *, max_norm, norm_type):
    """Return a copy of x with the rows at ``indices`` scaled down to at most norm ``max_norm``."""
    _checked(indices, len(x))
    rows = np.unique(indices)
    found = x.copy()
    norms = np.linalg.norm(x[rows], norm_type, axis=1)
    long = norms > max_norm
    scale = (max_norm / (norms[long] + 1e-7)).astype(x.dtype)
    found[rows[long]] *= scale[:, None]
    return found


@_renormed.lower_by_counting
def _renormed_on_devices(x, indices, max_norm, norm_type):
    flat = indices.reshape(-1).to(int64)
    if not flat.numel() or flat.min().item() < 0 or flat.max().item() >= len(x):
        return NotImplemented  # the forward raises the error
    read = zeros(len(x), dtype=bool_).index_fill(0, flat, True)
    norms = vector_norm(x, dim=(1,), p=norm_type, keepdim=False)
    scale = (max_norm / (norms + 1e-7)).where(read & (norms > max_norm), 1.0)
    return x * scale[:, None]


def _check_kind(indices):
    if indices.dtype.name not in ("int64", "int32"):
        raise DtypeError(
            "embedding: Expected tensor for argument #1 'indices' to have one of the following "
            f"scalar types: Long, Int; but got {indices.dtype}; convert with .long()"
        )


def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
    sparse=False,
):  # fmt: skip
    """Return the rows of ``weight`` at the indices ``input``.

    Args:
        input: The indices: int32 or int64 tensor (*).
        weight: The table, a tensor (rows, features).
        padding_idx: A row that gets no gradient. Default: None.
        max_norm: Scale rows of ``weight`` with a larger norm down to it, in place, before the
            lookup. Default: None.
        norm_type: The p of the p-norm that ``max_norm`` limits. Default: 2.
        scale_grad_by_freq: Divide the gradient of each row by how often ``input`` names the row.
            Default: False.
        sparse: The gradient of ``weight`` is a sparse tensor that has only the rows in ``input``.
            ``SparseAdam``, ``SGD`` and ``Adagrad`` take such gradients. Default: False.

    Returns:
        Tensor (*, features).

    Raises:
        IndexError: An index is outside [0, rows).
        RuntimeError: The indices are not int32 or int64, or ``weight`` does not have two dims.

    >>> import rushlight as torch
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> torch.nn.functional.embedding(torch.tensor([1, 1, 0]), table)
    tensor([[3., 4.],
            [3., 4.],
            [1., 2.]])
    """
    if not isinstance(weight, Tensor):
        refuse(_embedding.op, 0, weight)
    if not isinstance(input, Tensor):
        raise TypeError(
            "embedding(): argument 'indices' (position 2) must be Tensor, not "
            f"{type(input).__name__}"
        )
    w = weight._array
    if w.ndim != 2:
        raise ShapeError(f"embedding: 'weight' must be 2-D, but is {tuple(w.shape)}")
    _check_kind(input)
    if padding_idx is None:
        padding_idx = -1
    else:
        if not -w.shape[0] <= padding_idx < w.shape[0]:
            raise AssertionError(
                f"embedding: Padding_idx must be within num_embeddings: {padding_idx} of "
                f"{w.shape[0]}"
            )
        padding_idx %= w.shape[0]
    if max_norm is not None:
        renorm_rows(weight, input, max_norm, norm_type)
    params = {
        "padding_idx": padding_idx, "scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse,
    }  # fmt: skip
    return apply(_embedding.op, (weight, input), params)


def renorm_rows(weight, input, max_norm, norm_type):
    """Scale the rows of ``weight`` that ``input`` names down to the norm ``max_norm``, in place."""
    if weight.ndim != 2:
        raise ShapeError(f"embedding_renorm_: expected 2-dimensional rows, not {weight.ndim}D")
    if weight.dtype.category < 2:
        raise DtypeError(
            "embedding_renorm_: norm(): input dtype should be either floating point or complex. "
            f"Got {weight.dtype} instead."
        )
    _check_kind(input)
    max_norm, norm_type = as_number(max_norm), as_number(norm_type)
    was = mode.set_grad(False)
    try:
        found = _renormed(weight, input, max_norm=max_norm, norm_type=norm_type)
        write(weight, found, "embedding_renorm_")
    finally:
        mode.set_grad(was)


@kernel(public=False, method=False, name="one_hot", widen=False)
def one_hot(xp, x, *, num_classes):
    """Return, for each index in x, a vector of zeros with a 1 at that index."""
    if x.size and x.min() < 0:
        raise RuntimeError(f"one_hot: Class values must be non-negative, but one is {x.min()}")
    if x.size and x.max() >= num_classes:
        raise RuntimeError(
            f"one_hot: Class values must be smaller than num_classes={num_classes}, but one is "
            f"{x.max()}"
        )
    found = xp.zeros((x.size, num_classes), np.int64)
    found[np.arange(x.size), x.reshape(-1)] = 1
    return found.reshape(*x.shape, num_classes)


@one_hot.lower
def _one_hot_of_comparison(x, num_classes):
    return (x.unsqueeze(-1) == arange(num_classes)).long()


def _of_samples(batch, e, operands, params):
    """Zeros for a number that is no class: under ``vmap``, PyTorch checks no classes either."""
    return _one_hot_of_comparison(operands[0][0], **params)


one_hot.op.batching = _of_samples


@one_hot.lower_check
def _classes(x, num_classes):
    most = np.iinfo(x._array.dtype).max
    message = "one_hot: Class values must be non-negative, but one is {}"
    check_range(x, low=0, high=most, error=RuntimeError, message=message)
    message = (
        f"one_hot: Class values must be smaller than num_classes={num_classes}, but one is {{}}"
    )
    check_range(x, low=0, high=num_classes - 1, error=RuntimeError, message=message)
