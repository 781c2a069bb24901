"""Covariances and correlations of variables."""

import warnings

from rushlight.autograd import mode
from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, ShapeError
from rushlight.meta import is_meta
from rushlight.ops.core.definition import function
from rushlight.ops.core.range_checks import check_range
from rushlight.tensor import Tensor


def _check_weights(name, weights, count):
    """Raise unless ``weights`` has one number, not negative, for each of ``count`` observations."""
    if weights.ndim > 1:
        raise ShapeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{weights.ndim} dimensions"
        )
    category, wanted = (1, "integral") if name == "fweights" else (2, "floating point")
    if weights.dtype.category != category:
        raise DtypeError(
            f"cov(): expected {name} to have {wanted} dtype but got {name} with {weights.dtype} "
            "dtype"
        )
    if weights.numel() != count:
        raise ShapeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {weights.numel()} != {count}"
        )
    if weights.numel():
        check_range(
            weights.detach(), low=0, high=float("inf"), error=RuntimeError,
            message=f"cov(): {name} cannot be negative: {{}}",
        )  # fmt: skip


def _warn_of_freedom():
    warnings.warn(
        "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of "
        "observations.",
        stacklevel=4,
    )


def _freedom(weights, total, aweights, correction):
    """The number that divides the sums of products, not negative.

    ``total`` is the sum of the ``weights``, or the number of observations if there are no weights.
    """
    if aweights is not None and correction:
        total = total - correction * (weights * aweights).sum() / total
    else:
        total = total - correction
    if not isinstance(total, Tensor):
        if total <= 0:
            _warn_of_freedom()
        return max(total, 0)
    recorder = mode.recorder() if mode.intercept else None
    known = recorder is None and not is_meta(total)
    if known and total.detach().item() <= 0:
        _warn_of_freedom()
    return total.masked_fill(total.le(0), 0)


@function(kinds={"correction": "int", "fweights": "Tensor", "aweights": "Tensor"})
def cov(input, *, correction=1, fweights=None, aweights=None):
    """Estimate the covariances of variables from observations.

    Args:
        input: Tensor ``(V, N)``: N observations of V variables, each variable in a row. A tensor of
            shape ``(N)`` or ``()`` is one variable. Not bool.
        correction: Integer that is subtracted from the number of observations before it divides the
            sums. Default: 1.
        fweights: Tensor ``(N)`` of integers: how often each observation counts. Default: once.
        aweights: Tensor ``(N)``, floating point: the weight of each observation. Default: 1.

    Returns:
        Tensor ``(V, V)``, or ``()`` for one variable; floating point for integers.

    Raises:
        RuntimeError: ``input`` has more than two dims, or weights are negative or do not fit.

    >>> import rushlight as torch
    >>> torch.cov(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise ShapeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    if input.dtype is bool_:
        raise DtypeError("cov(): bool dtype is not supported for input")
    x = input if input.ndim == 2 else input.reshape(1, -1)
    count = x.shape[1]
    weights, total = None, count
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is not None:
            _check_weights(name, given, count)
            weights = given if weights is None else weights * given
    if weights is not None:
        weights, total = weights.reshape(-1), weights.sum()
        check_range(
            (total.detach() == 0).long(), low=0, high=0, error=RuntimeError,
            message="cov(): weights sum to zero, can't be normalized",
        )  # fmt: skip
    mean = (x if weights is None else x * weights).sum(1) / total
    freedom = _freedom(weights, total, aweights, correction)
    x = x - mean.unsqueeze(1)
    scaled = x if weights is None else x * weights
    return (x @ scaled.t().conj() / freedom).squeeze()


@function
def corrcoef(input):
    """Estimate the correlations of variables (Pearson's coefficients) from observations.

    Args:
        input: Tensor ``(V, N)``: N observations of V variables, each variable in a row. A tensor of
            shape ``(N)`` or ``()`` is one variable. Not bool.

    Returns:
        Tensor ``(V, V)``, or ``()`` for one variable, with values from -1 to 1. It is nan for a
        variable that does not vary.

    Raises:
        RuntimeError: ``input`` has more than two dims.

    >>> import rushlight as torch
    >>> torch.corrcoef(torch.tensor([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise ShapeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    found = cov(input)
    if not found.ndim:
        return found / found
    variance = found.diagonal()
    deviation = (variance.real if found.is_complex() else variance).sqrt()
    found = found / deviation.unsqueeze(1) / deviation
    if not found.is_complex():
        return found.clip(-1, 1)
    from rushlight.ops.elementwise.complex import complex

    return complex(found.real.clip(-1, 1), found.imag.clip(-1, 1))
