"""The negative binomial distribution: successes before a number of failures."""

from typing import Any

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.odds import Odds
from rushlight.distributions.utils import validated
from rushlight.nn import functional as F

__all__ = ["NegativeBinomial"]


class NegativeBinomial(Odds):
    """How many trials succeed before ``total_count`` have failed.

    Args:
        total_count: The number of failures: a number or tensor ``(*)``. It need not be whole.
        probs: The probability of success, below 1: a number or tensor, broadcast with
            ``total_count``.
        logits: The logarithm of the odds of success, instead of ``probs``.

    Raises:
        ValueError: not exactly one of probs and logits is given; a parameter out of bounds.

    >>> import rushlight as torch
    >>> torch.distributions.NegativeBinomial(3, torch.tensor([0.5])).mean
    tensor([3.])
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    total_count: Any

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        shape = self._set_odds(probs, logits, total_count=total_count)
        super().__init__(shape, validate_args=validate_args)

    @property
    def mean(self):
        return self.total_count * self.logits.exp()

    @property
    def mode(self):
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self):
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape=()):
        """Poisson numbers whose rates are gamma numbers."""
        with no_grad():
            # The arguments are not checked, because a ``total_count`` of 0 is allowed here.
            rates = Gamma(self.total_count, (-self.logits).exp(), validate_args=False)
            return rushlight.poisson(rates.sample(sample_shape))

    @validated
    def log_prob(self, value):
        n = self.total_count
        ways = (n + value).lgamma() - (value + 1).lgamma() - n.lgamma()
        ways = ways.masked_fill(n + value == 0, 0)  # for 0 of 0 trials, lgamma(0) is infinite
        return ways + n * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits)
