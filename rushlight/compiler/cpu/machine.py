"""The processor as the stages of the compiler see it."""

from rushlight.compiler.codegen import elementwise
from rushlight.compiler.codegen.emission import Launch, Plan
from rushlight.compiler.codegen.loop_kernel import emit_loops
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.contractions import Product, serves
from rushlight.compiler.cpu.loader import load
from rushlight.compiler.cpu.program_module import program_module
from rushlight.compiler.cpu.target import host
from rushlight.compiler.plan.kernel_signature import signature
from rushlight.compiler.plan.loops import Loops

__all__ = ["Processor"]

#: Loops over so many arrays gain nothing by LLVM's loop strength reduction (measured).
_FEW = 3


class Processor:
    """A processor: a ``Machine``.

    Args:
        target: The processor. Default: this computer's, or the one that RUSHLIGHT_CPU names.
    """

    def __init__(self, target=None):
        self._target = target

    @property
    def target(self):
        return self._target or host()

    calls = wide = True
    spreads = False
    halves = property(lambda self: self.target.halves)
    scales = property(lambda self: "+avx512f" in self.target.features.split(","))
    vector_bytes = property(lambda self: self.target.vector_bytes)
    registers = property(lambda self: self.target.registers)
    costs = property(lambda self: costs.LOOPS)
    price = staticmethod(elementwise.price)
    serves = staticmethod(serves)

    def work(self, group, kernel, schedule):
        if group.kind == "contraction":
            return Product(group, kernel, schedule, self.target)
        return LoopWork(kernel, schedule, self)

    module = staticmethod(program_module)
    load = staticmethod(load)

    def code(self, module):
        return self.target.object_code(module)

    def assembly(self, module):
        return self.target.assembly(module)


class LoopWork:
    """A kernel of loops: a ``Work``."""

    stem = "loops"
    operands: list = []

    def __init__(self, kernel, schedule, machine):
        self.machine, self.count = machine, len(kernel.args)
        self.simple = self.count <= _FEW
        self.loops = Loops(kernel, machine)
        if machine.target.streams:
            self.loops.stream([_aligned(schedule, *kernel.args[s.arg]) for s in self.loops.stores])
        self.key = signature(self.loops)
        self.nanoseconds = self.loops.nanoseconds

    def plan(self, name):
        launch = Launch(name, self.loops.pieces, self.loops.scratch)
        return Plan(self.loops, self.machine.target, (launch,), ())

    def emit(self, module, name):
        emit_loops(module, name, self.loops, self.count)


def _aligned(schedule, owner, offset):
    """(bytes of the memory of ``owner``, byte offset in it); None if it may not be aligned.

    Memory that the schedule allocates begins at a cache line.
    """
    span = schedule.spans.get(owner)
    return None if span is None else (span[2], offset)
