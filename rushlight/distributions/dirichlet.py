"""The Dirichlet distribution."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import validated
from rushlight.nn.functional import one_hot
from rushlight.tensor import Size

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Vectors of K probabilities, of density ∝ Π xᵢ^(αᵢ - 1).

    Args:
        concentration: (…, K) positive αᵢ.

    Raises:
        ValueError: ``concentration`` has no dims.

    >>> import rushlight as torch
    >>> torch.distributions.Dirichlet(torch.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration, validate_args=None):
        if concentration.ndim < 1:
            raise ValueError("Dirichlet: concentration must have at least one dim, got ()")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape=()):
        """Vectors drawn at random; gradients by implicit differentiation."""
        shape = self._extended_shape(Size(sample_shape))
        return rushlight._sample_dirichlet(self.concentration.expand(shape))

    @validated
    def log_prob(self, value):
        """Σ (αᵢ - 1) log xᵢ + log Γ(Σα) - Σ log Γ(αᵢ)."""
        a = self.concentration
        return rushlight.xlogy(a - 1, value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    @property
    def mean(self):
        """α / Σα."""
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self):
        """(α - 1) / Σ(α - 1); a corner where all α are below 1."""
        above = (self.concentration - 1).clamp(min=0.0)
        inner = above / above.sum(-1, keepdim=True)
        corner = one_hot(inner.argmax(-1), self._event_shape[0]).to(inner.dtype)
        return corner.where((self.concentration < 1).all(-1, keepdim=True), inner)

    @property
    def variance(self):
        """α(Σα - α) / ((Σα)²(Σα + 1))."""
        total = self.concentration.sum(-1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total**2 * (total + 1))

    def entropy(self):
        """log B(α) + (Σα - K) ψ(Σα) - Σ (α - 1) ψ(α)."""
        a = self.concentration
        total = a.sum(-1)
        log_beta = a.lgamma().sum(-1) - total.lgamma()
        return (
            log_beta - (a.shape[-1] - total) * total.digamma() - ((a - 1.0) * a.digamma()).sum(-1)
        )

    @property
    def _natural_params(self):
        return (self.concentration,)

    def _log_normalizer(self, x):
        return x.lgamma().sum(-1) - x.sum(-1).lgamma()
