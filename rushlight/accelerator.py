"""torch.accelerator: the device to prefer to the CPU, of which there is none."""

__all__ = ["current_accelerator", "device_count", "is_available"]


def is_available():
    """Return whether there is an accelerator: rushlight runs on the CPU.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
    'cpu'
    """
    return False


def current_accelerator(check_available=False):
    """Return the accelerator, of which there is none.

    Args:
        check_available: Accepted without effect.

    Returns:
        None.

    >>> import rushlight as torch
    >>> torch.accelerator.current_accelerator() is None
    True
    """
    return None


def device_count():
    """Return the number of accelerators.

    Returns:
        0.

    >>> import rushlight as torch
    >>> torch.accelerator.device_count()
    0
    """
    return 0
