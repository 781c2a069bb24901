"""CUDA's switches, which programs set before they train."""

from types import SimpleNamespace

__all__ = ["is_built", "matmul"]

matmul = SimpleNamespace(
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_reduced_precision_reduction=True,
    allow_tf32=False,
)


def is_built():
    """False."""
    return False
