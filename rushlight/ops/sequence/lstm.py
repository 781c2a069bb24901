"""The long short-term memory (LSTM): one layer over a whole sequence, in one direction.

Source: Hochreiter and Schmidhuber 1997; Sak et al. 2014 for the projection.
"""

from functools import lru_cache

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

__all__ = ["lstm_layer"]


def _quarters(z, n):
    """The four parts of ``z``'s columns: the gates i, f, g and o."""
    return z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n], z[:, 3 * n :]


@lru_cache(4)
def _scales(rows, n, dtype):
    """(scale, shift) such that tanh(scale · z) · scale + shift gives all four gates at once.

    For the gates i, f and o both are ½, because σ(z) = ½ tanh(½ z) + ½. For g, which is tanh(z),
    scale is 1 and shift is 0. Both arrays have ``rows`` equal rows.
    """
    scale = np.full((rows, 4 * n), 0.5, dtype)
    shift = scale.copy()
    scale[:, 2 * n : 3 * n] = 1
    shift[:, 2 * n : 3 * n] = 0
    return scale, shift


# On arrays --------------------------------------------------------------------------------


@kernel(public=False, method=False, prepare=memorised, again=True, spared=("bias",))
def lstm_layer(
    xp, drive, h, c, weight, bias=None, projection=None, *, sizes, reverse=False, memo=None
):
    """(h of all steps, the last h, the last c) from the first ``h`` and ``c`` (batch, features).

    Shape: drive (rows, 4 · hidden), weight (4 · hidden, h), bias (4 · hidden), projection
    (h, hidden) → (rows, h), (batch, h), (batch, hidden).
    """
    found = _by_kernel(drive, h, c, weight, bias, sizes, reverse) if projection is None else None
    if found is not None:
        if memo is not None:
            memo[:] = found
        return found[3], *[last_rows(found[k], sizes, reverse) for k in (3, 1)]
    n = c.shape[1]
    scale, shift = _scales(max(len(h), 1), n, drive.dtype)
    gates = drive * scale[:1]
    if bias is not None:
        gates += bias * scale[0]
    matrix = (weight * scale[0][:, None]).T
    cells, bounded = (xp.empty((len(drive), n), drive.dtype) for _ in range(2))
    hidden = xp.empty_like(cells)
    out = hidden if projection is None else xp.empty((len(drive), h.shape[1]), drive.dtype)
    order = steps(sizes, reverse)
    state, cell = State(h, order[0][1]), State(c, order[0][1])
    met = None
    for start, count in order:
        rows = slice(start, start + count)
        z = gates[rows]
        if met is None or met.shape[0] != count:
            met, new_part = xp.empty_like(z), xp.empty((count, n), z.dtype)
            factor, term = scale[:count], shift[:count]
        z += matrix_product(state.of(count), matrix, met)
        xp.tanh(z, z)
        z *= factor
        z += term
        i, f, g, o = _quarters(z, n)
        new = xp.multiply(f, cell.of(count), cells[rows])
        new += xp.multiply(i, g, new_part)
        cell.now = new
        state.now = xp.multiply(o, xp.tanh(new, bounded[rows]), hidden[rows])
        if projection is not None:
            state.now = matrix_product(state.now, projection.T, out[rows])
    if memo is not None:
        memo[:] = gates, cells, bounded, hidden
    return out, state.final().copy(), cell.final().copy()


def _by_kernel(drive, h, c, weight, bias, sizes, reverse):
    """The gates, cells, tanh(cells) and results of all steps of a small layer; None: use NumPy."""
    gates = room(drive, drive.shape)
    if gates is None:
        return None
    cells, bounded, out = (room(drive, (len(drive), c.shape[1])) for _ in range(3))
    done = by_kernel(
        "lstm", sizes, reverse, drive=drive, h=h, c=c, matrix=weight.T, bias=bias,
        product=room(drive, (sizes[0], drive.shape[1])), gates=gates, cells=cells, bounded=bounded,
        out=out,
    )  # fmt: skip
    return (gates, cells, bounded, out) if done else None


def _slopes(g, memo, drive, h, c, weight, bias, projection, out, sizes, reverse):
    """The gradients of drive, h, c, weight, bias and projection, on arrays."""
    slope, to_h, to_c, arrived = (
        projection is None and _slopes_by_kernel(g, memo, c, weight, sizes, reverse)
    ) or _slopes_of_steps(g, memo, c, weight, projection, sizes, reverse)
    to_weight = matrix_product(slope.T, before(out, h, sizes, reverse))
    to_bias = None if bias is None else slope.sum(0)
    to_projection = None if projection is None else matrix_product(arrived.T, memo[3])
    return slope, to_h, to_c, to_weight, to_bias, to_projection


def _slopes_by_kernel(g, memo, c, weight, sizes, reverse):
    """``_slopes_of_steps`` of a small layer without projection; None: use NumPy."""
    gates, cells, bounded, _ = memo
    slope, owed, owed_cell = np.empty_like(gates), g[1].copy(), g[2].copy()
    done = by_kernel(
        "lstm_back", sizes, reverse, slope=slope, g_out=g[0], gates=gates, bounded=bounded,
        cells=cells, c=c, owed=owed, owed_cell=owed_cell, weight=weight,
    )  # fmt: skip
    return (slope, owed, owed_cell, None) if done else None


