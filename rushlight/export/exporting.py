"""``torch.export.export``: record one call of a model as a graph of operations.

If dims may change, the call is recorded at several sizes, and the recordings are compared.
"""

import inspect
from collections import OrderedDict
from itertools import count

from rushlight.compiler.capture.simplify import alive
from rushlight.compiler.ir.equation import Equation
from rushlight.dtype import OF
from rushlight.errors import TraceError
from rushlight.export.graph import Graph, Part, Value
from rushlight.export.program import ExportedProgram
from rushlight.export.record import Recording, flatten, rebuilt
from rushlight.export.signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from rushlight.export.sizes import corners, same
from rushlight.nn import Module
from rushlight.ops.create.filled import zeros
from rushlight.tensor import Tensor

__all__ = ["Dim", "Exporter", "export"]


class Dim:
    """A named dim whose size may change.

    ``Dim.AUTO`` and ``Dim.DYNAMIC`` stand for a dim without a name of its own: each use gets a new
    name (``s0``, ``s1``, …). ``Dim.STATIC`` stands for a dim of fixed size.

    Args:
        name: The name, a Python identifier.
        min: The least size. Default: 0.
        max: The greatest size. Default: no limit.

    >>> import rushlight as torch
    >>> torch.export.Dim("batch", min=1, max=64)
    Dim('batch', min=1, max=64)
    """

    AUTO: "Dim"
    DYNAMIC: "Dim"
    STATIC: "Dim"

    def __init__(self, name, *, min=None, max=None):
        if not str(name).isidentifier():
            raise AssertionError(f"Dim names must be valid identifiers, got {name}")
        low = 0 if min is None else min
        if max is not None and max <= low:
            raise AssertionError(f"Cannot create Dim with inconsistent min={low}, max={max}")
        self.__name__, self.min, self.max = name, low, max

    def __repr__(self):
        return f"Dim({self.__name__!r}, min={self.min}, max={self.max})"


Dim.AUTO, Dim.DYNAMIC, Dim.STATIC = Dim("AUTO"), Dim("DYNAMIC"), Dim("STATIC")


def export(
    mod, args, kwargs=None, *, dynamic_shapes=None, strict=False,
    preserve_module_call_signature=(), prefer_deferred_runtime_asserts_over_guards=False,
):  # fmt: skip
    """Record one call of a model and return it as an ``ExportedProgram``.

    Args:
        mod: The model, a Module.
        args: The arguments of the call, a tuple: tensors, and tuples, lists and dicts of tensors.
        kwargs: Dict of the keyword arguments of the call. Default: none.
        dynamic_shapes: The dims that may change, for each argument: a tuple in the form of
            ``args``, a dict from argument names, or a ``ShapesCollection``. The entry of one tensor
            is None if all its dims are fixed; else a dict such as ``{0: Dim("batch")}``, or a list
            with a Dim or None for each dim.
        strict, preserve_module_call_signature: Accepted without effect.
        prefer_deferred_runtime_asserts_over_guards: Accepted without effect.

    Returns:
        ``ExportedProgram``.

    Raises:
        RuntimeError: The computation depends on a tensor's values; the message names the line.
        TypeError: ``mod`` is no Module, or ``args`` is no tuple.

    >>> import rushlight as torch
    >>> batch = torch.export.Dim("batch")
    >>> program = torch.export.export(
    ...     torch.nn.Flatten(), (torch.ones(2, 3, 4),), dynamic_shapes=({0: batch},)
    ... )
    >>> program.module()(torch.ones(5, 3, 4)).shape
    torch.Size([5, 12])
    >>> program.graph.nodes[1].meta["val"]
    f32[batch, 12]
    """
    if not isinstance(mod, Module):
        raise TypeError(f"torch.export.export: expected a Module, not {type(mod).__name__}")
    if not isinstance(args, tuple):
        raise TypeError(f"torch.export.export: args must be a tuple, not {type(args).__name__}")
    return Exporter(mod, args, dict(kwargs or {}), dynamic_shapes).program()


def _distinct(leaves):
    """Replace each tensor that comes again by a copy, so that every argument is an input."""
    found: list = []
    seen: set = set()
    for x in leaves:
        again = isinstance(x, Tensor) and id(x) in seen
        found.append(x.detach().clone().requires_grad_(x.requires_grad) if again else x)
        seen.add(id(x))
    return found


