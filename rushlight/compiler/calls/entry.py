"""One recorded call: its program, and the Python function that runs it for similar calls.

To record a call, the user's function is run on values without elements. Then its changes to Python
objects are taken back. ``wrapper.py`` writes the Python function for later calls from the
recording.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from rushlight.autograd import mode
from rushlight.compiler.calls.audit import Audit
from rushlight.compiler.calls.wrapper import Wrapper
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.capture.symbolic_numbers import SymbolicNumber
from rushlight.compiler.python.calls import Unsuited
from rushlight.compiler.python.locations import getter, in_words, taken_apart
from rushlight.compiler.python.observer import Observer
from rushlight.compiler.run.handlers import handlers_apart, is_of_handler
from rushlight.dtype import get_default_dtype, set_default_dtype
from rushlight.errors import TraceError
from rushlight.gc_pause import paused
from rushlight.locks import new_lock

__all__ = ["Entry", "recording_lock"]

#: Only one call is recorded at a time, because a recording changes objects outside for a while.
recording_lock = new_lock(awaited=True)
#: A call is recorded at most so often to find all places that it reads and then assigns.
_ATTEMPTS = 4


@dataclass
class Apart:
    """Places that a call reads and then assigns, as (template, owner, value), and large arrays.

    Such a place likely has another value in the next call. So numbers and arrays are replaced by
    stand-ins while the call is recorded, and tensors are treated like arguments.
    """

    numbers: list = field(default_factory=list)
    tensors: list = field(default_factory=list)
    arrays: list = field(default_factory=list)

    def places(self):
        """The same places without their values."""
        return self._each(lambda template, owner, value: (template, owner, None))

    def now(self):
        """The same places with their present values."""
        return self._each(lambda template, owner, _: (template, owner, getter(template)(owner)))

    def _each(self, change):
        kinds = self.numbers, self.tensors, self.arrays
        return Apart(*[[change(*place) for place in kind] for kind in kinds])

    def keys(self):
        """(template, id of the owner) of each place."""
        every = (*self.numbers, *self.tensors, *self.arrays)
        return {(template, id(owner)) for template, owner, _ in every}


def _apart(observer, stand_ins, before):
    """The places that an observed call read and that must be set apart; see ``Apart``.

    ``before``: key of a place → the numbers that earlier recordings found there.
    """
    reads, effects = observer.reads, observer.effects
    found = [place for key, place in reads.places.items() if key in effects.places]
    numbers = [
        place
        for key, place in reads.places.items()
        if stand_ins and _is_number(place[2]) and id(place[1]) not in effects.containers
        if key in effects.places or before.get(key, set()) - {place[2]}
    ]
    as_conditions = [(template, (owner,), value) for template, owner, value in found]
    everything = [(template, (owner,), value) for template, owner, value in reads.places.values()]
    tensors, _ = taken_apart(as_conditions, everything)
    arrays = [p for p in reads.places.values() if stand_ins and id(p[2]) in reads.large]
    return Apart(numbers, [(t, owner, value) for t, (owner,), value in tensors], arrays)


def _is_number(value):
    return type(value) in (int, float)


class Entry:
    """One recorded call of a function.

    Args:
        earlier: Entries of earlier calls. If there are any, floats among the arguments, and numbers
            that differed in earlier recordings, are taken to differ in each call.
        audited: Whether later calls are now and then recorded again; see ``audit.py``.

    Attributes:
        call: ``call(args, kwargs)`` returns the function's result, or MISS if the program does not
            serve this call.
        text: The source of ``call``.
        program: The recorded program; None if such calls must run eagerly.
        refusal: The error that says why such calls must run eagerly, or None.
        numbers: key of a place → the number that was read there.
        seconds: The duration of recording and compiling.
    """

    refusal: TraceError | None = None
    _constants: Any

    def __init__(self, function, args, kwargs, earlier=(), audited=False):
        begin, self._moving = time.perf_counter(), bool(earlier)
        self._function, self._auditing = function, False
        self._audit: Any = Audit(self._again, audited)
        self._before: dict = {}
        for entry in earlier:
            for key, number in entry.numbers.items():
                self._before.setdefault(key, set()).add(number)
        before = mode.snapshot()
        with recording_lock:
            try:
                recorder = self._record(function, args, kwargs)
            finally:
                mode.give_back(before)
            if self.refusal is not None:
                self.wrapper = Wrapper(function, args, kwargs, self._moving)
                self.wrapper.run_eagerly(recorder, self.refusal)
        source = self.wrapper.source
        self.call, self.text = source.function("call"), source.text
        self.program, self.held = self.wrapper.program, self.wrapper.held
        places = recorder.observer.reads.places
        self.numbers = {key: p[2] for key, p in places.items() if _is_number(p[2])}
        self.seconds = time.perf_counter() - begin
        self._audit.keep(self.wrapper)
        recorder.observer.forget()
        recorder.let_go()
        del self.wrapper

    def _again(self, args, kwargs):
        """Record a call that has this program once more, for an audit.

        Returns the new ``Wrapper``, or the error that prevents a recording.
        """
        again = object.__new__(Entry)
        again._moving, again._before, again._auditing = self._moving, self._before, True
        again._audit, again._constants = None, self._constants
        with recording_lock, paused(), handlers_apart():
            try:
                apart, stand_ins = self._apart.now(), self._stand_ins
                recorder, _ = again._attempt(self._function, args, kwargs, apart, stand_ins, True)
                again._take_back(recorder)  # undoes new optimizer state, too
                recorder.observer.forget()
            except Exception as error:
                if is_of_handler(error):
                    raise
                return error
        return again.refusal or again.wrapper

    def release(self):
        """Free the memory that the next run can allocate again."""
        if self.held is not None:
            self.held.release()

    def _record(self, function, args, kwargs):
        """Record the call, several times if it reads places that it assigns.

        Returns the last recorder.
        """
        apart, stand_ins = Apart(), True
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            try:
                recorder, more = self._attempt(function, args, kwargs, apart, stand_ins, last)
            except Exception as error:
                numbers = self.wrapper.arguments.numbers
                other = apart.numbers or apart.arrays or numbers or type(error) is Unsuited
                if last or not other or is_of_handler(error):
                    raise
                # Some code tests the exact type of a number or an array: try without stand-ins.
                apart, stand_ins = Apart([], apart.tensors, []), False
                continue
            if more is None:
                break
            apart = Apart(
                [*apart.numbers, *more.numbers],
                [*apart.tensors, *more.tensors],
                [*apart.arrays, *more.arrays],
            )
            recorder.observer.forget()
        return recorder

    def _attempt(self, function, args, kwargs, apart, stand_ins, last):
        """Record once. Returns the recorder, and what to set apart in another attempt, or None."""
        self.refusal = None
        self._apart, self._stand_ins = apart.places(), stand_ins
        self.wrapper = Wrapper(function, args, kwargs, self._moving and stand_ins, self._audit)
        arguments = self.wrapper.arguments
        given = [*arguments.containers]
        arguments.add([(template, (owner,), value) for template, owner, value in apart.tensors])
        recorder = Recorder(arguments.leaves, arguments.covers, Observer)
        recorder.auditing = self._auditing
        if self._auditing:
            recorder.constants = [*self._constants]
        else:
            self._constants = recorder.constants
        observer = recorder.observer
        observer.effects.containers.update({id(c): (c, before) for c, before in given})
        observer.reads.apart |= apart.keys()
        for template, owner, value in apart.arrays:
            known = (value.shape, value.strides, value.dtype)
            text = template.replace("{0}", "{1}")
            form = f"({text}.shape, {text}.strides, {text}.dtype)".replace("{1}", "{0}")
            recorder.checks += [(template, (owner,), value), (form, (owner,), known)]
        self.refusal = arguments.refusal
        if self.refusal is not None:
            return recorder, None
        try:
            return recorder, self._run(function, recorder, apart, stand_ins, last)
        except BaseException:  # an interrupt may have come while changes were taken back
            self._take_back(recorder)
            recorder.observer.forget()
            raise

    def _run(self, function, recorder, apart, stand_ins, last):
        observer, modes = recorder.observer, _modes()
        try:
            mode.exchange("recorder", recorder)
            observer.origins.__enter__()
            recorder.stand_in(apart.numbers, apart.arrays)
            args, kwargs = self.wrapper.arguments.with_numbers(recorder.numbers)
            with observer:
                # In a list that is emptied later, so that no other reference to the result is left.
                box = [function(*args, **kwargs)]
            if recorder.refused is not None:
                raise recorder.refused
            recorder.settle_hooks()
            left = _modes()
            if left[1:] != modes[1:]:
                raise TraceError(
                    "the function leaves inference mode, autocast or the default dtype otherwise "
                    "than it found it, which a program cannot do again; switch it outside "
                    "torch.compile"
                )
            _set_modes(modes)
            found = Apart() if last else _apart(observer, stand_ins, self._before)
            if not found.keys() <= apart.keys():
                self._take_back(recorder)
                return found
            observer.settle(recorder.calls)
            late = observer.effects.assigned
            self.wrapper.write(box, recorder, self._changes(recorder), late, left[0])
            recorder.restore()
            changed = observer.effects.take_back()
            if changed is not None:
                raise TraceError(
                    f"the function changes {changed}, which a program cannot do again; keep it "
                    "in a tensor, or change it outside torch.compile"
                )
        except TraceError as error:
            # The error is kept; its traceback would keep the variables of the function alive.
            self.refusal = error.with_traceback(None)
            self.refusal.__cause__ = self.refusal.__context__ = None
            self._take_back(recorder)
        except BaseException:
            self._take_back(recorder)
            raise
        finally:
            observer.__exit__()  # again: an interrupt may have come at the beginning of the first
            _set_modes(modes)
            observer.origins.__exit__()
            mode.exchange("recorder", None)
            recorder.restore()

    def _take_back(self, recorder):
        """Restore everything outside to the state before the recording."""
        recorder.restore()
        for undo in recorder.undo:
            undo()
        recorder.observer.effects.take_back()

    def _changes(self, recorder):
        """(object, template, value) of each assignment that the function made outside."""
        found, numbers = [], recorder.numbers
        for owner, target, now, before in recorder.observer.effects.assigned(anew=True):
            root = numbers.roots.get((target, id(owner)))
            # A number that changes and is also a condition would need a new program at each call.
            read = (target, id(owner)) in recorder.observer.reads.places
            count = (
                read and type(before) in (int, float) and type(now) in (int, float, SymbolicNumber)
            )
            if numbers.is_pinned(root) if root is not None else count:
                raise TraceError(
                    f"the function changes {in_words(target)}, and what it does depends on the "
                    "number; keep it in a tensor, or change it outside torch.compile"
                )
            found.append((owner, target, now))
        return found


def _modes():
    """The modes that a function could leave changed: gradient modes, autocast, default dtype."""
    return *mode.gradient_modes(), mode.state.autocast, get_default_dtype()


def _set_modes(modes):
    *gradient, autocast, dtype = modes
    mode.set_gradient_modes(*gradient)
    mode.exchange("autocast", autocast)
    if get_default_dtype() is not dtype:
        set_default_dtype(dtype)
