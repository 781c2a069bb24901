"""Products of matrices and vectors, all of them one contraction."""

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.definition import function
from rushlight.ops.direct import FLOATS, plain, taped
from rushlight.ops.kinds import kernel
from rushlight.ops.result import store
from rushlight.ops.rules import conj
from rushlight.tensor import Tensor, method


def _adjoint(x):
    """The conjugate transpose of the last two dims, of an array or a tensor."""
    return conj(x.mT)


def _same_dtype(name, *arrays):
    kinds = {a.dtype for a in arrays if a is not None}
    if len(kinds) > 1:
        listed = " != ".join(str(a.dtype) for a in arrays if a is not None)
        raise DtypeError(
            f"{name}: expected all matrices to have the same dtype, but got: {listed}; convert one "
            "with .to()"
        )


def product(xp, x, y):
    """``x @ y`` on arrays; integers wrap, as PyTorch's do."""
    _same_dtype("matmul", x, y)
    if x.dtype.kind == "b":
        return xp.matmul(x.astype(np.uint8), y.astype(np.uint8)).astype(bool)
    return times(x, y)


def times(x, y):
    """``x @ y`` for two arrays or two tensors, by the way that costs least on small matrices."""
    if type(x) is ndarray and x.ndim == 2 == y.ndim:
        return x.dot(y)  # half the overhead of matmul, the same BLAS call
    return x @ y


def _shape(name):
    return lambda x, y: shapes.matmul(x.shape, y.shape, name)


@kernel(public=False, method=False, name="mm", shape=_shape("mm"))
def _mm(xp, x, y):
    """The product of two matrices."""
    return product(xp, x, y)


_mm.grad(x=lambda g, y: times(g, _adjoint(y)), y=lambda g, x: times(_adjoint(x), g))


@kernel(public=False, method=False, name="bmm", shape=_shape("bmm"))
def _bmm(xp, x, y):
    """Products of matrices whose leading dims broadcast."""
    return product(xp, x, y)


_bmm.grad(x=lambda g, y: times(g, _adjoint(y)), y=lambda g, x: times(_adjoint(x), g))


@kernel(public=False, method=False, name="mv", shape=_shape("mv"))
def _mv(xp, x, y):
    """A matrix times a vector."""
    return product(xp, x, y)


_mv.grad(
    x=lambda g, y: g[:, None] * conj(y)[None, :],
    y=lambda g, x: _adjoint(x) @ g,
)


@kernel(public=False, method=False, name="dot", shape=_shape("dot"))
def _dot(xp, x, y):
    """The inner product of two vectors."""
    return product(xp, x, y)


_dot.grad(x=lambda g, y: g * conj(y), y=lambda g, x: g * conj(x))


def _tensors(name, **given):
    for position, (argument, t) in enumerate(given.items(), 1):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}(): argument '{argument}' (position {position}) must be Tensor, not "
                f"{type(t).__name__}"
            )


@function
def matmul(input, other, *, out=None):
    """The product of matrices, vectors and batches of either.

    Shape: (…, n, k) @ (…, k, m) → (…, n, m), leading dims broadcast; a vector is a matrix of one
    row (left) or column (right) whose dim is then dropped.

    Raises:
        RuntimeError: the inner sizes differ, or the dtypes do.

    >>> import rushlight as torch
    >>> torch.matmul(torch.ones(2, 3), torch.ones(3))
    tensor([3., 3.])
    """
    try:
        x, y = plain(input), plain(other)
        d = x.dtype
        if (
            x.ndim == 2 == y.ndim
            and y.dtype is d
            and d in FLOATS
            and out is None
            and not mode.intercept
        ):
            px, py = input.node, other.node
            found = x.dot(y)
            kept = (None if px is None else y, None if py is None else x)
            cells = (None if px is None else other.cell, None if py is None else input.cell)
            return taped(_mm.op, found, (px, py), kept, cells)
    except (AttributeError, ValueError, RuntimeWarning):
        pass
    _tensors("matmul", input=input, other=other)
    if input.array.ndim == 2 == other.array.ndim:
        return _mm(input, other, out=out)
    found = _by_rank(input, other)
    return found if out is None else store(out, found, "matmul")


