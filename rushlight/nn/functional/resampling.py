"""The older names of ``interpolate``."""

import warnings

from rushlight.ops.core.handlers import unasked
from rushlight.ops.windows.interpolate import interpolate

__all__ = ["upsample", "upsample_bilinear", "upsample_nearest"]


def _warn(name):
    warnings.warn(
        f"nn.functional.{name} is deprecated; use nn.functional.interpolate", stacklevel=3
    )


@unasked
def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Call ``interpolate`` by its older name, which is deprecated.

    Args:
        mode: As in ``interpolate``. Default: ``"nearest"``.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.nn.functional.upsample(torch.ones(1, 1, 2, 2), scale_factor=2).shape
    torch.Size([1, 1, 4, 4])
    """
    _warn("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@unasked
def upsample_nearest(input, size=None, scale_factor=None):
    """Call ``interpolate`` with "nearest"; this name is deprecated.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.nn.functional.upsample_nearest(torch.ones(1, 1, 2, 2), scale_factor=2).shape
    torch.Size([1, 1, 4, 4])
    """
    _warn("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


@unasked
def upsample_bilinear(input, size=None, scale_factor=None):
    """Call ``interpolate`` with "bilinear" and ``align_corners=True``; this name is deprecated.

    Args:
        input: Tensor ``(N, C, H, W)``.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.nn.functional.upsample_bilinear(torch.ones(1, 1, 2, 2), scale_factor=2).shape
    torch.Size([1, 1, 4, 4])
    """
    _warn("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
