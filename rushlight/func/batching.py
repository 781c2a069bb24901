"""Runs a recorded function of single samples on whole batches.

Every operation is batched by a rule of its kind, so that no operation states one for itself:

* an elementwise operation gets its operands with the batch as the first dim;
* a reduction, a view, and a kernel along a dim count their dims from 1;
* a product of matrices becomes a batched product, a convolution or pooling takes the samples as
  more images, and linear algebra takes them as more matrices;
* any other operation with a lowering is batched as the operations that it is made of;
* what remains runs once for each sample.
"""

import warnings
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.calls.entry import recording_lock
from rushlight.compiler.capture.replay_recorder import without_history
from rushlight.compiler.capture.simplify import alive
from rushlight.compiler.capture.simplify import operands as operands_of
from rushlight.compiler.ir.abstract import Abstract, ShapeNeeded, ValueNeeded
from rushlight.dtype import OF
from rushlight.errors import TraceError
from rushlight.func.batch_recorder import BatchRecorder, Call
from rushlight.func.batch_rules import Loops, SameNumbers, rule_of
from rushlight.func.course import Tap
from rushlight.func.following import Follower, course_of, forget, is_plain, keep
from rushlight.func.parts import parts_of
from rushlight.ops.core.dispatch import repeat
from rushlight.ops.shape.join import stack
from rushlight.remote import at, device_of
from rushlight.tensor import Tensor, from_array
from rushlight.utils._pytree import tree_flatten

__all__ = ["compute", "record", "run"]


def run(func, call, given, batched, size, randomness):
    """Map ``call`` over dim 0 of the tensors in ``given`` that are ``batched``.

    ``func`` is the function that ``call`` calls.

    Returns:
        (the results, each with the batch as dim 0; whether each depends on the sample; their
        structure). A result that is no tensor is returned as it is.
    """
    key, course = course_of(func, given, batched, size, randomness)
    recorder: Any = BatchRecorder(randomness) if key is None else Follower(randomness, course)
    samples = [recorder.sample(t) if b else t for t, b in zip(given, batched, strict=True)]

    def results():
        found, structure = tree_flatten(call(*samples))
        if key is not None and recorder.ends(found):
            return found, None, structure
        return found, recorder.values(found), structure

    found, values, structure = record(recorder, results)
    whole = None
    if values is None:
        try:
            whole, varies = course.again(_inputs(recorder, given, batched))
        except Exception:  # computed otherwise, or raised with its own text
            if recorder.outer_recorder is not None:
                raise
            values = record(recorder, lambda: recorder.values(found))
    if whole is None:
        if course is not None:
            forget(key)
        notes = key is not None and recorder.notes
        real = recorder if key is None else recorder.real
        if notes and is_plain(real.equations):
            whole, varies = _noted(key, recorder, given, samples, batched, size, values)
        else:
            if key is not None and course is None:
                keep(key, None)
            batch = compute(real, given, samples, batched, size, values)
            whole, varies = [batch.whole(v) for v in values], [batch.get(v)[1] for v in values]
    tensors = iter(zip(whole, varies, strict=True))
    both = [next(tensors) if isinstance(t, Tensor) else (t, False) for t in found]
    return [whole for whole, _ in both], [varies for _, varies in both], structure


def _inputs(recorder, given, batched):
    return [*[t for t, b in zip(given, batched, strict=True) if b], *recorder.tensors]


def _noted(key, recorder, given, samples, batched, size, values):
    """The results of the batch, whose work is noted for later calls."""
    inputs = _inputs(recorder, given, batched)
    tap = Tap(inputs)
    was = mode.exchange("dispatch_modes", tap)
    try:
        batch = compute(recorder.real, given, samples, batched, size, values)
        whole, varies = [batch.whole(v) for v in values], [batch.get(v)[1] for v in values]
    finally:
        mode.exchange("dispatch_modes", was)
    course = recorder.course
    fits = tap.fill(course, whole, varies)
    if fits and recorder.outer_recorder is None:
        fits = all(map(_equal, course.again(inputs)[0], whole))
    keep(key, course if fits else None)
    return whole, varies


def _equal(x, y):
    """Whether two results look alike and have the same bits."""
    a, b = x._array, y._array
    look = lambda t, a: (a.shape, a.dtype, a.strides, t.node is None)
    return look(x, a) == look(y, b) and a.tobytes() == b.tobytes()


def record(recorder, call):
    """Return ``call()``, whose operations the recorder notes."""
    before = mode.snapshot()
    try:
        with recording_lock:
            mode.exchange("place", None)  # the samples are abstract, and so on no device
            mode.exchange("recorder", recorder)
            found = call()
            if recorder.refused is not None:
                raise recorder.refused
            return found
    except TraceError as error:
        text = str(error).replace("inside torch.compile", "inside vmap")
        if isinstance(error, (ShapeNeeded, ValueNeeded)) or "depends on values" in text:
            text = f"We do not support operators that can output dynamic shape, nor values: {text}"
        raise RuntimeError(f"vmap: {text}") from error
    finally:
        try:
            mode.exchange("recorder", before["recorder"])  # often it is all that differs
        finally:
            mode.give_back(before)
            recorder.restore()


