"""Products of matrices and vectors, each a sum over one or several shared dims."""

import numpy as np
from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.backend.numpy import reshape_view
from rushlight.backend.products import LARGE, SHORT, matrix_product, matrix_products
from rushlight.errors import DtypeError, ShapeError, UnhandledError, UnsupportedDtypeError
from rushlight.ops.core.autocast import LOWER, autocasts
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import FLOATS, plain, recorded
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import conj
from rushlight.ops.linear.short_path import short_path
from rushlight.storage import geometry
from rushlight.strides import in_order
from rushlight.tensor import Tensor, from_array, method, short

_F4, _F8 = FLOATS


def adjoint(x):
    """The conjugate transpose of the last two dims, of an array or a tensor."""
    return conj(x.mT)


def same_dtype(name, *arrays):
    for a in arrays:
        if a is not None and a.dtype is not arrays[0].dtype:
            break
    else:
        return
    kinds = {a.dtype for a in arrays if a is not None}
    if len(kinds) > 1:
        listed = " != ".join(str(a.dtype) for a in arrays if a is not None)
        raise DtypeError(
            f"{name}: expected all matrices to have the same dtype, but got: {listed}; convert one "
            "with .to()"
        )


def of_one_dtype(name):
    """The ``prepare`` function of a product: raise if dtypes differ or are bool.

    ``prepare`` sees the dtypes before half precision is widened.
    """

    def prepare(*inputs):
        same_dtype(name, *inputs)
        if inputs[0].dtype.kind == "b":
            raise UnsupportedDtypeError(f"{name}: not implemented for 'Bool'; convert with .int()")
        return {}

    return prepare


def product(xp, x, y):
    """``x @ y`` on arrays of one dtype. Integers wrap around on overflow, as in PyTorch."""
    return times(x, y)


def times(x, y):
    """``x @ y`` for two arrays or two tensors. Two matrices take the path with least overhead."""
    if type(x) is ndarray or hasattr(x, "noted"):
        return (matrix_product if x.ndim == 2 == y.ndim else matrix_products)(x, y)
    return x @ y


def _shape(name):
    return lambda x, y: shapes.matmul(x.shape, y.shape, name)


_check_products = of_one_dtype("matmul")
_PRODUCT = {"public": False, "method": False, "prepare": _check_products}


@kernel(name="mm", primitive="product", shape=_shape("mm"), autocast=LOWER, eight_bits=True,
        **_PRODUCT)  # fmt: skip
def _mm(xp, x, y):
    """The product of two matrices."""
    return product(xp, x, y)


def _product_of_integers(x, y):
    """The lowering on devices, whose kernels for products are for floating-point numbers."""
    if x.is_floating_point() or not x.shape[-1]:
        return NotImplemented
    return (x[..., :, :, None] * y[..., None, :, :]).sum(-2).to(x.dtype)


_mm.lower_on_devices(_product_of_integers)
_mm.lower(lambda x, y: x * y if x.shape[-1] == 1 else NotImplemented)
_mm.grad(x=lambda g, y: times(g, adjoint(y)), y=lambda g, x: times(adjoint(x), g))


_MM = _mm.op


@kernel(name="bmm", primitive="product", shape=_shape("bmm"), autocast=LOWER, **_PRODUCT)
def _bmm(xp, x, y):
    """Products of matrices whose leading dims broadcast."""
    return product(xp, x, y)


_bmm.lower_on_devices(_product_of_integers)


@_bmm.lower
def _bmm_of_one_batch(x, y):
    if x.shape[-1] == 1:  # nothing to add up, as in the gradients of single samples
        return x * y
    if x.shape[:-2] == y.shape[:-2]:
        return NotImplemented
    batch = shapes.matmul(tuple(x.shape), tuple(y.shape))[:-2]
    return _bmm(*[t.expand((*batch, *t.shape[-2:])) for t in (x, y)])


_bmm.grad(x=lambda g, y: times(g, adjoint(y)), y=lambda g, x: times(adjoint(x), g))


_BMM = _bmm.op


@kernel(name="mv", shape=_shape("mv"), **_PRODUCT)
def _mv(xp, x, y):
    """A matrix times a vector."""
    return product(xp, x, y)


_mv.lower(lambda x, y: (x * y).sum(1) if _adds(x) else _mm(x, y.unsqueeze(1)).squeeze(1))
_mv.grad(
    x=lambda g, y: g[:, None] * conj(y)[None, :],
    y=lambda g, x: adjoint(x) @ g,
)


