"""KL(p ‖ q) of normal vectors: ½(log |Σq| - log |Σp| + tr(Σq⁻¹·Σp) + dᵀ·Σq⁻¹·d - N).

d is the difference of the means. One formula serves full and low-rank covariances, because three
functions hide the difference: ``_log_determinant``, ``_roots`` and ``_inverse_product``.
"""

import rushlight
from rushlight.distributions.covariance import log_diagonal
from rushlight.distributions.kl.registry import register_kl
from rushlight.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from rushlight.distributions.multivariate_normal import MultivariateNormal

__all__ = ["gaussian"]


@register_kl(MultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def gaussian(p, q):
    """KL(p ‖ q) of normal vectors.

    Raises:
        ValueError: the vectors are of different lengths.
    """
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"kl_divergence: the event shapes {tuple(p.event_shape)} and {tuple(q.event_shape)} "
            "differ"
        )
    gap = (q.loc - p.loc).unsqueeze(-1)
    spread = sum(_inverse_product(q, A) for A in _roots(p))
    logs = _log_determinant(q) - _log_determinant(p)
    return 0.5 * (logs + spread + _inverse_product(q, gap) - p.event_shape[0])


def _log_determinant(p):
    """log |Σ|."""
    if isinstance(p, LowRankMultivariateNormal):
        return p._log_determinant()
    return 2 * log_diagonal(p._unbroadcasted_scale_tril)


def _roots(p):
    """Matrices A such that the sum of all A·Aᵀ is the covariance."""
    if isinstance(p, LowRankMultivariateNormal):
        diagonal = rushlight.diag_embed(p._unbroadcasted_cov_diag.sqrt())
        return p._unbroadcasted_cov_factor, diagonal
    return (p._unbroadcasted_scale_tril,)


def _inverse_product(q, A):
    """tr(Aᵀ·Σ⁻¹·A), for the covariance Σ of q."""
    solve = rushlight.linalg.solve_triangular
    total = lambda matrix: matrix.square().sum((-2, -1))
    if not isinstance(q, LowRankMultivariateNormal):
        return total(solve(q._unbroadcasted_scale_tril, A, upper=False))
    # Σ⁻¹ = D⁻¹ - D⁻¹·W·C⁻¹·Wᵀ·D⁻¹, for the capacitance C = I + Wᵀ·D⁻¹·W.
    root = q._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
    inner = solve(q._capacitance_tril, q._weighted_factor() @ A, upper=False)
    return total(A / root) - total(inner)
