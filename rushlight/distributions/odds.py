"""The base class of distributions whose parameter is a probability or its logit."""

from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import (
    broadcast_all,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)

__all__ = ["Odds"]


class Odds(Distribution):
    """A distribution given by either the probability of success or its logit."""

    def _set_odds(self, probs, logits, **others):
        """Store the given parameter, broadcast together with ``others``; returns the batch shape.

        Raises:
            ValueError: not exactly one of ``probs`` and ``logits`` is given.
        """
        if (probs is None) == (logits is None):
            raise ValueError(
                f"{type(self).__name__}: give either `probs` or `logits`, and not both"
            )
        name, given = ("probs", probs) if logits is None else ("logits", logits)
        *tensors, given = broadcast_all(*others.values(), given)
        vars(self).update(zip(others, [t.to(given.dtype) for t in tensors], strict=True))
        setattr(self, name, given)
        return given.shape

    @property
    def _param(self):
        """``probs`` or ``logits``, whichever was given."""
        return vars(self).get("probs", vars(self).get("logits"))

    @lazy_property
    def logits(self):
        """The logarithm of the odds of success."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self):
        """The probability of success."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self):
        """The shape of the parameter."""
        return self._param.shape
