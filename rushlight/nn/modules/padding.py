"""Padding layers."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


def _sides(padding, n):
    """A padding for both sides of each of ``n`` dims, the last dim first, from ``padding``."""
    return tuple(padding) if hasattr(padding, "__iter__") else (padding,) * (2 * n)


class _PadNd(Module):
    """Base of the padding layers: ``padding``, and the mode of ``F.pad``."""

    __constants__ = ["padding"]

    _mode: str

    def forward(self, input):
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, input):
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Puts ``value`` around the last dim.

    Shape: x: (N, C, W) or (C, W) → (N, C, left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ConstantPad1d((2, 1), 3.5)(torch.ones(1, 2))
    tensor([[3.5000, 3.5000, 1.0000, 1.0000, 3.5000]])
    """

    def __init__(self, padding, value):
        super().__init__(value)
        self.padding = _sides(padding, 1)


class ConstantPad2d(_ConstantPadNd):
    """Puts ``value`` around images.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, top + H + bottom, left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ConstantPad2d(1, 7.0)(torch.zeros(1, 1, 1))
    tensor([[[7., 7., 7.],
             [7., 0., 7.],
             [7., 7., 7.]]])
    """

    def __init__(self, padding, value):
        super().__init__(value)
        self.padding = _sides(padding, 2)


class ConstantPad3d(_ConstantPadNd):
    """Puts ``value`` around volumes.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, front + D + back, top + H + bottom,
    left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ConstantPad3d(1, 7.0)(torch.zeros(1, 2, 2, 2)).shape
    torch.Size([1, 4, 4, 4])
    """

    def __init__(self, padding, value):
        super().__init__(value)
        self.padding = _sides(padding, 3)


class ZeroPad1d(ConstantPad1d):
    """``ConstantPad1d`` of zeros.

    Shape: x: (N, C, W) or (C, W) → (N, C, left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ZeroPad1d((2, 1))(torch.ones(1, 2))
    tensor([[0., 0., 1., 1., 0.]])
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """``ConstantPad2d`` of zeros.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, top + H + bottom, left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ZeroPad2d((1, 1, 0, 0))(torch.ones(1, 1, 1))
    tensor([[[0., 1., 0.]]])
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """``ConstantPad3d`` of zeros.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, front + D + back, top + H + bottom,
    left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ZeroPad3d(1)(torch.ones(1, 2, 2, 2)).sum()
    tensor(8.)
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    _mode = "circular"

    def forward(self, input):
        n = len(self.padding) // 2
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(
                f"{type(self).__name__}: expected {n + 1}D or {n + 2}D input (got {input.dim()}D "
                f"input): {tuple(input.shape)}"
            )
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """Pads the last dim with values that wrap around from the opposite side.

    Shape: x: (N, C, W) or (C, W) → (N, C, left + W + right), or without N.

    Raises:
        RuntimeError: ``padding`` is larger than the size of the padded dim.

    >>> import rushlight as torch
    >>> torch.nn.CircularPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 1)


class CircularPad2d(_CircularPadNd):
    """Pads images with values that wrap around from the opposite side.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, top + H + bottom, left + W + right), or without N.

    Raises:
        RuntimeError: ``padding`` is larger than the size of the padded dim.

    >>> import rushlight as torch
    >>> torch.nn.CircularPad2d(1)(torch.ones(1, 3, 3)).shape
    torch.Size([1, 5, 5])
    """

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 2)


class CircularPad3d(_CircularPadNd):
    """Pads volumes with values that wrap around from the opposite side.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, front + D + back, top + H + bottom,
    left + W + right), or without N.

    Raises:
        RuntimeError: ``padding`` is larger than the size of the padded dim.

    >>> import rushlight as torch
    >>> torch.nn.CircularPad3d(1)(torch.ones(1, 3, 3, 3)).shape
    torch.Size([1, 5, 5, 5])
    """

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 3)


class _ReflectionPadNd(_PadNd):
    pass


class ReflectionPad1d(_ReflectionPadNd):
    """Pads the last dim with values mirrored at the border.

    Shape: x: (N, C, W) or (C, W) → (N, C, left + W + right), or without N.

    Raises:
        RuntimeError: ``padding`` is not smaller than the size of the padded dim.

    >>> import rushlight as torch
    >>> torch.nn.ReflectionPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 1., 2., 3., 2.]])
    """

    _mode = "reflect"

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 1)


class ReflectionPad2d(_ReflectionPadNd):
    """Pads images with values mirrored at the border.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, top + H + bottom, left + W + right), or without N.

    Raises:
        RuntimeError: ``padding`` is not smaller than the size of the padded dim.

    >>> import rushlight as torch
    >>> torch.nn.ReflectionPad2d(1)(torch.ones(1, 3, 3)).shape
    torch.Size([1, 5, 5])
    """

    _mode = "reflect"

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 2)


class ReflectionPad3d(_ReflectionPadNd):
    """Pads volumes with values mirrored at the border.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, front + D + back, top + H + bottom,
    left + W + right), or without N.

    Raises:
        RuntimeError: ``padding`` is not smaller than the size of the padded dim.

    >>> import rushlight as torch
    >>> torch.nn.ReflectionPad3d(1)(torch.ones(1, 3, 3, 3)).shape
    torch.Size([1, 5, 5, 5])
    """

    _mode = "reflect"

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 3)


class _ReplicationPadNd(_PadNd):
    pass


class ReplicationPad1d(_ReplicationPadNd):
    """Pads the last dim by repeating the values at the border.

    Shape: x: (N, C, W) or (C, W) → (N, C, left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ReplicationPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 2., 3., 3.]])
    """

    _mode = "replicate"

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 1)


class ReplicationPad2d(_ReplicationPadNd):
    """Pads images by repeating the values at the border.

    Shape: x: (N, C, H, W) or (C, H, W) → (N, C, top + H + bottom, left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ReplicationPad2d(1)(torch.ones(1, 3, 3)).shape
    torch.Size([1, 5, 5])
    """

    _mode = "replicate"

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 2)


class ReplicationPad3d(_ReplicationPadNd):
    """Pads volumes by repeating the values at the border.

    Shape: x: (N, C, D, H, W) or (C, D, H, W) → (N, C, front + D + back, top + H + bottom,
    left + W + right), or without N.

    >>> import rushlight as torch
    >>> torch.nn.ReplicationPad3d(1)(torch.ones(1, 3, 3, 3)).shape
    torch.Size([1, 5, 5, 5])
    """

    _mode = "replicate"

    def __init__(self, padding):
        super().__init__()
        self.padding = _sides(padding, 3)
