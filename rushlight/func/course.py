"""What is noted of a call of ``vmap``, so that a later call can follow it; see ``following.py``."""

from typing import Any, NamedTuple

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.compiler.ir.abstract import Abstract
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.replays import EAGER, Replays
from rushlight.tensor import Tensor

__all__ = ["Course", "Step", "Tap", "look_of", "shape_of"]

#: After so many calls, native code may take the work over; ``Replays`` counts some more.
_MANY_CALLS = 1 if EAGER else 100
_MOST_REPLAYED, _replayed = 1024, 0  # works that native code takes over


class Step(NamedTuple):
    """An operation that the function called, or a ``detach`` (its ``op`` is None).

    Attributes:
        operands: A number for each tensor: the place of its array in the order in which the arrays
            were made, or ``-1 - 2 * i`` for tensor i from outside, ``-2 - 2 * i`` for the array
            that a node saved of it. A key for anything else.
        given: (value, key) of each parameter, by name. Such values do not change.
        grad: Whether gradients were recorded.
        params: The prepared parameters.
        looks: (shape, dtype, strides) of each result.
    """

    op: Any
    operands: tuple
    given: dict
    grad: bool
    params: dict
    looks: list


class Course:
    """What happened in a call.

    Attributes:
        steps: Each ``Step``, in order.
        outer: ``look_of`` of each tensor from outside, in the order in which they were read.
        shared: For each of these the first one that looks at the same memory.
        results: For each tensor that the function returned its number, as in ``Step.operands``.
        work: (function or None, operation, operands, parameters, gradient mode, places of the
            results) of each operation on the batch. The function is a shorter way to one result.
            Operands are (place or None, constant). The first places are those of the arguments,
            then of the tensors from outside.
        found: (place, whether it depends on the sample) of each result.
        made: The places of the results that are no inputs, each once.
        size: The number of places.
        replays: Finds the work in native code, after many calls that are eager; else None.
    """

    def __init__(self):
        self.steps: list = []
        self.outer: list = []
        self.shared: list = []
        self.results: list = []
        self.work: list = []
        self.found: list = []
        self.made: list = []
        self.size = self.calls = 0
        self.replays: Any = None

    def again(self, inputs):
        """Run the work on ``inputs``; returns the results and whether each is of the batch."""
        found = None
        if mode.recorder() is None and self.made:
            if self.replays is not None:
                if (replay := self.replays.run) is not None:
                    found = replay(*inputs)
            else:
                self._count()
        if found is None:
            found = self._work(*inputs)
        known = dict(zip(self.made, found, strict=True))
        whole = [inputs[i] if i < len(inputs) else known[i] for i, _ in self.found]
        return whole, [v for _, v in self.found]

    def _count(self):
        """Let native code look at the work after many calls. What it notes lives for ever."""
        global _replayed
        self.calls += 1
        if self.calls > _MANY_CALLS and _replayed < _MOST_REPLAYED:
            _replayed += 1
            self.replays = Replays(function=self._work)

    def _work(self, *inputs):
        """Run the work on ``inputs``; returns a tuple of the results that are ``made``."""
        known = [*inputs, *[None] * (self.size - len(inputs))]
        autocast, before = mode.exchange("autocast", None), mode.state.grad
        now = before
        try:
            for call, op, operands, params, grad, places in self.work:
                if grad is not now:
                    now = grad
                    mode.set_grad(grad)
                args = [c if i is None else known[i] for i, c in operands]
                if call is not None:
                    known[places[0]] = call(*args)
                    continue
                if "memo" in params:
                    params = {**params, "memo": None if params["memo"] is None else []}
                found = apply(op, (args,) if op.variadic else args, params)
                if len(places) == 1 and type(found) is not tuple:
                    known[places[0]] = found
                else:
                    for i, t in zip(places, found, strict=True):
                        known[i] = t
        finally:
            if now is not before:
                mode.set_grad(before)
            mode.exchange("autocast", autocast)
        return tuple([known[i] for i in self.made])


def look_of(t, outer):
    """What the work on a tensor depends on; None if it cannot be followed."""
    a = t._array
    kind = type(a)
    if kind is not ndarray and (kind is not Abstract or outer is None):
        return None
    return a.shape, a.dtype, a.strides, kind is ndarray, t.node is not None


def shape_of(array):
    return tuple(array.shape), array.dtype, tuple(array.strides)


class Tap:
    """The mode in which the work on a batch is noted: it sees each operation, and runs it.

    Attributes:
        places: id of a tensor → its place.
    """

    def __init__(self, inputs):
        self.places = {id(t): i for i, t in enumerate(inputs)}
        self.given, self.tensors = len(inputs), [*inputs]
        self.versions = [t.cell[1] for t in inputs]
        self.work: list | None = []
        self.eager = mode.recorder() is None

    def operation(self, op, args, params):
        """Run an operation and note it."""
        was = mode.exchange("dispatch_modes", None)
        try:
            found = apply(op, args, params)
        except BaseException:
            self.work = None
            raise
        finally:
            mode.exchange("dispatch_modes", was)
        operands = [self._operand(x) for x in (args[0] if op.variadic else args)]
        if params.get("memo") is not None:
            params = {**params, "memo": []}  # without what this call left there
        if any(isinstance(v, Tensor) for v in params.values()) or None in operands or op.draws:
            self.work = None
        outs = found if isinstance(found, (tuple, list)) else (found,)
        places = []
        for t in outs:
            if id(t) in self.places:
                self.work = None
            places.append(len(self.tensors))
            self._add(t)
        if self.work is not None:
            call = None
            if self.eager and op.kind == "elementwise" and not op.params:
                call = op.call if all(i is not None for i, _ in operands) else None
            self.work.append((call, op, operands, params, mode.state.grad, places))
        return found

    def detached(self, x):
        """``x.detach()``, noted as work without an operation."""
        found = x.detach()
        if self.work is not None:
            place = [len(self.tensors)]
            self.work.append((Tensor.detach, None, [self._operand(x)], {}, mode.state.grad, place))
            if id(x) not in self.places:
                self.work = None
        self._add(found)
        return found

    def _add(self, t):
        self.places[id(t)] = len(self.tensors)
        self.tensors.append(t)
        self.versions.append(t.cell[1])

    def call(self, func, args, kwargs):
        """Run an operator of ``torch.library``; such work is not noted."""
        self.work = None
        was = mode.exchange("dispatch_modes", None)
        try:
            return func(*args, **kwargs)
        finally:
            mode.exchange("dispatch_modes", was)

    def _operand(self, x):
        if not isinstance(x, Tensor):
            return None, x
        place = self.places.get(id(x))
        return None if place is None else (place, None)

    def fill(self, course, results, varies):
        """Note the work in ``course``; returns whether it can be run again."""
        if self.work is None or any(id(t) not in self.places for t in results):
            return False
        if any(t.cell[1] != v for t, v in zip(self.tensors, self.versions, strict=True)):
            return False
        course.work = self.work
        course.found = [(self.places[id(t)], v) for t, v in zip(results, varies, strict=True)]
        course.made = [*{i: None for i, _ in course.found if i >= self.given}]
        course.size = len(self.tensors)
        return True
