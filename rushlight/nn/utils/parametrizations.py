"""Ready-made parametrizations: orthogonal matrices, weight norm and spectral norm."""

import rushlight
from rushlight import linalg
from rushlight.autograd.mode import no_grad
from rushlight.docstrings import document
from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module
from rushlight.nn.utils.parametrize import register_parametrization
from rushlight.nn.utils.spectral_norm import rows_of
from rushlight.nn.utils.weight_norm import norm_of_slices, scaled
from rushlight.ops.core.rules import conj
from rushlight.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _weight(name, module, tensor_name):
    found = getattr(module, tensor_name, None)
    if not isinstance(found, Tensor):
        raise ValueError(
            f"{name}: Module '{module}' has no parameter or buffer with name '{tensor_name}'"
        )
    return found


# Orthogonal -------------------------------------------------------------------------------

MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """Maps any matrix to a matrix with orthonormal columns, or rows if it has fewer rows."""

    base: Tensor | None

    def __init__(self, weight, orthogonal_map, *, use_trivialization=True):
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("orthogonal: the householder map has no form for complex matrices")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X):
        wide = X.size(-2) < X.size(-1)
        X = X.mT if wide else X
        if self.orthogonal_map == "householder":
            A = X.tril(-1)
            tau = 2.0 / (1.0 + (A * A).sum(-2))
            Q = linalg.householder_product(A, tau)
            # Reflections cannot express the signs of the columns, so the diagonal holds them.
            Q = Q * X.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            Q = self._of_skew(X.tril())
        if hasattr(self, "base"):
            Q = self.base @ Q
        return Q.mT if wide else Q

    def _of_skew(self, X):
        """Apply the map to the skew-symmetric matrix whose lower triangle is ``X``."""
        n, k = X.size(-2), X.size(-1)
        if n != k:
            filling = X.new_zeros(n, n - k).expand(*X.shape[:-2], -1, -1)
            X = rushlight.cat([X, filling], dim=-1)
        A = X - X.mH
        if self.orthogonal_map == "matrix_exp":
            Q = linalg.matrix_exp(A)
        else:
            eye = rushlight.eye(n, dtype=A.dtype, device=A.device)
            Q = linalg.solve(eye - 0.5 * A, eye + 0.5 * A)
        return Q if n == k else Q[..., :k]

    @no_grad()
    def right_inverse(self, Q):
        if Q.shape != self.shape:
            raise ValueError(
                f"orthogonal: expected shape {tuple(self.shape)}, but got {tuple(Q.shape)}"
            )
        wide = Q.size(-2) < Q.size(-1)
        tall = Q.mT if wide else Q
        if hasattr(self, "base"):
            return self._rebase(Q, tall)
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "orthogonal: the matrix exponential and the Cayley map cannot be assigned to with "
                "use_trivialization=False"
            )
        A, tau = rushlight.geqrf(tall)
        diagonal = A.diagonal(dim1=-2, dim2=-1)
        diagonal.sign_()
        # If tau is 0, LAPACK left out the reflection, and the column has the other sign.
        diagonal[tau == 0.0] *= -1
        return A.mT if wide else A

    def _rebase(self, Q, tall):
        """Make ``tall`` the base, which the map is relative to, and return the new original.

        The original is −I: its strict lower triangle is 0, so the map gives the base itself.
        """
        n, k = tall.size(-2), tall.size(-1)
        if n == k:
            base = tall.clone() if _is_orthogonal(tall) else _make_orthogonal(tall)
        else:
            rest = rushlight.randn(
                *tall.size()[:-2], n, n - k, dtype=tall.dtype, device=tall.device
            )
            base = _make_orthogonal(rushlight.cat([tall, rest], dim=-1))
        self.base = base
        negative = rushlight.zeros_like(Q)
        negative.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return negative


def _is_orthogonal(Q):
    n, k = Q.size(-2), Q.size(-1)
    eye = rushlight.eye(k, dtype=Q.dtype, device=Q.device)
    return rushlight.allclose(Q.mH @ Q, eye, atol=10.0 * n * rushlight.finfo(Q.dtype).eps)


