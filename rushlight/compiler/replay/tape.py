"""``Tape``: the loops that an eager call runs, with the places of their operands."""

from math import prod

import numpy as np
from numpy import ndarray

from rushlight.compiler.replay.memory import held
from rushlight.compiler.replay.objects import loops_of

__all__ = ["ORDERED", "CASTS", "MOST_ELEMENTS", "Loop", "Refused", "Tape", "copy_of"]

#: The most loops of a call (a small ``grid_sample`` has 70), places where all its loops begin rows,
#: and elements of an array. In larger calls, Python's part of the time is small.
_MOST_LOOPS, _MOST_ROWS, MOST_ELEMENTS = 128, 1 << 11, 1 << 17
#: Up to so many elements are moved one by one. Else evenly spaced elements are copied together:
#: by a loop for each kind of run, or by one loop with a table if there are more than so many kinds.
_FEW_MOVED, _FEW_KINDS = 256, 8
_PAIRWISE = 8  # NumPy adds fewer numbers one after the other
_DTYPES = {np.dtype(d) for d in ("?", "u1", "i1", "i2", "i4", "i8", "f4", "f8", "c8", "c16")}
#: Conversions that machine code computes as NumPy does: from a dtype to others.
CASTS = {
    "b1": ("u1", "i4", "i8", "f4", "f8"), "u1": ("i4", "i8", "f4", "f8"), "i4": ("i8", "f4", "f8"),
    "i8": ("i4", "f4", "f8"), "f4": ("f8", "i4", "i8"), "f8": ("f4", "i4", "i8"),
    "u8": ("i4", "i8", "f4", "f8"),
}  # fmt: skip
#: Dtypes of which machine code searches and sorts rows of up to so many elements.
ORDERED, _LONGEST = ("f4", "f8", "i4", "i8"), 64
_FEW_KEYS = 1 << 12  # of a search; other threads wait meanwhile
#: NumPy computes these with numbers, and not by its loops, if all operands are numbers.
_OF_NUMBERS = (np.power, np.remainder, np.floor_divide, np.fmod)


ABSOLUTE = 0  # a base


class Refused(Exception):
    """The call cannot be replayed."""


class Loop:
    """Calls of one of NumPy's loops, or of one of our own, for one row after the other.

    Attributes:
        function: (address of the loop, its data), or (name of a loop of our own, its data). With
            the name "guard", the call is replayed only if the operand has the value ``data``.
        counts: The number of elements of a row, and the sizes of a product's dims.
        strides: In bytes, of each operand; the result is the last operand.
        places: For each operand (number of base, offset). The inputs are the bases from 1 on; an
            offset from the base ABSOLUTE is an address.
        rows: Where the operands of rows begin, in bytes from their places.
        turns: (how many rows follow at each of ``rows``, the step of each operand between these).
        work: What the loop computes, if it visits elements: (name, dtypes of the operands).
    """

    def __init__(self, function, counts, strides, places, rows, turns, work=None):
        self.function, self.counts, self.strides = function, counts, strides
        self.places, self.rows, self.turns, self.work = places, rows, turns, work

    def extent(self):
        """The numbers of elements of a row, of places where rows begin, and of turns at each."""
        return self.counts[0], len(self.rows), self.turns[0]

    def operands(self):
        """How each operand of a loop with ``work`` lies: (place, stride, dtype, rows, turn)."""
        offsets = zip(*self.rows, strict=True)
        return [*zip(self.places, self.strides, self.work[1], offsets, self.turns[1], strict=True)]


