"""``Outcome``: the arrays, results and nodes that a captured call makes, as places.

The words of ``records.py`` name the kinds; ``entry_words.py`` writes all down.
"""

from types import EllipsisType, NoneType
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from rushlight.autograd.tape import Output
from rushlight.compiler.replay import records
from rushlight.compiler.replay.noted import Noted
from rushlight.compiler.replay.tape import ABSOLUTE, Refused
from rushlight.dtype import dtype as Dtype
from rushlight.tensor import ViewOf

__all__ = ["Outcome", "Part", "Recorded", "Result", "lie_alike"]

_FIXED = (int, float, bool, str, slice, EllipsisType, NoneType, np.dtype, Dtype)


class Part(NamedTuple):
    """An array: a new one like ``array``; else a part of an argument's, or of another Part.

    Attributes:
        where: The number of the new array, of the argument, or of the other Part.
        offset: Where it begins there, in bytes.
        read_only: Whether nobody may write to it.
    """

    array: ndarray
    origin: int
    where: int
    offset: int = 0
    read_only: bool = False


class Result(NamedTuple):
    """A result: an argument, or a tensor over the array ``part``.

    Attributes:
        turned: What the tensor's slot ``turned`` has.
        source: The number of the argument, or of the Part that has the new tensor of a view.
        source_turned: That new tensor's ``turned``.
        path: The steps that lead from the source to a view.
        node: The number of its node, or None.
    """

    kind: int
    part: int = 0
    turned: Any = None
    source: int = 0
    source_turned: Any = None
    path: Any = None
    node: Any = None


class Recorded(NamedTuple):
    """A node like ``node``. Its lists have pairs: the kind of an item, and its value or number.

    ``output``: for one of several results (the number of their node or None, index, count).
    """

    node: Any
    parents: list
    saved: list
    cells: list
    output: Any


def lie_alike(a, b):
    return (a.dtype, a.shape, a.strides) == (b.dtype, b.shape, b.strides)


def _fills(a, low, high):
    """Whether the elements of ``a`` are all that lies from ``low`` to ``high``."""
    return a.nbytes == high - low and np.lib.array_utils.byte_bounds(a) == (low, high)


