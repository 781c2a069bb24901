"""The tape: nodes that remember operations, and the engine that runs them backward.

A node holds its parents (the nodes of the inputs that want a gradient), the values that the
gradient rules of its operation name, and the time at which it was recorded. Nodes never refer to
tensors, so a graph holds no reference cycles: a leaf's node knows its tensor weakly.

Gradient rules are polymorphic. In an ordinary backward they get raw arrays; under
``create_graph`` or in a trace they get tensors, so that what they compute is recorded in turn.
"""

import itertools
import weakref
from operator import attrgetter

import numpy as np
from numpy import asarray, ndarray

from rushlight.autograd import mode
from rushlight.errors import GraphError
from rushlight.tensor import from_array

__all__ = ["Leaf", "Node", "Output", "refresh", "sum_to", "tick"]

#: The one clock: every recorded node and every write takes its next value.
tick = itertools.count(1).__next__
_new = object.__new__
_clock = attrgetter("clock")
_WIDE = {"float16": np.dtype("f4"), "bfloat16": np.dtype("f4")}


class Node:
    """A recorded operation: ``grad_fn`` of its result."""

    __slots__ = ("__weakref__", "cells", "clock", "dtype", "hooks", "parents", "saved", "shape")
    op = None  # the Op, set by each operation's own subclass
    is_plain = True  # its rules on arrays are all there is to it

    def name(self):
        """The name that PyTorch prints, for example ``MulBackward0``."""
        return type(self).__name__

    def __repr__(self):
        return f"<{self.name()} object at {id(self):#x}>"

    def check(self):
        """Raise unless every saved value is still there and as it was."""
        saved = self.saved
        if saved is None:
            raise GraphError(
                f"{self.name()}: Trying to backward through the graph a second time (or directly "
                "access saved tensors after they have already been freed). The values that the "
                "gradient needs were freed by the first backward; pass retain_graph=True to it."
            )
        clock = self.clock
        for i, cell in enumerate(self.cells):
            if cell is not None and cell[0] > clock:
                self._stale(i)

    def _stale(self, i):
        cell, value = self.cells[i], self.saved[i]
        shape = tuple(getattr(value, "shape", ()))
        raise GraphError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: {self.name()} saved {self.op.saves[i]!r} {shape}, which was written "
            f"after it was used and is now at version {cell[1]}. Write to a clone(), or use "
            "the out-of-place form. Hint: torch.autograd.set_detect_anomaly(True) shows the "
            "forward line."
        )

    def backward(self, g, symbolic):
        """The gradient of each parent (None where there is none) from the result's."""
        self.check()
        rules, parents = self.op.rules, self.parents
        if symbolic:
            values = [self.lift(i) for i in range(len(self.saved))]
        else:
            values = self.saved
            wide = _WIDE.get(self.dtype.name)
            if (
                wide is not None and type(g) is ndarray
            ):  # half precision: compute the rule in float32, round once
                g = g.astype(wide)
                values = [_widen(v) for v in values]
        return [
            None if parent is None or rule is None else rule[0](g, *[values[k] for k in rule[1]])
            for parent, rule in zip(parents, rules, strict=True)
        ]

    def lift(self, i):
        """The saved value ``i`` as a tensor with its history."""
        value, origin = self.saved[i], self.op.origins[i]
        if origin is None or value is None:
            return value
        if origin == -2:  # the result that holds indices
            return _lifted(value, None)
        if origin < 0:  # the result
            return _lifted(value, self)
        if type(value) is list:
            start = origin
            return [_lifted(v, self.parents[start + k]) for k, v in enumerate(value)]
        if not hasattr(value, "shape"):
            return value
        return _lifted(value, self.parents[origin])

    def free(self):
        """Drop what was saved; a later backward through here is an error."""
        if self.saved:
            self.saved = None
            self.cells = ()

    # PyTorch's public face of a node ------------------------------------------------------

    @property
    def next_functions(self):
        return tuple(
            (None, 0) if p is None else (p.source, p.index) if isinstance(p, Output) else (p, 0)
            for p in self.parents
        )

    @property
    def metadata(self):
        return _metadata.setdefault(self, {})

    def register_hook(self, hook):
        """``hook(grad_inputs, grad_outputs)`` runs after this node; it may replace the former."""
        return add_hook(self, "post", hook)

    def register_prehook(self, hook):
        """``hook(grad_outputs)`` runs before this node; it may replace them."""
        return add_hook(self, "pre", hook)

    def __getattr__(self, name):
        # _saved_self, _saved_other, _saved_result as PyTorch names them.
        if name.startswith("_saved_") and self.op is not None:
            wanted = {"self": "x", "other": "y", "result": "out"}.get(name[7:], name[7:])
            if wanted in self.op.saves:
                self.check()
                value = self.saved[self.op.saves.index(wanted)]
                return from_array(value) if type(value) is ndarray else value
        raise AttributeError(f"{self.name()} has no attribute {name!r}")