def _by_rank(x, y):
    """``x @ y`` by the operation for their numbers of dims."""
    n, m = x.array.ndim, y.array.ndim
    if n == 1 and m == 1:
        return _dot(x, y)
    if n == 2 and m == 1:
        return _mv(x, y)
    shapes.matmul(tuple(x.array.shape), tuple(y.array.shape))
    if n == 1:
        return matmul(x.unsqueeze(0), y).squeeze(-2)
    if m == 1:
        return matmul(x, y.unsqueeze(-1)).squeeze(-1)
    if m == 2 and n > 2:
        # One large product instead of a batch of small ones.
        rows = x.reshape(-1, x.array.shape[-1])
        return _mm(rows, y).reshape(*x.array.shape[:-1], y.array.shape[-1])
    return _bmm(x, y)


@method
def __matmul__(self, other):
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


@method
def __rmatmul__(self, other):
    return matmul(other, self) if isinstance(other, Tensor) else NotImplemented


def _ranked(name, op, ranks, **given):
    _tensors(name, **given)
    for (argument, t), rank in zip(given.items(), ranks, strict=True):
        if t.array.ndim != rank:
            raise ShapeError(
                f"{name}: {argument} must be a {rank}D tensor, but it is {t.array.ndim}D: "
                f"{tuple(t.shape)}"
            )
    return op


@function
def mm(input, mat2, *, out=None):
    """The product of two matrices: (n, k), (k, m) → (n, m).

    >>> import rushlight as torch
    >>> torch.mm(torch.ones(1, 3), torch.ones(3, 1))
    tensor([[3.]])
    """
    return _ranked("mm", _mm, (2, 2), input=input, mat2=mat2)(input, mat2, out=out)


@function
def bmm(input, mat2, *, out=None):
    """Products of two batches of matrices: (b, n, k), (b, k, m) → (b, n, m)."""
    _ranked("bmm", _bmm, (3, 3), input=input, mat2=mat2)
    if input.array.shape[0] != mat2.array.shape[0]:
        raise ShapeError(
            f"bmm: batch1 {tuple(input.shape)} and batch2 {tuple(mat2.shape)} must have the same "
            f"batch size: {input.array.shape[0]} and {mat2.array.shape[0]}"
        )
    return _bmm(input, mat2, out=out)


@function
def mv(input, vec, *, out=None):
    """A matrix times a vector: (n, k), (k,) → (n,)."""
    return _ranked("mv", _mv, (2, 1), input=input, vec=vec)(input, vec, out=out)


@function
def dot(input, tensor, *, out=None):
    """The inner product of two vectors of one length.

    >>> import rushlight as torch
    >>> torch.dot(torch.tensor([2.0, 3.0]), torch.tensor([2.0, 1.0]))
    tensor(7.)
    """
    return _ranked("dot", _dot, (1, 1), input=input, tensor=tensor)(input, tensor, out=out)


@function(alias="ger")
def outer(input, vec2, *, out=None):
    """Every element of one vector times every element of another: (n,), (m,) → (n, m)."""
    from rushlight.ops.arithmetic import mul

    _ranked("outer", None, (1, 1), input=input, vec2=vec2)
    return mul(input.unsqueeze(1), vec2, out=out)


@function
def inner(input, other, *, out=None):
    """The sum of products over the last dim of both: (…, k), (…, k) → (…, …)."""
    _tensors("inner", input=input, other=other)
    if not input.array.ndim or not other.array.ndim:
        return input * other
    if input.array.shape[-1] != other.array.shape[-1]:
        raise ShapeError(
            f"inner: the last dims of {tuple(input.shape)} and {tuple(other.shape)} must match: "
            f"{input.array.shape[-1]} and {other.array.shape[-1]}"
        )
    return tensordot(input, other, ([-1], [-1]))


# Products with a sum ----------------------------------------------------------------------


def _affine(name, op, ranks):
    def run(input, a, b, beta, alpha, out):
        _ranked(name, op, ranks, a=a, b=b)
        return _axpby(op(a, b), input, alpha, beta, name, out)

    return run


def _axpby(product_, input, alpha, beta, name, out):
    _tensors(name, input=input)
    found = product_ if alpha == 1 else product_ * alpha
    if beta != 0:  # beta 0 drops input, nan and all
        found = found + (input if beta == 1 else input * beta)
    elif found.array.shape != input.array.shape:
        found = found.expand(shapes.broadcast(name, found.array.shape, input.array.shape))
    if found.array.shape != product_.array.shape:
        raise ShapeError(
            f"{name}: input {tuple(input.shape)} must be broadcastable to the product's shape "
            f"{tuple(product_.shape)}"
        )
    return found if out is None else store(out, found, name)


