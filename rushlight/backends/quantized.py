"""Quantized tensors, which rushlight has none of."""

__all__ = ["engine", "supported_engines"]

engine = "none"
supported_engines: list[str] = []
