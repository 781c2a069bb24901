"""A few of the largest or smallest eigenvalues of symmetric matrices, by iteration."""

from rushlight.dtype import finfo, float32, float64
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.random.sampling import randn

__all__ = ["arguments", "lobpcg"]

_FOREVER = 10**6


@function(
    method=False,
    kinds={
        **dict.fromkeys(("A", "B", "X", "iK"), "Tensor"), **dict.fromkeys(("k", "n"), "int"),
        "niter": "int", "tol": "float",
    },
)  # fmt: skip
def lobpcg(
    A, k=None, B=None, X=None, n=None, iK=None, niter=None, tol=None, largest=None, method=None,
    tracker=None, ortho_iparams=None, ortho_fparams=None, ortho_bparams=None,
):  # fmt: skip
    """Return a few of the largest or smallest eigenvalues of symmetric matrices, by iteration.

    The iteration is SciPy's LOBPCG. The gradient needs all eigenvectors, so it takes as long as
    ``linalg.eigh``; it is that of (A + Aᵀ) / 2.

    Args:
        A: Tensor ``(*, M, M)`` of symmetric positive-definite matrices, float32 or float64.
        k: The number of eigenvalues. Default: the number of columns of X, or 1.
        B: Tensor ``(*, M, M)``, positive-definite: solve A·x = λ·B·x. Default: the identity.
        X: Tensor ``(*, M, n)``, from which the iteration starts. Default: random numbers.
        n: The number of columns of a random X. Default: ``k``.
        iK: Tensor ``(*, M, M)``, an approximation of A⁻¹ that makes the iteration faster.
        niter: The most iterations; -1: as many as it takes. Default: 1,000.
        tol: The iteration ends when the norm of A·x - λ·x is below ``tol`` times the norm of A.
            Default: √eps of the dtype.
        largest: Find the largest eigenvalues. False: the smallest. Default: True.
        method: Accepted without effect: ``"ortho"`` and ``"basic"`` compute the same.
        tracker: It must be None.
        ortho_iparams, ortho_fparams, ortho_bparams: Accepted without effect.

    Returns:
        Tuple of eigenvalues ``(*, k)``, the largest (or smallest) first, and eigenvectors
        ``(*, M, k)``.

    Raises:
        ValueError: M is smaller than 3·n.
        NotImplementedError: A ``tracker`` is given, or the dtype is not float32 or float64.

    Source: Knyazev 2001, "Toward the optimal preconditioned eigensolver".

    >>> import rushlight as torch
    >>> torch.lobpcg(torch.diag(torch.tensor([1.0, 5.0, 2.0, 3.0])), k=1)[0]
    tensor([5.])
    """
    from rushlight.linalg.lobpcg import iterated

    k, X, options = arguments(A, k, X, n, niter, tol, largest, tracker)
    A = (A + A.mT) / 2 if A.requires_grad else A
    return iterated(A, X, B, None if iK is None else iK.detach(), k=k, **options)


def arguments(A, k, X, n, niter, tol, largest, tracker):
    """Return ``k``, the first X and the options of the iteration; raise if an argument is wrong."""
    if tracker is not None:
        raise NotImplementedError("lobpcg: tracker is not supported; leave it out")
    if A.dtype not in (float32, float64):
        raise UnsupportedDtypeError(f"lobpcg: not implemented for {A.dtype}; convert A first")
    if A.ndim < 2 or A.shape[-2] != A.shape[-1]:
        raise ShapeError(f"lobpcg: A must be square matrices (…, M, M), got {tuple(A.shape)}")
    k = (1 if X is None else X.shape[-1]) if k is None else k
    n = (k if n is None else n) if X is None else X.shape[-1]
    rows = A.shape[-1]
    if rows < 3 * n:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={rows}) is smaller "
            f"than 3 x the number of requested eigenpairs (={n})"
        )
    if not 1 <= k <= n:
        raise ValueError(f"lobpcg: k must be from 1 to the number of columns of X, {n}, not {k}")
    X = randn(*A.shape[:-2], rows, n, dtype=A.dtype) if X is None else X.detach()
    niter = _FOREVER if niter == -1 else niter or 1000
    tol = finfo(A.dtype).eps ** 0.5 if tol is None else tol
    return k, X, {"niter": niter, "tol": tol, "largest": largest is not False}
