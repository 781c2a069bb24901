"""Makes the deprecated classes of ``torch.cuda.amp`` and ``torch.cpu.amp``."""

import warnings

from rushlight.amp import autocast_mode, grad_scaler

__all__ = ["deprecated_autocast", "deprecated_scaler", "warn"]


def warn(old, new):
    """Warn that the name ``old`` is deprecated, and name its replacement ``new``."""
    message = f"`torch.{old}(args...)` is deprecated. Please use `torch.amp.{new}` instead."
    warnings.warn(message, FutureWarning, stacklevel=3)


def deprecated_autocast(device_type, lower):
    """Make the class ``autocast`` of one device type, with ``lower`` as its default dtype."""

    class autocast(autocast_mode.autocast):
        __doc__ = f"Deprecated: use ``torch.amp.autocast({device_type!r})``."

        def __init__(self, enabled=True, dtype=lower, cache_enabled=True):
            warn(f"{device_type}.amp.autocast", f"autocast({device_type!r}, ...)")
            super().__init__(device_type, dtype, enabled, cache_enabled)

    return autocast


def deprecated_scaler(device_type):
    """Make the class ``GradScaler`` of one device type."""

    class GradScaler(grad_scaler.GradScaler):
        __doc__ = f"Deprecated: use ``torch.amp.GradScaler({device_type!r})``."

        def __init__(
            self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000,
            enabled=True,
        ):  # fmt: skip
            warn(f"{device_type}.amp.GradScaler", f"GradScaler({device_type!r}, ...)")
            super().__init__(
                device_type, init_scale, growth_factor, backoff_factor, growth_interval, enabled
            )

    return GradScaler
