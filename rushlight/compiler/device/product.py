"""Products of matrices, and other sums of products: a work-group computes a tile of results.

The operands' tiles pass through memory that the group shares, so that each element is read once for
all the results of its row or column of the tile. ``simt.py`` multiplies one by one on any device,
``tensor_cores.py`` has the instructions for small matrices of NVIDIA's devices, and
``warpgroups.py`` those for large ones of compute capability 9.0.
"""

from math import prod
from typing import Any

from rushlight.compiler.codegen.value import computed
from rushlight.compiler.device.loops import Opened
from rushlight.compiler.device.parts import place
from rushlight.compiler.device.simt import Items
from rushlight.compiler.device.tensor_cores import Cores, instruction_for
from rushlight.compiler.device.warpgroups import Warpgroups, serves
from rushlight.compiler.ir.machine import machine
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import nodes_of

__all__ = ["OpenTiles", "Product", "Tiles", "run_of"]


class Tiles:
    """A sum of products over a depth, for each element of (batches of) matrices; fused operations.

    A subclass says where the factors' elements lie, and which result an element is.

    Attributes:
        role: Whose switch allows TF32; see ``precision``.
        key: Equal keys mean equal code.
        operands: (owner of the memory, byte offset) of the factors.
        batch: The sizes of the batch's dims.
        shapes: The sizes of the dims that make up a row, a column and the depth.
        m, n, depth: The numbers of rows and columns, and of products in a sum.
        upright: Whether neighbours in memory are of one column, of the left and the right factor.
        runs: How many neighbours, from a multiple of this number on, lie one after the other in
            memory, begin at a multiple of their bytes if the factor does, and are all there or not.
        way: How the results are computed: ``Items``, ``Cores`` or ``Warpgroups``.
        opened: The ``OpenTiles``, if sizes are arguments of the kernel; else None.
        open_numbers: These sizes.
        numbers: The arguments that hold them, while the code is made.
        gains: Whether code with constant sizes would be faster.
    """

    role = "product"
    upright = False, False
    runs = 1, 1
    limit = 0  # all items have work
    open_parts: tuple = (0, 1, 2)  # those of ``shapes`` that are arguments in code with open sizes
    open_numbers: tuple = ()
    numbers: Any = ()
    gains = False
    batch: list
    shapes: tuple

    def __init__(self, group, kernel, schedule):
        self.group, self.kernel = group, kernel
        self.equation = group.members[0]
        self.ins = [v for v in self.equation.ins if v is not None]
        layouts = [schedule.layout(v) for v in self.ins]
        self.operands = [
            (owner, offset * v.itemsize)
            for v, (owner, offset, _) in zip(self.ins, layouts, strict=True)
        ]
        self.strides = [strides for _, _, strides in layouts]
        self.dtype = computed(self.ins[0].dtype)
        self._measure()
        self.m, self.n, self.depth = map(prod, self.shapes)
        self.nodes = nodes_of(kernel.stores)
        here: Any = machine()
        instruction = instruction_for(here, self)
        self.way: Any
        if instruction is None:
            self.way = Items(self)
        else:
            self.way = Warpgroups(self) if serves(self) else Cores(self, instruction)
        self.opened = None
        if here.open_tiles and OpenTiles.serves(self):
            self.opened = OpenTiles(self)
            self.key, self.open_numbers = self.opened.key, self.opened.numbers
            self.gains = self.m * self.n * self.depth * prod(self.batch) > _LARGE
            return
        names = {v: f"v{i}:{v.extent}" for i, v in enumerate(group.variables)}
        root = [(i.offset, sorted([(names[v], c) for v, c in i.terms.items()])) for i in self.root]
        shape = [v.dtype for v in self.ins], self.strides, self.way.key, self._shape()
        self.key = repr((shape, root, described(kernel.stores, self.nodes, names)))

    def _measure(self):
        """Set ``batch`` and ``shapes``."""
        raise NotImplementedError

    def _shape(self):
        """What the code depends on besides the operands' dtypes and strides."""
        raise NotImplementedError

    def left(self, b, batch, row, depth):
        """(number of the operand, its element, condition or None) of the left factor.

        Row, depth and column are indices in the dims of ``shapes``.
        """
        raise NotImplementedError

    def right(self, b, batch, depth, column):
        """(number of the operand, its element, condition or None) of the right factor."""
        raise NotImplementedError

    def index(self, b, batch, row, column):
        """The index of a result's element."""
        raise NotImplementedError

    @property
    def root(self):
        """The index of the result's element as functions of the group's variables."""
        return self.group.index[self.equation.outs[0].id]

    @property
    def groups(self):
        """The number of work-groups."""
        return self.way.groups

    @property
    def size(self):
        """The number of work-items in a group."""
        return self.way.size

    @property
    def form(self):
        """The kernel's name for those who ask which of several it is."""
        return self.way.form

    @property
    def needs(self):
        """What a launch needs besides: tensor maps and shared memory, by name."""
        return self.way.needs

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        self.way.emit(module, name)

    def of(self, role, n):
        """The size ``n`` in the code: the argument for its role, or the number itself."""
        at = None if self.opened is None else self.opened.roles.get(role)
        return n if at is None else self.numbers[at]

    def batch_sizes(self):
        """``batch`` in the code."""
        return [self.of(("batch", i), n) for i, n in enumerate(self.batch)]

    def shape(self, part):
        """The dims of a row, a column or the depth (``part`` 0, 1 or 2) in the code."""
        return [self.of(("shape", part, i), n) for i, n in enumerate(self.shapes[part])]

    def steps(self, operand):
        """The strides of an operand in the code."""
        return [self.of(("step", operand, i), n) for i, n in enumerate(self.strides[operand])]

    def roles(self):
        """(role, size) of all sizes that may be arguments."""
        yield from (("m", self.m), ("n", self.n), ("depth", self.depth))
        yield from (("down", self.way.down), ("across", self.way.across))
        yield from [(("batch", i), n) for i, n in enumerate(self.batch)]
        for part in self.open_parts:
            yield from [(("shape", part, i), n) for i, n in enumerate(self.shapes[part])]
        for operand, steps in enumerate(self.strides):
            yield from [(("step", operand, i), n) for i, n in enumerate(steps)]

    def _fixed(self):
        """What stays constant in code with open sizes, besides dtypes."""
        return ()


