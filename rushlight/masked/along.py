"""Masked functions that keep the shape: running sums, softmax and its kin, normalize."""

import rushlight
from rushlight.docstrings import document
from rushlight.masked.masks import dims, filled, highest, identity, lowest, opened
from rushlight.masked.reductions import norm

__all__ = ["cumprod", "cumsum", "log_softmax", "normalize", "softmax", "softmin"]


def _shared(function):
    return document(function, "masked along")


def _along(function, value, input, dim, dtype, mask):
    """Run ``function`` along ``dim`` of ``input``, with ``value`` where elements are masked out."""
    x = filled(input, mask, value, function.__name__)
    return function(x, dims(dim, x.ndim)[0], dtype=x.dtype if dtype is None else dtype)


@_shared
def cumsum(input, dim, *, dtype=None, mask=None):
    """Return the running sums along ``dim`` of the elements whose mask is True.

    Args:
        dtype: The dtype of the result. Default: ``input``'s dtype, for integers as well.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> torch.masked.cumsum(torch.tensor([1, 2, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor([1, 1, 4])
    """
    return _along(rushlight.cumsum, identity(0), input, dim, dtype, mask)


@_shared
def cumprod(input, dim, *, dtype=None, mask=None):
    """Return the running products along ``dim`` of the elements whose mask is True.

    Args:
        dtype: The dtype of the result. Default: ``input``'s dtype, for integers as well.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> torch.masked.cumprod(torch.tensor([3, 2, 3]), 0, mask=torch.tensor([True, False, True]))
    tensor([3, 3, 9])
    """
    return _along(rushlight.cumprod, identity(1), input, dim, dtype, mask)


@_shared
def softmax(input, dim, *, dtype=None, mask=None):
    """Scale the exponentials of the elements whose mask is True so that they sum to 1.

    A masked-out element gives 0. A slice without elements that count gives nan.

    Args:
        dtype: Convert ``input`` to this dtype before the computation. Default: keep its dtype.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> torch.masked.softmax(torch.zeros(3), 0, mask=torch.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    return _along(rushlight.softmax, lowest, input, dim, dtype, mask)


@_shared
def log_softmax(input, dim, *, dtype=None, mask=None):
    """Return the logarithm of ``torch.masked.softmax``, computed without overflow.

    A masked-out element gives -inf. A slice without elements that count gives nan.

    Args:
        dtype: Convert ``input`` to this dtype before the computation. Default: keep its dtype.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> torch.masked.log_softmax(torch.zeros(3), 0, mask=torch.tensor([True, False, True]))
    tensor([-0.6931,    -inf, -0.6931])
    """
    return _along(rushlight.log_softmax, lowest, input, dim, dtype, mask)


@_shared
def softmin(input, dim, *, dtype=None, mask=None):
    """Return ``torch.masked.softmax`` of ``-input``: small elements get large parts.

    Args:
        dtype: Convert ``-input`` to this dtype before the computation. Default: keep its dtype.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> torch.masked.softmin(torch.zeros(3), 0, mask=torch.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    return _along(rushlight.nn.functional.softmin, highest, input, dim, dtype, mask)


@_shared
def normalize(input, ord, dim, *, eps=1e-12, dtype=None, mask=None):
    """Divide the elements whose mask is True by their norm along ``dim``.

    A masked-out element gives 0.

    Args:
        ord: The order of the norm: a number, inf or -inf.
        eps: The smallest divisor, so that a norm of 0 gives 0. Default: 1e-12.
        dtype: The dtype in which the norm is computed. Default: ``input``'s dtype.

    Raises:
        IndexError: ``dim`` is out of range, or the mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> mask = torch.tensor([True, False, True])
    >>> torch.masked.normalize(torch.tensor([3.0, 2.0, 4.0]), 2.0, 0, mask=mask)
    tensor([0.6000, 0.0000, 0.8000])
    """
    x, mask = opened(input, mask, "normalize")
    length = norm(x, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    length = rushlight.maximum(length, length.new_full((), eps))
    return filled(x, mask, identity(0), "normalize") / length
