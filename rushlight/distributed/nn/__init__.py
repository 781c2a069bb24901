"""Collectives that gradients go through."""

from rushlight.distributed.absent import absent
from rushlight.distributed.nn.functional import *  # noqa: F403
from rushlight.distributed.nn.functional import __all__ as _names

RemoteModule = absent("nn.RemoteModule")

__all__ = [*_names, "RemoteModule"]