def _slopes_of_steps(g, memo, c, weight, projection, sizes, reverse):
    """The gradients of drive, of the first h and c, and of each step's h before the projection."""
    gates, cells, bounded, _ = memo
    n = c.shape[1]
    g_out, g_h, g_c = g
    i, f, u, o = _quarters(gates, n)
    to_cell = o * (1 - bounded * bounded)
    slope = np.empty_like(gates)  # first the derivative of c (for o: of h) by each gate's argument
    si, sf, su, so = _quarters(slope, n)
    np.multiply(u, i * (1 - i), si)
    np.multiply(before(cells, c, sizes, reverse), f * (1 - f), sf)
    np.multiply(i, 1 - u * u, su)
    np.multiply(bounded, o * (1 - o), so)
    back = steps(sizes, not reverse)
    state, cell = State(g_h, back[0][1]), State(g_c, back[0][1])
    arrived = g_out if projection is None else np.empty_like(g_out)
    for start, count in back:
        rows = slice(start, start + count)
        dh = state.of(count) + g_out[rows]
        if projection is not None:
            arrived[rows] = dh
            dh = matrix_product(dh, projection)
        dc = dh * to_cell[rows]
        dc += cell.of(count)
        z = slope[rows]
        z[:, 3 * n :] *= dh
        quarters = z.reshape(count, 4, n)[:, :3]
        quarters *= dc[:, None]
        dc *= f[rows]
        cell.now = dc
        state.now = matrix_product(z, weight)
    return slope, state.final(), cell.final(), arrived


# On tensors -------------------------------------------------------------------------------


def _run(drive, h, c, weight, bias, projection, sizes, reverse):
    """(results, a tuple for each step: i, f, g, o, the h and c before, tanh(c), o · tanh(c))."""
    n = c.shape[1]
    drive = drive if bias is None else drive + bias
    matrix = weight.t()
    order = steps(sizes, reverse)
    state, cell = State(h, order[0][1]), State(c, order[0][1])
    found, outs = [], []
    for start, count in order:
        h0, c0 = state.of(count), cell.of(count)
        z = drive[start : start + count] + h0.mm(matrix)
        i, f, g, o = _quarters(z, n)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        cell.now = f * c0 + i * g
        bounded = cell.now.tanh()
        hidden = o * bounded
        state.now = hidden if projection is None else hidden.mm(projection.t())
        outs.append(state.now)
        found.append((i, f, g, o, h0, c0, bounded, hidden))
    return (arrivals(outs, reverse), state.final(), cell.final()), found


def _slopes_of_tensors(g, drive, h, c, weight, bias, projection, sizes, reverse):
    """``_slopes`` on tensors. The forward is computed again from the inputs."""
    _, found = _run(drive, h, c, weight, bias, projection, sizes, reverse)
    g_out, g_h, g_c = g
    back = steps(sizes, not reverse)
    state, cell = State(g_h, back[0][1]), State(g_c, back[0][1])
    zs, arrived = [], []
    for (start, count), (i, f, u, o, _, c0, bounded, _) in zip(back, found[::-1], strict=True):
        dh = state.of(count) + g_out[start : start + count]
        if projection is not None:
            arrived.append(dh)
            dh = dh.mm(projection)
        dc = cell.of(count) + dh * o * (1 - bounded * bounded)
        z = cat([
            dc * u * i * (1 - i), dc * c0 * f * (1 - f), dc * i * (1 - u * u),
            dh * bounded * o * (1 - o),
        ], 1)  # fmt: skip
        cell.now = dc * f
        state.now = z.mm(weight)
        zs.append(z)
    slope = arrivals(zs, not reverse)
    to_weight = slope.t().mm(arrivals([step[4] for step in found], reverse))
    to_projection = None
    if projection is not None:
        hidden = arrivals([step[7] for step in found], reverse)
        to_projection = arrivals(arrived, not reverse).t().mm(hidden)
    to_bias = None if bias is None else slope.sum(0)
    return slope, state.final(), cell.final(), to_weight, to_bias, to_projection


@kernel(public=False, method=False)
def lstm_layer_backward(
    xp, g_out, g_h, g_c, drive, h, c, weight, bias=None, projection=None, *, sizes, reverse
):
    """The gradients of ``lstm_layer``'s inputs from the gradients of its results."""
    memo: list = []
    operands = (drive, h, c, weight, bias, projection)
    out, *_ = lstm_layer.op.forward(xp, *operands, sizes=sizes, reverse=reverse, memo=memo)
    found = _slopes((g_out, g_h, g_c), memo, *operands, out, sizes, reverse)
    return tuple([a for a in found if a is not None])


@lstm_layer.lower
def _lowered(drive, h, c, weight, bias, projection, sizes, reverse):
    if len(sizes) > UNROLLED:
        return NotImplemented
    return _run(drive, h, c, weight, bias, projection, sizes, reverse)[0]


@lstm_layer_backward.lower
def _lowered_back(g_out, g_h, g_c, drive, h, c, weight, bias, projection, sizes, reverse):
    if len(sizes) > UNROLLED:
        return NotImplemented
    operands = (drive, h, c, weight, bias, projection)
    found = _slopes_of_tensors((g_out, g_h, g_c), *operands, sizes, reverse)
    return tuple([t for t in found if t is not None])


def _rule(g, drive, h, c, weight, bias, projection, out, sizes, reverse, memo):
    g = filled(g, out, drive)
    operands = (drive, h, c, weight, bias, projection)
    if type(drive) is ndarray:
        return _slopes(g, memo, *operands, out[0], sizes, reverse)
    if mode.records():  # to be differentiated again
        return _slopes_of_tensors(g, *operands, sizes, reverse)
    found = iter(lstm_layer_backward(*g, *operands, sizes=sizes, reverse=reverse))
    return [None if t is None else next(found) for t in operands]


define(lstm_layer, _rule)
