"""The tape: nodes that remember operations.

A node holds its parents (the nodes of the inputs that want a gradient), the values that the
gradient rules of its operation name, and the time at which it was recorded. Nodes never refer to
tensors, so a graph holds no reference cycles: a leaf's node knows its tensor weakly.

Gradient rules are polymorphic. In an ordinary backward they get raw arrays; under
``create_graph`` or in a trace they get tensors, so that what they compute is recorded in turn.
"""

import itertools
import weakref
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.hooks import add_hook, move_retained
from rushlight.device import CPU
from rushlight.dtype import COMPLEX_HALF, COMPLEX_KINDS, OF, bfloat16, float16
from rushlight.errors import GraphError
from rushlight.remote import default_device, device_of
from rushlight.strides import is_odd
from rushlight.tensor import Tensor, revived

__all__ = [
    "Leaf", "Node", "Output", "derive", "leaf", "look", "output", "recorded_at", "refresh",
    "refuse", "renamed", "set_history", "tick", "turns", "typed", "watch",
    "widened",
]  # fmt: skip

#: The one clock: every recorded node and every write takes its next value.
tick = itertools.count(1).__next__
_new = object.__new__
#: The half-precision dtypes, and those in which gradient rules compute with them.
_WIDE = {
    **dict.fromkeys((float16.numpy, bfloat16.numpy), np.dtype("f4")),
    **dict.fromkeys(COMPLEX_HALF, np.dtype("c8")),
}
#: The roles of operations whose gradient rules round several times in half precision, so that rules
#: on tensors compute in float32. The rule of a matrix product is one product, which rounds once by
#: itself. The rule of a view only moves elements.
_ROUNDING = {"", "pointwise", "reduction", "scan", "extremum"}


