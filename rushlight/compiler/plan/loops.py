"""How the loops of a kernel run: the variable that is vectorized, the passes, and the pieces.

All is decided from sizes alone, so results do not depend on the number of threads.
"""

from math import gcd, prod
from typing import Any

from rushlight.compiler.ir.affine import Affine, Var
from rushlight.compiler.ir.machine import FREE
from rushlight.compiler.plan.kernel import (
    Compute,
    Constant,
    Extremum,
    Indirect,
    Load,
    Reduce,
    Scan,
    Scatter,
    Store,
)
from rushlight.compiler.plan.pieces import share

__all__ = ["REDUCING", "Loops", "accesses", "collapse", "nodes_of"]

REDUCING = (Reduce, Extremum)


def nodes_of(stores):
    """All nodes that ``stores`` need; each comes after its operands."""
    found: dict = {}

    def visit(node):
        if id(node) not in found:
            for child in node.operands:
                visit(child)
            found[id(node)] = node

    for s in stores:
        visit(s.node)
        if type(s) is Scatter:
            visit(s.where)
    return list(found.values())


def accesses(stores, nodes):
    """The stores, and the nodes that load from memory."""
    return [*stores, *[n for n in nodes if hasattr(n, "arg")]]


# Collapsing variables ---------------------------------------------------------------------


def collapse(variables, addressed):
    """``variables``, with neighbours joined if every address steps evenly through both."""
    found: list = []
    for v in variables:
        if found and _even(found[-1], v, addressed):
            found[-1] = _join(found[-1], v, addressed)
        else:
            found.append(v)
    return found


def _even(outer, inner, addressed):
    return all(
        x.address.terms.get(outer, 0) == x.address.terms.get(inner, 0) * inner.extent
        for x in addressed
    )


def _join(outer, inner, addressed):
    joined = Var(outer.extent * inner.extent)
    for x in addressed:
        terms = {v: c for v, c in x.address.terms.items() if v is not outer and v is not inner}
        step = x.address.terms.get(inner, 0)
        x.address = Affine(x.address.offset, {**terms, joined: step} if step else terms)
    return joined


# The schedule -----------------------------------------------------------------------------


