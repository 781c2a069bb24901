"""Random numbers in a program for devices: kernels make them, and the host says where they begin.

Of CUDA's stream, a number depends only on the seed and on its place in the stream
(``ops/random/on_devices.py``). So a program's draws become ordinary equations, which fuse with
those that read the numbers. They read a ``Position``, a few numbers that the host sends in each
run. Each draw takes what it takes in eager mode, also if nothing reads its numbers.
"""

import numpy as np

from rushlight.compiler.capture.lowering import deliver, recording, run_rule
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.abstract import Abstract
from rushlight.device_array import DeviceArray, DeviceMemory
from rushlight.dtype import COMPLEX_KINDS
from rushlight.ops.core.definition import OPS
from rushlight.ops.core.remote_calls import NOT_REGISTERED
from rushlight.ops.random.on_devices import made, recipe
from rushlight.random import PhiloxGenerator, generator_of
from rushlight.tensor import from_array

__all__ = ["Position", "drawn_by_kernels"]

_LONG = np.dtype(np.int64)


class Position:
    """Where the draws of a program from one generator begin.

    Args:
        generator: The ``PhiloxGenerator``.
        recipes: The ``Recipe`` of each draw, in order.

    Attributes:
        value: The abstract value that equations read: the seed, then the first step of each draw.
    """

    def __init__(self, generator, recipes):
        self.generator = generator
        ends = np.cumsum([0, *[r.taken for r in recipes]])
        self._taken, self._steps = int(ends[-1]), ends[:-1] // 4
        self.value = Abstract((1 + len(recipes),), _LONG)

    def take(self):
        """Take the numbers of one run; returns the array for ``value``."""
        with self.generator.lock:
            first = self.generator.take(self._taken)
            seed = self.generator.initial_seed()
        found = np.empty(self.value.shape, _LONG)
        found[:1] = np.array([seed], np.uint64).view(_LONG)
        found[1:] = self._steps + first // 4
        return found

    def take_in_replays(self, driven, d):
        """The array for ``value`` on the device ``d``, which each replay of a graph fills anew.

        Args:
            driven: The ``Recording`` of the device.
        """
        if self.generator not in (generator_of(d), *driven.generators):
            raise RuntimeError(NOT_REGISTERED)
        memory = DeviceMemory(d, self.value.nbytes)
        driven.keep(memory)
        driven.do(lambda: memory.fill(self.take()))
        return DeviceArray(self.value.shape, _LONG, self.value.strides, memory, 0)


def drawn_by_kernels(equations):
    """(equations, positions): the draws from CUDA's streams are equations without a generator.

    A generator from which the host must draw some numbers stays as it is, because the host draws
    while the program runs.
    """
    unfolded: dict = {}  # id of an equation → the equations it is made of, whose draws have recipes
    recipes: dict = {}  # generator → the recipes of its draws; None if the host draws from it
    for e in equations:
        generator = e.params.get("generator") if e.op.draws else None
        if not isinstance(generator, PhiloxGenerator) or not all(v.size for v in e.outs):
            continue
        parts = unfolded[id(e)] = _unfold(e, generator)
        known = recipes.setdefault(generator, [])
        if parts is None:
            recipes[generator] = None
        elif known is not None:
            known += [found for _, found in parts if found is not None]
    positions = {g: Position(g, found) for g, found in recipes.items() if found is not None}
    count = dict.fromkeys(positions, 0)
    result: list = []
    for e in equations:
        generator = e.params.get("generator")
        if id(e) not in unfolded or generator not in positions:
            result.append(e)
            continue
        for part, found in unfolded[id(e)]:
            if found is None:
                result.append(part)
                continue
            count[generator] += 1
            result += _kernels(part, found, positions[generator].value, count[generator])
    return result, [*positions.values()]


def _unfold(e, generator):
    """Pairs (equation, its recipe if it draws) of what ``e`` is made of; None: the host draws."""
    p = e.params
    if e.op is OPS["random"] and p["dtype"].kind not in COMPLEX_KINDS:
        found = recipe(generator, p["shape"], p["dtype"], p["distribution"], p["parameters"])
        return None if found is None else [(e, found)]
    reads = operands(e)
    if e.op.far_lowering is None or any(v.dtype.kind in COMPLEX_KINDS or not v.size for v in reads):
        return None
    recorder = Recorder()
    result = run_rule(e.op.far_lowering, e, recorder, e.op.widen)
    if result is NotImplemented:
        return None
    deliver(e, (result,), recorder)
    found = [(check, None) for check in _checks(e)]
    for part in _on(e.outs[0].device, recorder.equations):
        parts = _unfold(part, generator) if part.op.draws else [(part, None)]
        if parts is None:
            return None
        found += parts
    return found


def _checks(e):
    """The checks of the operands of ``e``, which its lowering has no more."""
    if e.op.checking is None:
        return []
    recorder = Recorder()
    run_rule(e.op.checking, e, recorder, widen=False)
    return _on(e.outs[0].device, recorder.equations)


def _kernels(e, found, position, number):
    """The equations that make the numbers of the draw ``e``, from the position's entries."""
    recorder, p = Recorder(), e.params
    with recording(recorder):
        entries = from_array(position)
        numbers = [n.item() if isinstance(n, np.floating) else n for n in found.numbers]
        result = made(found.form, p["shape"], p["dtype"], p["order"], entries[0], entries[number],
                      found.threads, numbers)  # fmt: skip
    deliver(e, (result,), recorder)
    return _on(e.outs[0].device, recorder.equations)


def _on(device, equations):
    for e in equations:
        for v in e.outs:
            v.device = device
    return equations
