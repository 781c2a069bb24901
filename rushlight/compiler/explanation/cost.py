"""The least work of a kernel: its floating-point operations, and the bytes that it moves.

An operation counts once for each value that is needed, even if the kernel computes the value more
often. Memory counts once for each element that is read or written, even if the kernel reads the
element more often.
"""

from math import prod

import numpy as np

from rushlight.compiler.codegen.value import FLOAT, HALF
from rushlight.compiler.ir.machine import machine
from rushlight.compiler.plan.kernel import Compute, Extremum, Indirect, Reduce, Root, Scan, Scatter

__all__ = ["bytes_of", "cost", "itemsize"]


def cost(stores, nodes, columns, domain, sizes):
    """(flops, bytes) of the loops that compute ``stores``.

    Args:
        nodes: All nodes that the stores need, operands before their users.
        columns: The variables over which reductions run.
        domain: All variables of the kernel.
        sizes: The bytes of each argument's memory.
    """
    reach = _reach(nodes, columns, domain)
    flops = sum(_flops(n, reach, columns) for n in nodes)
    flops += sum(_extent(reach[id(s.node)]) for s in stores if type(s) is Scatter and s.adds)
    return flops, _traffic(stores, nodes, reach, sizes)


def _extent(variables):
    return prod([v.extent for v in variables])


def _reach(nodes, columns, domain):
    """id of a node → the variables on which its value depends."""
    found: dict = {}
    for n in nodes:
        own = set(n.address.terms) if hasattr(n, "address") else set()
        own = own.union(*[found[id(c)] for c in n.operands])
        if type(n) in (Reduce, Extremum):
            own = own - set(columns)
        if type(n) is Scan:
            own |= set(columns)
        found[id(n)] = set(domain) if type(n) is Root else own
    return found


def _flops(node, reach, columns):
    if node.dtype.kind != "f" and node.dtype not in HALF:
        return 0
    if type(node) is Compute:
        e = node.equation
        if e.op.kind == "elementwise":
            price = machine().price(e.op, e.ins, e.params)
            return 0 if price is None else price.flops * _extent(reach[id(node)])
    if type(node) in (Reduce, Scan):
        return _extent(reach[id(node.operands[0])] | set(columns))
    return 0


def _traffic(stores, nodes, reach, sizes):
    """The bytes read and written; for each memory at most its size, once read and once written."""
    moved: dict = {}
    accesses = [(s, True) for s in stores]
    accesses += [(n, False) for n in nodes if hasattr(n, "arg")]
    for access, written in accesses:
        variables = set(access.address.terms)
        if type(access) in (Indirect, Scatter):
            node = access.operands[0] if type(access) is Indirect else access.where
            variables |= reach[id(node)]
        size = _extent(variables) * access.dtype.itemsize
        moved[access.arg, written] = moved.get((access.arg, written), 0) + size
    return sum(min(size, sizes[arg]) for (arg, _), size in moved.items())


def bytes_of(values):
    """The bytes of the values; each value counts once."""
    return sum({v.id: v.nbytes for v in values}.values())


def itemsize(equation):
    """The bytes of a number in the dtype in which an equation computes: 8 for float64, else 4."""
    dtypes = [v.dtype for v in equation.outs]
    return 8 if any(d == np.float64 for d in dtypes) else FLOAT.itemsize
