"""Convolutions and their gradients as products whose factors' elements are looked up.

Each is a sum over a depth, as a product of matrices is: over the elements of a window, over the
windows that an element lies in, or over all places of all images. ``product.Tiles`` does the rest.
"""

from math import prod

from rushlight.compiler.codegen.scope import i64
from rushlight.compiler.cpu.convolution import describe
from rushlight.compiler.device.parts import below, place
from rushlight.compiler.device.product import Tiles, run_of
from rushlight.compiler.ir.abstract import Abstract
from rushlight.storage import contiguous_strides

__all__ = ["convolution"]


def convolution(group, kernel, schedule):
    """The work for a convolution, or for one of its gradients."""
    return _FORMS[group.members[0].op.form](group, kernel, schedule)


class _Convolution(Tiles):
    """What the three forms share; see ``cpu.convolution.Convolution`` for the description."""

    role = "convolution"

    def _measure(self):
        e = self.equation
        ins = [
            Abstract(v.shape, v.dtype, tuple([n * v.itemsize for n in steps]))
            for v, steps in zip(self.ins, self.strides, strict=True)
        ]
        self.c = c = describe(e.op.form, ins, e.outs[0].shape, e.params)
        self.inputs, self.outputs = c.channels // c.groups, c.outputs // c.groups
        self._sizes(c)

    def _sizes(self, c):
        """Set ``batch``, ``shapes``, ``upright`` and ``runs``."""
        raise NotImplementedError

    def _shape(self):
        return self.c

    def _fixed(self):
        c = self.c
        window = c.kernel, c.stride, c.padding, c.dilation
        return c.groups, self.inputs, self.outputs, *map(tuple, window)

    def roles(self):
        yield from super().roles()
        for d, n in enumerate(self.c.size):
            yield ("size", d), n
            yield ("end", d), self.c.places[d] * self.c.stride[d]

    def _weight(self, b, operand, group, output, window):
        """An element of the weight; ``window``: (input channel, place in the window …)."""
        row = b.add(b.mul(group, i64(self.outputs)), output)
        return operand, place(b, (row, *window), self.steps(operand)), None

    def _pixel(self, b, operand, image, group, window, places):
        """The element of x that the window at ``places`` has at ``window``."""
        c = self.c
        channel, *offsets = window
        at, fits = [], None
        for d, (i, q) in enumerate(zip(offsets, places, strict=True)):
            position = b.add(b.mul(q, i64(c.stride[d])), b.mul(i, i64(c.dilation[d])))
            if c.padding[d]:  # else all windows lie inside
                position = b.sub(position, i64(c.padding[d]))
                inside = below(
                    b, (position, self.of(("size", d), c.size[d]))
                )  # a negative one is huge
                fits = inside if fits is None else b.and_(fits, inside)
            at.append(position)
        row = b.add(b.mul(group, i64(self.inputs)), channel)
        return operand, place(b, (image, row, *at), self.steps(operand)), fits

    def _result(self, b, operand, image, group, output, places):
        """An element of the result's gradient."""
        row = b.add(b.mul(group, i64(self.outputs)), output)
        return operand, place(b, (image, row, *places), self.steps(operand)), None

    # Neighbours -------------------------------------------------------------------------------

    @property
    def _plain(self):
        """Whether windows are single elements, one for each element of x."""
        c = self.c
        return {*c.kernel, *c.stride} <= {1} and not any(c.padding)

    def _run(self, operand, lead):
        """How many elements of an operand are read as one, in its dims from ``lead`` on."""
        strides, shape = self.strides[operand], self.ins[operand].shape
        if strides[lead:] != contiguous_strides(shape[lead:]):
            return 1
        return run_of(self.ins[operand].itemsize, prod(shape[lead:]), *strides[:lead])


class _Result(_Convolution):
    open_parts = (1,)

    def _sizes(self, c):
        self.batch = [c.batch, c.groups]
        self.shapes = [self.outputs], [*c.places], [self.inputs, *c.kernel]
        self.runs = self._run(1, 1), self._run(0, 2) if self._plain else 1

    def left(self, b, batch, row, depth):
        return self._weight(b, 1, batch[1], row[0], depth)

    def right(self, b, batch, depth, column):
        return self._pixel(b, 0, batch[0], batch[1], depth, column)

    def index(self, b, batch, row, column):
        return [batch[0], b.add(b.mul(batch[1], i64(self.outputs)), row[0]), *column]


class _InputGradient(_Convolution):
    open_parts = (1,)

    def _sizes(self, c):
        self.batch = [c.batch, c.groups]
        self.shapes = [self.inputs], [*c.size], [self.outputs, *c.kernel]
        single = prod(c.kernel) == 1  # then neighbours of the weight are of several inputs
        self.upright = single, False
        self.runs = self._run(1, 1) if single else 1, self._run(0, 2) if self._plain else 1

    def left(self, b, batch, row, depth):
        output, *offsets = depth
        return self._weight(b, 1, batch[1], output, (row[0], *offsets))

    def right(self, b, batch, depth, column):
        """The gradient of the window that has the element at its place ``depth``."""
        c = self.c
        output, *offsets = depth
        at, fits = [], None
        for d, (i, p) in enumerate(zip(offsets, column, strict=True)):
            step = i64(c.stride[d])
            begin = b.sub(b.add(p, i64(c.padding[d])), b.mul(i, i64(c.dilation[d])))
            inside = below(b, (begin, self.of(("end", d), c.places[d] * c.stride[d])))
            if c.stride[d] > 1:
                whole = b.icmp_unsigned("==", b.urem(begin, step), i64(0))
                inside, begin = b.and_(inside, whole), b.udiv(begin, step)
            fits = inside if fits is None else b.and_(fits, inside)
            at.append(begin)
        return (*self._result(b, 0, batch[0], batch[1], output, at)[:2], fits)

    def index(self, b, batch, row, column):
        return [batch[0], b.add(b.mul(batch[1], i64(self.inputs)), row[0]), *column]


class _WeightGradient(_Convolution):
    upright = False, True
    open_parts = (2,)

    def _sizes(self, c):
        self.batch = [c.groups]
        self.shapes = [self.outputs], [self.inputs, *c.kernel], [c.batch, *c.places]
        self.runs = self._run(0, 2), self._run(1, 2) if self._plain else 1

    def left(self, b, batch, row, depth):
        return self._result(b, 0, depth[0], batch[0], row[0], depth[1:])

    def right(self, b, batch, depth, column):
        return self._pixel(b, 1, depth[0], batch[0], column, depth[1:])

    def index(self, b, batch, row, column):
        columns = self.shapes[1]
        at = place(b, column, contiguous_strides(columns))
        return [b.add(b.mul(batch[0], i64(self.outputs)), row[0]), at]


_FORMS = {"result": _Result, "input_grad": _InputGradient, "weight_grad": _WeightGradient}
