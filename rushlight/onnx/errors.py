"""The errors of an export to ONNX."""

__all__ = ["OnnxExporterError", "UnsupportedOperatorError"]


class OnnxExporterError(RuntimeError):
    """The model cannot be exported to ONNX."""


class UnsupportedOperatorError(OnnxExporterError):
    """The model has an operation that no rule translates into ONNX."""
