"""Products of matrices and vectors, added to a tensor: addmm and similar functions."""

from functools import partial

import numpy as np

import rushlight.dtype as dtypes
from rushlight import shapes
from rushlight.autograd import mode
from rushlight.backend.products import matrix_product
from rushlight.docstrings import document
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import LOWER, autocasts
from rushlight.ops.core.definition import function
from rushlight.ops.core.half_precision import rounded_once
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.legacy_arguments import affine_order, takes_older_order
from rushlight.ops.core.outputs import store
from rushlight.ops.core.overlap import refuse_overlap
from rushlight.ops.core.promotion import promote
from rushlight.ops.core.rules import conj
from rushlight.ops.core.scale_factors import check_category, factor
from rushlight.ops.index.mask import where
from rushlight.ops.linear.matmul import (
    adjoint,
    batched,
    bmm,
    check_batches,
    check_tensors,
    mm,
    mv,
    of_one_dtype,
    outer,
    product,
    ranked,
    times,
)  # fmt: skip
from rushlight.ops.linear.short_path import short_path

_documented = partial(document, kind="affine")


def _affine(name, op, ranks):
    def run(input, a, b, beta, alpha, out):
        ranked(name, op, ranks, a=a, b=b)
        return _axpby(op, a, b, input, alpha, beta, name, out)

    return run


def _axpby(op, a, b, input, alpha, beta, name, out, **how):
    """``beta · input + alpha · op(a, b)``."""
    check_tensors(name, input=input)
    operand = getattr(a, "dtype", None)
    summed = lambda a, b, input: _sum(op(a, b), input, alpha, beta, name, operand)
    found = rounded_once(summed, a, b, input)
    return found if out is None else _stored(found, input, name, out, **how)


def _stored(found, input, name, out, **how):
    if input._array.shape == found._array.shape:  # PyTorch begins with a copy of ``input`` in out
        refuse_overlap(out, (input,), name)
    return store(out, found, name, **how)


def _sum(product_, input, alpha, beta, name, operand):
    """``beta · input + alpha · product_``.

    The factors are converted to ``operand``, the dtype of the function's first matrix or vector.
    """
    dtype = product_.dtype
    if input.dtype is not dtype:
        raise DtypeError(
            f"{name}: input tensors must have the same dtype, but got {input.dtype} and {dtype}"
        )
    if dtype is dtypes.bool:
        raise UnsupportedDtypeError(f"{name}: not implemented for 'Bool'; convert with .int()")
    rounded = name in ("addmv", "addr")
    alpha, beta = factor(alpha, operand, rounded), factor(beta, operand, rounded)
    shapes.check_expansion(f"{name}: input", input._array.shape, product_._array.shape)
    found = product_ if alpha == 1 else product_ * alpha
    if beta != 0:  # with beta 0 the input does not count, even if it has nan
        found = found + (input if beta == 1 else input * beta)
    elif input.requires_grad and mode.records():
        found = where(found.new_ones((), dtype=dtypes.bool), found, input)  # its gradient is 0
    return found


def _sum_with(product_, name, rank, **options):
    """Define the kernel ``input + product_(mat1, mat2)``, whose result has ``rank`` dims."""

    def shape(input, mat1, mat2):
        out = shapes.matmul(mat1.shape, mat2.shape, name)
        shapes.check_expansion(f"{name}: input", input.shape, out)
        return out

    @kernel(public=False, method=False, name=name, shape=shape, prepare=of_one_dtype(name),
            rounds_once=True, **options)  # fmt: skip
    def added(xp, input, mat1, mat2):
        out = product(xp, mat1, mat2)
        if input.ndim > rank:
            shape(input, mat1, mat2)  # raises
        out += input
        return out

    added.lower(lambda input, mat1, mat2: product_(mat1, mat2) + input)
    return added


def _added(product_, rank):
    """The function of arrays that ``short_path`` wants of a kernel from ``_sum_with``."""

    def compute(input, mat1, mat2):
        out = product_(mat1, mat2) if input.ndim <= rank else None
        if out is not None:
            out += input
        return out

    return compute


_addmm = _sum_with(mm, "addmm", 2, eight_bits=True)
_addmv = _sum_with(mv, "addmv", 1)
_baddbmm = _sum_with(bmm, "baddbmm", 3)
for _op in (_addmm, _baddbmm):
    _op.grad(
        input=lambda g: g,
        mat1=lambda g, mat2: times(g, adjoint(mat2)),
        mat2=lambda g, mat1: times(adjoint(mat1), g),
    )
_addmv.grad(
    input=lambda g: g,
    mat1=lambda g, mat2: g[:, None] * conj(mat2)[None, :],
    mat2=lambda g, mat1: adjoint(mat1) @ g,
)


@function(inplace=True)
@short_path(_addmm, (None, 2, 2), _added(matrix_product, 2))
@_documented
@autocasts(LOWER)
@takes_older_order
def addmm(input, mat1, mat2, *older, beta=1, alpha=1, out=None):
    """Multiply two matrices and add a tensor: ``beta · input + alpha · (mat1 @ mat2)``.

    Args:
        input: Tensor that broadcasts to ``(n, m)``.
        mat1: Tensor ``(n, k)``.
        mat2: Tensor ``(k, m)``.

    Returns:
        Tensor ``(n, m)``.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.addmm(torch.ones(2), torch.ones(1, 3), torch.ones(3, 2))
    tensor([[4., 4.]])
    """
    if older:
        input, mat1, mat2, beta, alpha = affine_order("addmm", input, mat1, mat2, *older)
    if beta == alpha == 1 and out is None:
        ranked("addmm", None, (2, 2), mat1=mat1, mat2=mat2)
        return _addmm(input, mat1, mat2)
    return _affine("addmm", mm, (2, 2))(input, mat1, mat2, beta, alpha, out)