class Node:
    """A recorded operation: ``grad_fn`` of its result.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> isinstance((2 * x).grad_fn, torch.autograd.graph.Node)
    True
    """

    __slots__ = (
        "__weakref__", "cells", "clock", "dtype", "hooks", "outputs", "parents", "saved", "shape",
    )  # fmt: skip
    op: Any = None  # the Op, set by each operation's own subclass
    is_plain = True  # a backward only needs to call the rules on arrays
    holds = True  # it saves tensors' values, which must be freed; False: only shapes and parameters
    is_mixed = False  # it saves operands of other dtypes than the result's; see ``backward``

    # parents  the nodes of the inputs; None for an input that wants no gradient
    # saved    the values that the rules name; None after they were freed
    # cells    the clock cell of each saved value; None for a value that cannot be written. Those of
    #          values that the operation only watches follow; and if the rules want several
    #          results, the cells of all results but the first.
    # clock    the time at which the node was recorded; 0 for a leaf
    # hooks    None, or {handle id: (kind, hook)}
    # outputs  (index of the last result with a gradient, number of results); unset for one result
    # shape, dtype  of the result
    if TYPE_CHECKING:
        parents: tuple
        saved: Any
        cells: tuple
        clock: int
        hooks: dict | None
        outputs: tuple[int, int]
        shape: tuple[int, ...]
        dtype: Any  # a NumPy dtype; for None see ``Leaf``

    def name(self):
        """The name that PyTorch prints, for example ``MulBackward0``."""
        name = type(self).__name__
        # PyTorch numbers the nodes of operations. Its other nodes are named with their namespace.
        numbered = name[-1].isdigit() or name.endswith("_copy")
        return name if numbered or self.op is None else f"torch::autograd::{name}"

    def __repr__(self):
        return f"<{type(self).__name__} object at {id(self):#x}>"

    def check(self, symbolic=True):
        """Raise if the saved values were freed, or if a value that the rules need was written.

        ``symbolic``: the rules get tensors.
        """
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
                self._stale(i, symbolic)

    def _stale(self, i, symbolic):
        """Handle the written value ``i``: skip it if unneeded, compute it again, or raise."""
        op, saves = self.op, self.op.saves
        outs = self.saved[saves.index("out")] if "out" in saves else None
        others = ["out"] * (len(outs) - 1) if type(outs) is tuple else []
        known = [*saves, *[w for w, _, _ in op.watched], *others]
        name = known[i] if i < len(known) else "an operand"
        noted = "memo" not in saves or self.value(saves.index("memo"))
        if noted and not symbolic and (name in op.spared or self.spares(name)):
            return
        if name == "out" and "out" in saves and op.again and not self._wrote_inputs():
            i = saves.index("out")
            values = [self.value(k) for k in range(len(saves))]
            self.saved = (*self.saved[:i], op.result_of(values), *self.saved[i + 1 :])
            return
        cell, value = self.cells[i], self.saved[saves.index(name)] if name in saves else None
        size = getattr(value, "shape", None)
        shape = "" if size is None else f"{tuple(size)}, "
        raise GraphError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: {self.name()} saved {name!r} {shape}which was written "
            f"after it was used and is now at version {cell[1]}. Write to a clone(), or use "
            "the out-of-place form. Hint: torch.autograd.set_detect_anomaly(True) shows the "
            "forward line."
        )

    def spares(self, name):
        """Whether the rules on arrays do not read the input ``name`` in this call."""
        return False

    def _wrote_inputs(self):
        """Whether a saved input has been written since it was saved."""
        return any(
            cell is not None and cell[0] > self.clock and origin is not None and origin >= 0
            for cell, origin in zip(self.cells, self.op.origins, strict=False)
        )

    def backward(self, g, symbolic, leads=None):
        """The gradients of the parents (None for no gradient) from ``g``, the result's gradient.

        ``leads`` are ids of nodes: other parents need no gradient. None: all need theirs.
        """
        self.check(symbolic)
        rules, parents = self.op.rules, self.parents
        if symbolic:
            values = [self.lift(i) for i in range(len(self.saved))]
        else:
            values = self.saved
        if self.is_mixed:  # the rules compute in the result's dtype, as the forward did
            values = [self._typed(i, v) for i, v in enumerate(values)]
        half, op = self.dtype in _WIDE, self.op
        wide = half and (not symbolic or (op.role in _ROUNDING and not op.rounds_once))
        if symbolic and mode.intercept and not mode.records():
            found = self._on_device(g, values, wide, leads)
            if found is not None:
                return found
        if wide:
            # The rule computes in float32 or complex64, and the engine rounds its result once.
            g, values = widened(g), [widened(v) for v in values]
        was = mode.state.place
        far = symbolic and (was is not None or mode.intercept) and _enter_place(g)
        try:
            found = [
                None
                if parent is None or rule is None or (leads is not None and id(parent) not in leads)
                else rule[0](g, *[values[k] for k in rule[1]])
                for parent, rule in zip(parents, rules, strict=True)
            ]
        finally:
            if far:
                mode.exchange("place", was)
        if symbolic and self.op.flat and mode.records():
            for parent, gi in zip(parents, found, strict=True):
                if gi is not None and gi is not g:
                    gi.node = _flat(gi, parent)
        return found

    def _on_device(self, g, values, wide, leads):
        """What ``backward`` returns, by one program on a device; None if there is none."""
        if mode.intercept > mode.metas:  # somebody looks at each operation
            return None
        every = self.op.rules
        wanted = tuple(
            [
                parent is not None and rule is not None and (leads is None or id(parent) in leads)
                for parent, rule in zip(self.parents, every, strict=True)
            ]
        )

        def rules(g, values):
            if wide:
                g, values = widened(g), [widened(v) for v in values]
            return [
                rule[0](g, *[values[k] for k in rule[1]]) if want else None
                for rule, want in zip(every, wanted, strict=True)
            ]

        return late.remote_calls().gradients(self.op, rules, g, values, (wide, wanted))

    def _typed(self, i, value):
        """The saved value ``i``; an operand, unless it is a mask, in the dtype of the result."""
        origin = self.op.origins[i]
        array = value._array if isinstance(value, Tensor) else value
        if origin is None or origin < 0 or getattr(array, "dtype", self.dtype) == self.dtype:
            return value
        if self.op.inputs[origin] in ("condition", "mask"):
            return value
        return array.astype(self.dtype) if value is array else value.to(OF[self.dtype])

    def lift(self, i):
        """The saved value ``i`` as a tensor with its history.

        It shares the clock cell of the tensor that was saved. A node that saves it in turn refuses
        its gradient after a write to that tensor.
        """
        value, origin = self.saved[i], self.op.origins[i]
        if origin is None or value is None:
            return value
        cell = self.cells[i] if i < len(self.cells) else None
        if origin == -2:  # the result that holds indices
            return _lifted(value, None, cell)
        if origin < 0 and type(value) is tuple:  # the results
            count = len(value)
            outputs = self.outputs
            known = len(self.saved) + len(self.op.watched)
            cells = [cell, *self.cells[known:], *[None] * count]
            found = tuple(
                [_lifted(v, output(self, k, count, v), cells[k]) for k, v in enumerate(value)]
            )
            self.outputs = outputs  # ``output`` counts results without a gradient, too
            return found
        if origin < 0:  # the result
            return _lifted(value, self, cell)
        if type(value) is list:
            return [_lifted(v, self.parents[origin + k], None) for k, v in enumerate(value)]
        if not hasattr(value, "shape"):
            return value
        return _lifted(value, self.parents[origin], cell)

    def value(self, i):
        """The saved value ``i`` in the form that gradient rules take."""
        return self.saved[i]

    def free(self):
        """Drop the saved values. A later backward through this node is then an error."""
        if self.saved and self.holds:
            self.saved = None
            self.cells = ()

    def fit(self, array):
        """Give gradients the shape of ``array``, and its dtype unless ``grad_dtype`` was set."""
        self.shape = array.shape
        if not hasattr(self, "grad_dtype"):
            self.dtype = array.dtype

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
        """Run ``hook(grad_inputs, grad_outputs)`` after this node; it may replace grad_inputs."""
        return add_hook(self, "post", hook)

    def register_prehook(self, hook):
        """Run ``hook(grad_outputs)`` before this node; it may replace grad_outputs."""
        return add_hook(self, "pre", hook)

    def __getattr__(self, name):
        if "saved_" in name and self.op is not None:  # PyTorch's names: _saved_self, _saved_result
            from rushlight.autograd.saved import saved_attribute

            return saved_attribute(self, name)
        raise AttributeError(f"{self.name()} has no attribute {name!r}")


