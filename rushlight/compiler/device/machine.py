"""A device with work-groups as the stages of the compiler see it."""

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.codegen import elementwise
from rushlight.compiler.cpu import costs
from rushlight.compiler.device.convolution import convolution
from rushlight.compiler.device.language import NoCode
from rushlight.compiler.device.loops import DeviceLoops, OpenSizes, emit
from rushlight.compiler.device.pooling import Pooling
from rushlight.compiler.device.product import Product
from rushlight.compiler.device.sorting import sorting
from rushlight.compiler.ir.abstract import HALF
from rushlight.compiler.plan.kernel import Load
from rushlight.compiler.plan.kernel_signature import signature

__all__ = ["DeviceMachine"]


class DeviceMachine:
    """A device: a ``Machine``, as far as planning goes.

    Args:
        device: The ``backend.device.Device``.
        wide: Whether its language has integers of 128 bits.
        opens: Whether sizes are arguments of the kernels of loops; see ``OpenSizes``.
        values: The ids of inputs that are numbers, not memory.

    Attributes:
        open_tiles: Whether sizes are arguments of the kernels of products, too.
        units: The number of its compute units, which all want work.
        most: The most work-items of a group.
        spreads: Whether it has many work-items at the same time: it is no CPU.
        results: The most rows and columns of a product that a work-item computes.
        capability: The pair of numbers that tells which of NVIDIA's instructions it has; (0, 0) if
            its kernels are in another language.
        maps: Whether it has kernels that read operands by tensor maps; see ``warpgroups``.
    """

    calls = False
    scales = False
    vector_bytes, registers = 4, 32
    costs = costs.LOOPS

    def __init__(self, device, wide, opens=False, values=()):
        self.values = frozenset(values)
        self.doubles, self.units, self.most, self.wide = (
            device.doubles, device.units, device.most, wide,
        )  # fmt: skip
        self.opens, self.open_tiles = opens, opens and device.open_tiles
        self.halves = device.language == "PTX"  # else by bits, which every device can do
        self.capability = device.capability if device.language == "PTX" else (0, 0)
        self.maps = getattr(device, "maps", False)
        self.spreads = device.kind != "CPU"
        self.results = 8 if self.spreads else 4

    def price(self, op, ins, params):
        """The Price of an elementwise operation; None if no kernel computes it here."""
        if not self.doubles and any(getattr(x, "dtype", None) == "f8" for x in ins):
            return None
        return elementwise.price(op, ins, params)

    def serves(self, e):
        """Whether the contraction ``e`` has a kernel: all have but attention, which is lowered."""
        ins = operands(e)
        d = ins[0].dtype
        floating = d.kind == "f" or d in HALF
        if e.op.role == "pooling" and not Pooling.serves(e):
            return False
        if e.op.role not in _WORK or (floating and d.itemsize == 8 and not self.doubles):
            return False
        return e.op.role == "sorting" or (floating and len({v.dtype for v in ins}) == 1)

    def work(self, group, kernel, schedule):
        """The code for a group of equations: it has ``key``, ``operands``, ``groups``, ``size``."""
        if group.kind == "contraction":
            return _WORK[group.members[0].op.role](group, kernel, schedule)
        return LoopWork(kernel, self)


#: Below so many elements the launch takes longer than the divisions.
_LARGE = 50_000
#: What computes a contraction, by its role.
_WORK = {"product": Product, "convolution": convolution, "pooling": Pooling, "sorting": sorting}


class LoopWork:
    """A kernel of loops.

    Attributes:
        open_numbers: The arguments after the number of items that have work; see ``OpenSizes``.
        gains: Whether code with constant sizes would be faster: it divides by constants better.
    """

    operands: list = []

    def __init__(self, kernel, machine):
        self.loops, self.count = DeviceLoops(kernel, machine), len(kernel.args)
        self.groups, self.limit = self.loops.groups, self.loops.total
        self.size, self.opened = self.loops.size, None
        self.values = [k for k, (owner, _) in enumerate(kernel.args) if owner in machine.values]
        if any(getattr(n, "arg", None) in self.values for n in self.loops.nodes
               if type(n) is not Load):  # fmt: skip
            raise NoCode("a number is read as memory")
        if machine.opens:
            self.opened = OpenSizes(self.loops)
            own, self.open_numbers = self.opened.key, self.opened.numbers
        else:
            own, self.open_numbers = signature(self.loops), ()
        self.gains = bool(self.opened and self.opened.divisors) and self.loops.nanoseconds > _LARGE
        self.key = f"{self.loops.form} {self.size} {own} {self.values or ''}"

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        emit(module, name, self.loops, self.count, self.opened, self.values)
