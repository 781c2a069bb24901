"""Small functions that distributions share."""

from functools import wraps

import numpy as np

import rushlight
from rushlight.autograd.mode import enable_grad, recorder
from rushlight.ops.core.handlers import overrides
from rushlight.tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "euler_constant", "expanded", "lazy_property",
    "logits_to_probs", "probs_to_logits", "sum_rightmost", "tril_matrix_to_vec", "validated",
    "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060


def broadcast_all(*values):
    """Turn tensors and numbers into tensors of one shape.

    Args:
        *values: Tensors and numbers.

    Returns:
        Tuple of as many tensors, all of the shape to which ``values`` are broadcast.

    Raises:
        ValueError: a value is neither a tensor nor a number.

    >>> import rushlight as torch
    >>> torch.distributions.utils.broadcast_all(torch.zeros(2), 1)
    (tensor([0., 0.]), tensor([1., 1.]))
    """
    for value in values:
        if not (isinstance(value, (Tensor, int, float)) or overrides(type(value))):
            raise ValueError(
                f"broadcast_all: expected tensors and numbers, got {type(value).__name__}"
            )
    tensors = [v for v in values if isinstance(v, Tensor)]
    if len(tensors) == len(values) and len({t._array.shape for t in tensors}) == 1:
        return values
    dtype = tensors[0].dtype if tensors else rushlight.get_default_dtype()
    place = tensors[0].device if tensors else None
    made = [
        rushlight.tensor(v, dtype=dtype, device=place) if isinstance(v, (int, float)) else v
        for v in values
    ]
    return tuple(rushlight.broadcast_tensors(*made))


def expanded(x, shape):
    """``x``, expanded to ``shape`` if it has another one.

    Args:
        x: Tensor.
        shape: Tuple of ints.

    Returns:
        Tensor of ``shape``.

    >>> import rushlight as torch
    >>> torch.distributions.utils.expanded(torch.zeros(2), (3, 2)).shape
    torch.Size([3, 2])
    """
    return x if x._array.shape == shape else x.expand(shape)


def _standard_normal(shape, dtype, device):
    """Normal numbers of mean 0 and variance 1.

    Programs that define their own distributions import this function, despite its name.
    """
    return rushlight.randn(shape, dtype=dtype, device=device)


def sum_rightmost(value, dim):
    """Sum over the last dims.

    Args:
        value: Tensor of any shape ``(*)``.
        dim: Number of dims to sum over, at the end; 0 returns ``value``.

    Returns:
        Tensor without the last ``dim`` dims.

    >>> import rushlight as torch
    >>> torch.distributions.utils.sum_rightmost(torch.ones(2, 3), 1)
    tensor([3., 3.])
    """
    return value.reshape((*value.shape[:-dim], -1)).sum(-1) if dim else value


_sum_rightmost = sum_rightmost  # PyTorch's name, which libraries import


