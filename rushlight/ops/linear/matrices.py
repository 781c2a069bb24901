"""Functions of square matrices by their first names, which Tensor has as methods, too.

``rushlight.linalg`` computes them. It is imported by the first call, because few programs need it.
"""

from rushlight.ops.core.definition import function
from rushlight.return_types import result_type

__all__ = ["det", "inverse", "logdet", "matrix_exp", "matrix_power", "pinverse", "slogdet"]

_Determinant = result_type("slogdet", "sign", "logabsdet")


@function
def det(input):
    """Return the determinants of square matrices.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.

    Returns:
        Tensor ``(*)``. The determinant of a matrix without elements is 1.

    Raises:
        RuntimeError: ``input`` is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.det(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(-2.)
    """
    from rushlight import linalg

    return linalg.det(input)


@function
def logdet(input):
    """Return the logarithms of the determinants of square matrices.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.

    Returns:
        Tensor ``(*)``: -inf for a determinant of 0, and nan for a negative one.

    Raises:
        RuntimeError: ``input`` is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.logdet(torch.eye(2) * 2)
    tensor(1.3863)
    """
    from rushlight.linalg.determinant import logdet as compute

    return compute(input)


@function
def slogdet(input, *, out=None):
    """Return the sign and the logarithm of the absolute value of each matrix's determinant.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.
        out: Tuple of two tensors that receive the results.

    Returns:
        Named tuple of ``sign`` ``(*)`` and ``logabsdet`` ``(*)``, which is real; see
        ``linalg.slogdet``.

    Raises:
        RuntimeError: ``input`` is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.slogdet(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).sign
    tensor(-1.)
    """
    from rushlight import linalg

    return _Determinant(linalg.slogdet(input, out=out))


@function
def inverse(input, *, out=None):
    """Return the inverses of square matrices.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        LinAlgError: A matrix is singular.
        RuntimeError: ``input`` is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.inverse(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    from rushlight import linalg

    return linalg.inv(input, out=out)


@function(kinds={"rcond": "value"})
def pinverse(input, rcond=1e-15):
    """Return the pseudoinverses (Moore-Penrose inverses) of matrices.

    Args:
        input: Tensor ``(*, M, N)``, floating point or complex.
        rcond: Singular values up to this number times the largest one count as 0. A number or a
            tensor ``(*)``. Default: 1e-15.

    Returns:
        Tensor ``(*, N, M)``.

    Raises:
        RuntimeError: ``input`` has fewer than two dims, or is not floating point or complex.

    >>> import rushlight as torch
    >>> torch.pinverse(torch.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    from rushlight import linalg

    return linalg.pinv(input, rcond)


@function
def matrix_power(input, n, *, out=None):
    """Return the power of square matrices with an integer exponent.

    Args:
        input: Tensor ``(*, N, N)``, integers too if ``n`` is not negative.
        n: The exponent, an int. 0 gives the identity matrix, and a negative one a power of the
            inverse.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        LinAlgError: ``n`` is negative, and a matrix is singular.
        RuntimeError: ``input`` is not square.

    >>> import rushlight as torch
    >>> torch.matrix_power(torch.tensor([[1, 1], [0, 1]]), 3)
    tensor([[1, 3],
            [0, 1]])
    """
    from rushlight import linalg

    return linalg.matrix_power(input, n, out=out)


@function
def matrix_exp(input):
    """Return the matrix exponential of square matrices: the sum of xᵏ/k! over all k ≥ 0.

    Args:
        input: Tensor ``(*, N, N)``, floating point or complex.

    Returns:
        Tensor ``(*, N, N)``.

    Raises:
        RuntimeError: ``input`` is not square, or not floating point or complex.

    >>> import rushlight as torch
    >>> torch.matrix_exp(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    from rushlight import linalg

    return linalg.matrix_exp(input)
