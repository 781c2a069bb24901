"""What PTX's instructions for matrices and asynchronous copies do.

The places of a matrix's elements in registers are those of NVIDIA's PTX ISA, "Matrix fragments for
mma" and "Warp-level matrix load instruction: ldmatrix".
"""

import re

import numpy as np
from ml_dtypes import bfloat16

from tests.device.ptx.instructions import INSTRUCTIONS, instruction, parts_of
from tests.device.ptx.memory import Fault

__all__ = ["INSTRUCTIONS"]

_WARP = 32
_LANES = np.arange(_WARP)
_GROUP, _OWN = _LANES // 4, _LANES % 4


def _warps(r, mask):
    """The numbers of the warps that come by; Fault if only some threads of one do."""
    if mask is None:
        return np.arange(r.n // _WARP)
    whole = mask.reshape(-1, _WARP)
    if (whole.any(1) != whole.all(1)).any():
        raise Fault("an instruction of a whole warp that only some of its threads come by")
    return np.flatnonzero(whole.all(1))


@instruction("ldmatrix")
def _load_matrices(r, words, args, mask):
    warps = _warps(r, mask)
    into = parts_of(args[0])
    rows = np.zeros((r.n // _WARP, _WARP), bool)
    rows[warps, : 8 * len(into)] = True
    raw, at, threads = r.where(args[1], "shared_memory", 16, rows.reshape(-1), False)
    found = np.zeros((r.n, 8), np.uint16)
    found[threads] = raw.view(np.uint16).reshape(-1, 8)[at // 16]
    found = found.reshape(-1, _WARP, 8)
    for k, name in enumerate(into):
        matrix = found[:, 8 * k : 8 * k + 8]
        if "trans" in words:
            matrix = matrix.transpose(0, 2, 1)
        r.set(name, np.ascontiguousarray(matrix).view(np.uint32).reshape(-1), mask)


@instruction("mma")
def _multiply(r, words, args, mask):
    _warps(r, mask)
    shape = next(w for w in words if re.fullmatch(r"m\d+n\d+k\d+", w))
    m, n, k = map(int, re.findall(r"\d+", shape))
    kind = words[-3]
    names = [parts_of(a) for a in args]
    left, right = [np.stack([r.value(name, "b32") for name in names[i]], 1).reshape(-1, _WARP,
                   len(names[i])) for i in (1, 2)]  # fmt: skip
    per, of = (1, _rounded) if kind == "tf32" else (2, _HALVES[kind])
    a, b = np.zeros((len(left), m, k)), np.zeros((len(left), k, n))
    assert (left.shape[2], right.shape[2]) == (m * k // 32 // per, n * k // 32 // per)
    for register in range(left.shape[2]):  # lower and upper rows, then these further in the depth
        own = of(left[:, :, register])
        for i in range(per):
            depth = per * _OWN + i + 4 * per * (register // 2)
            a[:, _GROUP + 8 * (register % 2), depth] = own[:, :, i]
    for register in range(right.shape[2]):
        own = of(right[:, :, register])
        for i in range(per):
            b[:, per * _OWN + i + 4 * per * register, _GROUP] = own[:, :, i]
    product = a @ b
    totals = [r.value(name, "f32").reshape(-1, _WARP) for name in names[3]]
    for j, (name, total) in enumerate(zip(names[0], totals, strict=True)):
        found = total + product[:, _GROUP + 8 * (j // 2), 2 * _OWN + j % 2]
        r.set(name, found.astype(np.float32).reshape(-1), mask)


def _halves(dtype):
    return lambda bits: np.ascontiguousarray(bits)[..., None].view(dtype).astype(np.float64)


_HALVES = {"f16": _halves(np.float16), "bf16": _halves(bfloat16)}


def _rounded(bits):
    """TF32: the instruction does not look at the last 13 bits."""
    return (bits[..., None] & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)


# Copies -------------------------------------------------------------------------------------


@instruction("cp")
def _copy(r, words, args, mask):
    if words[2] == "bulk":
        INSTRUCTIONS["cp.async.bulk"](r, words, args, mask)
    elif words[2] == "commit_group":
        r.copies.commit(mask)
    elif words[2] == "wait_group":
        r.copies.wait(mask, int(args[0]))
    elif words[2] == "wait_all":
        r.copies.wait(mask, -1)
    else:
        _begin(r, args, mask)


def _begin(r, args, mask):
    """Begin a copy. It lands when it is waited for; until then nobody may look at its target."""
    size = int(args[2])
    shared, target, threads = r.where(args[0], "shared_memory", size, mask, True)
    counts = r.value(args[3], "u32").astype(np.int64) if len(args) > 3 else np.full(r.n, size)
    data = np.zeros((threads.size, size), np.uint8)
    if (counts[threads] > size).any():
        raise Fault(f"a copy of more than {size} bytes")
    for count in np.unique(counts[threads]):
        if count:
            reads = counts == count if mask is None else mask & (counts == count)
            raw, at, readers = r.where(args[1], "global_memory", size, reads, False, int(count))
            data[np.isin(threads, readers), :count] = raw[at[:, None] + np.arange(count)]
    r.copies.begin(shared, target, threads, data)


class Copies:
    """The asynchronous copies of a launch that have not landed.

    Args:
        launch: The ``Launch``.
    """

    def __init__(self, launch):
        self.launch = launch
        self.groups = np.zeros(launch.n, np.int64)  # how many each thread has made
        self.pending: list = []  # (memory, targets, threads, groups, data)
        self.targets = np.zeros(launch.shared.size, bool)

    def begin(self, memory, target, threads, data):
        self.pending.append((memory, target, threads, self.groups[threads], data))
        self._mark(target, data, True)

    def _mark(self, target, data, on):
        self.targets[target[:, None] + np.arange(data.shape[1])] = on

    def check(self, at, size):
        """Raise Fault if a copy to one of the bytes has not landed."""
        if self.pending and self.targets[at[:, None] + np.arange(size)].any():
            raise Fault("a race with an asynchronous copy that nobody waited for")

    def commit(self, mask):
        self.groups += 1 if mask is None else mask

    def wait(self, mask, but):
        """Let those copies of threads land that are not of their last ``but`` groups; -1: all."""
        still: list = []
        for memory, target, threads, groups, data in self.pending:
            landing = groups < self.groups[threads] - but
            if mask is not None:
                landing &= mask[threads]
            if landing.any():
                self._land(memory, target[landing], threads[landing], data[landing])
            if not landing.all():
                rest = ~landing
                still.append((memory, target[rest], threads[rest], groups[rest], data[rest]))
        self.pending = still

    def _land(self, memory, target, threads, data):
        memory[target[:, None] + np.arange(data.shape[1])] = data
        self._mark(target, data, False)
        self.launch.note("shared_memory", target, data.shape[1], threads, True)
