"""Checkpoints: a part of the graph is dropped after the forward, and computed again in backward.

The function runs once on the tape. Then one new node replaces all nodes between the function's
outputs and the nodes from before the call (the border), so their saved values are freed. The new
node can run the function again, and its parents are the nodes of the border. So gradients of any
order, ``grad`` with inputs, and parameters that the function reads from outside all work as they do
without a checkpoint.
"""

from typing import TYPE_CHECKING, Any

from rushlight.autograd import engine, mode
from rushlight.autograd.tape import Node, output, tick
from rushlight.tensor import Tensor

__all__ = ["Recomputed", "forgetful", "tensors_in"]

_new = object.__new__


def tensors_in(value):
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return []
    return [t for part in value for t in tensors_in(part)]


class Recomputed(Node):
    """The node that replaces all nodes that a function recorded."""

    __slots__ = ("again", "which")
    is_plain = False
    if TYPE_CHECKING:
        again: Any  # runs the function again, and returns its result
        which: list[int]  # the indices of this node's outputs among the tensors in the result

    def name(self):
        return "CheckpointBackward"

    def check(self, symbolic=True):
        if self.saved is None:
            Node.check(self)

    def free(self):
        self.saved = self.again = None

    def backward(self, g, symbolic, leads=None):
        self.check()
        owed = g if type(g) is list else [g]
        state = mode.state
        in_rule, state.in_rule = state.in_rule, False
        try:
            with mode.enable_grad():
                found = tensors_in(self.again())
        finally:
            state.in_rule = in_rule
        pairs = [
            (found[i].node, gi)
            for i, gi in zip(self.which, owed, strict=True)
            if gi is not None and found[i].node is not None
        ]
        if not pairs:
            return [None] * len(self.parents)
        border = {id(parent) for parent in self.parents}
        roots, grads = zip(*pairs, strict=True)
        arrived = engine.run(
            roots, grads, symbolic, symbolic, border, accumulate=False, beyond=False
        )
        return [arrived.get(id(parent)) for parent in self.parents]


def forgetful(run, again):
    """The result of ``run()``, with a single node as history: it calls ``again()`` in backward."""
    start = tick()
    result = run()
    found = tensors_in(result)
    which = [i for i, t in enumerate(found) if _is_made(t, start)]
    if not which:
        return result
    node = _new(Recomputed)
    node.parents = _border([found[i].node for i in which], start)
    node.saved = node.cells = ()
    node.hooks = None
    node.clock = tick()
    first = found[which[0]]._array
    node.shape, node.dtype = first.shape, first.dtype
    node.again, node.which = again, which
    for k, i in enumerate(which):
        t = found[i]
        t.node = node if len(which) == 1 else output(node, k, len(which), t._array)
        t.view_of = None
    return result


def _is_made(t, start):
    """Whether ``t`` was recorded after ``start``, and is no view of an earlier tensor."""
    if t.node is None or t.node.clock <= start:
        return False
    root = None if t.view_of is None else t.view_of.root.node
    return t.view_of is None or (root is not None and root.clock > start)


def _border(nodes, start):
    """The newest nodes from before ``start`` on all paths from ``nodes`` back to the leaves."""
    seen = dict.fromkeys(nodes)
    todo, border = list(seen), list[Node]()
    while todo:
        for parent in todo.pop().parents:
            if parent is not None and parent not in seen:
                seen[parent] = None
                (todo if parent.clock > start else border).append(parent)
    return tuple(border)
