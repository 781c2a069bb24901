"""What goes wrong in an export."""

__all__ = ["OnnxExporterError", "UnsupportedOperatorError"]


class OnnxExporterError(RuntimeError):
    """A model that cannot be exported to ONNX."""


class UnsupportedOperatorError(OnnxExporterError):
    """An operation for which there is no rule."""
