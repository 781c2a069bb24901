"""Masked reductions: only the elements whose mask is True count."""

import rushlight
from rushlight.docstrings import document
from rushlight.dtype import float32, int64
from rushlight.masked.masks import dims, filled, highest, identity, lowest, opened
from rushlight.ops.tensor.memory_format import strided

__all__ = [
    "amax", "amin", "argmax", "argmin", "logaddexp", "logsumexp", "mean", "median", "norm", "prod",
    "std", "sum", "var",
]  # fmt: skip


def _reduction(function):
    return document(function, "masked reduction")


def _accumulated(dtype):
    """The dtype of a sum or product of ``dtype``: int64 for bool and integers."""
    whole = not (dtype.is_floating_point or dtype.is_complex)
    return int64 if whole and dtype.itemsize < 8 else dtype


def _of_sparse(name, input, dim, keepdim, dtype, mask, value):
    """The reduction of a sparse tensor, or of a MaskedTensor over one."""
    from rushlight.masked.sparse import reduced  # sparse tensors load when they are used

    x, mask = opened(input, mask, name, sparse=True)
    return reduced(name, x, dim, bool(keepdim), dtype, mask, value)


@_reduction
def sum(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Add the elements along ``dim`` whose mask is True. Without such elements the sum is 0.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        RuntimeError: A dim is given twice, or the mask does not broadcast to ``input``'s shape.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> torch.masked.sum(torch.tensor([[1, 2, 3], [4, 5, 6]]), 1, mask=mask)
    tensor([4, 0])
    """
    dtype = _accumulated(input.dtype) if dtype is None else dtype
    if input.layout is not strided:
        return _of_sparse("sum", input, dim, keepdim, dtype, mask, identity(0))
    x = filled(input, mask, identity(0), "sum")
    return rushlight.sum(x, dims(dim, x.ndim), bool(keepdim), dtype=dtype)


@_reduction
def prod(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Multiply the elements along ``dim`` whose mask is True. Without such elements: 1.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        RuntimeError: A dim is given twice, or the mask does not broadcast to ``input``'s shape.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> torch.masked.prod(torch.tensor([[1, 2, 3], [4, 5, 6]]), 1, mask=mask)
    tensor([3, 1])
    """
    dtype = _accumulated(input.dtype) if dtype is None else dtype
    if input.layout is not strided:
        return _of_sparse("prod", input, dim, keepdim, dtype, mask, identity(1))
    x = filled(input, mask, identity(1), "prod").to(dtype)
    some = [] if dim == [] else dims(dim, x.ndim)  # in PyTorch only () stands for all dims
    for d in reversed(some):  # ``torch.prod`` reduces one dim at a time
        x = x.prod(dim=d, keepdim=bool(keepdim))
    return x


def _extremum(name, input, dim, keepdim, dtype, mask):
    """Reduce by ``torch.amax`` or its like: one dim or several, by the function's own rules."""
    value = lowest if name.endswith("max") else highest
    if input.layout is not strided and not name.startswith("arg"):
        own = input.dtype if dtype is None else dtype
        return _of_sparse(name, input, dim, keepdim, own, mask, value)
    x = filled(input, mask, value, name)
    dim = dim if name.startswith("arg") else dims(dim, x.ndim)
    return getattr(rushlight, name)(x, dim, bool(keepdim)).to(x.dtype if dtype is None else dtype)


@_reduction
def amax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Return the largest element along ``dim`` whose mask is True.

    Without such elements the result is the dtype's smallest value, or -inf.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        NotImplementedError: A mask is given and the dtype has no smallest value, such as bool.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, True, False], [False, False, False]])
    >>> torch.masked.amax(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 1, mask=mask)
    tensor([2., -inf])
    """
    return _extremum("amax", input, dim, keepdim, dtype, mask)


@_reduction
def amin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Return the smallest element along ``dim`` whose mask is True.

    Without such elements the result is the dtype's largest value, or inf.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        NotImplementedError: A mask is given and the dtype has no largest value, such as bool.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[False, True, True], [False, False, False]])
    >>> torch.masked.amin(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 1, mask=mask)
    tensor([2., inf])
    """
    return _extremum("amin", input, dim, keepdim, dtype, mask)


@_reduction
def argmax(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Return the position of the largest element along ``dim`` whose mask is True.

    Args:
        dim: The one dim to reduce. Default: all dims; the position is that in the flat tensor.
        dtype: The dtype of the result. Default: ``input``'s dtype, as in PyTorch.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        NotImplementedError: A mask is given and the dtype has no smallest value, such as bool.

    >>> import rushlight as torch
    >>> mask = torch.tensor([True, True, False])
    >>> torch.masked.argmax(torch.tensor([1, 2, 3]), 0, mask=mask)
    tensor(1)
    """
    return _extremum("argmax", input, dim, keepdim, dtype, mask)


@_reduction
def argmin(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Return the position of the smallest element along ``dim`` whose mask is True.

    Args:
        dim: The one dim to reduce. Default: all dims; the position is that in the flat tensor.
        dtype: The dtype of the result. Default: ``input``'s dtype, as in PyTorch.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        NotImplementedError: A mask is given and the dtype has no largest value, such as bool.

    >>> import rushlight as torch
    >>> mask = torch.tensor([False, True, True])
    >>> torch.masked.argmin(torch.tensor([1, 2, 3]), 0, mask=mask)
    tensor(1)
    """
    return _extremum("argmin", input, dim, keepdim, dtype, mask)


def _total_and_count(x, mask, dim, keepdim, dtype):
    """The sum of the elements that count along ``dim``, and their number."""
    total = sum(x, dim, keepdim=keepdim, dtype=dtype, mask=mask)
    counted = rushlight.ones(x.shape, dtype=int64) if mask is None else mask
    return total, rushlight.sum(counted, dims(dim, x.ndim), bool(keepdim))


@_reduction
def mean(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Average the elements along ``dim`` whose mask is True. Without such elements: nan.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        ValueError: The dtype is neither floating point nor complex.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> torch.masked.mean(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 1, mask=mask)
    tensor([2., nan])
    """
    source, dtype = ("Input", input.dtype) if dtype is None else ("Optional", dtype)
    if not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {source} dtype must be either a floating "
            f"point or complex dtype. Got: {dtype}"
        )
    if input.layout is not strided:
        return _of_sparse("mean", input, dim, keepdim, dtype, mask, identity(0))
    x, mask = opened(input, mask, "mean")
    total, count = _total_and_count(x, mask, dim, keepdim, dtype)
    return total / count


@_reduction
def median(input, dim=-1, *, keepdim=False, dtype=None, mask=None):
    """Return the median of the elements along ``dim`` whose mask is True, the lower one of two.

    Without such elements the result is nan. Elements that are nan do not count.

    Args:
        dim: The one dim to reduce. Default: the last dim.
        dtype: The dtype of the result, for integers only. Default: ``input``'s dtype.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        ValueError: ``input`` has integers, and no element of some slice counts.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> torch.masked.median(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 1, mask=mask)
    tensor([1., nan])
    """
    x, mask = opened(input, mask, "median")
    own = x.dtype
    x = filled(
        x if own.is_floating_point else x.to(float32), mask, identity(float("nan")), "median"
    )
    out = rushlight.nanmedian(x, dims(dim, x.ndim)[0], keepdim).values
    if own.is_floating_point:
        return out
    if rushlight.isnan(out).any():
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return out.to(own if dtype is None else dtype)


def _lowest_or_complex(dtype, name):
    return -float("inf") if dtype.is_complex else lowest(dtype, name)


@_reduction
def logsumexp(input, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Return log(Σ exp(x)) over the elements along ``dim`` whose mask is True.

    Without such elements the result is -inf.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.
        NotImplementedError: A mask is given and the dtype is bool.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> torch.masked.logsumexp(torch.zeros(2, 3), 1, mask=mask)
    tensor([0.6931,   -inf])
    """
    x = filled(input, mask, _lowest_or_complex, "logsumexp")
    found = rushlight.logsumexp(x, dims(dim, x.ndim), keepdim=keepdim)
    return found.to(x.dtype if dtype is None else dtype)


def logaddexp(input, other, *, dtype=None, input_mask=None, other_mask=None):
    """Return log(exp(input) + exp(other)); a masked-out element counts as -inf.

    Args:
        input, other: Tensors or MaskedTensors, floating point. They are broadcast to one shape.
        dtype: The dtype of the result. Default: ``input``'s dtype.
        input_mask, other_mask: Bool tensor that is broadcast to the shape of ``input`` or
            ``other``: True where an element counts. Default: all elements count.

    Returns:
        Tensor of the shape to which the operands are broadcast.

    Raises:
        IndexError: A mask has more dims than its tensor.

    >>> import rushlight as torch
    >>> mask = torch.tensor([True, False])
    >>> x, y = torch.tensor([-100.0, -200.0]), torch.tensor([-1.0, -2.0])
    >>> torch.masked.logaddexp(x, y, input_mask=mask, other_mask=mask)
    tensor([-1., -inf])
    """
    x = filled(input, input_mask, lowest, "logaddexp")
    y = filled(other, other_mask, lowest, "logaddexp")
    return rushlight.logaddexp(x, y).to(x.dtype if dtype is None else dtype)


@_reduction
def norm(input, ord=2.0, dim=None, *, keepdim=False, dtype=None, mask=None):
    """Return the vector norm of the elements along ``dim`` whose mask is True.

    Without such elements the norm is 0, or inf for ``ord=-inf``.

    Args:
        ord: The order of the norm: a number, inf or -inf. Default: 2.

    Raises:
        AssertionError: ``ord`` is -inf and ``input`` is not floating point.
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> mask = torch.tensor([True, False, True])
    >>> torch.masked.norm(torch.tensor([3.0, 2.0, 4.0]), 2, 0, mask=mask)
    tensor(5.)
    """
    smallest = ord == -float("inf")
    x, mask = opened(input, mask, "norm")
    if smallest and mask is not None and not x.dtype.is_floating_point:
        raise AssertionError(f"input must be floating point, got {x.dtype}")
    x = filled(x, mask, identity(float("inf") if smallest else 0), "norm")
    dtype = x.dtype if dtype is None else dtype
    return rushlight.linalg.vector_norm(x, ord, dims(dim, x.ndim), bool(keepdim), dtype=dtype)


def _variance(name, input, dim, unbiased, correction, keepdim, dtype, mask):
    """The variance by its definition: the mean of the squared distances from the mean."""
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    x, mask = opened(input, mask, name)
    own = x.dtype
    if dtype is None:
        dtype = own if own.is_floating_point or own.is_complex else float32
    inner = dtype if dtype.is_floating_point or dtype.is_complex else float32
    total, count = _total_and_count(x, mask, dim, True, dtype)
    distance = x - total / count
    squares = sum(distance * distance.conj(), dim, keepdim=keepdim, dtype=inner, mask=mask)
    count = count.reshape(squares.shape)
    if correction != 0:
        count = (count.to(inner.to_real()) - float(correction)).clamp(min=0)
    found = (squares / count).to(dtype)
    return found.sqrt() if name == "std" else found


@_reduction
def var(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None):
    """Return the variance of the elements along ``dim`` whose mask is True.

    The sum of the squared distances from the mean is divided by n - ``correction``, where n is the
    number of elements that count. Without such elements the result is nan.

    Args:
        unbiased: True: ``correction`` is 1; False: it is 0. Default: True.
        correction: Number that is subtracted from n. Default: 1.

    Raises:
        AssertionError: ``unbiased`` and ``correction`` are both given.
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> torch.masked.var(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 1, mask=mask)
    tensor([2., nan])
    """
    return _variance("var", input, dim, unbiased, correction, keepdim, dtype, mask)


@_reduction
def std(input, dim=None, unbiased=None, *, correction=None, keepdim=False, dtype=None, mask=None):
    """Return the standard deviation of the elements along ``dim`` whose mask is True.

    This is the square root of ``torch.masked.var``. Without such elements the result is nan.

    Args:
        unbiased: True: ``correction`` is 1; False: it is 0. Default: True.
        correction: Number that is subtracted from the number of elements that count. Default: 1.

    Raises:
        AssertionError: ``unbiased`` and ``correction`` are both given.
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> torch.masked.std(torch.tensor([[1.0, 2.0, 5.0], [4.0, 5.0, 6.0]]), 1, False, mask=mask)
    tensor([2., nan])
    """
    return _variance("std", input, dim, unbiased, correction, keepdim, dtype, mask)
