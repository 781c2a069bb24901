"""What PTX's instructions for tensor copies, their barriers and warpgroups do.

A copy lands as late as it may: when somebody waits for its barrier. A product of a warpgroup reads
shared memory until it is waited for, and nobody may look at its totals before.

Source: NVIDIA's PTX ISA, "Shared memory matrix layout", "Tensor copies", "mbarrier".
"""

import re

import numpy as np

from tests.device.ptx.instructions import instruction, parts_of
from tests.device.ptx.matrices import _HALVES, _rounded
from tests.device.ptx.memory import Fault

__all__ = ["Warpgroups", "decoded", "encoded"]

_GROUP = 128  # threads of a warpgroup
_SHARED = 1 << 24


def encoded(kind, address, sizes, strides, box):
    """The stand-in's form of a tensor map: 16 numbers of 64 bits."""
    pad = lambda x, n: [*x, *[0] * (n - len(x))]
    return [address, len(sizes) | kind << 8, *pad(sizes, 5), *pad(strides, 4), *pad(box, 5)]


def decoded(numbers):
    """(kind, address, sizes, strides, box) of a tensor map."""
    address, both, *rest = [int(n) for n in numbers]
    count = both & 255
    return both >> 8, address, rest[:count], rest[5 : 4 + count], rest[9 : 9 + count]


class _Barrier:
    def __init__(self, count, threads):
        self.count = self.left = count
        self.phase = self.bytes = 0
        self.copies: list = []
        self.seen = np.zeros(threads, np.int64)  # how many phases each thread saw end


