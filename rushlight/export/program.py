"""An exported program: the graph of a call, the tensors that it reads, and how to run it."""

from collections import OrderedDict

import numpy as np

from rushlight.autograd import mode
from rushlight.dtype import OF
from rushlight.errors import ShapeError
from rushlight.export.graph import GraphModule, Node, Part, code, indented
from rushlight.export.record import flatten, rebuilt
from rushlight.export.signature import InputKind, OutputKind
from rushlight.export.sizes import Size, Unknown
from rushlight.nn import Module, Parameter
from rushlight.ops.core.dispatch import apply, prepared
from rushlight.tensor import Tensor

__all__ = ["ExportedProgram", "unflatten"]


def unflatten(module, flat_args_adapter=None):
    """Return an exported program as a module with the model's submodules.

    The submodules hold the model's parameters and buffers; only the whole module can be called.

    Args:
        module: An ``ExportedProgram``.
        flat_args_adapter: None; PyTorch's argument has no meaning here.

    Returns:
        Module with the model's own parameters, as ``module.module()`` gives it.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.Sequential(torch.nn.Linear(2, 1)), (torch.ones(2),))
    >>> [name for name, _ in torch.export.unflatten(program).named_parameters()]
    ['0.weight', '0.bias']
    """
    return module.module()


class ExportedProgram:
    """One call of a model, recorded by ``torch.export.export``.

    Attributes:
        graph: The operations of the call, as a Graph.
        graph_signature: For each input and output of the graph, its role in the model.
        state_dict: The model's parameters and buffers, by name.
        constants: Other tensors that the graph reads, by name.
        range_constraints: {name of a dim that may change: (least size, greatest size or None)}.
        example_inputs: The arguments of the recorded call: (args, kwargs).

    Args:
        graph, signature, state, constants: As the attributes.
        example, ranges: As the attributes ``example_inputs`` and ``range_constraints``.
        tree: The form of the results: tuples, lists and dicts.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> print(program.graph)
    graph():
        %input : [num_users=1] = placeholder[target=input]
        %relu : [num_users=1] = call_function[target=relu](args = (%input,), kwargs = {})
        return (%relu,)
    >>> program.module()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, graph, signature, state, constants, example, tree, ranges):
        self.graph = graph
        self.graph_signature = signature
        self.state_dict: OrderedDict = state
        self.constants = constants
        self.example_inputs = example
        self.range_constraints = ranges
        self._tree = tree
        self.graph_module = GraphModule(graph, self._run)

    def module(self, check_guards=True):
        """The program as a module with the model's own parameters and buffers.

        Gradients flow through the module. Its arguments must have the example's shapes and dtypes;
        only the sizes of dims that may change can differ. ``check_guards`` has no effect: they
        are always checked.
        """
        found = GraphModule(self.graph, self._run)
        for name, tensor in self.state_dict.items():
            *path, last = name.split(".")
            owner = found
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, Module())
                owner = owner._modules[part]
            if isinstance(tensor, Parameter):
                owner.register_parameter(last, tensor)
            else:
                owner.register_buffer(last, tensor)
        found.train(False)
        return found

    def run_decompositions(self, decomp_table=None, decompose_custom_triton_ops=False):
        """The program itself: its operations are rushlight's, and no table takes them apart."""
        return self

    def parameters(self):
        """The model's parameters."""
        return iter([t for t in self.state_dict.values() if isinstance(t, Parameter)])

    def named_parameters(self):
        """The model's parameters with their names."""
        return iter([(n, t) for n, t in self.state_dict.items() if isinstance(t, Parameter)])

    def named_buffers(self):
        """The model's buffers with their names."""
        return iter([(n, t) for n, t in self.state_dict.items() if not isinstance(t, Parameter)])

    def buffers(self):
        """The model's buffers."""
        return iter([t for _, t in self.named_buffers()])

    def __str__(self):
        text = indented(code(self.graph, shapes=True), 8)
        constraints = self.range_constraints
        return (
            f"ExportedProgram:\n    class GraphModule(torch.nn.Module):\n{text}\n\n"
            f"Graph signature: {self.graph_signature}\nRange constraints: {constraints}\n"
        )

    # Running ----------------------------------------------------------------------------

    def _run(self, *args, **kwargs):
        leaves = flatten((args, kwargs))
        wanted = flatten(self.example_inputs)
        if len(leaves) != len(wanted):
            raise TypeError(
                f"ExportedProgram: expected {len(wanted)} arguments as in the example, not "
                f"{len(leaves)}"
            )
        env, sizes = self._inputs(leaves, wanted)
        for node in self.graph.nodes:
            if node.op == "call_function":
                ins = _given(node.args, env, sizes)
                given = {k: _given(v, env, sizes) for k, v in node.kwargs.items()}
                params = node.target.defaults | given
                if node.target.of_storage:  # its places are counted from the value's first element
                    ins = [ins[0].clone(), *ins[1:]]
                if "memo" in params:  # a list for values that gradient rules reuse, None in a trace
                    params["memo"] = [] if mode.recorder() is None else None
                env[node] = apply(prepared(node.target), ins, params)
        (outputs,) = _given(self.graph.nodes[-1].args, env, sizes)
        return self._results(outputs, leaves)

    def _inputs(self, leaves, wanted):
        """Return {input node: tensor} and {name of a changing dim: its size in this call}."""
        env: dict = {}
        sizes: dict = {}
        nodes = iter(self.graph.find_nodes(op="placeholder"))
        for spec, node in zip(self.graph_signature.input_specs, nodes, strict=True):
            if spec.kind is InputKind.USER_INPUT:
                continue
            known = self.constants if spec.kind is InputKind.CONSTANT_TENSOR else self.state_dict
            env[node] = known[spec.target]
        free = [n for n in self.graph.find_nodes(op="placeholder") if n not in env]
        tensors = iter(free)
        for x, example in zip(leaves, wanted, strict=True):
            if isinstance(example, Tensor):
                node = next(tensors)
                self._check(node, x, sizes)
                env[node] = x
            elif x != example:
                raise ValueError(f"ExportedProgram: exported with {example!r}, called with {x!r}")
        return env, sizes

    def _check(self, node, x, sizes):
        value = node.meta["val"]
        if not isinstance(x, Tensor) or x.ndim != len(value.shape):
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ShapeError(f"ExportedProgram: {node.name} is to be {value!r}, not {got}")
        if x._array.dtype != value.dtype:
            raise TypeError(f"ExportedProgram: {node.name} is {value!r}, not {OF[x._array.dtype]}")
        for d, (have, want) in enumerate(zip(x.shape, value.shape, strict=True)):
            if isinstance(want, Size):
                ((name,),) = want.terms
                low, high = self.range_constraints[name]
                if low <= have and (high is None or have <= high) and (
                        sizes.setdefault(name, have) == have):  # fmt: skip
                    continue
            elif have == want:
                continue
            raise ShapeError(
                f"ExportedProgram: {node.name} is {value!r}, but dim {d} of the argument "
                f"{tuple(x.shape)} is {have}; dims change only where dynamic_shapes says so, "
                f"within {self.range_constraints}"
            )

    def _results(self, outputs, leaves):
        specs = self.graph_signature.output_specs
        results = []
        for spec, value in zip(specs, outputs, strict=True):
            if spec.kind is OutputKind.USER_OUTPUT:
                results.append(value)
                continue
            with mode.no_grad():
                if spec.kind is OutputKind.BUFFER_MUTATION:
                    known = self.constants if spec.target in self.constants else self.state_dict
                    known[spec.target].copy_(value)
                else:
                    leaves[int(spec.target)].copy_(value)
        return rebuilt(self._tree, iter(results))


def _given(value, env, sizes):
    """Replace the nodes inside an operand by their tensors, and the Sizes by numbers."""
    if isinstance(value, Node):
        return env[value]
    if isinstance(value, Part):
        return env[value.node][value.index]
    if isinstance(value, (Size, Unknown)):
        return value.at(sizes)
    if isinstance(value, slice):
        return slice(*[_given(v, env, sizes) for v in (value.start, value.stop, value.step)])
    if isinstance(value, (tuple, list)) and not isinstance(value, np.dtype):
        parts = [_given(v, env, sizes) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
