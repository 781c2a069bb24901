"""What was captured as the words of an entry, which machine code reads; see ``records.py``."""

import sys

import numpy as np

from rushlight.compiler.replay import records
from rushlight.compiler.replay.looks import Look
from rushlight.compiler.replay.memory import held, words
from rushlight.compiler.replay.streams import draws, undone
from rushlight.compiler.replay.tape import ABSOLUTE, Refused
from rushlight.random import default_generator
from rushlight.tensor import Tensor

__all__ = ["entry"]

_IN_MEMORY = Tensor, np.ndarray


def entry(found, args, named, looks, functions):
    """(array, address) of the entry of a call.

    Args:
        found: What the call does, a ``Captured``.
        args, named: The arguments, and their ``looks``.
        functions: The addresses of our own loops by name.
    """
    makes = found.makes
    made = makes.parts, makes.results, makes.nodes
    if not makes.results or max(map(len, made)) > records.MOST:
        raise Refused
    if found.writes and any(look.has_node or look.kind == records.ALL_LIKE for look in looks):
        raise Refused
    loops, undo = found.loops, []
    if _may_end_late(loops, found.writes):
        if found.writes:
            raise Refused
        marks, undo = undone(loops)
        loops = [*marks, *loops]
    inputs = sum(look.kind in (records.LIKE, records.STREAM) for look in looks)
    bases = [0] * (1 + inputs + len(makes.new))
    places = _places([*args, *named.values()])
    steps, back = [_steps(chain, functions) for chain in (loops, undo)]
    held(_used(found.buffers, found.loops))
    names = held(tuple(map(sys.intern, named))) if named else 0
    expected = words(*[w for look in looks for w in look.words()])[1]
    parts = words(*[w for p in makes.parts for w in _part(p, places, 1 + inputs)])[1]
    results = words(*[w for r in makes.results for w in _result(r, places)])[1]
    nodes = words(*[w for n in makes.nodes for w in _node(n, places)])[1]
    group = 0 if found.kind is None else held(found.kind)
    return words(
        0, len(args), names, expected, words(*bases)[1], steps, parts, len(makes.parts), results,
        len(makes.results), group, nodes, len(makes.nodes), found.writes,
        _drawn_from(found.loops), 0 if found.default is None else held(found.default),
        back,
    )  # fmt: skip


def _places(arguments):
    """The word that names each tensor among the arguments; see ``records.ITEM``."""
    found = []
    for i, x in enumerate(arguments):
        if isinstance(x, _IN_MEMORY):
            found.append(8 * i)
        elif type(x) in (tuple, list):
            words_of = [8 * i | (records.ITEM + 8 * j) << 32 for j in range(len(x))]
            pairs = zip(words_of, x, strict=True)
            found += [word for word, item in pairs if isinstance(item, _IN_MEMORY)]
    return found


def _may_end_late(loops, writes):
    """Whether a guard comes after a draw, or after a write to the first operand.

    The call would draw or write once more, unless that is taken back.
    """
    acts = [draws(x) or (writes and x.places[-1][0] == 1) for x in loops]
    guards = [x.function[0] == "guard" for x in loops]
    return any(guards[acts.index(True) :]) if True in acts else False


def _drawn_from(loops):
    """The address of the default generator if loops draw from it, or 0."""
    default = ABSOLUTE, id(default_generator)
    return default[1] if any(draws(x) and x.places[0] == default for x in loops) else 0


def _used(buffers, loops):
    """Return the ``buffers`` in which an address lies that the loops use."""
    known = {at for loop in loops for base, at in loop.places if base == ABSOLUTE}
    known |= {loop.function[1] for loop in loops}
    spans = [(a, *np.lib.array_utils.byte_bounds(a)) for a in buffers]
    return [a for a, low, high in spans if any(low <= at < high for at in known)]


def _steps(loops, functions):
    """The address of the first of the steps for ``loops``, or 0."""
    following = 0
    for loop in reversed(loops):
        following = _step(loop, following, functions)
    return following


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


def _part(part, places, first_new):
    """The words of an array."""
    a = part.array
    look = Look(0, None, a.dtype, a.shape, a.strides).words()
    where = {
        records.NEW: 8 * (first_new + part.where),
        records.OF_PART: 8 * part.where,
    }.get(part.origin)
    where = places[part.where] if where is None else where
    return (*look, part.origin, where, part.offset, part.read_only)


def _result(result, places):
    """The words of a result."""
    of_argument = result.kind in (records.ITSELF, records.VIEW_OF_ARGUMENT)
    source = places[result.source] if of_argument else 8 * result.source
    path = 0 if result.path is None else held(result.path)
    node = 0 if result.node is None else 8 + 8 * result.node
    turned = id(result.turned), source, id(result.source_turned)
    return (result.kind, 8 * result.part, *turned, path, node)


def _node(recorded, places):
    """The words of a node."""
    n = recorded.node
    about = [held(type(n)), held(n.shape), held(n.dtype)]
    lists = [_items(x, places) for x in (recorded.parents, recorded.saved, recorded.cells)]
    outputs = held(n.outputs) if hasattr(n, "outputs") else 0
    if recorded.output is None:
        return (*about, *lists, outputs, 0, 0, 0)
    source, index, count = recorded.output
    if source is None:
        raise Refused
    return (*about, *lists, outputs, 8 + 8 * source, held(index), held(count))


def _items(items, places):
    """The address of the words of a list of a node."""
    found: list = []
    for kind, value in items:
        if kind == records.CONSTANT:
            word = held(value)
        elif kind in (records.INNER_LIST, records.INNER_TUPLE):
            word = _items(value, places)
        elif kind in (records.HISTORY, records.ITS_ARRAY, records.ITS_CELL):
            word = places[value]
        else:
            word = 8 * value
        found += kind, word
    return words(len(items), *found)[1]