def _mv_of_batch(batch, e, operands, params):
    """A batch of vectors times one matrix is one product of matrices."""
    (x, many), (y, of_vectors) = operands
    if not of_vectors:
        return matmul(x, y)
    return matmul(x, y.unsqueeze(-1)).squeeze(-1) if many else matmul(y, x.mT)


_mv.op.batching = _mv_of_batch


def _check_vectors(x, y):
    if x.dtype is not y.dtype and x.dtype != y.dtype:
        raise DtypeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{x.dtype} and {y.dtype}; convert one with .to()"
        )
    return _check_products(x, y)


@kernel(name="dot", shape=_shape("dot"), **{**_PRODUCT, "prepare": _check_vectors})
def _dot(xp, x, y):
    """The inner product of two vectors."""
    return product(xp, x, y)


_dot.lower(lambda x, y: (x * y).sum() if _adds(x) else _mv(x.unsqueeze(0), y).squeeze(0))
_dot.grad(x=lambda g, y: g * conj(y), y=lambda g, x: g * conj(x))


def _dot_of_batch(batch, e, operands, params):
    """A batch of vectors times one vector is a product of a matrix and a vector."""
    (x, many), (y, of_vectors) = operands
    if many and of_vectors:
        return matmul(x.unsqueeze(-2), y.unsqueeze(-1)).squeeze((-2, -1))
    return matmul(x, y) if many else matmul(y, x)


_dot.op.batching = _dot_of_batch


def _adds(x):
    """True if ``(x * y).sum()`` has the dtype of ``x``; for integers the sum is int64."""
    return x.dtype.category > 1


def check_tensors(name, **given):
    for position, (argument, t) in enumerate(given.items(), 1):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}(): argument '{argument}' (position {position}) must be Tensor, not "
                f"{type(t).__name__}"
            )


@short
@function
@autocasts(LOWER)
def matmul(input, other, *, out=None):
    """Multiply matrices, vectors, or batches of matrices.

    A vector counts as a matrix of one row on the left, or of one column on the right. The result
    does not have this dim.

    Args:
        input: Tensor ``(*, n, k)`` or ``(k,)``.
        other: Tensor ``(*, k, m)`` or ``(k,)``. The leading dims of both are broadcast.

    Returns:
        Tensor ``(*, n, m)``.

    Raises:
        RuntimeError: The inner sizes differ, or the dtypes do.

    >>> import rushlight as torch
    >>> torch.matmul(torch.ones(2, 3), torch.ones(3))
    tensor([3., 3.])
    """
    return _product(input, other) if out is None else _any_product(input, other, out)


def _any_product(input, other, out=None):
    """``matmul`` for operands of every kind, cast already."""
    if mode.intercept or not isinstance(input, Tensor) or not isinstance(other, Tensor):
        found = overridden(matmul, (input, other), {} if out is None else {"out": out})
        if found is not NotImplemented:
            return found
        check_tensors("matmul", input=input, other=other)
    try:
        are_matrices = input._array.ndim == 2 == other._array.ndim
    except AttributeError:  # a class whose tensors have no array has rules of its own
        return overridden(matmul, (input, other), {} if out is None else {"out": out})
    if are_matrices:
        return _mm(input, other, out=out)
    found = _by_rank(input, other)
    return found if out is None else store(out, found, "matmul")


def _short_path(full):
    """The product of two float matrices, or of two equally long batches, by a short path.

    ``full`` is the function for all other operands. It is called from within, because one more
    Python call around the short path would take a twentieth of a small product's time.
    """

    def product(input, other):
        if mode.intercept:
            return full(input, other)
        try:
            if input.view_of is not None:
                refresh(input)
            if other.view_of is not None:
                refresh(other)
            x, y = input._array, other._array
            d = x.dtype
            found = None  # stays None if this path does not serve
            if (d is _F4 or d is _F8) and y.dtype is d:
                if x.ndim == 2 == y.ndim:
                    # As ``matrix_product``: a call would take a tenth of a small product's time.
                    op = _MM
                    if len(x) < SHORT and len(y) > 1 and y.size <= LARGE:
                        found = x.dot(y)
                    else:
                        found = matrix_product(x, y)
                elif x.ndim == y.ndim > 2 and x.shape[:-2] == y.shape[:-2]:
                    op, found = _BMM, in_order(matrix_products(x, y))
        except (AttributeError, ValueError):
            found = None
        if found is None:
            return full(input, other)
        px, py = input.node, other.node
        if px is None and py is None:
            return from_array(found)
        kept = (None if px is None else y, None if py is None else x)
        cell_x = None if py is None else input._cell or input.cell
        cell_y = None if px is None else other._cell or other.cell
        return recorded(op, found, (px, py), kept, (cell_y, cell_x))

    return product


