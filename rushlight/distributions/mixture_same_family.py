"""Mixtures of distributions of one family."""

from typing import Any

from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.distribution import Distribution
from rushlight.tensor import Size

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A mixture whose components are the last batch dim of one distribution.

    Args:
        mixture_distribution: A ``Categorical`` that tells how probable each component is.
        component_distribution: The components, of batch shape (…, K).

    Raises:
        ValueError: an argument is of another class, or the numbers of components or the batch
            shapes disagree.

    >>> import rushlight as torch
    >>> d = torch.distributions
    >>> two = d.Normal(torch.tensor([-1.0, 1.0]), torch.ones(2))
    >>> d.MixtureSameFamily(d.Categorical(torch.ones(2)), two).variance
    tensor(2.)
    """

    arg_constraints: Any = {}
    has_rsample = False

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        _check(mixture_distribution, component_distribution)
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        super().__init__(
            component_distribution.batch_shape[:-1],
            component_distribution.event_shape,
            validate_args=validate_args,
        )

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        components = self._component_distribution
        return self._expanded(
            MixtureSameFamily, batch_shape, _instance,
            _mixture_distribution=self._mixture_distribution.expand(batch_shape),
            _component_distribution=components.expand(batch_shape + components.batch_shape[-1:]),
        )  # fmt: skip

    @constraints.dependent_property
    def support(self):
        """The values that every component can take."""
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self):
        """The distribution over components."""
        return self._mixture_distribution

    @property
    def component_distribution(self):
        """The components."""
        return self._component_distribution

    @property
    def _component_dim(self):
        return -1 - len(self._event_shape)

    def _weights(self):
        """The components' probabilities, with a dim of size 1 for each dim of an event."""
        probs = self._mixture_distribution.probs
        return probs.reshape(probs.shape + (1,) * len(self._event_shape))

    @property
    def mean(self):
        """The weighted mean of the components' means."""
        means = self._component_distribution.mean
        return (self._weights() * means).sum(self._component_dim)

    @property
    def variance(self):
        """The mean of the components' variances plus the variance of their means."""
        weights, dim = self._weights(), self._component_dim
        within = (weights * self._component_distribution.variance).sum(dim)
        gaps = self._component_distribution.mean - self.mean.unsqueeze(dim)
        return within + (weights * gaps.square()).sum(dim)

    def cdf(self, x):
        """The weighted mean of the components' cdfs."""
        found = self._component_distribution.cdf(x.unsqueeze(self._component_dim))
        return (found * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, x):
        """log Σ wₖ pₖ(x)."""
        if self._validate_args:
            self._validate_sample(x)
        found = self._component_distribution.log_prob(x.unsqueeze(self._component_dim))
        weights = self._mixture_distribution.logits.log_softmax(-1)
        return (found + weights).logsumexp(-1)

    def sample(self, sample_shape=()):
        """Draw a sample of every component, and choose one of them at random."""
        with no_grad():
            dim = self._component_dim
            chosen = self._mixture_distribution.sample(sample_shape)
            samples = self._component_distribution.sample(sample_shape)
            index = chosen.reshape(chosen.shape + (1,) * (1 + len(self._event_shape)))
            index = index.expand((*chosen.shape, 1, *self._event_shape))
            return samples.gather(dim, index).squeeze(dim)

    def __repr__(self):
        mixture, components = self._mixture_distribution, self._component_distribution
        return f"MixtureSameFamily(\n  {mixture},\n  {components})"


def _check(mixture, components):
    name = "MixtureSameFamily"
    if not isinstance(mixture, Categorical):
        raise ValueError(
            f"{name}: mixture_distribution must be a Categorical, got {type(mixture).__name__}"
        )
    if not isinstance(components, Distribution):
        raise ValueError(
            f"{name}: component_distribution must be a Distribution, got "
            f"{type(components).__name__}"
        )
    batch, count = components.batch_shape, mixture.logits.shape[-1]
    if not batch or batch[-1] != count:
        raise ValueError(
            f"{name}: {count} components in mixture_distribution, but the batch "
            f"shape of component_distribution is {tuple(batch)}"
        )
    for n, m in zip(reversed(mixture.batch_shape), reversed(batch[:-1]), strict=False):
        if n != 1 and m != 1 and n != m:
            raise ValueError(
                f"{name}: the batch shape of mixture_distribution {tuple(mixture.batch_shape)} "
                f"does not fit that of component_distribution {tuple(batch)}"
            )
