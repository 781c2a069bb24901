"""Tensors of sequences of different lengths: what the two layouts share.

A nested tensor is a Tensor without an array. Its values are an ordinary tensor, and this tensor
holds the history: an operation on a nested tensor is a composition of operations on the values, so
gradients, also of higher order, need no rules of their own.

Dense calls pay nothing for nested operands. The fast path of every operation reads ``x.array``. A
nested tensor raises AttributeError there, and the full path then asks the operand's class
(``__torch_function__``). The class looks up the rule of the function by name. Functions of single
elements need no rule, because they apply to the values. Any other function raises LayoutError.
"""

import weakref
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf
from rushlight.errors import GraphError, LayoutError
from rushlight.ops.core.definition import OPS
from rushlight.shapes import flag
from rushlight.tensor import Tensor

__all__ = ["Nested", "bind_in_place", "is_nested", "refuse", "refuse_trace", "rule"]

_REMEDY = "use its values(), unbind(), or to_padded_tensor(padding)"
_new = object.__new__


def is_nested(x):
    """Tell whether ``x`` is a nested tensor of either layout."""
    return isinstance(x, Nested)


def refuse(name, x):
    """Raise the LayoutError of a function that has no rule for nested tensors like ``x``."""
    raise LayoutError(
        f"Could not run '{name}' with arguments from the 'NestedTensorCPU' backend: there is no "
        f"rule for nested tensors of layout {x.layout}; {_REMEDY}"
    )


def refuse_trace(name):
    """Raise TraceError while a call is recorded: lengths are values, which a trace cannot hold."""
    if mode.intercept:
        mode.refuse_in_trace(f"{name} has a nested operand or result, whose size depends on values")


def rule(function=None, *, of, name=None):
    """State the rule of the function ``name`` for nested tensors of the class ``of``.

    A rule has the public function's arguments. It is also the method of the class, if Tensor has a
    method of that name. The default for ``name`` is the function's own name.
    """
    if function is None:
        return lambda f: rule(f, of=of, name=name)
    key = name or function.__name__

    @wraps(function)
    def call(*args, **named):
        refuse_trace(key)
        if named.pop("out", None) is not None:
            raise LayoutError(f"{key}: out= is not there for nested tensors; copy the result")
        return function(*args, **named)

    of.RULES[key] = call
    if hasattr(Tensor, key):
        setattr(of, key, call)
    return call