_product = _short_path(_any_product)


def _by_rank(x, y):
    """``x @ y`` by the operation for the operands' numbers of dims."""
    n, m = x._array.ndim, y._array.ndim
    if n == 1 and m == 1:
        return _dot(x, y)
    if n == 2 and m == 1:
        return _mv(x, y)
    shapes.matmul(tuple(x._array.shape), tuple(y._array.shape))
    if n == 3 == m and x._array.shape[0] != y._array.shape[0]:
        if x._array.shape[0] == 1 and x.node is not None:
            x, n = x.squeeze(0), 2
        elif y._array.shape[0] == 1 and y.node is not None:
            y, m = y.squeeze(0), 2
    if n <= 2 < m and x.node is not None:
        columns = n == 1 or 1 in (x._array.shape[0], y._array.shape[-1])
        if columns and not (mode.intercept and mode.recorder()):
            return _of_columns(x, y)
        if reshape_view(geometry(y._array).mT, (-1, y._array.shape[-2])) is None:
            y = y.clone()  # PyTorch multiplies the columns of all batches as one matrix
    if n == 1:
        return _own(matmul(x.unsqueeze(0), y).squeeze(-2))
    if m == 1:
        return _own(matmul(x, y.unsqueeze(-1)).squeeze(-1))
    if m == 2 and n > 2:
        # One large product instead of a batch of small ones.
        rows = x.reshape(shapes.numel(x._array.shape[:-1]), x._array.shape[-1])
        return _own(_mm(rows, y).reshape(*x._array.shape[:-1], y._array.shape[-1]))
    return _bmm(x, y)


def _of_columns(x, y):
    """A vector or matrix ``x`` times a batch ``y``, whose columns form one large matrix."""
    *batch, k, width = y._array.shape
    columns = y.mT.reshape(shapes.numel((*batch, width)), k)
    if x._array.ndim == 1:
        return _own(_mv(columns, x).reshape(*batch, width))
    found = _mm(columns, x.t()).reshape(*batch, width, x._array.shape[0])
    return _own(found.mT.contiguous())


def _own(view):
    """``view`` as a tensor that is no view.

    It shows all elements of a product that nobody else refers to.
    """
    if mode.recorder() is None:
        view.view_of = None
    return view


def _operator(self, other):
    try:
        if isinstance(other, Tensor):
            casts = mode.intercept and mode.state.autocast is not None
            return matmul(self, other) if casts else _any_product(self, other)
        return overridden(matmul, (self, other), {})
    except UnhandledError:
        return NotImplemented


__matmul__ = _short_path(_operator)
__matmul__.__name__ = "__matmul__"
short(method(__matmul__))
__matmul__.stands_for = matmul  # what handlers of classes see


@method
def __rmatmul__(self, other):
    if mode.intercept > mode.metas:
        try:
            found = overridden(__rmatmul__, (self, other), {})
        except UnhandledError:
            return NotImplemented
        if found is not NotImplemented:
            return found
    return _operator(other, self)


def ranked(name, op, ranks, **given):
    check_tensors(name, **given)
    for (argument, t), rank in zip(given.items(), ranks, strict=True):
        if t._array.ndim != rank:
            raise ShapeError(
                f"{name}: {rank}D tensors expected, but {argument} is {t._array.ndim}D: "
                f"{tuple(t.shape)}"
            )
    return op


@function
@short_path(_mm, (2, 2), matrix_product)
def mm(input, mat2, *, out=None):
    """Multiply two matrices.

    Args:
        input: Tensor ``(n, k)``.
        mat2: Tensor ``(k, m)``.

    Returns:
        Tensor ``(n, m)``.

    Raises:
        RuntimeError: An operand is not 2-dim, or the inner sizes or the dtypes differ.

    >>> import rushlight as torch
    >>> torch.mm(torch.ones(1, 3), torch.ones(3, 1))
    tensor([[3.]])
    """
    return ranked("mm", _mm, (2, 2), input=input, mat2=mat2)(input, mat2, out=out)


