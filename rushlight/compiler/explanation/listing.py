"""The loops of a kernel as text: its loads, operations and stores, with their addresses."""

from rushlight.compiler.plan.kernel import (
    Compute,
    Constant,
    Extremum,
    Guarded,
    Indirect,
    Inside,
    Load,
    Position,
    Reduce,
    Root,
    Scan,
    Scatter,
)  # fmt: skip

__all__ = ["listing"]


def listing(loops):
    """The loops, then a line for each node and store.

    ``m0[8·i + j]`` is an element of the kernel's first argument.
    """
    text = _Listing(loops)
    return "\n".join([text.head(), *map(text.node, loops.nodes), *map(text.store, loops.stores)])


class _Listing:
    def __init__(self, loops):
        self.loops = loops
        self.variables: dict = {}
        for v in (*loops.rows, loops.vector, *loops.columns):
            if v is not None and v not in self.variables:
                self.variables[v] = "ijklmnopqrst"[len(self.variables)]
        self.names = {id(n): f"x{k}" for k, n in enumerate(loops.nodes)}

    def head(self):
        lanes = f"lanes {self.loops.lanes}"
        if self.loops.vector is not None:
            lanes = f"{self.loops.lanes} lanes along {self.variables[self.loops.vector]}"
        bounds = [f"{name} < {v.extent}" for v, name in self.variables.items()]
        return f"for {', '.join(bounds) or 'one element'}; {lanes}"

    def node(self, n):
        return f"  {self.names[id(n)]} = {self._right(n)}"

    def store(self, s):
        node = self.names[id(s.node)]
        if type(s) is Scatter:
            place = f"{self._address(s.address)} + {_term(s.stride, self.names[id(s.where)])}"
            return f"  m{s.arg}[{place}] {'+=' if s.adds else '='} {node}"
        return f"  m{s.arg}[{self._address(s.address)}] = {node}"

    def _right(self, n):
        given = [self.names[id(c)] for c in n.operands]
        if type(n) is Load:
            return f"m{n.arg}[{self._address(n.address)}]"
        if type(n) is Indirect:
            return f"m{n.arg}[{self._address(n.address)} + {_term(n.stride, given[0])}]"
        if type(n) is Inside:
            return f"0 <= {self._address(n.address)} < {n.size}"
        if type(n) is Guarded:
            there = " and ".join(given[1:]) or "true"
            return f"m{n.arg}[{self._address(n.address)}] if {there} else {given[0]}"
        if type(n) is Constant:
            return str(n.value)
        if type(n) is Position:
            return f"{n.start} + {_term(n.step, f'({self._address(n.address)})')}"
        if type(n) is Root:
            return "the product"
        if type(n) is Compute:
            return f"{n.equation.op.name}({self._operands(n.equation, given)})"
        assert type(n) in (Reduce, Extremum, Scan)
        columns = [self.variables[v] for v in self.loops.columns]
        return f"{n.op.name} of {given[0]} over {', '.join(columns)}"

    def _operands(self, e, given):
        """The operands in the operation's order, including numbers."""
        rest = iter(given)
        ins = e.ins[0] if e.op.variadic else e.ins
        found = [next(rest) if hasattr(v, "dtype") else str(v) for v in ins if v is not None]
        return ", ".join([*found, *rest])

    def _address(self, affine):
        terms = [_term(c, self.variables[v]) for v, c in affine.terms.items()]
        return " + ".join([*terms, *([str(affine.offset)] if affine.offset or not terms else [])])


def _term(factor, name):
    return name if factor == 1 else f"{factor}·{name}"
