"""Norms of vectors and of matrices."""

from rushlight import shapes
from rushlight.errors import DtypeError, ShapeError
from rushlight.linalg.checks import check_floats, check_matrices
from rushlight.linalg.svd import svdvals
from rushlight.ops.core.outputs import store
from rushlight.ops.reduce.vector_norm import INF
from rushlight.ops.reduce.vector_norm import vector_norm as _vector_norm

__all__ = ["matrix_norm", "norm", "vector_norm"]


def _converted(name, x, dtype):
    """``x`` in ``dtype``, which holds no less; None is its own."""
    check_floats(name, x)
    if dtype is None or dtype == x.dtype:
        return x
    if dtype.category < 2:
        raise DtypeError(f"{name}: dtype must be floating point or complex, got {dtype}")
    if dtype.itemsize < x.dtype.itemsize or dtype.category < x.dtype.category:
        raise DtypeError(f"{name}: dtype={dtype} is narrower than the input's {x.dtype}")
    return x.to(dtype)


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None):
    """(Σ|x|^ord)^(1/ord) over ``dim`` (an int, a tuple; all dims if None).

    ``ord`` inf is the largest of the sizes, -inf the smallest, 0 how many are not 0.

    Raises:
        RuntimeError: x or dtype is not of floating-point or complex numbers.

    >>> import rushlight as torch
    >>> torch.linalg.vector_norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = _converted("linalg.vector_norm", x, dtype)
    return _vector_norm(x, dim, keepdim, p=ord, out=out)


def _extreme(x, dim, ord, keepdim=False):
    """The largest along ``dim``, for negative ``ord`` the smallest; 0 of none."""
    reduce = x.sum if x.shape[dim] == 0 else x.amax if ord > 0 else x.amin
    return reduce(dim, keepdim=keepdim)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """The norms of the matrices that lie in the two dims ``dim``.

    ==========  =============================  ==========  ================================
    ``"fro"``   root of the sum of squares     ``"nuc"``   sum of the singular values
    ``2``       largest singular value         ``-2``      smallest singular value
    ``1``       largest sum of a column        ``-1``      smallest sum of a column
    ``inf``     largest sum of a row           ``-inf``    smallest sum of a row
    ==========  =============================  ==========  ================================

    Shape: A (…, M, N) → (…); with ``keepdim`` the two dims stay, as 1.

    Raises:
        RuntimeError: another ``ord``; ``dim`` is not two different dims; A is no matrix.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_norm(torch.tensor([[3.0, 0.0], [0.0, -4.0]]), "nuc")
    tensor(7.)
    """
    name = "linalg.matrix_norm"
    check_matrices(name, A)
    if not isinstance(dim, tuple | list) or len(dim) != 2:
        raise ShapeError(f"{name}: dim must be two dims, got {dim}")
    rows, columns = shapes.dims(dim, A.dim(), name)
    A = _converted(name, A, dtype)
    if ord in ("fro", "f"):
        return _vector_norm(A, (rows, columns), keepdim, out=out)
    if ord in ("nuc", 2, -2):
        S = svdvals(A.movedim((rows, columns), (-2, -1)))
        found = S.sum(-1) if ord == "nuc" else _extreme(S, -1, ord)
        for d in sorted((rows, columns)) if keepdim else ():
            found = found.unsqueeze(d)
    elif ord in (1, -1, INF, -INF):
        summed, best = (rows, columns) if abs(ord) == 1 else (columns, rows)
        found = _extreme(A.abs().sum(summed, keepdim=True), best, ord, keepdim=True)
        found = found if keepdim else found.squeeze((rows, columns))
    else:
        raise RuntimeError(f"{name}: ord must be 'fro', 'nuc', inf, 1 or 2, or -1, -2, got {ord!r}")
    return found if out is None else store(out, found, name)


def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """``vector_norm`` or ``matrix_norm``, by what is asked.

    Without ``ord`` it is the 2-norm over ``dim``, or of all elements. With ``ord`` it is that
    norm of vectors (one dim) or of matrices (two dims).

    Raises:
        RuntimeError: ``ord`` without ``dim`` for other than one or two dims; more than two dims.

    >>> import rushlight as torch
    >>> torch.linalg.norm(torch.eye(2), "nuc")
    tensor(2.)
    """
    if dim is not None:
        dim = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
        if len(dim) not in (1, 2):
            raise ShapeError(f"linalg.norm: dim must be one or two dims, got {dim}")
    elif ord is not None:
        if A.dim() not in (1, 2):
            raise ShapeError(
                f"linalg.norm: ord={ord!r} without dim needs a vector or a matrix, got "
                f"{tuple(A.shape)}; pass dim"
            )
        dim = tuple(range(A.dim()))
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype, out=out)
    if len(dim) == 2 or isinstance(ord, str):
        return matrix_norm(A, ord, dim, keepdim, dtype=dtype, out=out)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype, out=out)