def _make_orthogonal(A):
    """Return Q of the QR factorization A = Q·R in which the diagonal of R is positive."""
    X, tau = rushlight.geqrf(A)
    Q = linalg.householder_product(X, tau)
    return Q * X.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Keep a matrix of ``module`` orthogonal.

    The columns of the matrix stay orthonormal, or its rows if it has fewer rows than columns.

    Args:
        orthogonal_map: ``"matrix_exp"``, ``"cayley"`` or ``"householder"``: the map from any matrix
            to an orthogonal one. Default: ``"matrix_exp"`` for square and for complex matrices,
            otherwise ``"householder"``.
        use_trivialization: Let the map be relative to the value that was last assigned. This helps
            training and allows any value. Default: True.

    Returns:
        ``module``, which gets a new class.

    Raises:
        ValueError: The tensor does not exist or has fewer than two dims, or the map is unknown.

    Source: Lezcano-Casado 2019, https://arxiv.org/abs/1909.09501

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(3, 5))
    >>> torch.allclose(layer.weight.T @ layer.weight, torch.eye(3), atol=1e-5)
    True
    """
    weight = _weight("orthogonal", module, name)
    if weight.ndim < 2:
        raise ValueError(
            "orthogonal: Expected a matrix or batch of matrices. Got a tensor of "
            f"{weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(
            f'orthogonal: orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    map_ = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, map_, unsafe=True)


# Weight norm ------------------------------------------------------------------------------


class _WeightNorm(Module):
    """Computes vectors from their lengths and directions."""

    def __init__(self, dim=0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g, weight_v):
        return scaled(weight_v, weight_g, self.dim)

    def right_inverse(self, weight):
        return norm_of_slices(weight, 2, self.dim), weight


def weight_norm(module, name="weight", dim=0):
    """Learn the lengths and the directions of a weight's slices as separate parameters.

    The weight is g·v/‖v‖, where g is ``parametrizations.weight.original0`` and v is ``original1``.
    State dicts of the older ``nn.utils.weight_norm`` can be loaded.

    Args:
        dim: The weight has one length for each index of this dim. None: a single length.
            Default: 0.

    Returns:
        ``module``, which gets a new class.

    Source: Salimans and Kingma 2016, https://arxiv.org/abs/1602.07868

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    torch.Size([40, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def older(state_dict, prefix, *_):
        for old, new in (("g", "0"), ("v", "1")):
            key = f"{prefix}{name}_{old}"
            if f"{prefix}{name}_g" in state_dict or key in state_dict:
                state_dict[f"{prefix}parametrizations.{name}.original{new}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(older)
    return module


# Spectral norm ----------------------------------------------------------------------------


class _SpectralNorm(Module):
    """Divides a weight by its largest singular value, which power iteration estimates."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        ndim = weight.ndim
        if dim >= ndim or dim < -ndim:
            raise IndexError(
                f"spectral_norm: Dimension out of range (expected to be in range of [-{ndim}, "
                f"{ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "spectral_norm: Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight)
            rows, columns = matrix.size()
            u = matrix.new_empty(rows).normal_(0, 1)
            v = matrix.new_empty(columns).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _matrix(self, weight):
        return weight.movedim(self.dim, 0).flatten(1)

    @no_grad()
    def _power_method(self, matrix, n):
        for _ in range(n):
            self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(matrix.mH.mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight):
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # Backward needs these values, and the next call's power iteration overwrites the buffers.
        u, v = self._u.clone(), self._v.clone()
        return weight / conj(u).dot(matrix.mv(v))

    def right_inverse(self, value):
        return value


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Keep the largest singular value of a weight at 1.

    Args:
        dim: The dim whose slices are the rows of the weight as a matrix. Default: 0, or 1 for
            transposed convolutions.

    Returns:
        ``module``, which gets a new class.

    Raises:
        ValueError: The tensor does not exist, or ``n_power_iterations`` is not positive.
        IndexError: ``dim`` is out of range.

    Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(20, 40))
    >>> list(layer.state_dict())[-2:]
    ['parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    weight = _weight("spectral_norm", module, name)
    dim = rows_of(module) if dim is None else dim
    norm = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return register_parametrization(module, name, norm)


for _name in __all__:
    document(globals()[_name], "utils")
