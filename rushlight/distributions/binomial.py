"""The binomial distribution: how many of a number of trials succeed."""

from typing import Any

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.odds import Odds
from rushlight.distributions.utils import validated
from rushlight.nn import functional as F

__all__ = ["Binomial"]


class Binomial(Odds):
    """How many of ``total_count`` trials succeed.

    Args:
        total_count: The number of trials: an int or tensor ``(*)``. Default: 1.
        probs: The probability of success: a number or tensor, broadcast with ``total_count``.
        logits: The logarithm of the odds of success, instead of ``probs``.

    Raises:
        ValueError: not exactly one of probs and logits is given; a parameter out of bounds.

    >>> import rushlight as torch
    >>> d = torch.distributions.Binomial(4, torch.tensor([0.5]))
    >>> d.log_prob(torch.tensor([2.0])).exp()
    tensor([0.3750])
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    total_count: Any

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        shape = self._set_odds(probs, logits, total_count=total_count)
        super().__init__(shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        """0 to ``total_count``."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self):
        return self.total_count * self.probs

    @property
    def mode(self):
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self):
        return self.mean * (1 - self.probs)

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return rushlight.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    @validated
    def log_prob(self, value):
        n = self.total_count
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return ways + value * self.logits + n * F.logsigmoid(-self.logits)

    def entropy(self):
        log_p = self.log_prob(self.enumerate_support(False))
        return -(log_p.exp() * log_p).sum(0)

    def enumerate_support(self, expand=True):
        count = int(self.total_count.max())
        if self.total_count.min() != count:
            raise NotImplementedError(
                "Binomial: total_count differs between the batch's parts, so their supports do too"
            )
        values = rushlight.arange(count + 1, dtype=self._param.dtype, device=self._param.device)
        values = values.reshape((-1, *[1] * len(self._batch_shape)))
        return values.expand((-1, *self._batch_shape)) if expand else values
