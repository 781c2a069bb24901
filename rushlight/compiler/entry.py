"""One recorded call: its program, and the function that runs it for calls like it.

To record it the function is run, on values without elements, and all that it did to Python's
objects is taken back. ``wrapper.py`` writes from the recording what later calls run.
"""

import threading
import time

from rushlight.autograd import mode
from rushlight.compiler.numbers import Number
from rushlight.compiler.places import NOTHING, in_words, place_name
from rushlight.compiler.surroundings import surroundings
from rushlight.compiler.trace import Recorder
from rushlight.compiler.undo import Streams, added, changes, options, put_back
from rushlight.compiler.wrapper import Wrapper
from rushlight.errors import TraceError

__all__ = ["Entry", "recording_lock"]

#: Only one call is recorded at a time: while it is, what it changes outside is not as it seems.
recording_lock = threading.RLock()


class Entry:
    """A call of one function, recorded.

    Args:
        moving: It was called before, so that Python's floats among the arguments may be others
            at each call.

    Attributes:
        call: ``call(args, kwargs)`` gives what the function gives, or MISS for another call.
        text: The lines of ``call``.
        program: What was recorded; None where the call has to run eagerly.
        refusal: The error that says why it has to.
        seconds: How long all this took, the making of the programs included.
    """

    refusal: TraceError | None = None
    _stands_in = False  # whether something stood in for a number or an array

    def __init__(self, function, args, kwargs, moving=False):
        begin = time.perf_counter()
        with recording_lock:
            try:
                recorder = self._attempt(function, args, kwargs, True, moving)
            except Exception:
                if not self._stands_in:
                    raise
                # Code that knows a number or an array by its type takes no other for one.
                recorder = self._attempt(function, args, kwargs, False, False)
            if self.refusal is not None:
                self.wrapper = Wrapper(args, kwargs, moving)
                self.wrapper.run_eagerly(function, recorder, self.refusal)
        source = self.wrapper.source
        self.call, self.text = source.function("call"), source.text
        self.program, self.held = self.wrapper.program, self.wrapper.held
        self.seconds = time.perf_counter() - begin
        del self.wrapper

    def release(self):
        """Let go of memory that the next run makes again."""
        if self.held is not None:
            self.held.release()

    def _attempt(self, function, args, kwargs, apart, moving):
        """Record the call; ``apart`` has what the function may assign anew read at each run."""
        self.wrapper = Wrapper(args, kwargs, moving)
        found = surroundings(function, self.wrapper.arguments.objects, apart)
        if found.asks_types:
            self.wrapper = Wrapper(args, kwargs)
        arguments = self.wrapper.arguments
        containers = [*arguments.containers]
        arguments.add(found.places)
        recorder = Recorder(arguments.leaves)
        recorder.enclose(found)
        recorder.assigned = [*found.places, *found.numbers]
        recorder.known = found.met
        recorder.containers += containers
        recorder.optimizers = found.optimizers
        recorder.options = options(found.optimizers)
        self.refusal = found.refusal or arguments.refusal
        self._stands_in = bool(found.numbers or found.arrays or arguments.numbers)
        self._reads_options = found.reads_options
        if self.refusal is None:
            self._record(function, recorder, found)
        return recorder

    def _record(self, function, recorder, found):
        streams = Streams()
        mode.add_intercept(1)
        mode.state.recorder = recorder
        try:
            recorder.stand_in(found.numbers, found.arrays)
            args, kwargs = self.wrapper.arguments.with_numbers(recorder.numbers)
            # In a list, so that nobody else holds what the function returned.
            box = [function(*args, **kwargs)]
            if recorder.refused is not None:
                raise recorder.refused
            if recorder.calls and self._reads_options:
                raise TraceError(
                    "the function reads an optimizer's options, or a scheduler's, and takes a "
                    "scheduler's step, which comes after the program; do one of them outside "
                    "torch.compile"
                )
            left = lambda: changes(self._places(recorder), recorder.containers, recorder.owners)
            self.wrapper.write(box, recorder, self._changes(recorder), left)
            recorder.restore()
            changed = self._put_back(recorder)
            if streams.put_back():
                raise TraceError(
                    "the function draws from Python's or NumPy's random numbers, which a program "
                    "cannot do; draw them outside torch.compile, or with torch.rand"
                )
            if changed is not None:
                raise TraceError(
                    f"the function changes {changed}, which a program cannot do again; keep it "
                    "in a tensor, or change it outside torch.compile"
                )
        except TraceError as error:
            self.refusal = error
            self._take_back(recorder)
            streams.put_back()
        except BaseException:
            self._take_back(recorder)
            streams.put_back()
            raise
        finally:
            mode.state.recorder = None
            mode.add_intercept(-1)
            recorder.restore()

    def _take_back(self, recorder):
        """Leave things outside as they were before the trace."""
        recorder.restore()
        for undo in recorder.undo:
            undo()
        self._put_back(recorder)

    def _put_back(self, recorder):
        places = self._places(recorder)
        recorder.checks += added(recorder.owners)
        return put_back(places, recorder.containers, recorder.owners)

    def _places(self, recorder):
        """Conditions of all that the function may have changed outside."""
        return [*recorder.checks, *recorder.assigned, *recorder.options]

    def _changes(self, recorder):
        """(object, template, value) of what the function assigned, which is taken back."""
        found, numbers = [], recorder.numbers
        for owner, target, now, before in changes(
            self._places(recorder), recorder.containers, recorder.owners, recorder.stand_ins
        ):
            root = numbers.roots.get((target, id(owner)))
            # A program for each value that a number takes is none for long.
            count = type(before) in (int, float) and type(now) in (int, float, Number)
            if numbers.is_pinned(root) if root is not None else count:
                raise TraceError(
                    f"the function changes {in_words(target)}, and what it does depends on the "
                    "number; keep it in a tensor, or change it outside torch.compile"
                )
            if before is NOTHING:
                recorder.checks.append((f"{place_name(target)!r} not in {{0}}", (owner,), True))
            found.append((owner, target, now))
        return found
