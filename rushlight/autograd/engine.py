"""The engine sends gradients from the results of a graph back to its leaves."""

import warnings
from heapq import heappop, heappush
from operator import attrgetter
from sys import getrefcount
from typing import Any
from weakref import ref

import numpy as np
from numpy import asarray, ndarray

from rushlight import shapes
from rushlight.autograd import hooks as hooking
from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf, Node, Output, recorded_at, tick, typed, widened
from rushlight.autograd.write import check_inference
from rushlight.device_array import reserved
from rushlight.dtype import OF
from rushlight.errors import GraphError, ShapeError
from rushlight.handled import is_handled, twin
from rushlight.remote import RemoteArray, device_of
from rushlight.strides import dense_strides, ordered_like, visit_order
from rushlight.tensor import Tensor, from_array

__all__ = ["ancestors", "fitted", "leading", "refuse_outer", "run"]

_clock = attrgetter("clock")
_f4 = np.dtype("f4")
_f8 = np.dtype("f8")


def sum_to(g, shape):
    """Undo broadcasting: sum ``g`` over the dims in which ``shape`` was broadcast."""
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        i for i, n in enumerate(shape, lead) if n == 1 and g.shape[i] != 1
    )
    if type(g) is ndarray:
        return np.add.reduce(g, axis=axes, keepdims=True).reshape(shape)
    return g.sum(axes, keepdim=True).reshape(shape) if axes else g.reshape(shape)


def ancestors(nodes, since=0):
    """A list of ``nodes`` and of all nodes that they were computed from.

    The search ends at nodes that were recorded before the time ``since``.
    """
    seen = set(nodes)
    found = list(seen)
    for node in found:  # the list grows during the loop
        for parent in node.parents if node.clock >= since else ():
            if parent is not None and parent not in seen:
                seen.add(parent)
                found.append(parent)
    return found


def leading(targets, roots, since=0):
    """Ids of ``targets`` and of all nodes on a path from ``roots`` to one of these ids."""
    leads = set(targets)
    nodes = ancestors(roots, since)
    nodes.sort(key=_clock)
    for node in nodes:  # oldest first, so parents come before the nodes computed from them
        if any(id(p) in leads for p in node.parents):
            leads.add(id(node))
    return leads


class _Targets:
    """The target nodes, at which gradients are wanted, and the gradients that arrived there.

    If ``beyond`` is False, the graph ends at the targets: no path goes past a target, and the
    targets' hooks do not run. If ``entered`` is True, the nodes of the targets run.
    """

    def __init__(self, ids, roots, beyond, entered, since):
        self.ids = ids
        self.beyond = beyond
        self.entered = entered
        self.arrived: dict = {}
        self.leading = leading(ids, roots, since)

    def concern(self, node, g):
        """Whether the run visits ``node``. A target that ends the graph only keeps ``g``."""
        if not self.beyond and id(node) in self.ids:
            self.arrived[id(node)] = g
            return False
        return id(node) in self.leading

    def lie_beyond(self, node, g, hooked, shared):
        """Whether the run goes on past ``node``; the gradient of a target is kept.

        As in PyTorch, the kept gradient is ``hooked`` (``g`` after the hooks on the result) if no
        further target lies beyond ``node``, else ``g``.
        """
        if id(node) not in self.ids:
            return True
        beyond = any(id(p) in self.leading for p in node.parents)
        self.arrived[id(node)] = g = g if beyond else hooked
        _share(shared, g)
        return beyond or self.entered or not node.parents


