"""Tangents: derivatives that move forward along the tape, from a graph's inputs to its results.

Each node gives the tangent of its result from the tangents of its parents. There are three ways:

* The Jacobian of an *elementwise* operation on real numbers is diagonal, and therefore equal to its
  transpose. So the gradient rule of an input, applied to the input's tangent, gives the product.
  ``Op.symmetric`` tells this; softmax has a symmetric Jacobian, too.
* An operation that is *linear* in an input runs itself on the tangent of this input. The inputs
  that the gradient rule does not read are only added, so they are zeros. ``Op.linear`` tells the
  linear inputs: their gradient rules read neither the input itself nor the result.
* Every other node takes two backward passes: ``uᵀ J`` is linear in u, and its gradient with respect
  to u along the tangents is ``J v``. So every operation with second gradients has forward mode. In
  the first pass a custom Function that has a ``jvp`` is represented by it.
"""

from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.engine import fitted, refuse_outer
from rushlight.autograd.gradient import gradients_since
from rushlight.autograd.tape import Flat, Node, Output, refresh, tick, typed
from rushlight.dtype import COMPLEX_KINDS, OF
from rushlight.errors import GraphError
from rushlight.strides import in_order
from rushlight.tensor import Tensor, from_array

__all__ = ["check_tangent", "first_pass", "pushed"]

_clock = attrgetter("clock")
_f4 = np.dtype("f4")
_f8 = np.dtype("f8")


def check_tangent(tensor, tangent):
    """Raise if the two have different shapes."""
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(tensor.shape)} while the "
            f"given forward gradient is of size {list(tangent.shape)}."
        )


@contextmanager
def first_pass():
    """Context of the first of the two backward passes of a node."""
    was, mode.state.forward = mode.state.forward, True
    try:
        yield
    finally:
        mode.state.forward = was


def pushed(outputs, inputs, tangents, graph):
    """The tangents of ``outputs`` from those of ``inputs``.

    Args:
        outputs: Tensors.
        inputs: Tensors with a node: leaves, or other tensors at which the graph begins.
        tangents: The tangent of each input.
        graph: Whether the results get a history, for further derivatives.

    Returns:
        A list: the tangent of each output; None for one that depends on no input.
    """
    mode.run = tick()  # as each backward: see there
    state = mode.state
    if state.inference:
        with mode.inference_mode(False):
            return pushed(outputs, inputs, tangents, graph)
    in_rule, state.in_rule = state.in_rule, True
    autocast, state.autocast = state.autocast, None  # tangents have their tensors' dtypes
    was = mode.set_grad(graph)
    try:
        return _pushed(outputs, inputs, tangents, graph)
    finally:
        mode.set_grad(was)
        state.in_rule, state.autocast = in_rule, autocast


def _pushed(outputs, inputs, tangents, graph):
    known: dict = {}
    # Tangents are arrays while nobody needs to see the operations.
    raw = not graph and not mode.intercept
    for x, t in zip(inputs, tangents, strict=True):
        if hasattr(
            x, "as_values"
        ):  # the history of a sparse or nested tensor is that of its values
            x, t = x.as_values(t)
        elif type(t) is not Tensor and isinstance(t, Tensor):
            t = t.as_subclass(Tensor)
        if t.view_of is not None:
            refresh(t)
        if t.dtype is not x.dtype:
            if t.dtype.is_complex and not x.dtype.is_complex:
                raise GraphError(f"the tangent is {t.dtype} and the tensor is {x.dtype}")
            t = typed(t, x._array.dtype)
        known[x.node] = t
        raw = raw and type(getattr(t, "_array", None)) is ndarray
    if raw:
        known = {node: t._array for node, t in known.items()}
    for t in outputs:
        if t.view_of is not None:
            refresh(t)
    nodes = _reached([t.node for t in outputs if t.node is not None], known)
    for node in nodes:
        if raw and type(node) is not Output:
            found = _of_arrays(node, known)
            if found is NotImplemented:
                tensors = {p: _tensor(known.get(p)) for p in node.parents}
                found = _through(node, tensors, nodes, graph)
                several = type(found) in (list, tuple)
                found = [_array(t) for t in found] if several else _array(found)
        else:
            found = _through(node, known, nodes, graph)
        known[node] = found
    return [_given(t, known, tangents) if t.node in known else None for t in outputs]


