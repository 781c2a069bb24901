"""Merge sort on a device: the steps of ``ops/reduce/merge_sort.py``. They give indices.

A work-group sorts a run: each work-item counts how many elements of the run come before its own,
which gives the place of its element. To merge two runs, each work-item counts, by a binary search,
how many elements of the other run come before its own. Equal elements keep their order.
"""

from rushlight.compiler.codegen.memory import COMBINE
from rushlight.compiler.codegen.scope import Loop, i64
from rushlight.compiler.codegen.value import BOOL, INT, Value, computed, ir_type
from rushlight.compiler.device.element_work import ElementWork, Variable
from rushlight.compiler.device.language import shared
from rushlight.compiler.device.parts import finish, split
from rushlight.compiler.ir.roles import joins
from rushlight.ops.reduce.merge_sort import RUN

__all__ = ["sorting"]


def sorting(group, kernel, schedule):
    """The work for a step of sorting."""
    return _FORMS[group.members[0].op.form](group, kernel, schedule)


class _Sorting(ElementWork):
    """What the steps share: (``rows``, ``length``) elements, the operand 0, are to be sorted."""

    def _measure(self):
        self.rows, self.length = self.equation.ins[0].shape
        self.descending = self.equation.params["descending"]
        dtype = self.dtypes[0]
        self.dtype = INT if dtype.kind == "b" else computed(dtype)
        self._cut()

    def _cut(self):
        """Set ``groups`` and ``limit``."""
        raise NotImplementedError

    def _shape(self):
        return self.rows, self.length, self.descending, self.equation.params.get("run")

    def _key(self, b, row, place):
        """The element at ``place`` of a row, in the dtype in which elements are compared."""
        return self.read(b, 0, (row, place)).astype(self.dtype)

    def _before(self, x, y):
        """Whether ``x`` comes before ``y``, and is not equal to it. nan is the largest number."""
        if self.descending:
            x, y = y, x
        before = x < y
        return before | ((y != y) & (x == x)) if self.dtype.kind == "f" else before

    def _finish(self, b, row, place, value):
        finish(self, b, self.targets, (row, place), Value(b, value, INT))


class _Runs(_Sorting):
    """The indices that sort each run; a work-group has a run, a work-item has an element."""

    size = RUN

    def _cut(self):
        self.runs = -(-self.length // RUN)
        self.groups, self.limit = self.rows * self.runs, 0

    def body(self, module, b, limit):
        """Write the kernel."""
        count, typ = Variable(b, INT), ir_type(self.dtype)
        row, run = split(b, module.work_group(b), self.runs)
        item, start = module.work_item(b), b.mul(run, i64(RUN))
        end = _least(b, b.sub(i64(self.length), start), i64(RUN))
        fits = b.icmp_signed("<", item, end)
        own = self._key(b, row, b.add(start, b.select(fits, item, i64(0))))
        keys = module.local_array(typ, RUN)
        b.store(own.v, shared(b, keys, item, typ))
        module.wait(b)
        count.set(b, 0)
        loop = Loop(b, i64(0), end)
        b2, mine = loop.b, Value(loop.b, own.v, self.dtype)
        other = Value(b2, b2.load(shared(b2, keys, loop.i, typ), typ=typ), self.dtype)
        earlier = Value(b2, b2.icmp_signed("<", loop.i, item), BOOL)
        alike = ~(self._before(mine, other) | self._before(other, mine))
        ahead = self._before(other, mine) | (alike & earlier)
        count.add(b2, ahead.astype(INT))
        loop.close()
        with b.if_then(fits):
            self._finish(b, row, b.add(start, count.get(b).v), b.add(start, item))


class _Merge(_Sorting):
    """Pairs of sorted runs merged: the operand 1 has the indices that sort each run."""

    def _cut(self):
        self.limit = self.rows * self.length
        self.groups = -(-self.limit // self.size)

    def body(self, module, b, limit):
        """Write the kernel."""
        low, high = Variable(b, INT), Variable(b, INT)
        at, run = self.item(module, b), self.equation.params["run"]
        with b.if_then(b.icmp_signed("<", at, limit)):
            row, place = split(b, at, self.length)
            index = self.read(b, 1, (row, place)).v
            start = b.and_(place, i64(~(2 * run - 1)))
            middle = b.add(start, i64(run))
            first = b.icmp_signed("<", place, middle)  # whether it lies in the first run
            least = b.select(first, _least(b, middle, i64(self.length)), start)
            end = b.select(first, b.add(middle, i64(run)), middle)
            low.put(b, Value(b, least, INT))
            high.put(b, Value(b, _least(b, end, i64(self.length)), INT))
            self._search(b, row, (low, high), self._key(b, row, index), first, run)
            own = b.sub(place, b.select(first, start, middle))
            behind = b.sub(low.get(b).v, least)
            self._finish(b, row, b.add(start, b.add(own, behind)), index)

    def _search(self, b, row, ends, own, first, run):
        """Let the two ends meet at the first element that comes after ``own``."""
        low, high = ends
        loop = Loop(b, i64(0), i64(run.bit_length()))
        b = loop.b
        begin, end, own = low.get(b).v, high.get(b).v, Value(b, own.v, self.dtype)
        searching = b.icmp_signed("<", begin, end)
        middle = b.lshr(b.add(begin, end), i64(1))
        place = b.select(searching, middle, i64(0))
        other = self._key(b, row, self.read(b, 1, (row, place)).v)
        # Of equal elements, those of the first run come first.
        ahead = b.select(first, self._before(other, own).v, b.not_(self._before(own, other).v))
        low.put(b, Value(b, b.add(middle, i64(1)), INT), b.and_(searching, ahead))
        high.put(b, Value(b, middle, INT), b.and_(searching, b.not_(ahead)))
        loop.close()


class _Segments(ElementWork):
    """Segments of sorted elements joined, as ``ops/index/segments.py`` says; one a work-item."""

    def _measure(self):
        self.join = joins(self.equation)
        self.rows, self.length = self.ins[0].shape
        self.limit = self.rows * self.length
        self.groups = -(-self.limit // self.size)

    def _shape(self):
        return self.rows, self.length, self.join

    def body(self, module, b, limit):
        """Write the kernel."""
        found, at = Variable(b, computed(self.dtypes[0])), self.item(module, b)
        with b.if_then(b.icmp_signed("<", at, limit)):
            row, place = split(b, at, self.length)
            first = b.icmp_signed("==", place, i64(0))
            before = b.select(first, i64(0), b.sub(place, i64(1)))
            begin = b.select(first, i64(0), self.read(b, 2, (row, before)).v)
            found.put(b, self.read(b, 0, (row, place)))
            loop = Loop(b, begin, self.read(b, 2, (row, place)).v)
            value = self.read(loop.b, 1, (row, loop.i)).astype(found.dtype)
            found.put(loop.b, COMBINE[self.join](found.get(loop.b), value))
            loop.close()
            finish(self, b, self.targets, (row, place), found.get(b))


_FORMS = {"runs": _Runs, "merge": _Merge, "segments": _Segments}


def _least(b, x, y):
    return b.select(b.icmp_signed("<", x, y), x, y)
