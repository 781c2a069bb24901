"""Custom operations: ``torch.autograd.Function``, whose forward and backward the user writes."""

import warnings
import weakref
from functools import wraps
from typing import Any

import numpy as np

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.function_arguments import bound, leaves_out
from rushlight.autograd.kept import kept
from rushlight.autograd.tape import Node, derive, output, refresh, set_history, tick
from rushlight.autograd.write import check_write, detached, stamp
from rushlight.dtype import COMPLEX_KINDS, OF
from rushlight.errors import GraphError
from rushlight.tensor import Tensor, ViewOf, from_array

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "once_differentiable"]

_new = object.__new__


class FunctionCtx(Node):
    """The ``ctx`` of a custom operation: it keeps what forward saves for backward.

    It is also the operation's node on the tape. The example of ``Function`` shows its use.
    """

    __slots__ = ("__dict__",)
    is_plain = False
    function: Any
    to_save: tuple
    dirty: Any  # a tuple of tensors
    non_differentiable: tuple
    materialize_grads: bool
    needs_input_grad: tuple[bool, ...]
    output_nodes: list
    output_types: list  # (shape, dtype) of each output; None for one that is no tensor
    arity: int  # how many arguments forward had
    positions: list[int]  # the indices of the tensors among these arguments
    input_types: list  # (shape, dtype) of each of these tensors
    aliases: list  # (output's index, argument's index, written in place?) of those in one memory

    def save_for_backward(self, *tensors):
        """Keep tensors for ``saved_tensors`` in backward.

        Args:
            *tensors: Tensors of any shapes, or None.

        Raises:
            TypeError: An argument is neither a tensor nor None.
        """
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    "save_for_backward can only save variables, but argument is of type "
                    f"{type(t).__name__}"
                )
        self.to_save = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *tensors):
        """State which inputs the forward wrote in place.

        Args:
            *tensors: Inputs of forward.
        """
        self.dirty = tensors

    def mark_non_differentiable(self, *tensors):
        """State which outputs have no gradient.

        Args:
            *tensors: Results of forward.
        """
        self.non_differentiable = tensors

    def set_materialize_grads(self, value):
        """Choose what backward gets for outputs without a gradient.

        Args:
            value: True: zeros (as without this call). False: None.
        """
        self.materialize_grads = value

    @property
    def saved_tensors(self):
        """The tensors given to ``save_for_backward``.

        Raises:
            RuntimeError: the tensors were freed, or written after they were saved.
        """
        if self.saved is None:
            Node.check(self)
        return tuple([None if s is None else s.tensor(self) for s in self.saved])

    saved_variables = saved_tensors

    def name(self):
        return self.function.__name__ + "Backward"

    def __call__(self, *grads):
        raise TypeError(f"'{self.name()}' object is not callable")

    def apply(self, *grads):
        """Return what ``backward`` computes from the gradients of the outputs."""
        found = Node.__call__(self, *grads)
        if self.arity == len(self.parents):
            return found
        grads_of = dict(zip(self.positions, found if type(found) is tuple else (found,)))  # noqa: B905
        return tuple([grads_of.get(i) for i in range(self.arity)])

    def check(self, symbolic=True):
        pass  # a backward that reads no saved tensors may run again; ``saved_tensors`` checks

    def free(self):
        if self.saved:
            self.saved = None

    def backward(self, g, symbolic, leads=None):
        self.check()
        grads = g if type(g) is list else [g]
        grads = [self._given(i, gi) for i, gi in enumerate(grads)]
        if mode.state.forward and self.function.jvp is not Function.jvp:
            pushed = _Pushed.apply(self, *grads)
            return [g if p is not None else None for g, p in zip(pushed, self.parents, strict=True)]
        found = self.function.backward(self, *grads)
        found = found if isinstance(found, (tuple, list)) else (found,)
        if len(found) > self.arity and all(f is None for f in found[self.arity :]):
            found = found[: self.arity]
        if len(found) != self.arity:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients "
                f"(expected {self.arity}, got {len(found)})"
            )
        odd = [i for i, f in enumerate(found) if f is not None and i not in self.positions]
        if odd:
            raise RuntimeError(
                f"function {self.name()} returned a gradient different than None at position "
                f"{odd[0] + 1}, but the corresponding forward input was not a Variable"
            )
        out = []
        for position, parent in zip(self.positions, self.parents, strict=True):
            gi = found[position]
            if gi is not None and not isinstance(gi, Tensor):
                raise TypeError(
                    f"expected Variable or None (got {type(gi).__name__}) as gradient {position} "
                    f"of {self.name()}"
                )
            if gi is not None and parent is not None:
                self._check_shape(position, gi, parent)
                self._check_complex(position, gi)
            if gi is not None and not symbolic and isinstance(gi._array, np.ndarray):
                refresh(gi)
                gi = gi._array.copy()  # the user may still hold the returned tensor
            out.append(gi)
        return out

    def _given(self, i, g):
        if g is None:
            shaped = self.output_types[i]
            wanted = self.materialize_grads and shaped is not None
            return from_array(np.zeros(*shaped)) if wanted else None
        return from_array(g) if isinstance(g, np.ndarray) else g

    def _check_shape(self, position, g, parent):
        try:
            fits = np.broadcast_shapes(g._array.shape, parent.shape) == g._array.shape
        except ValueError:
            fits = False
        if not fits:
            raise RuntimeError(
                f"Function {self.name()} returned an invalid gradient at index {position} - got "
                f"{list(g._array.shape)} but expected shape compatible with {list(parent.shape)}"
            )

    def _check_complex(self, position, g):
        kind = self.input_types[self.positions.index(position)][1].kind
        if g.dtype.is_complex and kind not in COMPLEX_KINDS:
            raise RuntimeError(
                f"Function {self.name()} returned a complex gradient at index {position} for a "
                "real input: expected isFloatingType(grad.scalar_type()) || (input_is_complex == "
                "grad_is_complex) to be true, but got false"
            )