_metadata: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
#: node → the stack at which it was recorded, under detect_anomaly.
recorded_at: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _lifted(value, node):
    t = (
        value
        if not isinstance(value, ndarray) and not hasattr(value, "is_abstract")
        else from_array(value)
    )
    if hasattr(t, "node"):
        t.node = node
    return t


def _widen(value):
    if type(value) is ndarray and value.dtype.name in _WIDE:
        return value.astype(np.float32)
    return value


class Leaf(Node):
    """The end of a path: gives its tensor its gradient. PyTorch's AccumulateGrad."""

    __slots__ = ("ref",)

    def name(self):
        return "AccumulateGrad"

    @property
    def variable(self):
        return self.ref()


class Output(Node):
    """One output of an operation that has several."""

    __slots__ = ("count", "index", "source")
    is_plain = False

    def name(self):
        return self.source.name()

    def check(self):
        pass

    def backward(self, g, symbolic):
        return [g]

    def free(self):
        pass


def leaf(tensor):
    """A new Leaf for ``tensor``."""
    node = _new(Leaf)
    node.parents = ()
    node.saved = node.cells = ()
    node.clock = 0
    node.hooks = None
    node.shape = tensor.array.shape
    node.dtype = tensor.array.dtype
    node.ref = weakref.ref(tensor)
    return node


def output(source, index, count, array):
    """The node of output ``index`` of the ``count`` of ``source``."""
    node = _new(Output)
    node.parents = (source,)
    node.saved = node.cells = ()
    node.clock = tick()
    node.hooks = None
    node.shape = array.shape
    node.dtype = array.dtype
    node.source = source
    node.index = index
    node.count = count
    return node


def refresh(x):
    """Derive a view's history again where its base was written since."""
    view = x.view_of
    if view is None or view.seen == x.cell[0]:
        return
    root = view.root
    if root.node is not None or x.node is not None or type(x.array) is not ndarray:
        t = root
        with mode.enable_grad():
            for op, args, params in view.path:
                t = op.call(t, *args, **params)
        x.node = t.node
        x.array = t.array
    view.seen = x.cell[0]


# Hooks ------------------------------------------------------------------------------------


class Handle:
    """Removes a hook: ``handle.remove()``, or leave its ``with`` block."""

    _ids = itertools.count()

    def __init__(self, hooks):
        self.hooks = weakref.ref(hooks)
        self.id = next(Handle._ids)

    def remove(self):
        hooks = self.hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


class _Hooks(dict):
    """Hooks by handle id; a dict that can be referred to weakly."""

    __slots__ = ("__weakref__",)


def add_hook(node, kind, hook):
    """Add a ``tensor``, ``pre``, ``post``, ``retain`` or ``accumulated`` hook to ``node``."""
    if node.hooks is None:
        node.hooks = _Hooks()
    handle = Handle(node.hooks)
    node.hooks[handle.id] = (kind, hook)
    return handle


def _run_hooks(node, kind, g):
    """``g`` after the hooks of one kind, each of which may replace it."""
    for k, hook in list(node.hooks.values()):
        if k == kind:
            raw = type(g) is ndarray
            found = hook(from_array(g) if raw else g)
            if found is not None:
                if found.shape != g.shape:
                    raise GraphError(
                        f"hook {getattr(hook, '__name__', hook)!r} has changed the size of value: "
                        f"{tuple(g.shape)} became {tuple(found.shape)}"
                    )
                g = found.array if raw else found
    return g