class Tape:
    """The loops of one call.

    Attributes:
        below: The memory of indices → the size that none of them reaches.
        memory: (first address, address behind the last, base, address of the base) of each array.
        constants: The memory, among these, that no loop fills.
        buffers: The arrays of intermediate results and of constants, which the loops use.
        inputs: The number of inputs.
        writes: Whether loops may write to the first input.
        rows: The number of rows of all loops.
    """

    def __init__(self, noted, writes=False):
        self.noted = noted  # the class Noted
        self.writes = writes
        self.loops: list = []
        self.memory: list = []
        self.constants: list = []
        self.buffers: list = []
        self.below: dict = {}
        self.inputs = self.rows = 0
        self.others = False

    # Memory ----------------------------------------------------------------------------------

    def input(self, like):
        """A new array as the next input. It lies as ``like`` does.

        It has the same values, unless there are many: then only views of it can be noted.
        """
        if not like.size or like.dtype not in _DTYPES or self.others:
            raise Refused
        if 0 in like.strides and self.writes and not self.inputs:
            raise Refused  # elements that are written share memory
        a = copy_of(like, like.size <= MOST_ELEMENTS)
        self.inputs += 1
        self.memory.append((*np.lib.array_utils.byte_bounds(a), self.inputs, a.ctypes.data))
        self.buffers.append(a)
        return self.noted(a, self)

    def other_input(self):
        """The base of the next input, which is no array. Arrays come before it."""
        self.inputs += 1
        self.others = True
        return self.inputs

    def scratch(self, a):
        """``a``, whose elements the loops will write, on the tape."""
        return self.noted(self.remember(a), self)

    def constant(self, a):
        """``a``, whose elements never change, on the tape."""
        self.constants.append((*np.lib.array_utils.byte_bounds(a), ABSOLUTE, 0))
        return self.noted(self.remember(a), self)

    def remember(self, a):
        self.few(a)
        self.memory.append((*np.lib.array_utils.byte_bounds(a), ABSOLUTE, 0))
        self.buffers.append(a)
        return a

    def few(self, a):
        """``a``, if it has elements, and not too many."""
        if not 0 < a.size <= MOST_ELEMENTS:
            raise Refused
        return a

    def place(self, a):
        """(base, offset) of ``a``; None if its memory is not known."""
        found = self.span(a)
        return None if found is None else (found[2], a.ctypes.data - found[3])

    def span(self, a):
        address = a.ctypes.data
        return next((m for m in self.memory if m[0] <= address < m[1]), None)

    def _writable(self, a):
        """``a``, if loops may write to it: it is no constant, and no input but the first."""
        span = self.span(a)
        if span is None or span in self.constants or span[2] not in (ABSOLUTE, int(self.writes)):
            raise Refused
        return a

    def operand(self, a, dtype):
        """The array of an operand in ``dtype``: a known one, or a constant."""
        if type(a) is self.noted:
            array = self.few(a.array)
            return array if a.dtype == dtype else self.converted(array, dtype)
        if isinstance(a, ndarray) and a.dtype != dtype:
            raise Refused
        return self.constant(np.array(a, dtype)).array

    def converted(self, a, dtype):
        """``a`` in another dtype."""
        if dtype.kind == "c":
            found = self.remember(a.astype(dtype, "C"))
            zero = np.zeros((), found.real.dtype)
            imag = a.imag if a.dtype.kind == "c" else self.constant(zero).array
            for source, target in ((a.real, found.real), (imag, found.imag)):
                self._append(_cast(source.dtype, target.dtype), [source, target], "cast")
            return found
        cast = _cast(a.dtype, dtype)
        found = self.remember(a.astype(dtype))
        self._append(cast, [a, found], "cast")
        return found

    # Loops -----------------------------------------------------------------------------------

    def note(self, function, dtypes, operands, result, out=None):
        """Note a loop over ``operands``. Its ``result`` is new, or written to the Noted ``out``.

        ``function`` is a ufunc, or the name of a loop of our own.
        """
        if result.dtype != dtypes[-1] or (not result.ndim and function in _OF_NUMBERS):
            raise Refused
        found = (function, 0) if type(function) is str else loops_of(function, dtypes)
        if found is None:
            raise Refused
        arrays = [self.operand(a, d) for a, d in zip(operands, dtypes, strict=False)]
        target = self.target(result, out)
        self._append(found, [*arrays, target], _name(function))
        return self.noted(target, self)

    def several(self, ufunc, operands):
        """Note a loop of a ufunc with several results, which are all new."""
        kinds = [a.dtype for a in operands]
        dtypes = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
        found = loops_of(ufunc, dtypes)
        if found is None:
            raise Refused
        arrays = [self.operand(a, d) for a, d in zip(operands, dtypes, strict=False)]
        results = [self.remember(np.asarray(x)) for x in ufunc(*arrays)]
        self._append(found, [*arrays, *results])
        return tuple([self.noted(x, self) for x in results])

    def target(self, result, out):
        """Where a loop writes ``result``: there, or to ``out``."""
        if out is None:
            return self.remember(result)
        if type(out) is not self.noted or (out.dtype, out.shape) != (result.dtype, result.shape):
            raise Refused
        self._writable(out.array)[...] = result
        return out.array

    def assign(self, target, value):
        """Note that ``value`` is written to ``target``."""
        self._writable(target)
        if type(value) is self.noted and (
            (value.array.ctypes.data, value.strides) == (target.ctypes.data, target.strides)
        ):
            return  # an operation in place has done it
        a = self.operand(value, target.dtype)
        target[...] = a
        for source, part in zip(_parts(a), _parts(target), strict=True):
            self._append((f"copying{part.itemsize}", 0), [source, part], "copying")

    def _append(self, function, arrays, name=None):
        """Append a loop over ``arrays``, which are broadcast to the shape of the last one."""
        shape = arrays[-1].shape
        work = None if name is None else (name, [a.dtype for a in arrays])
        same = [a if a.shape == shape else np.broadcast_to(a, shape) for a in arrays]
        strides = [a.strides for a in same]  # broadcast_to gives dims of size 1 the stride 0
        self._rows(function, arrays, shape, strides, work)

    def _rows(self, function, arrays, shape, strides, work=None):
        """Append a loop over the rows of arrays with these strides."""
        count, inner, dims = rows_of(shape, strides)
        self.at(function, [count], inner, arrays, dims, work)

    def at(self, function, counts, strides, arrays, dims=(), work=None):
        """Append a loop over rows along ``dims``: (size, step of each operand)."""
        *outer, turns = dims or [(1, [0] * len(arrays))]
        self._over(
            function, counts, strides, arrays, self._products(outer, len(arrays)), turns, work
        )

    def _over(self, function, counts, strides, arrays, rows, turns, work=None):
        places = [self.place(a) for a in arrays]
        self.loops.append(Loop(function, counts, strides, places, rows, turns, work))
        self.rows += len(rows)
        if len(self.loops) > _MOST_LOOPS or self.rows > _MOST_ROWS:
            raise Refused

    def _products(self, dims, operands):
        """The offsets of the operands at each place of ``dims``."""
        if prod([n for n, _ in dims]) > _MOST_ROWS:
            raise Refused
        rows = [[0] * operands]
        for n, steps in dims:
            rows = [
                [o + k * s for o, s in zip(row, steps, strict=True)]
                for row in rows
                for k in range(n)
            ]
        return rows

    def guard(self, a):
        """Note that the call is another one if the number ``a``, a bool, has another value."""
        self.at(("guard", int(a)), [1], [0], [a])
        return bool(a)

    def require(self, condition):
        """Note a guard for the Noted ``condition``, which must hold now, too."""
        if not condition:
            raise Refused

    def taken(self, x, index, axis):
        """``x.take(index, axis)``, with a guard for negative indices and those out of range.

        ``x`` may have any number of elements, because only those that the index names are read.
        """
        a, i = x.array, self.few(index.array)
        lie = a.flags.c_contiguous and i.flags.c_contiguous
        if not lie or not a.size or i.dtype != np.int64:
            raise Refused
        axis %= a.ndim
        n = a.shape[axis]
        self.require(((index >= 0) & (index < n)).all())
        result = self.remember(np.asarray(a.take(i, axis), order="C"))
        inner = prod(a.shape[axis + 1 :])
        width = np.array([inner], np.int64)
        self.buffers.append(width)
        steps = [n * inner * a.itemsize, 0, i.size * inner * a.itemsize]
        function = f"taking{a.itemsize}", width.ctypes.data
        dims = [(prod(a.shape[:axis]), steps)]
        self.at(function, [i.size], [0, 0, 0], [a, i, result], dims)
        return self.noted(result, self)

    def written_at(self, target, index, values, adds):
        """Write the rows ``values`` (n, width) at the ``index`` (n) of ``target`` (rows, width).

        The operands are contiguous; a guard checks the index. ``adds``: add them.
        """
        out, i, v = self._writable(target.array), self.few(index.array), self.few(values.array)
        width = np.array([out.shape[1]], np.int64)
        lie = all(a.flags.c_contiguous for a in (out, i, v))
        if not lie or i.dtype != np.int64 or v.dtype != out.dtype:
            raise Refused
        dtype = f"{out.dtype.kind}{out.itemsize}"
        of_size = {1: "b1", 4: "i4", 8: "i8"}.get(out.itemsize)
        if of_size is None or (adds and dtype not in ORDERED):
            raise Refused
        function = f"adding_{dtype}" if adds else f"putting_{of_size}"
        self.require(((index >= 0) & (index < len(out))).all())
        if adds:
            np.add.at(out, i, v)
        else:
            out[i] = v
        self.buffers.append(width)
        self.at((function, width.ctypes.data), [i.size], [0, 0, 0], [v, i, out])

    def call(self, address, data, operands, results, alive=()):
        """Note a call of machine code, which computes ``results`` from contiguous ``operands``.

        ``address`` is that of a loop, the array ``data`` has what it needs besides, and the objects
        ``alive`` have to live.
        """
        made = [self.scratch(a) for a in results]
        self.run(address, data, [*operands, *made], alive)
        return made

    def run(self, address, data, operands, alive=(), count=1, steps=None):
        """Note a call of machine code that reads and writes contiguous ``operands``; see above.

        ``count`` and ``steps``, in bytes, are those of the loop.
        """
        held(alive)
        self.buffers.append(data)
        arrays = [self.few(a.array) for a in operands]
        self.at((address, data.ctypes.data), [count], steps or [0] * len(arrays), arrays)

    def reduce(
        self, ufunc, x, axis=0, dtype=None, keepdims=False, initial=None, where=True, out=None
    ):
        """``ufunc.reduce``, by the loops and in the order of NumPy's own."""
        a = self.few(x.array)
        if type(initial) not in (float, type(None)) or where is not True:
            raise Refused
        if dtype is not None and np.dtype(dtype) != a.dtype:
            a = self.converted(a, np.dtype(dtype))
        function = loops_of(ufunc, (a.dtype,) * 3)
        options = {} if initial is None else {"initial": initial}
        found = np.asarray(ufunc.reduce(a, axis=axis, keepdims=keepdims, **options))
        # NumPy copies operands with gaps to buffers, unless they have one dim. Sums of buffers have
        # another order.
        # A sum of fewer than eight numbers has one order.
        plain = a.ndim == 1 or a.flags.c_contiguous or a.size < _PAIRWISE * max(1, found.size)
        plain = plain or ufunc in (np.logical_and, np.logical_or)
        if function is None or found.dtype != a.dtype or not plain:
            raise Refused
        out = self.target(np.array(found, order="C"), out)
        dims = range(a.ndim) if axis is None else axis if type(axis) is tuple else (axis,)
        over = {d % a.ndim for d in dims}
        wide_out = out if keepdims else np.expand_dims(out, tuple(sorted(over)))
        first = _start(ufunc, a) if initial is None else np.asarray(initial, a.dtype)
        if first is None:  # NumPy begins with the first elements
            index = [slice(0, 1) if d in over else slice(None) for d in range(a.ndim)]
            self._append((f"copying{a.itemsize}", 0), [a[tuple(index)], wide_out])
            if len(over) == a.ndim:
                a, wide_out = a.reshape(-1)[1:], out.reshape(1)
            elif len(over) == 1:
                (d,) = over
                a = a[(slice(None),) * d + (slice(1, None),)]
            elif over:
                raise Refused
        else:
            self._append((f"copying{a.itemsize}", 0), [self.constant(first).array, wide_out])
        if a.size:
            wide = np.broadcast_to(wide_out, a.shape)
            strides = [wide.strides, a.strides, wide.strides]
            self._rows(function, [wide_out, a, wide_out], a.shape, strides)
        return self.noted(out, self)

    def accumulate(self, ufunc, x, axis=0, dtype=None):
        """``ufunc.accumulate``: each element is computed from the one before it."""
        a = self.few(x.array)
        if dtype is not None and np.dtype(dtype) != a.dtype:
            a = self.converted(a, np.dtype(dtype))
        function = loops_of(ufunc, (a.dtype,) * 3)
        if function is None or not a.ndim:
            raise Refused
        out = self.remember(ufunc.accumulate(a, axis=axis))
        along = lambda b, part: np.moveaxis(b, axis, -1)[..., part]
        first, rest, before = slice(0, 1), slice(1, None), slice(None, -1)
        self._append((f"copying{a.itemsize}", 0), [along(a, first), along(out, first)])
        parts = [along(out, before), along(a, rest), along(out, rest)]
        if parts[0].size:
            self._rows_along(function, parts)
        return self.noted(out, self)

    def rank(self, x, axis):
        """The stable ``argsort`` along ``axis``."""
        return self._search("ranking", x, axis, np.argsort(x.array, axis, kind="stable"))

    def find(self, name, function, x, axis, keepdims):
        """``argmax`` or ``argmin`` along ``axis``."""
        return self._search(name, x, axis, np.asarray(function(x.array, axis, keepdims=keepdims)))

    def _search(self, name, x, axis, result):
        a = self.few(x.array)
        dtype = f"{a.dtype.kind}{a.dtype.itemsize}"
        if dtype not in ORDERED or not a.ndim or a.shape[axis] > _LONGEST:
            raise Refused
        self.remember(result)
        self.below[self.span(result)] = a.shape[axis]
        wide = result if result.ndim == a.ndim else np.expand_dims(result, axis)
        self._rows_along((f"{name}_{dtype}", 0), [np.moveaxis(b, axis, -1) for b in (a, wide)])
        return self.noted(result, self)

    def placed(self, ordered, x, side):
        """``np.searchsorted``."""
        a, keys = self.few(ordered.array), self.few(x.array)
        dtype = f"{a.dtype.kind}{a.dtype.itemsize}"
        if dtype not in ORDERED or a.ndim > 1 or a.dtype != keys.dtype:
            raise Refused
        if not keys.flags.c_contiguous or keys.size > _FEW_KEYS:
            raise Refused
        count = np.array([a.size], np.int64)
        self.buffers.append(count)
        result = self.remember(np.asarray(np.searchsorted(a, keys, side)))
        steps = [a.strides[0], keys.itemsize, result.itemsize]
        function = f"placing_{side}_{dtype}", count.ctypes.data
        self.at(function, [keys.size], steps, [a, keys, result])
        return self.noted(result, self)

    def taken_along(self, x, index, axis):
        """``np.take_along_axis``, with a guard for indices that may be out of range."""
        a, i = self.few(x.array), self.few(index.array)
        rest = [np.delete(b.shape, axis).tolist() for b in (a, i)]
        if a.ndim != i.ndim or rest[0] != rest[1] or i.dtype != np.int64:
            raise Refused
        if self.below.get(self.span(i), a.shape[axis] + 1) > a.shape[axis]:
            self.require(((index >= 0) & (index < a.shape[axis])).all())
        result = self.remember(np.take_along_axis(a, i, axis))
        parts = [np.moveaxis(b, axis, -1) for b in (a, i, result)]
        self._rows_along((f"along{a.itemsize}", 0), parts, i.shape[axis])
        return self.noted(result, self)

    def _rows_along(self, function, arrays, count=None):
        """Append a loop over the rows along the last dim, of ``count`` elements (the first's)."""
        *shape, size = arrays[0].shape
        steps = zip(*[a.strides[:-1] for a in arrays], strict=True)
        dims = [*zip(shape, steps, strict=True)]
        self.at(function, [count or size], [a.strides[-1] for a in arrays], arrays, dims)

    def moved(self, function, arrays):
        """The result of ``function(arrays)``, which moves elements and computes nothing with them.

        It is computed on the elements themselves, and twice on numbers that tell where an element
        comes from.
        """
        values = function([self.few(a) for a in arrays])
        if type(values) is not ndarray or {a.dtype for a in arrays} != {values.dtype}:
            raise Refused
        sizes = np.cumsum([0, *[a.size for a in arrays]])
        once, again = [
            function([
                np.arange(n, m).reshape(a.shape) * step + shift
                for a, n, m in zip(arrays, sizes, sizes[1:], strict=False)
            ])
            for step, shift in ((1, 1 << 20), (3, 1 << 24))
        ]  # fmt: skip
        origin = once - (1 << 20)
        known = (origin >= 0) & (origin < sizes[-1]) & (origin * 3 + (1 << 24) == again)
        result = self.remember(np.empty_like(values))
        result[...] = values
        if result.strides != values.strides:
            raise Refused
        if not known.all():
            rest = self.constant(result.copy("K")).array
            self._append((f"copying{result.itemsize}", 0), [rest, result])
        for a, n, m in zip(arrays, sizes, sizes[1:], strict=False):
            found = known & (origin >= n) & (origin < m)
            if not found.any():
                continue
            taken = _offsets(a).reshape(-1)[origin[found] - n]
            self._move(np.stack([taken, _offsets(result)[found]], 1), a, result)
        return self.noted(result, self)

    def _move(self, pairs, a, result):
        """Move elements from offsets in ``a`` to offsets in ``result``."""
        if len(pairs) <= _FEW_MOVED:
            pairs = np.ascontiguousarray(pairs, np.int64)
            self.buffers.append(pairs)
            loop = f"moving{result.itemsize}", pairs.ctypes.data
            self.at(loop, [len(pairs)], [0, 0], [a, result])
            return
        runs = _runs(pairs)
        alike: dict = {}
        for *row, count, step, out_step in runs:
            alike.setdefault((count, step, out_step), []).append(row)
        if len(alike) > _FEW_KINDS:
            table = np.array(runs, np.int64)
            self.buffers.append(table)
            loop = f"running{result.itemsize}", table.ctypes.data
            self.at(loop, [len(runs)], [0, 0], [a, result])
            return
        for (count, *steps), rows in alike.items():
            loop, alone = (f"copying{result.itemsize}", 0), (1, [0, 0])
            self._over(loop, [count], steps, [a, result], rows, alone, ("copying", [a.dtype] * 2))

    def _redirect(self):
        """Drop a last loop that copies a result: the loop before it writes there at once."""
        if len(self.loops) < 2:
            return
        first, last = self.loops[-2:]
        if first.work is None or last.work is None or last.work[0] != "copying":
            return
        source, target = last.operands()
        *others, made = first.operands()
        if source != made or source[1:] != target[1:] or first.extent() != last.extent():
            return
        near = [x for x in others if x[0][0] == target[0][0]]
        if all(x == target for x in near):  # else it would overwrite what it has yet to read
            first.places[-1] = target[0]
            del self.loops[-1]

    def finish(self, results):
        """The loops; those that fill the arrays ``results`` write to new bases instead."""
        self._redirect()
        if self.writes and not any(loop.places[-1][0] == 1 for loop in self.loops):
            raise Refused
        for number, result in enumerate(results, self.inputs + 1):
            low, high = np.lib.array_utils.byte_bounds(result)
            if high - low != result.nbytes or (low, high, ABSOLUTE, 0) not in self.memory:
                raise Refused
            for loop in self.loops:
                loop.places = [
                    (number, at - low) if base == ABSOLUTE and low <= at < high else (base, at)
                    for base, at in loop.places
                ]
        return self.loops


