"""torch.accelerator: the device to prefer to the CPU, of which there is none."""

__all__ = ["current_accelerator", "device_count", "is_available"]


def is_available():
    """False: rushlight runs on the CPU.

    >>> import rushlight as torch
    >>> torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
    'cpu'
    """
    return False


def current_accelerator(check_available=False):
    """None."""
    return None


def device_count():
    """0."""
    return 0
