"""torch._inductor: the settings of PyTorch's code generator that programs make."""

from rushlight._inductor import config

__all__ = ["config"]
