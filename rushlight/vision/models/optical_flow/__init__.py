"""Networks that find how the points of one image move to the next."""

from rushlight.docstrings import document
from rushlight.vision.models.optical_flow.raft import *  # noqa: F403
from rushlight.vision.models.optical_flow.raft import RAFT
from rushlight.vision.models.optical_flow.raft import __all__ as _raft

__all__ = [*_raft]

document(RAFT, "image model")
