"""``torch.compile``: the programs of a function, and the guards that choose between them."""

import functools
import inspect
import sys
import warnings
from collections import OrderedDict

import numpy as np

from rushlight.autograd import engine, mode
from rushlight.autograd.tape import Leaf, Node, output, tick
from rushlight.autograd.write import stamp
from rushlight.compiler.abstract import Abstract
from rushlight.compiler.program import Program
from rushlight.compiler.trace import Recorder, key_of, module_state
from rushlight.errors import GraphError, TraceError
from rushlight.tensor import Tensor, from_array

__all__ = ["compile", "disable", "is_compiling", "reset"]

#: Programs kept for one function; the least recently used goes first.
LIMIT = 32
_all: list = []


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
    another program. Where Python asks for a value (``.item()``, ``if tensor:``) the call runs eagerly,
    with one warning; under ``fullgraph=True`` that raises.

    Raises:
        RuntimeError: under ``fullgraph=True``, code that depends on a value; the message names the line.

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
        return _CompiledModule.of(model, fullgraph)
    compiled = Compiled(model, fullgraph)

    @functools.wraps(model)
    def run(*args, **kwargs):
        return compiled(*args, **kwargs)

    run._compiled = compiled
    run._torchdynamo_orig_callable = model
    return run


class _CompiledModule:
    """Makes the compiled twin of a Module: shares its state, runs its programs."""

    @staticmethod
    def of(module, fullgraph):
        from rushlight.nn import Module

        class OptimizedModule(Module):
            def __init__(self):
                super().__init__()
                self._orig_mod = module
                object.__setattr__(self, "_compiled", Compiled(module, fullgraph))
                self.training = module.training

            def forward(self, *args, **kwargs):
                return self._compiled(*args, **kwargs)

            def train(self, mode=True):
                return super().train(mode)

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
    cells = function.__closure__ or ()
    found = []
    for cell in cells:
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        found.append((type(value), value) if _plain(value) else id(value))
    scope = function.__globals__
    for name in code.co_names:
        value = scope.get(name)
        if _plain(value):
            found.append((name, type(value), value))
    return tuple(found)


# One program ------------------------------------------------------------------------------


class Entry:
    """One recorded call: its program, the state it reads, and the effects that must land."""

    def __init__(self, function, args, kwargs, leaves):
        recorder = Recorder()
        for i, t in enumerate(leaves):
            recorder.capture(t)
            recorder.captured[key_of(t.array)].get = i
        mode.add_intercept(1)
        mode.state.recorder = recorder
        try:
            result = function(*args, **kwargs)
            self.spec: list = []
            self.tree = self._outputs(result, recorder)
            self._effects(recorder)
            self.backward = _Backward.of(recorder, self.spec) if mode.is_grad_enabled() else None
        finally:
            mode.state.recorder = None
            mode.add_intercept(-1)
            recorder.restore()
        self._assemble(recorder)

    def _outputs(self, tree, recorder):
        """The result's structure; its tensors go to ``spec`` as (value, tensor, outer tensor or None)."""
        if isinstance(tree, Tensor):
            outer = None
            if type(tree.array) is np.ndarray:
                key = recorder.capture(tree)
                captured = recorder.captured[key]
                outer = captured.get if isinstance(captured.get, int) else tree
            self.spec.append((recorder.value(tree), tree, outer))
            return len(self.spec) - 1, None
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return type(tree)._make, [self._outputs(t, recorder) for t in tree]
        if isinstance(tree, (tuple, list)):
            return type(tree), [self._outputs(t, recorder) for t in tree]
        if isinstance(tree, dict):
            kind = lambda values, keys=tuple(tree): dict(zip(keys, values, strict=True))
            return kind, [self._outputs(t, recorder) for t in tree.values()]
        return (lambda _, constant=tree: constant), []

    def _effects(self, recorder):
        self.grads = []
        for tensor, before in recorder.grads.values():
            now = tensor._grad
            if now is before:
                continue
            value = None if now is None else recorder.value(now)
            where = recorder.captured.get(key_of(tensor.array))
            self.grads.append(
                (where.get if where is not None and isinstance(where.get, int) else tensor, value)
            )

    def _assemble(self, recorder):
        self.captured = list(recorder.captured.values())
        self.lives = recorder.lives
        self.guards = recorder.guards
        self.modules = list(recorder.modules.values())
        self.writes = [(recorder.captured[k], recorder.current[k]) for k in recorder.written]
        inputs = [c.value for c in self.captured] + [v for _, v in self.lives]
        wanted = [v for _, v in self.writes] + [v for _, v in self.grads if v is not None]
        wanted += [v for v, _, _ in self.spec]
        self.outer = [c for c in self.captured if not isinstance(c.get, int)]
        equations = recorder.equations
        if self.backward is not None:
            self.backward.finish(recorder)
            equations = equations[: self.backward.start]
            wanted = wanted + self.backward.saved
        self.program = Program(equations, inputs, wanted)

    def holds(self):
        """Whether the state that was baked in is still as it was."""
        for module, state in self.modules:
            if module_state(module) != state:
                return False
        # Guards first: what is captured may be there only where they hold.
        if not all(get() == value for get, value in self.guards):
            return False
        for captured in self.outer:
            array, value = captured.get(), captured.value
            if array.shape != value.shape or array.dtype != value.dtype:
                return False
        return True

    def run(self, leaves):
        """Compute everything, then let the writes land."""
        arrays = [leaves[c.get].array if isinstance(c.get, int) else c.get() for c in self.captured]
        arrays += [np.asarray(get(), v.dtype) for get, v in self.lives]
        found = self.program.run(arrays)
        position = {id(c): i for i, c in enumerate(self.captured)}
        targets = [(c, arrays[position[id(c)]]) for c, _ in self.writes]
        self._land(targets, found, leaves)
        found = found[len(targets) :]
        for owner, value in self.grads:
            tensor = leaves[owner] if isinstance(owner, int) else owner
            tensor._grad = None if value is None else from_array(_own(found.pop(0), arrays))
        n = len(self.spec)
        outs = [self._output(k, found[k], arrays, leaves) for k in range(n)]
        if self.backward is not None:
            self.backward.attach(outs, found[n:], leaves)
        return self._build(self.tree, outs)

    def _land(self, targets, found, leaves):
        values = []
        for (_, array), value in zip(targets, found, strict=False):
            # A value that looks into memory about to be written is taken out first.
            shared = any(np.may_share_memory(value, a) for _, a in targets)
            values.append(value.copy() if shared and value is not array else value)
        for (captured, array), value in zip(targets, values, strict=True):
            np.copyto(array, value, casting="unsafe")
            stamp(leaves[captured.get] if isinstance(captured.get, int) else captured.tensor)

    def _output(self, k, array, arrays, leaves):
        _, _, outer = self.spec[k]
        if outer is not None:
            return leaves[outer] if isinstance(outer, int) else outer
        return from_array(_own(array, arrays) if self.writes else array)

    def _build(self, tree, outs):
        kind, children = tree
        if children is None:
            return outs[kind]
        return kind([self._build(c, outs) for c in children])