_metadata: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
#: id of a tensor whose dims or memory were changed in place while it had views → for each change
#: (clock, (size, stride and storage offset before the change)). If the tensor got other memory,
#: the second entry is a tensor with the memory and the history of before.
turns: dict = {}
#: node → the call stack when the node was recorded, as text; filled under detect_anomaly.
recorded_at: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _lifted(value, node, cell):
    raw = isinstance(value, ndarray) or hasattr(value, "is_abstract")
    t = revived(value) if raw else value
    if hasattr(t, "node"):
        t.node = node
        if cell is not None and raw:
            t._cell = cell
    return t


def widened(value):
    """Arrays and tensors of half precision in float32 or complex64; other values unchanged."""
    if type(value) is ndarray:
        wide = _WIDE.get(value.dtype)
        return value if wide is None else value.astype(wide)
    if type(value) in (tuple, list):  # several results, and their gradients
        return type(value)([widened(v) for v in value])
    if isinstance(value, Tensor) and value._array.dtype in _WIDE:
        return value.to(OF[_WIDE[value._array.dtype]])
    return value


def typed(g, dtype):
    """``g``, an array or a tensor, in ``dtype``: if it is real, the real part of complex ``g``."""
    now = (g if type(g) is ndarray else g._array).dtype
    if now.kind in COMPLEX_KINDS and dtype.kind not in COMPLEX_KINDS:
        g = (widened(g) if now in COMPLEX_HALF else g).real
    return g.to(OF[dtype]) if isinstance(g, Tensor) else np.asarray(g, dtype)


