"""Products of matrices, and other sums of products: a work-group computes a tile of results.

The operands' tiles pass through memory that the group shares, so that each element is read once for
all the results of its row or column of the tile.
"""

from math import prod

from llvmlite import ir

from rushlight.compiler.codegen.memory import load, memory_type, stack, store
from rushlight.compiler.codegen.nodes import Nodes, set_variables
from rushlight.compiler.codegen.scope import Loop, Scope, i64
from rushlight.compiler.codegen.value import Value, computed, intrinsic, ir_type
from rushlight.compiler.device.language import shared
from rushlight.compiler.plan.kernel import Root
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import nodes_of

__all__ = ["TILE", "Product", "Tiles", "finish", "place", "split", "unravel"]

#: A tile has so many rows and columns, and a work-item for each result.
TILE = 16


class Tiles:
    """A sum of products over a depth, for each element of (batches of) matrices; fused operations.

    A subclass says where the factors' elements lie, and which result an element is.

    Attributes:
        key: Equal keys mean equal code.
        operands: (owner of the memory, byte offset) of the factors.
        batch, m, n, depth: The sizes of the batch's dims, of the matrices, and of the sums.
        groups, size: The number of work-groups, and of work-items in a group.
    """

    size = TILE * TILE
    limit = 0  # all items have work
    batch: list
    m: int
    n: int
    depth: int

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
        self.groups = -(-self.m // TILE) * -(-self.n // TILE) * prod(self.batch)
        self.nodes = nodes_of(kernel.stores)
        names = {v: f"v{i}:{v.extent}" for i, v in enumerate(group.variables)}
        root = [(i.offset, sorted([(names[v], c) for v, c in i.terms.items()])) for i in self.root]
        shape = [v.dtype for v in self.ins], self.strides, self._shape()
        self.key = repr((shape, root, described(kernel.stores, self.nodes, names)))

    def _measure(self):
        """Set the sizes."""
        raise NotImplementedError

    def _shape(self):
        """What the code depends on besides the operands' dtypes and strides."""
        raise NotImplementedError

    def _left(self, b, batch, row, depth):
        """(number of the operand, its element, condition or None) of the left factor."""
        raise NotImplementedError

    def _right(self, b, batch, depth, column):
        """(number of the operand, its element, condition or None) of the right factor."""
        raise NotImplementedError

    def _index(self, b, batch, row, column):
        """The index of a result's element."""
        raise NotImplementedError

    @property
    def root(self):
        """The index of the result's element as functions of the group's variables."""
        return self.group.index[self.equation.outs[0].id]

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        b, pointers, _ = module.kernel(name, len(self.operands) + len(self.kernel.args))
        typ = ir_type(self.dtype)
        item, number = module.work_item(b), module.work_group(b)
        y, x = b.udiv(item, i64(TILE)), b.urem(item, i64(TILE))
        number, across = split(b, number, -(-self.n // TILE))
        number, down = split(b, number, -(-self.m // TILE))
        batch = unravel(b, number, self.batch)
        row, column = b.add(b.mul(down, i64(TILE)), y), b.add(b.mul(across, i64(TILE)), x)
        total = stack(b, typ)
        b.store(ir.Constant(typ, 0.0), total)
        tiles = [module.local_array(typ, TILE * TILE) for _ in range(2)]
        loop = Loop(b, i64(0), i64(self.depth), TILE)
        inside = loop.b
        for tile, (i, m), (j, n), find in (
            (tiles[0], (row, self.m), (inside.add(loop.i, x), self.depth), self._left),
            (tiles[1], (inside.add(loop.i, y), self.depth), (column, self.n), self._right),
        ):
            operand, at, fits = find(inside, batch, i, j)
            edge = _below(inside, (i, m), (j, n))
            fits = edge if fits is None else inside.and_(edge, fits)
            found = self._fetch(inside, pointers[operand], operand, at, fits)
            inside.store(found, shared(inside, tile, item, typ))
        module.wait(inside)
        self._add(inside, tiles, y, x, total)
        module.wait(inside)
        loop.close()
        with b.if_then(_below(b, (row, self.m), (column, self.n))):
            found = Value(b, b.load(total, typ=typ), self.dtype)
            finish(self, b, pointers[len(self.operands) :],
                   self._index(b, batch, row, column), found)  # fmt: skip
        b.ret_void()

    def _fetch(self, b, pointer, operand, at, fits):
        """The element ``at`` of a factor if it ``fits``, else 0. The first one is read then."""
        dtype = self.ins[operand].dtype
        at = b.select(fits, at, i64(0))
        source = b.gep(pointer, [at], source_etype=memory_type(dtype))
        found = load(b, source, dtype).astype(self.dtype).v
        return b.select(fits, found, ir.Constant(found.type, 0.0))

    def _add(self, b, tiles, y, x, total):
        """Add the products of a row and a column of the two tiles."""
        typ = ir_type(self.dtype)
        found = b.load(total, typ=typ)
        name = f"llvm.fma.f{self.dtype.itemsize * 8}"
        for k in range(TILE):
            left = b.add(b.mul(y, i64(TILE)), i64(k))
            right = b.add(i64(k * TILE), x)
            factors = [
                b.load(shared(b, tile, at, typ), typ=typ)
                for tile, at in zip(tiles, (left, right), strict=True)
            ]
            found = intrinsic(b, name, typ, [*factors, found])
        b.store(found, total)


class Product(Tiles):
    """A product of (batches of) matrices."""

    def _measure(self):
        *self.batch, self.m, self.n = self.equation.outs[0].shape
        self.depth = self.ins[0].shape[-1]

    def _shape(self):
        return self.batch, self.m, self.n, self.depth

    def _left(self, b, batch, row, depth):
        return 0, place(b, (*batch, row, depth), self.strides[0]), None

    def _right(self, b, batch, depth, column):
        return 1, place(b, (*batch, depth, column), self.strides[1]), None

    def _index(self, b, batch, row, column):
        return [*batch, row, column]


# Parts that kernels share ---------------------------------------------------------------------


def finish(work, b, pointers, index, found):
    """Compute the operations fused into a result's element ``found``, and store what they give.

    Args:
        work: Has ``group``, ``kernel``, ``nodes`` and ``root``.
        pointers: The memory that the kernel's nodes and stores use.
    """
    scope = Scope(b)
    for affine, i in zip(work.root, index, strict=True):
        set_variables(b, affine, i, scope.variables)
    nodes = Nodes(pointers, [scope] * 3, _One(work.group.variables))
    for node in work.nodes:
        if type(node) is Root:
            nodes.results[id(node)] = found.astype(node.dtype)
    for s in work.kernel.stores:
        pointer = nodes.pointer(s.arg, s.address, s.dtype)
        store(scope.b, nodes.value(s.node), pointer, s.dtype)


class _One:
    """The schedule that ``Nodes`` needs for one element."""

    across, lanes, vector = False, 1, None

    def __init__(self, columns):
        self.columns = columns


def split(b, number, n):
    """(quotient, remainder) of ``number`` by ``n``."""
    if n & (n - 1) == 0:
        return b.lshr(number, i64(n.bit_length() - 1)), b.and_(number, i64(n - 1))
    return b.udiv(number, i64(n)), b.urem(number, i64(n))


def unravel(b, number, shape):
    """The index of the element ``number`` of an array of ``shape`` in C order."""
    index: list = []
    for n in reversed(shape[1:]):
        number, at = split(b, number, n)
        index.insert(0, at)
    return [number, *index] if shape else []


def place(b, index, strides):
    """The position in memory of the element at ``index``, in elements."""
    found = i64(0)
    for i, step in zip(index, strides, strict=True):
        found = b.add(found, b.mul(i, i64(step)))
    return found


def _below(b, *pairs):
    """Whether each number is below its end."""
    found = None
    for number, end in pairs:
        fits = b.icmp_unsigned("<", number, i64(end))
        found = fits if found is None else b.and_(found, fits)
    return found