def run(roots, grads, retain, symbolic, targets=None, accumulate=True, beyond=True, since=0):
    """Send ``grads`` from ``roots`` back through the graph.

    Args:
        roots: The nodes to start from.
        grads: The gradient of each root.
        retain: Keep the saved values of the nodes, for another run.
        symbolic: The rules compute with tensors, so that they can be recorded in turn.
        targets: Ids of nodes: only paths that lead to a target are run. None: all paths.
        accumulate: Add the gradients that arrive at leaves to the leaves' ``grad``. As in PyTorch,
            the nodes of the targets then run, with their hooks, and lose their saved values.
        beyond: If False, the graph ends at the targets: no path goes past a target, and the
            targets' hooks do not run.
        since: No node that was recorded before this time leads to a target.

    Returns:
        The gradients that arrived at the targets, by id.
    """
    mode.run = tick()
    pending: dict = {}  # node → the sum of the gradients that arrived so far
    queue: list = []  # a heap of (-clock, node): the pending nodes that are no leaves
    shared: dict = {}  # by id: arrays that may have several holders, so that leaves copy them
    for node, g in zip(roots, grads):  # noqa: B905
        _share(shared, g)
        _send(pending, queue, node, g)
    state = mode.state
    watched = mode.intercept and (state.anomaly is not None or state.profiler is not None)
    general = symbolic or watched
    recorder = state.recorder if general else None
    wanted = None if targets is None else _Targets(targets, roots, beyond, accumulate, since)
    leads = None if wanted is None else wanted.leading
    # The newest node comes first. Nodes that send it a gradient are newer, so they have all run.
    while queue:
        node = heappop(queue)[1]
        g = pending.pop(node)
        if recorder is not None:
            recorder.passed.append((len(recorder.equations), node))
        hooks = node.hooks
        if wanted is not None or hooks:
            g = _arrive(node, g, shared, symbolic, wanted)
            if g is None:
                continue
        d = node.dtype
        if general or hooks or not node.is_plain or (d is not _f4 and d is not _f8):
            _step(pending, queue, shared, node, g, symbolic, leads)
            if not retain:
                node.free()
        else:
            _plain_step(pending, queue, shared, node, g, leads)
            if not retain and node.saved and node.holds:
                node.saved = None
                node.cells = ()
    for node, g in pending.items():
        if wanted is not None or node.hooks:
            g = _arrive(node, g, shared, symbolic, wanted)
        if accumulate and g is not None:
            (_accumulate_hooked if node.hooks else _accumulate)(node, g, shared)
    return {} if wanted is None else wanted.arrived


def _arrive(node, g, shared, symbolic, wanted):
    """``g`` after the hooks on the result of ``node``; None if the run ends at this node."""
    if wanted is not None and not wanted.concern(node, g):
        return None
    hooked = g
    if node.hooks:
        hooked = hooking.run_on_result(node, g, symbolic)
        _share(shared, hooked)
    return hooked if wanted is None or wanted.lie_beyond(node, g, hooked, shared) else None


def _plain_step(pending, queue, shared, node, g, leads):
    """Run the rules of one node on raw arrays in an ordinary backward. This is the hot loop."""
    saved = node.saved
    if saved is None:
        node.check()
    clock = node.clock
    for cell in node.cells:
        if cell is not None and cell[0] > clock:
            node.check(symbolic=False)
            saved = node.saved
    for parent, entry in zip(node.parents, node.op.rules):  # noqa: B905
        if parent is None or entry is None or (leads is not None and id(parent) not in leads):
            continue
        rule, wanted, take, replays = entry
        values = take(saved) if take is not None else (saved[wanted[0]],) if wanted else ()
        replay = replays.run
        gi = None if replay is None else replay(g, *values)
        if gi is None:
            gi = rule(g, *values)
            if gi is None:
                continue
        if gi is g:
            _share(shared, g)
        if type(gi) is not ndarray or gi.dtype is not parent.dtype or gi.shape != parent.shape:
            gi = fitted(parent, gi)
        if parent in pending:
            pending[parent] = _added(pending[parent], gi)
        else:
            pending[parent] = gi
            if parent.clock:
                heappush(queue, (-parent.clock, parent))


def _share(shared, g):
    """Note that ``g`` may have several holders. The reference is weak: ids are used again."""
    if g is not None and type(g) is not list:
        shared[id(g)] = ref(g)


