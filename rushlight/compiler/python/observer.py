"""Observing a function while it runs: Python calls the observer before each instruction.

``sys.settrace`` reports every frame that begins. Frames of the user's code and of libraries are
followed instruction by instruction. Before an instruction its operands are on the stack; before the
next instruction its result is there. Frames of rushlight's operations are not followed, because
they tell the recorder what they read of the user's objects. A tracer that was set before (a
debugger's, for example) still gets all its events.
"""

import sys
import types
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from rushlight.autograd import mode
from rushlight.compiler.python.calls import Calls
from rushlight.compiler.python.effects import Effects
from rushlight.compiler.python.frames import NULL, Code, Operands, available
from rushlight.compiler.python.instructions import KINDS
from rushlight.compiler.python.levels import LIBRARY, NOT, USERS, is_inside, level_of
from rushlight.compiler.python.locations import member_of
from rushlight.compiler.python.origins import Origins
from rushlight.compiler.python.reads import Reads, has_options, is_users
from rushlight.errors import TraceError

__all__ = ["Observer"]

_ATTRIBUTES = ("LOAD_ATTR", "LOAD_SUPER_ATTR")
_codes: WeakKeyDictionary = WeakKeyDictionary()  # code → its instructions


class Observer:
    """What one recorded call reads and writes of Python's objects.

    Args:
        recorder: The recorder of the call. It refuses what no program can do.
        is_apart: See ``Reads``.

    Attributes:
        reads, effects: The noted reads, and the noted writes.
        origins: Tells which objects were there before the call.
        open: id → ``Frame``, for frames that are followed and have not returned.
        caches: The ids of objects in globals of libraries. A dict among them is a cache, and what
            is written to it stays there.
    """

    def __init__(self, recorder, is_apart):
        self._recorder = recorder
        self.lenient = False  # True for a recording that runs only once: reads do not matter then
        self.origins = Origins()
        self.effects = Effects(recorder)
        self.reads = Reads(self.origins, self.effects, is_apart)
        self.caches: set = set()
        self.calls = Calls(self)
        self.open: dict = {}
        self._before: Any = None
        self._active = False

    def __enter__(self):
        if not available():
            raise TraceError(
                "what the function reads cannot be observed on this implementation of Python"
            )
        self._before = sys.gettrace()
        # Python 3.12 reports instructions only if a frame asked for them before.
        sys._getframe().f_trace_opcodes = True
        self._active = True
        sys.settrace(self._enter)
        return self

    def __exit__(self, *exception):
        """Stop observing. A second call does what an interrupt kept the first from doing."""
        if self._active or getattr(sys.gettrace(), "__self__", None) is self:
            self._active = False
            sys.settrace(self._before)
        while self.open:  # if the observer raised, Python reports no more frames
            self.open.popitem()[1].end()

    def forget(self):
        """Drop the references to observed objects, because the recording is over."""
        reads, effects = self.reads, self.effects
        for kept in (reads.conditions, reads.places, reads.large, reads.weak):
            kept.clear()
        for kept in (effects.places, effects.containers, effects.stand_ins, effects.orders):
            kept.clear()

    def refuse(self, reason):
        """Let the recorder raise the error that no program can do what the function does."""
        if not self.lenient:
            self._recorder.refuse(reason)

    def is_argument(self, tensor):
        """Whether a tensor is an argument of the call, so that other calls get other tensors."""
        return any(tensor is t for t in self._recorder.leaves)

    def module(self, module):
        """Note what a call of a Module reads without observed code: the Module's ``forward``."""
        own, cls = module.__dict__, type(module)
        if "forward" in own:
            self.reads.attribute(module, "forward", own["forward"])
        elif self.origins.is_outer(module):
            self.reads.note("'forward' not in {0}", (own,), True)
            if is_users(cls):
                self.reads.class_member(cls, "forward", member_of(cls, "forward"))
        lazy = getattr(module, "has_uninitialized_params", None)
        if lazy is not None and lazy():
            self.reads.note("type({0})", (module,), cls)
            self.refuse(f"the first call of a {cls.__name__} makes its parameters")

    def function_class(self, cls):
        """Note what ``apply`` of a custom Function reads without observed code: its methods."""
        if is_users(cls) and self.origins.is_outer(cls):
            for name in ("forward", "setup_context", "backward", "vjp", "jvp"):
                self.reads.class_member(cls, name, member_of(cls, name))

    def settle(self, calls):
        """Do the checks that need the whole call; ``calls`` are the calls that it deferred."""
        self.reads.settle_large()
        for entries, keys in self.effects.orders.values():
            self.reads.note("{1}({0}) == {2}", (entries, list, keys), True)
        if calls and (self.reads.reads_options or any(map(has_options, self.effects.owners()))):
            raise TraceError(
                "the function reads or sets an optimizer's options, or a scheduler's, and takes a "
                "scheduler's step, which comes before or after the program; do one of them "
                "outside torch.compile"
            )

    def go_on(self, follower):
        """Follow frames again after Python dropped the tracer of one, because it raised."""
        if self._active and sys.gettrace() is None and follower.frame is not None:
            follower.frame.f_trace = _Tracer(Frame.trace, follower)
            sys.settrace(self._enter)

    def _enter(self, frame, event, argument):
        """Python calls this for each frame that begins, or goes on after a ``yield``."""
        before = self._before and self._before(frame, event, argument)
        if not self._active or mode.state.recorder is None:
            return before
        level = level_of(frame.f_code)
        if level == NOT or not self._follows_from(frame.f_back, level):
            if before is not None:
                frame.f_trace = before
            return before
        follower = self.open[id(frame)] = Frame(self, frame, level, before)
        frame.f_trace = _Tracer(Frame.trace, follower)
        frame.f_trace_opcodes = True
        frame.f_trace_lines = before is not None
        follower.begin()
        return frame.f_trace

    def _follows_from(self, caller, level):
        """Whether a frame is followed.

        It is if its caller is followed, or if rushlight calls code that is not a library's.
        """
        tracer = caller.f_trace
        if type(tracer) is _Tracer and tracer.args[0].observer is self:
            return True
        return level != LIBRARY and is_inside(caller.f_code)


