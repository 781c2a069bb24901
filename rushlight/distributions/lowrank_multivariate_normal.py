"""The normal distribution of vectors whose covariance is a low-rank matrix plus a diagonal."""

import math

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.covariance import log_diagonal, mahalanobis
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import lazy_property, validated
from rushlight.tensor import Size

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """Normal vectors of N elements with the covariance W·Wᵀ + D.

    Computations are cheap, because only the M × M capacitance matrix I + Wᵀ·D⁻¹·W is inverted.

    Args:
        loc: (…, N) the mean.
        cov_factor: (…, N, M) the matrix W.
        cov_diag: (…, N) the diagonal of D.

    Raises:
        ValueError: a parameter has too few dims, or the sizes disagree.

    Source: M. Woodbury, Inverting modified matrices (1950), and the matrix determinant lemma.

    >>> import rushlight as torch
    >>> d = torch.distributions.LowRankMultivariateNormal(
    ...     torch.zeros(2), torch.ones(2, 1), torch.ones(2)
    ... )
    >>> d.covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        shapes = [tuple(t.shape) for t in (loc, cov_factor, cov_diag)]
        if loc.ndim < 1 or cov_factor.ndim < 2 or cov_diag.ndim < 1:
            raise ValueError(
                "LowRankMultivariateNormal: loc (…, N), cov_factor (…, N, M) and cov_diag (…, N) "
                f"have too few dims: {shapes}"
            )
        n = loc.shape[-1]
        if cov_factor.shape[-2] != n or cov_diag.shape[-1] != n:
            raise ValueError(
                "LowRankMultivariateNormal: loc (…, N), cov_factor (…, N, M) and cov_diag (…, N) "
                f"must have one N, got {shapes}"
            )
        batch = Size(
            rushlight.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        )
        self.loc = loc.expand((*batch, n))
        self.cov_diag = cov_diag.expand((*batch, n))
        self.cov_factor = cov_factor.expand((*batch, n, cov_factor.shape[-1]))
        self._unbroadcasted_cov_factor = cov_factor
        self._unbroadcasted_cov_diag = cov_diag
        super().__init__(batch, Size((n,)), validate_args=validate_args)
        self._capacitance_tril = _capacitance_tril(cov_factor, cov_diag)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        return self._expanded(
            LowRankMultivariateNormal, batch_shape, _instance,
            _unbroadcasted_cov_factor=self._unbroadcasted_cov_factor,
            _unbroadcasted_cov_diag=self._unbroadcasted_cov_diag,
            _capacitance_tril=self._capacitance_tril,
            **self._expanded_parameters(batch_shape),
        )  # fmt: skip

    def _broadcast(self, matrix):
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def mean(self):
        """``loc``."""
        return self.loc

    @property
    def mode(self):
        """``loc``."""
        return self.loc

    @lazy_property
    def variance(self):
        """The diagonal of the covariance."""
        found = self._unbroadcasted_cov_factor.square().sum(-1) + self._unbroadcasted_cov_diag
        return found.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self):
        """The covariance's Cholesky factor: D^½ times the factor of I + D^-½·W·Wᵀ·D^-½."""
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        identity = rushlight.eye(self._event_shape[0], dtype=scaled.dtype, device=scaled.device)
        return self._broadcast(root * rushlight.linalg.cholesky(scaled @ scaled.mT + identity))

    @lazy_property
    def covariance_matrix(self):
        """W·Wᵀ + D."""
        W = self._unbroadcasted_cov_factor
        return self._broadcast(W @ W.mT + rushlight.diag_embed(self._unbroadcasted_cov_diag))

    @lazy_property
    def precision_matrix(self):
        """D⁻¹ - D⁻¹·W·(I + Wᵀ·D⁻¹·W)⁻¹·Wᵀ·D⁻¹."""
        solved = rushlight.linalg.solve_triangular(
            self._capacitance_tril, self._weighted_factor(), upper=False
        )
        inverse = rushlight.diag_embed(self._unbroadcasted_cov_diag.reciprocal())
        return self._broadcast(inverse - solved.mT @ solved)

    def _weighted_factor(self):
        """Wᵀ·D⁻¹."""
        return self._unbroadcasted_cov_factor.mT / self._unbroadcasted_cov_diag.unsqueeze(-2)

    def rsample(self, sample_shape=()):
        """loc + W·noise + D^½·noise."""
        shape = self._extended_shape(sample_shape)
        W, dtype = self._unbroadcasted_cov_factor, self.loc.dtype
        common = rushlight.randn((*shape[:-1], W.shape[-1]), dtype=dtype, device=W.device)
        own = rushlight.randn(shape, dtype=dtype, device=W.device)
        shared = (W @ common.unsqueeze(-1)).squeeze(-1)
        return self.loc + shared + self._unbroadcasted_cov_diag.sqrt() * own

    @validated
    def log_prob(self, value):
        """-½(N log 2π + log |Σ| + (x - loc)ᵀ·Σ⁻¹·(x - loc))."""
        x = value - self.loc
        weighted = (self._weighted_factor() @ x.unsqueeze(-1)).squeeze(-1)
        distance = (x.square() / self._unbroadcasted_cov_diag).sum(-1)
        distance = distance - mahalanobis(self._capacitance_tril, weighted)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + self._log_determinant() + distance)

    def _log_determinant(self):
        """log |Σ| = log |I + Wᵀ·D⁻¹·W| + log |D|."""
        return 2 * log_diagonal(self._capacitance_tril) + self._unbroadcasted_cov_diag.log().sum(-1)

    def entropy(self):
        """½(N(1 + log 2π) + log |Σ|)."""
        n = self._event_shape[0]
        found = 0.5 * (n * (1.0 + math.log(2 * math.pi)) + self._log_determinant())
        return found.expand(self._batch_shape)


def _capacitance_tril(W, diagonal):
    """The Cholesky factor of I + Wᵀ·D⁻¹·W."""
    weighted = W.mT / diagonal.unsqueeze(-2)
    identity = rushlight.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    return rushlight.linalg.cholesky(weighted @ W + identity)
