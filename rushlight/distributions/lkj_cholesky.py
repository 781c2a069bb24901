"""The LKJ distribution of the Cholesky factors of correlation matrices."""

import math

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.distributions import constraints
from rushlight.distributions.beta import Beta
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all, validated
from rushlight.tensor import Size

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of random correlation matrices M, of density ∝ |M|^(concentration - 1).

    Args:
        dim: The number of rows, at least 2.
        concentration: Positive number or tensor ``(*)``. With 1, all correlation matrices have the
            same density. A larger value favours matrices near the identity. Default: 1.

    Raises:
        ValueError: ``dim`` is less than 2.

    Source: D. Lewandowski, D. Kurowicka and H. Joe, Generating random correlation matrices based
        on vines and extended onion method, J. Multivariate Analysis 100 (2009), section 3.2.

    >>> import rushlight as torch
    >>> torch.distributions.LKJCholesky(3, 0.5).log_prob(torch.eye(3))
    tensor(-2.5310)
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    dim: int

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"LKJCholesky: dim must be at least 2, got {dim}")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        like = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        row = rushlight.arange(-1, dim - 1, **like).clamp(min=0)  # 0, 0, 1, …, dim - 2
        above = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * row
        self._beta = Beta(row + 0.5, above)
        event = Size((dim, dim))
        super().__init__(self.concentration.shape, event, validate_args=validate_args)

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        return self._expanded(
            LKJCholesky, batch_shape, _instance, dim=self.dim,
            _beta=self._beta.expand((*batch_shape, self.dim)),
            **self._expanded_parameters(batch_shape),
        )  # fmt: skip

    def sample(self, sample_shape=()):
        """Draw Cholesky factors, whose rows have length 1.

        In each row, the part before the diagonal has a beta-distributed squared length and a
        uniformly random direction.
        """
        with no_grad():
            squared = self._beta.sample(sample_shape).unsqueeze(-1)
            shape = self._extended_shape(sample_shape)
            normal = rushlight.randn(shape, dtype=squared.dtype, device=squared.device).tril(-1)
            direction = normal / normal.norm(dim=-1, keepdim=True)
            direction[..., 0, :].fill_(0.0)  # the first row has nothing before the diagonal
            rows = squared.sqrt() * direction
            tiny = rushlight.finfo(rows.dtype).tiny
            diagonal = (1 - rows.square().sum(-1)).clamp(min=tiny).sqrt()
            return rows + rushlight.diag_embed(diagonal)

    @validated
    def log_prob(self, value):
        """Σ (dim - i + 2(concentration - 1)) log Lᵢᵢ, less the logarithm of the constant."""
        n = self.dim
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        row = rushlight.arange(2, n + 1, device=value.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + n - row
        top = self.concentration + 0.5 * (n - 1)
        constant = (
            0.5 * (n - 1) * math.log(math.pi)
            + rushlight.mvlgamma(top - 0.5, n - 1)
            - top.lgamma() * (n - 1)
        )
        return (order * diagonal.log()).sum(-1) - constant
