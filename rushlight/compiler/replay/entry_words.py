"""What was captured as the words of an entry, which machine code reads; see ``records.py``."""

import sys
from types import EllipsisType, NoneType

import numpy as np
from numpy import ndarray

from rushlight.compiler.replay import records
from rushlight.compiler.replay.looks import Look
from rushlight.compiler.replay.memory import held, words
from rushlight.compiler.replay.tape import ABSOLUTE, Refused
from rushlight.tensor import Tensor

__all__ = ["entry"]

_FIXED = (int, float, bool, str, slice, EllipsisType, NoneType)


def entry(found, args, named, looks, functions):
    """(array, address) of the entry of a call.

    Args:
        found: What the call does, a ``Captured``.
        args, named: The arguments, and their ``looks``.
        functions: The addresses of our own loops by name.
    """
    if not 0 < len(found.made) <= records.MOST_RESULTS:
        raise Refused
    if found.kind is not None and any(m.node is not None for m in found.made):
        raise Refused  # one node for several results
    if found.writes and any(look.has_node or look.kind == records.ALL_LIKE for look in looks):
        raise Refused
    if found.writes and _may_end_late(found.loops):
        raise Refused
    bases = [0] * (1 + sum(look.kind == records.LIKE for look in looks))
    made = [w for m in found.made for w in _made(m, [*args, *named.values()], bases)]
    steps = 0
    for loop in reversed(found.loops):
        steps = _step(loop, steps, functions)
    held(_used(found.buffers, found.loops))
    names = held(tuple(map(sys.intern, named))) if named else 0
    expected = words(*[w for look in looks for w in look.words()])[1]
    results = words(*made)[1], len(found.made), 0 if found.kind is None else held(found.kind)
    return words(0, len(args), names, expected, words(*bases)[1], steps, *results, found.writes)


def _may_end_late(loops):
    """Whether a guard comes after a write to the first operand: the call would write once more."""
    kinds = ["guard" if x.function[0] == "guard" else x.places[-1][0] for x in loops]
    return "guard" in kinds[kinds.index(1) :] if 1 in kinds else False


def _used(buffers, loops):
    """Those of the arrays that the loops use."""
    known = {at for loop in loops for base, at in loop.places if base == ABSOLUTE}
    known |= {loop.function[1] for loop in loops}
    spans = [(a, *np.lib.array_utils.byte_bounds(a)) for a in buffers]
    return [a for a, low, high in spans if any(low <= at < high for at in known)]


def _step(loop, following, functions):
    """The address of a step."""
    function, data = loop.function
    if type(function) is str:
        function = records.GUARD if function == "guard" else functions(function)
    places = [w for base, at in loop.places for w in (8 * base, at)]
    counts, strides = words(*loop.counts)[1], words(*loop.strides)[1]
    table, begin = words(*[w for row in loop.rows for w in row])
    turns, turn = loop.turns
    over = begin, begin + table.nbytes, turns, words(*turn)[1]
    return words(following, function, data, counts, strides, *over, len(loop.places), *places)[1]


def _made(made, arguments, bases):
    """The words of a result. Each new array gets a place in ``bases``."""
    look = Look(0, None, made.dtype, made.shape, made.strides, made.turned).words()
    given = isinstance(made.source, Tensor)
    places = [8 * i for i, x in enumerate(arguments) if x is made.source]
    if given and not places:
        raise Refused  # the source is in a list
    if given and made.path is None:
        return (*look, 0, places[0], records.ITSELF, 0, 0)
    node = 0 if made.node is None else _node(made, arguments)
    if made.source is None:
        bases.append(0)
        return (*look, 8 * (len(bases) - 1), 0, 0, 0, node)
    if given:
        return (*look, made.offset, places[0], held(made.path), 0, node)
    if node or made.source.node is not None:
        raise Refused
    return (
        *look,
        made.offset,
        0,
        held(made.path),
        words(*_made(made.source, arguments, bases))[1],
        0,
    )


def _node(made, arguments):
    """The address of the words of a node."""
    node = made.node
    if hasattr(node, "outputs") or node.hooks is not None:
        raise Refused
    own = lambda name: [getattr(x, name) if isinstance(x, Tensor) else None for x in arguments]
    parents = _items(node.parents, records.HISTORY, own("node"))
    saved = _items(node.saved, records.ITS_ARRAY, own("_array"), made.array, records.OWN_ARRAY)
    cells = _items(node.cells, records.ITS_CELL, own("_cell"), made.cell, records.OWN_CELL)
    return words(held(type(node)), held(node.shape), held(node.dtype), parents, saved, cells)[1]


def _items(values, kind, of_arguments, own=None, own_kind=None):
    """The address of the words of a list of a node."""
    found: list = []
    for v in values:
        place = next((i for i, item in enumerate(of_arguments) if item is v), None)
        if v is None:
            found += records.CONSTANT, held(v)
        elif place is not None:
            found += kind, 8 * place
        elif v is own:
            found += own_kind, 0
        elif kind == records.ITS_ARRAY and _is_fixed(v):
            found += records.CONSTANT, held(v)
        else:
            raise Refused
    return words(len(values), *found)[1]


def _is_fixed(v):
    """Whether nothing changes the saved value ``v``: a number, or a part of an index or shape."""
    if type(v) is tuple:
        return all(map(_is_fixed, v))
    return type(v) in _FIXED or (type(v) is ndarray and not v.ndim)  # a number's array
