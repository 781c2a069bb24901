"""The forms of pooling. Each has a state, which every tap updates, and computes a result from it.

A tap is an element of the window.
"""

from itertools import pairwise
from math import prod

import numpy as np

from rushlight.compiler.codegen.frame import entry, lookup, offset, quotient, table
from rushlight.compiler.codegen.loop import address, carried, lift
from rushlight.compiler.codegen.memory import gather, iota, load
from rushlight.compiler.codegen.row_reads import spaced, stretch, stretched
from rushlight.compiler.codegen.value import BOOL, INT, Value, constant, select, splat
from rushlight.compiler.codegen.window_reads import Reads, transposed
from rushlight.compiler.cpu import costs

__all__ = ["FORMS", "GradAt", "Maxima", "MaximumGrad", "Pick", "Positions", "SumGrad"]

_I32 = np.dtype(np.int32)
_ALONE = Reads(1, 1, ((0,),))


class Tap:
    """The reads of one tap for a vector of results: elements of one row of the image."""

    def __init__(self, b, form, row, valid, k, place):
        self.b, self.form, self.row, self.valid, self.k = b, form, row, valid, k
        self.place, self.x = place, place[2]
        self.regular = form.regular(k)

    def _first(self):
        """The element that the first lane reads, if the tap is regular."""
        x, times = self.x, self.regular.times
        if times > 1:
            x = x // times if isinstance(x, int) else quotient(self.b, x, times)
        return x * self.regular.step + self.regular.first

    def read(self, base, dtype, strides):
        """(The tap's elements of the image at ``base``, the mask of those that exist)."""
        form, b, regular = self.form, self.b, self.regular
        line = address(b, base, offset(self.row, strides[:2]), dtype.itemsize)
        rest = form.reads[2].size, strides[2], self.valid
        if regular is None:
            columns, mask = self._from_table()
            return gather(b, line, columns.astype(INT) * strides[2], dtype, mask), mask
        if regular.times > 1:
            return stretched(b, line, dtype, form.lanes, self._first(), regular, *rest)
        return spaced(b, line, dtype, form.lanes, self._first(), regular.step, *rest)

    def columns(self):
        """The index of each element in its row, as int32."""
        form, b, regular = self.form, self.b, self.regular
        if regular is None:
            return self._from_table()[0]
        first = splat(lift(b, self._first()).astype(_I32), form.lanes)
        steps = stretch(regular, form.lanes)
        return first + Value(b, first.v.type([i * regular.step for i in steps]), _I32)

    def _from_table(self):
        b, form = self.b, self.form
        width = -(-form.reads[2].count // form.lanes) * form.lanes
        found = load(b, address(b, form.table(b, 2), self.k * width + self.x, 8), INT, form.lanes)
        found = found.astype(_I32)
        return found, (found >= 0) & splat(self.valid, form.lanes)


class Form:
    """A form of pooling on vectors of results; subclasses define the state, a list of Values."""

    def __init__(self, d, target, operand=0):
        self.d, self.operand = d, operand
        self.lanes = min(target.lanes(d.compute), target.lanes(_I32))
        reads = [transposed(r) for r in d.reads] if d.form.endswith("grad") else d.reads
        self.reads = [*[_ALONE] * (3 - len(reads)), *reads]

    def start(self, b):
        """The state before the first tap."""
        raise NotImplementedError

    def take(self, b, args, lead, image, tap, state):
        """The state after one more tap of the image at the address ``image``."""
        raise NotImplementedError

    def result(self, b, args, lead, place, *state):
        """The results at a place, from the final state."""
        raise NotImplementedError

    def strides(self, operand):
        """(Strides of the lead dims, strides of three pooled dims) of an operand."""
        strides = self.d.strides[operand]
        lead = len(self.d.lead)
        return strides[:lead], (*[0] * (3 - len(self.d.size)), *strides[lead:])

    def image(self, b, args, lead, operand):
        """The address of the image of an operand that the indices ``lead`` choose."""
        place = offset(lead, self.strides(operand)[0])
        return address(b, entry(b, args, operand), place, self.d.dtype.itemsize)

    def table(self, b, dim):
        reads = self.reads[dim]
        width = -(-reads.count // self.lanes) * self.lanes if dim == 2 else reads.count
        numbers = [v for row in reads.table for v in (*row, *[-1] * (width - len(row)))]
        return table(b.module, numbers)

    def regular(self, k):
        """The ``Regular`` by which tap ``k`` of a row reads; None if the tap needs the table.

        If ``k`` is known only when the kernel runs, one rule must hold for all taps.
        """
        taps = self.reads[2].regular
        if taps is None or self.lanes % taps[0].times:
            return None
        if isinstance(k, int):
            return taps[k]
        steps = {second.first - first.first for first, second in pairwise(taps)}
        if taps[0].times > 1 or len(steps) > 1:
            return None
        return taps[0]._replace(first=k * steps.pop() + taps[0].first)

    def fold(self, b, args, lead, place):
        """The state after all taps."""
        counts = [len(r.table) for r in self.reads]
        image = self.image(b, args, lead, self.operand)

        def over(dim, body):
            """A loop over the taps of a dim; ``body`` gets the index that each tap reads."""
            width = self.reads[dim].count

            def step(k, state):
                return body(lift(b, lookup(b, self.table(b, dim), k * width + place[dim])), state)

            return lambda state: carried(b, 0, counts[dim], state, step)

        def in_row(i, j, state):
            valid = (i >= 0) & (j >= 0)

            def take(k, state):
                return self.take(b, args, lead, image, Tap(b, self, (i, j), valid, k, place), state)

            if counts[2] > costs.UNROLLED:
                return carried(b, 0, counts[2], state, take)
            for k in range(counts[2]):
                state = take(k, state)
            return state

        rows = lambda i, state: over(1, lambda j, state: in_row(i, j, state))(state)
        return over(0, rows)(self.start(b))


# Maxima -----------------------------------------------------------------------------------


def _lowest(b, dtype, lanes):
    """The lowest number of a dtype."""
    return constant(b, -np.inf if dtype.kind == "f" else np.iinfo(dtype).min, dtype, lanes)


class Positions(Form):
    """The position of each window's maximum in the image: of the first, or of the last nan."""

    def start(self, b):
        lowest = _lowest(b, self.d.compute, self.lanes)
        return [lowest, constant(b, -1, _I32, self.lanes)]

    def steps(self):
        """For each pooled dim, how much a position grows from one element to the next."""
        return (*[0] * (3 - len(self.d.size)), *_contiguous(self.d.size))

    def take(self, b, args, lead, image, tap, state):
        best, at = state
        x, mask = tap.read(image, self.d.dtype, self.strides(self.operand)[1])
        *outer, step = self.steps()
        here = lift(b, offset(tap.row, outer)).astype(_I32) + tap.columns() * step
        better = x > best
        if x.dtype.kind == "f":  # nan counts as the largest, so only another nan replaces it
            better = better | (x != x)
        better = mask & better
        return [select(better, x, best), select(better, here, at)]

    def result(self, b, args, lead, place, best, at):
        # If all elements are the lowest number, no tap was taken: the first element is the maximum.
        *outer, step = self.steps()
        rows = [
            lookup(b, table(b.module, r.first), i)
            for r, i in zip(self.reads, place[:2], strict=False)
        ]
        columns = self.reads[2].first
        columns = table(b.module, (*columns, *[0] * (-len(columns) % self.lanes)))
        columns = load(b, address(b, columns, place[2], 8), INT, self.lanes) * step
        first = (columns + offset(rows, outer)).astype(_I32)
        return select(at < 0, first, at).astype(INT)


class Maxima(Positions):
    """The maximum of each window, and its position, in a pair."""

    def result(self, b, args, lead, place, best, at):
        return best, super().result(b, args, lead, place, best, at)


class Pick(Positions):
    """The elements of another image at the positions of each window's maximum."""

    def __init__(self, d, target):
        super().__init__(d, target, operand=1)

    def steps(self):
        return self.strides(0)[1]

    def result(self, b, args, lead, place, best, at):
        at = super().result(b, args, lead, place, best, at)
        mask = constant(b, True, BOOL, self.lanes)
        mask = mask & (lift(b, place[2]) + iota(b, self.lanes) < self.d.places[-1])
        return gather(b, self.image(b, args, lead, 0), at, self.d.dtype, mask)


class MaximumGrad(Form):
    """The gradient of each element: the sum of ``g`` over the windows whose maximum it is.

    The plan's first kernel stores the positions of the maxima.
    """

    def noted(self):
        """The place of the positions in the kernel's ``args``, and their strides."""
        d = self.d
        return len(d.strides), _contiguous((*d.lead, *d.places))

    def start(self, b):
        return [constant(b, 0, self.d.compute, self.lanes)]

    def take(self, b, args, lead, image, tap, state):
        (total,) = state
        d = self.d
        place, strides = self.noted()
        noted = entry(b, args, place)
        noted = address(b, noted, offset(lead, strides[: len(lead)]), _I32.itemsize)
        hidden = [0] * (3 - len(d.size))
        found, mask = tap.read(noted, _I32, (*hidden, *strides[len(lead) :]))
        own = lift(b, offset(tap.place, (*hidden, *_contiguous(d.size)))).astype(_I32)
        mine = mask & (found == splat(own, self.lanes) + iota(b, self.lanes, _I32))
        g, _ = tap.read(image, d.dtype, self.strides(0)[1])
        return [total + select(mine, g, constant(b, 0, g.dtype))]

    def result(self, b, args, lead, place, total):
        return total


class GradAt(MaximumGrad):
    """``MaximumGrad`` whose second operand holds the positions."""

    def noted(self):
        return 1, self.d.strides[1]


def _contiguous(shape):
    return [prod(shape[i + 1 :]) for i in range(len(shape))]


# Sums -------------------------------------------------------------------------------------


class SumGrad(Form):
    """The gradient of each element: the sum of ``g`` over the windows that contain it."""

    def start(self, b):
        return [constant(b, 0, self.d.compute, self.lanes)]

    def take(self, b, args, lead, image, tap, state):
        g, mask = tap.read(image, self.d.dtype, self.strides(0)[1])
        return [state[0] + select(mask, g, constant(b, 0, g.dtype))]

    def result(self, b, args, lead, place, total):
        return total


FORMS = {
    "positions": Positions,
    "pick": Pick,
    "maxima": Maxima,
    "max_grad": MaximumGrad,
    "at_grad": GradAt,
    "sum_grad": SumGrad,
}
