"""The Wishart distribution of positive-definite matrices."""

import math
import warnings

import rushlight
from rushlight.autograd.mode import recorder
from rushlight.distributions import constraints
from rushlight.distributions.chi2 import Chi2
from rushlight.distributions.covariance import (
    OfCovariance,
    given_matrix,
    log_diagonal,
    scale_factor,
)
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import validated, vec_to_tril_matrix
from rushlight.tensor import Size, Tensor

__all__ = ["Wishart"]


class Wishart(OfCovariance, ExponentialFamily):
    """The sum of xᵢ·xᵢᵀ for ``df`` normal vectors xᵢ of N elements; ``df`` need not be whole.

    Args:
        df: The degrees of freedom, more than N - 1.
        covariance_matrix, precision_matrix, scale_tril: (…, N, N), exactly one of them: the
            covariance of the vectors, its inverse, or its Cholesky factor.

    Raises:
        ValueError: not exactly one matrix is given; ``df`` is too small.

    Source: M. Bartlett, On the theory of statistical regression, Proc. Royal Soc. Edinburgh 53
    (1933); S. Sawyer, Wishart distributions and inverse-Wishart sampling (2007).

    >>> import rushlight as torch
    >>> torch.distributions.Wishart(torch.tensor(3.0), torch.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        df,
        covariance_matrix=None,
        precision_matrix=None,
        scale_tril=None,
        validate_args=None,
    ):
        key, matrix = given_matrix(
            "Wishart",
            covariance_matrix=covariance_matrix,
            precision_matrix=precision_matrix,
            scale_tril=scale_tril,
        )
        if not isinstance(df, Tensor):
            df = rushlight.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch = Size(rushlight.broadcast_shapes(df.shape, matrix.shape[:-2]))
        event = matrix.shape[-2:]
        self.df = df.expand(batch)
        _check_freedom(df, event[-1])
        vars(self)[key] = matrix.expand((*batch, -1, -1))
        self._set_chi2(batch, event)
        super().__init__(batch, event, validate_args=validate_args)
        self._unbroadcasted_scale_tril = scale_factor(key, matrix)

    def _set_chi2(self, batch, event):
        """Set the distribution of the squared diagonal of Bartlett's matrix A."""
        fewer = rushlight.arange(event[-1], dtype=self.df.dtype, device=self.df.device)
        self._dist_chi2 = Chi2((self.df.unsqueeze(-1) - fewer).expand((*batch, event[-1])))

    @property
    def arg_constraints(self):
        """The parameters' constraints: ``df`` is more than N - 1."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    def expand(self, batch_shape, _instance=None):
        """The distribution with its parameters expanded to ``batch_shape``, without a copy."""
        batch_shape = Size(batch_shape)
        new = self._expanded(
            Wishart, batch_shape, _instance,
            _unbroadcasted_scale_tril=self._unbroadcasted_scale_tril,
            **self._expanded_parameters(batch_shape),
        )  # fmt: skip
        new._set_chi2(batch_shape, self._event_shape)
        return new

    @property
    def mean(self):
        """df·Σ."""
        return self._spread(self.df) * self.covariance_matrix

    @property
    def mode(self):
        """(df - N - 1)·Σ; nan where df - N - 1 is not positive."""
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        return self._spread(factor.masked_fill(factor <= 0, rushlight.nan)) * self.covariance_matrix

    @property
    def variance(self):
        """df·(Σᵢⱼ² + Σᵢᵢ·Σⱼⱼ)."""
        V = self.covariance_matrix
        diagonal = V.diagonal(dim1=-2, dim2=-1)
        products = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self._spread(self.df) * (V.square() + products)

    def _spread(self, x):
        return x.reshape((*self._batch_shape, 1, 1))

    def _bartlett_sampling(self, sample_shape=()):
        """Draw matrices L·A·Aᵀ·Lᵀ, where L is the Cholesky factor of the covariance.

        Bartlett's matrix A is lower triangular. Its diagonal elements are χ-distributed; the
        elements below the diagonal are standard normal.
        """
        n = self._event_shape[-1]
        diagonal = self._dist_chi2.rsample(sample_shape).sqrt()
        shape = (*Size(sample_shape), *self._batch_shape, n * (n - 1) // 2)
        below = rushlight.randn(shape, dtype=self.df.dtype, device=self.df.device)
        A = rushlight.diag_embed(diagonal.clamp(min=rushlight.finfo(diagonal.dtype).tiny))
        A = A + vec_to_tril_matrix(below, -1)
        factor = self._unbroadcasted_scale_tril @ A
        return factor @ factor.mT

    def rsample(self, sample_shape=(), max_try_correction=None):
        """Draw matrices at random.

        Matrices that rounding made singular are drawn again.

        Args:
            max_try_correction: How often matrices are drawn again at most. Default: 3 times for a
                single distribution, 10 times for a batch.
        """
        if max_try_correction is None:
            max_try_correction = 3 if math.prod(self._batch_shape) == 1 else 10
        sample_shape = Size(sample_shape)
        # PyTorch always discards its first draw as singular. rushlight discards a draw too, to
        # return the same numbers.
        self._bartlett_sampling(sample_shape)
        sample = self._bartlett_sampling(sample_shape)
        for _ in range(0 if recorder() is not None else max_try_correction):
            singular = ~self.support.check(sample)
            if not bool(singular.any()):
                break
            sample = self._bartlett_sampling(sample_shape).where(singular[..., None, None], sample)
        return sample

    @validated
    def log_prob(self, value):
        """½(df - N - 1) log |X| - ½ tr(Σ⁻¹·X) - F, with the log normalizer F."""
        nu, n = self.df, self._event_shape[-1]
        L = self._unbroadcasted_scale_tril
        trace = rushlight.cholesky_solve(value, L).diagonal(dim1=-2, dim2=-1).sum(-1)
        log_determinant = rushlight.linalg.slogdet(value).logabsdet
        return (
            0.5 * (nu - n - 1) * log_determinant
            - 0.5 * trace
            - nu * (log_diagonal(L) + 0.5 * n * math.log(2))
            - rushlight.mvlgamma(nu / 2, n)
        )

    def entropy(self):
        """The entropy, of shape ``batch_shape``."""
        nu, n = self.df, self._event_shape[-1]
        return (
            (n + 1) * (log_diagonal(self._unbroadcasted_scale_tril) + 0.5 * n * math.log(2))
            + rushlight.mvlgamma(nu / 2, n)
            - 0.5 * (nu - n - 1) * mvdigamma(nu / 2, n)
            + 0.5 * nu * n
        )

    @property
    def _natural_params(self):
        return -0.5 * self.precision_matrix, 0.5 * (self.df - self._event_shape[-1] - 1)

    def _log_normalizer(self, x, y):
        n = self._event_shape[-1]
        half = y + 0.5 * (n + 1)
        return half * (-rushlight.linalg.slogdet(-2 * x)[1] + n * math.log(2)) + rushlight.mvlgamma(
            half, n
        )


def mvdigamma(x, n):
    """The derivative of ``mvlgamma``: Σ ψ(x - k/2) for k = 0, …, n - 1."""
    steps = rushlight.arange(n, dtype=x.dtype, device=x.device)
    return (x.unsqueeze(-1) - 0.5 * steps).digamma().sum(-1)


def _check_freedom(df, n):
    """Raise if no distribution has these ``df``; warn if many samples would be singular."""
    if recorder() is not None:
        return
    if bool((df <= n - 1).any()):
        raise ValueError(
            f"Wishart: df={df} must be more than {n - 1}, the rows of the matrix less 1"
        )
    if bool((df < n).any()):
        warnings.warn(
            f"Wishart: samples are often singular where df is less than {n}, the matrix's rows",
            stacklevel=3,
        )