class Exporter:
    """The recordings of a model at several sizes, merged into one description.

    Attributes:
        names: The names of the dims that may change.
        points: The sizes of these dims, {name: size}, one dict for each recording.
        recordings: One Recording for each entry of ``points``.
    """

    def __init__(self, mod, args, kwargs, dynamic_shapes=None, lower=None, axes=None):
        self.mod, self.args, self.kwargs = mod, args, kwargs
        self.leaves = flatten((args, kwargs))
        self.dims: dict = {}  # (leaf, dim) → Dim
        self.ranges: dict = {}
        self._find_dims(dynamic_shapes)
        places = [i for i, x in enumerate(self.leaves) if isinstance(x, Tensor)]
        for (k, d), name in (axes or {}).items():
            self.dims[places[k], d % self.leaves[places[k]].ndim] = name
            self.ranges[name] = (0, None)
        self.names = list(self.ranges)
        self.points = corners(self.names)
        self.recordings = [self._record(p, lower) for p in self.points]
        first = self.recordings[0]
        kinds = {tuple([e.op.name for e in r.equations]) for r in self.recordings}
        if len(kinds) > 1 or len({len(r.state) for r in self.recordings}) > 1:
            raise TraceError(
                f"torch.export: other operations are computed for other sizes of {self.names}; "
                "export with fixed sizes"
            )
        self.first = first

    # Dims that may change ---------------------------------------------------------------

    def _find_dims(self, given):
        if given is None:
            return
        if hasattr(given, "dynamic_shapes"):  # a ShapesCollection
            given = given.dynamic_shapes(self.mod, self.args, self.kwargs)
        parameters = list(inspect.signature(self.mod.forward).parameters)
        if isinstance(given, dict):
            by_place = [given.get(n) for n in parameters[: len(self.args)]]
            given = ([*by_place], {k: given.get(k) for k in self.kwargs})
        else:
            given = (list(given), {})
        position = count()
        unnamed = count()
        for tree, dims in zip((*self.args, *self.kwargs.values()),
                              (*given[0], *given[1].values()), strict=False):  # fmt: skip
            self._enter(tree, dims, position, unnamed)

    def _enter(self, tree, dims, position, unnamed):
        if isinstance(tree, Tensor):
            leaf = next(position)
            pairs = dims.items() if isinstance(dims, dict) else enumerate(dims or ())
            for d, dim in pairs:
                self._add(leaf, int(d) % tree.ndim, dim, unnamed)
        elif isinstance(tree, (tuple, list, dict)):
            parts = list(tree.values()) if isinstance(tree, dict) else tree
            if isinstance(dims, dict):
                dims = [dims.get(k) for k in tree] if isinstance(tree, dict) else dims.values()
            for i, part in enumerate(parts):
                self._enter(part, list(dims)[i] if dims else None, position, unnamed)
        else:
            next(position)

    def _add(self, leaf, d, dim, unnamed):
        if isinstance(dim, str):
            dim = Dim(dim)
        if not isinstance(dim, Dim) or dim is Dim.STATIC:
            return
        if dim in (Dim.AUTO, Dim.DYNAMIC):
            dim = Dim(f"s{next(unnamed)}")
        self.dims[leaf, d] = dim.__name__
        self.ranges[dim.__name__] = (dim.min, dim.max)

    def _record(self, sizes, lower):
        leaves = _distinct(self.leaves)
        for i, x in enumerate(leaves):
            changed = {d: sizes[n] for (leaf, d), n in self.dims.items() if leaf == i}
            if changed:
                shape = [changed.get(d, n) for d, n in enumerate(x.shape)]
                leaves[i] = zeros(shape, dtype=OF[x._array.dtype])
        args, kwargs = rebuilt((self.args, self.kwargs), iter(leaves))
        found = Recording(self.mod, args, kwargs)
        wanted = [*found.results, *[v for _, v in found.writes]]
        found.equations = alive(found.equations, wanted)
        if lower is not None:
            found.equations = alive(lower(found.equations), wanted)
        return found

    # Merging the recordings ------------------------------------------------------------

    def value(self, values):
        """Merge the values of all recordings into one Value whose sizes may depend on dims."""
        first = values[0]
        shape = self.same([v.shape for v in values], "a shape")
        return Value(shape, first.dtype, first.id)

    def same(self, values, what):
        """Merge a number or a structure of numbers, given once for each recording, into one."""
        return same(values, self.points, self.names, what)

    def equations(self):
        """Yield the merged equations; numbers that depend on dims are Sizes, results Values."""
        for rows in zip(*[r.equations for r in self.recordings], strict=True):
            e = rows[0]
            ins = self._numbers([r.ins for r in rows], e.op.name)
            params = {k: self._numbers([r.params[k] for r in rows], e.op.name) for k in e.params}
            outs = [self.value(v) for v in zip(*[r.outs for r in rows], strict=True)]
            yield Equation(e.op, ins, params, outs)

    def _numbers(self, values, name):
        first = values[0]
        if hasattr(first, "is_abstract"):
            return first
        plain = isinstance(first, (tuple, list)) and not hasattr(first, "_fields")
        if plain and len({len(v) for v in values}) == 1:
            parts = [self._numbers(v, name) for v in zip(*values, strict=True)]
            return type(first)(parts)
        return self.same(values, f"a parameter of {name}")

    def inputs(self):
        """List (InputSpec, Value, tensor) of each input: the model's tensors, then arguments."""
        return [*self._state(), *self._arguments()]

    def _state(self):
        names = {id(t): (n, InputKind.PARAMETER, "p_") for n, t in self.mod.named_parameters()}
        names |= {id(t): (n, InputKind.BUFFER, "b_") for n, t in self.mod.named_buffers()}
        used = {v.id for e in self.first.equations for v in _read(e)}
        used |= {v.id for v in self.first.results if hasattr(v, "id")}
        number = count()
        rows = []
        for k, (tensor, value) in enumerate(self.first.state):
            if value.id not in used:
                continue
            values = [r.state[k][1] for r in self.recordings]
            name, kind, prefix = names.get(id(tensor), (None, InputKind.CONSTANT_TENSOR, "c_"))
            name = name or f"lifted_tensor_{next(number)}"
            label = prefix + name.replace(".", "_")
            rows.append((InputSpec(kind, TensorArgument(label), name), self.value(values), tensor))
        order = [name for name, *_ in names.values()]
        return sorted(rows, key=lambda row: order.index(row[0].target) if row[0].target in order
                      else len(order))  # fmt: skip

    def _arguments(self):
        labels = self._labels()
        rows = []
        for i, x in enumerate(self.leaves):
            if not isinstance(x, Tensor):
                continue
            values = [r.arguments[i] for r in self.recordings]
            spec = InputSpec(InputKind.USER_INPUT, TensorArgument(labels[i]))
            rows.append((spec, self.value(values), x))
        return rows

    def _labels(self):
        parameters = inspect.signature(self.mod.forward).parameters
        variable = [n for n, p in parameters.items() if p.kind is p.VAR_POSITIONAL]
        names = [n for n in parameters if n not in variable]
        found: list = []
        for i, tree in enumerate(self.args):
            name = names[i] if i < len(names) and not variable else f"args_{i}"
            _label(tree, name, found)
        for name, tree in self.kwargs.items():
            _label(tree, name, found)
        return found

    # The program ------------------------------------------------------------------------

    def program(self):
        """Build the ExportedProgram from the merged recordings."""
        graph, specs, constants = Graph(), [], {}
        for spec, value, tensor in self.inputs():
            node = graph.placeholder(spec.arg.name, value)
            specs.append(InputSpec(spec.kind, TensorArgument(node.name), spec.target))
            if spec.kind is InputKind.CONSTANT_TENSOR:
                constants[spec.target] = tensor.detach()
        for e in self.equations():
            graph.call(e.op, e.ins, e.params, e.outs)
        writes, outputs = self._writes()
        results = [*writes, *self.first.results]
        for operand in graph.operand(tuple(self.first.results)):
            node = operand.node if isinstance(operand, Part) else operand
            name = getattr(node, "name", repr(node))
            outputs.append(OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(name)))
        graph.output(results)
        for i, operand in enumerate(graph.nodes[-1].args[0][: len(writes)]):
            outputs[i] = OutputSpec(
                outputs[i].kind, TensorArgument(repr(operand)), outputs[i].target
            )
        state = OrderedDict([*self.mod.named_parameters(), *self.mod.named_buffers()])
        signature = ExportGraphSignature(specs, outputs)
        example = (self.args, self.kwargs)
        return ExportedProgram(
            graph, signature, state, constants, example, self.first.tree, self.ranges
        )

    def _writes(self):
        names = {id(t): n for n, t in self.mod.named_buffers()}
        leaves = {id(t): i for i, t in enumerate(self.leaves)}
        values, specs = [], []
        for tensor, value in self.first.writes:
            if id(tensor) in names:
                kind, target = OutputKind.BUFFER_MUTATION, names[id(tensor)]
            elif id(tensor) in leaves:
                kind, target = OutputKind.USER_INPUT_MUTATION, str(leaves[id(tensor)])
            else:
                raise TraceError(
                    "torch.export: the call changes a tensor that is no buffer of the model and "
                    "no argument"
                )
            values.append(value)
            specs.append(OutputSpec(kind, TensorArgument(""), target))
        return values, specs


def _read(equation):
    flat = equation.ins[0] if equation.op.variadic else equation.ins
    return [v for v in (*flat, *equation.params.values()) if hasattr(v, "is_abstract")]


def _label(tree, name, found):
    """Append a label for each leaf of the argument ``tree`` to ``found``."""
    if isinstance(tree, dict):
        for key, part in tree.items():
            _label(part, f"{name}_{key}", found)
    elif isinstance(tree, (tuple, list)):
        for i, part in enumerate(tree):
            _label(part, f"{name}_{i}", found)
    else:
        found.append(name)