def _hooked(node, g, symbolic):
    """``g`` after the hooks on the tensor itself; what they compute is recorded only if ``symbolic``."""
    was = mode.state.grad
    if not symbolic and was:
        mode.set_grad(False)
    try:
        return _run_hooks(node, "retain", _run_hooks(node, "tensor", g))
    finally:
        mode.set_grad(was)


def _run_post_hooks(node, grads, g):
    for k, hook in list(node.hooks.values()):
        if k == "post":
            wrap = lambda a: from_array(a) if type(a) is ndarray else a
            found = hook(tuple(map(wrap, grads)), (wrap(g),))
            if found is not None:
                raw = type(g) is ndarray
                grads = [f.array if raw and f is not None else f for f in found]
    return grads


# The engine -------------------------------------------------------------------------------


def sum_to(g, shape):
    """``g`` summed down to ``shape``, from which it was broadcast."""
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        i for i, n in enumerate(shape, lead) if n == 1 and g.shape[i] != 1
    )
    if type(g) is ndarray:
        return g.sum(axis=axes, keepdims=True).reshape(shape)
    return g.sum(axes, keepdim=True).reshape(shape) if axes else g.reshape(shape)


def _reachable(roots, targets):
    """The nodes to run, newest first; with ``targets`` only those that lead to one.

    Also, with ``targets``, the ids of those nodes.
    """
    found = set(roots)
    nodes = list(found)
    for node in nodes:  # grows while it is gone through
        for parent in node.parents:
            if parent is not None and parent not in found:
                found.add(parent)
                nodes.append(parent)
    nodes.sort(key=_clock)
    needed = None
    if targets is not None:
        needed = set(targets)
        for node in nodes:  # oldest first: parents come before children
            if id(node) not in needed and any(id(p) in needed for p in node.parents):
                needed.add(id(node))
        nodes = [n for n in nodes if id(n) in needed]
    nodes.reverse()
    return nodes, needed


def run(roots, grads, retain, symbolic, targets=None, accumulate=True):
    """Send ``grads`` from ``roots`` back through the graph.

    With ``targets`` (ids of nodes) only paths that lead to one are run, and the gradients that
    arrive there are returned by id; else they are accumulated in the leaves.
    """
    pending: dict = {}
    arrived: dict = {}
    shared: set = set()  # ids of arrays that more than one holder may have
    for node, g in zip(roots, grads, strict=True):
        shared.add(id(g))
        _send(pending, node, g)
    general = symbolic or mode.state.anomaly is not None
    nodes, needed = _reachable(roots, targets)
    for node in nodes:
        g = pending.pop(node, None)
        if g is None:
            continue
        hooks = node.hooks
        if hooks:
            g = _hooked(node, g, symbolic)
            shared.add(id(g))
        if targets is not None and id(node) in targets:
            arrived[id(node)] = g
            shared.add(id(g))
            if node.parents and not any(id(p) in needed for p in node.parents):
                continue  # nothing wanted lies beyond
        if node.clock == 0:
            if accumulate:
                _accumulate(node, g, id(g) in shared)
        elif general or hooks or not node.is_plain or node.dtype.char not in "fd":
            _step(pending, shared, node, g, symbolic)
            if not retain:
                node.free()
        else:
            _plain_step(pending, shared, node, g)
            if not retain and node.saved:
                node.saved = None
                node.cells = ()
    return arrived


def _plain_step(pending, shared, node, g):
    """One node of an ordinary backward: its rules on raw arrays. The hot loop."""
    saved = node.saved
    if saved is None:
        node.check()
    clock = node.clock
    for cell in node.cells:
        if cell is not None and cell[0] > clock:
            node.check()
    rules = node.op.rules
    i = 0
    for parent in node.parents:
        entry = rules[i]
        i += 1
        if parent is None or entry is None:
            continue
        rule, wanted = entry
        n = len(wanted)
        try:
            if n == 0:
                gi = rule(g)
            elif n == 1:
                gi = rule(g, saved[wanted[0]])
            else:
                gi = rule(g, *[saved[k] for k in wanted])
        except RuntimeWarning:  # the user made warnings errors, also NumPy's about infinities
            with np.errstate(all="ignore"):
                gi = rule(g, *[saved[k] for k in wanted])
        if gi is None:
            continue
        if gi is g:
            shared.add(id(g))
        if type(gi) is not ndarray or gi.dtype is not parent.dtype or gi.shape != parent.shape:
            gi = _fitted(parent, gi)
        before = pending.get(parent)
        pending[parent] = gi if before is None else _added(before, gi)