@function(inplace=True)
def addmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    """``beta · input + alpha · (mat1 @ mat2)``.

    >>> import rushlight as torch
    >>> torch.addmm(torch.ones(2), torch.ones(1, 3), torch.ones(3, 2))
    tensor([[4., 4.]])
    """
    if beta == alpha == 1 and out is None:
        _ranked("addmm", None, (2, 2), mat1=mat1, mat2=mat2)
        return _addmm(input, mat1, mat2)
    return _affine("addmm", _mm, (2, 2))(input, mat1, mat2, beta, alpha, out)


def _addmm_shape(input, mat1, mat2):
    out = shapes.matmul(mat1.shape, mat2.shape, "addmm")
    if shapes.broadcast("addmm", input.shape, out) != out:
        raise ShapeError(
            f"addmm: input {tuple(input.shape)} does not broadcast to the product's shape {out}"
        )
    return out


@kernel(public=False, method=False, name="addmm", shape=_addmm_shape)
def _addmm(xp, input, mat1, mat2):
    """input + mat1 @ mat2."""
    out = product(xp, mat1, mat2)
    if input.dtype == out.dtype and input.ndim <= 2:
        out += input
        return out
    _same_dtype("addmm", input, mat1)
    return out + input


_addmm.grad(
    input=lambda g: g,
    mat1=lambda g, mat2: times(g, _adjoint(mat2)),
    mat2=lambda g, mat1: times(_adjoint(mat1), g),
)


@function(inplace=True)
def addmv(input, mat, vec, *, beta=1, alpha=1, out=None):
    """``beta · input + alpha · (mat @ vec)``."""
    return _affine("addmv", _mv, (2, 1))(input, mat, vec, beta, alpha, out)


@function(inplace=True)
def addr(input, vec1, vec2, *, beta=1, alpha=1, out=None):
    """``beta · input + alpha · outer(vec1, vec2)``."""
    return _axpby(outer(vec1, vec2), input, alpha, beta, "addr", out)


@function(inplace=True)
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """``beta · input + alpha · (batch1 @ batch2)`` for batches of matrices."""
    return _axpby(bmm(batch1, batch2), input, alpha, beta, "baddbmm", out)


@function(inplace=True)
def addbmm(input, batch1, batch2, *, beta=1, alpha=1, out=None):
    """``beta · input`` + ``alpha`` · the sum of the products of two batches of matrices."""
    return _axpby(bmm(batch1, batch2).sum(0), input, alpha, beta, "addbmm", out)


@function(method=False)
def tensordot(a, b, dims=2, out=None):
    """The sum of products over ``dims``: how many, or the lists of dims of each.

    >>> import rushlight as torch
    >>> torch.tensordot(torch.ones(2, 3), torch.ones(3, 4), dims=1).shape
    torch.Size([2, 4])
    """
    _tensors("tensordot", a=a, b=b)
    dims_a, dims_b = _contracted(a, b, dims)
    keep_a = [i for i in range(a.array.ndim) if i not in dims_a]
    keep_b = [i for i in range(b.array.ndim) if i not in dims_b]
    shape = [a.array.shape[i] for i in keep_a] + [b.array.shape[i] for i in keep_b]
    k = shapes.numel(a.array.shape[i] for i in dims_a)
    rows = a.permute(*keep_a, *dims_a).reshape(
        -1 if k else shapes.numel(a.array.shape[i] for i in keep_a), k
    )
    columns = b.permute(*dims_b, *keep_b).reshape(k, shapes.numel(b.array.shape[i] for i in keep_b))
    found = _mm(rows, columns).reshape(shape)
    return found if out is None else store(out, found, "tensordot")


def _contracted(a, b, dims):
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.array.ndim, b.array.ndim):
            raise RuntimeError(
                f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims} for "
                f"{tuple(a.shape)} and {tuple(b.shape)}"
            )
        dims = range(a.array.ndim - dims, a.array.ndim), range(dims)
    first, second = dims
    first = [first] if isinstance(first, int) else list(first)
    second = [second] if isinstance(second, int) else list(second)
    if len(first) != len(second):
        raise RuntimeError(
            f"tensordot: both dimension lists should have same length, got {first} and {second}"
        )
    first = [shapes.dim(d, a.array.ndim, "tensordot") for d in first]
    second = [shapes.dim(d, b.array.ndim, "tensordot") for d in second]
    for i, j in zip(first, second, strict=True):
        if a.array.shape[i] != b.array.shape[j]:
            raise ShapeError(
                "tensordot: contracted dimensions need to match, but first has size "
                f"{a.array.shape[i]} in dim {i} and second has size {b.array.shape[j]} in dim {j}: "
                f"{tuple(a.shape)} and {tuple(b.shape)}"
            )
    return first, second
