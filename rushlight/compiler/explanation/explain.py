"""``torch.compiler.explain``: what became of a function, and what each part costs."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.calls.compiled import Compiled, compile
from rushlight.compiler.calls.gradient import CompiledNode
from rushlight.compiler.explanation.conditions import conditions
from rushlight.compiler.explanation.rehearsal import Watch, rehearse, rehearse_replay
from rushlight.compiler.explanation.wording import Names, call_reason
from rushlight.compiler.run.native_program import NativeProgram
from rushlight.compiler.run.program import Program
from rushlight.device_array import placed
from rushlight.tensor import Tensor

__all__ = ["Explanation", "KernelReport", "explain"]


def explain(f):
    """Call a function once, compiled, and explain how the call was executed.

    The effects are those of a single call, because times are measured on copies.

    Args:
        f: A function or a Module, which may be compiled already.

    Returns:
        Function of ``f``'s arguments, which returns an ``Explanation``; print it.

    Raises:
        TypeError: ``f`` cannot be called.

    >>> import rushlight as torch
    >>> found = torch.compiler.explain(lambda x: torch.softmax(2 * x, 0))(torch.ones(1000))
    >>> found.kernels[0].seconds > 0
    True
    """
    compiled = getattr(f, "_compiled", f)
    if not callable(f):
        raise TypeError(f"explain: a function or a Module is wanted, not {type(f).__name__}")
    if not isinstance(compiled, Compiled):
        compiled = compile(f)._compiled

    def explained(*args, **kwargs):
        watch = Watch()
        with watch.on(compiled):
            result = compiled.call(args, kwargs)
        return _explanation(compiled, watch, result)

    return explained


@dataclass
class KernelReport:
    """One kernel, or one call of a NumPy forward.

    Attributes:
        name: The kernel's name. Kernels of the same name share one machine code.
        kind: ``loops``, ``contraction``, or ``call`` for a call of a NumPy forward.
        members: The equations that the kernel computes, as text.
        domain: The number of iterations of each loop, outermost first.
        loops: How the loops run, in words: rows, columns, lanes, passes.
        chunks: The number of pieces that threads may share, or of a device's work-groups.
        reads, writes: The names of the values in memory that the kernel reads and stores.
        flops, bytes: The least numbers of floating-point operations and of bytes moved.
        seconds: The measured time, the median of several runs.
        least: The seconds that the machine needs at least for so many flops and bytes.
        reason: For a call: why there is no kernel for it.
    """

    name: str
    kind: str
    members: list
    domain: tuple = ()
    loops: str = ""
    chunks: int = 1
    reads: list = field(default_factory=list)
    writes: list = field(default_factory=list)
    flops: int = 0
    bytes: int = 0
    seconds: float = 0.0
    least: float = 0.0
    reason: str = ""

    @property
    def share(self):
        """The reached fraction of the machine's limit: 1.0 is as fast as possible."""
        return self.least / self.seconds if self.seconds else 0.0