def _step(pending, shared, node, g, symbolic):
    """One node of any kind, with its hooks."""
    was = mode.state.grad
    if not symbolic and was:
        mode.set_grad(False)  # what a hook or a custom function computes is not recorded
    try:
        with np.errstate(all="ignore"):
            g, found = _step_quietly(node, g, symbolic)
    finally:
        mode.set_grad(was)
    for parent, gi in zip(node.parents, found, strict=True):
        if parent is None or gi is None:
            continue
        if gi is g:
            shared.add(id(g))
        if type(node) is Output:
            _send_output(pending, node, gi)
        else:
            _send(pending, parent, gi)


def _step_quietly(node, g, symbolic):
    if node.hooks:
        g = _run_pre_hooks(node, g)
    if mode.state.anomaly is None:
        found = node.backward(g, symbolic)
    else:
        found = _watched(node, g, symbolic, mode.state.anomaly)
    if node.hooks:
        found = _run_post_hooks(node, found, g)
    return g, found


def _run_pre_hooks(node, g):
    for kind, hook in list(node.hooks.values()):
        if kind == "pre":
            raw = type(g) is ndarray
            found = hook((from_array(g) if raw else g,))
            if found is not None:
                g = found[0].array if raw else found[0]
    return g


def _send(pending, node, g):
    """Add ``g`` to what ``node`` is owed."""
    g = _fitted(node, g)
    before = pending.get(node)
    pending[node] = g if before is None else _added(before, g)


def _added(x, y):
    """x + y; of 0-dim arrays too an array, where NumPy gives a scalar."""
    total = x + y
    return asarray(total) if isinstance(total, np.generic) else total


def _fitted(node, g):
    """``g`` in the shape and dtype of ``node``: broadcasting and promotion undone."""
    array = g
    if type(g) is not ndarray:
        array = getattr(g, "array", None)
        if array is None:
            g = array = np.asarray(g)
    if array.shape != node.shape:
        g = sum_to(g, node.shape)
    if array.dtype != node.dtype:
        if array.dtype.kind == "c" and node.dtype.kind != "c":
            g = g.real
        if type(g) is not ndarray:
            from rushlight.dtype import of

            return g.to(of(node.dtype))
        g = np.asarray(g, node.dtype)
    return g


def _send_output(pending, node, g):
    """Add ``g`` to the list of gradients that a node with several outputs is owed."""
    owed = pending.setdefault(node.source, [None] * node.count)
    i = node.index
    owed[i] = g if owed[i] is None else _added(owed[i], g)


def _accumulate(node, g, is_shared):
    tensor = node.ref()
    if tensor is None:
        return
    if mode.intercept and mode.state.recorder is not None:
        mode.state.recorder.touch_grad(tensor)
    before = tensor._grad
    if type(g) is ndarray:
        if before is None:
            # Gradients nobody else holds are taken as they are.
            owned = not is_shared and g.base is None
            tensor._grad = from_array(g if owned else g.copy())
        elif before.node is not None:
            tensor._grad = before + from_array(g)
        else:
            np.add(before.array, g, out=before.array)
            before.cell[0] = tick()
            before.cell[1] += 1
    elif before is None:
        tensor._grad = g
    else:
        tensor._grad = before + g
    if node.hooks:
        with mode.no_grad():
            for kind, hook in list(node.hooks.values()):
                if kind == "accumulated":
                    hook(tensor)


def _watched(node, g, symbolic, check_nan):
    """``node.backward`` under detect_anomaly: a failure shows the forward line."""
    try:
        found = node.backward(g, symbolic)
        if check_nan:
            for i, gi in enumerate(found):
                a = getattr(gi, "array", gi)
                if (
                    a is not None
                    and isinstance(a, ndarray)
                    and a.dtype.kind in "fc"
                    and np.isnan(a).any()
                ):
                    raise GraphError(
                        f"Function '{node.name()}' returned nan values in its {i}th output."
                    )
        return found
    except Exception as error:
        stack = recorded_at.get(node)
        if stack is not None:
            import warnings

            text = f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{stack}"
            warnings.warn(text, stacklevel=2)
            error.add_note(text)
        raise
