"""The forms of pooling: what is kept while taps go by, and what becomes of it."""

from math import prod

import numpy as np

from rushlight.compiler.emit.frame import entry, gather, lookup, offset, quotient, table
from rushlight.compiler.emit.loop import address, carried, lift
from rushlight.compiler.emit.memory import iota, load, maximum
from rushlight.compiler.emit.reads import Reads, transposed
from rushlight.compiler.emit.rows import spaced, stretched
from rushlight.compiler.emit.value import BOOL, INT, Value, constant, select, splat

__all__ = ["FORMS", "Maximum", "MaximumGrad", "Mean", "MeanGrad", "Pick", "Positions"]

_I32 = np.dtype(np.int32)
_UNROLLED = 8  # taps of a row
_ALONE = Reads(1, 1, ((0,),))


class Tap:
    """What one tap of a vector of results reads: a row, and elements of it."""

    def __init__(self, b, form, row, valid, k, place):
        self.b, self.form, self.row, self.valid, self.k = b, form, row, valid, k
        self.place, self.x = place, place[2]

    def read(self, base, dtype, strides):
        """(The elements of an image at ``base``, zeros where there are none; where there are.)"""
        form, b, reads = self.form, self.b, self.form.reads[2]
        line = address(b, base, offset(self.row, strides[:2]), dtype.itemsize)
        how = form.regular(self.k, self.x)
        if how is None:
            columns, mask = self.columns(), self._from_table()[1]
            return gather(b, line, columns.astype(INT) * strides[2], dtype, mask), mask
        reader, first, step = how
        return reader(b, line, dtype, form.lanes, first, step, reads.size, strides[2], self.valid)

    def columns(self):
        """The index of each element in its row, as int32."""
        form, b = self.form, self.b
        how = form.regular(self.k, self.x)
        if how is None:
            return self._from_table()[0]
        reader, first, step = how
        first = splat(lift(b, first).astype(_I32), form.lanes)
        if reader is stretched:
            typ = iota(b, form.lanes, _I32).v.type
            steps = Value(b, typ([i // step for i in range(form.lanes)]), _I32)
            return first + steps
        return first + iota(b, form.lanes, _I32) * step

    def _from_table(self):
        b, form = self.b, self.form
        width = -(-form.reads[2].count // form.lanes) * form.lanes
        found = load(b, address(b, form.table(b, 2), self.k * width + self.x, 8), INT, form.lanes)
        found = found.astype(_I32)
        return found, (found >= 0) & splat(self.valid, form.lanes)


class Form:
    """A form of pooling on vectors of results; subclasses say what is kept."""

    def __init__(self, d, target, operand=0):
        self.d, self.operand = d, operand
        self.lanes = min(target.lanes(d.compute), target.lanes(_I32))
        reads = [transposed(r) for r in d.reads] if d.form.endswith("grad") else d.reads
        self.reads = [*[_ALONE] * (3 - len(reads)), *reads]

    def strides(self, operand):
        """(Those of the lead dims, those of three pooled dims) of an operand."""
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

    def regular(self, k, x):
        """(reader, first, step) of tap ``k`` of the vector of results ``x``; None: by table."""
        reads = self.reads[2]
        times = reads.stretch
        if times and self.lanes % times == 0:
            first = x // times if isinstance(x, int) else quotient(x.b, x, times)
            return stretched, first, times
        if isinstance(k, int):
            step = reads.steps[k]
            return step and (spaced, x * step[1] + step[0], step[1])
        even = self._even()
        return even and (spaced, x * even[2] + k * even[1] + even[0], even[2])

    def _even(self):
        """(first, from tap to tap, step) if the taps of a row are as regular as a row is."""
        steps = self.reads[2].steps
        if None in steps:
            return None
        (first, step), (second, _) = steps[:2]
        expected = [(first + k * (second - first), step) for k in range(len(steps))]
        return (first, second - first, step) if list(steps) == expected else None

    def fold(self, b, args, lead, place):
        """What is kept when all taps have gone by."""
        counts = [len(r.table) for r in self.reads]
        image = self.image(b, args, lead, self.operand)

        def over(dim, body):
            """A loop over the taps of a dim, with the index that each reads."""
            width = self.reads[dim].count

            def step(k, state):
                return body(lift(b, lookup(b, self.table(b, dim), k * width + place[dim])), state)

            return lambda state: carried(b, 0, counts[dim], state, step)

        def in_row(i, j, state):
            valid = (i >= 0) & (j >= 0)

            def take(k, state):
                return self.take(b, args, lead, image, Tap(b, self, (i, j), valid, k, place), state)

            if counts[2] > _UNROLLED:
                return carried(b, 0, counts[2], state, take)
            for k in range(counts[2]):
                state = take(k, state)
            return state

        rows = lambda i, state: over(1, lambda j, state: in_row(i, j, state))(state)
        return over(0, rows)(self.start(b))


# Maxima -----------------------------------------------------------------------------------


def _lowest(b, dtype, lanes):
    """The number that no element is below."""
    return constant(b, -np.inf if dtype.kind == "f" else np.iinfo(dtype).min, dtype, lanes)


class Maximum(Form):
    """The maximum of each window."""

    def start(self, b):
        return [_lowest(b, self.d.compute, self.lanes)]

    def take(self, b, args, lead, image, tap, state):
        (best,) = state
        x, mask = tap.read(image, self.d.dtype, self.strides(self.operand)[1])
        return [select(mask, maximum(best, x), best)]

    def result(self, b, args, lead, place, best):
        return best


class Positions(Form):
    """Where each window's maximum lies in the image: the first, or the last nan."""

    def start(self, b):
        lowest = _lowest(b, self.d.compute, self.lanes)
        return [lowest, constant(b, -1, _I32, self.lanes)]

    def steps(self):
        """From one element of the image to the next, in the numbers that are found."""
        return (*[0] * (3 - len(self.d.size)), *_contiguous(self.d.size))

    def take(self, b, args, lead, image, tap, state):
        best, at = state
        x, mask = tap.read(image, self.d.dtype, self.strides(self.operand)[1])
        *outer, step = self.steps()
        here = lift(b, offset(tap.row, outer)).astype(_I32) + tap.columns() * step
        better = mask & ((x > best) | (x != x) | (at < 0))
        return [select(better, x, best), select(better, here, at)]

    def result(self, b, args, lead, place, best, at):
        return at.astype(INT)


class Pick(Positions):
    """What another image has where each window's maximum lies."""

    def __init__(self, d, target):
        super().__init__(d, target, operand=1)

    def steps(self):
        return self.strides(0)[1]

    def result(self, b, args, lead, place, best, at):
        mask = constant(b, True, BOOL, self.lanes)
        mask = mask & (lift(b, place[2]) + iota(b, self.lanes) < self.d.places[-1])
        return gather(b, self.image(b, args, lead, 0), at.astype(INT), self.d.dtype, mask)


class MaximumGrad(Form):
    """The sum of what the windows give to an element that is their maximum."""

    def start(self, b):
        return [constant(b, 0, self.d.compute, self.lanes)]

    def take(self, b, args, lead, image, tap, state):
        (total,) = state
        d = self.d
        strides = _contiguous((*d.lead, *d.places))
        noted = entry(b, args, len(d.strides))
        noted = address(b, noted, offset(lead, strides[: len(lead)]), _I32.itemsize)
        hidden = [0] * (3 - len(d.size))
        found, mask = tap.read(noted, _I32, (*hidden, *strides[len(lead) :]))
        own = lift(b, offset(tap.place, (*hidden, *_contiguous(d.size)))).astype(_I32)
        mine = mask & (found == splat(own, self.lanes) + iota(b, self.lanes, _I32))
        g, _ = tap.read(image, d.dtype, self.strides(0)[1])
        return [total + select(mine, g, constant(b, 0, g.dtype))]

    def result(self, b, args, lead, place, total):
        return total


def _contiguous(shape):
    return [prod(shape[i + 1 :]) for i in range(len(shape))]


# Means ------------------------------------------------------------------------------------


class Mean(Form):
    """The sum of each window, divided."""

    def start(self, b):
        return [constant(b, 0, self.d.compute, self.lanes)]

    def take(self, b, args, lead, image, tap, state):
        x, _ = tap.read(image, self.d.dtype, self.strides(0)[1])
        return [state[0] + x]

    def result(self, b, args, lead, place, total):
        return self.divided(b, total, place)

    def divided(self, b, total, place, columns=None):
        """``total`` by the divisor of a place; ``columns`` are the lanes' if not in a row."""
        if isinstance(self.d.divisor, tuple):
            *outer, last = [
                table(b.module, counts)
                for counts in (*[(1,)] * (3 - len(self.d.size)), *self._padded())
            ]
            divisor = lift(b, 1)
            for counts, i in zip(outer, place[:2], strict=True):
                divisor = divisor * lookup(b, counts, i)
            if columns is None:
                divisor = splat(divisor, self.lanes) * load(
                    b, address(b, last, place[2], 8), INT, self.lanes
                )
            else:
                mask = constant(b, True, BOOL, self.lanes)
                divisor = splat(divisor, self.lanes) * gather(b, last, columns, INT, mask)
        else:
            divisor = lift(b, self.d.divisor)
        if total.dtype.kind == "f":
            return total / divisor.astype(total.dtype)
        real = np.dtype(np.float64)  # towards zero, as C++ divides
        return (total.astype(real) / divisor.astype(real)).astype(total.dtype)

    def _padded(self):
        """The divisors of each dim, the last filled up to whole vectors."""
        *outer, last = self.d.divisor
        return (*outer, (*last, *[1] * (-len(last) % self.lanes)))


class MeanGrad(Mean):
    """The sum of what the windows that hold an element give it."""

    def take(self, b, args, lead, image, tap, state):
        g, mask = tap.read(image, self.d.dtype, self.strides(0)[1])
        columns = None
        if isinstance(self.d.divisor, tuple):
            none = constant(b, 0, _I32, self.lanes)
            columns = select(mask, tap.columns(), none).astype(INT)
        row = [self._existing(i) for i in tap.row]
        share = self.divided(b, g, (*row, None), columns)
        return [state[0] + select(mask, share, constant(b, 0, share.dtype))]

    def _existing(self, i):
        return select(i < 0, lift(i.b, 0), i)

    def result(self, b, args, lead, place, total):
        return total


FORMS = {
    "max": Maximum, "positions": Positions, "pick": Pick, "max_grad": MaximumGrad,
    "mean": Mean, "mean_grad": MeanGrad,
}  # fmt: skip