class _Tracer(partial):
    """What Python calls before each instruction of one frame.

    If it raises, because a program cannot do what comes next, Python stops tracing and drops it.
    The user's function may catch the error, or has a ``finally``, and what it changes then must
    be noted as well. So the tracer's end starts tracing again.
    """

    def __del__(self):
        follower = self.args[0]
        follower.observer.go_on(follower)


class Frame:
    """One frame that is followed.

    Attributes:
        level: Whose code the frame runs; see ``levels.py``.
        pending: The function that must be told the result of the running instruction, or None.
    """

    __slots__ = (
        "before", "code", "extended", "frame", "level", "observer", "operands", "pair",
        "pending",
    )  # fmt: skip

    def __init__(self, observer, frame, level, before):
        code = _codes.get(frame.f_code)
        if code is None:
            code = _codes[frame.f_code] = Code(frame.f_code, KINDS)
        self.observer, self.frame, self.level, self.code = observer, frame, level, code
        self.operands: Any = Operands(frame, code)
        self.before = before
        self.pending: Any = None
        self.pair = False
        self.extended: Any = None  # the offset of an instruction whose argument began before it

    def begin(self):
        """Note the function that runs and, if it is a method, its place in the class."""
        function = self.operands.function()
        if not isinstance(function, types.FunctionType):
            return
        observer, code = self.observer, function.__code__
        if self.level == USERS:
            observer.reads.function(function)
        if code.co_argcount:
            owner = self.operands.variable(0)
            if isinstance(owner, types.CellType):  # an inner function uses the variable
                owner = next(iter(_contents(owner)), NULL)
            if code.co_name == "__init__":
                observer.origins.note_made(owner)
            elif self.level == USERS and owner is not NULL:
                self._note_method(function, owner)

    def _note_method(self, function, owner):
        cls = owner if isinstance(owner, type) else type(owner)
        if not is_users(cls) or not self.observer.origins.is_outer(cls):
            return
        name = function.__name__
        for c in cls.__mro__:
            member = c.__dict__.get(name)
            if member is function or getattr(member, "__func__", None) is function:
                self.observer.reads.class_member(c, name, member)
                if member is cls.__dict__.get(name, member):
                    self.observer.reads.class_member(cls, name, member)
                return

    def trace(self, frame, event, argument):
        """Python calls this before each instruction of the frame."""
        if event != "opcode" and self.before is not None:
            self.before = self.before(frame, event, argument)
        if not self.observer._active:
            return self.before
        if event == "opcode":
            kind, instruction, depth = self.code.instructions[frame.f_lasti]
            if self.extended == frame.f_lasti:
                self.extended = None  # the instruction was handled at its EXTENDED_ARG
                return None  # Python keeps the tracer
            self.extended = instruction.offset if instruction.offset != frame.f_lasti else None
            if self.pending is not None:
                tell, self.pending = self.pending, None
                tell(self._result(depth))
                self.pair = False
            if kind is not None:
                count, note = kind
                number = count if type(count) is int else count(instruction)
                operands = self.operands.top(depth, number)
                self.pending = note(self, instruction, *operands)
                self.pair = self.pending is not None and _gives_two(instruction)
        elif event == "exception" and self.pending is not None:
            tell, self.pending = self.pending, None
            tell(NULL)
        elif event == "return":
            self.observer.open.pop(id(frame), None)
            self.end()
        return None

    def replace(self, place, value):
        """Put ``value`` in the place of an operand of this instruction, counted from the top."""
        _, _, depth = self.code.instructions[self.frame.f_lasti]
        self.operands.replace(depth, place, value)

    def end(self):
        """Drop the references to the frame, and with it to the function's variables."""
        self.frame = self.operands = self.pending = None

    def _result(self, depth):
        """The result of the last instruction; the method, if it gave a method and its object."""
        if not depth:
            return NULL
        *below, last = self.operands.top(depth, 2 if self.pair else 1)
        return below[0] if below and below[0] is not NULL else last


def _gives_two(instruction):
    """Whether the instruction gives two operands: an attribute, and its object or NULL."""
    if instruction.opname == "LOAD_METHOD":
        return True
    later = sys.version_info >= (3, 12)
    return later and instruction.opname in _ATTRIBUTES and bool(instruction.arg & 1)


def _contents(cell):
    """A list of the value in a cell; an empty list if the variable has no value yet."""
    try:
        return [cell.cell_contents]
    except ValueError:  # not yet
        return []
