"""Writes: ``x[...] = value`` for any tensor, view or not, with PyTorch's rules.

A write stamps the clock cell that a tensor shares with its views. A node refuses to run if one of
its saved values was written after the node was recorded. A write through a view adds a patch to the
history of the tensor that owns the memory. The other views derive their history again at next use.
"""

import numpy as np

from rushlight import float8, late
from rushlight.autograd import mode
from rushlight.autograd.tape import derive, refresh, set_history, tick
from rushlight.dtype import OF
from rushlight.errors import DtypeError, GraphError, ShapeError
from rushlight.handled import takes_handler
from rushlight.meta import is_meta, refuse
from rushlight.notices import warn
from rushlight.remote import is_remote
from rushlight.tensor import from_array

__all__ = [
    "assign", "check_inference", "check_overlap", "check_write", "detached", "follow", "read_only",
    "refuse_conjugate", "stamp", "tracked", "warn_of_expanded", "watched", "write",
]  # fmt: skip


def stamp(x):
    """Mark the memory of ``x`` as written; to be called after a raw NumPy write."""
    cell = x.cell
    before, cell[0] = cell[0], tick()
    cell[1] += 1
    view = x.view_of
    if view is not None and view.seen == before:  # otherwise the view must still derive its history
        view.seen = cell[0]


def check_write(x, name="an in-place operation", tracked=False):
    """Raise if PyTorch forbids an in-place write to ``x``, or if ``x`` is a conjugate.

    ``tracked``: the value to be written requires grad.
    """
    if x.view_of is not None:
        refuse_conjugate(x, name)
    if not mode.records():
        check_inference(x, name)
        return
    refresh(x)
    check_inference(x, name)
    view = x.view_of
    if view is None:
        if x.node is not None and x.node.clock == 0:
            raise GraphError(
                f"{name}: a leaf Variable that requires grad is being used in an in-place "
                "operation; wrap it in torch.no_grad(), or use the out-of-place form"
            )
        return
    root = view.root.node
    was_detached = root is None and x.node is not None  # a detached root, but a view with history
    if was_detached or (root is not None and root.clock == 0):
        raise GraphError(
            f"{name}: a view of a leaf Variable that requires grad is being used in an in-place "
            "operation; wrap it in torch.no_grad(), or use the out-of-place form"
        )
    if root is not None or (tracked and OF[x._array.dtype].category > 1):
        _check_view(x, view, name)
        if any(op.of_storage for op, _, _ in view.path[1:]):
            derive(x)  # by a path from the root, so that no element's gradient is lost


def _check_view(x, view, name):
    """Raise if a write through the view ``x`` could not be recorded in its root's history."""
    if view.untracked:
        raise GraphError(
            f"{name}: A view was created in no_grad mode and is being modified inplace with "
            "grad mode enabled. Make the view inside enable_grad(), or write inside no_grad()"
        )
    if any(op.one_of_many for op, _, _ in view.path):
        if view.path[0][0].name == "a custom Function":
            raise GraphError(
                f"{name}: an output of {x.node.name()} is a view and is being modified "
                "inplace. This view was created inside a custom Function (or because an input "
                "was returned as-is), whose backward the write would replace. Return a clone() "
                "from the Function"
            )
        raise GraphError(
            f"{name}: an output of {x.node.name() if x.node else 'split or unbind'} is a view "
            "and is being modified inplace. This view is the output of a function that returns "
            "multiple views. Such functions do not allow the output views to be modified "
            "inplace. Use indexing, or clone() the view"
        )


def _is_expanded(array):
    steps = zip(array.strides, array.shape, strict=True)
    return array.size > 0 and any(s == 0 and n > 1 for s, n in steps)


def warn_of_expanded(array, name):
    """Warn as PyTorch does if ``name``, which allows it, writes to an expanded array."""
    if 0 in array.strides and _is_expanded(array):
        warn(
            f"Use of {name} on expanded tensors is deprecated. Please clone() the tensor before "
            "performing this operation. This also applies to advanced indexing e.g. "
            f"tensor[{'indices] = tensor' if name == 'index_put_' else 'mask] = scalar'}"
        )


def check_overlap(array, name):
    """Raise if elements of ``array`` share one place in memory, as after ``expand``."""
    if _is_expanded(array):
        raise RuntimeError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers "
            "to a single memory location. Please clone() the tensor before performing the "
            "operation."
        )


def read_only(name, array):
    """Return the error that ``name`` cannot write to a tensor with this array."""
    return RuntimeError(
        f"{name}: the memory to write, of shape {list(array.shape)} and dtype "
        f"{OF[array.dtype].name}, is read-only, because it is that of a NumPy array that must not "
        "be written, such as the values of a pandas column. Copy it first: torch.tensor(array), or "
        "clone() of the tensor"
    )


def check_inference(x, name):
    """Raise if ``x`` was made in inference mode and would be written outside of it."""
    if len(x.cell) > 2 and not mode.state.inference:
        raise GraphError(
            f"{name}: Inplace update to inference tensor outside InferenceMode is not allowed. "
            "Make a clone to get a normal tensor before doing inplace update."
        )