def batched(x, y):
    """``x @ y`` for two equally long batches of matrices, else None."""
    return in_order(np.matmul(x, y)) if len(x) == len(y) else None


@function
@short_path(_bmm, (3, 3), batched)
def bmm(input, mat2, *, out=None):
    """Multiply two batches of matrices.

    Args:
        input: Tensor ``(b, n, k)``.
        mat2: Tensor ``(b, k, m)``.

    Returns:
        Tensor ``(b, n, m)``.

    Raises:
        RuntimeError: An operand is not 3-dim, or the batch sizes, the inner sizes or the dtypes
            differ.

    >>> import rushlight as torch
    >>> torch.bmm(torch.ones(5, 2, 3), torch.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    ranked("bmm", _bmm, (3, 3), input=input, mat2=mat2)
    check_batches("bmm", input, mat2)
    return _bmm(input, mat2, out=out)


def check_batches(name, x, y):
    if x._array.shape[0] != y._array.shape[0]:
        raise ShapeError(
            f"{name}: batch1 {tuple(x.shape)} and batch2 {tuple(y.shape)} must have the same "
            f"batch size: {x._array.shape[0]} and {y._array.shape[0]} (Expected size for first two "
            f"dimensions of batch2 tensor to be: {[x._array.shape[0], x._array.shape[2]]} but "
            f"got: {list(y._array.shape[:2])}.)"
        )


@function
@short_path(_mv, (2, 1), np.matmul)
def mv(input, vec, *, out=None):
    """Multiply a matrix by a vector.

    Args:
        input: Tensor ``(n, k)``.
        vec: Tensor ``(k,)``.

    Returns:
        Tensor ``(n,)``.

    Raises:
        RuntimeError: ``input`` is not 2-dim, ``vec`` is not 1-dim, or the sizes or dtypes differ.

    >>> import rushlight as torch
    >>> torch.mv(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    return ranked("mv", _mv, (2, 1), input=input, vec=vec)(input, vec, out=out)


def inner_product(x, y):
    """The inner product of two vectors."""
    # NumPy's ``dot`` scales by an operand of one element; see ``matrix_product``.
    return np.asarray(x.dot(y) if len(x) > 1 else np.matmul(x, y))


@function
@short_path(_dot, (1, 1), inner_product)
def dot(input, tensor, *, out=None):
    """Return the inner product of two vectors.

    Args:
        input: Tensor ``(n,)``.
        tensor: Tensor ``(n,)``.

    Returns:
        0-dim tensor.

    Raises:
        RuntimeError: An operand is not 1-dim, or the sizes or the dtypes differ.

    >>> import rushlight as torch
    >>> torch.dot(torch.tensor([2.0, 3.0]), torch.tensor([2.0, 1.0]))
    tensor(7.)
    """
    return ranked("dot", _dot, (1, 1), input=input, tensor=tensor)(input, tensor, out=out)


@function(alias="ger")
def outer(input, vec2, *, out=None):
    """Multiply every element of one vector by every element of another.

    Args:
        input: Tensor ``(n,)``.
        vec2: Tensor ``(m,)``.

    Returns:
        Tensor ``(n, m)``.

    Raises:
        RuntimeError: An operand is not 1-dim.

    >>> import rushlight as torch
    >>> torch.outer(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0]))
    tensor([[ 3.,  4.,  5.],
            [ 6.,  8., 10.]])
    """
    from rushlight.ops.elementwise.arithmetic import mul

    ranked("outer", None, (1, 1), input=input, vec2=vec2)
    if out is None and not mode.intercept and vec2._array.size <= 8 and input._array.size >= 1024:
        x, y = plain(input), plain(vec2)
        unrecorded = not mode.records() or (input.node is None and vec2.node is None)
        if unrecorded and x.dtype in FLOATS and x.dtype is y.dtype:
            return from_array(_by_columns(x, y))
    return mul(input.unsqueeze(1), vec2, out=out)


def _by_columns(x, y):
    """The outer product of a long vector and a short one. NumPy is slow with short rows."""
    out = np.empty((x.size, y.size), x.dtype)
    for i in range(y.size):
        np.multiply(x, y[i], out[:, i])
    return out
