"""Random numbers with parameters in tensors: gamma, Dirichlet, binomial and von Mises.

Gamma and Dirichlet samples have gradients by implicit reparametrisation (``reparametrization.py``).
While a trace infers the shape of a result, ``generator`` is None and nothing is drawn.
"""

import numpy as np

from rushlight import draw
from rushlight.dtype import float32, float64
from rushlight.errors import DtypeError
from rushlight.ops.core.definition import FUNCTIONS, function
from rushlight.ops.core.kinds import elementwise, kernel
from rushlight.ops.core.rules import underivable
from rushlight.ops.elementwise.exponential import floating, full_precision
from rushlight.ops.elementwise.special import digamma
from rushlight.ops.random.reparametrization import beta_slope, gamma_slope
from rushlight.ops.random.sampling import checked_generator, draws_of
from rushlight.random import default_generator
from rushlight.tensor import Tensor

__all__ = ["angles", "binomial"]

#: From this many samples on, a kernel saves more time than it took to make.
_MANY = 1 << 13
_PRIVATE = {"public": False, "method": False, "inplace": False}


# Gamma ------------------------------------------------------------------------------------


def _integral(forward):
    """An operation that ``forward`` computes in float64; ``short``: for a float32 result."""
    return elementwise(forward, **_PRIVATE, dtype=_no_integers, name=forward.__name__.strip("_"))


def _no_integers(operands):
    floating(operands)
    return full_precision(operands)


def _one_dtype(operands):
    found = {x.dtype for x in operands}
    if len(found) > 1:
        raise DtypeError(f"the operands have different dtypes: {', '.join(map(str, found))}")
    return _no_integers(operands)


@_integral
def _gamma_slope(xp, x, output, digammas, *, short):
    return gamma_slope(xp, x, output, digammas, short)


@elementwise(**_PRIVATE, dtype=_one_dtype, name="_standard_gamma_grad", least=_MANY, spreads=True,
             keeps_order=False, tensors=("x", "output"))  # fmt: skip
def standard_gamma_grad(xp, x, output):
    """The derivative of gamma samples ``output`` by their shape parameters ``x``."""
    shape, sample = x.astype(np.float64), output.astype(np.float64)
    found = gamma_slope(xp, shape, sample, xp.digamma(shape), x.dtype == np.float32)
    return found.astype(x.dtype)


def _as_integral(x, output):
    shape, sample = x.to(float64), output.to(float64)
    found = _gamma_slope(shape, sample, digamma(shape), short=x.dtype is float32)
    return found.to(x.dtype)


standard_gamma_grad.lower(_as_integral)
standard_gamma_grad.lower_on_devices(lambda x: NotImplemented)  # some have no float64


@kernel(public=False, method=False, name="standard_gamma", widen=False, draws=True)
def gamma_(xp, x, *, generator):
    """Gamma samples with shape parameters ``x`` and rate 1, or zeros without a generator."""
    return xp.zeros_like(x) if generator is None else draws_of(generator).gamma(generator, x)


standard_gamma_grad.grad(
    x=underivable("_standard_gamma_grad", listed=True),
    output=underivable("_standard_gamma_grad", listed=True),
)
gamma_.grad(x=lambda g, x, out: g * standard_gamma_grad(x, out))


def standard_gamma(input, generator=None):
    """Draw gamma samples with rate 1.

    Args:
        input: The shape parameters, which get gradients: tensor (*), float32 or float64.
        generator: Source of the random numbers. Default: ``torch.default_generator``.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        NotImplementedError: ``input`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch._standard_gamma(torch.ones(3)).shape
    torch.Size([3])
    """
    return gamma_(input, generator=checked_generator(generator, "_standard_gamma"))


# Dirichlet --------------------------------------------------------------------------------


@_integral
def _beta_slope(xp, x, alpha, beta, digammas, *, short):
    return beta_slope(xp, x, alpha, beta, digammas, short)


@elementwise(**_PRIVATE, dtype=_one_dtype, name="_dirichlet_grad", least=_MANY, spreads=True,
             keeps_order=False, tensors=("x", "alpha", "total"))  # fmt: skip
def dirichlet_grad(xp, x, alpha, total):
    """The derivative of a Dirichlet coordinate ``x`` by its parameter ``alpha``, over 1 - x.

    ``total`` is the sum of all parameters. The coordinate alone has a beta distribution with the
    parameters ``alpha`` and ``total - alpha``.
    """
    dtype = x.dtype
    x, alpha, total = [v.astype(np.float64) for v in (x, alpha, total)]
    digammas = xp.digamma(alpha) - xp.digamma(total)
    found = beta_slope(xp, x, alpha, total - alpha, digammas, dtype == np.float32)
    return found.astype(dtype)