class Loops:
    """The schedule of one kernel.

    Attributes:
        rows, columns: The loop variables. ``columns`` are reduced; in a kernel without reductions
            they are the inner loops.
        vector: The variable along which the lanes of a vector run, or None.
        tile: The variable that is cut into tiles of ``costs.tile`` values, so that whole cache
            lines along it are used; the last but one of the columns, or None.
        across: The lanes run across rows, so each lane reduces a row of its own.
        lanes: The number of lanes.
        passes: For each pass over the columns, the stores and reductions that are done in it.
        spilled: id of a node whose value is kept in scratch memory for later passes → (pass that
            computes it, bytes).
        streamed: id of a store that goes past the caches → a divisor of its addresses in bytes.
        pieces: The number of pieces that the rows are cut into.
        steps: The number of steps (rows, or vectors of rows) in all pieces together.
    """

    def __init__(self, kernel, machine):
        self.machine, self.costs = machine, machine.costs
        self.stores = kernel.stores
        self.nodes = nodes_of(self.stores)
        addressed = [*self.stores, *[n for n in self.nodes if hasattr(n, "address")]]
        self.rows = collapse(kernel.rows, addressed)
        self.columns = collapse(kernel.columns, addressed)
        self._orient()
        self.full = _reached(self.nodes, set(self.columns))
        self._widen()
        self._stages()
        self._spill()
        self._cut()
        self.streamed: dict = {}

    def _orient(self):
        """Choose the variable of the lanes: the one along which memory is contiguous."""
        memory = accesses(self.stores, self.nodes)
        self.vector: Any = None
        self.tile: Any = None
        self.across = False
        # In scans and scatters an element depends on earlier columns, so the lanes run along rows.
        ordered = any(type(n) is Scan for n in self.nodes) or type(self.stores[0]) is Scatter
        every = self.rows if ordered else [*self.rows, *self.columns]
        if not every:
            self.across = bool(self.columns)
            return
        score = lambda v: sum(_gain(x, v) for x in memory) * min(v.extent, 16)
        # Of equal scores the last wins: columns before rows, inner variables before outer ones.
        self.vector = max(reversed(every), key=score)
        if self._short() and not ordered:
            self.vector = self.rows[-1]
        if self.vector in self.columns:
            self.columns.remove(self.vector)
            self.columns.append(self.vector)
            return
        self.rows.remove(self.vector)
        if self.columns or not self.rows:
            self.across = True
        else:
            self.columns = [self.vector]
            self._tile(memory)

    def _short(self):
        """Whether rows are short, and a dear operation is done once a row, not once an element.

        Then the lanes run across rows, so that this operation fills its vectors.
        """
        if self.columns != [self.vector] or self.vector.extent > self.costs.short or not self.rows:
            return False
        each = _reached(self.nodes, {self.vector})
        dear = any(self._is_heavy(n) and id(n) not in each for n in self.nodes)
        return dear and self.rows[-1].extent >= self.costs.short

    def _tile(self, memory):
        """Use tiles if some memory is contiguous along another variable than ``vector``."""
        crossing = [x for x in memory if abs(x.address.terms.get(self.vector, 0)) > 1]
        for v in self.rows:
            if any(x.address.terms.get(v, 0) == 1 for x in crossing) and v.extent > 1:
                self.rows.remove(v)
                self.columns = [v, self.vector]
                self.tile = v
                return

    def _widen(self):
        """Choose the number of lanes: up to four vector registers, if the extent allows."""
        if self.vector is None:
            self.lanes = 1
            return
        n = self.vector.extent
        sizes = [x.dtype.itemsize for x in (*self.stores, *self.nodes) if x.dtype.kind == "f"]
        full = self.machine.vector_bytes // max([4, *sizes])
        dear = sum([self._is_dear(n) for n in self.nodes if not self.columns or id(n) in self.full])
        if n <= full or (n <= 4 * full and not dear):
            self.lanes = 1 << (n - 1).bit_length()
            return
        # The temporaries of a single dear operation fit into 32 registers even for four vectors,
        # if no reduction or scan keeps registers for itself.
        keeps = any(type(n) in (*REDUCING, Scan) for n in self.nodes)
        alone = dear == 1 and self.machine.registers >= 32 and not keeps
        most = 1 if dear > 3 or self.tile is not None else 2 if dear and not alone else 4
        while most > 1 and -n % (full * most) > n // 8:
            most //= 2
        self.lanes = full * most

    @property
    def masked(self):
        """Whether the last vector has lanes beyond the end of the variable."""
        return self.vector is not None and self.vector.extent % self.lanes != 0

    @property
    def straight(self):
        """Whether one vector holds a whole row, so that there is no loop over columns."""
        columns = [v for v in self.columns if v is not self.vector]
        whole = self.vector is None or self.vector.extent <= self.lanes
        return not columns and (self.across or whole)

    def asked_for(self, now):
        """The loads and stores whose cache lines each step of pass ``now`` prefetches.

        Only the first pass over a row waits for memory; memory would be idle in the other passes.
        So the second pass prefetches the next row, and every pass prefetches the lines that the
        pass after it stores to. Rows that stay in the caches need no prefetch.
        """
        if self.across or self.straight or len(self.passes) < 2 or not self.rows:
            return []
        roots = self.passes[now + 1] if now + 1 < len(self.passes) else []
        stores = [s for s in roots if type(s) is Store and id(s) not in self.streamed]
        loads = [n for n in self.nodes if type(n) is Load] if now == 1 else []
        return [access for access in (*stores, *loads) if self._is_far(access)]

    def _is_far(self, access):
        """Whether an access is contiguous along rows, and all rows together exceed the caches."""
        if access.address.terms.get(self.vector) != 1:
            return False
        row = access.address.terms.get(self.rows[-1], 0) * access.dtype.itemsize
        return 0 < row <= self.costs.prefetched and row * self.steps >= self.costs.cache

    def stream(self, places):
        """Let stores to large memories go past the caches.

        ``places``: for each store (bytes of the memory, byte offset of address 0 in it), or None
        if the memory may not begin at a cache line.
        """
        for s, place in zip(self.stores, places, strict=True):
            floats = s.dtype.kind == "f" and s.dtype.itemsize >= 4
            if place is None or place[0] < self.costs.streamed or type(s) is Scatter or not floats:
                continue
            steps = [c for v, c in s.address.terms.items() if v is not self.vector]
            whole = [self.lanes, s.address.offset + place[1] // s.dtype.itemsize, *steps]
            begin = gcd(self.costs.line, *[n * s.dtype.itemsize for n in whole])
            # With spilled values only whole lines are streamed: stores to scratch memory in
            # between would push out a line that is half written.
            if s.address.terms.get(self.vector) == 1 and begin >= (
                self.costs.line if self.spilled else self.costs.part
            ):
                self.streamed[id(s)] = begin

    # Passes ---------------------------------------------------------------------------------

    def _stages(self):
        """Assign stores and reductions to passes over the columns."""
        ready: dict = {}
        for node in self.nodes:
            r = max([ready[id(c)] for c in node.operands], default=0)
            ready[id(node)] = r + 1 if type(node) in REDUCING else r
        self.ready = ready
        stores = [s for s in self.stores if self._each_column(s)]
        last = [ready[id(n)] - (type(n) in REDUCING) for n in self.nodes if self._in_pass(n)]
        # A store with an address along the columns needs a pass, even if its value is constant.
        last += [ready[id(s.node)] for s in stores]
        self.passes: list = [[] for _ in range(1 + max(last, default=0))]
        for s in stores:
            self.passes[ready[id(s.node)]].append(s)
        for node in self.nodes:
            if type(node) in REDUCING:
                self.passes[ready[id(node)] - 1].append(node)

    def _each_column(self, s):
        moves = set(s.address.terms) & set(self.columns)
        return type(s) is Scatter or id(s.node) in self.full or bool(moves)

    def _in_pass(self, node):
        return id(node) in self.full or type(node) in REDUCING

    def _spill(self):
        """Note the dear values that a later pass needs again: they go to scratch memory."""
        self.spilled: dict = {}
        if self.straight:
            return
        first: dict = {}
        for i, roots in enumerate(self.passes):
            for root in roots:
                self._visit(root.node if hasattr(root, "node") else root.operands[0], i, first)

    def _visit(self, node, i, first):
        if id(node) not in self.full or first.get(id(node)) == i:
            return
        earlier = first.setdefault(id(node), i)
        if earlier < i and self._is_dear(node):
            size = prod([v.extent for v in self.columns if v is not self.vector])
            width = self.lanes if self.across else -(-self.vector.extent // self.lanes) * self.lanes
            self.spilled[id(node)] = earlier, size * width * max(4, node.dtype.itemsize)
            return
        for child in node.operands:
            self._visit(child, i, first)

    @property
    def scratch(self):
        """Bytes of scratch memory that the spilled values need."""
        return sum(-(-size // 64) * 64 for _, size in self.spilled.values())

    # Pieces ---------------------------------------------------------------------------------

    def _cut(self):
        outer = prod([v.extent for v in self.rows])
        if self.tile is not None:
            outer *= -(-self.tile.extent // self.costs.tile)
        blocks = 1 if self.vector is None else -(-self.vector.extent // self.lanes)
        self.steps = outer * (blocks if self.across else 1)
        inner = prod([self.costs.tile if v is self.tile else v.extent for v in self.columns])
        if self.vector is not None and not self.across:
            inner = inner // self.vector.extent * -(-self.vector.extent // self.lanes)
        registers = max(1, self.lanes / 16)
        memory = sum(x.dtype.itemsize for x in accesses(self.stores, self.nodes)) * self.lanes
        one = registers * sum(map(self._time, self.nodes))
        vectors = self.steps * inner
        is_far = vectors * memory > self.costs.cache
        one += memory * (self.costs.far if is_far else self.costs.near)
        self.nanoseconds = vectors * one
        together = share(self.steps, self.nanoseconds, self.costs.piece, self.costs.pieces)
        self.pieces = -(-self.steps // together)

    # Prices ---------------------------------------------------------------------------------

    def _time(self, node):
        if self._is_heavy(node):
            return self.costs.heavy
        return self.costs.division if self._is_dear(node) else self.costs.cheap

    def _is_heavy(self, node):
        return self._price(node).instructions >= self.costs.long

    def _is_dear(self, node):
        """Whether an operation costs more than reading a value back from the cache."""
        return self._is_heavy(node) or self._price(node).divisions > 0

    def _price(self, node):
        e = node.equation if type(node) is Compute else None
        if e is None or e.op.kind != "elementwise":  # a load, a copy or a reduction
            return FREE
        return self.machine.price(e.op, e.ins, e.params)


def _gain(access, variable):
    step = access.address.terms.get(variable, 0)
    if type(access) is Indirect and step == 0:
        return -1
    return 1 if step == 1 else 0 if step == 0 else -2


def _reached(nodes, variables):
    """ids of the nodes whose value changes with ``variables``."""
    found: set = set()
    for node in nodes:
        if type(node) in REDUCING or type(node) is Constant:
            continue
        if type(node) is Scan:
            found.add(id(node))
        own = hasattr(node, "address") and any(v in variables for v in node.address.terms)
        if own or any(id(c) in found for c in node.operands):
            found.add(id(node))
    return found