def _ambiguous(ctx, *grads):
    raise RuntimeError(
        f"{ctx.name()}: Implementing both 'backward' and 'vjp' for a custom Function is not "
        "allowed. You should only implement one of them."
    )


class _FunctionMeta(type):
    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        if bases and "vjp" in namespace:
            both = "backward" in namespace
            cls.backward = staticmethod(_ambiguous) if both else namespace["vjp"]
        cls._ctx_class = type(name + "Backward", (FunctionCtx,), {"function": cls, "__slots__": ()})


class Function(metaclass=_FunctionMeta):
    """The base class of custom operations, which define ``forward`` and ``backward``.

    All methods are static. A subclass defines ``forward(ctx, *args)``, or ``forward(*args)`` and
    ``setup_context(ctx, inputs, output)``. ``backward(ctx, *grads)`` returns one gradient (or None)
    for each argument of forward. For forward mode, ``jvp(ctx, *tangents)`` returns one tangent for
    each output; without it, forward mode differentiates ``backward``. ``vjp`` is another name of
    ``backward``.

    >>> import rushlight as torch
    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x ** 3
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x ** 2
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    _ctx_class: Any

    def __init__(self, *args, **kwargs):
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            f"static, so you should invoke them on the class itself: {type(self).__name__}.apply",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args, **kwargs):
        """Raise RuntimeError: a function is called by ``apply``."""
        name = type(self).__name__
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            f"new-style autograd function with static forward method: {name}.apply(...)"
        )

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the outputs; the subclass defines this method.

        Args:
            *args: The arguments of ``apply``, after ``ctx`` if there is no ``setup_context``.

        Returns:
            A tensor, or a tuple of tensors and other objects.
        """
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Save for backward what it needs, if ``forward`` does not take ``ctx``.

        Args:
            ctx: The ``FunctionCtx`` of this call.
            inputs: The arguments of ``forward``, a tuple.
            output: What ``forward`` returned.
        """
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Compute the gradient of each argument of forward; the subclass defines this method.

        Args:
            ctx: The ``FunctionCtx`` of the call.
            *grad_outputs: The gradient of each output, of its shape.

        Returns:
            For each argument of forward a gradient or None: a tuple if there are several.
        """
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx, *grad_inputs):
        """Compute the tangent of each output of forward; the subclass may define this method.

        Args:
            ctx: The ``FunctionCtx`` of the call.
            *grad_inputs: The tangent of each argument of forward; None for what is no tensor.

        Returns:
            For each output of forward a tangent or None: a tuple if there are several.
        """
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @classmethod
    def apply(cls, *args, **named):
        """Run ``forward``, and record the call so that ``backward`` gives its gradient.

        Args:
            *args: The arguments of ``forward`` without ``ctx``.
            **named: Arguments of ``forward`` by name, if none before them is left out.

        Returns:
            What ``forward`` returns.

        >>> import rushlight as torch
        >>> class Twice(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return 2 * x
        >>> Twice.apply(torch.ones(2))
        tensor([2., 2.])
        """
        has_setup = cls.setup_context is not Function.setup_context
        if named or (has_setup and leaves_out(cls.forward, args)):
            args = bound(cls.forward, args, named, has_setup)
        active = mode.recorder() if mode.intercept else None
        if active is not None and active.batches:
            return active.function(cls, args)
        if active is not None:
            active.touch_function(cls)
        ctx: FunctionCtx = _new(cls._ctx_class)
        ctx.saved = ctx.cells = ()
        ctx.hooks = None
        ctx.to_save = ctx.dirty = ctx.non_differentiable = ()
        ctx.materialize_grads = True
        ctx.output_nodes = []
        tensors = [(i, a) for i, a in enumerate(args) if isinstance(a, Tensor)]
        for _, a in tensors:
            refresh(a)
        recording = mode.records() and any(a.node is not None for _, a in tensors)
        ctx.needs_input_grad = tuple([isinstance(a, Tensor) and a.requires_grad for a in args])
        versions = {id(a): a.cell[1] for _, a in tensors}
        with mode.no_grad():
            if has_setup:
                found = cls.forward(*args)
                cls.setup_context(ctx, args, found)
            else:
                found = cls.forward(ctx, *args)
        single = not isinstance(found, (tuple, list))
        outputs = [found] if single else list(found)
        given, outputs = outputs, [_own(o, args, ctx) for o in outputs]
        constants = {*map(id, ctx.non_differentiable)}
        pairs = zip(given, outputs, strict=True)
        ctx.non_differentiable = tuple([own for o, own in pairs if id(o) in constants])
        if recording:
            for d in ctx.dirty:
                check_write(d, cls.__name__)
        for d in ctx.dirty:
            if d.cell[1] == versions.get(id(d)):
                stamp(d)
        if recording:
            _attach(ctx, args, tensors, outputs)
        if single:
            return outputs[0]
        return outputs if type(found) is list else tuple(outputs)


