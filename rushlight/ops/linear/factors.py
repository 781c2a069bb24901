"""Factorizations of matrices by their first names, which Tensor has as methods, too.

``rushlight.linalg`` computes them. It is imported by the first call, because few programs need it.
Those that PyTorch has deprecated say so in a warning.
"""

import warnings

from rushlight.autograd.tape import renamed, watch
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.outputs import store
from rushlight.ops.core.overlap import refuse_overlap
from rushlight.return_types import result_type
from rushlight.tensor import Tensor

__all__ = [
    "chain_matmul", "cholesky", "cholesky_inverse", "cholesky_solve", "geqrf", "lu", "lu_solve",
    "lu_unpack", "orgqr", "ormqr", "qr", "svd", "triangular_solve",
]  # fmt: skip

_QR = result_type("qr", "Q", "R")
_SVD = result_type("svd", "U", "S", "V")
_Solved = result_type("triangular_solve", "solution", "cloned_coefficient")


def _deprecated(name, instead):
    message = f"torch.{name} is deprecated in favor of torch.linalg.{instead}"
    warnings.warn(message, stacklevel=4)  # above are the function, its guard, and their caller


# Cholesky ---------------------------------------------------------------------------------


@function
def cholesky(input, upper=False, *, out=None):
    """Factor symmetric (Hermitian) positive-definite matrices: L·Lᴴ with lower triangular L.

    Deprecated: use ``linalg.cholesky``.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.
        upper: Read only the upper triangle, and give Lᴴ. Default: read the lower, and give L.

    Returns:
        Tensor ``(*, N, N)``: L, or Lᴴ with ``upper``.

    Raises:
        LinAlgError: A matrix is not positive-definite.
    """
    from rushlight import linalg

    _deprecated("cholesky", "cholesky")
    found = renamed(linalg.cholesky(input, upper=upper), "CholeskyBackward0")
    return found if out is None else store(out, found, "cholesky", casts=True)


@function
def cholesky_inverse(input, upper=False, *, out=None):
    """Return the inverse of the matrix whose Cholesky factor is ``input``.

    Args:
        input: Tensor of Cholesky factors ``(*, N, N)``.
        upper: The factors are upper triangular. Default: False, lower triangular.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        RuntimeError: ``input`` is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.cholesky_inverse(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([[0.2500, 0.0000],
            [0.0000, 1.0000]])
    """
    from rushlight.linalg.cholesky import cholesky_inverse as compute

    return renamed(compute(input, upper, out=out), "CholeskyInverseBackward0")


@function(kinds={"input2": "Tensor"})
def cholesky_solve(input, input2, upper=False, *, out=None):
    """Solve A·X = ``input`` for X, where ``input2`` is the Cholesky factor of A.

    Args:
        input: Tensor ``(*, N, K)``, the right-hand sides.
        input2: Tensor ``(*, N, N)``. Its leading dims and those of ``input`` are broadcast.
        upper: ``input2`` is upper triangular. Default: False, lower triangular.

    Returns:
        Tensor ``(*, N, K)``.

    Raises:
        RuntimeError: The shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> L = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> torch.cholesky_solve(torch.ones(2, 1), L)
    tensor([[0.2500],
            [1.0000]])
    """
    from rushlight.linalg.cholesky import cholesky_solve as compute

    return compute(input, input2, upper, out=out)


# LU ---------------------------------------------------------------------------------------


@function(kinds={"A": "Tensor", "get_infos": "any"}, in_python=True)
def lu(A, pivot=True, get_infos=False, out=None):
    """Factor A = P·L·U, and return the factors as ``lu_solve`` takes them.

    Deprecated: use ``linalg.lu_factor``, or ``linalg.lu_factor_ex``.

    Args:
        A: Tensor ``(*, M, N)``, floating point or complex.
        pivot: It must be True: swap rows, so that the factorization exists and is exact.
        get_infos: Return a third tensor, int32 ``(*)``, that is not 0 for singular matrices.
            Default: False.
        out: Tuple of two or three tensors that receive the results.

    Returns:
        Tuple of the factors ``(*, M, N)`` and the pivots, int32 ``(*, min(M, N))``; see
        ``linalg.lu_factor``.

    Raises:
        RuntimeError: ``pivot`` is False, or A has fewer than two dims.
    """
    from rushlight import linalg

    _deprecated("lu", "lu_factor")
    found = tuple(linalg.lu_factor_ex(A, pivot=pivot))
    found = found if get_infos else found[:2]
    return found if out is None else tuple(store(out, found, "lu", casts=True))


