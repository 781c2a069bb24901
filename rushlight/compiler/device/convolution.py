"""Convolutions and their gradients as products whose factors' elements are looked up.

Each is a sum over a depth, as a product of matrices is: over the elements of a window, over the
windows that an element lies in, or over all places of all images. ``product.Tiles`` does the rest.
"""

from math import prod

from rushlight.compiler.codegen.scope import i64
from rushlight.compiler.cpu.convolution import describe
from rushlight.compiler.device.product import Tiles, place, unravel
from rushlight.compiler.ir.abstract import Abstract

__all__ = ["convolution"]


def convolution(group, kernel, schedule):
    """The work for a convolution, or for one of its gradients."""
    return _FORMS[group.members[0].op.form](group, kernel, schedule)


class _Convolution(Tiles):
    """What the three forms share; see ``cpu.convolution.Convolution`` for the description."""

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
        raise NotImplementedError

    def _shape(self):
        return self.c

    def _weight(self, b, operand, group, output, window):
        """An element of the weight; ``window``: (input channel, place in the window …)."""
        row = b.add(b.mul(group, i64(self.outputs)), output)
        return operand, place(b, (row, *window), self.strides[operand]), None

    def _pixel(self, b, operand, image, group, window, places):
        """The element of x that the window at ``places`` has at ``window``."""
        c = self.c
        channel, *offsets = window
        at, fits = [], None
        for d, (i, q) in enumerate(zip(offsets, places, strict=True)):
            position = b.add(b.mul(q, i64(c.stride[d])), b.mul(i, i64(c.dilation[d])))
            position = b.sub(position, i64(c.padding[d]))
            inside = b.icmp_unsigned("<", position, i64(c.size[d]))  # a negative one is huge
            fits = inside if fits is None else b.and_(fits, inside)
            at.append(position)
        row = b.add(b.mul(group, i64(self.inputs)), channel)
        return operand, place(b, (image, row, *at), self.strides[operand]), fits

    def _result(self, b, operand, image, group, output, places):
        """An element of the result's gradient."""
        row = b.add(b.mul(group, i64(self.outputs)), output)
        return operand, place(b, (image, row, *places), self.strides[operand]), None


class _Result(_Convolution):
    def _sizes(self, c):
        self.batch, self.m, self.n = [c.batch, c.groups], self.outputs, prod(c.places)
        self.window = [self.inputs, *c.kernel]
        self.depth = prod(self.window)

    def _left(self, b, batch, row, depth):
        return self._weight(b, 1, batch[1], row, unravel(b, depth, self.window))

    def _right(self, b, batch, depth, column):
        window, places = unravel(b, depth, self.window), unravel(b, column, self.c.places)
        return self._pixel(b, 0, batch[0], batch[1], window, places)

    def _index(self, b, batch, row, column):
        channel = b.add(b.mul(batch[1], i64(self.outputs)), row)
        return [batch[0], channel, *unravel(b, column, self.c.places)]


class _InputGradient(_Convolution):
    def _sizes(self, c):
        self.batch, self.m, self.n = [c.batch, c.groups], self.inputs, prod(c.size)
        self.window = [self.outputs, *c.kernel]
        self.depth = prod(self.window)

    def _left(self, b, batch, row, depth):
        output, *offsets = unravel(b, depth, self.window)
        return self._weight(b, 1, batch[1], output, (row, *offsets))

    def _right(self, b, batch, depth, column):
        """The gradient of the window that has the element at its place ``depth``."""
        c = self.c
        output, *offsets = unravel(b, depth, self.window)
        at, fits = [], None
        for d, (i, p) in enumerate(zip(offsets, unravel(b, column, c.size), strict=True)):
            step = i64(c.stride[d])
            begin = b.sub(b.add(p, i64(c.padding[d])), b.mul(i, i64(c.dilation[d])))
            inside = b.and_(
                b.icmp_unsigned("<", begin, i64(c.places[d] * c.stride[d])),
                b.icmp_unsigned("==", b.urem(begin, step), i64(0)),
            )
            fits = inside if fits is None else b.and_(fits, inside)
            at.append(b.udiv(begin, step))
        return (*self._result(b, 0, batch[0], batch[1], output, at)[:2], fits)

    def _index(self, b, batch, row, column):
        channel = b.add(b.mul(batch[1], i64(self.inputs)), row)
        return [batch[0], channel, *unravel(b, column, self.c.size)]


class _WeightGradient(_Convolution):
    def _sizes(self, c):
        self.window, self.all = [self.inputs, *c.kernel], [c.batch, *c.places]
        self.batch, self.m, self.n = [c.groups], self.outputs, prod(self.window)
        self.depth = prod(self.all)

    def _left(self, b, batch, row, depth):
        image, *places = unravel(b, depth, self.all)
        return self._result(b, 0, image, batch[0], row, places)

    def _right(self, b, batch, depth, column):
        image, *places = unravel(b, depth, self.all)
        return self._pixel(b, 1, image, batch[0], unravel(b, column, self.window), places)

    def _index(self, b, batch, row, column):
        return [b.add(b.mul(batch[0], i64(self.outputs)), row), column]


_FORMS = {"result": _Result, "input_grad": _InputGradient, "weight_grad": _WeightGradient}
