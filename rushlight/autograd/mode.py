"""What this thread is doing: recording gradients, inferring, tracing.

The default costs nothing. Operations look at two module-level counts: ``grad_off`` (threads in
which gradients may not be recorded, or that infer) and ``intercept`` (reasons to leave the fast
path: a trace, an autocast region, anomaly detection, a Tensor subclass that overrides operations).
Only where a count is not zero do they ask for the thread's own state.
"""

import functools
import inspect
import threading
from typing import Any

from rushlight import locks

__all__ = [
    "enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "live",
    "no_grad", "recorder", "records", "set_grad_enabled",
]  # fmt: skip

grad_off = 0
intercept = 0
_shared = 0  # those that ``intercept`` counts and that are no single thread's
#: Whether anybody was ever in inference mode: what is made there must not be saved for a gradient.
inferred = False


class _State(threading.local):
    grad = True  # operations record what gradients need
    inference = False
    asked = False  # in inference mode, what set_grad_enabled was given: it has no effect there
    recorder: Any = None  # the trace that operations are recorded into
    anomaly = None  # None, or the check_nan of detect_anomaly
    profiler: Any = None  # what notes operations, or None
    in_rule = False  # a gradient rule is running: operations take raw arrays
    selective = False  # a backward is running that goes to some tensors only
    packing: Any = None  # (pack, unpack) of saved_tensors_hooks
    packing_refused: Any = None  # why there may be none
    roots: Any = None  # the nodes that the backward which runs now started from
    autocast: Any = None  # what casts the operands of operations, in an autocast region
    dispatch = True  # __torch_function__ of subclasses is honoured
    reasons = 0  # of this thread, among those that ``intercept`` counts
    counted = False  # whether ``grad_off`` counts this thread

    def __init__(self):  # in each thread: all in one dict, which can be given back in one step
        self.__dict__.update({k: v for k, v in vars(_State).items() if k[0] != "_"})


state = _State()
_lock = locks.new_lock(awaited=True)


def add_intercept(n):
    """Count ``n`` more (or fewer) reasons, of all threads, to leave the fast path."""
    global intercept, _shared
    with _lock:
        _shared += min(n, 0)  # in the order of ``_count``
        intercept += n
        _shared += max(n, 0)


def exchange(name, value):
    """Set what this thread has as ``name``, a reason to leave the fast path unless it is None.

    Returns what it was. An interrupt may come between any two lines: the count is raised before
    the value is there and lowered after it is gone, since a count too high only costs time. A
    value is set in the line that returns, so that either the caller learns of it or it is not set.
    """
    own = state.__dict__
    was = getattr(state, name)
    if value is None and was is not None:
        own[name] = None
        _count(-1)
        return was
    if value is not None and was is None:
        _count(1)
    return own.update({name: value}) or was


def _count(change):
    """Raise or lower ``intercept`` and this thread's share of it.

    An interrupt may come between the two. The share is never the larger one, since a share that
    nobody counts would be taken off twice: below 0, a trace would miss operations.
    """
    global intercept
    with _lock:
        state.reasons += min(change, 0)
        intercept += change
        state.reasons += max(change, 0)


def snapshot():
    """This thread's state, for ``give_back``."""
    return state.__dict__.copy()


def give_back(before):
    """Have this thread's state, and what it counts for, be as ``snapshot`` found them.

    An operation sets some reasons aside while it computes, which still count. So the counts are
    those of before, not what the state now adds up to. They are raised first and lowered last, as
    in ``exchange``.
    """
    missing = before["reasons"] - state.reasons
    _count(max(missing, 0))
    _count_grad(before["counted"] or state.counted)
    modes = {k: v for k, v in before.items() if k not in ("reasons", "counted")}
    state.__dict__.update(modes)  # in one step that no interrupt splits
    _count(min(missing, 0))
    _count_grad(before["counted"])


def _count_grad(off):
    """Have ``grad_off`` count this thread: in inference mode tensors are marked, whatever else."""
    global grad_off
    with _lock:
        change = off - state.counted
        state.counted = off and state.counted  # in the order of ``_count``
        grad_off += change
        state.counted = off


def set_grad(enabled):
    """Turn recording on or off in this thread; returns what it was. See ``exchange``."""
    if state.inference:
        was = state.asked
        return state.__dict__.update(asked=enabled) or was
    was = state.grad
    if enabled is was:
        return was
    if enabled:
        state.grad = True
    _count_grad(not enabled or state.inference)
    return state.__dict__.update(grad=enabled) or was  # in one line; see ``exchange``


def gradient_modes():
    """What ``set_gradient_modes`` takes: whether this thread records, was asked to, and infers."""
    return state.grad, state.asked, state.inference


def set_gradient_modes(grad, asked, inference):
    """Set all of them, whichever mode the thread is in."""
    off = not grad or inference
    if off:  # a thread is never off and not counted; see ``exchange``
        _count_grad(True)
    state.__dict__.update(grad=grad, asked=asked, inference=inference)
    if not off:
        _count_grad(False)


def _forget_other_threads():
    """In a forked child: count this thread's reasons alone."""
    global grad_off, intercept
    grad_off = int(not state.grad or state.inference)
    intercept = _shared + state.reasons


locks.around_fork(in_child=_forget_other_threads)


