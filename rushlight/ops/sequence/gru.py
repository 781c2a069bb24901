"""The gated recurrent unit (GRU): one layer over a whole sequence, in one direction.

Source: Cho et al. 2014, in the variant whose reset gate acts on the product with the state.
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
    memorised,
    room,
    steps,
)
from rushlight.ops.shape.join import cat

__all__ = ["gru_layer"]

# On arrays --------------------------------------------------------------------------------


@kernel(public=False, method=False, prepare=memorised, again=True, spared=("bias",))
def gru_layer(xp, drive, h, weight, bias=None, *, sizes, reverse=False, memo=None):
    """(h of all steps, the last h) from the first ``h`` (batch, hidden).

    The columns of ``drive`` belong to the gates r and z and to the new value n. A step computes
    h = (1 - z) · n + z · h.

    Shape: drive (rows, 3 · hidden), weight (3 · hidden, hidden), bias (3 · hidden) →
    (rows, hidden), (batch, hidden).
    """
    found = _by_kernel(drive, h, weight, bias, sizes, reverse)
    if found is not None:
        *kept, out = found
        if memo is not None:
            memo[:] = kept
        return out, last_rows(out, sizes, reverse)
    n = h.shape[1]
    gates = drive.copy()
    gates[:, : 2 * n] *= 0.5  # σ(z) = ½ tanh(½ z) + ½
    matrix = weight.T.copy()
    matrix[:, : 2 * n] *= 0.5
    heard = xp.empty((len(drive), n), drive.dtype)  # the state's part of n before the reset gate
    if bias is not None:
        gates[:, : 2 * n] += bias[: 2 * n] * 0.5
    out = xp.empty_like(heard)
    order = steps(sizes, reverse)
    state = State(h, order[0][1])
    for start, count in order:
        rows = slice(start, start + count)
        last = state.of(count)
        product = matrix_product(last, matrix)
        gate, new = gates[rows, : 2 * n], gates[rows, 2 * n :]
        gate += product[:, : 2 * n]
        xp.tanh(gate, gate)
        gate *= 0.5
        gate += 0.5
        x = heard[rows]
        if bias is None:
            x[:] = product[:, 2 * n :]
        else:
            xp.add(product[:, 2 * n :], bias[2 * n :], x)
        new += gate[:, :n] * x
        xp.tanh(new, new)
        kept = xp.subtract(last, new, out[rows])
        kept *= gate[:, n:]
        kept += new
        state.now = kept
    if memo is not None:
        memo[:] = gates, heard
    return out, state.final().copy()


def _by_kernel(drive, h, weight, bias, sizes, reverse):
    """(gates, heard, results) of all steps of a small layer; None: use NumPy."""
    gates = room(drive, drive.shape)
    if gates is None:
        return None
    heard, out = (room(drive, (len(drive), h.shape[1])) for _ in range(2))
    done = by_kernel(
        "gru", sizes, reverse, drive=drive, h=h, matrix=weight.T, bias=bias, gates=gates,
        product=room(drive, (sizes[0], drive.shape[1])), heard=heard, out=out,
    )  # fmt: skip
    return (gates, heard, out) if done else None


def _slopes(g, memo, drive, h, weight, bias, out, sizes, reverse):
    """The gradients of drive, h, weight and bias, on arrays."""
    last = before(out, h, sizes, reverse)
    slope, to_new, to_h = _slopes_by_kernel(
        g, memo, h, weight, out, sizes, reverse
    ) or _slopes_of_steps(g, memo, weight, last, sizes, reverse)
    to_weight = matrix_product(slope.T, last)
    to_bias = None if bias is None else slope.sum(0)
    slope[:, 2 * h.shape[1] :] = to_new
    return slope, to_h, to_weight, to_bias


def _slopes_by_kernel(g, memo, h, weight, out, sizes, reverse):
    """``_slopes_of_steps`` of a small layer; None: use NumPy."""
    gates, heard = memo
    slope, to_new, owed = np.empty_like(gates), np.empty_like(heard), g[1].copy()
    done = by_kernel(
        "gru_back", sizes, reverse, slope=slope, to_new=to_new, g_out=g[0], gates=gates,
        heard=heard, out=out, h=h, owed=owed, weight=weight,
    )  # fmt: skip
    return (slope, to_new, owed) if done else None


def _slopes_of_steps(g, memo, weight, last, sizes, reverse):
    """The gradients of h weightᵀ + bias, of the argument of the new value, and of the first h."""
    gates, heard = memo
    n = last.shape[1]
    g_out, g_h = g
    r, z, new = gates[:, :n], gates[:, n : 2 * n], gates[:, 2 * n :]
    slope = gates.copy()  # first d h / d (h weightᵀ + bias), times dh in the loop
    to_new = (1 - z) * (1 - new * new)
    slope[:, :n] = to_new * heard * r * (1 - r)
    slope[:, n : 2 * n] = (last - new) * z * (1 - z)
    slope[:, 2 * n :] = to_new * r
    back = steps(sizes, not reverse)
    state = State(g_h, back[0][1])
    for start, count in back:
        rows = slice(start, start + count)
        dh = state.of(count) + g_out[rows]
        s = slope[rows]
        s.reshape(count, 3, n)[:] *= dh[:, None]
        to_new[rows] *= dh
        dh *= z[rows]
        dh += matrix_product(s, weight)
        state.now = dh
    return slope, to_new, state.final()


# On tensors -------------------------------------------------------------------------------


def _run(drive, h, weight, bias, sizes, reverse):
    """(results, a tuple for each step: r, z, the new value, ``heard``, the h before the step)."""
    n = h.shape[1]
    matrix = weight.t()
    order = steps(sizes, reverse)
    state = State(h, order[0][1])
    found, outs = [], []
    for start, count in order:
        last = state.of(count)
        x = drive[start : start + count]
        y = last.mm(matrix)
        y = y if bias is None else y + bias
        r = (x[:, :n] + y[:, :n]).sigmoid()
        z = (x[:, n : 2 * n] + y[:, n : 2 * n]).sigmoid()
        heard = y[:, 2 * n :]
        new = (x[:, 2 * n :] + r * heard).tanh()
        state.now = (last - new) * z + new
        outs.append(state.now)
        found.append((r, z, new, heard, last))
    return (arrivals(outs, reverse), state.final()), found


def _slopes_of_tensors(g, drive, h, weight, bias, sizes, reverse):
    """``_slopes`` on tensors. The forward is computed again from the inputs."""
    _, found = _run(drive, h, weight, bias, sizes, reverse)
    g_out, g_h = g
    back = steps(sizes, not reverse)
    state = State(g_h, back[0][1])
    to_drive, to_product = [], []
    for (start, count), (r, z, new, heard, last) in zip(back, found[::-1], strict=True):
        dh = state.of(count) + g_out[start : start + count]
        to_new = dh * (1 - z) * (1 - new * new)
        to_r = to_new * heard * r * (1 - r)
        to_z = dh * (last - new) * z * (1 - z)
        product = cat([to_r, to_z, to_new * r], 1)
        state.now = dh * z + product.mm(weight)
        to_drive.append(cat([to_r, to_z, to_new], 1))
        to_product.append(product)
    product = arrivals(to_product, not reverse)
    to_weight = product.t().mm(arrivals([step[4] for step in found], reverse))
    to_bias = None if bias is None else product.sum(0)
    return arrivals(to_drive, not reverse), state.final(), to_weight, to_bias


@kernel(public=False, method=False)
def gru_layer_backward(xp, g_out, g_h, drive, h, weight, bias=None, *, sizes, reverse):
    """The gradients of ``gru_layer``'s inputs from the gradients of its results."""
    memo: list = []
    out, _ = gru_layer.op.forward(
        xp, drive, h, weight, bias, sizes=sizes, reverse=reverse, memo=memo
    )
    found = _slopes((g_out, g_h), memo, drive, h, weight, bias, out, sizes, reverse)
    return tuple([a for a in found if a is not None])


@gru_layer.lower
def _lowered(drive, h, weight, bias, sizes, reverse):
    if len(sizes) > UNROLLED:
        return NotImplemented
    return _run(drive, h, weight, bias, sizes, reverse)[0]


@gru_layer_backward.lower
def _lowered_back(g_out, g_h, drive, h, weight, bias, sizes, reverse):
    if len(sizes) > UNROLLED:
        return NotImplemented
    found = _slopes_of_tensors((g_out, g_h), drive, h, weight, bias, sizes, reverse)
    return tuple([t for t in found if t is not None])


def _rule(g, drive, h, weight, bias, out, sizes, reverse, memo):
    g = filled(g, out, drive)
    if type(drive) is ndarray:
        return _slopes(g, memo, drive, h, weight, bias, out[0], sizes, reverse)
    if mode.records():  # to be differentiated again
        return _slopes_of_tensors(g, drive, h, weight, bias, sizes, reverse)
    found = gru_layer_backward(*g, drive, h, weight, bias, sizes=sizes, reverse=reverse)
    return found if bias is not None else (*found, None)


define(gru_layer, _rule, spared_by_one_step="weight")
