"""The geometric distribution: failures before the first success."""

import rushlight
from rushlight.autograd.mode import no_grad, recorder
from rushlight.distributions import constraints
from rushlight.distributions.odds import Odds
from rushlight.distributions.utils import broadcast_all, validated
from rushlight.nn import functional as F

__all__ = ["Geometric"]


class Geometric(Odds):
    """How many trials fail before the first success.

    Args:
        probs: The probability of success, not 0: a number or tensor ``(*)``.
        logits: The logarithm of the odds of success, instead of ``probs``.

    Raises:
        ValueError: not exactly one of them is given; a probability outside (0, 1].

    >>> import rushlight as torch
    >>> torch.distributions.Geometric(torch.tensor([0.25])).mean
    tensor([3.])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(self._set_odds(probs, logits), validate_args=validate_args)
        checked = self._validate_args and probs is not None and recorder() is None
        if checked and not (self.probs > 0).all():
            raise ValueError(f"Geometric: probs must be positive, but holds\n{self.probs}")

    @property
    def mean(self):
        return 1 / self.probs - 1

    @property
    def mode(self):
        return rushlight.zeros_like(self.probs)

    @property
    def variance(self):
        return self.mean / self.probs

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with no_grad():
            tiny = rushlight.finfo(self.probs.dtype).tiny
            u = self.probs.new_empty(shape).uniform_(tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    @validated
    def log_prob(self, value):
        value, probs = broadcast_all(value, self.probs)
        sure = (probs == 1) & (value == 0)
        return value * (-rushlight.where(sure, 0, probs)).log1p() + self.probs.log()

    def entropy(self):
        bits = F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return bits / self.probs
