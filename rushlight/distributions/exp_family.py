"""Exponential families: p(x; θ) = exp(t(x)·θ − F(θ) + k(x))."""

from typing import Any

import rushlight
from rushlight.autograd.mode import enable_grad
from rushlight.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """The base class of exponential families, whose entropy follows from F and its gradient.

    A subclass defines its natural parameters θ, the log normalizer F(θ) and the mean of the carrier
    measure, E[k(x)].

    Source: F. Nielsen and R. Nock, Entropies and cross-entropies of exponential families, ICIP
        2010, eq. 6.

    >>> import rushlight as torch
    >>> issubclass(torch.distributions.Normal, torch.distributions.ExponentialFamily)
    True
    """

    @property
    def _natural_params(self) -> Any:
        """The tensors θ, as a tuple."""
        raise NotImplementedError

    def _log_normalizer(self, *natural_params):
        """F(θ)."""
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        """E[k(x)]."""
        raise NotImplementedError

    def entropy(self):
        """F(θ) − θ·∇F(θ) − E[k(x)], of shape ``batch_shape``."""
        theta = [p.detach().requires_grad_() for p in self._natural_params]
        with enable_grad():
            normalizer = self._log_normalizer(*theta)
            slopes = rushlight.autograd.grad(normalizer.sum(), theta, create_graph=True)
        entropy = normalizer - self._mean_carrier_measure
        for p, g in zip(theta, slopes, strict=True):
            entropy = entropy - (p * g).reshape((*self._batch_shape, -1)).sum(-1)
        return entropy
