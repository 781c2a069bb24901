"""Several kernels as one launch, if none of them needs what another one writes.

A launch costs some microseconds, and a small kernel leaves most units of a GPU idle. So the
optimizer's kernels for many parameters become one kernel: each work-group finds by its number which
of them it computes. Kernels of equal code are one code, whose arguments the number selects.
"""

from contextlib import nullcontext
from functools import reduce
from itertools import groupby

from rushlight.compiler.device.machine import LoopWork
from rushlight.compiler.device.product import Tiles
from rushlight.compiler.device.simt import Items

__all__ = ["Bundle", "Task", "bundled"]

#: Small groups share little memory, so that a kernel of many codes fits into a unit.
_SMALL_GROUP, _MANY_CODES, _FEW_CODES = 128, 8, 2


class Task:
    """A group of equations that becomes a kernel, or that the host computes.

    Attributes:
        group: The equations.
        work: The code, as ``DeviceMachine.work`` gives it; None if the host computes the group.
        args: (owner, byte offset) of the kernel's memory.
        touched, written: The owners of all memory that it uses, and of that which it writes to.
    """

    def __init__(self, group, work, args, touched, written):
        self.group, self.work, self.args = group, work, args
        self.touched, self.written = touched, written

    def joins(self):
        """Whether the kernel may be a part of a bundle."""
        return type(self.work) is LoopWork or (
            isinstance(self.work, Tiles) and type(self.work.way) is Items
        )


def bundled(tasks, room, inputs):
    """``tasks`` in an order that gives the same results, as lists: each is one launch.

    Of the tasks that can start, the one with the longest chain of later tasks comes first. It takes
    all others with it that fit. So a short branch waits until a launch takes it along.

    Args:
        room: The bytes that the arguments of a kernel may have.
        inputs: The owners of memory that a caller sees even if the host raises an error.
    """
    before = _order(tasks, inputs)
    after: list = [[] for _ in tasks]
    for k, earlier in enumerate(before):
        for i in earlier:
            after[i].append(k)
    height = [0] * len(tasks)
    for k in reversed(range(len(tasks))):
        height[k] = 1 + max([height[i] for i in after[k]], default=0)
    missing = [*map(len, before)]
    ready, found = [k for k, n in enumerate(missing) if not n], []
    while ready:
        first = max(ready, key=lambda k: (height[k], -k))
        chosen = _Choice(tasks[first], room)
        taken = [first, *[k for k in sorted(ready) if k != first and chosen.take(tasks[k])]]
        ready = [k for k in ready if k not in taken]
        for k in taken:
            for i in after[k]:
                missing[i] -= 1
                if not missing[i]:
                    ready.append(i)
        found.append(chosen.tasks)
    return found


def _order(tasks, inputs):
    """The numbers of the tasks before which each task cannot start."""
    writer: dict = {}  # owner → the last task that wrote to it
    readers: dict = {}  # owner → the tasks that used it since
    host, found = None, []
    for k, task in enumerate(tasks):
        before = {writer[owner] for owner in task.touched if owner in writer}
        for owner in task.written:
            before.update(readers.pop(owner, ()))
        if host is not None and (task.work is None or task.written & inputs):
            before.add(host)  # the host draws random numbers in order, and raises before writes
        host = k if task.work is None else host
        for owner in task.touched:
            readers.setdefault(owner, []).append(k)
        writer |= dict.fromkeys(task.written, k)
        found.append(before - {k})
    return found


class _Choice:
    """The tasks of one launch, while they are collected."""

    def __init__(self, first, room):
        self.tasks, self.room, self.open = [first], room, first.joins()
        if self.open:
            self.size, self.keys, self.args = first.work.size, {first.work.key}, {*first.args}
            self.numbers = _numbers(first)

    def take(self, task):
        """Add ``task`` if it fits; returns whether it does."""
        if not self.open or not task.joins() or task.work.size != self.size:
            return False
        keys, args = self.keys | {task.work.key}, self.args | {*task.args}
        numbers = self.numbers + _numbers(task)
        most = _MANY_CODES if self.size <= _SMALL_GROUP else _FEW_CODES
        if len(keys) > most or 16 * len(args) + 8 * numbers > self.room:
            return False
        self.keys, self.args, self.numbers = keys, args, numbers
        self.tasks.append(task)
        return True


def _numbers(task):
    return 2 + len(getattr(task.work, "open_numbers", ()))


class Bundle:
    """The code of several tasks, with the members of a work (see ``DeviceMachine.work``).

    Attributes:
        args: (owner, byte offset) of the memory, each once.
        limit, open_numbers: The kernel's last arguments: of each task its numbers, and then its
            first work-group.
    """

    def __init__(self, tasks):
        self.parts = [
            (key, list(own))
            for key, own in groupby(
                sorted(tasks, key=lambda t: t.work.key), key=lambda t: t.work.key
            )
        ]
        self.tasks = [t for _, own in self.parts for t in own]
        self.args = [*dict.fromkeys([arg for t in self.tasks for arg in t.args])]
        place = {arg: k for k, arg in enumerate(self.args)}
        self.places = [[place[arg] for arg in t.args] for t in self.tasks]
        self.size, self.groups, numbers = self.tasks[0].work.size, 0, []
        for t in self.tasks:
            numbers += [t.work.limit, *getattr(t.work, "open_numbers", ()), self.groups]
            self.groups += t.work.groups
        self.limit, *self.open_numbers = numbers
        form = [(key, len(own)) for key, own in self.parts]
        self.key = repr((self.size, form, self.places))

    def emit(self, module, name):
        """Add the kernel ``name`` to ``module``."""
        functions = [
            module.part(f"part{k}", own[0].work.emit) for k, (_, own) in enumerate(self.parts)
        ]
        b, args, numbers = module.entry(name, len(self.args), 1 + len(self.open_numbers))
        given = self._given(args, numbers)
        number = module.work_group(b)
        for k, (_, own) in enumerate(self.parts):
            members, given = given[: len(own)], given[len(own) :]
            # A code has the work-groups from its first one on, up to that of the next code.
            here = []
            if k:
                here.append(b.icmp_unsigned(">=", number, members[0][-1]))
            if given:
                here.append(b.icmp_unsigned("<", number, given[0][-1]))
            with b.if_then(reduce(b.and_, here)) if here else nullcontext():
                *values, first = _selected(b, number, members)
                b.call(functions[k], [*values, b.sub(number, first)])
            if here:
                module.rejoin(b)
        b.ret_void()

    def _given(self, args, numbers):
        """The arguments of each task, and last its first work-group."""
        found, numbers = [], list(numbers)
        for t, places in zip(self.tasks, self.places, strict=True):
            count = _numbers(t)
            own, numbers = numbers[:count], numbers[count:]
            found.append([*[a for p in places for a in args[2 * p : 2 * p + 2]], *own])
        return found


def _selected(b, number, members):
    """The arguments of that one of ``members`` to which the work-group ``number`` belongs."""
    found = members[0]
    for member in members[1:]:
        later = b.icmp_unsigned(">=", number, member[-1])
        found = [x if x is y else b.select(later, x, y) for x, y in zip(member, found, strict=True)]
    return found