def _own(o, args, ctx):
    """``o``, or a new tensor over its memory if forward returned an input unchanged.

    An input that forward wrote in place is returned as the same object.
    """
    if isinstance(o, Tensor) and any(o is a for a in args) and not any(o is d for d in ctx.dirty):
        # The operation keeps the class of a subclass, or gives the one that its hook chooses.
        return detached(o) if type(o) is Tensor else o.detach()
    return o


def _attach(ctx, args, tensors, outputs):
    """Make ``ctx`` the node of ``outputs``, of which some may be no tensors."""
    results = [o if isinstance(o, Tensor) else None for o in outputs]
    ctx.arity = len(args)
    ctx.positions = [i for i, _ in tensors]
    ctx.input_types = [
        (tuple(a.shape), a.dtype.numpy) if a.node is None else (a._array.shape, a._array.dtype)
        for _, a in tensors
    ]
    ctx.parents = tuple([a.node for _, a in tensors])
    ctx.output_types = [o if o is None else (o._array.shape, o._array.dtype) for o in results]
    ctx.clock = tick()
    ctx.shape, ctx.dtype = next(filter(None, ctx.output_types), ((), np.dtype("f4")))
    hooks = mode.state.packing
    for t in ctx.to_save:
        if t is not None and len(t.cell) > 2:
            raise RuntimeError(
                f"{ctx.name()}: Inference tensors cannot be saved for backward. Make a clone() "
                "outside inference_mode() to use it in autograd."
            )
    ctx.saved = tuple([None if t is None else kept(t, results, hooks) for t in ctx.to_save])
    ctx.to_save = ()
    ctx.aliases = [
        (i, k, any(o is d for d in ctx.dirty))
        for i, o in enumerate(results)
        for k, a in tensors
        if o is not None and o.cell is a.cell
    ]
    for i, o in enumerate(results):
        node = None
        if o is None:
            ctx.output_nodes.append(_weak(node))
            continue
        constant = any(o is n for n in ctx.non_differentiable)
        if OF[o._array.dtype].category > 1 and not constant:
            node = ctx if len(results) == 1 else output(ctx, i, len(results), o._array)
        if o.view_of is not None and any(o is d for d in ctx.dirty):
            written = detached(o)
            written.node = node
            late.record_patch(o.view_of.root, written, o.view_of.path)
            derive(o)
        else:
            set_history(o, node)
            own = node is None or any(o is d for d in ctx.dirty)
            o.view_of, o.turned = None if own else _sealed(o, args), True
        ctx.output_nodes.append(_weak(node))
    ctx.dirty = ctx.non_differentiable = ()


