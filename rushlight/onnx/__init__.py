"""torch.onnx: export models as ONNX files, which other programs can run.

``exporting.py`` records a model and writes the file. ``rules.py``, ``views.py`` and
``elementwise.py`` translate each operation into ONNX nodes. ``builder.py`` collects the nodes.
"""

from enum import Enum

from rushlight.onnx import errors as errors
from rushlight.onnx.errors import OnnxExporterError
from rushlight.onnx.exporting import ONNXProgram, export, is_in_onnx_export

__all__ = [
    "ONNXProgram", "OnnxExporterError", "OperatorExportTypes", "TrainingMode", "errors", "export",
    "is_in_onnx_export",
]  # fmt: skip

TrainingMode = Enum("TrainingMode", {"EVAL": 0, "PRESERVE": 1, "TRAINING": 2})
OperatorExportTypes = Enum(
    "OperatorExportTypes", {"ONNX": 0, "ONNX_ATEN": 1, "ONNX_ATEN_FALLBACK": 2}
)
