"""Sums of large arrays of half precision, which loops of machine code read as they are."""

from math import prod

import numpy as np

from rushlight.backend import native

__all__ = ["sum_of_halves"]

_SINGLE = np.dtype("f4")


def sum_of_halves(x, dim, keepdim=False, divisor=1):
    """The sums over the tuple ``dim`` of an array in C order, divided by ``divisor``; or None.

    The dims must be neighbours. Sums are computed in float32, and rounded once. Numbers of 8 bits
    are not added.
    """
    if x.size < native.LEAST_LOOP or x.itemsize < 2 or not x.flags.c_contiguous or not dim:
        return None
    first, last = min(dim), max(dim)
    if len(dim) < last - first + 1:
        return None
    before, n, behind = [prod(x.shape[k]) for k in (
        slice(first), slice(first, last + 1), slice(last + 1, None),
    )]  # fmt: skip
    shape = *x.shape[:first], *(1,) * (len(dim) * keepdim), *x.shape[last + 1 :]
    loop, parts = (_rows, 64) if behind == 1 else (_columns, 2 * behind)
    given = x, float(divisor), before, n, behind
    found = native.looped(loop, given, [(shape, x.dtype), ((parts,), _SINGLE)])
    return found and found[0]


def _rows(x, divisor, before, n, behind, out, parts):
    """The sums of the rows of x (before, n), in 64 parts at a time."""
    for a in range(before):
        start = a * n
        whole = n - n % 64
        for j in range(64):
            parts[j] = 0.0
        for i in range(start, start + whole, 64):
            for j in range(64):
                parts[j] += x[i + j]
        for j in range(32):
            parts[j] += parts[j + 32]
        for j in range(16):
            parts[j] += parts[j + 16]
        for j in range(8):
            parts[j] += parts[j + 8]
        total = 0.0
        for j in range(8):
            total += parts[j]
        for i in range(start + whole, start + n):
            total += x[i]
        out[a] = total / divisor


def _columns(x, divisor, before, n, behind, out, parts):
    """The sums over the middle dim of x (before, n, behind), 256 rows at a time."""
    for a in range(before):
        for j in range(behind):
            parts[j] = 0.0
        for block in range(0, n, 256):
            for j in range(behind, 2 * behind):
                parts[j] = 0.0
            for i in range(a * n + block, a * n + min(block + 256, n)):
                for j in range(behind):
                    parts[behind + j] += x[i * behind + j]
            for j in range(behind):
                parts[j] += parts[behind + j]
        for j in range(behind):
            out[a * behind + j] = parts[j] / divisor