@dataclass
class Explanation:
    """How one compiled call is executed; ``print`` shows it.

    Attributes:
        name: The function's name.
        refusal: Why the call runs eagerly, or None. If it runs eagerly, the rest is empty.
        recorded: The equations as they were recorded, as text.
        equations: The number of equations after lowering and simplification.
        kernels: A :class:`KernelReport` for each step, in order.
        memory: The places of values in memory; None without native code.
        guards: The conditions under which a call is executed in this way, in words.
        compiling: The seconds of each phase of compilation.
        seconds: The measured seconds of one run of all kernels.
        backward: The Explanation of the gradient that ``backward()`` would run, or None.
        devices: The names of the devices that run a part of the program.
        launches: The number of kernels that a run starts on devices.
        moved: The bytes that a run copies between the host and devices.
    """

    name: str
    refusal: str | None = None
    recorded: list = field(default_factory=list)
    equations: int = 0
    kernels: list = field(default_factory=list)
    memory: Any = None
    guards: list = field(default_factory=list)
    compiling: dict = field(default_factory=dict)
    seconds: float = 0.0
    backward: Any = None
    devices: list = field(default_factory=list)
    launches: int = 0
    moved: int = 0
    _program: Any = field(default=None, repr=False)

    @property
    def native(self):
        """Whether there is machine code; without it NumPy runs every equation."""
        return self._program is not None and not isinstance(self._program, Program)

    @property
    def llvm(self):
        """The LLVM IR of all kernels and of the functions that run them, as text.

        Raises:
            RuntimeError: there is no native code.
        """
        return str(self._assembly().module())

    @property
    def assembly(self):
        """The machine code, as text.

        Raises:
            RuntimeError: there is no native code.
        """
        text = self.llvm  # raises if there is no native code
        return self._program.machine.assembly(text)

    def loops_of(self, name):
        """The loops of one kernel of kind ``loops``: addresses and operations, as text.

        Raises:
            KeyError: no kernel of loops has this name.
            RuntimeError: there is no native code.
        """
        from rushlight.compiler.explanation.inventory import loops_of
        from rushlight.compiler.explanation.listing import listing

        for step in self._assembly().steps:
            if getattr(step, "name", None) == name and step.group.kind == "loops":
                return listing(loops_of(self._program, step.group))
        raise KeyError(f"no kernel of loops is called {name!r}")

    def llvm_of(self, name):
        """The LLVM IR of one kernel with the functions that only it uses.

        Raises:
            KeyError: no kernel has this name.
            RuntimeError: there is no native code.
        """
        from llvmlite import ir

        steps = [k.name for k in self.kernels if k.kind != "call"]
        for stem, work in self._assembly().kernels.values():
            if name in steps and (name == stem or name.startswith((f"{stem}.", f"{stem}_"))):
                module = ir.Module(name)
                work.emit(module, stem)
                return str(module)
        raise KeyError(f"no kernel is called {name!r}: there are {', '.join(dict.fromkeys(steps))}")

    def assembly_of(self, name):
        """The machine code of one kernel, as text.

        Raises:
            KeyError: no kernel has this name.
            RuntimeError: there is no native code.
        """
        return self._program.machine.assembly(self.llvm_of(name))

    def picture(self, path):
        """Draw the kernels and the values between them to an SVG or PNG file.

        Raises:
            ValueError: ``path`` ends in neither .svg nor .png, or the function runs eagerly.
        """
        from rushlight.compiler.explanation.picture import draw

        draw(self, path)

    def _assembly(self):
        if not self.native:
            raise RuntimeError("explain: there is no native code: NumPy runs this program")
        if self.devices:
            raise RuntimeError(f"explain: the code of programs on {self.devices[0]} is not shown")
        return self._program.assembly

    def __str__(self):
        from rushlight.compiler.explanation.report import report

        return report(self)

    __repr__ = __str__


# Making one -------------------------------------------------------------------------------


def _explanation(compiled, watch, result):
    function = compiled.function
    name = getattr(function, "__qualname__", None) or type(function).__name__
    if watch.program is None:
        refusals = [e.refusal for e in compiled.entries[:1] if e.refusal is not None]
        return Explanation(name, refusal=str([*refusals, "it was recorded anew too often"][0]))
    entry = compiled.entries[0]
    found = _of_program(name, watch, _input_names(entry))
    found.guards = conditions(entry)
    node = _compiled_node(result)
    if node is not None and mode.records() and node.gradient and node.saved is not None:
        gradient = node.gradient
        seeds = [placed(np.ones(v.shape, v.dtype), v.device) for v in gradient.seeds]
        behind = Watch()
        saved = node.saved[: len(gradient.saved)]
        behind.take(gradient.program(tuple(range(len(seeds))))[0], [*saved, *seeds])
        found.backward = _of_program(f"the gradient of {name}", behind, {})
    programs = [x for x in (found, found.backward) if x is not None]
    made = sum(sum(x.compiling.values()) for x in programs)
    found.compiling = {"recording": entry.seconds - made, **found.compiling}
    return found