@function(kinds={"LU_data": "Tensor", "LU_pivots": "Tensor"})
def lu_solve(input, LU_data, LU_pivots, *, out=None):
    """Solve the linear equations A·X = ``input`` for X, from the factors of A.

    Deprecated: use ``linalg.lu_solve``.

    Args:
        input: Tensor ``(*, N, K)``, the right-hand sides.
        LU_data: Tensor ``(*, N, N)``, the factors from ``linalg.lu_factor``.
        LU_pivots: Tensor ``(*, N)`` of int32, the pivots from there.

    Returns:
        Tensor ``(*, N, K)``.

    Raises:
        RuntimeError: The shapes or dtypes do not fit.
    """
    from rushlight import linalg

    _deprecated("lu_solve", "lu_solve")
    return linalg.lu_solve(LU_data, LU_pivots, input, out=out)


@function(method=False, kinds={"LU_data": "Tensor", "LU_pivots": "Tensor"})
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True, *, out=None):
    """Return the P, L and U that ``linalg.lu_factor`` stored in one matrix and its pivots.

    Args:
        LU_data: Tensor ``(*, M, N)``, the factors.
        LU_pivots: Tensor ``(*, min(M, N))`` of int32, the swapped rows.
        unpack_data: Return L and U; False: return empty tensors for them. Default: True.
        unpack_pivots: Return P; False: return an empty tensor for it. Default: True.
        out: Tuple of three tensors that receive the results.

    Returns:
        Named tuple of ``P`` ``(*, M, M)``, ``L`` ``(*, M, K)`` and ``U`` ``(*, K, N)``, with
        A = P·L·U; K is min(M, N).

    Raises:
        RuntimeError: A pivot is not one of A's rows, or not int32.

    >>> import rushlight as torch
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[0.0, 2.0], [4.0, 1.0]]))
    >>> torch.lu_unpack(LU, pivots).P
    tensor([[0., 1.],
            [1., 0.]])
    """
    from rushlight.linalg.lu import unpacked

    found = unpacked(LU_data, LU_pivots, unpack_data, unpack_pivots)
    return found if out is None else store(out, found, "lu_unpack")


# QR ---------------------------------------------------------------------------------------


@function
def qr(input, some=True, *, out=None):
    """Factor ``input`` = Q·R with orthonormal columns of Q and upper triangular R.

    Deprecated: use ``linalg.qr``.

    Args:
        input: Tensor ``(*, M, N)``, floating point or complex.
        some: Q has K = min(M, N) columns; False: K = M columns. Default: True.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``Q`` ``(*, M, K)`` and ``R`` ``(*, K, N)``.

    Raises:
        RuntimeError: ``input`` has fewer than two dims, or is not floating point or complex.
    """
    from rushlight import linalg

    _deprecated("qr", "qr")
    return _QR(linalg.qr(input, "reduced" if some else "complete", out=out))


@function
def geqrf(input, *, out=None):
    """Return a QR factorization in LAPACK's form, as Householder reflections.

    Args:
        input: Tensor ``(*, M, N)``, floating point or complex.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``a`` ``(*, M, N)`` and ``tau`` ``(*, min(M, N))``. The upper triangle of
        ``a`` is R. ``orgqr`` computes Q from ``a`` and ``tau``.

    Raises:
        RuntimeError: ``input`` has fewer than two dims, or is not floating point or complex.

    >>> import rushlight as torch
    >>> a, tau = torch.geqrf(torch.eye(2))
    >>> torch.orgqr(a, tau)
    tensor([[1., 0.],
            [-0., 1.]])
    """
    from rushlight.linalg.qr import geqrf as compute

    return compute(input, out=out)


@function(kinds={"input2": "Tensor"})
def orgqr(input, input2, *, out=None):
    """Return the first N columns of the product Q of Householder reflections.

    Args:
        input: Tensor ``(*, M, N)`` with M ≥ N, whose columns define the reflections; see
            ``linalg.householder_product``.
        input2: Tensor ``(*, K)`` with K ≤ N, the factors of the reflections.

    Returns:
        Tensor ``(*, M, N)``.

    Raises:
        RuntimeError: The shapes do not fit.

    >>> import rushlight as torch
    >>> torch.orgqr(torch.zeros(2, 2), torch.zeros(2))
    tensor([[1., 0.],
            [-0., 1.]])
    """
    from rushlight import linalg

    return linalg.householder_product(input, input2, out=out)


