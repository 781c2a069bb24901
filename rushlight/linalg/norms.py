"""Norms of vectors and of matrices."""

from rushlight import shapes
from rushlight.errors import ShapeError
from rushlight.linalg.checks import check_matrices, check_square
from rushlight.linalg.inverse import inv_ex
from rushlight.linalg.svd import svdvals
from rushlight.ops.core.outputs import store
from rushlight.ops.core.promotion import as_number
from rushlight.ops.reduce.vector_norm import INF, converted
from rushlight.ops.reduce.vector_norm import vector_norm as _vector_norm

__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None):
    """Return the norm (Σ|x|^ord)^(1/ord) of vectors.

    Args:
        x: Tensor of any shape ``(*)``, floating point or complex.
        ord: Order of the norm, a number. inf gives the largest absolute value, -inf the smallest,
            and 0 the number of elements that are not 0. Default: 2.
        dim: The dim or dims (tuple) over which a norm is taken. Negative dims count from the end.
            Default: None, all dims.

    Returns:
        Real tensor without the dims ``dim``; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``x`` or ``dtype`` is not floating point or complex, or ``dtype`` is narrower
            than that of ``x``.

    >>> import rushlight as torch
    >>> torch.linalg.vector_norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = converted("linalg.vector_norm", x, dtype)
    return _vector_norm(x, dim, keepdim, p=as_number(ord), out=out)


def _extreme(x, dim, ord, keepdim=False):
    """Return the maximum along ``dim``, 0 for an empty dim; for negative ``ord`` the minimum.

    An empty dim has no minimum, so ``amin`` raises IndexError.
    """
    if ord < 0:
        return x.amin(dim, keepdim=keepdim)
    return (x.amax if x.shape[dim] else x.sum)(dim, keepdim=keepdim)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None, out=None):
    """Return the norms of matrices.

    ``ord`` chooses the norm. Sums of a row or a column are of absolute values.

    ==========  =============================  ==========  ================================
    ``"fro"``   root of the sum of squares     ``"nuc"``   sum of the singular values
    ``2``       largest singular value         ``-2``      smallest singular value
    ``1``       largest sum of a column        ``-1``      smallest sum of a column
    ``inf``     largest sum of a row           ``-inf``    smallest sum of a row
    ==========  =============================  ==========  ================================

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        ord: Which norm, from the table. Default: ``"fro"``.
        dim: The dims (tuple of two) of the matrices' rows and columns. Negative dims count from the
            end. Default: the last two dims.

    Returns:
        Real tensor ``(*)``; with ``keepdim`` the two dims stay, with size 1.

    Raises:
        RuntimeError: ``ord`` is unknown, ``dim`` is not two different dims, or A has fewer than
            two dims.

    >>> import rushlight as torch
    >>> torch.linalg.matrix_norm(torch.tensor([[3.0, 0.0], [0.0, -4.0]]), "nuc")
    tensor(7.)
    """
    name = "linalg.matrix_norm"
    check_matrices(name, A)
    if not isinstance(dim, tuple | list) or len(dim) != 2:
        raise ShapeError(f"{name}: dim must be a 2-tuple. Got {dim}")
    rows, columns = [shapes.dim(d, A.dim(), name) for d in dim]
    if rows == columns:
        raise ShapeError(f"{name}: dims must be different. Got {tuple(dim)}")
    A = converted(name, A, dtype)
    if ord == "fro":
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
        raise RuntimeError(
            f"{name}: Order {ord} not supported. It must be 'fro', 'nuc', or one of ±inf, ±1 and ±2"
        )
    return found if out is None else store(out, found, name)


def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """Return the norm of vectors or of matrices.

    Args:
        A: Tensor of any shape ``(*)``, floating point or complex.
        ord: Which norm: one of ``vector_norm`` for one dim, and of ``matrix_norm`` for two dims.
            Default: None, the root of the sum of squares for any number of dims.
        dim: The dim or dims (tuple of one or two) over which a norm is taken. Negative dims count
            from the end. Default: None, all dims.

    Returns:
        Real tensor without the dims ``dim``; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``dim`` has more than two dims, or ``ord`` is given without ``dim`` and A does
            not have one or two dims.

    >>> import rushlight as torch
    >>> torch.linalg.norm(torch.eye(2), "nuc")
    tensor(2.)
    """
    if dim is not None:
        dim = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
        if len(dim) not in (1, 2):
            raise ShapeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {dim}"
            )
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


def cond(A, p=None, *, out=None):
    """Return the condition numbers ‖A‖·‖A⁻¹‖ of matrices: how much A magnifies relative errors.

    Args:
        A: Tensor of square matrices ``(*, N, N)``, floating point or complex. The orders None, 2
            and -2 take any matrices ``(*, M, N)``.
        p: The order of the norm, as for ``matrix_norm``. Default: None, which means 2.

    Returns:
        Real tensor ``(*)``; inf for singular matrices, and 0 for matrices without elements.

    Raises:
        RuntimeError: The order is unknown, A is not square, or A has fewer than two dims.

    >>> import rushlight as torch
    >>> torch.linalg.cond(torch.tensor([[4.0, 0.0], [0.0, 0.5]]))
    tensor(8.)
    """
    name = "linalg.cond"
    if p not in (None, "fro", "nuc", INF, -INF, 1, -1, 2, -2):
        raise RuntimeError(f"{name} got an invalid norm type: {p}")
    by_singular_values = p in (None, 2, -2)
    if by_singular_values:
        check_matrices(name, A)
    else:
        check_square(f"{name}(ord={p})", A)
    if not A.numel():
        found = A.detach().abs().new_zeros(A.shape[:-2])
    elif by_singular_values:
        S = svdvals(A)
        largest, smallest = S[..., 0], S[..., -1]
        found = smallest / largest if p == -2 else largest / smallest
    else:
        inverse, info = inv_ex(A)
        singular = info != 0
        inverse = inverse.masked_fill(singular[..., None, None], 0)  # instead of nan
        found = matrix_norm(A, p) * matrix_norm(inverse, p)
        found = found.masked_fill(singular, INF)
    return found if out is None else store(out, found, name, casts=True)