def _input_names(entry):
    """value id → name, for a program's inputs: arguments, state, numbers, gradients."""
    program, held = entry.program, entry.held
    known = _tensor_names(entry.call.__globals__.values())
    first = len(program.inputs) - len(held.captured) - len(held.lives) - len(held.slots)
    names = [f"arg{i}" for i in range(first)]
    names += [known.get(id(t)) or f"state{i}" for i, t in enumerate(held.tensors)]
    names += [_number_name(live, i) for i, live in enumerate(held.lives)]
    for i, slot in enumerate(held.slots):
        leaf = known.get(id(slot.leaf))
        names.append(f"{leaf}.grad" if leaf else f"grad{i}")
    return {v.id: name for v, name in zip(program.inputs, names, strict=True)}


def _number_name(live, i):
    key = live.place()[1] if live.place is not None else None
    return key if isinstance(key, str) else f"number{i}"


def _tensor_names(objects):
    """id → name, for tensors in modules (``0.weight``) and optimizers (``0.weight.exp_avg``)."""
    found: dict = {}
    optimizers = [x for x in objects if type(getattr(x, "param_groups", None)) is list]
    for module in [x for x in objects if type(getattr(x, "_parameters", None)) is dict]:
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if len(name) > len(found.get(id(tensor), "")):
                found[id(tensor)] = name
    for optimizer in optimizers:
        for p, state in optimizer.state.items():
            if id(p) in found:
                found |= {id(v): f"{found[id(p)]}.{key}" for key, v in state.items()}
    return found


def _compiled_node(result):
    """The tape node of the compiled forward that returned ``result``; None if there is none."""
    items = list(result.values()) if isinstance(result, dict) else result
    for x in items if isinstance(items, (tuple, list)) else [items]:
        node = x.node if isinstance(x, Tensor) else None
        for candidate in (node, *(node.parents if node is not None else ())):
            if isinstance(candidate, CompiledNode):
                return candidate
    return None


def _of_program(name, watch, names):
    program = watch.program
    labels = Names(program.inputs, names)
    if isinstance(program, Program):
        return _of_replay(name, watch, labels)
    if not isinstance(program, NativeProgram):
        return _of_parts(name, watch, labels)
    from rushlight.compiler.explanation.inventory import Inventory, memory_of

    recorded = [labels.text(e) for e in program.recorded[0]]
    kernels = Inventory(program, labels).reports(KernelReport)
    seconds, whole = rehearse(watch)
    for kernel, taken in zip(kernels, seconds, strict=True):
        kernel.seconds = taken
    return Explanation(
        name, None, recorded, len(program.schedule.graph.equations), kernels,
        memory_of(program, labels), [], dict(program.seconds), whole, _program=program,
    )  # fmt: skip


def _of_parts(name, watch, labels):
    """The Explanation of a program of which devices run a part."""
    from rushlight.compiler.explanation.device_steps import Rehearsal

    program = watch.program
    recorded = [labels.text(e) for e in program.recorded[0]]
    found = Rehearsal(watch, labels, KernelReport, lambda part: _of_program(name, part, {}))
    return Explanation(
        name, None, recorded, found.equations, found.kernels, None, [], dict(program.seconds),
        found.seconds, None,
        found.devices, found.launches, found.moved, program,
    )  # fmt: skip


def _of_replay(name, watch, labels):
    program = watch.program
    texts = [labels.text(e) for e in program.equations]
    seconds = rehearse_replay(watch)
    kernels = [
        KernelReport(
            e.op.name, "call", [text], tuple(e.outs[0].shape), seconds=s,
            reads=labels.reads(e), writes=[labels.name(v) for v in e.outs],
            reason=call_reason(e, native=False),
        )
        for e, text, s in zip(program.equations, texts, seconds, strict=True)
    ]  # fmt: skip
    total = sum(seconds)
    return Explanation(
        name, None, texts, len(texts), kernels, None, [], {}, total, _program=program
    )