class Leaf(Node):
    """The end of a path: the engine adds the gradient to its tensor. PyTorch's AccumulateGrad.

    Its ``dtype`` is None if ``grad_dtype`` was set, so that the engine asks ``typed``.
    """

    __slots__ = ("grad_dtype", "ref")
    if TYPE_CHECKING:
        ref: Any  # a function that returns the tensor or None: usually a weak reference
        grad_dtype: Any  # what ``Tensor.grad_dtype`` was set to, a dtype or None; unset: never set

    def name(self):
        return "torch::autograd::AccumulateGrad"

    def __repr__(self):
        return f"<AccumulateGrad object at {id(self):#x}>"

    @property
    def variable(self):
        return self.ref()

    def set_grad_dtype(self, dtype):
        """Let gradients have ``dtype``, or with None the dtypes in which they arrive."""
        self.grad_dtype = dtype
        self.dtype = None

    def typed(self, g):
        """``g``, an array or a tensor, in ``grad_dtype``; real for a tensor that is real."""
        wanted, tensor = self.grad_dtype, self.ref()
        now = OF[g.dtype] if type(g) is ndarray else g.dtype
        if tensor is not None and now.is_complex and not tensor.dtype.is_complex:
            now = now.to_real()
            g = typed(g, now.numpy)
        if wanted is None or wanted is now:
            return g
        if wanted.category < 2:
            raise GraphError(
                f"backward: grad_dtype is {wanted}; gradients must be floating point or complex"
            )
        return g.to(wanted) if hasattr(g, "stored") else typed(g, wanted.numpy)


Leaf.__name__ = Leaf.__qualname__ = "AccumulateGrad"  # programs look for PyTorch's name


class Output(Node):
    """One output of an operation with several outputs; ``source`` is the operation's node."""

    __slots__ = ("count", "index", "source")
    is_plain = False
    if TYPE_CHECKING:
        count: int
        index: int
        source: Node

    def name(self):
        return self.source.name()

    def check(self, symbolic=True):
        pass

    def backward(self, g, symbolic, leads=None):
        return [g]

    def free(self):
        pass


def _enter_place(g):
    """Let rules make new tensors on the device of the gradient ``g``; False if they do already.

    A list of gradients has one for each result. ``vmap`` knows no devices.
    """
    recorder = mode.state.recorder
    given = [x for x in g if x is not None] if isinstance(g, list) else [g]
    if not given or (recorder is not None and recorder.batches):
        return False
    d = device_of(given[0])
    if d is default_device():
        return False
    mode.exchange("place", None if d is CPU else d)
    return True


class Flat(Node):
    """The gradient of a function that is made of straight pieces, such as relu.

    The gradient changes with the function's operand only in steps, so its slope is 0. As in
    PyTorch, the operand gets zeros as the second derivative. Without this node the operand would
    count as unused, and asking for a second derivative would be an error.
    """

    __slots__ = ()
    is_plain = False

    def name(self):
        return "ZerosBackward0"

    def backward(self, g, symbolic, leads=None):
        return [g, g.new_zeros(g.shape) if isinstance(g, Tensor) else np.zeros_like(g)]


def _flat(g, parent):
    """The node of ``g``, a gradient that is constant near each value of ``parent``."""
    node = _new(Flat)
    node.parents = (g.node, parent)
    node.saved = node.cells = ()
    node.clock = tick()
    node.hooks = None
    node.shape = g._array.shape
    node.dtype = g._array.dtype
    return node


def leaf(tensor):
    """A new Leaf for ``tensor``."""
    if tensor.view_of is None and type(tensor._array) is ndarray:
        look(tensor)  # marks it if it is contiguous, so that the engine need not read its flags
    node = _new(Leaf)
    node.parents = ()
    node.saved = node.cells = ()
    node.clock = 0
    node.hooks = None
    node.shape = tensor._array.shape
    node.dtype = tensor._array.dtype
    node.ref = weakref.ref(tensor)
    return node


def output(source, index, count, array):
    """The node of output number ``index`` of ``source``, which has ``count`` outputs."""
    node = _new(Output)
    node.parents = (source,)
    node.saved = node.cells = ()
    node.clock = tick()
    node.hooks = None
    node.shape = array.shape
    node.dtype = array.dtype
    node.source = source
    if source is not None:  # some operations have results that require grad, and no gradient
        source.outputs = (index, count)
    node.index = index
    node.count = count
    return node


