"""torch.ao.nn: modules that compute with integers."""

from rushlight.ao.nn import quantized

__all__ = ["quantized"]