def _parts(a):
    """``a`` as arrays whose elements a loop can copy: none has 16 bytes."""
    return (a.real, a.imag) if a.dtype.char == "D" else (a,)


def _cast(source, target):
    """The loop that converts numbers of the dtype ``source``."""
    if source == target:
        return f"copying{source.itemsize}", 0
    kinds = [f"{d.kind}{d.itemsize}" for d in (source, target)]
    if kinds[1] not in CASTS.get(kinds[0], ()):
        raise Refused
    return "cast_{}_{}".format(*kinds), 0


def _name(function):
    """The name of a ufunc, or of a loop of our own without the size of the elements."""
    return function.rstrip("148") if type(function) is str else function.__name__


def copy_of(a, filled=True):
    """A copy of ``a`` that lies in memory as it does, with its gaps; zeros if not ``filled``."""
    low, high = np.lib.array_utils.byte_bounds(a)
    memory = np.zeros(high - low, np.uint8)
    found = ndarray(a.shape, a.dtype, memory.data, a.ctypes.data - low, a.strides)
    if filled:
        found[...] = a
    return found


def _start(ufunc, a):
    """The number with which NumPy begins a reduction; None if it begins with first elements."""
    if ufunc.identity is None:
        return None
    # Zero may have either sign.
    zeros = ufunc is np.add and a.dtype.kind in "fc"
    return np.asarray(
        np.add.reduce(np.full(2, -0.0, a.dtype)) if zeros else ufunc.identity, a.dtype
    )


