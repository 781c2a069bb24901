"""Older names of products with sparse matrices in the ``torch`` namespace."""

import rushlight
import rushlight.sparse  # binds the rules
from rushlight.sparse.container import RULES, SparseTensor
from rushlight.sparse.conversion import require_coo
from rushlight.sparse.outputs import write_out

__all__ = ["dsmm", "hsmm", "hspmm", "saddmm", "smm", "spmm", "sspaddmm"]


def _check(name, x):
    if not isinstance(x, SparseTensor):
        require_coo(name, x)


def smm(input, mat):
    """Multiply a sparse matrix by a dense one; the result is sparse.

    Args:
        input: Sparse tensor ``(n, k)``.
        mat: Dense tensor ``(k, m)``.

    Returns:
        Sparse tensor ``(n, m)``, which stores all elements of the rows that ``input`` has.

    >>> import rushlight as torch
    >>> torch.smm(torch.eye(2).to_sparse(), torch.ones(2, 3)).to_dense()
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    _check("smm", input)
    return RULES["smm"](input, mat)


def hspmm(mat1, mat2, *, out=None):
    """Multiply a sparse matrix by a dense one; the result is hybrid: sparse rows, each dense.

    Args:
        mat1: Sparse tensor ``(n, k)``.
        mat2: Dense tensor ``(k, m)``.
        out: The sparse tensor to write into. Default: a new one.

    Returns:
        Sparse tensor ``(n, m)`` with one sparse and one dense dim.

    >>> import rushlight as torch
    >>> torch.hspmm(torch.eye(2).to_sparse(), torch.ones(2, 3)).dense_dim()
    1
    """
    _check("hspmm", mat1)
    found = RULES["hspmm"](mat1, mat2)
    return found if out is None else write_out(out, found, "hspmm")


hsmm = hspmm


def sspaddmm(input, mat1, mat2, *, beta=1, alpha=1):
    """Return ``beta * input + alpha * (mat1 @ mat2)`` as a sparse tensor.

    Args:
        input: Sparse tensor ``(n, m)``.
        mat1: Sparse tensor ``(n, k)``.
        mat2: Dense tensor ``(k, m)``.
        beta, alpha: Factors of the input and of the product. Default: 1.

    Returns:
        Sparse tensor ``(n, m)``, which is not coalesced.

    >>> import rushlight as torch
    >>> x = torch.eye(2).to_sparse()
    >>> torch.sspaddmm(x, x, torch.ones(2, 2)).to_dense()
    tensor([[2., 1.],
            [1., 2.]])
    """
    _check("sspaddmm", mat1)
    return RULES["sspaddmm"](input, mat1, mat2, beta=beta, alpha=alpha)


dsmm = spmm = rushlight.mm


def saddmm(input, mat1, mat2, *, beta=1, alpha=1, out=None):
    """Return ``beta * input + alpha * (mat1 @ mat2)``: sparse if ``input`` is.

    Args:
        input: Tensor ``(n, m)``.
        mat1: Sparse tensor ``(n, k)``.
        mat2: Dense tensor ``(k, m)``.
        beta, alpha: Factors of the input and of the product. Default: 1.
        out: The tensor to write into, of the result's layout. Default: a new one.

    Returns:
        Tensor ``(n, m)`` of ``input``'s layout.

    >>> import rushlight as torch
    >>> x = torch.eye(2).to_sparse()
    >>> torch.saddmm(x, x, torch.ones(2, 2)).to_dense()
    tensor([[2., 1.],
            [1., 2.]])
    """
    if not isinstance(input, SparseTensor) or isinstance(mat2, SparseTensor):
        return rushlight.addmm(input, mat1, mat2, beta=beta, alpha=alpha, out=out)
    found = sspaddmm(input, mat1, mat2, beta=beta, alpha=alpha)
    return found if out is None else write_out(out, found, "saddmm")