def _tensor(t):
    return from_array(t) if type(t) is ndarray else t


def _array(t):
    return t._array if isinstance(t, Tensor) else t


def _given(output, known, tangents):
    """The tangent of ``output``, in memory of its own if an operation only passed it on."""
    if hasattr(output, "as_values"):
        return output.with_values(_given(output.stored, known, tangents))
    found = known[output.node]
    if found is None:  # the derivative is 0 everywhere, as that of a sign
        return output.detach().new_zeros(output.shape)
    found = _tensor(found)
    a = found._array
    own = found.view_of is None and getattr(a, "base", None) is None
    return (
        found
        if own and not any(a is getattr(t, "_array", None) for t in tangents)
        else found.clone()
    )


def _reached(roots, known):
    """The nodes between those of ``known`` and ``roots``, in the order of their recording."""
    seen = dict.fromkeys(roots)
    todo = list(seen)
    for node in todo:  # the list grows during the loop
        if node not in known:
            for parent in node.parents:
                if parent is not None and parent not in seen:
                    seen[parent] = None
                    todo.append(parent)
    todo.sort(key=_clock)
    reached = set(known)
    found = []
    for node in todo:
        if node not in known and not reached.isdisjoint(node.parents):
            reached.add(node)
            found.append(node)
    return found


def _through(node, known, nodes, graph):
    """The tangent of the result of ``node``; a list for several results; None if it is 0."""
    op = node.op
    if type(node) is Output:
        found = known[node.source]
        return None if found is None else found[node.index]
    if all(known.get(p) is None for p in node.parents):
        return None
    refuse_outer(node)
    if type(node) is Flat:  # its second parent has no slope
        return known.get(node.parents[0])
    if op is not None and op.symmetric and _is_real(node, known):
        found = _by_rules(node, known)
    elif (
        op is not None
        and op.linear is not None
        and type(node).backward in (Node.backward, op.node.backward)
    ):
        found = _by_calls(node, known)
    else:
        found = _twice(node, known, nodes, graph)
    return found if found is None or type(found) in (list, tuple) else _shaped(node, found)


def _shaped(node, t):
    """The tangent ``t`` in the shape and the dtype of the result of ``node``."""
    if t._array.shape != node.shape:
        t = t.expand(node.shape)
    return t if t._array.dtype == node.dtype else typed(t, node.dtype)


def _is_real(node, known):
    if node.dtype.kind in COMPLEX_KINDS:
        return False
    tangents = [known.get(p) for p in node.parents]
    return all(t is None or t._array.dtype.kind not in COMPLEX_KINDS for t in tangents)


def _sum(x, y):
    return y if x is None else x if y is None else x + y


def _by_rules(node, known):
    """The tangent by the gradient rules, of an operation whose Jacobians are symmetric."""
    total = None
    for parent in dict.fromkeys(node.parents):
        t = known.get(parent)
        if t is not None:
            for part in node.backward(_shaped(node, t), True, {id(parent)}):
                total = _sum(total, part)
    return total


def _by_calls(node, known):
    """The tangent of an operation that is linear in its inputs."""
    op = node.op
    node.check()
    values = {name: node.lift(i) for i, name in enumerate(op.saves)}
    params = {name: values[name] for name in op.params if name in values}
    if op.variadic:
        tangents = [known.get(p) for p in node.parents]
        some = next(t for t in tangents if t is not None)
        given = [
            some.new_zeros(shape) if t is None else t
            for t, shape in zip(tangents, values["tensors_shape"], strict=True)
        ]
        return late.repeat(op, (given,), params)
    total = None
    for i, parent in enumerate(node.parents):
        t = known.get(parent)
        if t is None:
            continue
        if op.added(i) is not None:
            found = _shaped(node, t)
        else:
            found = late.repeat(op, _operands(node, i, t, values), params)
        if type(found) is tuple:
            return found
        total = _sum(total, found)
    return total


