"""Transforms to vectors of probabilities."""

import rushlight
from rushlight.distributions import constraints
from rushlight.distributions.transforms.base import Transform
from rushlight.distributions.transforms.elementwise import clipped_sigmoid
from rushlight.nn.functional import logsigmoid, pad

__all__ = ["SoftmaxTransform", "StickBreakingTransform"]


class SoftmaxTransform(Transform):
    """y = softmax x along the last dim; not bijective, because y gives x only up to a constant.

    >>> import rushlight as torch
    >>> torch.distributions.SoftmaxTransform()(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def __eq__(self, other):
        return isinstance(other, SoftmaxTransform)

    def _call(self, x):
        return rushlight.softmax(x, -1)

    def _inverse(self, y):
        return y.log()

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        return _vectors(shape)

    inverse_shape = forward_shape


class StickBreakingTransform(Transform):
    """Turns N numbers into N + 1 probabilities.

    Each number determines a share: the part that its probability takes of what the probabilities
    before have left of 1. The last probability is what is left at the end.

    Source: Stan reference manual, "Unit simplex"; B. Carpenter et al., Stan: a probabilistic
    programming language, J. Stat. Software 76 (2017).

    >>> import rushlight as torch
    >>> torch.distributions.StickBreakingTransform()(torch.zeros(3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def __eq__(self, other):
        return isinstance(other, StickBreakingTransform)

    @staticmethod
    def _offset(x):
        """log N, …, log 1: with it, zeros give equal shares."""
        return rushlight.arange(x.shape[-1], 0, -1, dtype=x.dtype, device=x.device).log()

    def _call(self, x):
        share = clipped_sigmoid(x - self._offset(x))
        left = (1 - share).cumprod(-1)
        return pad(share, [0, 1], value=1) * pad(left, [1, 0], value=1)

    def _inverse(self, y):
        taken = y[..., :-1]
        left = (1 - taken.cumsum(-1)).clamp(min=rushlight.finfo(y.dtype).tiny)
        return taken.log() - left.log() + self._offset(taken)

    def log_abs_det_jacobian(self, x, y):
        """Σ log(yᵢ · (1 - shareᵢ)): the Jacobian is triangular."""
        x = x - self._offset(x)
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        """The shape of y from that of x."""
        shape = _vectors(shape)
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape):
        """The shape of x from that of y."""
        shape = _vectors(shape)
        return (*shape[:-1], shape[-1] - 1)


def _vectors(shape):
    if not len(shape):
        raise ValueError("expected the shape of vectors, got ()")
    return shape
