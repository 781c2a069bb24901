"""The multinomial distribution."""

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.categorical import OfCategories
from rushlight.distributions.utils import broadcast_all, validated
from rushlight.tensor import Size

__all__ = ["Multinomial"]


class Multinomial(OfCategories):
    """How often each of K categories occurs among ``total_count`` draws.

    Args:
        total_count: The number of draws, an int. Default: 1.
        probs, logits: As for ``Categorical``; give exactly one.

    Raises:
        NotImplementedError: ``total_count`` is not an int.

    >>> import rushlight as torch
    >>> d = torch.distributions.Multinomial(4, torch.tensor([1.0, 1.0]))
    >>> d.mean, d.log_prob(torch.tensor([2.0, 2.0])).exp()
    (tensor([2., 2.]), tensor(0.3750))
    """

    total_count: int

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError(
                f"Multinomial: total_count must be one int, got {type(total_count).__name__}"
            )
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)
        self._binomial = Binomial(total_count, probs=self.probs)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        return self._expanded(
            Multinomial, batch_shape, _instance, total_count=self.total_count,
            _binomial=self._binomial.expand(batch_shape + self._event_shape),
        )  # fmt: skip

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        """Vectors of counts whose sum is at most ``total_count``."""
        return constraints.multinomial(self.total_count)

    @property
    def mean(self):
        """n·p."""
        return self.probs * self.total_count

    @property
    def variance(self):
        """n·p(1 - p)."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape=()):
        """Counts drawn at random."""
        sample_shape = Size(sample_shape)
        with no_grad():
            drawn = self._categorical.sample(Size((self.total_count,)) + sample_shape)
            drawn = drawn.movedim(0, -1)
            counts = self.probs.new_zeros(self._extended_shape(sample_shape))
            ones = rushlight.ones_like(drawn, dtype=counts.dtype)
            return counts.scatter_add(-1, drawn, ones)

    @validated
    def log_prob(self, value):
        """log(n! / Πxᵢ!) + Σxᵢ log pᵢ."""
        logits, value = broadcast_all(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -rushlight.inf), 0)
        orders = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        return orders + (logits * value).sum(-1)

    def entropy(self):
        """The entropy, from the categories' entropy and each count's binomial distribution."""
        n = self.total_count
        counts = rushlight.arange(1.0, n + 1, dtype=self.probs.dtype, device=self.probs.device)
        counts = counts.view((-1,) + (1,) * self.probs.ndim)
        chances = self._binomial.log_prob(counts).exp()
        orders = (chances * (counts + 1).lgamma()).sum([0, -1])
        whole = rushlight.tensor(n + 1.0, dtype=self.probs.dtype).lgamma()
        return n * self._categorical.entropy() - whole + orders