def _own(array, inputs):
    """``array``, copied where it looks into an input's memory or repeats elements."""
    if array.base is not None and any(np.may_share_memory(array, a) for a in inputs):
        return array.copy()
    return array


# A compiled forward inside an ordinary backward -------------------------------------------


class _Compiled(Node):
    """The tape node of a compiled forward: its gradient is a program too."""

    __slots__ = ("inputs", "program", "seeds")
    is_plain = False

    def name(self):
        return "CompiledFunctionBackward"

    def backward(self, g, symbolic):
        self.check()
        if symbolic:
            raise GraphError(
                "CompiledFunctionBackward: a compiled forward cannot be differentiated twice from "
                "outside; put the gradient inside the compiled function, or run it eagerly"
            )
        gs = g if type(g) is list else [g]
        seeds = [
            np.zeros(shape, dtype) if gi is None else gi
            for gi, (shape, dtype) in zip(gs, self.seeds, strict=True)
        ]
        return self.program.run([*self.saved, *seeds])


class _Backward:
    """The program of the gradient of a traced call whose results require grad."""

    @staticmethod
    def of(recorder, spec):
        outs = [
            (k, t) for k, (_, t, outer) in enumerate(spec) if outer is None and t.node is not None
        ]
        if not outs:
            return None
        self = _Backward()
        self.start = len(recorder.equations)
        self.outs = [k for k, _ in outs]
        self.seeds = [Abstract(t.array.shape, t.array.dtype) for _, t in outs]
        roots = [t.node for _, t in outs]
        ends, freed = _ends(roots)
        self.freed = freed
        if freed:  # the traced call ran its own backward: from outside there is none, as in eager
            self.parents, self.grads = [], []
            return self
        self.parents = [(node, _owner(recorder, node)) for node in ends]
        was = mode.set_grad(False)
        try:
            arrived = engine.run(
                roots,
                [from_array(s) for s in self.seeds],
                False,
                True,
                {id(n) for n in ends},
                False,
            )
        finally:
            mode.set_grad(was)
        self.grads = [recorder.value(arrived[id(n)]) if id(n) in arrived else None for n in ends]
        return self

    def finish(self, recorder):
        if self.freed:
            self.saved = []
            return
        equations = recorder.equations[self.start :]
        made = {v.id for e in equations for v in e.outs} | {s.id for s in self.seeds}
        saved: dict = {}
        for e in equations:
            for v in [*(e.ins[0] if e.op.variadic else e.ins), *e.params.values()]:
                if isinstance(v, Abstract) and v.id not in made:
                    saved[v.id] = v
        for v in self.grads:
            if isinstance(v, Abstract) and v.id not in made:
                saved[v.id] = v
        self.saved = list(saved.values())
        self.program = Program(equations, [*self.saved, *self.seeds], self.grads)

    def attach(self, outs, saved, leaves):
        """Give the real results of one run the node that runs the gradient program."""
        node = object.__new__(_Compiled)
        node.parents = tuple([leaves[o].node if isinstance(o, int) else n for n, o in self.parents])
        node.saved = None if self.freed else tuple(saved)
        node.cells = ()
        node.clock = tick()
        node.hooks = None
        node.program = None if self.freed else self.program
        node.seeds = [(s.shape, s.dtype) for s in self.seeds]
        node.inputs = leaves
        first = outs[self.outs[0]].array
        node.shape, node.dtype = first.shape, first.dtype
        for i, k in enumerate(self.outs):
            several = len(self.outs) > 1
            outs[k].node = output(node, i, len(self.outs), outs[k].array) if several else node


def _ends(roots):
    """The nodes at which the traced graph meets the outer one, and whether any of it is freed."""
    found, stack, ends, freed = set(roots), list(roots), [], False
    while stack:
        node = stack.pop()
        if type(node) is Leaf or node.clock < mode.state.recorder.began:
            ends.append(node)
            continue
        freed = freed or node.saved is None
        for p in node.parents:
            if p is not None and p not in found:
                found.add(p)
                stack.append(p)
    return ends, freed


def _owner(recorder, node):
    """The argument whose node this is, so that each run finds its own; None for outer state."""
    for captured in recorder.captured.values():
        if isinstance(captured.get, int) and captured.tensor.node is node:
            return captured.get
    return None
