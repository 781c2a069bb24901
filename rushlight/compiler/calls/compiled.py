"""``torch.compile``: the programs of a function, and the guards that choose between them."""

import contextlib
import functools
import sys
import warnings
import weakref
from typing import Any

from rushlight.autograd import mode
from rushlight.compiler.calls.audit import Stale
from rushlight.compiler.calls.backends import check_choice
from rushlight.compiler.calls.entry import Entry
from rushlight.compiler.calls.guard import MISS
from rushlight.compiler.ir.abstract import user_line
from rushlight.compiler.run import denormals
from rushlight.compiler.run.handlers import handlers_apart, is_of_handler
from rushlight.device import META
from rushlight.errors import TraceError
from rushlight.gc_pause import paused
from rushlight.handled import classes_of
from rushlight.locks import new_lock
from rushlight.remote import holds_remote

__all__ = ["compile", "disable", "is_compiling", "reset"]

#: The number of programs that are kept for one function; the least recently used is dropped.
LIMIT = 32
#: So many calls in a row may each record a program; further new calls run eagerly.
PATIENCE = 16
_MOVING = (
    f"each of the last {PATIENCE} calls was recorded anew, since a shape, a number or an object "
    "was another one each time. Pass numbers that change as tensors"
)
_all: weakref.WeakSet = weakref.WeakSet()
#: The stance, see ``set_stance``, and whether it is "force_eager", which each call must test fast.
_stance, _eager = "default", False


def take_stance(stance):
    """Change the stance; returns the previous one."""
    global _stance, _eager
    before, _stance, _eager = _stance, stance, stance == "force_eager"
    return before


def is_compiling():
    """Return whether a function is being traced.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.compiler.is_compiling()
    False
    """
    return mode.state.recorder is not None


def reset():
    """Forget every compiled program.

    >>> import rushlight as torch
    >>> torch.compiler.reset()
    """
    for compiled in _all:
        compiled.entries.clear()
        compiled.told.clear()


def disable(fn=None, recursive=True, *, reason=None):
    """Decorate a function that must not be compiled: a compiled call that uses it runs eagerly.

    Args:
        fn: A function. Default: the result is a decorator.
        recursive: Accepted without effect.
        reason: Text that the explanation of an eager call shows. Default: None.

    Returns:
        The decorated function, or a decorator.

    >>> import rushlight as torch
    >>> torch.compiler.disable(len)([1, 2])
    2
    """
    if fn is None:
        return lambda f: disable(f, recursive, reason=reason)

    @functools.wraps(fn)
    def wrapped(*args, **kwargs):
        if is_compiling():
            mode.refuse_in_trace(
                f"{fn.__qualname__} is called, which is marked with "
                f"torch.compiler.disable{f': {reason}' if reason else ''}"
            )
        return fn(*args, **kwargs)

    return wrapped


def compile(
    model=None,
    *,
    fullgraph=False,
    dynamic=None,
    backend="inductor",
    mode=None,
    options=None,
    name=None,
    disable=False,
    recompile_limit=None,
    isolate_recompiles=False,
    shapes_spec=None,
):
    """Compile ``model``: its first call is recorded, and later calls run the recorded program.

    The whole call is recorded as one program: the forward, and also ``backward()`` and an
    optimizer's step if the function calls them. Calls with other shapes, dtypes, arguments or
    training flags record another program. If Python code needs a tensor's value (``.item()``,
    ``if tensor:``), the call runs eagerly with a warning; with ``fullgraph=True`` it raises.

    Args:
        model: A function or Module; None gives a decorator.
        fullgraph: Raise an error instead of running a call eagerly.
        backend, mode: PyTorch's names. They have no effect, because there is only one backend. A
            function as ``backend`` is not called; a warning says so.
        dynamic: Accepted without effect.
        options: A dict. ``{"audit": False}`` turns audits off. An audit records a call that has a
            program again, to check that the program still does what the function does.
        disable: Return ``model`` unchanged.
        name, recompile_limit, isolate_recompiles, shapes_spec: Accepted without effect.

    Returns:
        A function, or a Module that shares the state of ``model``.

    Raises:
        RuntimeError: under ``fullgraph=True``, for code that depends on a tensor's value; the
            message names the line. Also for an unknown ``backend`` or ``mode``.

    >>> import rushlight as torch
    >>> f = torch.compile(lambda x: (x * 2).sum())
    >>> f(torch.ones(3))
    tensor(6.)
    """
    if model is None:
        return lambda m: compile(
            m,
            fullgraph=fullgraph,
            dynamic=dynamic,
            backend=backend,
            mode=mode,
            options=options,
            disable=disable,
        )
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if not callable(model):
        raise RuntimeError(
            f"torch.compile: the model must be a function or a Module, not {type(model).__name__}"
        )
    if disable:
        return model
    check_choice(backend, mode)
    audited = (options or {}).get("audit", True)
    nn = sys.modules.get("rushlight.nn")  # no Module exists before it is imported
    if nn is not None and isinstance(model, nn.Module):
        from rushlight.compiler.calls.compiled_module import OptimizedModule

        return OptimizedModule(model, fullgraph, audited)
    compiled = Compiled(model, fullgraph, audited)
    call = compiled.call

    def run(*args, **kwargs):
        return call(args, kwargs)

    with contextlib.suppress(AttributeError):
        functools.update_wrapper(run, model)

    run.__dict__.update(_compiled=compiled, _torchdynamo_orig_callable=model)
    return run


