"""The categorical distribution."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import lazy_property, logits_to_probs, probs_to_logits, validated
from rushlight.tensor import Size

__all__ = ["Categorical", "OfCategories"]


class Categorical(Distribution):
    """One of 0, …, K - 1, with given probabilities.

    Args:
        probs: (…, K) probabilities, which are scaled to a sum of 1.
        logits: (…, K) logarithms of the probabilities, up to a constant; instead of ``probs``.

    Raises:
        ValueError: not exactly one of ``probs`` and ``logits`` is given, or it has no dims.

    >>> import rushlight as torch
    >>> d = torch.distributions.Categorical(torch.tensor([1.0, 3.0]))
    >>> d.log_prob(torch.tensor(1)).exp()
    tensor(0.7500)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        if (probs is None) == (logits is None):
            raise ValueError("Categorical: give either probs or logits, not both or none")
        given = logits if probs is None else probs
        if given.ndim < 1:
            raise ValueError("Categorical: probs or logits must have at least one dim, got ()")
        if probs is not None:
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self._param = given
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        parameters = self._expanded_parameters(batch_shape)
        return self._expanded(
            Categorical, batch_shape, _instance, **parameters, _num_events=self._num_events,
            _param=self._param.expand(batch_shape + self._param.shape[-1:]),
        )  # fmt: skip

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self):
        """0, …, K - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self):
        """The logarithms of the probabilities."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self):
        """The probabilities."""
        return logits_to_probs(self.logits)

    @property
    def param_shape(self):
        """The shape of ``probs`` and ``logits``."""
        return self._param.shape

    @property
    def mean(self):
        """nan, because categories are not numbers."""
        return self.probs.new_full(self._extended_shape(), rushlight.nan)

    @property
    def mode(self):
        """The most probable category."""
        return self.probs.argmax(-1)

    @property
    def variance(self):
        """nan, because categories are not numbers."""
        return self.mean

    def sample(self, sample_shape=()):
        """Categories drawn at random, as int64."""
        sample_shape = Size(sample_shape)
        count = sample_shape.numel()
        probs = self.probs
        rows = probs if probs.ndim <= 2 else probs.reshape(-1, self._num_events)
        drawn = rushlight.multinomial(rows, count, True)
        if count > 1 and drawn.ndim == 2:
            drawn = drawn.T
        return drawn.reshape(self._extended_shape(sample_shape))

    @validated
    def log_prob(self, value):
        """The logarithm of each category's probability."""
        places, logits = value.long().unsqueeze(-1), self.logits
        if places.shape[:-1] != logits.shape[:-1]:
            places, logits = rushlight.broadcast_tensors(places, logits)
            places = places[..., :1]
        return logits.gather(-1, places).squeeze(-1)

    def entropy(self):
        """-Σ p log p."""
        logits = self.logits.clamp(min=rushlight.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        """0, …, K - 1 along a new dim 0."""
        values = rushlight.arange(self._num_events, device=self._param.device)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values


class OfCategories(Distribution):
    """The base class of distributions over vectors with one element for each category."""

    arg_constraints = Categorical.arg_constraints

    def __init__(self, probs, logits, validate_args):
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def _expanded(self, cls, batch_shape, instance, **attributes):
        return super()._expanded(
            cls, batch_shape, instance,
            _categorical=self._categorical.expand(batch_shape), **attributes,
        )  # fmt: skip

    @property
    def _param(self):
        return self._categorical._param

    @property
    def probs(self):
        """The probabilities."""
        return self._categorical.probs

    @property
    def logits(self):
        """The logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def param_shape(self):
        """The shape of ``probs`` and ``logits``."""
        return self._categorical.param_shape