def watch(out, *values):
    """Refuse the gradient of ``out`` if one of the tensors ``values`` is written before it.

    For functions made of several operations, whose node in PyTorch saves ``values``. None among
    them is passed over. Returns ``out``.
    """
    node = out.node
    if node is not None and mode.state.packing is None:  # hooks may keep copies
        node = node.source if type(node) is Output else node
        node.cells += tuple([v.cell for v in values if v is not None])
    return out


@cache
def _renamed_class(kind, name, holds):
    return type(name, (kind,), {"__slots__": (), "holds": holds})


def renamed(out, name=None, holds=None):
    """``out``, whose node gets PyTorch's name for a function that is one node there.

    ``holds=False``: the node's saved values are constants, so that backward does not free them.
    """
    node = out.node
    if node is not None:
        node = node.source if type(node) is Output else node
        kind: Any = type(node)
        name, holds = name or kind.__name__, kind.holds if holds is None else holds
        node.__class__ = _renamed_class(kind, name, holds)
    return out


class _Refused(Node):
    """A node that raises in backward; the base of the classes that ``refuse`` makes."""

    __slots__ = ()
    is_plain = False
    reason = ""

    def check(self, symbolic=True):
        raise GraphError(f"{self.name()}: {self.reason}")


@cache
def _refused_class(kind, reason):
    return type(kind.__name__, (_Refused, kind), {"__slots__": (), "reason": reason})


def refuse(node, reason):
    """Make each backward through ``node`` an error that gives the ``reason``."""
    kind: Any = type(node)
    node.__class__ = _refused_class(kind, reason)


def set_history(x, node):
    """Give ``x``, which was written, the new history ``node``; ``retain_grad`` moves along."""
    before, x.node = x.node, node
    if before is not None and before.hooks:
        move_retained(x, before)


def refresh(x):
    """Derive the history of ``x`` again if it is a view whose memory was written since."""
    view = x.view_of
    if view is not None and view.seen != x.cell[0]:
        derive(x)


def look(x):
    """Bring ``x`` up to date; None if its elements lie in the order of its dims, else True.

    A contiguous tensor that is no view is marked (``turned = None``), and not looked at again.
    """
    if x.view_of is not None:
        refresh(x)
    a = x._array
    if a.flags.c_contiguous:
        if is_odd(a):
            return True
        if x.view_of is None:
            x.turned = None
        return None
    s = a.strides
    if len(s) == 2:  # usually a part of a matrix, with gaps between its rows
        return None if s[0] > s[1] > 0 else True
    return None if len(s) == 1 else True


def _lead_straight(x, view):
    """Replace the path of ``x``, which has a view of a storage inside it, by a path from the root.

    A view of the storage may contain elements that the view before it lacks. Along the old path
    the gradients of these elements would be lost.
    """
    with mode.inference_mode(False):  # history is history in every mode
        view.path = late.as_strided(view.root, *late.geometry(x)).view_of.path


def derive(x):
    """Derive the history of a view from that of its root."""
    view = x.view_of
    root = view.root
    if changes := [change for clock, change in turns.get(id(root), ()) if view.seen < clock]:
        # The path starts at the root's dims, and in its memory, from before the change.
        root = view.root = next((c for c in changes if isinstance(c, Tensor)), root)
        if not isinstance(changes[0], Tensor):
            view.path = (*root.as_strided(*changes[0]).view_of.path, *view.path)
    if any(op.of_storage for op, _, _ in view.path[1:]) and root._array.dtype == x._array.dtype:
        _lead_straight(x, view)
    if root.node is not None or x.node is not None or view.lazy:
        t = root
        with mode.inference_mode(False):  # history is history in every mode
            for op, args, params in view.path:
                t = op.call(t, *args, **params)
        if t.node is not None and any(op.one_of_many for op, _, _ in view.path):
            # A part that split or unbind gave before the write: as in PyTorch it has no gradient.
            t.node.cells = (*t.node.cells, [inf, x.cell[1]])
        recorder = mode.recorder() if mode.intercept else None
        if recorder is not None and recorder.is_outer(x):
            recorder.note_history(x)
        elif view.lazy:  # other views keep their memory, even if the root now has other memory
            x._array, x.turned = t._array, True
        set_history(x, t.node)
    view.seen = x.cell[0]


late.refresh = refresh
