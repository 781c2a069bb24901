"""What a recording of operations offers to the code that runs in it.

``torch.compile`` and ``torch.export`` run a function once and record its operations. Everything
below the compiler reaches the recording by ``mode.recorder()`` alone, and uses only these members.
The compiler's ``Recorder`` (``compiler/capture/recorder.py``) has them.
"""

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

__all__ = ["Recording"]


class Recording(Protocol):
    """A recording in progress. A tensor or node is *outer* if it was there before the recording.

    Attributes:
        began: The clock of the tape at the beginning.
        equations: The operations so far.
        passed: (number of equations, node) for each node that a backward has passed.
        over_arrays: id → tensor that was made over the memory of a stand-in for an array.
        undo: Functions that restore outer objects at the end.
        checks: (template, objects, value): conditions of the program on outer objects.
        places: Functions that list the outer objects whose tensors the program reads.
        stepped: Optimizer → the state of its groups, for optimizers that have taken a step.
        batches: Whether it is a recording of ``vmap``, which goes on with the values of a batch.
        first_calls: The number of deferred calls that must run before the program.
        refused: The error that the recording raises at its end, or None.
    """

    batches: bool
    began: int
    equations: list
    passed: list
    over_arrays: dict
    undo: list
    checks: list
    places: list
    stepped: dict
    first_calls: int
    refused: Any

    def enter(self, device) -> None:
        """Refuse new tensors on a device that a program cannot have."""

    # Operations and values

    def record(self, op, args, params) -> Any:
        """Run ``op`` on abstract values; returns tensors without elements."""

    def live(self, get: Callable, place=None, steady: bool = False) -> Any:
        """A 0-dim tensor that holds the number ``get()`` at each run."""

    def live_array(self, data) -> Any:
        """A tensor over the memory of ``data`` if it is a stand-in for an array; else ``data``."""

    def offset(self, x) -> Any:
        """The storage offset of ``x`` in elements. Later calls must have the same offset."""

    def place(self, x) -> Any:
        """The memory that ``x`` looks at, as the attribute ``memory``, and which part of it."""

    def snapshot(self, x) -> Any:
        """A copy of the present value of ``x``. Later writes to ``x`` do not change the copy."""

    def capture(self, tensor, get: Callable | None = None) -> Any:
        """Make an outer tensor an input; ``get`` finds it again."""

    def is_outer(self, tensor) -> bool:
        """Whether a tensor was there before the recording."""

    def is_outer_node(self, node) -> bool:
        """Whether a node was there before the recording."""

    def function(self, function, args) -> Any:
        """Record a call of a custom Function (only if ``batches``)."""

    def selects(self, index) -> bool:
        """Whether a 0-dim ``index`` means what a Python integer means."""

    def note_selected(self, part, whole) -> None:
        """Note that ``part``, a copy, is a view of ``whole`` in eager mode."""

    # What is about to change

    def note_alias(self, tensor, source) -> None:
        """Note a tensor that has the memory of ``source`` without its history, as ``detach()``."""

    def note_history(self, tensor) -> None:
        """Note the node that an outer tensor had before it gets another one."""

    def note_hooks(self, hooks) -> None:
        """Note the hooks of an outer object before they change."""

    def write(self, x, value) -> None:
        """``x[...] = value``: from here on the memory that ``x`` looks at has a new value."""

    def touch_grad(self, tensor, read: bool = True) -> None:
        """Note an outer tensor's gradient before it is read or changed."""

    def touch_module(self, module) -> None:
        """Note a called Module: the program holds only for its present forward and hooks."""

    def touch_function(self, cls) -> None:
        """Note a custom Function that is applied: the program holds only for its methods."""

    def replace(self, x, value) -> None:
        """``x.data = value``: from here on ``x`` looks at the memory of ``value``."""

    def accumulate(self, leaf, g) -> None:
        """Add ``g`` to the gradient of ``leaf``. A first gradient gets memory of its own."""

    # Python beside the program

    def defer(self, function: Callable, *args, **kwargs) -> None:
        """Call the function at each run, outside the program, because it runs Python code."""

    def settle_calls(self, optimizer) -> None:
        """Let deferred calls run before the program if one may set the rate of ``optimizer``."""

    def sets_option(self, group, key) -> bool:
        """Whether the recorded function itself assigned the present value of an option."""

    def refuse(self, reason: str) -> NoReturn:
        """Raise a TraceError, because a program cannot repeat what the function does here."""

    def refuse_values(self, tensor, name: str) -> None:
        """Refuse to read a tensor's value: it would be frozen into every later run."""
