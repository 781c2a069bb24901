"""The role of each input and output of an exported graph."""

from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "ExportGraphSignature", "InputKind", "InputSpec", "OutputKind", "OutputSpec", "TensorArgument",
]  # fmt: skip

InputKind = Enum("InputKind", "USER_INPUT PARAMETER BUFFER CONSTANT_TENSOR")
OutputKind = Enum("OutputKind", "USER_OUTPUT BUFFER_MUTATION USER_INPUT_MUTATION")


@dataclass(frozen=True)
class TensorArgument:
    """A value of the graph, identified by its name.

    Args:
        name: The name.

    >>> import rushlight as torch
    >>> torch.export.TensorArgument("x").name
    'x'
    """

    name: str


@dataclass(frozen=True)
class InputSpec:
    """An input of a graph, with its role in the model.

    Args:
        kind: An ``InputKind``: what the input is in the model.
        arg: A ``TensorArgument``: the input's name in the graph.
        target: The tensor's name in the model. Default: None, it is an argument.
        persistent: Whether a buffer is part of the state dict. Default: None, it is no buffer.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.Linear(2, 1), (torch.ones(2),))
    >>> program.graph_signature.input_specs[0].target
    'weight'
    """

    kind: InputKind
    arg: TensorArgument
    target: str | None = None
    persistent: bool | None = None

    def __str__(self):
        target = "" if self.target is None else f" target={self.target!r}"
        return f"{self.arg.name}: {self.kind.name}{target}"


@dataclass(frozen=True)
class OutputSpec:
    """An output of a graph, with its role in the model.

    Args:
        kind: An ``OutputKind``: what the output is in the model.
        arg: A ``TensorArgument``: the output's name in the graph.
        target: The name of the tensor that the output is written to. Default: None, it is a result.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> program.graph_signature.output_specs[0].arg.name
    'relu'
    """

    kind: OutputKind
    arg: TensorArgument
    target: str | None = None

    def __str__(self):
        target = "" if self.target is None else f" target={self.target!r}"
        return f"{self.arg.name}: {self.kind.name}{target}"


@dataclass
class ExportGraphSignature:
    """The inputs of a graph and its outputs, in order.

    Args:
        input_specs: List of an ``InputSpec`` for each input. Default: none.
        output_specs: List of an ``OutputSpec`` for each output. Default: none.

    >>> import rushlight as torch
    >>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> program.graph_signature.user_inputs
    ('input',)
    """

    input_specs: list = field(default_factory=list)
    output_specs: list = field(default_factory=list)

    def _inputs(self, kind):
        return tuple([s for s in self.input_specs if s.kind is kind])

    @property
    def parameters(self):
        """The names of the model's parameters that the graph reads."""
        return tuple([s.target for s in self._inputs(InputKind.PARAMETER)])

    @property
    def buffers(self):
        """The names of the model's buffers that the graph reads."""
        return tuple([s.target for s in self._inputs(InputKind.BUFFER)])

    @property
    def user_inputs(self):
        """The names in the graph of the call's arguments."""
        return tuple([s.arg.name for s in self._inputs(InputKind.USER_INPUT)])

    @property
    def user_outputs(self):
        """The names in the graph of the call's results."""
        found = [s for s in self.output_specs if s.kind is OutputKind.USER_OUTPUT]
        return tuple([s.arg.name for s in found])

    @property
    def inputs_to_parameters(self):
        """{name of an input in the graph: name of the model's parameter}."""
        return {s.arg.name: s.target for s in self._inputs(InputKind.PARAMETER)}

    @property
    def inputs_to_buffers(self):
        """{name of an input in the graph: name of the model's buffer}."""
        return {s.arg.name: s.target for s in self._inputs(InputKind.BUFFER)}

    @property
    def buffers_to_mutate(self):
        """{name in the graph of a new value: name of the buffer that it is written to}."""
        found = [s for s in self.output_specs if s.kind is OutputKind.BUFFER_MUTATION]
        return {s.arg.name: s.target for s in found}

    def __str__(self):
        inputs, outputs = (
            "".join([f"    {s}\n" for s in specs])
            for specs in (self.input_specs, self.output_specs)
        )
        return f"\n# inputs\n{inputs}    \n    # outputs\n{outputs}"
