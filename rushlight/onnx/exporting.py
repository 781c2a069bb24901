"""``torch.onnx.export``: record a model and write it as an ONNX file."""

import os

import numpy as np

from rushlight.compiler.capture.lowering import unfold
from rushlight.compiler.capture.simplify import operands
from rushlight.export import ExportedProgram
from rushlight.export.exporting import Exporter
from rushlight.export.record import flatten
from rushlight.export.signature import InputKind
from rushlight.export.sizes import Size
from rushlight.nn import Module
from rushlight.onnx import views as views  # the import adds its rules to RULES
from rushlight.onnx.builder import Builder, element_type, onnx
from rushlight.onnx.elementwise import elementwise
from rushlight.onnx.errors import OnnxExporterError, UnsupportedOperatorError
from rushlight.onnx.rules import RULES
from rushlight.tensor import Tensor, from_array

__all__ = ["ONNXProgram", "export", "is_in_onnx_export"]

#: The oldest version of ONNX's operators that the rules support, and the default version.
OLDEST, USUAL = 18, 18
_exporting = False


def is_in_onnx_export():
    """Return whether a model is being exported now.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.onnx.is_in_onnx_export()
    False
    """
    return _exporting


class ONNXProgram:
    """A model that was exported to ONNX.

    Attributes:
        model_proto: The ``onnx.ModelProto``.

    Args:
        model_proto: The ``onnx.ModelProto``.

    >>> import rushlight as torch
    >>> program = torch.onnx.export(torch.nn.ReLU(), torch.ones(2), input_names=["x"])
    >>> type(program).__name__, program.model_proto.graph.input[0].name
    ('ONNXProgram', 'x')
    """

    def __init__(self, model_proto):
        self.model_proto = model_proto

    def save(self, destination, **options):
        """Write the model to ``destination``, a path or a file object."""
        if isinstance(destination, (str, os.PathLike)):
            onnx.save(self.model_proto, os.fspath(destination))
        else:
            destination.write(self.model_proto.SerializeToString())

    def __call__(self, *args, **kwargs):
        """Run the model with onnxruntime; return the results as a tuple of tensors."""
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                "an ONNXProgram is run by onnxruntime: pip install onnxruntime"
            ) from error
        session = onnxruntime.InferenceSession(
            self.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        arrays = [x.detach().numpy() for x in flatten((args, kwargs)) if isinstance(x, Tensor)]
        names = [i.name for i in session.get_inputs()]
        found = session.run(None, dict(zip(names, arrays, strict=True)))
        return tuple([from_array(np.asarray(a)) for a in found])


def export(
    model, args=(), f=None, *, kwargs=None, verbose=None, input_names=None, output_names=None,
    opset_version=None, dynamo=True, external_data=True, dynamic_shapes=None,
    custom_translation_table=None, report=False, optimize=True, verify=False, profile=False,
    dump_exported_program=False, artifacts_dir=".", fallback=False, export_params=True,
    keep_initializers_as_inputs=False, dynamic_axes=None, training=None,
    operator_export_type=None, do_constant_folding=True, custom_opsets=None,
    export_modules_as_functions=False, autograd_inlining=True,
):  # fmt: skip
    """Export a model, as it computes in eval mode, to an ONNX file.

    Args:
        model: A Module, or an ExportedProgram.
        args, kwargs: The arguments of one example call; ``args`` is a tensor or a tuple.
        f: The path or file object to write to. Default: write no file.
        verbose: Print the model. Default: False.
        input_names, output_names: The names of the input and output tensors in the file, in order.
            Default: those of the model's graph.
        opset_version: The version of ONNX's operators, 18 or later. Default: 18.
        dynamo, external_data, custom_translation_table: Accepted without effect.
        dynamic_shapes: The dims that may change, in the form of ``torch.export.export``.
            Default: none.
        report, optimize, verify, profile, dump_exported_program: Accepted without effect.
        artifacts_dir, fallback, export_params: Accepted without effect.
        keep_initializers_as_inputs, training, operator_export_type: Accepted without effect.
        dynamic_axes: The dims that may change, by input name, such as ``{"x": {0: "batch"}}`` or
            ``{"x": [0]}``. Default: none.
        do_constant_folding, custom_opsets: Accepted without effect.
        export_modules_as_functions, autograd_inlining: Accepted without effect.

    Returns:
        An ``ONNXProgram``.

    Raises:
        UnsupportedOperatorError: No rule translates an operation; the message names the operation.
        OnnxExporterError: A rule does not support the sizes or parameters of an operation.

    >>> import rushlight as torch
    >>> model = torch.nn.Linear(2, 1)
    >>> program = torch.onnx.export(model, torch.ones(3, 2), input_names=["x"])
    >>> [node.op_type for node in program.model_proto.graph.node]
    ['Gemm', 'Identity']
    """
    if isinstance(model, ExportedProgram):
        args, kwargs = model.example_inputs
        model = model.module()
    if not isinstance(model, Module):
        raise TypeError(f"torch.onnx.export: expected a Module, not {type(model).__name__}")
    args = args if isinstance(args, tuple) else (args,)
    opset = _opset(opset_version)
    was = {m: m.training for m in model.modules()}
    try:
        _set_exporting(True)
        model.train(False)
        axes = _axes(dynamic_axes, input_names)
        exporter = Exporter(model, args, dict(kwargs or {}), dynamic_shapes, _lowered, axes)
    finally:
        _set_exporting(False)
        for module, mode in was.items():
            module.training = mode
    program = ONNXProgram(_model(exporter, opset, input_names, output_names))
    if f is not None:
        program.save(f)
    if verbose:
        print(onnx.printer.to_text(program.model_proto))
    return program


def _set_exporting(value):
    global _exporting
    _exporting = value


def _opset(version):
    newest = onnx.defs.onnx_opset_version()
    version = USUAL if version is None else version
    if not OLDEST <= version <= newest:
        raise ValueError(
            f"torch.onnx.export: opset_version must be {OLDEST} to {newest}, not {version}"
        )
    return version


def _axes(dynamic_axes, input_names):
    """Convert ``dynamic_axes`` to {(position of the input, dim): name of the dim}."""
    names, found = list(input_names or ()), {}
    for name, dims in (dynamic_axes or {}).items():
        if name in names:
            pairs = dims.items() if isinstance(dims, dict) else [(d, f"{name}_{d}") for d in dims]
            found.update({(names.index(name), d): str(label) for d, label in pairs})
    return found


def _lowered(equations):
    """Lower equations until each has a rule or is elementwise, as far as lowering goes."""
    return unfold(equations, lambda e: e.op.name in RULES or e.op.kind == "elementwise")


# The file ---------------------------------------------------------------------------------


class Equation:
    """An equation with Sizes for numbers that may change; ``raw`` is the recorded equation."""

    def __init__(self, found, raw):
        self.op, self.ins, self.params, self.outs = found.op, found.ins, found.params, found.outs
        self.raw = raw


def _model(exporter, opset, input_names, output_names):
    b = Builder(opset)
    inputs = _inputs(b, exporter, list(input_names or ()))
    made: dict = {}
    for found, raw in zip(exporter.equations(), exporter.first.equations, strict=True):
        _convert(b, Equation(found, raw))
        made.update({v.id: v for v in found.outs})
    outputs = _outputs(b, exporter, list(output_names or ()), made)
    if not outputs:
        raise OnnxExporterError("torch.onnx.export: the model returns no tensors")
    graph = onnx.helper.make_graph(b.nodes, "main_graph", inputs, outputs, b.initializers)
    # The oldest file format that has these operators, so that older programs can read the file.
    form = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])
    model = onnx.helper.make_model(
        graph, producer_name="rushlight", opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=form,
    )  # fmt: skip
    onnx.checker.check_model(model)
    return model


