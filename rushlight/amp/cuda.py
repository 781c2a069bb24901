"""``torch.cuda.amp``: deprecated names of ``torch.amp`` for CUDA, which is not available.

>>> import warnings, rushlight as torch
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")
...     torch.cuda.amp.GradScaler().is_enabled()
False
"""

from rushlight.amp import autocast_mode
from rushlight.amp.deprecated import deprecated_autocast, deprecated_scaler, warn
from rushlight.device_array import drivers
from rushlight.dtype import float16

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]

autocast = deprecated_autocast("cuda", float16)
GradScaler = deprecated_scaler("cuda")


def amp_definitely_not_available():
    """Return whether there is no device on which CUDA's autocast could run."""
    return not drivers("cuda")


def custom_fwd(fwd=None, *, cast_inputs=None):
    """Deprecated: use ``torch.amp.custom_fwd(device_type="cuda")``."""
    warn("cuda.amp.custom_fwd", "custom_fwd(device_type='cuda')")
    return autocast_mode.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd=None):
    """Deprecated: use ``torch.amp.custom_bwd(device_type="cuda")``."""
    warn("cuda.amp.custom_bwd", "custom_bwd(device_type='cuda')")
    return autocast_mode.custom_bwd(bwd, device_type="cuda")
