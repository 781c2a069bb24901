"""``backward`` and ``grad``: they choose the engine's start, and where gradients arrive."""

import warnings
from contextlib import nullcontext

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.autograd import engine, mode
from rushlight.autograd.tape import Node, refresh
from rushlight.dtype import OF
from rushlight.errors import GraphError, LayoutError
from rushlight.remote import crossings, device_of, is_remote
from rushlight.strides import overlaps
from rushlight.tensor import Tensor, disabled_torch_function, from_array, method, short

__all__ = ["backward", "grad", "refuse_complex_output"]

#: The gradient from which backward starts at a scalar. The engine never writes to it.
_ONE = {d: np.ones((), d) for d in (np.dtype("f4"), np.dtype("f8"))}
for _array in _ONE.values():
    _array.flags.writeable = False


def _seed(out, g, create_graph, name):
    """The gradient to start from at ``out``: ``g`` after checks, or 1 if ``g`` is None."""
    if g is None:
        found = None if create_graph or out._array.ndim else _ONE.get(out._array.dtype)
        return _one(out, create_graph, name) if found is None else found
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g._array.shape != out._array.shape:
        raise GraphError(
            f"{name}: Mismatch in shape: the gradient has a shape of {tuple(g.shape)} and the "
            f"output has a shape of {tuple(out.shape)}."
        )
    if g.dtype.is_complex != out.dtype.is_complex:
        raise GraphError(f"{name}: the gradient is {g.dtype} and the output is {out.dtype}")
    if mode.intercept and mode.recorder() is None and device_of(g) is not device_of(out):
        if g._array.ndim:
            raise GraphError(
                f"{name}: invalid gradient at index 0 - expected device {device_of(out)} but got "
                f"{device_of(g)}"
            )
        g = g.to(device_of(out))
    if create_graph:
        return g
    refresh(g)
    return g._array


def refuse_complex_output(out, name="grad"):
    """Raise if ``out`` is complex: the slope of a complex number has no direction of its own."""
    if OF[out._array.dtype].is_complex:
        raise GraphError(
            f"{name}: grad can be implicitly created only for real scalar outputs but got "
            f"{out.dtype}"
        )


def _one(out, create_graph, name):
    """The gradient of a scalar output with respect to itself."""
    if out._array.size != 1:
        raise GraphError(
            f"{name}: grad can be implicitly created only for scalar outputs, not for shape "
            f"{tuple(out.shape)}; pass gradient=, or reduce with .sum() or .mean()"
        )
    refuse_complex_output(out, name)
    if create_graph:
        return late.ones_like(out)
    return np.ones(out._array.shape, out._array.dtype)


def _tuple(x):
    if isinstance(x, Tensor) or x is None:
        return (x,)
    x = (x,) if hasattr(x, "ownership_token") else x
    return tuple([_at_edge(t) if hasattr(t, "ownership_token") else t for t in x])


def _gradients(outputs, grads, name):
    """The gradient of each of ``outputs``. As in PyTorch, further gradients are not looked at."""
    if grads is None:
        return (None,) * len(outputs)
    grads = _tuple(grads)[: len(outputs)]
    if len(grads) != len(outputs):
        raise GraphError(f"{name}: got {len(outputs)} tensors and {len(grads)} gradients")
    return grads


def _collections(*given):
    """The objects among outputs and inputs whose classes take ``grad`` over."""
    listed = [t for x in given for t in (x if isinstance(x, (tuple, list)) else (x,))]
    own = [t for t in listed if not isinstance(t, Tensor) and hasattr(t, "__torch_function__")]
    if mode.intercept > mode.metas and (mode.state.dispatch or mode.state.function_modes):
        asked = mode.state.function_modes or any(map(_takes_over, listed))
        return listed if asked else own
    return own


def _takes_over(x):
    """Whether the class of the tensor ``x`` takes functions over; composite tensors have rules."""
    kind = type(x)
    if kind is Tensor or hasattr(kind, "asked_again"):
        return False
    return getattr(kind, "__torch_function__", None) not in (None, disabled_torch_function)


class _AtEdge:
    """Stands for the tensor whose gradient enters the graph at a GradientEdge."""

    __slots__ = ("_array", "_grad", "node", "view_of")

    def __init__(self, node):
        self.node = node
        self._array = np.broadcast_to(np.zeros((), node.dtype), node.shape)
        self._grad = self.view_of = None

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: OF[self._array.dtype])

    def retain_grad(self):
        """Do nothing, because there is no tensor that could keep a gradient."""


