"""Tensors made of other tensors: of values, and of indices or lengths that say where these lie.

A composite tensor is a Tensor without an array. Its values are an ordinary tensor, which holds the
history: an operation on a composite tensor is a composition of operations on the values, so
gradients, also of higher order, need no rules of their own.

Dense calls pay nothing for composite operands. The fast path of every operation reads ``x._array``.
A composite tensor raises AttributeError there, and the full path then asks the operand's class
(``__torch_function__``), as it does for any class that is no plain tensor. The class looks up the
rule of the function by name. A function without a rule raises LayoutError: no result is ever
computed from something else than the tensor's elements.
"""

import copy
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf
from rushlight.errors import GraphError, LayoutError
from rushlight.ops.core.definition import OPS
from rushlight.shapes import flag
from rushlight.tensor import Tensor

__all__ = ["Composite", "is_elementwise", "refuse_trace"]


def refuse_trace(what):
    """Raise TraceError while a call is recorded: indices and lengths are values."""
    if mode.intercept:
        mode.refuse_in_trace(f"{what}, whose size depends on values")


def is_elementwise(func, name):
    """Tell whether the public function ``func`` is an elementwise operation."""
    op = getattr(func, "op", None) or OPS.get(name)
    return op is not None and op.kind == "elementwise"


class Composite(Tensor, intercepts=False):
    """What sparse and nested tensors have in common.

    Attributes:
        stored: The values, a tensor whose history is this tensor's history.
        RULES: Name of a function → its rule, a function of the same arguments.
        noun: The name of such tensors in messages.
        remedy: The call that makes a dense tensor, for messages.
        asked_again: See ``handlers.overridden``.
    """

    __slots__ = ("stored",)  # ``__dict__`` then has what the user adds, which pickles save
    if TYPE_CHECKING:
        stored: Any
    RULES: dict[str, Any] = {}  # each class has its own
    noun = remedy = ""
    asked_again = True

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Run the rule of ``func``; without a rule, raise LayoutError."""
        if not all(issubclass(t, Tensor) for t in types):
            return NotImplemented
        name, kwargs = func.__name__, kwargs or {}
        cls.refuse_trace(name)
        found = cls.RULES.get(name)
        if found is not None:
            return found(*args, **kwargs)
        if name.startswith("_") or hasattr(func, "is_in_place"):
            return NotImplemented  # it goes on, and the function that it calls asks again
        first = cls.first((*args, *kwargs.values()))
        if is_elementwise(func, name) and kwargs.get("out") is None:
            return first.elementwise(func, args, kwargs)
        if getattr(func, "asks_parts", False):  # its parts have rules, or are refused
            return func.__wrapped__(*args, **kwargs)
        return first.refuse(name)

    @classmethod
    def refuse_trace(cls, name):
        """Raise TraceError while a call is recorded; ``name`` is that of the function."""
        refuse_trace(f"{name} has an operand or result among {cls.noun}")

    @classmethod
    def first(cls, values):
        """The first tensor of this class among the arguments, also inside lists."""
        for x in values:
            for item in x if isinstance(x, (list, tuple)) else (x,):
                if isinstance(item, cls):
                    return item
        return None

    def refuse(self, name):
        """Raise the LayoutError of the function ``name``, which has no rule for this layout."""
        raise LayoutError(
            f"Could not run '{name}' with arguments from the '{self.backend}' backend: there is no "
            f"rule for {self.noun} of layout {self.layout}; {self.remedy}"
        )

    # What a class defines -----------------------------------------------------------------

    @classmethod
    def write_out(cls, out, found, name):
        """Write the result ``found`` of the function ``name`` into ``out``: ``out=``."""
        raise LayoutError(f"{name}: out= is not there for {cls.noun}; copy the result")

    backend = property(lambda self: "CPU", doc="What PyTorch's messages call tensors of the kind.")

    def elementwise(self, func, args, kwargs):
        """Apply a function of single elements to the values."""
        raise NotImplementedError

    def with_values(self, values):
        """A tensor with these indices or lengths, and other values."""
        raise NotImplementedError

    def like(self, other):
        """The values of the tensor ``other`` in the order of this tensor's values."""
        raise NotImplementedError

    def copied(self, memo):
        """A deep copy without history."""
        raise NotImplementedError

    # What a tensor tells about itself -----------------------------------------------------

    @property
    def _array(self):
        raise LayoutError(
            f"there is no rule for {self.noun} of layout {self.layout} here; {self.remedy}"
        )

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            f"can't convert {self.noun} of layout {self.layout} to numpy; {self.remedy}"
        )

    def __format__(self, spec):
        # A number in a sparse tensor of no dims takes a format; all else is printed as it is.
        return object.__format__(self, spec) if self.ndim else format(self.item(), spec)

    @staticmethod
    def _make_subclass(cls, data, require_grad=False):
        return data.detach().requires_grad_(require_grad)

    dtype = property(lambda self: self.stored.dtype)
    device = property(lambda self: self.stored.device)
    is_meta = property(lambda self: self.stored.is_meta)
    is_cpu = property(lambda self: self.stored.is_cpu)
    itemsize = property(lambda self: self.stored.itemsize)
    node = property(lambda self: self.stored.node)
    cell = property(lambda self: self.stored.cell)
    turned = True  # the fast paths then look at ``array``
    view_of = _cell = None
    is_leaf = property(lambda self: self.stored.is_leaf)
    names = property(lambda self: (None,) * self.ndim)
    __hash__ = Tensor.__hash__

    # History ------------------------------------------------------------------------------

    def _set_requires_grad(self, value):
        if value and type(self.stored.node) is not Leaf:
            if self.stored.node is not None:
                raise RuntimeError("you can only change requires_grad flags of leaf variables.")
            self.stored = self.stored.detach()  # the user may hold the values as a tensor
            self.stored.requires_grad = True
            self.stored.node.ref = partial(_accumulator, weakref.ref(self))
        elif not value:
            self.stored.requires_grad = False

    requires_grad = property(lambda self: self.stored.requires_grad, _set_requires_grad)

    def requires_grad_(self, requires_grad=True):
        self.requires_grad = flag(requires_grad, "requires_grad_", "requires_grad")
        return self

    def as_values(self, gradient):
        """The tensor that holds the history, and its gradient, for ``gradient`` of this tensor."""
        if gradient is None:
            raise GraphError(
                "backward: grad can be implicitly created only for scalar outputs, not for "
                f"{self.noun}; pass gradient="
            )
        return self.stored, self.like(gradient)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        self.refuse_trace("backward")
        values, g = self.as_values(gradient)
        values.backward(g, retain_graph, create_graph, inputs)

    def gradient_of_values(self, g):
        """The gradient of this tensor, if ``g`` is that of its values."""
        return self.with_values(g)

    def register_hook(self, hook):
        self.refuse_trace("register_hook")

        def on_values(g):
            found = hook(self.gradient_of_values(g))
            return None if found is None else self.like(found)

        return self.stored.register_hook(on_values)

    def detach(self):
        return self.with_values(self.stored.detach())

    def detach_(self):
        self.stored = self.stored.detach()
        return self

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment: detach() the tensor, or deepcopy before computing with it."
            )
        found = self.copied(memo).requires_grad_(self.requires_grad)
        memo[id(self)] = found
        found._grad = copy.deepcopy(self._grad, memo)
        found.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return found


class _Accumulator:
    """Stands for a composite leaf where the engine adds the gradient of its values."""

    __slots__ = ("leaf",)
    turned = True  # as a tensor's: nothing is known of its memory

    def __init__(self, leaf):
        self.leaf = leaf

    _array = property(lambda self: self.leaf.stored._array)
    node = property(lambda self: self.leaf.stored.node)

    def _add(self, g):
        g = self.leaf.gradient_of_values(g)
        before = self.leaf._grad
        self.leaf._grad = g if before is None else before + g

    _grad = property(lambda self: None, _add)


def _accumulator(reference):
    leaf = reference()
    return None if leaf is None else _Accumulator(leaf)
