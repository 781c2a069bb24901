"""A tensor's own view of its history: requires_grad, grad, hooks, detach, backward."""

import warnings
from collections.abc import Sequence

import numpy as np

from rushlight.autograd import mode, tape
from rushlight.autograd.tape import Leaf, add_hook, refresh
from rushlight.autograd.write import detached
from rushlight.dtype import OF
from rushlight.errors import GraphError
from rushlight.tensor import Tensor, from_array, method

__all__ = ["backward", "grad"]


def _property(name, setter=None):
    def bind(getter):
        setattr(Tensor, name, property(getter, setter))
        return getter

    return bind


def _set_requires_grad(self, value):
    refresh(self)
    if value is True or (value is not False and bool(value)):
        if self.node is not None:
            return
        if OF[self.array.dtype].category < 2:
            raise RuntimeError(
                f"only Tensors of floating point and complex dtype can require gradients, not {self.dtype}"
            )
        if len(self.cell) > 2 and not mode.state.inference:
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
            )
        self.node = tape.leaf(self)
    elif self.node is not None:
        if type(self.node) is not Leaf:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        self.node = None


@_property("requires_grad", _set_requires_grad)
def requires_grad(self):
    """Whether operations on this tensor are recorded for gradients."""
    if self.view_of is not None:
        refresh(self)
    return self.node is not None


@method
def requires_grad_(self, requires_grad=True):
    """Set ``requires_grad`` in place; returns the tensor."""
    self.requires_grad = requires_grad
    return self


@_property("is_leaf")
def is_leaf(self):
    """True where the tensor wasn't computed from one that requires grad."""
    refresh(self)
    return self.node is None or type(self.node) is Leaf


@_property("grad_fn")
def grad_fn(self):
    """The node that computed this tensor; None for a leaf."""
    refresh(self)
    node = self.node
    return (
        None
        if node is None or type(node) is Leaf
        else node.source
        if type(node) is tape.Output
        else node
    )


@_property("output_nr")
def output_nr(self):
    return self.node.index if type(self.node) is tape.Output else 0


def _set_grad(self, value):
    if mode.intercept and mode.state.recorder is not None:
        mode.state.recorder.touch_grad(self, read=False)
    if value is None:
        self._grad = None
        return
    if not isinstance(value, Tensor):
        raise TypeError(
            f"assigned grad expected to be a Tensor or None but got {type(value).__name__}"
        )
    if value is self:
        raise RuntimeError("can't assign Variable as its own grad")
    if value.array.dtype != self.array.dtype:
        raise RuntimeError(
            f"assigned grad has data of a different type: {value.dtype}, the tensor is {self.dtype}"
        )
    if value.array.shape != self.array.shape:
        raise RuntimeError(
            f"assigned grad has data of a different size: {tuple(value.shape)}, the tensor is {tuple(self.shape)}"
        )
    self._grad = value


@_property("grad", _set_grad)
def grad_of(self):
    """The gradient accumulated by ``backward``; None before."""
    if mode.intercept and mode.state.recorder is not None:
        mode.state.recorder.touch_grad(self)
    if self._grad is None and self.node is not None and type(self.node) is not Leaf:
        if "_retains" not in self.__dict__:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
                "attribute won't be populated during autograd.backward(). Use .retain_grad() on it first "
                "if you want its gradient.",
                stacklevel=2,
            )
    return self._grad


def _set_data(self, value):
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    self.array = value.array
    self.view_of = None
    self.cell = [*self.cell]
    if self.node is not None:
        self.node.shape, self.node.dtype = value.array.shape, value.array.dtype


@_property("data", _set_data)
def data(self):
    """The same memory without history; writes through it go unseen by the tape."""
    t = from_array(self.array)
    t.__class__ = Tensor
    return t


@_property("_version")
def version(self):
    """How often the memory was written in place."""
    if len(self.cell) > 2:
        raise RuntimeError("Inference tensors do not track version counter.")
    return self.cell[1]