def _as_beta_integral(x, alpha, total):
    sample, alpha, total = [v.to(float64) for v in (x, alpha, total)]
    digammas = digamma(alpha) - digamma(total)
    short = x.dtype is float32
    return _beta_slope(sample, alpha, total - alpha, digammas, short=short).to(x.dtype)


dirichlet_grad.lower(_as_beta_integral)
dirichlet_grad.lower_on_devices(lambda x: NotImplemented)
dirichlet_grad.grad(**dict.fromkeys(("x", "alpha", "total"), underivable("_dirichlet_grad")))


@kernel(public=False, method=False, name="sample_dirichlet", widen=False, draws=True)
def dirichlet_(xp, x, *, generator):
    """Points of a Dirichlet distribution, or zeros without a generator."""
    return xp.zeros_like(x) if generator is None else draws_of(generator).dirichlet(generator, x)


def _dirichlet_slope(g, x, out):
    total = x.sum(-1, keepdims=True)
    moved = dirichlet_grad(out, x, total)
    return moved * (g - (out * g).sum(-1, keepdims=True))


dirichlet_.grad(x=_dirichlet_slope)


def sample_dirichlet(input, generator=None):
    """Draw Dirichlet points, whose coordinates sum to 1.

    Args:
        input: The concentrations, which get gradients: tensor (*, K), float32 or float64.
        generator: Source of the random numbers. Default: ``torch.default_generator``.

    Returns:
        Tensor (*, K).

    Raises:
        NotImplementedError: ``input`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch._sample_dirichlet(torch.ones(2, 3)).sum(-1).allclose(torch.ones(2))
    True
    """
    return dirichlet_(input, generator=checked_generator(generator, "_sample_dirichlet"))


standard_gamma.composes = sample_dirichlet.composes = True  # type: ignore[attr-defined]
FUNCTIONS["_standard_gamma"], FUNCTIONS["_sample_dirichlet"] = standard_gamma, sample_dirichlet
FUNCTIONS["_standard_gamma_grad"] = standard_gamma_grad
FUNCTIONS["_dirichlet_grad"] = dirichlet_grad


# Binomial ---------------------------------------------------------------------------------


@kernel(public=False, method=False, name="binomial", widen=False, draws=True, tensors=("x", "y"))
def _binomial(xp, x, y, *, generator):
    """Binomial samples of ``x`` trials with probability ``y``, or zeros without a generator."""
    if generator is None:
        return xp.zeros(np.broadcast_shapes(x.shape, y.shape), x.dtype)
    return draws_of(generator).binomial(generator, x, y)


_binomial.grad(x=underivable("binomial"), y=underivable("binomial"))


@function(method=False)
def binomial(count, prob, generator=None):
    """Draw the number of successes in ``count`` trials, each with probability ``prob``.

    Args:
        count: Numbers of trials: tensor (*), float32 or float64.
        prob: Probabilities of success in [0, 1]: tensor of ``count``'s dtype. The two are broadcast
            to one shape.

    Returns:
        Tensor of the shape to which ``count`` and ``prob`` are broadcast, of ``count``'s dtype.

    Raises:
        ValueError: ``count`` is not floating point.
        NotImplementedError: ``count`` is not float32 or float64.
        RuntimeError: ``count`` and ``prob`` have different dtypes.

    >>> import rushlight as torch
    >>> torch.binomial(torch.tensor([3.0, 3.0]), torch.tensor([0.0, 1.0]))
    tensor([0., 3.])
    """
    if isinstance(count, Tensor) and isinstance(prob, Tensor):
        for name, t in (("count", count), ("prob", prob)):
            if not t.is_floating_point():
                raise ValueError(f"binomial: {name} is {t.dtype}, not floating point")
        if count.dtype is not prob.dtype:
            raise DtypeError(f"binomial: count is {count.dtype}, but prob is {prob.dtype}")
    return _binomial(count, prob, generator=checked_generator(generator, "binomial"))


# Von Mises --------------------------------------------------------------------------------


@kernel(public=False, method=False, name="von_mises", widen=False, draws=True)
def _von_mises(xp, x, *, generator):
    """Von Mises angles with mean 0 and concentrations ``x``, or zeros without a generator."""
    return xp.zeros_like(x) if generator is None else draw.von_mises(generator, x)


def angles(concentrations):
    """Draw von Mises angles in [-π, π] with mean 0 and the given float64 ``concentrations``."""
    return _von_mises(concentrations, generator=default_generator)
