"""``detect_anomaly``: a backward that fails, or gives nan, shows the line of its forward."""

from rushlight.autograd import mode

__all__ = [
    "detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_detect_anomaly",
]  # fmt: skip


def _set(check_nan):
    """Turn detection on (a bool: whether nan counts) or off (None); returns what it was."""
    # Operations leave their fast path, to note where they were called.
    return mode.exchange("anomaly", check_nan)


class detect_anomaly:
    """Context in which every operation remembers its line, and nan in a gradient is an error.

    >>> import rushlight as torch
    >>> x = torch.tensor(-1.0, requires_grad=True)
    >>> with torch.autograd.detect_anomaly(check_nan=False):
    ...     y = x.sqrt()
    """

    def __init__(self, check_nan=True):
        self.check_nan = bool(check_nan)

    def __enter__(self):
        self.was = _set(self.check_nan)

    def __exit__(self, *exc):
        _set(self.was)


class set_detect_anomaly:
    """Turn anomaly detection on or off at once; as a context, for its extent."""

    def __init__(self, mode, check_nan=True):
        self.was = _set(bool(check_nan) if mode else None)

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        _set(self.was)


def is_anomaly_enabled():
    """True inside ``detect_anomaly``.

    >>> import rushlight as torch
    >>> torch.is_anomaly_enabled()
    False
    """
    return mode.state.anomaly is not None


def is_anomaly_check_nan_enabled():
    """True where nan in a gradient is an error; what is asked for outside ``detect_anomaly`` too.

    >>> import rushlight as torch
    >>> with torch.autograd.detect_anomaly(check_nan=False):
    ...     torch.is_anomaly_check_nan_enabled()
    False
    """
    return mode.state.anomaly is not False
