"""Dropout layers."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = [
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
]  # fmt: skip


class _DropoutNd(Module):
    __constants__ = ["p", "inplace"]

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(
                f"{type(self).__name__}: dropout probability has to be between 0 and 1, but got {p}"
            )
        self.p = p
        self.inplace = inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """In training, zeroes each element with probability ``p`` and scales the rest by 1/(1-p).

    Shape: x: any → the same.

    Raises:
        ValueError: ``p`` is not between 0 and 1.

    Source: Hinton et al. 2012, https://arxiv.org/abs/1207.0580

    >>> import rushlight as torch
    >>> torch.nn.Dropout(0.5).eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input):
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """In training, zeroes whole channels with probability ``p`` and scales the rest by 1/(1-p).

    Shape: x: (N, C, L) or (C, L) → the same.

    Raises:
        ValueError: ``p`` is not between 0 and 1.

    Source: Tompson et al. 2015, https://arxiv.org/abs/1411.4280

    >>> import rushlight as torch
    >>> torch.nn.Dropout1d(0.2).eval()(torch.ones(1, 2, 3)).shape
    torch.Size([1, 2, 3])
    """

    def forward(self, input):
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """In training, zeroes whole channels with probability ``p`` and scales the rest by 1/(1-p).

    Shape: x: (N, C, H, W) or (N, C, L) → the same.

    Raises:
        ValueError: ``p`` is not between 0 and 1.

    Source: Tompson et al. 2015, https://arxiv.org/abs/1411.4280

    >>> import rushlight as torch
    >>> torch.nn.Dropout2d(0.2).eval()(torch.ones(1, 1, 1, 2))
    tensor([[[[1., 1.]]]])
    """

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """In training, zeroes whole channels with probability ``p`` and scales the rest by 1/(1-p).

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → the same.

    Raises:
        ValueError: ``p`` is not between 0 and 1.

    Source: Tompson et al. 2015, https://arxiv.org/abs/1411.4280

    >>> import rushlight as torch
    >>> torch.nn.Dropout3d(0.2).eval()(torch.ones(1, 2, 3, 4, 5)).shape
    torch.Size([1, 2, 3, 4, 5])
    """

    def forward(self, input):
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """In training, sets elements to SELU's lower limit with probability ``p``.

    Then all elements are scaled and shifted so that mean and variance stay the same.

    Shape: x: any → the same.

    Args:
        inplace: Accepted without effect.

    Raises:
        ValueError: ``p`` is not between 0 and 1.

    Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515

    >>> import rushlight as torch
    >>> torch.nn.AlphaDropout(0.2).eval()(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """

    def forward(self, input):
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """``AlphaDropout`` of whole channels.

    Shape: x: (N, C, …) → the same.

    Args:
        inplace: Accepted without effect.

    Raises:
        ValueError: ``p`` is not between 0 and 1.

    Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515

    >>> import rushlight as torch
    >>> torch.nn.FeatureAlphaDropout(0.2).eval()(torch.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def forward(self, input):
        return F.feature_alpha_dropout(input, self.p, self.training)
