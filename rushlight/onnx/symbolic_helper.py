"""torch.onnx.symbolic_helper: imported by libraries with operators for PyTorch's older exporter.

rushlight's exporter has rules of its own, so none of these helpers exists.
"""

__all__: list[str] = []
