"""The modes of each thread: recording of gradients, inference mode, tracing, and more.

The default mode costs operations almost nothing: they look at two module-level counts. ``grad_off``
counts the threads that record no gradients or are in inference mode. ``intercept`` counts reasons
to leave the fast path: a trace, an autocast region, anomaly detection, a subclass of Tensor that
overrides operations, tensors on the device ``meta``. Only if a count is not zero do operations read
the state of their thread.
"""

import functools
import inspect
import threading
import warnings
from typing import Any

from rushlight import locks
from rushlight.autograd.recording import Recording

__all__ = [
    "enable_grad", "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "live",
    "no_grad", "recorder", "records", "set_grad_enabled",
]  # fmt: skip

grad_off = 0
intercept = 0
#: The part of ``intercept`` that counts no memory. Machine code that replays calls reads it: it
#: looks at the operands itself, and leaves those in other memory than the CPU's to Python.
besides_memory = 0
_shared = 0  # the part of ``intercept`` that belongs to no single thread, but for memory
#: The part of ``intercept`` that counts memory that is not on the CPU, as one reason, and threads
#: that make new tensors there. These override no functions. Too low a count only costs time.
metas = 0
_memories = 0  # the memories that are not on the CPU
#: Whether inference mode was ever entered. If so, operations check for inference tensors, because
#: these must not be saved for a gradient.
inferred = False


class _State(threading.local):
    grad = True  # operations record what gradients need
    inference = False
    asked = False  # the value of set_grad_enabled in inference mode, where it has no effect
    recorder: Any = None  # the Recording that operations go into
    anomaly = None  # None, or the check_nan of detect_anomaly
    profiler: Any = None  # the profiler that notes operations, or None
    in_rule = False  # a gradient rule is running, so operations accept raw arrays
    forward = False  # the running backward serves forward mode, see forward_ad.py
    targets: Any = None  # ids of the nodes at which the running backward ends; None: at all leaves
    packing: Any = None  # (pack, unpack) of saved_tensors_hooks, or None
    packing_refused: Any = None  # the message of disable_saved_tensors_hooks, or None
    roots: Any = None  # the nodes from which the running backward started
    autocast: Any = None  # the Policy that casts operands in an autocast region, or None
    dispatch = True  # __torch_function__ of subclasses is called
    function_modes: Any = None  # the TorchFunctionModes that are on, the innermost last, or None
    handlers = True  # __torch_dispatch__ of subclasses is called
    above = False  # inside of such a handler: whether operations are recorded above it
    place: Any = None  # the device of new tensors, or None for the CPU
    entered: Any = None  # of the devices entered by ``with``: (the place before, those before it)
    dispatch_modes: Any = None  # the stack of TorchDispatchModes that are on, or None
    declined: Any = None  # such a stack that declined the call: they are on again in the handler
    reasons = 0  # the part of ``intercept`` that belongs to this thread
    places = 0  # the part of ``metas`` that belongs to this thread
    counted = False  # whether ``grad_off`` counts this thread

    # Runs in each thread. All values go into one dict, so that ``give_back`` is a single update.
    def __init__(self):
        self.__dict__.update({k: v for k, v in vars(_State).items() if k[0] != "_"})


state = _State()
#: The time at which the last backward began. A gradient rule may leave an array for another rule,
#: but only for the same backward: the caller may write to the gradient before the next one.
run = 0
_lock = locks.new_lock(awaited=True)


def add_intercept(n):
    """Add ``n`` (or remove, if negative) reasons for all threads to leave the fast path."""
    global besides_memory, intercept, _shared
    down, up = min(n, 0), max(n, 0)  # no calls below: a finalizer might run in them, and count
    with _lock:
        _shared += down  # see ``_count`` for the order
        intercept += n
        besides_memory += n
        _shared += up


def count_meta():
    """Count a memory that is not on the CPU. All of them are one reason for all threads."""
    global intercept, metas, _memories
    with _lock:
        if not _memories:
            intercept += 1
        _memories += 1
        if _memories == 1:
            metas += 1


def forget_meta():
    """Count such a memory no more. No thread may see memories and no reason."""
    global intercept, metas, _memories
    with _lock:
        if _memories == 1:
            metas -= 1
        _memories -= 1
        if not _memories:
            intercept -= 1


