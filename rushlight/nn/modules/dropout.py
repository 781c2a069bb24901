"""Dropout layers."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = ["Dropout", "Dropout2d"]


class _DropoutNd(Module):
    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
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
