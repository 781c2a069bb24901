"""Parts that kernels share: indices, and what is done with a result's element."""

from math import prod

from llvmlite import ir

from rushlight.compiler.codegen.memory import store
from rushlight.compiler.codegen.nodes import Nodes, set_variables
from rushlight.compiler.codegen.scope import I64, Scope, i64
from rushlight.compiler.plan.kernel import Root

__all__ = ["below", "finish", "place", "shrink", "split", "unravel"]

_I32 = ir.IntType(32)


def shrink(tile, units, least):
    """Halve the longer side of ``tile`` until there is work for all units of the device.

    Args:
        tile: Has ``rows`` and ``columns``, and ``groups``, which follows from them.
        least: The number of results of the smallest tile.
    """
    while tile.groups < units and tile.rows * tile.columns > least:
        if tile.rows >= tile.columns:
            tile.rows //= 2
        else:
            tile.columns //= 2


def finish(work, b, pointers, index, found):
    """Compute the operations fused into a result's element ``found``, and store what they give.

    Args:
        work: Has ``group``, ``kernel``, ``nodes`` and ``root``.
        pointers: The memory that the kernel's nodes and stores use.
    """
    scope = Scope(b)
    nodes = Nodes(pointers, [scope] * 3, _One(work.group.variables))
    if (opened := getattr(work, "opened", None)) is not None:
        opened.give(nodes, work.numbers)
    for affine, i in zip(work.root, index, strict=True):
        set_variables(b, affine, i, scope.variables, nodes.size)
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
    """(quotient, remainder) of ``number`` by ``n``, both of the type of ``number``."""
    typ = number.type
    if isinstance(n, ir.Value):
        n = n if n.type == typ else b.trunc(n, typ)
        return b.udiv(number, n), b.urem(number, n)
    if n & (n - 1) == 0:
        return b.lshr(number, typ(n.bit_length() - 1)), b.and_(number, typ(n - 1))
    return b.udiv(number, typ(n)), b.urem(number, typ(n))


def unravel(b, number, shape):
    """The index of the element ``number`` of an array of ``shape`` in C order.

    Sizes that are arguments of the kernel are those of fewer than 2³¹ elements.
    """
    if len(shape) < 2:
        return [number] if shape else []
    known = [n for n in shape if not isinstance(n, ir.Value)]
    short = prod(known) < 1 << 31  # devices divide by 32 bits several times faster than by 64
    if short:
        number = b.trunc(number, _I32)
    index: list = []
    for n in reversed(shape[1:]):
        number, at = split(b, number, n)
        index.insert(0, at)
    index.insert(0, number)
    return [b.zext(i, I64) for i in index] if short else index


def place(b, index, strides):
    """The position in memory of the element at ``index``, in elements."""
    found = i64(0)
    for i, step in zip(index, strides, strict=True):
        found = b.add(found, b.mul(i, _number(step)))
    return found


def _number(n):
    """A constant or an argument of the kernel."""
    return n if isinstance(n, ir.Value) else i64(n)


def below(b, *pairs):
    """Whether each number is below its end."""
    found = None
    for number, end in pairs:
        fits = b.icmp_unsigned("<", number, _number(end))
        found = fits if found is None else b.and_(found, fits)
    return found
