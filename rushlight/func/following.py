"""Calls of ``vmap`` that repeat: the function runs in each call, but little of it is recorded anew.

The second call that looks like the first is recorded with notes (a ``Course``): the operations that
the function calls, and those that compute the batch. In a later call the function runs as always.
Each operation that it calls is compared with the one that the course has at this place: operation,
operands, parameters and gradient mode. As long as they agree, the result is made from the course
alone. If they agree to the end, the operations of the batch are run again, without rules and
inference. At the first difference, the operations so far are recorded after all
(``Follower._leave``), and the call goes on as a recording. Control flow, closures and side effects
of the function stay right, because the function runs in each call.
"""

from collections import OrderedDict
from types import CodeType
from typing import Any

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import tick
from rushlight.compiler.capture.inferred import described
from rushlight.compiler.capture.inputs import key_of
from rushlight.compiler.capture.recorder import attached
from rushlight.compiler.capture.replay_recorder import ReplayRecorder
from rushlight.compiler.ir.abstract import Abstract
from rushlight.dtype import get_default_dtype
from rushlight.func.batch_recorder import BatchRecorder, Call
from rushlight.func.course import Course, Step, look_of, shape_of
from rushlight.locks import new_lock
from rushlight.tensor import Tensor, ViewOf, from_array

__all__ = ["Follower", "course_of", "forget", "is_plain", "keep"]


_courses: OrderedDict = OrderedDict()  # key of a call → Course, or the number of its recordings
_MOST = 256
#: A function whose calls differ is recorded so often before it is given up.
_PATIENCE = 8
_lock = new_lock()


def course_of(func, given, batched, size, randomness):
    """(key of a call, its ``Course`` or None). The key is None if the call is only recorded."""
    state = mode.state
    if state.autocast is not None or state.function_modes or state.dispatch_modes is not None:
        return None, None
    outer = state.recorder
    if mode.intercept != (type(outer) in (Follower, BatchRecorder)):
        return None, None
    looks = []
    for t, many in zip(given, batched, strict=True):
        if many:
            look = look_of(t, outer)
            if look is None or not size:
                return None, None
            looks.append(look)
    key = (
        _code(func), *looks, tuple(batched), randomness, outer is None, state.grad,
        state.inference, state.forward, get_default_dtype(),
    )  # fmt: skip
    with _lock:
        known = _courses.get(key)
        if type(known) is Course:
            return key, known
        if known is None:
            _courses[key] = 1
            if len(_courses) > _MOST:
                _courses.popitem(last=False)
            return None, None  # a call that never comes again is recorded without notes
    return (None, None) if known > _PATIENCE else (key, None)


def is_plain(equations):
    """Whether the work for ``equations`` is the same in each call that looks alike."""
    return not any(type(e.op) is Call or e.op.draws or e.op.role == "patch" for e in equations)


def keep(key, course):
    """Note the course of a call. None: it cannot be followed."""
    with _lock:
        _courses[key] = _PATIENCE + 1 if course is None else course


def forget(key):
    """Note that a call was unlike the course that it had."""
    with _lock:
        count = _left.get(key, 1)
        if len(_left) > _MOST:
            _left.clear()
        _left[key] = count + 1
        _courses[key] = count


_left: dict = {}  # key → how often a call was unlike the course


def _code(func):
    """A key that is equal for functions of one code, such as a lambda made anew in each call."""
    found: list = []
    while True:
        code = getattr(func, "__code__", None)
        found.append(code if type(code) is CodeType else id(func))
        inner = getattr(func, "__wrapped__", None)
        if inner is None:
            return tuple(found)
        func = inner


_new = object.__new__


def _abstract(look):
    found = _new(Abstract)
    found.shape, found.dtype, found.strides = look
    found.device = _CPU
    found.id = next(_ids)
    return found


_ids, _CPU = Abstract._ids, Abstract((), "f4").device


