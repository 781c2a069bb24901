"""What a kernel has to do at least: its floating-point operations, and the bytes it moves.

An operation counts as often as its value is wanted, however often the kernel computes it; memory
as often as it has elements that are read or written, however often the kernel reads them again.
"""

from functools import cache
from math import prod

import numpy as np
from llvmlite import ir

from rushlight.compiler.abstract import Abstract
from rushlight.compiler.emit.elementwise import elementwise
from rushlight.compiler.emit.value import FLOAT, HALF, constant
from rushlight.compiler.kernel import Compute, Extremum, Indirect, Reduce, Root, Scan, Scatter

__all__ = ["cost", "contraction_flops", "operations"]

_ONE = {"fadd", "fsub", "fmul", "fdiv", "frem"}
_COPIES = ("to_copy", "clone")


def cost(stores, nodes, columns, domain, sizes):
    """(flops, bytes) of the loops that compute ``stores``.

    Args:
        nodes: All that the stores need, operands first.
        columns: The variables that reductions reduce.
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
    """id of a node → the variables with which its value changes."""
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
        return operations(node.equation) * _extent(reach[id(node)])
    if type(node) in (Reduce, Scan):
        return _extent(reach[id(node.operands[0])] | set(columns))
    return 0


def _traffic(stores, nodes, reach, sizes):
    """Bytes read and written; of one memory at most all of it each way."""
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


# Single operations --------------------------------------------------------------------------


def operations(equation):
    """The floating-point instructions of an elementwise operation for one element.

    A fused multiply-add is two; a function such as exp is as many as its polynomial takes.
    """
    if equation.op.name in _COPIES:
        return 0
    ins = tuple(equation.ins[0] if equation.op.variadic else equation.ins)
    params = equation.params
    specs = tuple([_spec(v) for v in ins]), tuple([(k, _spec(v)) for k, v in params.items()])
    kept = _Hidden((equation.op, ins, params, equation.outs[0].dtype))
    return _counted(equation.op.name, *specs, kept)


class _Hidden:
    """Something that is passed along, but does not count for a cache."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is _Hidden

    def __hash__(self):
        return 0


def _spec(value):
    return (value.dtype, value.shape == ()) if isinstance(value, Abstract) else repr(value)


@cache
def _counted(name, ins, params, kept):
    op, operands, named, dtype = kept.value
    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), name)
    b = ir.IRBuilder(function.append_basic_block())
    stand = lambda x: constant(b, 1, x.dtype) if isinstance(x, Abstract) else x
    values = [stand(x) for x in operands]
    elementwise(op, operands, values, {k: stand(v) for k, v in named.items()}, dtype)
    return sum(_weight(i) for block in function.blocks for i in block.instructions)


def _weight(instruction):
    if instruction.opname in _ONE:
        return 1
    called = getattr(getattr(instruction, "callee", None), "name", "")
    return 2 if "llvm.fma" in called else 1 if "llvm.sqrt" in called else 0


# Contractions -------------------------------------------------------------------------------


def contraction_flops(equation):
    """The floating-point operations of a product, convolution or pooling, or its gradient."""
    x, y = equation.ins[0], equation.ins[-1 if len(equation.ins) == 1 else 1]
    out = equation.outs[0]
    name, params = equation.op.name, equation.params
    if name in ("mm", "bmm"):
        return 2 * out.size * x.shape[-1]
    if name == "convolution":
        return 2 * out.size * prod(y.shape[1:])
    if name == "convolution_input_grad":
        return 2 * x.size * prod(y.shape[1:])
    if name == "convolution_weight_grad":
        return 2 * x.size * (y.shape[1] // params["groups"]) * prod(params["kernel_size"])
    windows = params.get("windows")
    if windows is None:  # windows that cover the image evenly
        return max(x.size, out.size)
    return min(x.size, out.size) * prod(windows.kernel_size)


def bytes_of(values):
    """The bytes of the values, each once."""
    return sum({v.id: v.nbytes for v in values}.values())


def itemsize(equation):
    """The bytes of the numbers that an equation computes with."""
    dtypes = [v.dtype for v in equation.outs]
    return 8 if any(d == np.float64 for d in dtypes) else FLOAT.itemsize
