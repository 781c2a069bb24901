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
    """A value of the graph, identified by its name."""

    name: str


@dataclass(frozen=True)
class InputSpec:
    """An input: its kind, its name in the graph (``arg``), its name in the model (``target``)."""

    kind: InputKind
    arg: TensorArgument
    target: str | None = None
    persistent: bool | None = None

    def __str__(self):
        target = "" if self.target is None else f" target={self.target!r}"
        return f"{self.arg.name}: {self.kind.name}{target}"


@dataclass(frozen=True)
class OutputSpec:
    """An output: its kind, its name in the graph, and the tensor that it is written to, if any."""

    kind: OutputKind
    arg: TensorArgument
    target: str | None = None

    def __str__(self):
        target = "" if self.target is None else f" target={self.target!r}"
        return f"{self.arg.name}: {self.kind.name}{target}"


@dataclass
class ExportGraphSignature:
    """The inputs of a graph and its outputs, in order."""

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
