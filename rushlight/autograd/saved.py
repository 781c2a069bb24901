"""Hooks that pack tensors when a node saves them, and unpack them in backward.

If hooks are set, ``dispatch`` leaves each operation to ``pack_results``. This function runs the
operation, and then replaces each tensor that the operation's node saved by a ``Packed``. The node
gets a class whose ``backward`` first unpacks the tensors. In the default mode nothing here runs.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import Node, Output, tick
from rushlight.errors import GraphError
from rushlight.handled import HandledArray, keep
from rushlight.tensor import Tensor, revived

__all__ = ["Packed", "SavedTensor", "pack", "pack_results", "set_disabled", "set_hooks"]


class Packed:
    """A saved tensor in packed form, with the ``unpack`` hook that restores it."""

    __slots__ = ("held", "unpack")

    def __init__(self, tensor, hooks):
        pack, self.unpack = hooks
        version = tensor.cell[1]
        with mode.no_grad():
            self.held = pack(tensor)
        if tensor.cell[1] != version:
            raise GraphError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                "input to pack hook can not be modified by in-place operations as this can lead "
                "to unexpected side-effects. Please open a copy with clone() first."
            )

    def tensor(self):
        """Unpack the tensor."""
        state = mode.state
        in_rule, state.in_rule = state.in_rule, False
        try:
            with mode.no_grad():
                found = self.unpack(self.held)
        finally:
            state.in_rule = in_rule
        if not isinstance(found, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(found).__name__}"
            )
        return found


def _unpacked(value):
    """A saved value in the form that gradient rules take: packed tensors become arrays."""
    if type(value) is Packed:
        t = value.tensor()
        return keep(t._array)
    if type(value) in (list, tuple):
        return type(value)([_unpacked(v) for v in value])
    return value


class _PackedNode(Node):
    """A node that unpacks its saved values when they are needed."""

    __slots__ = ()
    is_plain = False

    def backward(self, g, symbolic, leads=None):
        self.check(symbolic)
        packed = self.saved
        self.saved = tuple([_unpacked(value) for value in packed])
        try:
            return super().backward(g, symbolic, leads)
        finally:
            self.saved = packed

    def value(self, i):
        return _unpacked(self.saved[i])


@cache
def _packed_class(kind):
    """The subclass of the node class ``kind`` for packed values."""
    return type(kind.__name__, (_PackedNode, kind), {"__slots__": ()})


def pack(node, hooks, only=None):
    """Pack the tensors that ``node`` saved, or only the tensor with the index ``only``."""
    saved, cells = list(node.saved), list(node.cells)
    if only is None and node.op.watched:  # a hook may keep copies, which nobody writes
        end = len(saved) + len(node.op.watched) if -1 in node.op.origins else len(cells)
        cells[len(saved) : end] = [None] * (end - len(saved))
    for i, value in enumerate(saved):
        if node.op.origins[i] is None or (only is not None and i != only):
            continue
        saved[i] = _packed(value, cells[i], hooks)
        if not _is_itself(saved[i], value):
            cells[i] = None  # a write to the tensor does not change what the hook keeps
            if node.op.origins[i] == -1:
                del cells[len(saved) :]
    node.saved, node.cells = tuple(saved), tuple(cells)
    if not isinstance(node, _PackedNode):
        kind: Any = type(node)
        node.__class__ = _packed_class(kind)


def _packed(value, cell, hooks):
    if isinstance(value, ndarray | HandledArray):
        t = revived(value)
        if cell is not None:
            t.cell = cell
        return Packed(t, hooks)
    if type(value) in (list, tuple):
        return type(value)([_packed(v, None, hooks) for v in value])
    return value


def _is_itself(packed, value):
    """Whether the hook kept the memory of the tensor, not a copy."""
    return type(packed) is Packed and getattr(packed.held, "_array", None) is value


def pack_results(run, op, args, params):
    """``run(op, args, params)``; this thread's hooks pack the tensors that the new node saves."""
    state = mode.state
    hooks, state.packing = state.packing, None
    start = tick()
    try:
        found = run(op, args, params)
        for t in found if isinstance(found, tuple) else (found,):
            node = getattr(t, "node", None)
            if type(node) is Output:
                node = node.source
            fresh = node is not None and node.clock > start and node.saved
            if fresh and not isinstance(node, _PackedNode):
                pack(node, hooks)
    finally:
        state.packing = hooks
    return found


def set_hooks(hooks):
    """Set this thread's hooks (pack, unpack), or None; returns the previous hooks.

    Raises:
        RuntimeError: ``disable_saved_tensors_hooks`` forbids hooks; the error has its message.
    """
    state = mode.state
    if hooks is not None and state.packing_refused is not None:
        raise RuntimeError(state.packing_refused)
    return mode.exchange("packing", hooks)


def set_disabled(message):
    """Refuse hooks in this thread with ``message``, or allow them (None).

    Returns the previous message, or None.
    """
    state = mode.state
    if message is not None and state.packing is not None:
        raise RuntimeError(message)
    was, state.packing_refused = state.packing_refused, message
    return was


#: PyTorch's name of a saved value → the name that gradient rules use.
_RULES = {
    "self": "x", "input": "x", "other": "y", "exponent": "y", "mat2": "y", "target": "y",
    "result": "out",
}  # fmt: skip


def saved_attribute(node, name):
    """Return what ``node`` saved under PyTorch's ``name``, such as ``_saved_self``.

    ``_raw_saved_self`` gives a ``SavedTensor``.

    Raises:
        AttributeError: The operation saves nothing under this name.
        RuntimeError: The saved values were freed, or written since.
    """
    prefix, _, wanted = name.partition("saved_")
    saves = node.op.saves
    known = [k for k in (wanted, _RULES.get(wanted)) if k in saves]
    if not known or prefix not in ("_", "_raw_"):
        raise AttributeError(f"{node.name()} has no attribute {name!r}")
    at = saves.index(known[0])
    if prefix == "_raw_":
        return SavedTensor(node, at)
    node.check()
    found = _with_history(node, at)
    if wanted == "exponent" and not getattr(found, "ndim", 1) and not found.requires_grad:
        return found.item()
    return found


def _with_history(node, i):
    """The saved value ``i`` as a user sees it: the leaf itself, or a tensor with its history."""
    value, origin = node.value(i), node.op.origins[i]
    operand = origin is not None and 0 <= origin < len(node.parents)
    leaf = getattr(node.parents[origin], "variable", None) if operand else None
    if leaf is not None and leaf._array is value:
        return leaf
    if value is node.saved[i] and origin is not None:
        return node.lift(i)
    return revived(value) if isinstance(value, ndarray | HandledArray) else value


class SavedTensor:
    """A tensor that a node saved, such as ``grad_fn._raw_saved_self``; it can still get hooks."""

    __slots__ = ("_at", "_node")
    if TYPE_CHECKING:
        _node: Any
        _at: int

    def __init__(self, node, at):
        self._node, self._at = node, at

    def register_hooks(self, pack_hook, unpack_hook):
        """Keep the result of ``pack_hook(tensor)``; ``unpack_hook`` turns it into a tensor again.

        Raises:
            RuntimeError: the tensor already has hooks, or it was freed.
        """
        self._node.check()
        if type(self._node.saved[self._at]) is Packed:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: "
                "only one pair of hooks is allowed at a time."
            )
        pack(self._node, (pack_hook, unpack_hook), self._at)