@function(kinds={"input2": "Tensor", "input3": "Tensor"})
def ormqr(input, input2, input3, left=True, transpose=False, *, out=None):
    """Multiply matrices by the product Q of Householder reflections, without computing Q.

    Args:
        input: Tensor ``(*, M, K)``, whose columns define the reflections; see
            ``linalg.householder_product``.
        input2: Tensor ``(*, K)``, the factors of the reflections.
        input3: Tensor ``(*, M, N)``, or ``(*, N, M)`` with ``left=False``.
        left: Compute Q·``input3``; False: ``input3``·Q. Default: True.
        transpose: Multiply by Qᴴ instead of Q. Default: False.

    Returns:
        Tensor of the shape of ``input3``.

    Raises:
        RuntimeError: The shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> a, input2 = torch.geqrf(torch.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> torch.ormqr(a, input2, torch.eye(2))
    tensor([[-0.6000, -0.8000],
            [-0.8000,  0.6000]])
    """
    from rushlight.linalg.qr import reflected

    return reflected(input, input2, input3, left, transpose, out=out)


# Others -----------------------------------------------------------------------------------


@function
def svd(input, some=True, compute_uv=True, *, out=None):
    """Compute the singular value decomposition ``input`` = U·diag(S)·Vᴴ.

    ``linalg.svd`` returns Vᴴ instead of V.

    Args:
        input: Tensor ``(*, M, N)``, floating point or complex.
        some: U and V have K = min(M, N) columns; False: make both square. Default: True.
        compute_uv: Compute U and V; False: return zeros for them. Default: True.
        out: Tuple of three tensors that receive the results.

    Returns:
        Named tuple of ``U`` ``(*, M, K)``, ``S`` ``(*, K)``, which is real and in descending order,
        and ``V`` ``(*, N, K)``.

    Raises:
        RuntimeError: ``input`` has fewer than two dims, or is not floating point or complex.

    >>> import rushlight as torch
    >>> torch.svd(torch.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    from rushlight import linalg

    if compute_uv:
        U, S, Vh = linalg.svd(input, full_matrices=not some)
        found = _SVD((U, S, Vh.mH))
    else:
        S = linalg.svdvals(input)
        U, V = [input.new_zeros((*input.shape[:-2], n, n)) for n in input.shape[-2:]]
        found = _SVD((U, S, V.mT))  # stored by columns, as the V above
    return found if out is None else store(out, found, "svd")


@function(kinds={"A": "Tensor"})
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False, *, out=None):
    """Solve the linear equations A·X = ``input`` for X, with triangular A.

    Deprecated: use ``linalg.solve_triangular``.

    Args:
        input: Tensor ``(*, N, K)``, the right-hand sides.
        A: Tensor of triangular matrices ``(*, N, N)``. Its leading dims and those of ``input`` are
            broadcast.
        upper: Read only the upper triangle of A; False: only the lower one. Default: True.
        transpose: Solve Aᵀ·X = ``input``. Default: False.
        unitriangular: Take the diagonal as ones, without reading it. Default: False.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``solution`` ``(*, N, K)`` and ``cloned_coefficient`` ``(*, N, N)``, a copy
        of A.

    Raises:
        RuntimeError: The shapes or dtypes do not fit.
    """
    from rushlight.linalg.columns import in_columns
    from rushlight.linalg.triangular import triangular_solution

    _deprecated("triangular_solve", "solve_triangular")
    solution = triangular_solution(
        A.mT if transpose else A, input, upper=upper != transpose, unitriangular=unitriangular
    )
    copy = in_columns(A.expand((*solution.shape[:-2], *A.shape[-2:])))
    found = _Solved((watch(solution, input, A), copy))
    return found if out is None else store(out, found, "triangular_solve")


@function(method=False, in_python=True)
def chain_matmul(*matrices, out=None):
    """Multiply matrices, in the order that needs the fewest multiplications.

    Deprecated: use ``linalg.multi_dot``.

    Args:
        *matrices: Tensors of two dims.

    Returns:
        Tensor: the product, or a copy of the matrix if there is only one.

    Raises:
        RuntimeError: There are no matrices, or their shapes or dtypes do not fit.
    """
    from rushlight import linalg

    _deprecated("chain_matmul", "multi_dot")
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for i, m in enumerate(matrices):
        if not isinstance(m, Tensor):
            raise TypeError(f"chain_matmul(): argument {i} must be Tensor, not {type(m).__name__}")
        if m.dim() != 2:
            raise ShapeError(
                f"chain_matmul(): Tensor dimension is {m.dim()}, expected 2 instead: argument {i} "
                f"is {tuple(m.shape)}"
            )
    if len(matrices) == 1:
        found = matrices[0].clone()
        if out is None:
            return found
        refuse_overlap(out, matrices, "chain_matmul")
        return store(out, found, "chain_matmul")
    return linalg.multi_dot(matrices, out=out)
