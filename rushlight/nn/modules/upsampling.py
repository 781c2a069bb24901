"""Layers that change the size of images."""

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(Module):
    """Resizes x to ``size``, or by ``scale_factor``.

    Exactly one of both is given. The modes are those of ``torch.nn.functional.interpolate``.

    Shape: x: (N, C, *size) → (N, C, *size').

    Args:
        size: Spatial size of the result: int or ints. Default: by ``scale_factor``.
        scale_factor: The result's size divided by the input's: float or floats. Default: by
            ``size``.
        mode: ``"nearest"`` (default), ``"linear"``, ``"bilinear"``, ``"bicubic"``, ``"trilinear"``
            or another mode of ``interpolate``.
        align_corners: Let the centres of the corner elements of x and of the result coincide, not
            their outer edges; not for ``"nearest"``. Default: False.
        recompute_scale_factor: Interpolate with the ratio of both sizes instead of
            ``scale_factor``, which differs after rounding. Default: False.

    >>> import rushlight as torch
    >>> torch.nn.Upsample(scale_factor=2, mode="bilinear")(torch.ones(1, 1, 2, 3)).shape
    torch.Size([1, 1, 4, 6])
    """

    __constants__ = [
        "size", "scale_factor", "mode", "align_corners", "name", "recompute_scale_factor",
    ]  # fmt: skip

    def __init__(
        self, size=None, scale_factor=None, mode="nearest", align_corners=None,
        recompute_scale_factor=None,
    ):  # fmt: skip
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            scale_factor = tuple([float(factor) for factor in scale_factor])
        else:
            scale_factor = float(scale_factor) if scale_factor else None
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input):
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )  # fmt: skip

    def __setstate__(self, state):
        super().__setstate__({"recompute_scale_factor": True, **state})

    def extra_repr(self):
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """``Upsample`` that takes the value of the nearest pixel.

    Shape: x: (N, C, H, W) → (N, C, H', W').

    Args:
        size: Spatial size of the result: int or ints. Default: by ``scale_factor``.
        scale_factor: The result's size divided by the input's: float or floats. Default: by
            ``size``.

    >>> import rushlight as torch
    >>> torch.nn.UpsamplingNearest2d(scale_factor=2)(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 4, 4])
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """``Upsample`` by linear interpolation with the corners aligned.

    Shape: x: (N, C, H, W) → (N, C, H', W').

    Args:
        size: Spatial size of the result: int or ints. Default: by ``scale_factor``.
        scale_factor: The result's size divided by the input's: float or floats. Default: by
            ``size``.

    >>> import rushlight as torch
    >>> torch.nn.UpsamplingBilinear2d(size=3)(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0, 0, 1]
    tensor([2.0000, 2.5000, 3.0000])
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