class _Seal:
    """A view step that stands for a custom Function: it cannot be repeated after a write."""

    name = "a custom Function"
    one_of_many = True  # a write through the view is refused

    @staticmethod
    def call(*args, **params):
        raise GraphError(
            "a view that a custom Function returned was used after its base was modified inplace: "
            "its gradient would no longer be the Function's. Return a clone() from the Function."
        )


_SEAL: tuple = ((_Seal, (), {}),)


def _sealed(o, args):
    """The ViewOf of an output that is a view, or that shares an input's memory; else None."""
    view = o.view_of
    if view is None:
        given = next((a for a in args if isinstance(a, Tensor) and a.cell is o.cell), None)
        if given is None:
            return None
        view, root = given.view_of, given
    root = root if view is None else view.root
    if root.node is None:  # the forward made the root itself, so it has no history
        root = detached(o)
        root.node = o.node
    return ViewOf(root, _SEAL, o.cell[0], False)


def _weak(node):
    """A function that gives ``node`` as long as it exists, without holding it."""
    return (lambda: None) if node is None else weakref.ref(node)


class _Pushed(Function):
    """The backward of a custom Function in the first pass of forward mode (``forward_ad.py``).

    The second pass takes the gradient of this backward with respect to ``grads``, which is the
    Function's ``jvp``. The results themselves are not used, so they are zeros.
    """

    @staticmethod
    def forward(ctx, node, *grads):
        ctx.node = node
        return tuple([from_array(np.zeros(*shaped)) for shaped in node.input_types])

    @staticmethod
    def backward(ctx, *tangents):
        node = ctx.node
        given: list = [None] * node.arity
        for position, tangent in zip(node.positions, tangents, strict=True):
            # A copy: the jvp of a Function that writes in place writes to its tangents, too.
            given[position] = None if tangent is None else tangent.clone()
        before = [None if g is None else g.cell[1] for g in given]
        found = node.function.jvp(node, *given)
        found = found if isinstance(found, tuple) else (found,)
        for i, position, written in node.aliases:
            if node.parents[node.positions.index(position)] is not None:
                _check_alias(found[i], given[position], before[position] if written else None)
        return (None, *found)


def _check_alias(found, given, before):
    """Refuse a tangent that does not do as the forward did, whose output is in an input's memory.

    ``before`` is the number of writes to the input's tangent ``given`` before the jvp if forward
    wrote the input in place. It is None if forward returned a view.
    """
    if given is None or found is None:
        return
    if before is None and (found is given or found.cell is not given.cell):
        raise RuntimeError(
            "the forward of a custom Function returned a view of an input, or an input as it is: "
            "its jvp must return a view of the tangent, such as g.view_as(g)"
        )
    if before is not None and (found is not given or given.cell[1] == before):
        raise RuntimeError(
            "An inplace custom Function is not modifying the forward mode gradients inplace. If "
            "the forward is modifying an input inplace, then the jvp function must modify the "
            "corresponding gradient inplace."
        )


class _Twice(Function):
    """An identity whose backward raises, because a second derivative was not provided for."""

    @staticmethod
    def forward(ctx, *grads):
        return tuple([None if g is None else g.detach() for g in grads])

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(fn):
    """Decorate a ``backward`` that is not recorded: a second derivative through it is an error.

    Args:
        fn: The static method ``backward(ctx, *grads)`` of a ``Function``.

    Returns:
        The decorated function.

    >>> import rushlight as torch
    >>> class Square(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     @torch.autograd.function.once_differentiable
    ...     def backward(ctx, g):
    ...         return 2 * g * ctx.saved_tensors[0]
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    @wraps(fn)
    def wrapped(ctx, *grads):
        with mode.no_grad():
            found = fn(ctx, *grads)
        if not mode.records():
            return found
        if not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return found
        single = not isinstance(found, tuple)
        results = (found,) if single else found
        seed = next(g for g in grads if isinstance(g, Tensor) and g.requires_grad)
        guarded = [f if f is None else _Twice.apply(f, seed)[0] for f in results]
        return guarded[0] if single else tuple(guarded)

    return wrapped


class InplaceFunction(Function):
    """An older base class of custom operations that write to their inputs; use ``Function``."""
