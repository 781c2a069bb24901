"""Kernels of pooling: the positions of windows' maxima, and the gradients of maxima and sums.

Maxima and sums themselves are loops over the elements of windows (``ops/windows/window.py``).

A unit of work is a row of results, with lanes along the width. The gradient of an element is
computed as a sum over the windows that contain the element, so nothing is scattered. The gradient
of max pooling first stores the position of each window's maximum. The form ``maxima`` leaves the
positions in the plan's temporary, for ``at_grad``; only eager kernels have it.
"""

from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from rushlight.compiler.codegen.emission import OPEN, Launch, Plan
from rushlight.compiler.codegen.frame import counted, digits, entry, kernel, least, offset, row_end
from rushlight.compiler.codegen.loop import address, lift, loop
from rushlight.compiler.codegen.memory import store
from rushlight.compiler.codegen.value import INT, Value, computed
from rushlight.compiler.codegen.window_reads import of_windows, transposed
from rushlight.compiler.cpu import costs
from rushlight.compiler.cpu.pooling_forms import FORMS
from rushlight.compiler.plan.pieces import share
from rushlight.ops.windows.window import meets

__all__ = ["Pooling", "describe", "emit", "picks", "plan", "resized", "serves"]

_I32 = np.dtype(np.int32)

# Descriptions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Pooling:
    """One pooling operation.

    Attributes:
        form: ``positions``, ``maxima``, ``pick``, ``max_grad``, ``at_grad`` or ``sum_grad``.
        dtype: The dtype of the first operand.
        lead: The shape before the pooled dims.
        size: The sizes of the image's pooled dims.
        places: The number of windows in each pooled dim.
        windows: (kernel size, stride, padding, dilation), or None for the windows of adaptive
            pooling, which cover the image evenly; only devices have kernels for these.
        strides: The element strides of each operand.
        counts_at: As for ``Convolution``; ``lead`` is one dim then.
    """

    form: str
    dtype: np.dtype
    lead: tuple
    size: tuple
    places: tuple
    windows: tuple | None
    strides: tuple
    counts_at: int | None = None

    @property
    def compute(self):
        return computed(self.dtype)

    @property
    def shape(self):
        """The shape of the result."""
        return (*self.lead, *(self.size if self.form.endswith("grad") else self.places))

    @property
    def flops(self):
        """The number of floating-point operations."""
        images, places = prod(self.lead) * prod(self.size), prod(self.lead) * prod(self.places)
        if self.windows is None:
            return max(images, places)
        return min(images, places) * prod(self.windows[0])

    @property
    def reads(self):
        """For each pooled dim, the elements that its windows read."""
        assert self.windows is not None
        dims = zip(self.size, *self.windows, self.places, strict=True)
        return [of_windows(*dim) for dim in dims]


def serves(e):
    """Whether there is a kernel for the pooling ``e``, which has one result."""
    w = e.params.get("windows")
    if len(e.outs) > 1 or (e.op.form == "at_grad" and e.ins[1].dtype != _I32):
        return False
    return e.op.form in FORMS and w is not None and picks(e, w)


def picks(e, w):
    """False if ``e`` picks elements at windows' maxima, and a window has none in the image."""
    return e.op.form != "pick" or bool(meets(e.ins[1].shape[-len(w.places) :], w).all())