def refuse_outer(node):
    """Raise if a trace is being recorded and ``node`` is older than the trace."""
    recorder = mode.recorder()
    if recorder is not None and node.clock < recorder.began and not recorder.batches:
        recorder.refuse(
            "the gradient goes through what a tensor from outside was computed from, another "
            "graph in each call; compute it inside torch.compile, or call backward() outside"
        )


def _called(node, *grads):
    """Return the gradients of the node's inputs, from the gradients of its results.

    Hooks do not run, and the saved values are kept. In grad mode the results have a history.

    Args:
        *grads: The gradient of each result, a tensor or None.

    Returns:
        Tensor or None for one input, else a tuple of them. Of a leaf: the empty tuple, after the
        gradient was added to the leaf's ``grad``.

    Raises:
        TypeError: the number of gradients is not that of the results; one is no tensor.
        RuntimeError: the node's saved values were freed.
    """
    last, count = getattr(node, "outputs", (0, 1))
    if len(grads) not in (last + 1, count):
        raise TypeError(f"expected {last + 1} arguments, got {len(grads)} instead")
    for i, g in enumerate(grads):
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(f"argument {i} is not a Variable")
    if type(node) is Leaf:
        if grads[0] is not None:
            _accumulate(node, grads[0], {})
        return ()
    refuse_outer(node)
    if all(g is None for g in grads):
        found = [None] * len(node.parents)
    else:
        missing = [None] * (count - len(grads))
        found = node.backward(grads[0] if count == 1 else [*grads, *missing], symbolic=True)
    found = [
        None if gi is None or parent is None else fitted(parent, gi)
        for parent, gi in zip(node.parents, found, strict=True)
    ]
    return found[0] if len(found) == 1 else tuple(found)


Node.__call__ = _called  # type: ignore[method-assign]


def _step(pending, queue, shared, node, g, symbolic, leads):
    """Run one node of any kind, with its hooks. ``leads``: see ``Node.backward``."""
    refuse_outer(node)
    was = mode.state.grad
    if not symbolic and was:
        mode.set_grad(False)  # the computations of hooks and custom functions are not recorded
    try:
        if node.hooks:
            g = hooking.run_before(node, g)
        if node.op is not None and _is_nothing(g):  # a hook replaced the gradient by None
            found = [None] * len(node.parents)
        elif mode.state.anomaly is not None:
            found = _watched(node, g, symbolic, leads, mode.state.anomaly)
        elif mode.state.profiler is not None:
            found = mode.state.profiler.gradient(node, g, symbolic, leads)
        else:
            found = node.backward(g, symbolic, leads)
        if node.hooks:
            if type(node) is not Output:  # hooks see gradients as the parents get them
                found = [
                    gi if gi is None or parent is None else fitted(parent, gi)
                    for parent, gi in zip(node.parents, found, strict=True)
                ]
            found = hooking.run_after(node, found, g)
    finally:
        if mode.state.grad is not was:
            mode.set_grad(was)
    if node.hooks or (node.op is None and type(node) is not Output):  # a program's own function
        for gi in found:
            _share(shared, gi)
    for parent, gi in zip(node.parents, found, strict=True):
        if parent is None or gi is None:
            continue
        if gi is g:
            _share(shared, g)
        if type(node) is Output:
            _send_output(pending, queue, node, gi)
        else:
            _send(pending, queue, parent, gi)


def _is_nothing(g):
    """Whether no gradient is left of those that arrived at a node."""
    return g is None or (type(g) is list and all(gi is None for gi in g))


def _send(pending, queue, node, g):
    """Add ``g`` to the pending gradient of ``node``."""
    if type(g) is not ndarray or g.dtype is not node.dtype or g.shape != node.shape:
        g = fitted(node, g)
    if node in pending:
        pending[node] = _added(pending[node], g)
    else:
        _owe(pending, queue, node, g)