def exchange(name, value):
    """Set this thread's state ``name`` to ``value``, and return the previous value.

    A value other than None is a reason to leave the fast path. An interrupt (Ctrl-C) may come
    between any two lines. So the count is raised before the value is set, and lowered after the
    value is removed: a count that is too high only costs time. The line that sets a value also
    returns, so either the caller learns the previous value, or nothing was set.
    """
    own = state.__dict__
    was = own[name]
    if value is None and was is not None:
        own[name] = None
        _count(-1, -1 if name == "place" else 0)
        return was
    if value is not None and was is None:
        _count(1, 1 if name == "place" else 0)
    return own.update({name: value}) or was


class classes_unasked:
    """A context in which classes do not take functions over (``__torch_function__``)."""

    def __enter__(self):
        self.was, state.dispatch = state.dispatch, False

    def __exit__(self, *error):
        state.dispatch = self.was


class unasked:
    """A context in which neither classes nor modes take functions over (``__torch_function__``)."""

    def __enter__(self):
        self.was = state.dispatch, exchange("function_modes", None)
        state.dispatch = False

    def __exit__(self, *error):
        state.dispatch, modes = self.was
        exchange("function_modes", modes)


def _count(change, places=0):
    """Add ``change`` to ``intercept`` and ``places`` to ``metas``, and to this thread's shares.

    An interrupt may come between the two lines. The order ensures that the share never exceeds
    what ``intercept`` counts. Otherwise ``intercept`` could later fall below the true number, and
    a trace would miss operations. Likewise ``metas`` must never exceed the true number.
    """
    global besides_memory, intercept, metas
    with _lock:
        if places < 0:
            metas += places
            state.places += places
        if change < 0:
            state.reasons += change
        intercept += change
        besides_memory += change
        if change > 0:
            state.reasons += change
        if places > 0:
            state.places += places
            metas += places


def snapshot():
    """This thread's state, for ``give_back``."""
    return state.__dict__.copy()


def give_back(before):
    """Restore this thread's state, and its share of the counts, from ``snapshot``.

    An operation may set some values to None while it computes, and these still count. So the old
    counts are restored, and not computed from the state. Counts are raised first and lowered last,
    as in ``exchange``.
    """
    if state.__dict__ == before:
        return
    missing = before["reasons"] - state.reasons
    places = before["places"] - state.places
    _count(max(missing, 0), min(places, 0))
    _count_grad(before["counted"] or state.counted)
    modes = {k: v for k, v in before.items() if k not in ("reasons", "places", "counted")}
    state.__dict__.update(modes)  # a single step, which no interrupt can split
    _count(min(missing, 0), max(places, 0))
    _count_grad(before["counted"])


def _count_grad(off):
    """Set whether ``grad_off`` counts this thread.

    It always counts a thread in inference mode, because new tensors must be marked there.
    """
    global grad_off
    with _lock:
        change = off - state.counted
        state.counted = off and state.counted  # see ``_count`` for the order
        grad_off += change
        state.counted = off


def set_grad(enabled):
    """Turn recording on or off in this thread, and return the previous value.

    In inference mode the value is only stored, and has no effect. ``exchange`` explains the order
    of the lines.
    """
    if state.inference:
        was = state.asked
        return state.__dict__.update(asked=enabled) or was
    was = state.grad
    if enabled is was:
        return was
    if enabled:
        state.grad = True
    _count_grad(not enabled or state.inference)
    return state.__dict__.update(grad=enabled) or was


def gradient_modes():
    """The arguments of ``set_gradient_modes``: this thread's ``grad``, ``asked``, ``inference``."""
    return state.grad, state.asked, state.inference


def set_gradient_modes(grad, asked, inference):
    """Set all three gradient modes of this thread, whatever they are now."""
    off = not grad or inference
    if off:  # count first, so that a thread whose mode is off is always counted
        _count_grad(True)
    state.__dict__.update(grad=grad, asked=asked, inference=inference)
    if not off:
        _count_grad(False)


def _forget_other_threads():
    """In a forked child, count only this thread, because the other threads do not exist there."""
    global besides_memory, grad_off, intercept, metas
    grad_off = int(not state.grad or state.inference)
    besides_memory = _shared + state.reasons
    intercept = besides_memory + bool(_memories)
    metas = bool(_memories) + state.places


locks.around_fork(in_child=_forget_other_threads)


def is_grad_enabled():
    """Tell whether operations record what gradients need.

    Returns:
        True unless ``no_grad``, ``inference_mode`` or ``set_grad_enabled`` turned recording off.

    >>> import rushlight as torch
    >>> with torch.no_grad():
    ...     torch.is_grad_enabled()
    False
    """
    return not grad_off or (state.asked if state.inference else state.grad)


def records():
    """Whether operations of this thread record gradients. In inference mode they never do.

    ``is_grad_enabled`` gives the value of ``set_grad_enabled`` there, as PyTorch does.
    """
    return not grad_off or state.grad


