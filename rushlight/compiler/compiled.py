"""``torch.compile``: the programs of a function, and the guards that choose between them."""

import functools
import inspect
import sys
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.entry import Entry
from rushlight.errors import TraceError
from rushlight.tensor import Tensor

__all__ = ["compile", "disable", "is_compiling", "reset"]

#: Programs kept for one function; the least recently used goes first.
LIMIT = 32
_all: list[Any] = []


def is_compiling():
    """True while a function is traced."""
    return mode.state.recorder is not None


def reset():
    """Forget every compiled program."""
    for compiled in _all:
        compiled.programs.clear()
        compiled.eager = False


def disable(fn=None, recursive=True, *, reason=None):
    """Decorate a function that must not be compiled: a trace that meets it runs eagerly."""
    if fn is None:
        return lambda f: disable(f, recursive, reason=reason)

    @functools.wraps(fn)
    def wrapped(*args, **kwargs):
        if is_compiling():
            raise TraceError(
                f"{fn.__qualname__} is marked with "
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
    disable=False,
):
    """``model`` (a function or Module) that records its first call and then replays it.

    The whole call is recorded as one program: forward, and also ``backward()`` and an optimizer's
    step where the function does them. New shapes, dtypes, arguments or training flags record
    another program. Where Python asks for a value (``.item()``, ``if tensor:``) the call runs
    eagerly, with one warning; under ``fullgraph=True`` that raises.

    Raises:
        RuntimeError: under ``fullgraph=True``, code that depends on a value; the message names
            the line.

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
    nn = sys.modules.get("rushlight.nn")  # no Module exists before it is imported
    if nn is not None and isinstance(model, nn.Module):
        return _compiled_module(model, fullgraph)
    compiled = Compiled(model, fullgraph)

    @functools.wraps(model)
    def run(*args, **kwargs):
        return compiled(*args, **kwargs)

    run.__dict__.update(_compiled=compiled, _torchdynamo_orig_callable=model)
    return run


def _compiled_module(module, fullgraph):
    """The compiled twin of a Module: shares its state, runs its programs."""
    from rushlight.nn import Module

    class OptimizedModule(Module):
        def __init__(self):
            super().__init__()
            self._orig_mod = module
            object.__setattr__(self, "_compiled", Compiled(module, fullgraph))
            self.training = module.training

        def forward(self, *args, **kwargs):
            return self._compiled(*args, **kwargs)

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("_orig_mod"), name)

    return OptimizedModule()


# One function's programs ------------------------------------------------------------------


class Compiled:
    """A function with the programs recorded of it."""

    def __init__(self, function, fullgraph=False):
        self.function = function
        self.fullgraph = fullgraph
        self.programs: OrderedDict = OrderedDict()  # key → list of entries
        self.count = 0  # how many programs were recorded
        self.eager = False
        _all.append(self)

    def __call__(self, *args, **kwargs):
        if self.eager or mode.state.recorder is not None:
            return self.function(*args, **kwargs)
        leaves: list = []
        key = (
            _describe((args, kwargs), leaves),
            mode.is_grad_enabled(),
            mode.state.inference,
            _free(self.function),
        )
        entries = self.programs.get(key)
        if entries is not None:
            self.programs.move_to_end(key)
            for entry in entries:
                if entry.holds():
                    return entry.run(leaves)
        try:
            entry = Entry(self.function, args, kwargs, leaves)
        except TraceError as error:
            if self.fullgraph:
                raise
            warnings.warn(f"torch.compile: running eagerly: {error}", stacklevel=3)
            self.eager = True
            return self.function(*args, **kwargs)
        self.count += 1
        # A guard that failed once (a scheduler's flag, a training mode) may hold again later.
        self.programs.setdefault(key, []).insert(0, entry)
        del self.programs[key][4:]
        while len(self.programs) > LIMIT:
            self.programs.popitem(last=False)
        return entry.run(leaves)


def _describe(tree, leaves):
    """A hashable description of arguments; the tensors in it are appended to ``leaves``."""
    if isinstance(tree, Tensor):
        a = tree.array
        same = next((i for i, t in enumerate(leaves) if t is tree), len(leaves))
        leaves.append(tree)
        return (
            same,
            type(tree),
            a.shape,
            a.strides,
            a.dtype.char,
            tree.requires_grad,
            tree.is_leaf,
        )
    if isinstance(tree, (tuple, list)):
        return (type(tree), *[_describe(t, leaves) for t in tree])
    if isinstance(tree, dict):
        return (dict, *[(k, _describe(t, leaves)) for k, t in tree.items()])
    if isinstance(tree, np.ndarray):
        return (np.ndarray, tree.shape, tree.dtype.char, tree.tobytes())
    try:
        hash(tree)
        return (type(tree), tree)
    except TypeError:
        return (type(tree), id(tree))


def _plain(value):
    return isinstance(value, (int, float, str, bool, bytes, type(None), complex))


def _free(function):
    """The plain values that a function reads from its closure and globals."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if code is None:
        return ()
    found: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        found.append((type(value), value) if _plain(value) else id(value))
    for name in code.co_names:
        value = function.__globals__.get(name)
        if _plain(value):
            found.append((name, type(value), value))
    return tuple(found)