def _owe(pending, queue, node, g):
    """Make ``g`` the pending gradient of ``node``, which has none yet, and queue the node."""
    pending[node] = g
    if node.clock:
        heappush(queue, (-node.clock, node))


def _added(x, y):
    """x + y as an array, even for 0-dim arrays, whose sum is a scalar in NumPy."""
    total = x + y
    return asarray(total) if isinstance(total, np.generic) else total


def fitted(node, g):
    """``g`` in the shape and dtype of ``node``: broadcasting and promotion undone."""
    array = g
    if type(g) is not ndarray:
        array = getattr(g, "_array", None)
        if array is None:
            if hasattr(g, "layout"):
                return _fitted_sparse(node, g)
            g = array = np.asarray(g)
    if array.shape != node.shape:
        g = sum_to(g, node.shape)
    if node.dtype is None:
        return node.typed(g)
    return g if array.dtype == node.dtype else typed(g, node.dtype)


def _fitted_sparse(node, g):
    """The sparse gradient ``g`` for ``node``: sparse at a leaf, else dense.

    The rules of operations take dense gradients.
    """
    if node.clock:
        dense = g.to_dense()
        return fitted(node, dense if mode.recorder() or dense.node is not None else dense._array)
    if node.dtype is None:
        return node.typed(g)
    return g if g.stored._array.dtype == node.dtype else g.to(OF[node.dtype])


def _send_output(pending, queue, node, g):
    """Add ``g``, of one output, to the pending list of its node with several outputs."""
    source = node.source
    if source not in pending:
        _owe(pending, queue, source, [None] * node.count)
    owed = pending[source]
    i = node.index
    owed[i] = g if owed[i] is None else _added(owed[i], g)


def _accumulate(node, g, shared):
    tensor = node.ref()
    if tensor is None:
        return
    if tensor.node is None:  # requires_grad was turned off since the forward
        if node.hooks:
            hooking.tell_accumulated(node, tensor)
        return
    if mode.intercept and (recording := mode.recorder()):
        recording.touch_grad(tensor)
    before = tensor._grad
    if type(g) is ndarray:
        if before is None:
            # An array without other holders becomes the gradient without a copy.
            own = g.base is None and not (id(g) in shared and shared[id(g)]() is g)
            # The usual case is asked here, because a call takes as long as the rest.
            plain = tensor.turned is None or tensor._array.flags.c_contiguous
            if not (own and plain and g.flags.c_contiguous):
                g = _laid_out(g, tensor._array, own)
            tensor._grad = from_array(g)
        else:
            if mode.inferred:
                check_inference(before, "backward, to add to a gradient")
            try:
                np.add(before._array, g, out=before._array)
            except AttributeError:  # a sparse gradient came first; the sum is dense
                tensor._grad = from_array(g) + before
            except ValueError:  # the tensor has another shape since the gradient was added
                raise _misfit(before._array.shape, g.shape) from None
            except TypeError:  # NumPy does not add these dtypes in place: grad_dtype is None
                with mode.no_grad():
                    before.add_(from_array(g))
            else:
                before.cell[0] = tick()
                before.cell[1] += 1
    elif device_of(g) is not device_of(tensor):
        raise RuntimeError(
            f"backward: the gradient is on the device {g.device}, and the tensor is on "
            f"{tensor.device}: it was moved since. Move it before it is used"
        )
    elif (recording := mode.recorder()) and not mode.state.grad:
        recording.accumulate(tensor, g)
    elif before is None and is_handled(g) and g.node is None:
        # As in PyTorch, a gradient without other holders becomes the tensor's own.
        tensor._grad = g.clone() if id(g) in shared and shared[id(g)]() is g else twin(g)
    else:
        tensor._grad = _accumulated(before, g, tensor, shared)
    if node.hooks:
        hooking.tell_accumulated(node, tensor)


