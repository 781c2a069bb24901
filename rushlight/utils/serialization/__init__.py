"""Where PyTorch keeps the options of saving and loading: ``config``."""

from rushlight.utils.serialization import config as config

__all__ = ["config"]
