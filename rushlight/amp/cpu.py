"""``torch.cpu.amp``: deprecated names of ``torch.amp``, for the CPU.

>>> import warnings, rushlight as torch
>>> with warnings.catch_warnings():
...     warnings.simplefilter("ignore")
...     torch.cpu.amp.GradScaler().get_scale()
65536.0
"""

from rushlight.amp.deprecated import deprecated_autocast, deprecated_scaler
from rushlight.dtype import bfloat16

__all__ = ["GradScaler", "autocast"]

autocast = deprecated_autocast("cpu", bfloat16)
GradScaler = deprecated_scaler("cpu")
