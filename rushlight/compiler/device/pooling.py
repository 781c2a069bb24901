"""Pooling on a device: a work-item for each element of the result, which visits its windows.

A gradient is a sum over the windows that contain the element, so nothing is scattered. The gradient
of max pooling finds each of these windows' maximum again.
"""

from math import prod

import numpy as np

from rushlight.compiler.codegen.memory import load, memory_type
from rushlight.compiler.codegen.scope import Loop, i64
from rushlight.compiler.codegen.value import INT, Value, computed, select
from rushlight.compiler.cpu.pooling import describe, picks
from rushlight.compiler.device.element_work import ElementWork, Variable
from rushlight.compiler.device.parts import finish, place, unravel

__all__ = ["Pooling"]


class Pooling(ElementWork):
    """A pooling, or one of its gradients; ``d`` is its description, see ``cpu.pooling.Pooling``."""

    @staticmethod
    def serves(e):
        """Whether there is a kernel for the pooling ``e``."""
        known = e.op.form in ("positions", "pick", "max_grad", "sum_grad")
        return known and ("windows" not in e.params or picks(e, e.params["windows"]))

    def _measure(self):
        e = self.equation
        self.d = describe(e.op.form, self.ins, e.outs[0].shape, e.params)
        self.limit = prod(self.d.shape)
        self.groups = -(-self.limit // self.size)

    def _shape(self):
        return self.d

    def body(self, module, b, limit):
        """Write the kernel."""
        d = self.d
        at = self.item(module, b)
        # The variables are made here: memory that a loop made anew would never be given back.
        self.total = Variable(b, computed(d.dtype))
        self.best, self.where = Variable(b, computed(d.dtype)), Variable(b, INT)
        with b.if_then(b.icmp_signed("<", at, limit)):
            index = unravel(b, at, d.shape)
            lead, place_ = index[: len(d.lead)], index[len(d.lead) :]
            found = getattr(self, "_" + d.form)(b, lead, place_)
            finish(self, b, self.targets, index, found)

    def _read(self, b, operand, lead, at, fits=None):
        """An element of an operand as a Value; 0 where it does not fit."""
        dtype, strides = self.dtypes[operand], self.d.strides[operand]
        position = place(b, (*lead, *at), strides)
        if fits is not None:
            position = b.select(fits, position, i64(0))
        source = b.gep(self.sources[operand], [position], source_etype=memory_type(dtype))
        return load(b, source, dtype)

    # Windows ----------------------------------------------------------------------------------

    def _each_element(self, b, window, body):
        """Write ``body(b, position, fits)`` for each element of a window."""
        self._each(b, window, self.d.size, self.d.places, self._element, body)

    def _each_window(self, b, element, body):
        """Write ``body(b, window, fits)`` for each window that has an element."""
        self._each(b, element, self.d.places, self.d.size, self._window, body)

    def _each(self, b, index, found, given, find, body):
        """Write ``body`` for what belongs to ``index``, of ``found`` for ``given`` in each dim.

        ``find(b, dim, offset, i)`` gives (position, condition) at an offset in the window.
        """
        if self.d.windows is None:
            ends = [self._span(b, *dim) for dim in zip(index, found, given, strict=True)]
            _nested(b, ends, lambda b, at: body(b, at, None))
            return

        def visit(b, offsets):
            at, fits = [], None
            for dim, (offset, i) in enumerate(zip(offsets, index, strict=True)):
                position, inside = find(b, dim, offset, i)
                fits = inside if fits is None else b.and_(fits, inside)
                at.append(position)
            body(b, at, fits)

        _nested(b, [(i64(0), i64(n)) for n in self.d.windows[0]], visit)

    def _element(self, b, dim, offset, q):
        _, stride, padding, dilation = (w[dim] for w in self.d.windows)
        p = b.add(b.mul(q, i64(stride)), b.mul(offset, i64(dilation)))
        p = b.sub(p, i64(padding))
        return p, b.icmp_unsigned("<", p, i64(self.d.size[dim]))  # a negative one is huge

    def _window(self, b, dim, offset, p):
        _, stride, padding, dilation = (w[dim] for w in self.d.windows)
        begin = b.sub(b.add(p, i64(padding)), b.mul(offset, i64(dilation)))
        inside = b.icmp_unsigned("<", begin, i64(self.d.places[dim] * stride))
        whole = b.icmp_unsigned("==", b.urem(begin, i64(stride)), i64(0))
        return b.udiv(begin, i64(stride)), b.and_(inside, whole)

    @staticmethod
    def _span(b, i, n, o):
        """Where window ``i`` of ``o`` windows begins and ends that cover ``n`` elements evenly."""
        end = b.add(b.mul(b.add(i, i64(1)), i64(n)), i64(o - 1))
        return b.udiv(b.mul(i, i64(n)), i64(o)), b.udiv(end, i64(o))

    # Sums -------------------------------------------------------------------------------------

    def _sum_grad(self, b, lead, element):
        def add(b, window, fits):
            self.total.add(b, self._read(b, 0, lead, window, fits), fits)

        self.total.set(b, 0.0)
        self._each_window(b, element, add)
        return self.total.get(b)

    # Maxima -----------------------------------------------------------------------------------

    def _positions(self, b, lead, window, operand=0):
        """The first position of the maximum, as an index into the flattened image."""
        self.best.set(b, -np.inf)
        self.where.set(b, -1)

        def take(b, at, fits):
            x, best, where = (
                self._read(b, operand, lead, at, fits),
                self.best.get(b),
                self.where.get(b),
            )
            better = (x > best) | (x != x) | (where < 0)
            here = Value(b, _flat(b, at, self.d.size), INT)
            self.best.put(b, select(better, x, best), fits)
            self.where.put(b, select(better, here, where), fits)

        self._each_element(b, window, take)
        return self.where.get(b)

    def _pick(self, b, lead, window):
        at = unravel(b, self._positions(b, lead, window, operand=1).v, self.d.size)
        return self._read(b, 0, lead, at)

    def _max_grad(self, b, lead, element):
        own = Value(b, _flat(b, element, self.d.size), INT)
        self.total.set(b, 0.0)

        def add(b, window, fits):
            found = self._positions(b, lead, window, operand=1)
            chosen = Value(b, found.v, INT) == Value(b, own.v, INT)
            chosen = chosen.v if fits is None else b.and_(fits, chosen.v)
            self.total.add(b, self._read(b, 0, lead, window, fits), chosen)

        self._each_window(b, element, add)
        return self.total.get(b)


def _nested(b, ends, body):
    """Write ``body(b, numbers)`` inside a loop for each (begin, end)."""
    loops = []
    for begin, end in ends:
        loops.append(Loop(b, begin, end))
        b = loops[-1].b
    body(b, [loop.i for loop in loops])
    for loop in reversed(loops):
        loop.close()


def _flat(b, index, shape):
    """The number of an element in C order."""
    found = index[0]
    for i, n in zip(index[1:], shape[1:], strict=True):
        found = b.add(b.mul(found, i64(n)), i)
    return found