def _at_edge(edge):
    """The ``_AtEdge`` for a GradientEdge."""
    node = edge.node
    if isinstance(edge.ownership_token, Node):
        node = edge.ownership_token
    elif edge.output_nr:
        raise GraphError("of several outputs, the edge must come from get_gradient_edge()")
    return _AtEdge(node)


def _run(outputs, grads, retain_graph, create_graph, targets, accumulate, name, since=0):
    state = mode.state
    symbolic = bool(create_graph)
    if mode.intercept:
        # Modes and traces see the operations of backward, too, so the rules compute with tensors.
        watched = state.recorder is not None or state.dispatch_modes is not None
        symbolic = symbolic or watched or any(map(is_remote, outputs)) or len(crossings) > 0
    roots, seeds = [], []
    for out, g in zip(outputs, grads, strict=True):
        if out.view_of is not None:
            refresh(out)
        if out.node is None:
            raise GraphError(
                f"{name}: element 0 of tensors does not require grad and does not have a grad_fn: "
                "nothing that it was computed from requires grad, or it was computed under "
                "no_grad()"
            )
        roots.append(out.node)
        try:
            seeds.append(_seed(out, g, symbolic, name))
        except LayoutError:
            if not hasattr(out, "as_values"):
                raise
            # The history of a nested tensor is that of its values.
            values, g = out.as_values(g)
            seeds.append(_seed(values, g, symbolic, name))
    retain = bool(create_graph) if retain_graph is None else bool(retain_graph)
    in_rule, state.in_rule = state.in_rule, True
    autocast, state.autocast = state.autocast, None  # gradients have their tensors' dtypes
    ends, state.targets = state.targets, targets
    before, state.roots = state.roots, roots
    was = mode.set_grad(bool(create_graph)) if symbolic else None
    try:
        return engine.run(roots, seeds, retain, symbolic, targets, accumulate, since=since)
    finally:
        if symbolic:
            mode.set_grad(was)
        state.in_rule, state.targets, state.autocast = in_rule, ends, autocast
        state.roots = before


