"""The plain recurrent layer, h = f(drive + W h), over a whole sequence in one direction.

Source: Elman 1990.
"""

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.backend.products import matrix_product
from rushlight.ops.core.kinds import kernel
from rushlight.ops.sequence.recurrent import (
    UNROLLED,
    State,
    arrivals,
    before,
    by_kernel,
    define,
    filled,
    last_rows,
    room,
    steps,
)

__all__ = ["rnn_layer"]

# On arrays --------------------------------------------------------------------------------


@kernel(public=False, method=False, again=True, spared=("bias",))
def rnn_layer(xp, drive, h, weight, bias=None, *, relu, sizes, reverse=False):
    """(h of all steps, the last h) from the first ``h`` (batch, hidden).

    The activation f is relu with ``relu``, else tanh.

    Shape: drive (rows, hidden), weight (hidden, hidden), bias (hidden) → (rows, hidden),
    (batch, hidden).
    """
    name = "relu" if relu else "tanh"
    out = room(drive, drive.shape)
    if out is not None and by_kernel(
        name, sizes, reverse, drive=drive, h=h, matrix=weight.T, bias=bias, out=out,
        product=room(drive, (sizes[0], drive.shape[1])),
    ):  # fmt: skip
        return out, last_rows(out, sizes, reverse)
    out = drive.copy() if bias is None else drive + bias
    matrix = weight.T
    order = steps(sizes, reverse)
    state = State(h, order[0][1])
    for start, count in order:
        now = out[start : start + count]
        now += matrix_product(state.of(count), matrix)
        state.now = xp.maximum(now, 0, out=now) if relu else xp.tanh(now, now)
    return out, state.final().copy()


def _slopes(g, h, weight, bias, out, relu, sizes, reverse):
    """The gradients of drive, h, weight and bias, on arrays."""
    slope, owed = np.empty_like(out), g[1].copy()
    name = "relu_back" if relu else "tanh_back"
    if not by_kernel(name, sizes, reverse, slope=slope, g_out=g[0], out=out, owed=owed,
                     weight=weight):  # fmt: skip
        owed = _fill_slope(slope, g, weight, out, relu, sizes, reverse)
    to_weight = matrix_product(slope.T, before(out, h, sizes, reverse))
    return slope, owed, to_weight, None if bias is None else slope.sum(0)


def _fill_slope(slope, g, weight, out, relu, sizes, reverse):
    """Fill the gradient of drive. Return the gradient of the first h."""
    g_out, g_h = g
    if not relu:
        np.subtract(1, out * out, slope)
    back = steps(sizes, not reverse)
    state = State(g_h, back[0][1])
    for start, count in back:
        s = slope[start : start + count]
        owed = state.of(count) + g_out[start : start + count]
        if relu:  # selected instead of multiplied, because 0 · inf is nan
            s[...] = np.where(out[start : start + count] <= 0, 0, owed)
        else:
            s *= owed
        state.now = matrix_product(s, weight)
    return state.final()


# On tensors -------------------------------------------------------------------------------


def _run(drive, h, weight, bias, relu, sizes, reverse):
    """(results, h before and after each step)."""
    drive = drive if bias is None else drive + bias
    matrix = weight.t()
    order = steps(sizes, reverse)
    state = State(h, order[0][1])
    found, outs = [], []
    for start, count in order:
        last = state.of(count)
        z = drive[start : start + count] + last.mm(matrix)
        state.now = z.relu() if relu else z.tanh()
        outs.append(state.now)
        found.append((last, state.now))
    return (arrivals(outs, reverse), state.final()), found


def _slopes_of_tensors(g, drive, h, weight, bias, relu, sizes, reverse):
    """``_slopes`` on tensors. The forward is computed again from the inputs."""
    _, found = _run(drive, h, weight, bias, relu, sizes, reverse)
    g_out, g_h = g
    back = steps(sizes, not reverse)
    state = State(g_h, back[0][1])
    slopes = []
    for (start, count), (_, new) in zip(back, found[::-1], strict=True):
        dh = state.of(count) + g_out[start : start + count]
        s = dh.masked_fill(new <= 0, 0) if relu else dh * (1 - new * new)
        state.now = s.mm(weight)
        slopes.append(s)
    slope = arrivals(slopes, not reverse)
    to_weight = slope.t().mm(arrivals([last for last, _ in found], reverse))
    return slope, state.final(), to_weight, None if bias is None else slope.sum(0)


@kernel(public=False, method=False)
def rnn_layer_backward(xp, g_out, g_h, drive, h, weight, bias=None, *, relu, sizes, reverse):
    """The gradients of ``rnn_layer``'s inputs from the gradients of its results."""
    out, _ = rnn_layer.op.forward(
        xp, drive, h, weight, bias, relu=relu, sizes=sizes, reverse=reverse
    )
    found = _slopes((g_out, g_h), h, weight, bias, out, relu, sizes, reverse)
    return tuple([a for a in found if a is not None])


@rnn_layer.lower
def _lowered(drive, h, weight, bias, relu, sizes, reverse):
    if len(sizes) > UNROLLED:
        return NotImplemented
    return _run(drive, h, weight, bias, relu, sizes, reverse)[0]


@rnn_layer_backward.lower
def _lowered_back(g_out, g_h, drive, h, weight, bias, relu, sizes, reverse):
    if len(sizes) > UNROLLED:
        return NotImplemented
    found = _slopes_of_tensors((g_out, g_h), drive, h, weight, bias, relu, sizes, reverse)
    return tuple([t for t in found if t is not None])


def _rule(g, drive, h, weight, bias, out, relu, sizes, reverse):
    g = filled(g, out, drive)
    if type(drive) is ndarray:
        return _slopes(g, h, weight, bias, out[0], relu, sizes, reverse)
    if mode.records():  # to be differentiated again
        return _slopes_of_tensors(g, drive, h, weight, bias, relu, sizes, reverse)
    params = {"relu": relu, "sizes": sizes, "reverse": reverse}
    found = rnn_layer_backward(*g, drive, h, weight, bias, **params)
    return found if bias is not None else (*found, None)


define(rnn_layer, _rule, spared_by_one_step="weight")