@_property("_base")
def base(self):
    """The tensor this is a view of; None where it is none."""
    return None if self.view_of is None else self.view_of.root


@method
def _is_view(self):
    return self.view_of is not None


@method
def is_inference(self):
    """True for a tensor made in inference mode."""
    return len(self.cell) > 2


@method
def detach(self):
    """The same memory as a tensor without history.

    >>> import rushlight as torch
    >>> torch.ones(2, requires_grad=True).detach().requires_grad
    False
    """
    refresh(self)
    return detached(self)


@method
def detach_(self):
    """Forget the history in place."""
    if self.view_of is not None:
        raise RuntimeError("Can't detach views in-place; use detach() instead")
    self.node = None
    return self


@method
def retain_grad(self):
    """Have ``backward`` keep this non-leaf tensor's gradient in ``grad``."""
    refresh(self)
    if self.node is None:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if type(self.node) is Leaf or "_retains" in self.__dict__:
        return
    self.__dict__["_retains"] = True
    import weakref

    ref = weakref.ref(self)

    def keep(g):
        t = ref()
        if t is not None:
            t._grad = g.clone() if t._grad is None else t._grad + g

    add_hook(self.node, "retain", keep)


retains_grad = property(lambda self: "_retains" in self.__dict__)
Tensor.retains_grad = retains_grad


@method
def register_hook(self, hook):
    """``hook(grad)`` runs when this tensor's gradient is computed; it may return another.

    Raises:
        RuntimeError: the tensor doesn't require grad.
    """
    refresh(self)
    if self.node is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    return add_hook(self.node, "tensor", hook)


@method
def register_post_accumulate_grad_hook(self, hook):
    """``hook(tensor)`` runs after ``grad`` of this leaf was accumulated."""
    if self.node is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if type(self.node) is not Leaf:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return add_hook(self.node, "accumulated", hook)


# backward and grad ------------------------------------------------------------------------


#: What backward starts from at a scalar; the engine never writes to it.
_ONE = {d: np.ones((), d) for d in (np.dtype("f4"), np.dtype("f8"))}
for _one in _ONE.values():
    _one.flags.writeable = False


def _seed(out, g, create_graph, name):
    """The gradient to start from at ``out``, checked."""
    if g is None:
        if out.array.size != 1:
            raise GraphError(
                f"{name}: grad can be implicitly created only for scalar outputs, not for shape "
                f"{tuple(out.shape)}; pass gradient=, or reduce with .sum() or .mean()"
            )
        if OF[out.array.dtype].is_complex:
            raise GraphError(
                f"{name}: grad can be implicitly created only for real scalar outputs but got {out.dtype}"
            )
        if create_graph:
            import rushlight.ops.create as create

            return create.ones_like(out)
        one = _ONE.get(out.array.dtype)
        return np.ones(out.array.shape, out.array.dtype) if one is None or out.array.ndim else one
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g.array.shape != out.array.shape:
        raise GraphError(
            f"{name}: Mismatch in shape: the gradient has a shape of {tuple(g.shape)} and the output "
            f"has a shape of {tuple(out.shape)}."
        )
    if g.dtype.is_complex != out.dtype.is_complex:
        raise GraphError(f"{name}: the gradient is {g.dtype} and the output is {out.dtype}")
    return g if create_graph else g.array


def _tuple(x):
    return (x,) if isinstance(x, Tensor) or x is None else tuple(x)


def _run(outputs, grads, retain_graph, create_graph, targets, accumulate, name):
    for out in outputs:
        refresh(out)
        if out.node is None:
            raise GraphError(
                f"{name}: element 0 of tensors does not require grad and does not have a grad_fn: nothing "
                "that it was computed from requires grad, or it was computed under no_grad()"
            )
    state = mode.state
    symbolic = bool(create_graph) or state.recorder is not None
    seeds = [_seed(o, g, symbolic, name) for o, g in zip(outputs, grads, strict=True)]
    retain = bool(create_graph) if retain_graph is None else bool(retain_graph)
    roots = [o.node for o in outputs]
    was, in_rule = state.grad, state.in_rule
    state.in_rule = True
    try:
        if symbolic and was is not bool(create_graph):
            mode.set_grad(bool(create_graph))
        return tape.run(roots, seeds, retain, symbolic, targets, accumulate)
    finally:
        if symbolic:
            mode.set_grad(was)
        state.in_rule = in_rule