class Follower:
    """The recording of a call in which a course may be followed, or noted.

    Attributes:
        course: The ``Course`` that is followed, or noted.
        real: The ``BatchRecorder``; None while the course is followed.
        notes: Whether the course is noted.
        places: id of an array without elements → its number, as in ``Step.operands``.
        tensors: The tensors from outside, in the order in which they were read.
    """

    exporting, observer = False, None

    def __init__(self, randomness, course=None):
        self.course, self.randomness = course, randomness
        self.began, self.grad = tick(), mode.state.grad
        self.outer_recorder = mode.recorder()
        self.notes = course is None
        self.real: Any = None
        if course is None:
            self.course = Course()
            self.real = BatchRecorder(randomness)
        self._refused: Any = None
        self.at = 0  # the number of steps so far
        self.calls: list = []  # (operation, its operands, parameters, grad, arrays of its results)
        self.places: dict = {}
        self.count = 0  # of the arrays so far
        self.tensors: list = []
        self.numbers: dict = {}  # id of a tensor from outside → its number
        self.looks: list = []  # for each tensor from outside the array that nodes save, or None
        self.passed: list = []
        self.samples: list = []

    def __getattr__(self, name):
        """What the recording has, after all."""
        return getattr(self.open(), name)

    @property
    def batches(self):
        """See ``BatchRecorder``."""
        return self.real is None or self.real.batches

    @property
    def equations(self):
        """See ``Recording``; while a course is followed, there are none."""
        return () if self.real is None else self.real.equations

    def open(self):
        """The recording of the call: nothing is followed or noted from here on."""
        self.notes = False
        return self.real or self._leave()

    @property
    def refused(self):
        """See ``Recording``."""
        return self._refused if self.real is None else self.real.refused

    @refused.setter
    def refused(self, error):
        if self.real is None:
            self._refused = error
        else:
            self.real.refused = error

    def restore(self):
        """See ``Recorder.restore``."""
        if self.real is not None:
            self.real.restore()

    def values(self, results):
        """See ``BatchRecorder.values``."""
        return (self.real or self._leave()).values(results)

    def ends(self, results):
        """Whether the call was as its course, now that the function has returned ``results``."""
        if self.real is None:
            course, results = self.course, [t for t in results if isinstance(t, Tensor)]
            if (
                self.at == len(course.steps) and len(results) == len(course.results)
                and all(map(self._is_like, course.results, results))
                and len(self.tensors) == len(course.outer) and self._refused is None
            ):  # fmt: skip
                return True
            self._leave()
        elif self.notes:
            self.course.results = [self._operand(t) for t in results if isinstance(t, Tensor)]
            self.notes = None not in self.course.results
        return False

    def sample(self, t):
        """See ``BatchRecorder.sample``."""
        if self.real is not None:
            found = self.real.sample(t)
        else:
            array = t._array
            found = from_array(_abstract((array.shape[1:], array.dtype, array.strides[1:])))
            if t.node is not None and mode.state.grad:
                found = found.requires_grad_()
        self._number(found._array)
        self.samples.append(found._array)
        return found

    def _number(self, array):
        self.places[array.id] = self.count
        self.count += 1

    # What the function does ------------------------------------------------------------------

    def touch_module(self, module):
        """Modules run in each call."""

    touch_function = note = touch_module

    def note_history(self, tensor):
        """See ``Recorder.note_history``."""
        if self.real is not None and not self.notes:
            self.real.note_history(tensor)
        elif not self._is_inner(tensor):
            self.__getattr__("note_history")(tensor)

    def refuse_values(self, tensor, name):
        """See ``BatchRecorder.refuse_values``; it depends on nothing."""
        BatchRecorder.refuse_values(self, tensor, name)  # type: ignore[arg-type]

    def selects(self, index):
        """See ``BatchRecorder.selects``."""
        if self.real is not None:
            return self.real.selects(index)
        return type(index._array) is not Abstract or index._array.id not in self.places

    def note_alias(self, tensor, source):
        """See ``BatchRecorder.note_alias``."""
        if self.real is not None and not self.notes:
            self.real.note_alias(tensor, source)
            return
        if source.node is None and self._is_inner(source):
            return  # the two tensors have one array
        if self.real is not None:
            self._noted_alias(tensor, source)
            return
        step = self._next()
        if (
            step is None or step.op is not None or step.grad is not mode.state.grad
            or not self._is_like(step.operands[0], source)
        ):  # fmt: skip
            self._leave().note_alias(tensor, source)
            return
        tensor._array = _abstract(step.looks[0])
        self._number(tensor._array)
        self.calls.append((None, source, None, mode.state.grad, [tensor._array]))
        self.at += 1

    def _noted_alias(self, tensor, source):
        before, operand = tensor._array, self._operand(source)
        self.real.note_alias(tensor, source)
        found = tensor._array
        if operand is None or type(found) is not Abstract or found is before:
            self.notes = False
            return
        self.course.steps.append(Step(None, (operand,), {}, mode.state.grad, {}, [shape_of(found)]))
        self._number(found)

    def _is_inner(self, tensor):
        return type(tensor._array) is Abstract and tensor._array.id in self.places

    def record(self, op, args, params):
        """See ``Recorder.record``."""
        if self.real is not None:
            if self.notes:
                return self._noted(op, args, params)
            return self.real.record(op, args, params)
        steps, at = self.course.steps, self.at
        step = steps[at] if at < len(steps) else None
        operands = args[0] if op.variadic else args
        if (
            step is None or step.op is not op or step.grad is not mode.state.grad
            or not self._fits(step, operands, params)
        ):  # fmt: skip
            return self._leave().record(op, args, params)
        arrays = [_abstract(look) for look in step.looks]
        outs = [from_array(a) for a in arrays]
        for a in arrays:
            self.places[a.id] = self.count
            self.count += 1
        if op.variadic:
            args = ([*operands], *args[1:])  # the function may change its list later
        self.calls.append((op, args, params, step.grad, arrays))
        self.at += 1
        if op.kind == "view":
            self._link(outs[0], args, op, step.params)
        if mode.records():
            for x in operands:
                if getattr(x, "node", None) is not None:
                    attached(self._saved, op, operands, step.params, outs)
                    break
        return outs[0] if len(outs) == 1 else tuple(outs)

    def _noted(self, op, args, params):
        """``record``, of which the course takes note."""
        real, before = self.real, len(self.real.equations)
        operands = args[0] if op.variadic else args
        numbers = tuple(map(self._operand, operands))
        try:
            given = {k: (v, described(v)) for k, v in params.items()}
        except TypeError:
            given, self.notes = {}, False
        if None in numbers or op.draws or op.of_storage or op.role == "patch":
            self.notes = False
        notes, self.notes = self.notes, False  # for errors
        found = real.record(op, args, params)
        if not notes:
            return found
        outs = found if isinstance(found, tuple) else (found,)
        if any(o._array.id in self.places for o in outs):
            return found
        for i, x in enumerate(self.tensors):
            if self.looks[i] is None and type(x._array) is ndarray:
                self.looks[i] = real.place(x).look
                self.places[self.looks[i].id] = -2 - 2 * self.course.shared[i]
        for o in outs:
            self._number(o._array)
        params = next(e.params for e in real.equations[before:] if e.op is op)
        looks = [shape_of(o._array) for o in outs]
        step = Step(op, numbers, given, mode.state.grad, params, looks)
        self.course.steps.append(step)
        self.notes = True
        return found

    def _operand(self, x):
        """What a step has in ``operands`` for ``x``; None if it cannot be followed."""
        if not isinstance(x, Tensor):
            try:
                found = described(x)
            except TypeError:
                return None
            return found if type(found) is tuple else None
        if self._is_inner(x):
            return self.places[x._array.id]
        i = self.numbers.get(id(x))
        if i is None:
            look = look_of(x, self.outer_recorder)
            if look is None or (x.view_of is not None and type(x._array) is ndarray):
                return None
            i = len(self.tensors)
            self.course.outer.append(look)
            key = self._memory(x)
            same = [k for k, t in enumerate(self.tensors) if self._memory(t) == key]
            self.course.shared.append(same[0] if same else i)
            self._add_outer(x)
        return -1 - 2 * i

    def _next(self):
        steps = self.course.steps
        return steps[self.at] if self.at < len(steps) else None

    def _fits(self, step, operands, params):
        if len(operands) != len(step.operands) or len(params) != len(step.given):
            return False
        places = self.places
        for known, x in zip(step.operands, operands, strict=True):
            # The most frequent operand by far is a tensor that the function made.
            a = x._array if type(x) is Tensor else None
            if type(a) is Abstract and (number := places.get(a.id)) is not None:
                if number != known:
                    return False
            elif not self._is_like(known, x):
                return False
        if params:
            try:
                for name, (value, known) in step.given.items():
                    own = params[name]
                    if own is not value and described(own) != known:
                        return False
            except (TypeError, KeyError):
                return False
        return True

    def _is_like(self, known, x):
        """Whether an operand is the one that the course has."""
        if not isinstance(x, Tensor):
            try:
                return type(known) is tuple and described(x) == known
            except TypeError:
                return False
        if type(known) is not int:
            return False
        array = x._array
        number = self.places.get(array.id) if type(array) is Abstract else None
        if number is not None:
            return number == known
        if known >= 0 or not known & 1:
            return False
        i = (-1 - known) // 2
        if i < len(self.tensors):
            return self.tensors[i] is x
        if i > len(self.tensors) or id(x) in self.numbers:
            return False
        if x.view_of is not None and type(array) is ndarray:
            return False
        if look_of(x, self.outer_recorder) != self.course.outer[i]:
            return False
        first = self.course.shared[i]
        if first != i and self._memory(x) != self._memory(self.tensors[first]):
            return False
        self._add_outer(x)
        return True

    def _memory(self, x):
        """A key that is equal for tensors from outside that look at one memory."""
        return key_of(x._array) if type(x._array) is ndarray else x._array.id

    def _add_outer(self, x):
        self.numbers[id(x)] = len(self.tensors)
        self.tensors.append(x)
        self.looks.append(None)

    def _saved(self, x):
        """The array that a node saves for an operand."""
        if not isinstance(x, Tensor):
            return x
        i = self.numbers.get(id(x))
        if i is None or type(x._array) is Abstract:
            return x._array
        i = self.course.shared[i]
        if self.looks[i] is None:
            array = self.looks[i] = _abstract(shape_of(x._array))
            self.places[array.id] = -2 - 2 * i
        return self.looks[i]

    def _link(self, out, args, op, params):
        """See ``Recorder._link``; no tensor from outside is a view here."""
        x = args[0]
        view = x.view_of
        root, path = (x, ()) if view is None else (view.root, view.path)
        out.cell = x.cell
        kind = ViewOf if view is None else type(view)
        untracked = not mode.records() or (view is not None and view.untracked)
        out.view_of = kind(root, (*path, (op, args[1:], params)), x.cell[0], untracked)

    # A difference ---------------------------------------------------------------------------

    def _leave(self):
        """Record what has run so far; returns the recording, in which the call goes on.

        The arrays that the function's tensors have already get the ids of those in the recording.
        """
        now = mode.state.grad
        try:
            mode.set_grad(self.grad)
            self.real = real = BatchRecorder(self.randomness)
            real.began = self.began
            real.own.update([a.id for a in self.samples])
            for op, args, params, grad, arrays in self.calls:
                mode.set_grad(grad)
                if op is None:
                    found: Any = from_array(args._array)
                    ReplayRecorder.note_alias(real, found, args)
                else:
                    found = real.record(op, args, params)
                found = found if isinstance(found, tuple) else (found,)
                for old, new in zip(arrays, found, strict=True):
                    old.id = new._array.id
            for x, look in zip(self.tensors, self.looks, strict=True):
                if look is not None:
                    look.id = real.place(x).look.id
        finally:
            mode.set_grad(now)
        return real