#: The fewest products of numbers from which code with constant sizes is worth its compilation.
_LARGE = 1 << 20


class OpenTiles(Opened):
    """The sizes of tiles that are arguments, so that one code serves many shapes.

    Each role of a size has an argument of its own. The sizes and strides of fused operations have
    arguments by their values.

    Attributes:
        roles: role → the number of the argument.
    """

    def __init__(self, work):
        super().__init__()
        self.roles: dict = {}
        values: list[int] = []
        sizes: list = []
        for role, n in work.roles():
            if -1 <= n <= 1:
                sizes.append(n)
                continue
            self.roles[role] = len(values)
            values.append(n)
            sizes.append("n")
        names = {v: f"v{i}" for i, v in enumerate(work.group.variables)}
        outermost = lambda i: sorted(i.terms.items(), key=lambda item: -item[1])
        root = [[(names[v], self.name(n)) for v, n in outermost(i)] for i in work.root]
        fused = described(work.kernel.stores, work.nodes, names, self.name, self.operand)
        dtypes = [v.dtype for v in work.ins]
        fixed = type(work).__name__, dtypes, work.way.key, work.upright, work._fixed()
        self.key = repr(("open", fixed, sizes, root, fused))
        self.numbers = *values, *self.sizes

    def give(self, nodes, numbers):
        super().give(nodes, numbers[len(self.roles) :])

    @staticmethod
    def serves(work):
        """Whether the sizes of ``work`` can be arguments; large ones are constants."""
        plain = not any(i.offset for i in work.root)
        small = max(prod(work.batch), work.m, work.n, work.depth) < 1 << 31
        return type(work.way) is Items and plain and small


class Product(Tiles):
    """A product of (batches of) matrices."""

    def _measure(self):
        *self.batch, m, n = self.equation.outs[0].shape
        self.shapes = [m], [n], [self.ins[0].shape[-1]]
        (*_, left, _), (*_, right, _) = self.strides
        self.upright = left == 1, right == 1
        self.runs = tuple([self._run(k, -2 if self.upright[k] else -1) for k in (0, 1)])

    def _run(self, operand, dim):
        """How many neighbours of an operand along ``dim`` are read as one."""
        strides, value = self.strides[operand], self.ins[operand]
        if strides[dim] != 1:
            return 1
        steps = [*zip(strides, value.shape, strict=True)]
        del steps[dim]
        others = [step for step, n in steps if n > 1]
        return run_of(value.itemsize, value.shape[dim], *others)

    def _shape(self):
        return self.batch, self.m, self.n, self.depth

    def left(self, b, batch, row, depth):
        return 0, place(b, (*batch, *row, *depth), self.steps(0)), None

    def right(self, b, batch, depth, column):
        return 1, place(b, (*batch, *depth, *column), self.steps(1)), None

    def index(self, b, batch, row, column):
        return [*batch, *row, *column]


def run_of(itemsize, *multiples):
    """The most elements of at most 16 bytes whose number divides all ``multiples``."""
    run = 16 // itemsize
    while any(n % run for n in multiples):
        run //= 2
    return run
