"""The normal distribution of vectors."""

import math

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.covariance import (
    OfCovariance,
    given_matrix,
    log_diagonal,
    mahalanobis,
    precision_to_scale_tril,
    scale_factor,
)
from rushlight.distributions.utils import validated
from rushlight.tensor import Size

__all__ = ["MultivariateNormal"]

# PyTorch's names, which libraries with distributions of their own import from here.
_batch_mahalanobis = mahalanobis
_precision_to_scale_tril = precision_to_scale_tril


def _batch_mv(matrix, vector):
    """The products of matrices (…, N, M) and vectors (…, M)."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


class MultivariateNormal(OfCovariance):
    """Normal vectors of N elements.

    Args:
        loc: (…, N) the mean.
        covariance_matrix, precision_matrix, scale_tril: (…, N, N), exactly one of them: the
            covariance, its inverse, or its Cholesky factor. The Cholesky factor is the cheapest.

    Raises:
        ValueError: ``loc`` has no dims; not exactly one matrix is given.

    >>> import rushlight as torch
    >>> d = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> d.log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc,
        covariance_matrix=None,
        precision_matrix=None,
        scale_tril=None,
        validate_args=None,
    ):
        if loc.ndim < 1:
            raise ValueError("MultivariateNormal: loc must have at least one dim, got ()")
        key, matrix = given_matrix(
            "MultivariateNormal",
            covariance_matrix=covariance_matrix,
            precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        )
        batch = Size(rushlight.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1]))
        self.loc = loc.expand((*batch, -1))
        vars(self)[key] = matrix.expand((*batch, -1, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = scale_factor(key, matrix)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        return self._expanded(
            MultivariateNormal, batch_shape, _instance,
            _unbroadcasted_scale_tril=self._unbroadcasted_scale_tril,
            **self._expanded_parameters(batch_shape),
        )  # fmt: skip

    @property
    def mean(self):
        """``loc``."""
        return self.loc

    @property
    def mode(self):
        """``loc``."""
        return self.loc

    @property
    def variance(self):
        """The diagonal of the covariance."""
        found = self._unbroadcasted_scale_tril.square().sum(-1)
        return found.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape=()):
        """loc + L·noise."""
        shape = self._extended_shape(sample_shape)
        noise = rushlight.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, noise)

    @validated
    def log_prob(self, value):
        """-½(N log 2π + log |Σ| + |L⁻¹(x - loc)|²)."""
        L = self._unbroadcasted_scale_tril
        distance = mahalanobis(L, value - self.loc)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - log_diagonal(L)

    def entropy(self):
        """½(N(1 + log 2π) + log |Σ|)."""
        n = self._event_shape[0]
        found = 0.5 * n * (1.0 + math.log(2 * math.pi)) + log_diagonal(
            self._unbroadcasted_scale_tril
        )
        return found.expand(self._batch_shape)
