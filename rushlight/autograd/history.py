"""The properties and methods of Tensor for its history: requires_grad, grad, hooks, detach."""

import warnings
from functools import partial

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.hooks import RemovableHandle, Retained, add_hook, retained
from rushlight.autograd.tape import Leaf, Output, leaf, refresh
from rushlight.autograd.write import detached
from rushlight.dtype import OF, dtype
from rushlight.handled import cover, is_handled, refuse_class, takes_handler
from rushlight.meta import is_meta
from rushlight.remote import device_of
from rushlight.shapes import flag
from rushlight.tensor import (
    Tensor,
    as_class,
    from_array,
    has_handler,
    method,
    short,
)

__all__: list[str] = []  # everything here is bound to Tensor


def _property(name, setter=None, deleter=None):
    def bind(getter):
        setattr(Tensor, name, property(getter, setter, deleter))
        return getter

    return bind


def _set_requires_grad(self, value):
    refresh(self)
    if value is not True and value is not False:
        raise RuntimeError(f"requires_grad must be a bool, not {type(value).__name__}")
    if value:
        if self.node is not None:
            if type(self.node) is not Leaf:
                raise RuntimeError("you can only change requires_grad flags of leaf variables.")
            return
        if OF[self._array.dtype].category < 2:
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients, not "
                f"{self.dtype}"
            )
        if len(self.cell) > 2 and not mode.state.inference:
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                "allowed."
            )
        _note_history(self)
        self.node = _leaf_again(self)
        if self.view_of is not None and self.view_of.root.node is None:
            self.view_of = None  # its views derive their history from this leaf, not from the base
    elif self.node is not None:
        if type(self.node) is not Leaf:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        _note_history(self)
        _keep_leaf(self)
        self.node = None


def _keep_leaf(x):
    """Keep the leaf node of ``x`` in ``_leaf``, because graphs may still lead to this node.

    If ``x`` was computed, keep a new leaf with the hooks on its node, but only if all of them are
    hooks on the tensor.
    """
    node = x.node
    if node is None:
        return
    if type(node) is not Leaf:
        hooks = node.hooks
        if not hooks or any(kind != "tensor" for kind, _ in hooks.values()):
            return
        node = leaf(x)
        node.hooks = hooks
    x._leaf = node


def _leaf_again(x):
    node = getattr(x, "_leaf", None)
    if node is None:
        return leaf(x)
    array, chosen = x._array, hasattr(node, "grad_dtype")
    if node.shape != array.shape or not (chosen or node.dtype == array.dtype):
        before, node = node, leaf(x)
        node.hooks = before.hooks
        if chosen:
            node.set_grad_dtype(before.grad_dtype)
    return node


def _note_history(x):
    if mode.intercept and (recording := mode.recorder()):
        recording.note_history(x)


@_property("requires_grad", _set_requires_grad)
def requires_grad(self):
    """True if operations on this tensor, or on the base of this view, are recorded for gradients.

    >>> import rushlight as torch
    >>> x = torch.ones(2)
    >>> x.requires_grad = True
    >>> (x * 2).requires_grad
    True
    """
    view = self.view_of
    if view is None:
        return self.node is not None
    refresh(self)
    return self.node is not None or (view.untracked and view.root.node is not None)


@short
@method
def requires_grad_(self, requires_grad=True):
    """Set ``requires_grad`` in place.

    Args:
        requires_grad: Record operations on this tensor, for gradients. Default: True.

    Raises:
        RuntimeError: The tensor is no leaf, or its dtype is neither floating point nor complex.

    >>> import rushlight as torch
    >>> torch.ones(2).requires_grad_()
    tensor([1., 1.], requires_grad=True)
    """
    value = flag(requires_grad, "requires_grad_", "requires_grad")
    refresh(self)
    if not value or self.node is None:
        self.requires_grad = value
    return self


@_property("is_leaf")
def is_leaf(self):
    """True if the tensor was not computed from a tensor that requires grad.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> x.is_leaf, (x * 2).is_leaf
    (True, False)
    """
    refresh(self)
    return self.node is None or type(self.node) is Leaf


@_property("grad_fn")
def grad_fn(self):
    """The node that computed this tensor; None for a leaf.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> x.grad_fn is None, (x * 2).grad_fn.name()
    (True, 'MulBackward0')
    """
    refresh(self)
    node = self.node
    if type(node) is Leaf:
        return None
    return node.source if type(node) is Output else node


@_property("output_nr")
def output_nr(self):
    return self.node.index if type(self.node) is Output else 0


