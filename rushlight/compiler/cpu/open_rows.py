"""Loop kernels whose rows have any length, so that one code serves many shapes.

To compile a kernel takes some 20 milliseconds, and a network normalises rows of dozens of shapes.
So in eager mode the length of the rows and the number of channels are arguments of a kernel. The
kernel's loops are planned for one shape. They are *opened* if each address steps from row to row by
the length, by one element, or not at all. Numbers that choose between ways of writing the code are
a part of the code's key.
"""

from rushlight.compiler.codegen.loop_kernel import in_blocks
from rushlight.compiler.ir.affine import Affine, Var
from rushlight.compiler.plan.kernel import Compute, Constant, Load, Reduce, Store
from rushlight.compiler.plan.kernel_signature import described
from rushlight.compiler.plan.loops import accesses

__all__ = ["OpenRows", "open_rows"]

_NODES = (Compute, Constant, Load, Reduce)


class OpenRows:
    """What stands in the addresses of opened loops for the variables of the rows.

    Attributes:
        step, start: The number of the row, and its first element: the number times the length.
        channel, channel_start: The same of the row's channel; rows count channels fastest.
        width: The length.
        numbers: The length and the number of channels, with which the code must be called.
        channels: The number of channels; None if rows have no channels.
        near: id of an access that is prefetched → whether a row fits the first-level cache.
        key: What the code depends on.
    """

    def __init__(self, loops):
        # Their extents are never asked for.
        self.step, self.start, self.channel, self.channel_start, self.width = [
            Var(0) for _ in range(5)
        ]
        self.channels = loops.rows[1].extent if len(loops.rows) == 2 else None
        self.numbers = loops.vector.extent, self.channels or 1
        self.near: dict = {}
        self.key = ""


def open_rows(loops):
    """Open the loops, and return their OpenRows; None if they cannot be opened.

    The addresses of the kernel's loads and stores are changed.
    """
    rows, vector = loops.rows, loops.vector
    if vector is None or loops.across or loops.tile is not None or loops.columns != [vector]:
        return None
    if not 1 <= len(rows) <= 2 or len(loops.spilled) > 1 or vector.extent < 2:
        return None
    if any(type(n) not in _NODES for n in loops.nodes):
        return None
    if any(type(s) is not Store for s in loops.stores):
        return None
    opened = OpenRows(loops)
    places = accesses(loops.stores, [n for n in loops.nodes if type(n) is Load])
    addresses = [_opened(x.address, loops, opened) for x in places]
    if any(a is None for a in addresses):
        return None
    asked = [loops.asked_for(now) for now in range(len(loops.passes))]
    if any(x.address.terms[rows[-1]] != vector.extent for found in asked for x in found):
        return None
    size = vector.extent
    opened.near = {
        id(x): size * x.dtype.itemsize <= loops.costs.kept for found in asked for x in found
    }
    for x, address in zip(places, addresses, strict=True):
        x.address = address
    loops.asked_for = lambda now: asked[now]  # it would look for the rows in the addresses
    order = [id(x) for x in places]
    notes = [[(order.index(id(x)), opened.near[id(x)]) for x in found] for found in asked]
    opened.key = _key(loops, opened, notes)
    return opened


def _opened(address, loops, opened):
    """An address with the variables of ``opened``; None if it steps otherwise."""
    rows, width = loops.rows, loops.vector.extent
    steps = [address.terms.get(v, 0) for v in rows]
    column = address.terms.get(loops.vector, 0)
    if address.offset or column not in (0, 1) or steps[-1] not in (0, 1, width):
        return None
    terms = {loops.vector: 1} if column else {}
    by_step = len(rows) == 1 or steps[0] == steps[1] * rows[1].extent
    if steps[-1]:
        if by_step:
            terms[opened.start if steps[-1] == width else opened.step] = 1
        elif steps[0] == 0:
            terms[opened.channel_start if steps[-1] == width else opened.channel] = 1
        else:
            return None
    elif any(steps):
        return None
    return Affine(0, terms)


def _key(loops, opened, asked):
    whole = loops.vector.extent // loops.lanes * loops.lanes
    names = dict(zip((opened.step, opened.start, opened.channel, opened.channel_start),
                     ("step", "start", "channel", "channel start"), strict=True))  # fmt: skip
    names[loops.vector] = "column"
    one = loops.vector.extent if loops.straight else None
    structure = (len(loops.rows), loops.lanes, loops.masked, one, in_blocks(whole, loops.lanes),
                 len(loops.spilled), asked)  # fmt: skip
    return repr((structure, described(loops.stores, loops.nodes, names)))
