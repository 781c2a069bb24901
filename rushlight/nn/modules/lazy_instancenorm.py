"""Instance norms that take their number of features from the first input."""

from rushlight.nn.modules.instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from rushlight.nn.modules.lazy_batchnorm import _LazyNormBase

__all__ = ["LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d"]


class LazyInstanceNorm1d(_LazyNormBase, InstanceNorm1d):
    """``InstanceNorm1d`` that takes ``num_features`` from its first input.

    Shape: as in ``InstanceNorm1d``.

    >>> import rushlight as torch
    >>> layer = torch.nn.LazyInstanceNorm1d()
    >>> layer(torch.ones(2, 3, 4)).shape, layer.num_features
    (torch.Size([2, 3, 4]), 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNormBase, InstanceNorm2d):
    """``InstanceNorm2d`` that takes ``num_features`` from its first input.

    Shape: as in ``InstanceNorm2d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyInstanceNorm2d()(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNormBase, InstanceNorm3d):
    """``InstanceNorm3d`` that takes ``num_features`` from its first input.

    Shape: as in ``InstanceNorm3d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyInstanceNorm3d()(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    cls_to_become = InstanceNorm3d
