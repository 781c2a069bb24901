"""The errors of ``torch.distributed``."""

__all__ = ["DistBackendError", "DistError", "DistNetworkError", "DistStoreError", "QueueEmptyError"]


class DistError(RuntimeError):
    """An error of ``torch.distributed``."""


class DistBackendError(DistError):
    """A collective that a backend could not finish."""


class DistNetworkError(DistError):
    """A connection that could not be opened, or that broke."""


class DistStoreError(DistError):
    """A store that has no such key in time."""


class QueueEmptyError(DistStoreError):
    """A queue of a store that holds nothing."""