def refuse_conjugate(x, name="out="):
    """Raise if ``x`` is a conjugate: its memory is not that of the tensor it was made of."""
    if x.view_of is None or not x.view_of.lazy:
        return
    raise RuntimeError(
        f"{name}: the tensor is a conjugate made by conj(), H, mH or adjoint(), through which "
        "rushlight does not write. Write the conjugate of the value to the tensor it was made of, "
        "or use resolve_conj() or conj_physical() for memory of its own"
    )


def check_result(x, value, name):
    """Raise if ``value`` does not fit into ``x`` by its shape or its dtype category."""
    shape, target = value._array.shape, x._array.shape
    if shape != target:
        try:
            fits = np.broadcast_shapes(shape, target) == target
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(
                f"{name}: output with shape {list(target)} doesn't match the broadcast shape "
                f"{list(shape)}: an in-place operation cannot enlarge its tensor"
            )
    if OF[value._array.dtype].category > OF[x._array.dtype].category:
        raise DtypeError(
            f"{name}: result type {OF[value._array.dtype].name} can't be cast to the desired "
            f"output type {OF[x._array.dtype].name}; use the out-of-place form"
        )


def write(x, value, name="copy_", uniform=False):
    """``x[...] = value``: x keeps its memory and gets the history of ``value``. Returns x.

    ``uniform``: all elements get the same value, so elements that share memory may be written.
    """
    check_write(x, name, value.node is not None)
    check_result(x, value, name)
    if 0 in x._array.strides and x._array.size and not uniform:
        check_overlap(x._array, name)
    return assign(x, value, name)


def assign(x, value, name="write"):
    """``write`` without its checks; ``value`` is converted from any dtype."""
    if x.view_of is not None:
        refuse_conjugate(x)
    active = mode.recorder()
    if active is not None:
        return active.write(x, value)
    if mode.intercept and (is_remote(x) or is_remote(value)):
        if takes_handler(x, value):
            late.handlers().ask("copy_", x, value)
        else:
            _write_far(x, value)
        stamp(x)
        follow(x, value)
        return x
    try:
        array = value._array
        if array.dtype is not x._array.dtype:
            array = _in_between(array, x._array.dtype)
        # NumPy copies correctly even if value and x overlap in memory.
        np.copyto(x._array, array, casting="unsafe")
    except ValueError:
        if x._array.flags.writeable:
            raise
        raise read_only(name, x._array) from None
    stamp(x)
    follow(x, value)
    return x


def _in_between(array, dtype):
    """``array`` in a dtype that NumPy converts to ``dtype`` with PyTorch's rounding."""
    if dtype in float8.KINDS:
        return float8.narrowed(array, dtype)
    if dtype == np.float16 and array.dtype == np.float64:
        with np.errstate(over="ignore"):
            return array.astype(np.float32)  # PyTorch rounds twice
    return array


def _write_far(x, value):
    """``x[...] = value``, at least one of which is not on the CPU."""
    if is_meta(x):
        return
    if is_meta(value):
        refuse()
    if is_remote(x):
        late.remote_calls().overwrite(x._array, value._array)
    else:
        np.copyto(x._array, late.to_host(value._array), casting="unsafe")


def follow(x, value):
    """Give ``x``, which was just overwritten with ``value``, the history of ``value``."""
    if not mode.records():
        return
    view = x.view_of
    if view is None:
        node = value.node
        if node is not None and (
            value._array.shape != x._array.shape or value._array.dtype != x._array.dtype
        ):
            node = value.expand(x._array.shape).to(OF[x._array.dtype]).node
        elif node is not None:
            node = _rebase(node, x, value)
        set_history(x, node)
    elif view.root.node is not None or value.node is not None:
        late.record_patch(view.root, value, view.path)
        derive(x)


def _rebase(node, x, value):
    """Make ``node``, whose result ``value`` was copied into x, save x's memory instead of value's.

    Returns the node for x: usually ``node`` itself.
    """
    if node.clock == 0 or value.view_of is not None:
        return _copied(x, value) if node.clock == 0 else node
    if any(cell is x.cell for cell in node.cells):
        return node  # it saved x's old values, now overwritten: backward raises, as in PyTorch
    if value.cell[0] <= node.clock and any(c is value.cell for c in node.cells):
        node.saved = tuple([x._array if s is value._array else s for s in node.saved])
        node.cells = tuple([x.cell if c is value.cell else c for c in node.cells])
        node.clock = tick()
    return node


def _copied(x, value):
    """The node of x after a leaf was written to x: that of a copy, not the leaf's own node."""
    return value.clone().node


def detached(x):
    """A tensor without history that shares the memory and the clock of ``x``."""
    t = from_array(x._array)
    t.cell = x.cell
    view = x.view_of
    if view is not None and view.lazy:
        refresh(x)
        t._array = x._array
        t.view_of = type(view)(detached(view.root), view.path, x.cell[0], True)
    if mode.intercept and (recording := mode.recorder()):
        recording.note_alias(t, x)
    return t


def watched(x, others):
    """True if a write of ``others`` into ``x`` must be recorded, by a trace or for gradients."""
    return mode.intercept or tracked(x, others)


def tracked(x, others):
    """True if a write of ``others`` into ``x`` must be recorded for gradients."""
    if mode.grad_off and not mode.state.grad:
        return False
    if x.view_of is not None and x.view_of.root.node is not None:
        return True
    return x.node is not None or any(getattr(t, "node", None) is not None for t in others)