def is_inference_mode_enabled():
    """Tell whether inference mode is on.

    Returns:
        True inside ``inference_mode()``.

    >>> import rushlight as torch
    >>> with torch.inference_mode():
    ...     torch.is_inference_mode_enabled()
    True
    """
    return state.inference


def recorder() -> Recording | None:
    """The recording that this thread's operations go into, or None.

    Hot code asks only if ``intercept`` is not 0, which is one read.
    """
    return state.recorder


def refuse_in_trace(reason):
    """In a trace, raise the error that a compiled program cannot do this, for ``reason``."""
    if intercept and state.recorder is not None:
        state.recorder.refuse(f"inside torch.compile, {reason}")


def live(get):
    """``get()``; in a trace, a 0-dim tensor whose value is ``get()`` at each run of the program.

    This serves hyper-parameters that change between calls, such as a learning rate.
    """
    active = state.recorder
    return get() if active is None else active.live(get)


def guard(get):
    """In a trace, add a condition: the compiled program runs only if ``get()`` is unchanged."""
    active = state.recorder
    if active is not None:
        active.guard(get)


class suspended:
    """Context outside the trace: tensors made here, such as optimizer state, outlive the trace."""

    def __enter__(self):
        self.was, state.recorder = state.recorder, None

    def __exit__(self, *exc):
        state.recorder = self.was


def inference_cell():
    """The clock cell of a tensor made in inference mode, which the third entry marks.

    The others are [time of the last write, number of writes]. Other new tensors have None, and get
    a cell when the cell is first needed: for a write, a view, or a saved value.
    """
    return [0, 0, True]


def in_context(make, function):
    """Return ``function``, each call of which runs in a context that ``make`` gives.

    If ``function`` is a generator function, each of its steps runs in such a context, so that the
    caller's code between the steps runs outside.
    """
    if not inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def call(*args, **kwargs):
            with make():
                return function(*args, **kwargs)

        return call

    @functools.wraps(function)
    def steps(*args, **kwargs):
        generator = function(*args, **kwargs)
        resume, value = generator.send, None
        while True:
            try:
                with make():
                    item = resume(value)
            except StopIteration as stop:
                return stop.value
            try:
                resume, value = generator.send, (yield item)
            except GeneratorExit:
                with make():
                    generator.close()
                raise
            except BaseException as error:
                resume, value = generator.throw, error

    return steps


class _Decorator:
    """A context manager that also decorates functions and generator functions."""

    def __call__(self, function):
        if inspect.isclass(function):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions: the "
                "result is a function. Decorate the class's __init__ method and nothing else",
                FutureWarning, stacklevel=2,
            )  # fmt: skip
            return self(lambda *args, **kwargs: function(*args, **kwargs))
        return in_context(self.clone, function)

    def clone(self):
        return type(self)()


class no_grad(_Decorator):
    """Context and decorator in which nothing is recorded for gradients.

    Args:
        function: A function to decorate. Default: None, for a ``with`` block.

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
    """Context and decorator in which operations are recorded again inside ``no_grad``.

    Args:
        function: A function to decorate. Default: None, for a ``with`` block.

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
    """Turn recording on or off at once; the end of a ``with`` block restores it.

    A decorated function runs with the given mode, and the call leaves the mode as it was.

    Args:
        mode: True records what gradients need, False does not.

    >>> import rushlight as torch
    >>> with torch.set_grad_enabled(False):
    ...     torch.is_grad_enabled()
    False
    """

    def __init__(self, mode):
        self.mode = bool(mode)
        self.was = set_grad(self.mode)

    def __call__(self, function):
        set_grad(self.was)  # a decorator changes the mode only in calls of the function
        return super().__call__(function)

    def __enter__(self):
        set_grad(self.mode)

    def __exit__(self, *exc):
        set_grad(self.was)

    def clone(self):
        return type(self)(self.mode)


class inference_mode(_Decorator):
    """Context and decorator as ``no_grad``, whose results can never take part in gradients.

    Args:
        mode: False leaves inference mode inside the block. A function is decorated. Default: True.

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
        except BaseException:  # after an interrupt here, Python would not call __exit__
            set_gradient_modes(*self.was)
            raise

    def __exit__(self, *exc):
        set_gradient_modes(*self.was)

    def clone(self):
        return type(self)(self.mode)


class set_multithreading_enabled(_Decorator):
    """Allow several threads in a backward, without effect, because rushlight uses one.

    Args:
        mode: The value to remember, True or False.

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
