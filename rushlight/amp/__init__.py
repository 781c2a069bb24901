"""Automatic mixed precision: ``torch.amp``.

>>> import rushlight as torch
>>> with torch.amp.autocast("cpu"):
...     torch.mm(torch.ones(1, 2), torch.ones(2, 1))
tensor([[2.]], dtype=torch.bfloat16)
"""

from rushlight.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from rushlight.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