def _operands(node, i, t, values):
    """The operands of a call on ``t``, the tangent of the input ``i``, an array or a tensor."""
    op = node.op
    read = op.linear[i]
    given = []
    for k, name in enumerate(op.inputs):
        if k == i:
            if op.by_layout:  # a view in the order of dims exists in contiguous memory
                t = t.contiguous() if isinstance(t, Tensor) else in_order(t)
            given.append(t)
        elif name in read:
            given.append(values[name])
        elif name in op.optional:
            given.append(None)
        else:
            added = op.added(k)
            shape = values[name + "_shape"] if added is None else added(node.shape)
            given.append(t.new_zeros(shape) if isinstance(t, Tensor) else np.zeros(shape, t.dtype))
    return given


def _of_arrays(node, known):
    """The tangent of the result of ``node`` as an array; NotImplemented for some nodes."""
    if not node.is_plain:
        return NotImplemented
    op, parents = node.op, node.parents
    if op.symmetric:
        d = node.dtype
        if d is not _f4 and d is not _f8:
            return NotImplemented
        for p in parents:
            t = known.get(p)
            if t is not None and t.dtype is not d:
                return NotImplemented
    elif op.linear is None:
        return NotImplemented
    node.check(symbolic=False)
    saved, shape, total = node.saved, node.shape, None
    if not op.symmetric:
        values = dict(zip(op.saves, saved, strict=True))
        params = {name: values.get(name, op.defaults[name]) for name in op.params}
    for i, parent in enumerate(parents):
        t = known.get(parent)
        if t is None:
            continue
        if op.symmetric:
            if op.rules[i] is None:
                continue
            if t.shape != shape:
                t = np.broadcast_to(t, shape)
            rule, wanted, take, replays = op.rules[i]
            given = take(saved) if take is not None else (saved[wanted[0]],) if wanted else ()
            replay = replays.run
            found = None if replay is None else replay(t, *given)
            if found is None:
                found = rule(t, *given)
        elif op.added(i) is not None:
            found = t
        else:
            found = late.compute(op, _operands(node, i, t, values), params)
            if type(found) is tuple:
                return found
        if found is not None:
            total = found if total is None else total + found
    if total is None:
        return None
    if type(total) is not ndarray or total.dtype is not node.dtype:
        total = np.asarray(total, node.dtype)
    return total if total.shape == shape else np.broadcast_to(total, shape)


def _twice(node, known, nodes, graph):
    """The tangent of the result of ``node`` by two backward passes."""
    parents = [p if known.get(p) is not None else None for p in node.parents]
    some = next(known[p] for p in parents if p is not None)
    started = tick()
    several = hasattr(node, "outputs")
    with mode.enable_grad():
        if several:
            weights: list[Any] = [None] * node.outputs[1]
            for n in nodes:
                if type(n) is Output and n.source is node:
                    weights[n.index] = _zeros(some, n)
        else:
            weights = [_zeros(some, node)]
        with first_pass():
            leads = {id(p) for p in parents if p is not None}
            pulled = node.backward(weights if several else weights[0], True, leads)
        pairs = [
            (fitted(p, g), known[p])
            for p, g in zip(parents, pulled, strict=True)
            if p is not None and g is not None
        ]
    pairs = [(g, t) for g, t in pairs if g.node is not None]
    if not pairs:
        return None
    pulled, tangents = zip(*pairs, strict=True)
    targets = {id(w.node) for w in weights if w is not None}
    arrived = gradients_since(pulled, tangents, graph, targets, started)
    found = [None if w is None else arrived.get(id(w.node)) for w in weights]
    if all(g is None for g in found):
        return None
    return found if several else found[0]


def _zeros(like, node):
    return like.new_zeros(node.shape, dtype=OF[node.dtype]).requires_grad_()
