"""torch._subclasses: PyTorch's tensors without elements. Rushlight has the device ``meta``."""

__all__: list[str] = []