def describe(form, ins, out_shape, params):
    """Return the description of an equation: its form, inputs, result's shape and parameters."""
    w = params.get("windows")
    places = tuple(params["places"] if w is None else w.places)
    n = len(places)
    images = dict.fromkeys(("sum_grad", "at_grad"), out_shape)
    images |= dict.fromkeys(("positions", "maxima"), ins[0].shape)
    image = tuple(images[form] if form in images else ins[1].shape)[-n:]
    windows = None if w is None else (w.kernel_size, w.stride, w.padding, w.dilation)
    strides = tuple([tuple([s // x.dtype.itemsize for s in x.strides]) for x in ins])
    return Pooling(form, ins[0].dtype, tuple(out_shape[:-n]), image, places, windows, strides)


# Plans ------------------------------------------------------------------------------------


class _Counts(NamedTuple):
    """The rows of results and the rows of a chunk, of the last kernel and of the first one."""

    rows: Any
    together: Any
    noted: Any = 0
    noted_together: Any = 1


def plan(description, target, name="pooling"):
    """The kernels that compute ``description``; their names start with ``name``."""
    d = description
    if not prod(d.shape):
        return Plan(d, target, (), ())
    counts = _Counts(_rows(d), _together(d))
    launch = Launch(name, ceil(counts.rows / counts.together), 0)
    if d.form not in ("max_grad", "maxima"):
        return Plan(d, target, (launch,), (), counts=counts)
    noting = _noting(d)
    size = max(4, 4 * prod(noting.shape))
    if d.form == "maxima":
        return Plan(d, target, (launch,), (size,), counts=counts)
    counts = _Counts(*counts[:2], _rows(noting), _together(noting))
    first = Launch(f"{name}_positions", ceil(counts.noted / counts.noted_together), 0)
    return Plan(d, target, (first, launch), (size,), counts=counts)


def resized(plan_, images):
    """The plan, whose ``counts_at`` is not None, with the launches and counts for ``images``."""
    d = replace(plan_.description, lead=(images,))
    return plan(d, plan_.target, plan_.kernels[-1].name)


def _rows(d):
    return prod(d.shape[:-1])


def _together(d):
    """The number of rows in a chunk."""
    reads = [transposed(r) for r in d.reads] if d.form.endswith("grad") else d.reads
    work = prod(d.shape) * prod(len(r.table) for r in reads)
    return share(_rows(d), work, costs.POOLING_CHUNK, costs.MOST_PIECES)


def _noting(d):
    """The description of the pooling that finds the positions of the maxima."""
    return replace(d, form="positions")


def emit(module, plan, sink):
    """Add the plan's kernels to ``module``.

    The kernels' ``args`` are the addresses of the operands, of the temporaries, and of the memories
    that the sink uses. The kernels pass each vector of results once to ``sink(b, args, indices,
    value, mask)``. Its lanes run along the result's last dim; ``indices`` (i64) are those of its
    first lane.
    """
    d, target = plan.description, plan.target
    if not plan.kernels:
        return
    if d.form == "max_grad":
        noting = FORMS["positions"](_noting(d), target, operand=1)
        count = lambda b, args: counted(b, args, plan)[2:]
        _emit_rows(module, plan.kernels[0].name, noting, _storing(d), count)
    count = lambda b, args: counted(b, args, plan)[:2]
    if d.form == "maxima":
        sink = _both(sink, _storing(d))
    _emit_rows(module, plan.kernels[-1].name, FORMS[d.form](d, target), sink, count)


def _storing(d):
    """The sink that stores positions in the plan's temporary."""
    shape = (*d.lead, *d.places)
    strides = [prod(shape[i + 1 :]) for i in range(len(shape))]

    def sink(b, args, indices, value, mask):
        place = offset([Value(b, i, INT) for i in indices], strides)
        at = address(b, entry(b, args, len(d.strides)), place, 4)
        store(b, value.astype(_I32), at, _I32, mask)

    return sink


def _both(sink, storing):
    """A sink for pairs: the maxima go to ``sink``, and their positions to ``storing``."""

    def both(b, args, indices, values, mask):
        best, at = values
        sink(b, args, indices, best, mask)
        storing(b, args, indices, at, mask)

    return both


# Rows of results --------------------------------------------------------------------------


def _emit_rows(module, name, form, sink, count):
    """Write the kernel of one form: for each vector of a row, its taps one after the other.

    ``count(b, args)`` gives the number of rows, and of those in a chunk.
    """
    b, args, chunk, _ = kernel(module, name)
    d = form.d
    rows, together = count(b, args)
    start = chunk * together
    hidden = 3 - len(d.size)
    lead = d.lead if isinstance(rows, int) else (OPEN,)
    shape = (*lead, *[1] * hidden, *d.shape[len(d.lead) : -1])
    width = d.shape[-1]
    with loop(b, start, least(start + together, rows)) as row:
        *lead, z, y = digits(row, shape)
        with loop(b, 0, width, form.lanes) as x:
            mask = row_end(b, width, x, form.lanes)
            place = (z, y, x)
            found = form.fold(b, args, lead, place)
            value = form.result(b, args, lead, place, *found)
            sink(b, args, [lift(b, i).v for i in (*lead, *place[hidden:])], value, mask)
    b.ret_void()
