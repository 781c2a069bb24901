"""``export.save`` and ``export.load``: exported programs in files, as plain data and tensors.

A file holds no code: it names operations and their parameters, so that loading it runs nothing.
"""

from collections import OrderedDict
from typing import Any

import numpy as np

from rushlight.dtype import DTYPES, OF
from rushlight.dtype import dtype as DType
from rushlight.export.graph import Graph, Node, Part, Value
from rushlight.export.program import ExportedProgram
from rushlight.export.signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from rushlight.export.sizes import Size, Unknown
from rushlight.ops.core.definition import OPS
from rushlight.serialization import load as _load
from rushlight.serialization import save as _save
from rushlight.tensor import Tensor, from_array

__all__ = ["load", "save"]

_VERSION = 1
_PLAIN = (bool, int, float, complex, str, type(None))


def save(ep, f, *, extra_files=None, opset_version=None, pickle_protocol=2):
    """Write an exported program to a file.

    The file is rushlight's own: PyTorch does not read it.

    Args:
        ep: The ExportedProgram.
        f: Path or file object.
        extra_files: Dict: name → text to keep in the file. Default: none.
        opset_version, pickle_protocol: Accepted without effect.

    Raises:
        TypeError: ``ep`` is no ExportedProgram, or has an operand that a file can't hold.

    >>> import io
    >>> import rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.ones(2),)), file)
    >>> start = file.seek(0)
    >>> torch.export.load(file).module()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if not isinstance(ep, ExportedProgram):
        raise TypeError(
            f"The 'ep' parameter must be an instance of 'ExportedProgram', got "
            f"'{type(ep).__name__}' instead."
        )
    places = {node: i for i, node in enumerate(ep.graph.nodes)}
    signature = ep.graph_signature
    _save(
        {
            "rushlight export": _VERSION,
            "nodes": [_row(node, places) for node in ep.graph.nodes],
            "inputs": [(s.kind.name, s.arg.name, s.target, s.persistent)
                       for s in signature.input_specs],
            "outputs": [(s.kind.name, s.arg.name, s.target) for s in signature.output_specs],
            "state": dict(ep.state_dict),
            "constants": dict(ep.constants),
            "example": _packed(ep.example_inputs, places),
            "tree": _packed(ep._tree, places),
            "ranges": _packed(ep.range_constraints, places),
            "extra": dict(extra_files or {}),
        },
        f,
    )  # fmt: skip


def load(f, *, extra_files=None, expected_opset_version=None):
    """Read an exported program from a file that ``save`` wrote.

    Args:
        f: Path or file object.
        extra_files: Dict whose keys name texts in the file; they become its values. Default: none.
        expected_opset_version: Accepted without effect.

    Returns:
        The ExportedProgram.

    Raises:
        RuntimeError: The file is not one of rushlight's exported programs.

    >>> import io
    >>> import rushlight as torch
    >>> file = io.BytesIO()
    >>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> torch.export.save(program, file, extra_files={"note": "made today"})
    >>> start, notes = file.seek(0), {"note": ""}
    >>> loaded = torch.export.load(file, extra_files=notes)
    >>> notes
    {'note': 'made today'}
    """
    found: Any = _load(f, weights_only=True)
    if not isinstance(found, dict) or found.get("rushlight export") != _VERSION:
        raise RuntimeError(
            "export.load: the file is no exported program of this version of rushlight; PyTorch's "
            "files can't be read"
        )
    graph = Graph()
    nodes: list = []
    for row in found["nodes"]:
        nodes.append(_node(row, nodes))
    graph.nodes = nodes
    signature = ExportGraphSignature(
        [InputSpec(InputKind[kind], TensorArgument(name), target, persistent)
         for kind, name, target, persistent in found["inputs"]],
        [OutputSpec(OutputKind[kind], TensorArgument(name), target)
         for kind, name, target in found["outputs"]],
    )  # fmt: skip
    if extra_files is not None:
        extra_files.update({k: found["extra"].get(k, "") for k in extra_files})
    return ExportedProgram(
        graph, signature, OrderedDict(found["state"]), found["constants"],
        _unpacked(found["example"], nodes), _unpacked(found["tree"], nodes),
        _unpacked(found["ranges"], nodes),
    )  # fmt: skip


def _row(node, places):
    target = node.target if isinstance(node.target, str) else ("op", node.target.name)
    value = node.meta.get("val")
    args, kwargs = _packed(node.args, places), _packed(node._shown(), places)
    return node.op, node.name, target, args, kwargs, _packed(value, places)


def _node(row, nodes):
    op, name, target, args, kwargs, value = row
    if not isinstance(target, str):
        target = OPS.get(target[1])
        if target is None:
            raise RuntimeError(f"export.load: there is no operation {row[2][1]!r}")
    value = _unpacked(value, nodes)
    return Node(op, name, target, _unpacked(args, nodes), _unpacked(kwargs, nodes), value)


def _packed(value, places):
    """A value as plain data: ``(tag, ...)`` for what is not plain itself."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        return "tensor", value
    if isinstance(value, Node):
        return "node", places[value]
    if isinstance(value, Part):
        return "part", places[value.node], value.index
    if isinstance(value, Size):
        return "size", [(list(names), n) for names, n in value.terms.items()]
    if isinstance(value, Unknown):
        return ("unknown",)
    if isinstance(value, Value):
        return "value", [_packed(n, places) for n in value.shape], OF[value.dtype].name, value.id
    if isinstance(value, np.dtype):
        return "numpy", OF[value].name
    if isinstance(value, DType):
        return "dtype", value.name
    if isinstance(value, slice):
        return "slice", *[_packed(v, places) for v in (value.start, value.stop, value.step)]
    if value is ...:
        return ("...",)
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        kind = "list" if isinstance(value, list) else "tuple"
        return kind, [_packed(v, places) for v in value]
    if isinstance(value, dict):
        return "dict", [(_packed(k, places), _packed(v, places)) for k, v in value.items()]
    if isinstance(value, np.ndarray) and value.dtype in OF:
        return "array", from_array(value)
    raise TypeError(f"export.save: a file can't hold {value!r}, an operand of type {type(value)}")


def _unpacked(value, nodes) -> Any:
    if isinstance(value, _PLAIN):
        return value
    tag, *rest = value
    one: Any = rest[0] if rest else None
    if tag in ("tuple", "list"):
        parts = [_unpacked(v, nodes) for v in one]
        return parts if tag == "list" else tuple(parts)
    if tag == "dict":
        return {_unpacked(k, nodes): _unpacked(v, nodes) for k, v in one}
    if tag == "slice":
        return slice(*[_unpacked(v, nodes) for v in rest])
    if tag == "value":
        return Value([_unpacked(n, nodes) for n in one], _dtype(rest[1]).numpy, rest[2])
    if tag == "size":
        return Size({tuple(names): n for names, n in one})
    simple = {
        "tensor": lambda: one, "array": lambda: one._array, "node": lambda: nodes[one],
        "part": lambda: Part(nodes[one], rest[1]), "unknown": Unknown, "...": lambda: ...,
        "numpy": lambda: _dtype(one).numpy, "dtype": lambda: _dtype(one),
    }  # fmt: skip
    return simple[tag]()


def _dtype(name):
    return next(d for d in DTYPES if d.name == name)