@function(inplace=True)
@short_path(_addmv, (None, 2, 1), _added(np.matmul, 1))
@_documented
@takes_older_order
def addmv(input, mat, vec, *older, beta=1, alpha=1, out=None):
    """Multiply a matrix by a vector and add a tensor: ``beta · input + alpha · (mat @ vec)``.

    Args:
        input: Tensor that broadcasts to ``(n,)``.
        mat: Tensor ``(n, k)``.
        vec: Tensor ``(k,)``.

    Returns:
        Tensor ``(n,)``.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.addmv(torch.ones(2), torch.eye(2), torch.tensor([3.0, 4.0]), alpha=2)
    tensor([7., 9.])
    """
    if older:
        input, mat, vec, beta, alpha = affine_order("addmv", input, mat, vec, *older)
    if beta == alpha == 1 and out is None:
        ranked("addmv", None, (2, 1), mat=mat, vec=vec)
        return _addmv(input, mat, vec)
    return _affine("addmv", mv, (2, 1))(input, mat, vec, beta, alpha, out)


@function(inplace=True)
@_documented
@takes_older_order
def addr(input, vec1, vec2, *older, beta=1, alpha=1, out=None):
    """Add the outer product of two vectors: ``beta · input + alpha · outer(vec1, vec2)``.

    Different dtypes are promoted.

    Args:
        input: Tensor that broadcasts to ``(n, m)``.
        vec1: Tensor ``(n,)``.
        vec2: Tensor ``(m,)``.

    Returns:
        Tensor ``(n, m)``.

    Raises:
        RuntimeError: Shapes do not fit.

    >>> import rushlight as torch
    >>> torch.addr(torch.ones(2, 2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([[4., 5.],
            [7., 9.]])
    """
    if older:
        input, vec1, vec2, beta, alpha = affine_order("addr", input, vec1, vec2, *older)
    ranked("addr", None, (1, 1), vec1=vec1, vec2=vec2)
    check_tensors("addr", input=input)
    result = promote([input, vec1, vec2])
    for argument, value in (("beta", beta), ("alpha", alpha)):
        if type(value) is not int and (type(value) is bool or result.category < 2):
            check_category("addr", argument, value, result)
    vec1, vec2 = vec1.to(result), vec2.to(result)
    if result is dtypes.bool:
        found = (input & bool(beta)) | (outer(vec1, vec2) & bool(alpha))
        return found if out is None else store(out, found, "addr", casts=True)
    op = _outer_by_columns if _by_columns(input._array) else outer
    alpha = factor(alpha, result, True)
    vec1 = vec1 if alpha == 1 else vec1 * alpha  # PyTorch's order, and half precision's roundings
    found = _sum(op(vec1, vec2), input.to(result), 1, beta, "addr", result)
    return found if out is None else _stored(found, input, "addr", out, casts=True)


def _by_columns(x):
    """True if ``x`` is a matrix in column-major order."""
    return x.ndim == 2 and min(x.shape) > 1 and 0 < x.strides[0] < x.strides[1]


def _outer_by_columns(a, b):
    """The outer product in column-major order, because ``addr`` keeps the order of its input."""
    return outer(b, a).t()


@function(inplace=True)
@short_path(_baddbmm, (None, 3, 3), _added(batched, 3))
@_documented
@autocasts(LOWER)
@takes_older_order
def baddbmm(input, batch1, batch2, *older, beta=1, alpha=1, out=None):
    """Multiply batches of matrices and add a tensor: ``beta · input + alpha · (batch1 @ batch2)``.

    Args:
        input: Tensor that broadcasts to ``(b, n, m)``.
        batch1: Tensor ``(b, n, k)``.
        batch2: Tensor ``(b, k, m)``.

    Returns:
        Tensor ``(b, n, m)``.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.baddbmm(torch.ones(5, 2, 4), torch.ones(5, 2, 3), torch.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    if older:
        input, batch1, batch2, beta, alpha = affine_order("baddbmm", input, batch1, batch2, *older)
    if beta == alpha == 1 and out is None:
        ranked("baddbmm", None, (3, 3), batch1=batch1, batch2=batch2)
        check_batches("baddbmm", batch1, batch2)
        return _baddbmm(input, batch1, batch2)
    return _axpby(bmm, batch1, batch2, input, alpha, beta, "baddbmm", out)


@function(inplace=True)
@_documented
@autocasts(LOWER)
@takes_older_order
def addbmm(input, batch1, batch2, *older, beta=1, alpha=1, out=None):
    """Sum the products of two batches of matrices and add a tensor.

    Computes ``beta · input + alpha · Σ_i batch1[i] @ batch2[i]``.

    Args:
        input: Tensor that broadcasts to ``(n, m)``.
        batch1: Tensor ``(b, n, k)``.
        batch2: Tensor ``(b, k, m)``.

    Returns:
        Tensor ``(n, m)``.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.addbmm(torch.zeros(1), torch.ones(5, 2, 3), torch.ones(5, 3, 2))
    tensor([[15., 15.],
            [15., 15.]])
    """
    if older:
        input, batch1, batch2, beta, alpha = affine_order("addbmm", input, batch1, batch2, *older)
    op = lambda a, b: bmm(a, b).sum(0, dtype=a.dtype)
    return _axpby(op, batch1, batch2, input, alpha, beta, "addbmm", out, silent=True)