def _set_grad(self, value):
    if mode.intercept and (recording := mode.recorder()):
        recording.touch_grad(self, read=False)
    if value is None:
        self._grad = None
        return
    if not isinstance(value, Tensor):
        raise TypeError(
            f"assigned grad expected to be a Tensor or None but got {type(value).__name__}"
        )
    if value is self:
        raise RuntimeError("can't assign Variable as its own grad")
    try:
        same_dtype = value._array.dtype == self._array.dtype
        same_shape = value._array.shape == self._array.shape
    except AttributeError:  # one of the two is sparse
        same_dtype, same_shape = value.dtype is self.dtype, value.shape == self.shape
    if not same_dtype or hasattr(self, "_leaf"):
        wanted = _grad_dtype(self)
        if wanted is not None and wanted is not value.dtype:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype {value.dtype} to a tensor with "
                f"grad_dtype {wanted}. The gradient must match the tensor's grad_dtype, which is "
                "by default the tensor's dtype; grad_dtype = None allows any dtype"
            )
    if not same_shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
            f"'{list(self.shape)}'. Please ensure that the gradient and the tensor are the same "
            "size"
        )
    if mode.intercept and device_of(value) is not device_of(self):
        raise RuntimeError(
            f"assigned grad has data located on a different device: {device_of(value)}, the tensor "
            f"is on {device_of(self)}"
        )
    self._grad = value


def _drop_grad(self):
    _set_grad(self, None)


@_property("grad", _set_grad, _drop_grad)
def grad_of(self):
    """The gradient that ``backward`` accumulated; None before the first backward.

    >>> import rushlight as torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (x * x).backward()
    >>> x.grad
    tensor(6.)
    """
    if mode.intercept and (recording := mode.recorder()):
        recording.touch_grad(self)
    computed = self.node is not None and type(self.node) is not Leaf
    if self._grad is None and computed and not self.retains_grad:
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
            ".grad attribute won't be populated during autograd.backward(). Use "
            ".retain_grad() on it first if you want its gradient.",
            stacklevel=2,
        )
    return self._grad


def _grad_dtype(x):
    """What ``grad_dtype`` of ``x`` was set to, else the dtype of ``x``."""
    node = x.node if type(x.node) is Leaf else getattr(x, "_leaf", None)
    return getattr(node, "grad_dtype", x.dtype)


def _set_grad_dtype(self, value):
    if value is not None and not isinstance(value, dtype):
        raise RuntimeError(
            f"grad_dtype must be a torch.dtype or None, but got {type(value).__name__}"
        )
    if not is_leaf(self):
        raise RuntimeError("grad_dtype can only be set on leaf tensors.")
    mode.refuse_in_trace("grad_dtype changes what gradients a tensor gets")
    if value is _grad_dtype(self):
        return
    if value is not None and self._grad is not None and self._grad.dtype is not value:
        raise RuntimeError(
            f"Cannot set grad_dtype to {value} because there is already a gradient with dtype "
            f"{self._grad.dtype}. Please clear the gradient (.grad = None) before changing "
            "grad_dtype, or ensure the new grad_dtype matches the existing gradient's dtype."
        )
    # The leaf is kept for the time when the tensor requires grad.
    self._leaf = _leaf_again(self) if self.node is None else self.node
    self._leaf.set_grad_dtype(value)
    RemovableHandle.changes += 1  # compiled programs then look at hooks and dtypes again


@_property("grad_dtype", _set_grad_dtype)
def grad_dtype(self):
    """The dtype of this leaf's gradients: by default the dtype of the leaf.

    The engine converts the gradients that arrive at the leaf to this dtype. None leaves each
    gradient in the dtype in which it arrives.

    Raises:
        RuntimeError: The tensor is no leaf; the new value is neither a dtype nor None; or ``grad``
            exists already and has another dtype.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> x.grad_dtype
    torch.float32
    >>> x.grad_dtype = torch.float64
    >>> (x * 2).sum().backward()
    >>> x.grad
    tensor([2., 2.], dtype=torch.float64)
    """
    if not is_leaf(self):
        raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
    return _grad_dtype(self)


def _set_data(self, value):
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if self.node is not None and value.dtype.category < 2:
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point or complex dtype"
        )
    if mode.intercept and (recording := mode.recorder()):
        recording.replace(self, value)
        return
    if mode.intercept and is_meta(self) is not is_meta(value):
        raise RuntimeError(
            "Attempted to call `variable.set_data(tensor)`, but `variable` and `tensor` have "
            f"incompatible tensor type: the devices are {self.device} and {value.device}"
        )
    refresh(value)
    if value._array is not self._array:  # other memory needs a clock of its own
        self.cell = [*self.cell]
    self._array, self.turned = value._array, True
    self.view_of = None
    if has_handler(type(self)):
        cover(self)
    if self.node is not None:
        self.node.fit(value._array)


@_property("data", _set_data)
def data(self):
    """The same memory without history.

    Backward does not notice writes to the result, even if it needs the old values.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> x.data.requires_grad
    False
    >>> x.data.zero_()
    tensor([0., 0.])
    >>> x
    tensor([0., 0.], requires_grad=True)
    """
    if mode.intercept and type(self) is not Tensor:
        found = late.overridden(vars(Tensor)["data"].__get__, (self,), {})
        if found is not NotImplemented:
            return found
        if takes_handler(self):
            return late.handlers().detached(self)
    if self.view_of is not None and self.view_of.lazy:
        return detached(self)
    t = from_array(self._array)
    t.__class__ = Tensor
    if mode.intercept and (recording := mode.recorder()):
        recording.note_alias(t, self)
    return t


