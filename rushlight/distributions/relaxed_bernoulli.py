"""The relaxed Bernoulli distribution: numbers near 0 and 1 that have gradients.

Source: Maddison, Mnih and Teh, The concrete distribution, ICLR 2017; Jang, Gu and Poole,
Categorical reparameterization with Gumbel-softmax, ICLR 2017.
"""

from rushlight.distributions import constraints
from rushlight.distributions.odds import Odds
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import SigmoidTransform
from rushlight.distributions.utils import broadcast_all, clamp_probs, validated
from rushlight.tensor import Size

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(Odds):
    """The logits of relaxed Bernoulli numbers.

    Args:
        temperature: A tensor. The lower it is, the closer the numbers are to 0 or 1.
        probs: The probability of 1.
        logits: The logarithm of the odds of 1, instead of ``probs``.

    Raises:
        ValueError: not exactly one of probs and logits is given; a probability outside [0, 1].
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        super().__init__(self._set_odds(probs, logits), validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        shape = Size(batch_shape)
        parameters = self._expanded_parameters(shape)
        return self._expanded(
            LogitRelaxedBernoulli, shape, _instance, temperature=self.temperature, **parameters
        )

    def rsample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(probs.new_empty(shape).uniform_())
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    @validated
    def log_prob(self, value):
        logits, value = broadcast_all(self.logits, value)
        distance = logits - value * self.temperature
        return self.temperature.log() + distance - 2 * distance.exp().log1p()


class RelaxedBernoulli(TransformedDistribution):
    """Numbers between 0 and 1 that have gradients and approximate zeros and ones.

    Args:
        temperature: A tensor. The lower it is, the closer the numbers are to 0 or 1.
        probs: The probability of 1: a number or tensor ``(*)``.
        logits: The logarithm of the odds of 1, instead of ``probs``.

    Raises:
        ValueError: not exactly one of probs and logits is given; a probability outside [0, 1].

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.distributions.RelaxedBernoulli(torch.tensor([0.5]), torch.tensor([0.5])).rsample()
    tensor([0.5695])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def temperature(self):
        """How far the numbers are from 0 and 1."""
        return self.base_dist.temperature

    @property
    def logits(self):
        """The logarithm of the odds of 1."""
        return self.base_dist.logits

    @property
    def probs(self):
        """The probability of 1."""
        return self.base_dist.probs