def backward(
    tensors,
    grad_tensors=None,
    retain_graph=None,
    create_graph=False,
    grad_variables=None,
    inputs=None,
):
    """Accumulate in the leaves the gradient of the sum of ``tensors``.

    ``inputs``: accumulate only in these. ``create_graph`` records the backward itself, for
    higher derivatives. The graph is freed unless ``retain_graph``.

    Raises:
        RuntimeError: a tensor isn't scalar and has no ``grad_tensors``; nothing requires grad;
            the graph was freed; a saved value was modified in place.

    >>> import rushlight as torch
    >>> x = torch.tensor([2.0, 3.0], requires_grad=True)
    >>> torch.autograd.backward((x * x).sum())
    >>> x.grad
    tensor([4., 6.])
    """
    outputs = _tuple(tensors)
    grads = (None,) * len(outputs) if grad_tensors is None else _tuple(grad_tensors)
    if len(grads) != len(outputs):
        raise GraphError(f"backward: got {len(outputs)} tensors and {len(grads)} gradients")
    targets = None
    if inputs is not None:
        inputs = _tuple(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
        targets = {id(t.node): t for t in inputs if t.node is not None}
    found = _run(outputs, grads, retain_graph, create_graph, targets, True, "backward")
    if inputs is not None:
        for key, t in targets.items():
            if type(t.node) is not Leaf and key in found:
                g = found[key]
                g = from_array(g.copy()) if isinstance(g, np.ndarray) else g
                t._grad = g if t._grad is None else t._grad + g


def _backward_method(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Accumulate in the leaves the gradient of this tensor; see ``torch.autograd.backward``.

    >>> import rushlight as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (x * x).backward()
    >>> x.grad
    tensor(6.)
    """
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


_backward_method.__name__ = "backward"
Tensor.backward = _backward_method


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The gradients of the sum of ``outputs`` with respect to each of ``inputs``, as a tuple.

    Raises:
        RuntimeError: an input was not used and ``allow_unused`` isn't set.

    >>> import rushlight as torch
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> (first,) = torch.autograd.grad(x ** 3, x, create_graph=True)
    >>> torch.autograd.grad(first, x)
    (tensor(12.),)
    """
    if is_grads_batched:
        raise NotImplementedError(
            "grad: is_grads_batched needs vmap, which rushlight does not have yet"
        )
    outputs, inputs = _tuple(outputs), _tuple(inputs)
    if not inputs:
        raise ValueError("grad requires non-empty inputs.")
    if allow_unused is False and materialize_grads:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: False"
        )
    grads = (None,) * len(outputs) if grad_outputs is None else _tuple(grad_outputs)
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    for t in inputs:
        refresh(t)
        if t.node is None and not allow_unused:
            raise GraphError(
                "grad: One of the differentiated Tensors does not require grad; set requires_grad=True before "
                "computing with it"
            )
    targets = {id(t.node): t for t in inputs if t.node is not None}
    found = _run(outputs, grads, retain_graph, create_graph, targets, False, "grad")
    return tuple([_arrived(t, found, allow_unused, materialize_grads) for t in inputs])


def _arrived(t, found, allow_unused, materialize):
    g = found.get(id(t.node)) if t.node is not None else None
    if g is None:
        if not allow_unused:
            raise GraphError(
                "grad: One of the differentiated Tensors appears to not have been used in the graph. Set "
                "allow_unused=True if this is the desired behavior."
            )
        if materialize:
            return from_array(np.zeros(t.array.shape, t.array.dtype))
        return None
    return from_array(g) if isinstance(g, np.ndarray) else g


_ = Sequence