def _convert(b, e):
    _refuse_complex(e.op.name, (*operands(e.raw), *e.outs))
    if e.op.name in RULES:
        names = RULES[e.op.name](b, e)
    elif e.op.kind == "elementwise":
        names = elementwise(b, e)
    else:
        why = ", which draws random numbers" if e.op.draws else ""
        raise UnsupportedOperatorError(
            f"torch.onnx.export: no rule for the operation {e.op.name}{why}: {e.raw!r}"
        )
    names = (names,) if isinstance(names, str) else names
    for value, name in zip(e.outs, names, strict=False):
        b.enter(value, name)


def _refuse_complex(name, values):
    if any(v.dtype.kind == "c" for v in values):
        raise OnnxExporterError(
            f"torch.onnx.export: {name}: ONNX does not compute with complex numbers"
        )


def _inputs(b, exporter, names):
    """Describe the inputs. The model's own tensors become constants of the file instead."""
    found: list = []
    for spec, value, tensor in exporter.inputs():
        if spec.kind is not InputKind.USER_INPUT:
            b.enter(value, spec.target)
            b.initializer(spec.target, tensor.detach().numpy())
            continue
        name = names[len(found)] if len(found) < len(names) else spec.arg.name
        b.enter(value, name)
        for d, n in enumerate(value.shape):
            if isinstance(n, Size):
                b.origins.setdefault(repr(n), (name, d))
        found.append(_described(name, value))
    if len(names) > len(found):
        raise OnnxExporterError(
            f"torch.onnx.export: {len(names)} input_names for {len(found)} tensors: {names}"
        )
    return found


def _outputs(b, exporter, names, made):
    values = [v for v in exporter.first.results if hasattr(v, "id")]
    if len(names) > len(values):
        raise OnnxExporterError(
            f"torch.onnx.export: {len(names)} output_names for {len(values)} tensors: {names}"
        )
    found: list = []
    for i, value in enumerate(values):
        name = names[i] if i < len(names) else f"output_{i}" if len(values) > 1 else "output"
        b.nodes.append(onnx.helper.make_node("Identity", [b.name(value)], [name]))
        known = made.get(value.id)
        found.append(_described(name, value if known is None else known, b.shape(value)))
    return found


def _described(name, value, shape=None):
    _refuse_complex(name, (value,))
    shape = value.shape if shape is None else shape
    dims = [n if isinstance(n, int) else str(n) if isinstance(n, Size) else None for n in shape]
    return onnx.helper.make_tensor_value_info(name, element_type(value.dtype), dims)