def backward(
    tensors,
    grad_tensors=None,
    retain_graph=None,
    create_graph=False,
    grad_variables=None,
    inputs=None,
):
    """Add the gradient of the sum of ``tensors`` to the ``grad`` of the leaves.

    Args:
        tensors: A tensor of any shape, or several.
        grad_tensors: The gradient of each tensor, of its shape; None for 1. Default: 1 for all.
        retain_graph: Keep the saved values, for another backward. Default: ``create_graph``.
        create_graph: Record the backward itself, for higher derivatives. Default: False.
        grad_variables: Accepted without effect.
        inputs: Accumulate gradients in these tensors only. Default: None, in all leaves.

    Raises:
        RuntimeError: A tensor has several elements and no gradient in ``grad_tensors``; nothing
            requires grad; the graph was freed; or a saved value was modified in place.

    >>> import rushlight as torch
    >>> x = torch.tensor([2.0, 3.0], requires_grad=True)
    >>> torch.autograd.backward((x * x).sum())
    >>> x.grad
    tensor([4., 6.])
    """
    outputs = (tensors,) if type(tensors) is Tensor else _tuple(tensors)
    grads = _gradients(outputs, grad_tensors, "backward")
    if inputs is None:
        _run(outputs, grads, retain_graph, create_graph, None, True, "backward")
        return
    inputs = _tuple(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    for t in inputs:
        t.retain_grad()
    targets = {id(t.node) for t in inputs}
    _run(outputs, grads, retain_graph, create_graph, targets, True, "backward")


@short
def _backward_method(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of this tensor to the ``grad`` of the leaves.

    Args:
        gradient: Tensor of this tensor's shape: the gradient to start from. Default: 1, for a
            tensor of one element.
        retain_graph: Keep the saved values, for another backward. Default: ``create_graph``.
        create_graph: Record the backward itself, for higher derivatives. Default: False.
        inputs: Accumulate gradients in these tensors only. Default: None, in all leaves.

    Raises:
        RuntimeError: The tensor has several elements and no ``gradient`` is given; it does not
            require grad; the graph was freed; or a saved value was modified in place.

    >>> import rushlight as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (x * x).backward()
    >>> x.grad
    tensor(6.)
    """
    if inputs is None and not isinstance(gradient, (tuple, list)):
        _run((self,), (gradient,), retain_graph, create_graph, None, True, "backward")
    else:
        backward(self, gradient, retain_graph, create_graph, inputs=inputs)


_backward_method.__name__ = "backward"
vars(_backward_method)["in_python"] = True  # see ops/core/handlers.py
method(_backward_method)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """Return the gradients of the sum of ``outputs`` with respect to each of ``inputs``.

    Args:
        outputs: A tensor of any shape, or several.
        inputs: A tensor that requires grad, or several.
        grad_outputs: The gradient of each output, of its shape; None for 1. Default: 1 for all.
        retain_graph: Keep the saved values, for another backward. Default: ``create_graph``.
        create_graph: Record the backward itself, for higher derivatives. Default: False.
        only_inputs: Deprecated; has no effect.
        allow_unused: Give None for an input on which no output depends, instead of an error.
            Default: ``materialize_grads``.
        is_grads_batched: Each of ``grad_outputs`` has one more dim, the first: the gradients of
            all its rows are computed together, as by ``vmap``. Default: False.
        materialize_grads: Give zeros for an input on which no output depends. Default: False.

    Returns:
        A tuple of one tensor for each input, of its shape; with ``is_grads_batched`` the rows are
        one more dim.

    Raises:
        RuntimeError: No output depends on an input, and ``allow_unused`` is not set; an input does
            not require grad; the graph was freed; or a saved value was modified in place.
        ValueError: ``allow_unused`` is False, and ``materialize_grads`` is True.

    >>> import rushlight as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> (first,) = torch.autograd.grad(x ** 3, x, create_graph=True)
    >>> torch.autograd.grad(first, x)
    (tensor(12.),)
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To "
            "accumulate gradient for other parts of the graph, please use "
            "torch.autograd.backward.", FutureWarning, stacklevel=2,
        )  # fmt: skip
    if own := _collections(outputs, inputs):
        options = {
            "grad_outputs": grad_outputs, "retain_graph": retain_graph,
            "create_graph": create_graph, "only_inputs": only_inputs,
            "allow_unused": materialize_grads if allow_unused is None else allow_unused,
            "is_grads_batched": is_grads_batched, "materialize_grads": materialize_grads,
        }  # fmt: skip
        listed = [x if isinstance(x, (tuple, list)) else (x,) for x in (outputs, inputs)]
        return late.framework.overrides.handle_torch_function(
            grad, own, *map(tuple, listed), **options
        )
    if is_grads_batched:
        options = {"allow_unused": allow_unused, "materialize_grads": materialize_grads}
        return _of_rows(outputs, inputs, _tuple(grad_outputs), create_graph, options)
    outputs, inputs = _tuple(outputs), _tuple(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if allow_unused is False and materialize_grads:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "False"
        )
    grads = _gradients(outputs, grad_outputs, "grad")
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    for t in inputs:
        refresh(t)
        if t.node is None:
            raise GraphError(
                "grad: One of the differentiated Tensors does not require grad; set "
                "requires_grad=True before computing with it"
            )
    targets = {id(t.node) for t in inputs}
    found = _run(outputs, grads, retain_graph, create_graph, targets, False, "grad")
    return tuple(
        [_arrived(t, found, allow_unused, materialize_grads, create_graph) for t in inputs]
    )


def gradients_since(outputs, grads, graph, targets, since):
    """The gradients of the nodes with the ids ``targets``, as tensors, by id.

    ``since``: no node that was recorded before this time leads to a target.
    """
    found = _run(outputs, grads, graph, graph, targets, False, "jvp", since)
    return {key: from_array(g) if isinstance(g, ndarray) else g for key, g in found.items()}


def _of_rows(outputs, inputs, grads, create_graph, options):
    """The gradients for each row of ``grads``."""
    unused: list[bool] = []

    def of_row(*weights):
        found = grad(outputs, inputs, weights, True, create_graph, **options)
        unused[:] = [g is None for g in found]
        return tuple([g for g in found if g is not None])

    with mode.no_grad() if not create_graph else nullcontext():
        found = iter(late.framework.vmap(of_row)(*grads))
    return tuple([None if missing else next(found) for missing in unused])


def _arrived(t, found, allow_unused, materialize, create_graph):
    g = found.get(id(t.node)) if t.node is not None else None
    if g is None:
        if not allow_unused:
            raise GraphError(
                "grad: One of the differentiated Tensors appears to not have been used in the "
                "graph. Set allow_unused=True if this is the desired behavior."
            )
        if not materialize:
            return None
        values = t.stored if hasattr(t, "gradient_of_values") else t
        g = from_array(np.zeros(values._array.shape, values._array.dtype))
        if create_graph:
            g.requires_grad_()  # so that it can be differentiated again, which gives zeros, too
    if isinstance(g, ndarray):
        # Each element gets its own memory, so that the caller may write to a mean's gradient, too.
        g = from_array(g.copy() if overlaps(g) else g)
    # The history of a sparse or nested tensor is that of its values.
    return t.gradient_of_values(g) if hasattr(t, "gradient_of_values") else g
