"""``detect_anomaly``: if a backward fails or gives nan, the error shows the line of the forward."""

import warnings

from rushlight.autograd import mode

__all__ = [
    "detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled",
    "set_detect_anomaly",
]  # fmt: skip


def _set(check_nan):
    """Set ``check_nan`` (a bool), or turn detection off (None); returns the previous value."""
    # ``exchange`` makes operations leave the fast path, which does not note where they were called.
    return mode.exchange("anomaly", check_nan)


class detect_anomaly:
    """Context in which every operation remembers its line, and nan in a gradient is an error.

    If a backward fails, the error then names the line that called the operation.

    Args:
        check_nan: Raise RuntimeError if a gradient contains nan. Default: True.

    >>> import rushlight as torch
    >>> x = torch.tensor(-1.0, requires_grad=True)
    >>> with torch.autograd.detect_anomaly(check_nan=False):
    ...     y = x.sqrt()
    """

    def __init__(self, check_nan=True):
        self.check_nan = bool(check_nan)
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        self.was = _set(self.check_nan)

    def __exit__(self, *exc):
        _set(self.was)


class set_detect_anomaly:
    """Turn anomaly detection on or off at once; the end of a ``with`` block restores it.

    Args:
        mode: True turns it on, False off.
        check_nan: Raise RuntimeError if a gradient contains nan. Default: True.

    >>> import rushlight as torch
    >>> with torch.autograd.set_detect_anomaly(True):
    ...     torch.is_anomaly_enabled()
    True
    """

    def __init__(self, mode, check_nan=True):
        self.was = _set(bool(check_nan) if mode else None)

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        _set(self.was)


def set_anomaly_enabled(mode, check_nan=True):
    """Turn anomaly detection on or off, as ``set_detect_anomaly`` does.

    Args:
        mode: True turns it on, False off.
        check_nan: Raise RuntimeError if a gradient contains nan. Default: True.

    >>> import rushlight as torch
    >>> torch.set_anomaly_enabled(False)
    """
    _set(bool(check_nan) if mode else None)


def is_anomaly_enabled():
    """Tell whether anomaly detection is on.

    Returns:
        True inside ``detect_anomaly``.

    >>> import rushlight as torch
    >>> torch.is_anomaly_enabled()
    False
    """
    return mode.state.anomaly is not None


def is_anomaly_check_nan_enabled():
    """Tell whether anomaly detection makes nan in a gradient an error.

    Returns:
        The ``check_nan`` of ``detect_anomaly``; True outside it.

    >>> import rushlight as torch
    >>> with torch.autograd.detect_anomaly(check_nan=False):
    ...     torch.is_anomaly_check_nan_enabled()
    False
    """
    return mode.state.anomaly is not False