def _offsets(a):
    """The offset in bytes of each element of ``a``."""
    found = np.zeros(a.shape, np.int64)
    for d, (n, step) in enumerate(zip(a.shape, a.strides, strict=True)):
        found += (np.arange(n) * step).reshape(-1, *[1] * (a.ndim - d - 1))
    return found


def _runs(pairs):
    """The moves as copies of evenly spaced elements: (begin, begin, count, step, step) of each."""
    steps = np.diff(pairs, axis=0).tolist()
    found, i = [], 0
    while i < len(pairs):
        step, k = steps[i] if i < len(steps) else [0, 0], i + 1
        while k <= len(steps) and steps[k - 1] == step:
            k += 1
        found.append([*pairs[i].tolist(), k - i, *step])
        i = k
        if len(found) > _MOST_ROWS:
            raise Refused
    return found


def rows_of(shape, strides):
    """(count, strides, other dims) of operands, whose dims are joined as far as possible.

    The dims come in the order of NumPy's iterator, because its loops compute contiguous operands
    by other instructions than operands with gaps.
    """
    if any(s < 0 for own in strides for s in own):
        raise Refused  # the iterator goes backward along some of these
    dims: list = []
    for d, n in enumerate(shape):
        if n > 1:
            own = [s[d] for s in strides]
            at = len(dims)
            while at and _is_outside(own, dims[at - 1][1]):
                at -= 1
            dims.insert(at, (n, own))
    # NumPy chooses its instructions by the strides, also in a row of one element.
    count, inner = dims.pop() if dims else (1, [s[-1] if s else 0 for s in strides])
    while dims and dims[-1][1] == [s * count for s in inner]:
        count *= dims.pop()[0]
    return count, inner, dims


def _is_outside(own, other):
    """Whether the dim with the strides ``own`` lies outside of the one before it, in memory."""
    pairs = [(s, t) for s, t in zip(own, other, strict=True) if s and t]
    return bool(pairs) and all(s > t for s, t in pairs)