class Warpgroups:
    """The tensor copies and the products of a launch that nobody has waited for.

    Args:
        launch: The ``Launch``.

    Attributes:
        unready: The registers with totals of products that nobody has waited for.
        changed: The registers that were set after the last fence.
    """

    def __init__(self, launch):
        self.launch, self.barriers = launch, {}
        self.unready: set = set()
        self.changed: set = set()
        self.reading = np.zeros(launch.shared.size, bool)
        self.landing = np.zeros(launch.shared.size, bool)
        #: The barrier whose phase brought each byte, and the number of this phase.
        self.bringer = np.full(launch.shared.size, -1)
        self.brought = np.zeros(launch.shared.size, np.int64)
        self.groups: list = [[]]  # of products; the last one is open
        self.numbered: list = []

    def check(self, at, size, threads, writes):
        """Raise Fault if an access by threads meets a copy or a product under way."""
        where = at[:, None] + np.arange(size)
        if self.landing[where].any():
            raise Fault("a race with a tensor copy that nobody waited for")
        if writes and self.reading[where].any():
            raise Fault("a write to what a product under way reads")
        if writes:
            self.bringer[where] = -1
        else:
            self.see(where.reshape(-1), np.repeat(threads, size))

    def see(self, places, threads):
        """Raise Fault unless the threads saw the phases end that brought the bytes."""
        numbers = self.bringer[places]
        if (numbers < 0).all():
            return
        asked = np.stack([numbers, self.brought[places], threads], 1)[numbers >= 0]
        asked = asked[np.append(True, (asked[1:] != asked[:-1]).any(1))]
        for number, phase, thread in asked:
            if self.numbered[number].seen[thread] < phase:
                raise Fault("a read of a tensor copy by a thread that did not wait for it")

    def barrier(self, block, address):
        if (block, address) not in self.barriers:
            raise Fault("a barrier that nobody made")
        return self.barriers[block, address]

    def start(self, thread, target, numbers, at, address):
        """Begin the copy of a box, whose first element is ``at``."""
        launch, block = self.launch, int(self.launch.block[thread])
        barrier = self.barrier(block, address)
        kind, base, sizes, strides, box = decoded(numbers)
        size = {6: 2, 9: 2, 11: 4}[kind]
        if target % 1024 or len(at) != len(sizes) or base % 16 or any(s % 16 for s in strides):
            raise Fault("a tensor copy or map that is misaligned")
        if box[0] * size != 128:
            raise Fault("a box whose rows are not as wide as the swizzle")
        lines = np.indices(box[:0:-1]).reshape(len(box) - 1, -1)[::-1].T + at[1:]
        data = np.zeros((len(lines), 128), np.uint8)
        rows = np.flatnonzero(((lines >= 0) & (lines < sizes[1:])).all(1))
        low, high = max(at[0], 0), min(at[0] + box[0], sizes[0])
        if low < high and rows.size:  # zeros lie beyond the edges
            first = base - launch.arena.BASE + size * low + lines[rows] @ np.array(strides)
            count, start = (high - low) * size, (low - at[0]) * size
            launch.arena.check(first, count)
            launch.note("global_memory", first, count, np.full(first.size, thread), False)
            found = launch.arena.bytes[first[:, None] + np.arange(count)]
            data[rows, start : start + count] = found
        if kind == 11:
            words = data.view(np.uint32)
            words[...] = (words + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
        places = np.arange(data.size) + target - _SHARED
        launch._within(places, 1, launch.kernel.shared, "shared")
        places = swizzled(places) + block * launch.width
        if self.landing[places].any() or self.reading[places].any():
            raise Fault("a tensor copy to memory that is in use")
        launch.note("shared_memory", places, 1, np.full(places.size, thread), True)
        self.landing[places] = True
        barrier.copies.append((places, data.reshape(-1)))

    def ends(self, barrier, parity):
        """Whether the phase of a ``parity`` has ended; its copies land."""
        if barrier.phase % 2 != parity:
            return True
        for places, data in barrier.copies:
            self.launch.shared[places] = data
            self.landing[places] = False
            if self.launch.races:
                self.launch.shared_races.writer[places] = -1  # ``see`` has the order from now on
            self.bringer[places] = self.numbered.index(barrier)
            self.brought[places] = barrier.phase + 1
            barrier.bytes -= data.size
        barrier.copies = []
        if barrier.left or barrier.bytes:
            raise Fault("a wait for a phase that does not end")
        barrier.phase, barrier.left = barrier.phase + 1, barrier.count
        return True

    def finish(self, but):
        """Wait for all groups of products but the last ``but`` ones."""
        done, self.groups = self.groups[: -1 - but], self.groups[-1 - but :]
        if self.groups[-1]:
            raise Fault("products that are in no group")
        for names, places, threads in [p for group in done for p in group]:
            self.unready -= names
            self.reading[places] = False
            launch = self.launch
            launch.note("shared_memory", places, 1, threads, False)


def swizzled(at):
    """The place of a byte in rows of 128 bytes, whose chunks are in the swizzle's order."""
    return at ^ (at >> 7 & 7) << 4


@instruction("fence")
def _fence(r, words, args, mask):
    """The order of accesses that the fences of these kernels make is not looked at."""


@instruction("mbarrier")
def _barrier(r, words, args, mask):
    threads = np.arange(r.n) if mask is None else np.flatnonzero(mask)
    group, at = r.groups, r._address(args[0] if args[0][0] == "[" else args[1])
    if words[1] == "init":
        for t in threads:
            barrier = _Barrier(int(args[1]), r.n)
            group.barriers[int(r.block[t]), int(at[t])] = barrier
            group.numbered.append(barrier)
    elif words[1] == "arrive":
        for t in threads:
            barrier = group.barrier(int(r.block[t]), int(at[t]))
            if not barrier.left:
                raise Fault("an arrival at a phase that is over")
            barrier.left -= 1
            barrier.bytes += int(r.value(args[2], "u32")[t])
    else:
        parity = r.value(args[2], "u32")
        for key in {(int(r.block[t]), int(at[t])) for t in threads}:
            own = threads[(r.block[threads] == key[0]) & (at[threads] == key[1])]
            barrier = group.barrier(*key)
            if (parity[own] != parity[own[0]]).any():
                raise Fault("threads that wait for different phases")
            group.ends(barrier, int(parity[own[0]]))
            barrier.seen[own] = barrier.phase
        r.set(args[0], np.ones(r.n, bool), mask)


@instruction("cp.async.bulk")
def _copy_box(r, words, args, mask):
    name, *places = re.findall(r"[%\w]+", args[1])
    target, barrier = r._address(args[0]), r._address(args[2])
    at = [r.value(place, "s32") for place in places]
    found = r.value(name, "u64")
    for t in np.arange(r.n) if mask is None else np.flatnonzero(mask):
        numbers = r.tensor_map(int(found[t]))
        r.groups.start(int(t), int(target[t]), numbers, [int(x[t]) for x in at], int(barrier[t]))


@instruction("wgmma")
def _product(r, words, args, mask):
    if (
        mask is not None
        and (mask.reshape(-1, _GROUP).any(1) != mask.reshape(-1, _GROUP).all(1)).any()
    ):
        raise Fault("an instruction of a warpgroup that only some of its threads come by")
    group = r.groups
    if words[1] == "fence":
        group.changed.clear()
    elif words[1] == "commit_group":
        group.groups.append([])
    elif words[1] == "wait_group":
        group.finish(int(args[0]))
    else:
        _multiply(r, words, args, mask)


def _multiply(r, words, args, mask):
    n, depth = [int(x) for x in re.fullmatch(r"m64n(\d+)k(\d+)", words[4]).groups()]
    names, kind = parts_of(args[0]), words[-1]
    if args[3:6] != ["1"] * 3 or len(names) != n // 2:
        raise Fault("a product with other arguments than these kernels have")
    turned = [x == "1" for x in args[6:]] or [False, False]
    if group_names := r.groups.changed & {*names}:
        raise Fault(f"totals {sorted(group_names)[:3]} that were set after the last fence")
    leaders = np.arange(0, r.n, _GROUP)
    leaders = leaders if mask is None else leaders[mask[leaders]]
    size, of = (4, _rounded) if kind == "tf32" else (2, _HALVES[kind])
    factors = []
    for name, rows, turn in zip(args[1:3], (64, n), turned, strict=True):
        found = r.value(name, "u64")
        if (found.reshape(-1, _GROUP) != found[::_GROUP, None]).any():
            raise Fault("a descriptor that differs in a warpgroup")
        places = _places(found[leaders], rows, depth, size, turn)
        r._within(places, size, r.kernel.shared, "shared")
        places = places + (r.block[leaders] * r.width)[:, None, None]
        all_bytes = (places[..., None] + np.arange(size)).reshape(len(leaders), -1)
        if r.groups.landing[all_bytes].any():
            raise Fault("a race with a tensor copy that nobody waited for")
        for leader, own in zip(leaders, all_bytes, strict=True):
            for thread in range(leader, leader + _GROUP, 32):
                r.groups.see(own[::size], np.full(own.size // size, thread))
            r.groups.groups[-1].append(({*names}, own, np.full(own.size, leader)))
        r.groups.reading[all_bytes] = True
        bits = r.shared.view(f"u{size}")[places // size]
        factors.append(of(bits)[..., 0])
    left, right = factors
    found = left @ right.transpose(0, 2, 1)
    lanes = np.arange(_GROUP)
    row, column = lanes // 32 * 16 + lanes % 32 // 4, lanes % 4 * 2
    threads = leaders[:, None] + lanes
    r.groups.unready -= {*names}
    for k, name in enumerate(names):
        total = r.value(name, "f32").copy()
        own = found[:, row + 8 * (k // 2 % 2), column + 8 * (k // 4) + k % 2]
        total[threads] = (total[threads] + own).astype(np.float32)
        r.set(name, total, mask)
    r.groups.changed -= {*names}
    r.groups.unready |= {*names}


def _places(descriptors, rows, depth, size, turn):
    """The place of each element of a factor, by its descriptor."""
    d = descriptors.astype(np.uint64)
    field = lambda first: ((d >> np.uint64(first)) & np.uint64(0x3FFF)).astype(np.int64) << 4
    start, leading, stride = [field(first)[:, None, None] for first in (0, 16, 32)]
    if (d >> np.uint64(62) != 1).any():
        raise Fault("a descriptor of another swizzle than that of 128 bytes")
    row, k = np.arange(rows)[:, None], np.arange(depth)[None, :]
    if turn:
        at = start + row % 64 * size + row // 64 * leading + k % 8 * 128 + k // 8 * stride
    else:
        at = start + row // 8 * stride + row % 8 * 128 + k * size
    return swizzled(at) + 0 * row
