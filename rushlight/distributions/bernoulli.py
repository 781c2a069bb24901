"""The Bernoulli distribution: 1 with a probability, else 0."""

from math import nan

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.odds import Odds
from rushlight.distributions.utils import broadcast_all, expanded, validated
from rushlight.nn import functional as F

__all__ = ["Bernoulli"]


class Bernoulli(Odds, ExponentialFamily):
    """1 with probability ``probs``, else 0.

    Args:
        probs: The probability of 1, from 0 to 1: a number or tensor ``(*)``.
        logits: The logarithm of the odds of 1, instead of ``probs``: a number or tensor ``(*)``.

    Raises:
        ValueError: not exactly one of them is given; a probability outside [0, 1].

    >>> import rushlight as torch
    >>> d = torch.distributions.Bernoulli(torch.tensor([0.25]))
    >>> d.log_prob(torch.tensor([1.0])).exp()
    tensor([0.2500])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure = 0

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(self._set_odds(probs, logits), validate_args=validate_args)

    @property
    def mean(self):
        return self.probs

    @property
    def mode(self):
        return rushlight.where(self.probs == 0.5, nan, (self.probs >= 0.5).to(self.probs.dtype))

    @property
    def variance(self):
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        with no_grad():
            return rushlight.bernoulli(expanded(self.probs, self._extended_shape(sample_shape)))

    @validated
    def log_prob(self, value):
        logits, value = broadcast_all(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self):
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand=True):
        values = rushlight.arange(2, dtype=self._param.dtype, device=self._param.device)
        values = values.reshape((-1, *[1] * len(self._batch_shape)))
        return values.expand((-1, *self._batch_shape)) if expand else values

    @property
    def _natural_params(self):
        return (rushlight.logit(self.probs),)

    def _log_normalizer(self, x):
        return x.exp().log1p()
