"""Batch dims as parts of an event."""

from typing import Any

from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import sum_rightmost
from rushlight.tensor import Size

__all__ = ["Independent"]


class Independent(Distribution):
    """A distribution whose rightmost batch dims count as parts of an event.

    Args:
        base_distribution: The distribution whose dims are counted anew.
        reinterpreted_batch_ndims: How many of its batch dims become part of an event.

    Raises:
        ValueError: the distribution has fewer batch dims.

    >>> import rushlight as torch
    >>> d = torch.distributions
    >>> diagonal = d.Independent(d.Normal(torch.zeros(2), torch.ones(2)), 1)
    >>> diagonal.event_shape, diagonal.log_prob(torch.zeros(2))
    (torch.Size([2]), tensor(-1.8379))
    """

    arg_constraints: Any = {}

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        batch = base_distribution.batch_shape
        if reinterpreted_batch_ndims > len(batch):
            raise ValueError(
                f"Independent: reinterpreted_batch_ndims {reinterpreted_batch_ndims} is more than "
                f"the dims of batch_shape {tuple(batch)}"
            )
        self.base_dist = base_distribution
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        cut = len(batch) - reinterpreted_batch_ndims
        event = batch[cut:] + base_distribution.event_shape
        super().__init__(batch[:cut], event, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        more = self.event_shape[: self.reinterpreted_batch_ndims]
        return self._expanded(
            Independent, batch_shape, _instance,
            base_dist=self.base_dist.expand(batch_shape + more),
            reinterpreted_batch_ndims=self.reinterpreted_batch_ndims,
        )  # fmt: skip

    @property
    def has_rsample(self):
        """Whether the base distribution has ``rsample``."""
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self):  # type: ignore[override]
        """Whether the base distribution has ``enumerate_support`` and no dims are reinterpreted."""
        return self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support

    @constraints.dependent_property
    def support(self):
        """The support of the base distribution, for events of more dims."""
        found = self.base_dist.support
        more = self.reinterpreted_batch_ndims
        return constraints.independent(found, more) if more else found

    @property
    def mean(self):
        """The mean of the base distribution."""
        return self.base_dist.mean

    @property
    def mode(self):
        """The mode of the base distribution."""
        return self.base_dist.mode

    @property
    def variance(self):
        """The variance of the base distribution."""
        return self.base_dist.variance

    def sample(self, sample_shape=()):
        """Samples of the base distribution."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        """Differentiable samples of the base distribution."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value):
        """The base's ``log_prob``, summed over an event."""
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self):
        """The base's entropy, summed over an event."""
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand=True):
        """All values of the base distribution, if no dims are reinterpreted.

        Raises:
            NotImplementedError: dims are reinterpreted, so that the combinations of values would be
                too many.
        """
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError(
                "Independent.enumerate_support: not where batch dims are reinterpreted; use "
                "itertools.product on the base's"
            )
        return self.base_dist.enumerate_support(expand=expand)

    def __repr__(self):
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
