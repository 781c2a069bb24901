"""Batch norms that take their number of features from the first input."""

import rushlight
from rushlight.nn.modules.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from rushlight.nn.modules.lazy import LazyModuleMixin
from rushlight.nn.uninitialized import UninitializedBuffer, UninitializedParameter

__all__ = ["LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d"]


class _LazyNormBase(LazyModuleMixin):
    def __init__(
        self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, device=None,
        dtype=None, *, bias=True,
    ):  # fmt: skip
        super().__init__(0, eps, momentum, False, False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        place = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**place)
        if affine and bias:
            self.bias = UninitializedParameter(**place)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**place)
            self.running_var = UninitializedBuffer(**place)
            self.num_batches_tracked = rushlight.zeros((), dtype=rushlight.int64)

    def reset_parameters(self):
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input):
        """Take ``num_features`` from ``input``."""
        waiting = self.has_uninitialized_params()
        self.num_features = input.shape[1]
        if waiting:
            for tensor in (self.weight, self.bias, self.running_mean, self.running_var):
                if tensor is not None:
                    tensor.materialize((self.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNormBase, BatchNorm1d):
    """``BatchNorm1d`` that takes ``num_features`` from its first input.

    Shape: as in ``BatchNorm1d``.

    >>> import rushlight as torch
    >>> layer = torch.nn.LazyBatchNorm1d()
    >>> layer(torch.ones(2, 3)).shape, layer.num_features
    (torch.Size([2, 3]), 3)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNormBase, BatchNorm2d):
    """``BatchNorm2d`` that takes ``num_features`` from its first input.

    Shape: as in ``BatchNorm2d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyBatchNorm2d()(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNormBase, BatchNorm3d):
    """``BatchNorm3d`` that takes ``num_features`` from its first input.

    Shape: as in ``BatchNorm3d``.

    >>> import rushlight as torch
    >>> torch.nn.LazyBatchNorm3d()(torch.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    cls_to_become = BatchNorm3d
