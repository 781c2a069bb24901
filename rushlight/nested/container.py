"""What the two layouts of nested tensors, sequences of different lengths, have in common."""

from functools import wraps

from rushlight.composite import Composite, is_elementwise
from rushlight.errors import LayoutError
from rushlight.tensor import Tensor

__all__ = ["Nested", "bind_in_place", "is_nested", "make", "refuse", "refuse_trace", "rule"]

_new = object.__new__


def is_nested(x):
    """Tell whether ``x`` is a nested tensor of either layout."""
    return isinstance(x, Nested)


def refuse(name, x):
    """Raise the LayoutError of a function that has no rule for nested tensors like ``x``."""
    x.refuse(name)


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


class Nested(Composite, intercepts=False):
    """What the nested tensors of the two layouts have in common.

    Functions of single elements need no rule, because they apply to the values.
    """

    __slots__ = ()
    noun, remedy = "nested tensors", "use its values(), unbind(), or to_padded_tensor(padding)"
    backend = property(lambda self: "NestedTensorCPU")
    is_nested = property(lambda self: True)
    nbytes = property(lambda self: self.stored.nbytes)

    # History ------------------------------------------------------------------------------

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

    def _set_data(self, value):
        if type(value) is not type(self):
            raise RuntimeError("data: a nested tensor cannot become a dense one")
        self.stored.data = self.like(value)

    data = property(lambda self: self.detach(), _set_data)

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


refuse_trace = Nested.refuse_trace


# Functions of single elements -------------------------------------------------------------


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
        of_elements = hasattr(Tensor, plain) and is_elementwise(getattr(Tensor, plain), plain)
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