def _misfit(shape, new):
    """The error of adding a gradient of the shape ``new`` to one of ``shape``."""
    try:
        shapes.broadcast("backward", shape, new)
    except ShapeError as error:
        return error
    return ShapeError(
        f"backward: the gradient has the shape {tuple(shape)}: output with shape {list(shape)} "
        f"doesn't match the broadcast shape {list(new)}"
    )


def _accumulate_hooked(node, g, shared):
    """``_accumulate``, between the hooks that were put on the leaf's node itself."""
    with mode.no_grad():
        g = hooking.run_before(node, g)
    if g is not None:
        _share(shared, g)
        _accumulate(node, g, shared)
    with mode.no_grad():
        hooking.run_after(node, (), g)


def _laid_out(g, leaf, own):
    """``g`` as the gradient of the array ``leaf``. ``own``: g has no other holder, no copy needed.

    As in PyTorch, the gradient has the leaf's strides if the leaf is dense; else it is contiguous.
    """
    if leaf.flags.c_contiguous:
        return g if own and g.flags.c_contiguous else g.copy()
    order = visit_order(leaf.shape, leaf.strides)
    if not leaf.transpose(order).flags.c_contiguous:
        return g if own and g.flags.c_contiguous else g.copy()
    return g if own and g.strides == leaf.strides else ordered_like(g, leaf, g.dtype)


def _is_own(g, shared):
    """Whether nobody else holds the tensor ``g``, which is on a device, or its memory."""
    if type(g) is not Tensor or g.view_of is not None:
        return False
    if id(g) in shared and shared[id(g)]() is g:
        return False
    return getrefcount(g._array) == getrefcount(g._array.memory) == 2  # the call holds it, too


def _accumulated(before, g, leaf, shared):
    """The gradient of ``leaf`` after the tensor ``g`` has come: ``before``, or a tensor of its own.

    As in PyTorch, ``before`` is written in place unless the sum has a history. A new gradient lies
    as ``_laid_out`` lets an array lie.
    """
    far = all(isinstance(getattr(t, "_array", None), RemoteArray) for t in (g, leaf))
    if before is not None and is_handled(before) and g.node is before.node is None:
        return before + g if mode.state.grad else before.add_(g)
    handled = is_handled(g) or is_handled(leaf)
    if handled or g.node is not None or not far:
        return g.clone() if before is None else before + g
    if before is not None:
        in_place = before.node is None and isinstance(before._array, RemoteArray)
        return before.add_(g) if in_place and not mode.state.grad else before + g
    shape, strides = leaf._array.shape, leaf._array.strides
    wanted = dense_strides(shape, visit_order(shape, strides), leaf._array.itemsize)
    if strides != wanted:
        strides = dense_strides(shape, range(len(shape)), leaf._array.itemsize)
    if g._array.strides == strides:
        return from_array(g._array) if _is_own(g, shared) else g.clone()
    own: Any = from_array(reserved(shape, g._array.dtype, strides, device_of(g)))
    return own.copy_(g)


def _watched(node, g, symbolic, leads, check_nan):
    """``node.backward`` under detect_anomaly: an error shows the line of the forward."""
    try:
        found = node.backward(g, symbolic, leads)
        if check_nan:
            for i, gi in enumerate(found):
                if _has_nan(getattr(gi, "_array", gi)):
                    raise GraphError(
                        f"Function '{node.name()}' returned nan values in its {i}th output."
                    )
        return found
    except Exception as error:
        stack = recorded_at.get(node)
        if stack is not None:
            text = (
                f"Error detected in {node.name()}. Traceback of forward call that caused the "
                f"error:\n{stack}"
            )
            warnings.warn(text, stacklevel=2)
            error.add_note(text)
        raise


def _has_nan(a):
    """Whether ``a`` has nan: an array, or NumPy's scalar for a gradient without dims."""
    if not isinstance(a, (ndarray, np.generic)) or OF[a.dtype].category < 2:
        return False
    return bool(np.isnan(widened(np.asarray(a))).any())