def compute(recorder, given, samples, batched, size, values=None):
    """Run what was recorded on the batch, and carry out its writes; returns the ``Batch``.

    ``values`` are those that the caller reads. Default: it may read any.
    """
    batch = Batch(recorder, size, recorder.randomness)
    changed, equations = recorder.changed(samples), recorder.equations
    if values is not None:
        equations = batch.needed(equations, [*values, *[v for _, v in changed]])
    for t, s, b in zip(given, samples, batched, strict=True):
        if b:
            batch.known[s._array.id] = t, True
    first = next((t for t in given if isinstance(t, Tensor)), None)
    with nullcontext() if first is None or not mode.intercept else at(device_of(first)):
        batch.run(equations)
    batch.write_back(changed, given, samples, batched)
    return batch


class Batch:
    """The values of a recorded function for a batch.

    Attributes:
        known: id of an abstract value → (its tensor, whether the batch is its dim 0).
        size: The number of samples.
        unread: ids of equations of which only the checks of their operands are needed.
    """

    def __init__(self, recorder, size, randomness):
        self.recorder, self.size, self.randomness = recorder, size, randomness
        self.known = {v.id: (t, False) for t, v in recorder.outside()}
        self.unread: set[int] = set()

    def get(self, value):
        """(the tensor or constant of an operand, whether it is batched)."""
        if isinstance(value, Abstract):
            return self.known[value.id]
        return value, False

    def whole(self, value):
        """The tensor of a result, with the batch as dim 0 even if all samples are equal."""
        found, batched = self.get(value)
        found = found if isinstance(found, Tensor) else from_array(np.asarray(found))
        return found if batched else found.expand(self.size, *found.shape)

    def needed(self, equations, outputs):
        """The equations that ``outputs`` depend on, and those that may raise an error."""
        found = alive(equations, outputs, checking=True)
        read = {v.id for e in found for v in operands_of(e)} | {v.id for v in outputs}
        self.unread = {
            id(e) for e in found
            if e.op.checking is not None and e.op.check is None and not e.op.draws
            and not any(v.id in read for v in e.outs)
        }  # fmt: skip
        return found

    def run(self, equations):
        """Compute ``equations``, with the gradient mode in which each was recorded."""
        autocast, grad = mode.exchange("autocast", None), mode.state.grad
        tracked = True
        try:
            for e in equations:
                if e.tracked is not tracked:
                    tracked = e.tracked
                    mode.set_grad(grad and tracked)
                self._compute(e)
        finally:
            mode.set_grad(grad)
            mode.exchange("autocast", autocast)

    def _compute(self, e):
        if e.op is without_history.op and mode.recorder() is None:  # nothing writes to values
            x, many = self.get(e.ins[0])
            tap = mode.state.dispatch_modes
            return self._keep(e, tap.detached(x) if type(tap) is Tap else x.detach(), many)
        operands = [self.get(v) for v in (e.ins[0] if e.op.variadic else e.ins)]
        given = {k: self.get(v) for k, v in e.params.items()}
        params = {k: v for k, (v, _) in given.items()}
        many = any(b for _, b in operands)
        if any(b for _, b in given.values()):
            results, many = self._each(e, operands, given), True
        elif type(e.op) is Call:
            results = self._custom(e, operands, many)
        elif e.op.draws:
            results, many = self._drawn(e, operands, params)
        elif many:
            results = self._batched(e, operands, params)
        else:
            results = self._alone(e.op, [x for x, _ in operands], params)
        if results is not None:  # else the equations that it is made of were computed
            self._keep(e, results, many)

    def _keep(self, e, results, batched):
        results = results if isinstance(results, (tuple, list)) else (results,)
        for value, tensor in zip(e.outs, results, strict=True):
            self.known[value.id] = tensor, batched

    def _alone(self, op, operands, params):
        """The operation on values that are the same for all samples."""
        if op.kind == "view" and "shape" in params and not op.of_storage:
            return operands[0].reshape(params["shape"])  # it may lie in memory in another way
        return self.apply(op, operands, params)

    def _batched(self, e, operands, params):
        if id(e) in self.unread and (parts := parts_of(e)) is not None:
            return self._in_parts(e, parts.equation, parts.checks, ())
        rule = rule_of(e)
        outer: Any = mode.recorder()  # of a vmap around this one
        if type(outer) is Follower and outer.real is None:
            outer = outer.open()  # because what a rule records in vain must be found
        so_far = None if outer is None else len(outer.equations)
        if rule is not None:
            try:
                found = rule(self, e, operands, params)
            except SameNumbers:
                raise
            except (Loops, RuntimeError, ValueError, IndexError, TypeError):
                if e.op.raises:  # a check
                    raise
                found = None  # the samples one by one either serve, or raise what is wrong
            if found is not None and self._fits(e, found):
                return found
            if outer is not None:
                del outer.equations[so_far:]  # what the rule has recorded in vain
                outer.notes = False
            if type(mode.state.dispatch_modes) is Tap:
                mode.state.dispatch_modes.work = None
        parts = None if e.op.own_slope else parts_of(e)
        if parts is not None:
            equation, checks, made = parts
            return self._in_parts(e, equation, checks + made, equation.outs)
        return self._each(e, operands, {k: (v, False) for k, v in params.items()})

    def _in_parts(self, e, alike, parts, outs):
        """Compute ``parts``, equations on the values of ``alike``, for the values of ``e``."""
        known = self.known
        values = zip(operands_of(alike), operands_of(e), strict=True)
        try:
            self.known = {v.id: known[w.id] for v, w in values}
            for part in parts:
                self._compute(part)
            found = [self.known[v.id] for v in outs]
        finally:
            self.known = known
        known.update(zip([v.id for v in e.outs], found))  # noqa: B905

    def _fits(self, e, found):
        found = found if isinstance(found, (tuple, list)) else (found,)
        return all(
            tuple(t.shape) == (self.size, *v.shape) and t.dtype is OF[v.dtype]
            for t, v in zip(found, e.outs, strict=True)
        )

    def apply(self, op, operands, params):
        """Run an operation whose parameters are prepared already."""
        return repeat(op, (operands,) if op.variadic else operands, params)

    # Samples one by one ---------------------------------------------------------------------

    def _each(self, e, operands, params):
        """The operation for each sample, and the results together."""
        _tell(e.op.name)
        found = [
            self.apply(
                e.op, [_sample(e, x, i) if b else x for x, b in operands],
                {k: v[i] if b else v for k, (v, b) in params.items()},
            )
            for i in range(self.size)
        ]  # fmt: skip
        return self._together(e, found)

    def _together(self, e, found):
        if not found:
            return [from_array(np.empty((0, *v.shape), v.dtype)) for v in e.outs]
        if not isinstance(found[0], (tuple, list)):
            return stack(found)
        return [stack(list(parts)) for parts in zip(*found, strict=True)]

    def _custom(self, e, operands, many):
        """A custom Function: once, by its own rule for batches, or for each sample."""
        if not many:
            return e.op(*[x for x, _ in operands])
        own = e.op.batched(self.size, self.randomness, operands)
        if own is not None:
            return own
        found = [e.op(*[x[i] if b else x for x, b in operands]) for i in range(self.size)]
        return self._together(e, found)

    # Random numbers -------------------------------------------------------------------------

    def _drawn(self, e, operands, params):
        if self.randomness == "same":
            if not any(b for _, b in operands):
                return self.apply(e.op, [x for x, _ in operands], params), False
            raise SameNumbers(e.op.name)
        if params.get("distribution") == "permutation" and mode.recorder() is not None:
            # Of nested batches, PyTorch draws the inner one's permutations one after the other.
            return self._each(e, operands, {k: (v, False) for k, v in params.items()}), True
        if "shape" in params:
            params = {**params, "shape": (self.size, *params["shape"]), "order": None}
        whole = [
            x if b or not isinstance(x, Tensor) else x.expand(self.size, *x.shape).contiguous()
            for x, b in operands
        ]
        return self.apply(e.op, whole, params), True

    # Writes ---------------------------------------------------------------------------------

    def write_back(self, changed, given, samples, batched):
        """Carry out the writes of the function to its arguments: ``changed``, with new values."""
        places = {id(s): (t, b) for t, s, b in zip(given, samples, batched, strict=True)}
        for sample, value in changed:
            tensor, is_batch = places.get(id(sample), (sample, False))
            found, many = self.get(value)
            if many and not is_batch:
                raise RuntimeError(
                    "vmap: inplace arithmetic(self, *extra_args) is not possible because there "
                    "exists a Tensor `other` in extra_args that has more elements than `self`"
                )
            tensor.copy_(found)


def _sample(e, x, i):
    """Sample ``i`` of a batch; as the recorded one lay where the operation looks at memory."""
    if not (e.op.of_storage or e.op.by_layout):
        return x[i]
    itemsize = x.element_size()
    strides = [s // itemsize for s in e.ins[0].strides]
    return x.new_empty_strided(x.shape[1:], strides).copy_(x[i])


@cache
def _tell(name):
    """Warn, once for each operation, that it has no rule for batches."""
    warnings.warn(
        f"There is a performance drop because we have not yet implemented the batching rule for "
        f"{name}: it runs once for each sample",
        stacklevel=2,
    )