def logits_to_probs(logits, is_binary=False):
    """Compute the probabilities that logits stand for.

    Args:
        logits: Tensor ``(*, K)`` of logarithms of probabilities, up to a constant. With
            ``is_binary``, a tensor ``(*)`` of logarithms of odds.
        is_binary: Treat each element by itself instead of the last dim together. Default: False.

    Returns:
        Tensor of ``logits``' shape.

    >>> import rushlight as torch
    >>> torch.distributions.utils.logits_to_probs(torch.zeros(4))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return rushlight.sigmoid(logits) if is_binary else rushlight.softmax(logits, -1)


def clamp_probs(probs):
    """Keep probabilities an ``eps`` of their dtype away from 0 and 1.

    Args:
        probs: Tensor of any shape ``(*)``, floating point.

    Returns:
        Tensor of ``probs``' shape.

    >>> import rushlight as torch
    >>> torch.distributions.utils.clamp_probs(torch.tensor([0.0, 0.5]))
    tensor([1.1921e-07, 5.0000e-01])
    """
    eps = rushlight.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs, is_binary=False):
    """Compute the logits of probabilities, which are finite for 0 and 1, too.

    Args:
        probs: Tensor ``(*, K)`` of probabilities; with ``is_binary``, a tensor ``(*)``.
        is_binary: Treat each element by itself instead of the last dim together. Default: False.

    Returns:
        Tensor of ``probs``' shape.

    >>> import rushlight as torch
    >>> torch.distributions.utils.probs_to_logits(torch.tensor(0.5), is_binary=True)
    tensor(0.)
    """
    probs = clamp_probs(probs)
    return probs.log() - (-probs).log1p() if is_binary else probs.log()


class lazy_property:
    """A property that is computed when it is first read, then kept as an attribute of its name.

    In a trace the value is not kept, because the object may outlive the trace, and a trace's values
    have no elements.

    Args:
        wrapped: A method without arguments, which computes the value.

    >>> import rushlight as torch
    >>> d = torch.distributions.Bernoulli(torch.tensor(0.5))
    >>> d.logits, "logits" in vars(d)
    (tensor(0.), True)
    """

    def __init__(self, wrapped):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        if recorder() is None:
            setattr(instance, self.wrapped.__name__, value)
        return value


def validated(method):
    """Decorate a method of a value: check the value first, if the distribution has checks on.

    Args:
        method: A method ``f(self, value)`` of a ``Distribution``.

    Returns:
        Method that calls ``self._validate_sample(value)`` first.

    >>> from rushlight.distributions import Normal
    >>> Normal(0.0, 1.0).log_prob.__wrapped__.__name__  # log_prob is validated
    'log_prob'
    """

    @wraps(method)
    def checked(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return method(self, value)

    return checked


def tril_matrix_to_vec(mat, diag=0):
    """Put the lower triangles of matrices into vectors, row by row.

    Args:
        mat: Tensor ``(*, N, N)``.
        diag: The last diagonal to take; 0 is the main one, 1 the next above it. Default: 0.

    Returns:
        Tensor ``(*, M)``; M is ``N * (N + 1) / 2`` for ``diag`` 0.

    Raises:
        ValueError: the matrices have no diagonal ``diag``.

    >>> import rushlight as torch
    >>> torch.distributions.utils.tril_matrix_to_vec(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 3, 4])
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"tril_matrix_to_vec: diag {diag} is outside [{-n}, {n - 1}]")
    return mat.flatten(-2)[..., _tril_positions(n, diag)]


def vec_to_tril_matrix(vec, diag=0):
    """Fill lower triangular matrices from vectors, row by row.

    This is the inverse of ``tril_matrix_to_vec``.

    Args:
        vec: Tensor ``(*, M)``.
        diag: The last diagonal to fill; 0 is the main one, 1 the next above it. Default: 0.

    Returns:
        Tensor ``(*, N, N)`` with zeros above the diagonal ``diag``.

    Raises:
        ValueError: no square matrix has this number of elements up to the diagonal ``diag``.

    >>> import rushlight as torch
    >>> torch.distributions.utils.vec_to_tril_matrix(torch.tensor([1.0, 3.0, 4.0]))
    tensor([[1., 0.],
            [3., 4.]])
    """
    size, n = vec.shape[-1], max(-diag, 0)
    while _tril_size(n, diag) < size:
        n += 1
    if _tril_size(n, diag) != size:
        raise ValueError(
            f"vec_to_tril_matrix: {size} elements are not those of a square matrix up to its "
            f"diagonal {diag}"
        )
    flat = vec.new_zeros((*vec.shape[:-1], n * n))
    where = _tril_positions(n, diag).to(vec.device).expand(vec.shape)
    return flat.scatter(-1, where, vec).unflatten(-1, (n, n))


def _tril_size(n, diag):
    """How many elements an N × N matrix has below and on the diagonal ``diag``."""
    if diag < 0:
        return (n + diag) * (n + diag + 1) // 2
    above = max(n - 1 - diag, 0)
    return n * n - above * (above + 1) // 2


def _tril_positions(n, diag):
    """The positions of the elements below and on ``diag`` in the flattened N × N matrix."""
    return rushlight.tensor(np.flatnonzero(np.tri(n, k=diag)))
