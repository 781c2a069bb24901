"""torch.ao.nn.quantized: modules that compute with integers."""

from rushlight.ao.nn.quantized import dynamic

__all__ = ["dynamic"]
