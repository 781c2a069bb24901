"""The continuous Bernoulli distribution, over numbers between 0 and 1.

Near ``probs`` = 1/2 the exact formulas divide 0 by 0. There, Taylor series are used instead.

Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli: fixing a pervasive error in
variational autoencoders, NeurIPS 2019.
"""

from math import log

import rushlight
from rushlight.autograd.mode import no_grad, recorder
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.odds import Odds
from rushlight.distributions.utils import (
    broadcast_all,
    clamp_probs,
    lazy_property,
    logits_to_probs,
    validated,
)
from rushlight.nn import functional as F
from rushlight.tensor import Size

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(Odds, ExponentialFamily):
    """Numbers x between 0 and 1, of density in proportion to ``probs``^x · (1 - ``probs``)^(1-x).

    Args:
        probs: The parameter, between 0 and 1: a number or tensor ``(*)``.
        logits: The logit of ``probs``, instead of ``probs``.
        lims: A pair (low, high). If ``probs`` lies between them, it counts as near 1/2.
            Default: (0.499, 0.501).

    Raises:
        ValueError: not exactly one of probs and logits is given; a probability outside [0, 1].

    >>> import rushlight as torch
    >>> torch.distributions.ContinuousBernoulli(torch.tensor([0.5, 0.9])).mean
    tensor([0.5000, 0.6699])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        shape = self._set_odds(probs, logits)
        self._lims = lims
        if probs is not None:
            self._check_probs(validate_args)
            self.probs = clamp_probs(self.probs)
        super().__init__(shape, validate_args=validate_args)

    def _check_probs(self, validate_args):
        """Check ``probs`` before they are clamped, because clamped values always pass.

        The check is made only if ``validate_args`` is given, even as False.
        """
        if validate_args is None or recorder() is not None:
            return
        if not constraints.unit_interval.check(self.probs).all():
            raise ValueError(
                f"ContinuousBernoulli: probs must lie in [0, 1], but holds\n{self.probs}"
            )

    def expand(self, batch_shape, _instance=None):
        shape = Size(batch_shape)
        parameters = self._expanded_parameters(shape)
        return self._expanded(ContinuousBernoulli, shape, _instance, _lims=self._lims, **parameters)

    @lazy_property
    def probs(self):
        """The parameter, clamped away from 0 and 1."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _split(self):
        """Return (where ``probs`` is not near 1/2, safe ``probs`` for the exact formulas).

        The safe values are ``probs`` where they are not near 1/2, else the lower one of ``lims``.
        """
        low, high = self._lims
        far = (self.probs <= low) | (self.probs > high)
        return far, rushlight.where(far, self.probs, low)

    @property
    def mean(self):
        far, p = self._split()
        x = self.probs - 0.5
        near = 0.5 + (1 / 3 + 16 / 45 * x.square()) * x
        return rushlight.where(far, p / (2 * p - 1) + 1 / ((-p).log1p() - p.log()), near)

    @property
    def variance(self):
        far, p = self._split()
        x = (self.probs - 0.5).square()
        near = 1 / 12 - (1 / 15 - 128 / 945 * x) * x
        exact = p * (p - 1) / (1 - 2 * p).square() + 1 / ((-p).log1p() - p.log()).square()
        return rushlight.where(far, exact, near)

    def sample(self, sample_shape=()):
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.icdf(self.probs.new_empty(self._extended_shape(sample_shape)).uniform_())

    def _log_norm(self):
        """The logarithm of the factor that makes the integral of the density 1."""
        far, p = self._split()
        x = (self.probs - 0.5).square()
        near = log(2) + (4 / 3 + 104 / 45 * x) * x
        exact = ((-p).log1p() - p.log()).abs().log() - (1 - 2 * p).abs().log()
        return rushlight.where(far, exact, near)

    @validated
    def log_prob(self, value):
        logits, value = broadcast_all(self.logits, value)
        surprise = F.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return self._log_norm() - surprise

    @validated
    def cdf(self, value):
        far, p = self._split()
        exact = (p**value * (1 - p) ** (1 - value) + p - 1) / (2 * p - 1)
        found = rushlight.where(far, exact, value)
        return rushlight.where(value <= 0, 0, rushlight.where(value >= 1, 1, found))

    def icdf(self, value):
        far, p = self._split()
        log_rest = (-p).log1p()
        exact = ((value * (2 * p - 1) - p).log1p() - log_rest) / (p.log() - log_rest)
        return rushlight.where(far, exact, value)

    def entropy(self):
        log_p, log_rest = self.probs.log(), (-self.probs).log1p()
        return self.mean * (log_rest - log_p) - self._log_norm() - log_rest

    @property
    def _natural_params(self):
        return (self.logits,)

    def _log_normalizer(self, x):
        low, high = self._lims
        far = (x <= low - 0.5) | (x > high - 0.5)
        logit = rushlight.where(far, x, low - 0.5)
        near = 0.5 * x + x**2 / 24 - x**4 / 2880
        return rushlight.where(far, logit.expm1().abs().log() - logit.abs().log(), near)
