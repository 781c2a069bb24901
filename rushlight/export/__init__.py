"""torch.export: a model as a graph of operations, recorded from one call.

``record.py`` records a call. ``sizes.py`` finds the numbers that depend on dims that may change,
and ``shapes.py`` has ways to write these dims down.
``exporting.py`` merges the recordings into a graph. ``graph.py`` holds and prints the graph, and
``program.py`` runs it. ``files.py`` writes and reads programs.
"""

from rushlight.export.exporting import Dim, export
from rushlight.export.files import load, save
from rushlight.export.graph import Graph, GraphModule, Node
from rushlight.export.program import ExportedProgram, unflatten
from rushlight.export.shapes import ShapesCollection, dims
from rushlight.export.signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)

__all__ = [
    "Dim", "ExportGraphSignature", "ExportedProgram", "Graph", "GraphModule", "InputKind",
    "InputSpec", "Node", "OutputKind", "OutputSpec", "ShapesCollection", "TensorArgument", "dims",
    "export", "load", "save", "unflatten",
]  # fmt: skip