def is_grad_enabled():
    """True where operations record what gradients need.

    >>> import rushlight as torch
    >>> with torch.no_grad():
    ...     torch.is_grad_enabled()
    False
    """
    return not grad_off or (state.asked if state.inference else state.grad)


def records():
    """Whether operations of this thread record what gradients need: never in inference mode."""
    return not grad_off or state.grad


def is_inference_mode_enabled():
    """True inside ``inference_mode()``."""
    return state.inference


def recorder():
    """The trace that this thread records into, or None."""
    return state.recorder


def refuse_in_trace(reason):
    """In a trace, raise the error that a program cannot do what was asked for."""
    if intercept and state.recorder is not None:
        state.recorder.refuse(f"inside torch.compile, {reason}")


def live(get):
    """``get()`` now; in a trace, a 0-dim tensor that is read again by ``get()`` at each replay.

    For hyper-parameters that change between calls, such as a learning rate.
    """
    active = state.recorder
    return get() if active is None else active.live(get)


def guard(get):
    """In a trace: have the compiled program refuse to run once ``get()`` changes."""
    active = state.recorder
    if active is not None:
        active.guard(get)


class suspended:
    """Context outside the trace: what is made here outlives it, like new optimizer state."""

    def __enter__(self):
        self.was, state.recorder = state.recorder, None

    def __exit__(self, *exc):
        state.recorder = self.was


def new_cell():
    """The clock cell of a new tensor: [time of the last write, number of writes].

    A third entry marks a tensor made in inference mode; any other gets its cell when it is first
    written, looked at or saved: None until then.
    """
    return [0, 0, True] if state.inference else None


class _Decorator:
    """A context manager that also decorates functions and generator functions."""

    def __call__(self, function):
        if inspect.isclass(function):
            raise TypeError(f"{type(self).__name__} decorates functions and methods, not classes")
        if inspect.isgeneratorfunction(function):
            return self._decorate_generator(function)

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self.clone():
                return function(*args, **kwargs)

        return wrapped

    def _decorate_generator(self, function):
        # The mode holds while the generator runs, not while its caller does.
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            generator = function(*args, **kwargs)
            resume, value = generator.send, None
            while True:
                try:
                    with self.clone():
                        item = resume(value)
                except StopIteration as stop:
                    return stop.value
                try:
                    resume, value = generator.send, (yield item)
                except GeneratorExit:
                    generator.close()
                    raise
                except BaseException as error:
                    resume, value = generator.throw, error

        return wrapped

    def clone(self):
        return type(self)()


class no_grad(_Decorator):
    """Context and decorator in which nothing is recorded for gradients.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, function=None):
        self = super().__new__(cls)
        return self if function is None else self(function)

    def __enter__(self):
        self.was = set_grad(False)

    def __exit__(self, *exc):
        set_grad(self.was)


class enable_grad(_Decorator):
    """Context and decorator that records again inside ``no_grad``.

    >>> import rushlight as torch
    >>> with torch.no_grad(), torch.enable_grad():
    ...     (torch.ones(2, requires_grad=True) * 2).requires_grad
    True
    """

    def __new__(cls, function=None):
        self = super().__new__(cls)
        return self if function is None else self(function)

    def __enter__(self):
        self.was = set_grad(True)

    def __exit__(self, *exc):
        set_grad(self.was)


class set_grad_enabled(_Decorator):
    """Set recording on or off at once; as a context or decorator, for its extent.

    >>> import rushlight as torch
    >>> with torch.set_grad_enabled(False):
    ...     torch.is_grad_enabled()
    False
    """

    def __init__(self, mode):
        self.mode = bool(mode)
        self.was = set_grad(self.mode)

    def __call__(self, function):
        set_grad(self.was)  # decorating sets nothing now
        return super().__call__(function)

    def __enter__(self):
        set_grad(self.mode)

    def __exit__(self, *exc):
        set_grad(self.was)

    def clone(self):
        return type(self)(self.mode)


class inference_mode(_Decorator):
    """``no_grad`` whose results can never take part in gradients.

    >>> import rushlight as torch
    >>> with torch.inference_mode():
    ...     torch.ones(2).is_inference()
    True
    """

    mode: bool

    def __new__(cls, mode=True):
        self = super().__new__(cls)
        if callable(mode):
            self.mode = True
            return self(mode)
        self.mode = bool(mode)
        return self

    def __enter__(self):
        global inferred
        inferred = inferred or self.mode
        self.was = gradient_modes()
        try:
            set_gradient_modes(not self.mode, False, self.mode)
        except BaseException:  # an interrupt: nobody will leave the region
            set_gradient_modes(*self.was)
            raise

    def __exit__(self, *exc):
        set_gradient_modes(*self.was)

    def clone(self):
        return type(self)(self.mode)


class set_multithreading_enabled(_Decorator):
    """Allow several threads in a backward; here there is one, and nothing changes.

    >>> import rushlight as torch
    >>> with torch.autograd.set_multithreading_enabled(False):
    ...     pass
    """

    multithreaded = True

    def __init__(self, mode):
        self.mode = bool(mode)
        self.prev = set_multithreading_enabled.multithreaded
        set_multithreading_enabled.multithreaded = self.mode

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        set_multithreading_enabled.multithreaded = self.prev

    def clone(self):
        return type(self)(self.mode)
