"""Tools around training; ``torch.utils.data`` feeds it."""

from rushlight.utils import data as data

__all__ = ["data"]