class Nested(Tensor, intercepts=False):
    """What the nested tensors of the two layouts have in common."""

    # stored   the values, a tensor whose history is this tensor's history
    __slots__ = ("stored",)  # ``__dict__`` then has what the user adds, which pickles save
    if TYPE_CHECKING:
        stored: Any
    RULES: dict = {}  # each layout has its own

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Run the rule of ``func``; without a rule, raise LayoutError."""
        if not all(issubclass(t, Tensor) for t in types):
            return NotImplemented
        name, kwargs = func.__name__, kwargs or {}
        refuse_trace(name)
        found = cls.RULES.get(name)
        if found is not None:
            return found(*args, **kwargs)
        first = cls.first((*args, *kwargs.values()))
        if _is_elementwise(func, name) and kwargs.get("out") is None:
            return first.elementwise(func, args, kwargs)
        if getattr(func, "asks_parts", False):  # its parts have rules, or are refused
            return func.__wrapped__(*args, **kwargs)
        refuse(name, first)

    @classmethod
    def first(cls, values):
        """The first nested tensor of this layout among the arguments, also inside lists."""
        for x in values:
            for item in x if isinstance(x, (list, tuple)) else (x,):
                if isinstance(item, cls):
                    return item
        return None

    def elementwise(self, func, args, kwargs):
        """Apply a function of single elements to the values."""
        raise NotImplementedError

    def with_values(self, values):
        """A nested tensor with these lengths and other values."""
        raise NotImplementedError

    def like(self, other):
        """The values of the nested tensor ``other`` in the order of this tensor's values."""
        raise NotImplementedError

    def __array__(self, dtype=None, copy=None):
        raise TypeError(f"can't convert a nested tensor to numpy; {_REMEDY}")

    @staticmethod
    def _make_subclass(cls, data, require_grad=False):
        return data.detach().requires_grad_(require_grad)

    # What a tensor tells about itself -----------------------------------------------------

    @property
    def array(self):
        raise LayoutError(
            f"there is no rule for nested tensors of layout {self.layout} here; {_REMEDY}"
        )

    is_nested = property(lambda self: True)
    dtype = property(lambda self: self.stored.dtype)
    device = property(lambda self: self.stored.device)
    is_meta = property(lambda self: self.stored.is_meta)
    is_cpu = property(lambda self: self.stored.is_cpu)
    itemsize = property(lambda self: self.stored.itemsize)
    node = property(lambda self: self.stored.node)
    cell = property(lambda self: self.stored.cell)
    turned = True  # the fast paths then look at ``array``
    is_leaf = property(lambda self: self.stored.is_leaf)
    names = property(lambda self: (None,) * self.ndim)
    view_of = _cell = None
    nbytes = property(lambda self: self.stored.nbytes)

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

    @property
    def grad(self):
        if self._grad is None and not self.is_leaf and self.stored.retains_grad:
            found = self.stored.grad
            return None if found is None else self.with_values(found)
        return Tensor.grad.fget(self)

    @grad.setter
    def grad(self, value):
        if value is not None and type(value) is not type(self):
            raise RuntimeError("the gradient of a nested tensor is a nested tensor of its layout")
        self._grad = None if value is None else self.with_values(self.like(value))

    @grad.deleter
    def grad(self):
        self._grad = None

    def retain_grad(self):
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if not self.is_leaf:
            self.stored.retain_grad()

    def as_values(self, gradient):
        """The tensor that holds the history, and its gradient, for ``gradient`` of this tensor."""
        if gradient is None:
            raise GraphError(
                "backward: grad can be implicitly created only for scalar outputs, not for a "
                "nested tensor; pass its gradient"
            )
        return self.stored, self.like(gradient)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        refuse_trace("backward")
        values, g = self.as_values(gradient)
        values.backward(g, retain_graph, create_graph, inputs)

    def gradient_of_values(self, g):
        """The gradient of this tensor, if ``g`` is that of its values."""
        return self.with_values(g)

    def register_hook(self, hook):
        refuse_trace("register_hook")

        def on_values(g):
            found = hook(self.with_values(g))
            return None if found is None else self.like(found)

        return self.stored.register_hook(on_values)

    def _set_data(self, value):
        if type(value) is not type(self):
            raise RuntimeError("data: a nested tensor cannot become a dense one")
        self.stored.data = self.like(value)

    data = property(lambda self: self.detach(), _set_data)

    def detach(self):
        return self.with_values(self.stored.detach())

    def detach_(self):
        self.stored = self.stored.detach()
        return self

    def to_padded_tensor(self, padding, output_size=None):
        """Return a dense tensor; see ``torch.nested.to_padded_tensor``."""
        return self.RULES["to_padded_tensor"](self, padding, output_size)

    def __len__(self):
        return self.size(0)

    def __iter__(self):
        return iter(self.unbind())

    def __contains__(self, element):
        return any(bool((part == element).any()) for part in self.unbind())

    def __bool__(self):
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")

    __hash__ = Tensor.__hash__


class _Accumulator:
    """Stands for a nested leaf where the engine adds the gradient of its values."""

    __slots__ = ("leaf",)

    def __init__(self, leaf):
        self.leaf = leaf

    array = property(lambda self: self.leaf.stored.array)
    node = property(lambda self: self.leaf.stored.node)

    def _add(self, g):
        before = self.leaf._grad
        g = self.leaf.with_values(g)
        self.leaf._grad = g if before is None else g.with_values(before.stored + g.stored)

    _grad = property(lambda self: None, _add)


def _accumulator(reference):
    leaf = reference()
    return None if leaf is None else _Accumulator(leaf)


# Functions of single elements -------------------------------------------------------------


def _is_elementwise(func, name):
    op = getattr(func, "op", None) or OPS.get(name)
    return op is not None and op.kind == "elementwise"


#: Methods that write new elements, whatever the old ones were.
_FILLED = ("zero_", "fill_", "normal_", "uniform_", "bernoulli_", "exponential_", "random_")


def _in_place(name):
    """The in-place method ``name``, which writes into the values."""
    call = getattr(Tensor, name)

    def written(self, *args, **named):
        refuse_trace(name)
        found = self.elementwise(call, (self, *args), named)
        return self if found.stored is self.stored else found

    written.__name__ = name
    return written


_OPERATORS = {
    "iadd": "add_", "isub": "sub_", "imul": "mul_", "itruediv": "div_", "imod": "remainder_",
    "ifloordiv": "floor_divide_", "ipow": "pow_", "iand": "bitwise_and_", "ior": "bitwise_or_",
    "ixor": "bitwise_xor_",
}  # fmt: skip


def bind_in_place(of):
    """Give the class ``of`` the in-place methods and operators of elementwise operations."""
    for name in dir(Tensor):
        plain = name[:-1]
        of_elements = hasattr(Tensor, plain) and _is_elementwise(getattr(Tensor, plain), plain)
        if name.endswith("_") and (of_elements or name in _FILLED):
            setattr(of, name, _in_place(name))
    for sign, name in _OPERATORS.items():
        setattr(of, f"__{sign}__", getattr(of, name))


def make(cls, values):
    """Return a tensor of the nested class ``cls`` with these values; the caller adds the rest."""
    refuse_trace("a nested tensor")
    self = _new(cls)
    self.stored = values
    self._grad = None
    return self