# One function's programs ------------------------------------------------------------------


class Compiled:
    """A function and the programs recorded of it.

    Attributes:
        entries: One ``Entry`` for each kind of call, the last used first.
        count: The number of programs recorded so far.
    """

    def __init__(self, function, fullgraph=False, audited=True):
        self.function = function
        self.fullgraph = fullgraph
        self.audited = audited
        self.entries: list[Any] = []
        self.count = 0
        self.called = False  # whether a new call came under another stance than the default
        self.missed = 0  # the number of the last calls in a row for which no program served
        self.told: set = set()  # the reasons for running eagerly for which there was a warning
        self._lock = new_lock()
        _all.add(self)

    def __call__(self, *args, **kwargs):
        return self.call(args, kwargs)

    def call(self, args, kwargs):
        """Return the function's result for these arguments, by a program if possible."""
        if _eager or (
            mode.intercept and (mode.state.recorder is not None or mode.state.place is META)
        ):
            return self.function(*args, **kwargs)
        if mode.metas and (
            holds_remote(args, META)
            or holds_remote(kwargs, META)
            or classes_of((*args, *kwargs.values()))  # whose handlers compute
        ):
            return self.function(*args, **kwargs)
        known = self.entries
        for entry in known:
            try:
                found = entry.call(args, kwargs)
            except Stale as stale:
                return self._drop(entry, stale, args, kwargs)
            if found is not MISS:
                self.missed = 0
                if entry is not known[0]:
                    with self._lock:
                        self._use(entry)
                return found
        if _stance != "default" and self._runs_eagerly():
            return self.function(*args, **kwargs)
        self.missed += 1
        if self.missed > PATIENCE and not self.fullgraph:
            self._tell(_MOVING, 4)
            return self.function(*args, **kwargs)
        with self._lock:
            entry = self._record(args, kwargs) if self.entries is known else None
        if isinstance(entry, Exception):
            return self._raise_again(entry, args, kwargs)
        if entry is None:  # another thread was faster
            return self.call(args, kwargs)
        found = entry.call(args, kwargs)
        # The new program may not serve even its own call, if recording changed what it reads.
        return self.function(*args, **kwargs) if found is MISS else found

    def _drop(self, entry, stale, args, kwargs):
        """Drop ``entry``, whose program an audit found to be stale, and run the call eagerly."""
        with self._lock:
            self.entries = [e for e in self.entries if e is not entry]
        reason = f"its program is dropped, since something that it reads is not compared: {stale}"
        self._tell(reason, 4)
        return self.function(*args, **kwargs)

    def _raise_again(self, error, args, kwargs):
        """Run the function eagerly after its recording raised ``error``.

        Normally the function raises the same error. If it does not, a warning says so.
        """
        found = self.function(*args, **kwargs)
        if self.fullgraph:
            raise error
        self._tell(f"{type(error).__name__}, which the function itself does not raise: {error}", 5)
        return found

    def _runs_eagerly(self):
        """Whether the stance demands that a call without a program runs eagerly."""
        if _stance == "fail_on_recompile":
            name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
            raise RuntimeError(
                f"{user_line()}: Detected recompile when torch.compile stance is "
                f"'fail_on_recompile': no program of {name} is for this call"
            )
        first, self.called = not self.called, True
        return _stance == "eager_on_recompile" or first

    def _record(self, args, kwargs):
        """The entry of this call, or the exception that the function raised while recorded."""
        try:
            with paused(), handlers_apart(), denormals.kept():
                entry = Entry(self.function, args, kwargs, self.entries, self.audited)
        except TraceError:
            raise
        except Exception as error:  # its traceback is removed: its frames keep variables alive
            if is_of_handler(error):
                raise
            return error if self.fullgraph else error.with_traceback(None)
        if entry.refusal is not None:
            if self.fullgraph:
                raise entry.refusal
            self._tell(entry.refusal, 5)
        else:
            self.count += 1
        self._use(entry)
        return entry

    def _use(self, entry):
        """Put ``entry`` first; drop the least recently used entries beyond the limit."""
        if self.entries:
            self.entries[0].release()
        self.entries = [entry, *[e for e in self.entries if e is not entry]][:LIMIT]

    def _tell(self, reason, stacklevel):
        """Warn that calls run eagerly, once for each reason."""
        if str(reason) not in self.told:
            self.told.add(str(reason))
            warnings.warn(f"torch.compile: running eagerly: {reason}", stacklevel=stacklevel)


class Quiet(Compiled):
    """A function that the program did not ask to compile: nobody is told if it runs eagerly."""

    def _tell(self, reason, stacklevel):
        pass

    def _runs_eagerly(self):
        return True  # a stance is for the functions that the program compiles
