"""The relaxed one-hot categorical distribution: points of a simplex, near its corners.

Source: C. Maddison, A. Mnih and Y. W. Teh, The concrete distribution, ICLR 2017; E. Jang, S. Gu
and B. Poole, Categorical reparameterization with Gumbel-softmax, ICLR 2017.
"""

import math

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.categorical import OfCategories
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import ExpTransform
from rushlight.distributions.utils import broadcast_all, clamp_probs, validated
from rushlight.tensor import Size

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(OfCategories):
    """The logarithms of relaxed one-hot vectors.

    Args:
        temperature: A tensor. The lower it is, the closer the vectors are to one-hot vectors.
        probs, logits: As for ``Categorical``; give exactly one.
    """

    support = constraints.real_vector  # more exactly: where the exponentials add up to 1
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        return self._expanded(
            ExpRelaxedCategorical, batch_shape, _instance, temperature=self.temperature
        )  # fmt: skip

    def rsample(self, sample_shape=()):
        """(logits + Gumbel noise) / temperature, scaled to be logarithms of probabilities."""
        shape = self._extended_shape(sample_shape)
        uniform = rushlight.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        uniform = clamp_probs(uniform)
        gumbel = -(-uniform.log()).log()
        scores = (self.logits + gumbel) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    @validated
    def log_prob(self, value):
        """log Γ(K) + (K - 1) log temperature + Σ of the normalised scores."""
        logits, value = broadcast_all(self.logits, value)
        k, temperature = self._event_shape[0], rushlight.as_tensor(self.temperature)
        scores = (logits - value * temperature).log_softmax(-1)
        return scores.sum(-1) + (math.lgamma(k) + (k - 1) * temperature.log())


class RelaxedOneHotCategorical(TransformedDistribution):
    """Points of a simplex, with gradients; the lower the temperature, the nearer to its corners.

    Args:
        temperature: A tensor. As it goes to 0, the values become one-hot vectors.
        probs, logits: As for ``Categorical``; give exactly one.

    >>> import rushlight as torch
    >>> d = torch.distributions.RelaxedOneHotCategorical(torch.tensor(1.0), torch.ones(3))
    >>> d.log_prob(torch.ones(3) / 3).exp()
    tensor(2.)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def temperature(self):
        """How far values are from corners."""
        return self.base_dist.temperature

    @property
    def logits(self):
        """The logarithms of the probabilities."""
        return self.base_dist.logits

    @property
    def probs(self):
        """The probabilities."""
        return self.base_dist.probs
