"""Checkpoints of safetensors files: importable, and refused."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "checkpoint.hf_storage",
    "HuggingFaceStorageReader HuggingFaceStorageWriter",
)
globals().update(_absent)

__all__ = [*_absent]
