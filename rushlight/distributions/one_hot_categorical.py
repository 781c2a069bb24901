"""The categorical distribution over one-hot vectors."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.categorical import OfCategories
from rushlight.distributions.utils import validated
from rushlight.nn.functional import one_hot

__all__ = ["OneHotCategorical", "OneHotCategoricalStraightThrough"]


class OneHotCategorical(OfCategories):
    """A ``Categorical`` whose values are vectors of zeros and a single one.

    Args:
        probs, logits: As for ``Categorical``; give exactly one.

    >>> import rushlight as torch
    >>> d = torch.distributions.OneHotCategorical(torch.tensor([0.0, 1.0]))
    >>> d.sample()
    tensor([0., 1.])
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(probs, logits, validate_args)

    @property
    def mean(self):
        """The probabilities."""
        return self._categorical.probs

    @property
    def mode(self):
        """The vector of the most probable category."""
        return self._vectors(self._categorical.mode)

    @property
    def variance(self):
        """p(1 - p)."""
        return self.probs * (1 - self.probs)

    def _vectors(self, categories):
        return one_hot(categories, self._event_shape[0]).to(self._param.dtype)

    def sample(self, sample_shape=()):
        """Vectors drawn at random."""
        return self._vectors(self._categorical.sample(sample_shape))

    @validated
    def log_prob(self, value):
        """The logarithm of each vector's probability."""
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self):
        """-Σ p log p."""
        return self._categorical.entropy()

    def enumerate_support(self, expand=True):
        """The K vectors along a new dim 0."""
        n = self._event_shape[0]
        values = rushlight.eye(n, dtype=self._param.dtype, device=self._param.device)
        values = values.view((n,) + (1,) * len(self._batch_shape) + (n,))
        return values.expand((n, *self._batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """A ``OneHotCategorical`` with ``rsample``: the gradient goes straight to the probabilities.

    Args:
        probs, logits: As for ``Categorical``; give exactly one.

    Source: Y. Bengio, N. Léonard and A. Courville, Estimating or propagating gradients through
        stochastic neurons for conditional computation, arXiv:1308.3432.

    >>> import rushlight as torch
    >>> p = torch.tensor([0.0, 1.0], requires_grad=True)
    >>> torch.distributions.OneHotCategoricalStraightThrough(p).rsample().requires_grad
    True
    """

    has_rsample = True

    def rsample(self, sample_shape=()):
        """Vectors drawn at random whose gradient is that of the probabilities."""
        probs = self._categorical.probs
        return self.sample(sample_shape) + (probs - probs.detach())