class Outcome:
    """What a call makes.

    Attributes:
        parts, results, nodes: Of these classes.
        new: The arrays of the new Parts.
    """

    def __init__(self, tape, standing, found, tensors, expected, dtypes):
        """``found``: the results for the stand-ins; ``expected``: those for the ``tensors``.

        ``dtypes``: those that results may have.
        """
        self.tape, self.standing, self.found = tape, standing, found
        self.tensors, self.dtypes = tensors, dtypes
        self.parts: list = []
        self.new: list = []
        results = [self._result(*pair) for pair in zip(found, expected, strict=True)]
        own = [r.part for r in results if r.kind in (records.TENSOR_OF, records.ARRAY_OF)]
        own += [r.source for r in results if r.kind == records.VIEW_OF_NEW]
        if len({*own}) < len(own):
            raise Refused  # results that share memory are views of one tensor
        pairs = [] if type(found[0]) is Noted else self._graph(expected)
        order = [n for n, _ in pairs]
        self.nodes = [self._recorded(n, twin, order) for n, twin in pairs]
        self.results = [
            r
            if getattr(x, "node", None) is None or r.kind == records.ITSELF
            else r._replace(node=order.index(x.node))
            for r, x in zip(results, found, strict=True)
        ]

    # Arrays ----------------------------------------------------------------------------------

    def _part(self, a):
        """The number of the Part ``a``."""
        for i, part in enumerate(self.parts):
            if part.array.ctypes.data == a.ctypes.data and lie_alike(part.array, a):
                return i
        span = self.tape.span(a)
        if span is None or span in self.tape.constants:
            raise Refused
        low, high, base, begin = span
        if base != ABSOLUTE:
            return self._add(a, records.OF_ARGUMENT, base - 1, a.ctypes.data - begin)
        if not self._is_taken(low, high) and _fills(a, low, high):
            self.new.append(a)
            return self._add(a, records.NEW, len(self.new) - 1)
        owner = self._owner(low, high)
        return self._add(a, records.OF_PART, owner, a.ctypes.data - self._begin(owner))

    def _is_taken(self, low, high):
        return any(_fills(b, low, high) for b in self.new)

    def _owner(self, low, high):
        """The number of the new Part with the memory from ``low`` to ``high``."""
        for b in (*self.new, *self.tape.buffers):
            if _fills(b, low, high):
                return self._part(b)
        raise Refused

    def _begin(self, part):
        return self.parts[part].array.ctypes.data

    def _add(self, *part):
        self.parts.append(Part(*part))
        return len(self.parts) - 1

    # Results ---------------------------------------------------------------------------------

    def _result(self, found, expected):
        """How the result ``expected`` is made, from ``found``, that of the stand-ins."""
        for i, (s, x) in enumerate(zip(self.standing, self.tensors, strict=True)):
            if found is s and expected is x:
                return Result(records.ITSELF, source=i)
        if type(found) is Noted:
            return self._array(found.array, expected)
        a, b = found._array.array, expected._array
        if type(b) is not ndarray or not lie_alike(a, b):  # trials of the entry compare the bits
            raise Refused
        if (found.node is None) != (expected.node is None):
            raise Refused
        if expected.view_of is None:
            if b.dtype not in self.dtypes:
                raise Refused  # it may depend on the default dtype
            part = self._part(a)
            if self.parts[part].origin == records.OF_ARGUMENT:
                raise Refused  # the call gives its operand as its result
            return Result(records.TENSOR_OF, part, expected.turned)
        return self._view(found, expected)

    def _array(self, a, expected):
        """How the result ``expected`` of a gradient rule is made, an array."""
        if not lie_alike(a, expected):
            raise Refused
        number, read_only = self._part(a), not expected.flags.writeable
        part = self.parts[number]
        if (part.origin == records.NEW and read_only) or (
            part.origin == records.OF_ARGUMENT and not read_only
        ):
            raise Refused  # a view of an operand, which another call may forbid to write to
        self.parts[number] = part._replace(read_only=read_only)
        return Result(records.ARRAY_OF, number)

    def _view(self, found, expected):
        view, seen = expected.view_of, found.view_of
        if type(view) is not ViewOf or seen is None or not expected._array.flags.writeable:
            raise Refused
        number = next((i for i, s in enumerate(self.standing) if s is seen.root), None)
        path = view.path
        if number is None:
            new = self._result(seen.root, view.root)
            if new.kind != records.TENSOR_OF or seen.root.node is not None:
                raise Refused
            kind, number, source_turned = records.VIEW_OF_NEW, new.part, new.turned
        else:
            kind, source_turned = records.VIEW_OF_ARGUMENT, None
            source = self.tensors[number]
            inner = source.view_of
            root = source if inner is None else inner.root
            path = path[0 if inner is None else len(inner.path) :]
            base = self.tape.place(found._array.array)[0]
            if base != number + 1 or view.root is not root:
                raise Refused
        if [s[0] for s in path] != [s[0] for s in seen.path]:
            raise Refused
        part = self._part(found._array.array)
        return Result(kind, part, expected.turned, number, source_turned, path)

    # Nodes -----------------------------------------------------------------------------------

    def _graph(self, expected):
        """The nodes that lead to the results, oldest first, each with its twin in ``expected``."""
        ends = [s.node for s in self.standing]
        pairs: list = []
        rest = [(x.node, y.node) for x, y in zip(self.found, expected, strict=True)]
        while rest:
            n, twin = rest.pop()
            if n is None or any(n is known for known in (*ends, *[n for n, _ in pairs])):
                continue
            same = n.op is twin.op if n.op else type(n) is Output is type(twin)
            if n.clock == 0 or n.hooks is not None or not same:
                raise Refused
            pairs.append((n, twin))
            rest += zip(n.parents, twin.parents, strict=True)
        return sorted(pairs, key=lambda pair: pair[0].clock)

    def _recorded(self, node, twin, order):
        output = None
        if type(node) is Output:
            source = None if node.source is None else order.index(node.source)
            output = source, node.index, node.count
        parents = [self._parent(p, order) for p in node.parents]
        saved = [self._saved(*pair) for pair in zip(node.saved, twin.saved, strict=True)]
        cells = [self._cell(c, node.clock) for c in node.cells]
        return Recorded(twin, parents, saved, cells, output)

    def _parent(self, p, order):
        if p is None:
            return records.CONSTANT, None
        number = next((i for i, s in enumerate(self.standing) if s.node is p), None)
        if number is not None:
            return records.HISTORY, number
        return records.NODE_ITSELF, order.index(p)

    def _cell(self, cell, now):
        if cell is None:
            return records.CONSTANT, None
        for kind, owners in ((records.ITS_CELL, self.standing), (records.RESULT_CELL, self.found)):
            for i, x in enumerate(owners):
                if x._cell is cell:
                    return kind, i
        if len(cell) > 2 or cell[0] > now:
            raise Refused
        # The tensor lived in the call alone, so nobody can write to it any more: all the nodes that
        # replays record may have one list, which stays as it is.
        return records.CONSTANT, [0, cell[1]]

    def _saved(self, v, twin):
        if type(v) is Noted:
            return self._saved_array(v)
        if _is_fixed(v):
            # The function itself may save a number as an array. A replay gives backward the same.
            return records.CONSTANT, twin if _is_fixed(twin) else v
        if type(v) not in (list, tuple):
            raise Refused
        kind = records.INNER_LIST if type(v) is list else records.INNER_TUPLE
        items = [self._saved(*pair) for pair in zip(v, twin, strict=True)]
        if any(inner in (records.INNER_LIST, records.INNER_TUPLE) for inner, _ in items):
            raise Refused
        return kind, items

    def _saved_array(self, v):
        a, span = v.array, self.tape.span(v.array)
        if span in self.tape.constants and not a.ndim:
            return records.CONSTANT, a
        for i, s in enumerate(self.standing):
            own = s._array.array
            if own.ctypes.data == a.ctypes.data and lie_alike(a, own):
                return records.ITS_ARRAY, i
        return records.PART_ITSELF, self._part(a)


def _is_fixed(v):
    """Whether nothing changes the saved value ``v``: a number, or a part of an index or shape."""
    if isinstance(v, tuple):
        return all(map(_is_fixed, v))
    return isinstance(v, _FIXED) or (type(v) is ndarray and not v.ndim)  # a number's array