@_property("_version")
def version(self):
    """The number of in-place writes to the memory."""
    if len(self.cell) > 2:
        raise RuntimeError("Inference tensors do not track version counter.")
    return self.cell[1]


@_property("_base")
def base(self):
    """The tensor of which this tensor is a view; None if it is no view."""
    return None if self.view_of is None else self.view_of.root


@method
def _is_view(self):
    return self.view_of is not None


@method
def is_inference(self):
    """Tell whether the tensor was made in inference mode.

    Returns:
        True if it was; such a tensor never takes part in gradients.

    >>> import rushlight as torch
    >>> with torch.inference_mode():
    ...     x = torch.ones(2)
    >>> x.is_inference()
    True
    """
    return len(self.cell) > 2


@short
@method
def detach(self):
    """Return the same memory as a tensor without history.

    Returns:
        Tensor of this tensor's shape, which does not require grad.

    >>> import rushlight as torch
    >>> torch.ones(2, requires_grad=True).detach().requires_grad
    False
    """
    if mode.intercept and type(self) is not Tensor:  # a subclass may call this by ``super()``
        found = late.overridden(detach, (self,), {})
        if found is not NotImplemented:
            return found
        if takes_handler(self):
            return late.handlers().detached(self)
    refresh(self)
    return detached(self)


@method
def as_subclass(self, cls):
    """Return the same memory and history as an object of the class ``cls``.

    Args:
        cls: A subclass of ``Tensor``.

    Returns:
        Tensor of this tensor's shape, an object of ``cls``.

    Raises:
        TypeError: ``cls`` is no subclass of ``Tensor``.

    >>> import rushlight as torch
    >>> class Named(torch.Tensor):
    ...     pass
    >>> type(torch.ones(2).as_subclass(Named) + 1).__name__
    'Named'
    """
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"cls must be a type (subclass of Tensor), not {cls!r}")
    if is_handled(self) and not issubclass(type(self), cls):
        refuse_class(self, cls)
    with mode.unasked():
        return as_class(self[...], cls)


# A class that takes functions over does not name the result's class.
vars(as_subclass)["asks"] = False


@method
def detach_(self):
    """Forget the history in place.

    Raises:
        RuntimeError: The tensor is a view.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True) * 2
    >>> x.detach_()
    tensor([2., 2.])
    """
    if self.view_of is not None:
        raise RuntimeError("Can't detach views in-place; use detach() instead")
    _note_history(self)
    _keep_leaf(self)
    self.node = None
    return self


@method
def retain_grad(self):
    """Have ``backward`` keep this non-leaf tensor's gradient in ``grad``.

    Raises:
        RuntimeError: The tensor does not require grad.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> y = x * 2
    >>> y.retain_grad()
    >>> y.sum().backward()
    >>> y.grad
    tensor([1., 1.])
    """
    refresh(self)
    if self.node is None:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if type(self.node) is not Leaf and not self.retains_grad:
        add_hook(self.node, "retain", Retained(self))


@_property("retains_grad")
def retains_grad(self):
    """True if ``backward`` keeps this non-leaf tensor's gradient."""
    return bool(retained(self, self.node))


@method
def register_hook(self, hook):
    """Run ``hook(grad)`` each time this tensor's gradient is computed.

    Args:
        hook: Takes the gradient, a tensor of this tensor's shape. Returns None, or another gradient
            of this shape to go on with.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    Raises:
        RuntimeError: The tensor does not require grad.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> handle = x.register_hook(lambda grad: 2 * grad)
    >>> x.sum().backward()
    >>> x.grad
    tensor([2., 2.])
    >>> handle.remove()
    """
    refresh(self)
    if self.node is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    return add_hook(self.node, "tensor", hook)


@_property("_backward_hooks")
def _backward_hooks(self):
    """The hooks of ``register_hook`` by the ids of their handles; None without any."""
    hooks = {} if self.node is None else self.node.hooks or {}
    return {key: hook for key, (kind, hook) in hooks.items() if kind == "tensor"} or None


@method
def register_post_accumulate_grad_hook(self, hook):
    """Run ``hook(tensor)`` each time after a gradient was added to ``grad`` of this leaf.

    Args:
        hook: Takes this tensor, and returns None. ``backward`` raises a RuntimeError otherwise.

    Returns:
        ``RemovableHandle`` whose ``remove()`` takes the hook away.

    Raises:
        RuntimeError: The tensor does not require grad, or is no leaf.

    >>> import rushlight as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda t: print(t.grad))
    >>> (3 * x).sum().backward()
    tensor([3., 3.])
    """
    if self.node is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if type(self.node) is not Leaf:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    self.node.ref = partial(_itself, self)  # the node now keeps the tensor alive for the hook
    return add_hook(self.node, "accumulated", hook)


def _itself(x):
    return x
