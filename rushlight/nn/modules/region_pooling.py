"""Pooling with adaptive or random windows, pooling by p-norms, and unpooling."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = [
    "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "FractionalMaxPool2d",
    "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxUnpool1d", "MaxUnpool2d",
    "MaxUnpool3d",
]  # fmt: skip


def _per_dim(value, n):
    return tuple(value) if hasattr(value, "__iter__") else (value,) * n


# Adaptive ---------------------------------------------------------------------------------


class _AdaptiveMaxPoolNd(Module):
    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima of windows chosen so that the result has the size ``output_size``.

    Shape: x: (N, C, L) or (C, L) → (N, C, output_size).

    >>> import rushlight as torch
    >>> torch.nn.AdaptiveMaxPool1d(5)(torch.ones(1, 64, 8)).shape
    torch.Size([1, 64, 5])
    """

    def forward(self, input):
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maxima of windows chosen so that the result has the size ``output_size``.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, *output_size).

    >>> import rushlight as torch
    >>> torch.nn.AdaptiveMaxPool2d((5, None))(torch.ones(1, 64, 10, 9)).shape
    torch.Size([1, 64, 5, 9])
    """

    def forward(self, input):
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima of windows chosen so that the result has the size ``output_size``.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size).

    >>> import rushlight as torch
    >>> torch.nn.AdaptiveMaxPool3d(2)(torch.ones(1, 4, 5, 6, 7)).shape
    torch.Size([1, 4, 2, 2, 2])
    """

    def forward(self, input):
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


# Fractional -------------------------------------------------------------------------------


class _FractionalMaxPoolNd(Module):
    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]

    _n: int  # number of pooled dims

    def __init__(
        self, kernel_size, output_size=None, output_ratio=None, return_indices=False,
        _random_samples=None,
    ):  # fmt: skip
        super().__init__()
        layer, n = type(self).__name__, self._n
        self.kernel_size = _per_dim(kernel_size, n)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else _per_dim(output_size, n)
        self.output_ratio = None if output_ratio is None else _per_dim(output_ratio, n)
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{layer}: exactly one of output_size and output_ratio is needed, got "
                f"{output_size} and {output_ratio}"
            )
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"{layer}: output_ratio must be between 0 and 1, got {output_ratio}")


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """The maximum of each window, where the steps from window to window are random.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, *output_size), or int(output_ratio · size).

    Args:
        output_size: Spatial size of the result: int or ints. Default: by ``output_ratio``.

    Raises:
        ValueError: Both or neither of ``output_size`` and ``output_ratio`` are given.

    Source: Graham 2014, https://arxiv.org/abs/1412.6071

    >>> import rushlight as torch
    >>> torch.nn.FractionalMaxPool2d(3, output_ratio=0.5)(torch.ones(2, 16, 50, 32)).shape
    torch.Size([2, 16, 25, 16])
    """

    _n = 2

    def forward(self, input):
        return F.fractional_max_pool2d(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            _random_samples=self._random_samples,
        )  # fmt: skip


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """``FractionalMaxPool2d`` in three dims.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size), or int(output_ratio · size).

    Args:
        output_size: Spatial size of the result: int or ints. Default: by ``output_ratio``.

    Raises:
        ValueError: Both or neither of ``output_size`` and ``output_ratio`` are given.

    >>> import rushlight as torch
    >>> torch.nn.FractionalMaxPool3d(2, output_size=3)(torch.ones(2, 6, 7, 8)).shape
    torch.Size([2, 3, 3, 3])
    """

    _n = 3

    def forward(self, input):
        return F.fractional_max_pool3d(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            _random_samples=self._random_samples,
        )  # fmt: skip


# By p-norms -------------------------------------------------------------------------------


class _LPPoolNd(Module):
    __constants__ = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """(Σ xᵖ) ^ (1 / p) over each window, p being ``norm_type``.

    Shape: x: (N, C, L) or (C, L) → (N, C, L').

    >>> import rushlight as torch
    >>> torch.nn.LPPool1d(2, 2)(torch.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """

    def forward(self, input):
        return F.lp_pool1d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool2d(_LPPoolNd):
    """(Σ xᵖ) ^ (1 / p) over each window, p being ``norm_type``.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, H', W').

    >>> import rushlight as torch
    >>> torch.nn.LPPool2d(1.2, (3, 2), stride=(2, 1))(torch.ones(2, 16, 50, 32)).shape
    torch.Size([2, 16, 24, 31])
    """

    def forward(self, input):
        return F.lp_pool2d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool3d(_LPPoolNd):
    """(Σ xᵖ) ^ (1 / p) over each window, p being ``norm_type``.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, D', H', W').

    >>> import rushlight as torch
    >>> torch.nn.LPPool3d(1.2, 3, stride=2)(torch.ones(2, 5, 5, 7)).shape
    torch.Size([2, 2, 2, 3])
    """

    def forward(self, input):
        return F.lp_pool3d(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


# Unpooling --------------------------------------------------------------------------------


class _MaxUnpoolNd(Module):
    _n: int  # number of pooled dims

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = _per_dim(kernel_size, self._n)
        self.stride = _per_dim(kernel_size if stride is None else stride, self._n)
        self.padding = _per_dim(padding, self._n)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Undoes ``MaxPool1d``: puts each maximum at its position in ``indices``, zeros elsewhere.

    Shape: x, indices: (N, C, L) or (C, L) → (N, C, L'); forward's ``output_size`` sets L'.

    >>> import rushlight as torch
    >>> x, at = torch.nn.MaxPool1d(2, return_indices=True)(torch.tensor([[1.0, 3.0]]))
    >>> torch.nn.MaxUnpool1d(2)(x, at)
    tensor([[0., 3.]])
    """

    _n = 1

    def forward(self, input, indices, output_size=None):
        return F.max_unpool1d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool2d(_MaxUnpoolNd):
    """Undoes ``MaxPool2d``: puts each maximum at its position in ``indices``, zeros elsewhere.

    Shape: x, indices: (N, C, H, W) or (C, H, W) → (N, C, H', W').

    >>> import rushlight as torch
    >>> x, at = torch.nn.MaxPool2d(2, return_indices=True)(torch.ones(1, 4, 4))
    >>> torch.nn.MaxUnpool2d(2)(x, at).sum()
    tensor(4.)
    """

    _n = 2

    def forward(self, input, indices, output_size=None):
        return F.max_unpool2d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool3d(_MaxUnpoolNd):
    """Undoes ``MaxPool3d``: puts each maximum at its position in ``indices``, zeros elsewhere.

    Shape: x, indices: (N, C, D, H, W) or (C, D, H, W) → (N, C, D', H', W').

    >>> import rushlight as torch
    >>> x, at = torch.nn.MaxPool3d(2, return_indices=True)(torch.ones(1, 4, 4, 4))
    >>> torch.nn.MaxUnpool3d(2)(x, at).sum()
    tensor(8.)
    """

    _n = 3

    def forward(self, input, indices, output_size=None):
        return F.max_unpool3d(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )
