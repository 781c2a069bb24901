"""An interpreter of PTX on NumPy: all threads of a launch at once.

Threads that took different ways run by turns: those at the first instruction go on until they
arrive where others wait. A thread at a barrier waits for its block.
"""

import re
from dataclasses import replace

import numpy as np

from tests.device.ptx.instructions import Registers
from tests.device.ptx.matrices import INSTRUCTIONS, Copies
from tests.device.ptx.memory import Accesses, Fault
from tests.device.ptx.warpgroups import Warpgroups

__all__ = ["Launch"]

#: The address of the first byte of a block's shared memory, and of a thread's own.
SHARED, LOCAL = 1 << 24, 1 << 26
#: The address of the first parameter. The others follow at every eighth byte.
PARAMETERS = 1 << 28


class Launch(Registers):
    """One launch of a kernel.

    Args:
        kernel: From ``kernels_of``.
        groups, size: The number of blocks, and of threads in a block.
        params: The bytes of the parameters.
        arena: The device's memory.
        first: The first epoch of the launch.
        races: Whether to look for races.
        asked: Bytes of shared memory that the launch asks for.
    """

    def __init__(self, kernel, groups, size, params, arena, first=1, races=True, asked=0):
        kernel = replace(kernel, shared=kernel.asked + asked if asked else kernel.shared)
        super().__init__(kernel, groups * size)
        self.arena, self.races = arena, races
        threads = np.arange(self.n)
        self.block, self.first = threads // size, first
        self.blocks = groups
        place = (threads % size).astype(np.uint32)
        self.special = {
            "%tid.x": place, "%ctaid.x": self.block.astype(np.uint32),
            "%ntid.x": np.full(self.n, size, np.uint32),
            "%nctaid.x": np.full(self.n, groups, np.uint32),
        }  # fmt: skip
        self.names = [name for name, _ in kernel.params]
        #: Address of a parameter → the numbers of the tensor map that it is.
        self.maps = {PARAMETERS + 8 * k: p for k, p in enumerate(params) if isinstance(p, list)}
        self.params = np.array([0 if isinstance(p, list) else p for p in params], np.uint64)
        self.width = -(-max(kernel.shared, 16) // 1024) * 1024
        self.shared = np.zeros(groups * self.width, np.uint8)
        self.frame = -(-max(kernel.frame, 16) // 16) * 16
        self.local = np.zeros(self.n * self.frame if kernel.frame else 16, np.uint8)
        self.epoch = np.full(groups, first, np.int64)
        self.copies = Copies(self)
        self.groups = Warpgroups(self)
        self.unready = self.groups.unready
        if any(i.words[0] == "wgmma" for i in kernel.code):
            self.changed = self.groups.changed
        self.shared_races = Accesses(self.shared.size if races else 0)
        if races:
            for a in (arena.races, self.shared_races):
                a.start(self.block)

    # Memory -----------------------------------------------------------------------------------

    def where(self, operand, space, size, mask, writes, count=None):
        """(memory, the position of each thread's access, the threads), checked.

        ``mask``: None means all. ``count``: so many of the ``size`` bytes are accessed.
        """
        at = self._address(operand)
        threads = np.arange(self.n) if mask is None else np.flatnonzero(mask)
        used = at[threads]
        if (used % size).any():
            raise Fault(f"a misaligned access of {size} bytes")
        count = size if count is None else count
        raw, used = getattr(self, "_" + space)(used, count, threads)
        if space == "shared_memory":
            self.copies.check(used, count)
            if self.groups.barriers:
                self.groups.check(used, count, threads, writes)
        self.note(space, used, count, threads, writes)
        return raw, used, threads

    def note(self, space, at, size, threads, writes):
        """Look for races of the threads' accesses."""
        if not self.races or space == "local_memory":
            return
        races = self.shared_races if space == "shared_memory" else self.arena.races
        note = races.write if writes else races.read
        block = self.block[threads]
        note(at, size, threads, block, self.epoch[block], self.first)

    def _global_memory(self, at, size, threads):
        at = at - self.arena.BASE
        self.arena.check(at, size)
        return self.arena.bytes, at

    def _shared_memory(self, at, size, threads):
        at = at - SHARED
        self._within(at, size, self.kernel.shared, "shared")
        return self.shared, at + self.block[threads] * self.width

    def _local_memory(self, at, size, threads):
        at = at - LOCAL
        self._within(at, size, self.kernel.frame, "local")
        return self.local, at + threads * self.frame

    @staticmethod
    def _within(at, size, end, what):
        if at.size and (at.min() < 0 or at.max() + size > end):
            raise Fault(f"an access of {what} memory out of bounds")

    def _address(self, operand):
        base, offset = re.fullmatch(r"\[([%\w$]+)\s*(?:\+\s*(-?\d+))?\]", operand).groups()
        return self.value(base, "u64").astype(np.int64) + int(offset or 0)

    def parameters(self, operand, size, mask):
        """The parameter of ``size`` bytes that each thread reads: its address may be computed."""
        at = self._address(operand) - PARAMETERS
        at = at if mask is None else np.where(mask, at, 0)
        if (at % 8).any() or at.min() < 0 or at.max() >= 8 * self.params.size:
            raise Fault("a read of something that is no parameter")
        return self.params[at // 8].astype(f"u{size}")

    def tensor_map(self, address):
        """The numbers of the tensor map at an address."""
        if address not in self.maps:
            raise Fault("an address that is no tensor map's")
        return self.maps[address]

    def symbol(self, name):
        if name in self.names:
            return PARAMETERS + 8 * self.names.index(name)
        if name in self.kernel.constants:
            return self.kernel.constants[name]
        if name in self.kernel.symbols:
            return SHARED + self.kernel.symbols[name]
        return LOCAL + self.kernel.local[name]

    # Running ----------------------------------------------------------------------------------

    def run(self):
        """Run all threads to their ends; Fault at an access that is wrong, or at a deadlock."""
        code = self.kernel.code
        at = np.zeros(self.n, np.int64)
        self.gone, self.waits = np.zeros(self.n, bool), np.zeros(self.n, bool)
        stops = {*self.kernel.labels.values()}
        with np.errstate(all="ignore"):
            while self._ready(at):
                active = ~self.gone & ~self.waits
                p = int(at[active].min())
                mine = active & (at == p)
                mask = None if mine.all() else mine
                while self._step(code[p], p, at, mine, mask):
                    p += 1
                    if p in stops:
                        at[mine] = p
                        break
        if self.copies.pending:
            raise Fault("an asynchronous copy that nobody waited for")
        if self.groups.landing.any() or self.groups.reading.any():
            raise Fault("a tensor copy or a product that nobody waited for")

    def _ready(self, at):
        """Whether a thread can go on. Lets the blocks go on whose threads are all at a barrier.

        ``at``: the next instruction of each thread.
        """
        while not self.gone.all():
            if (~self.gone & ~self.waits).any():
                return True
            living = np.bincount(self.block[~self.gone], minlength=self.blocks)
            waiting = np.bincount(self.block[self.waits], minlength=self.blocks)
            free = (living == waiting) & (waiting > 0)
            if not free.any():
                raise Fault("a deadlock at a barrier")
            for block in np.flatnonzero(free):
                if len(set(at[self.waits & (self.block == block)])) > 1:
                    raise Fault("threads of a block that wait at different barriers")
            self.waits &= ~free[self.block]
            self.epoch[free] += 1
        return False

    def _step(self, instruction, p, at, mine, mask):
        """Run an instruction; False where the threads must be looked at again."""
        holds = mask
        if instruction.guard is not None:
            name, negated = instruction.guard
            holds = self.register(name) ^ negated
            holds = holds if mask is None else holds & mask
        taken = mine if holds is None else mine & holds
        name = instruction.words[0]
        if name == "bra":
            at[mine] = p + 1
            at[taken] = self.kernel.labels[instruction.args[0]]
            return False
        if name in ("ret", "exit"):
            at[mine] = p + 1
            self.gone |= taken
            return False
        if name in ("bar", "barrier"):
            at[mine] = p + 1
            self.waits |= taken
            return False
        if name not in INSTRUCTIONS:
            raise NotImplementedError(f"{'.'.join(instruction.words)} {instruction.args}")
        INSTRUCTIONS[name](self, instruction.words, instruction.args, holds)
        return True
