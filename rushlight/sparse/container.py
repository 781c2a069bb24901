"""SparseTensor: the indices and the values of those elements of a tensor that may differ from 0.

A SparseTensor is a Tensor without an array. The values are a tensor of their own, and this tensor
holds the history: an operation on a SparseTensor is a composition of operations on its values, so
gradients, also of higher order, need no rules of their own.

Dense calls pay nothing for sparse operands. The fast path of every operation reads ``x.array``. A
SparseTensor raises AttributeError there, and the full path then asks the operand's class
(``__torch_function__``), as it does for any class that is no plain tensor. The class looks up the
rule of the function by name. A function without a rule raises LayoutError: no result is ever
computed from something else than the tensor's elements.
"""

import weakref
from functools import partial, wraps
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf
from rushlight.errors import GraphError, LayoutError
from rushlight.ops.core.definition import OPS
from rushlight.ops.tensor.memory_format import layout as layout_type
from rushlight.ops.tensor.memory_format import (
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
)
from rushlight.shapes import flag
from rushlight.tensor import Size, Tensor, from_array

__all__ = [
    "BLOCKED", "BY_ROW", "SparseTensor", "compressed", "coo", "in_words", "operand",
    "order_of", "refuse", "rule",
]  # fmt: skip

#: The layouts that compress the rows. The others but ``sparse_coo`` compress the columns.
BY_ROW = (sparse_csr, sparse_bsr)
#: The layouts whose values are blocks.
BLOCKED = (sparse_bsr, sparse_bsc)
#: Name of a function → its rule for sparse operands, a function of the same arguments.
RULES: dict = {}
_WORDS = {sparse_coo: "Sparse", sparse_csr: "SparseCsr", sparse_csc: "SparseCsc",
          sparse_bsr: "SparseBsr", sparse_bsc: "SparseBsc"}  # fmt: skip
_new = object.__new__


def in_words(layout):
    """Return what PyTorch's messages call a layout."""
    return _WORDS.get(layout, "Strided")


def refuse(name, x):
    """Raise the LayoutError of a function that has no rule for the layout of ``x``."""
    raise LayoutError(
        f"Could not run '{name}' with arguments from the '{in_words(x.layout)}CPU' backend: there "
        f"is no rule for tensors of layout {x.layout}; convert with .to_dense() first"
    )


def _refuse_trace(name):
    if mode.intercept:
        mode.refuse_in_trace(f"{name} has a sparse operand or result, whose size depends on values")


def rule(function=None, *, name=None, method=True):
    """State the rule of the function ``name`` for sparse operands. Default: its own name.

    A rule has the public function's arguments. With ``method`` it is also SparseTensor's method,
    if Tensor has a method of that name.
    """
    if function is None:
        return lambda f: rule(f, name=name, method=method)
    key = name or function.__name__

    @wraps(function)
    def call(*args, **named):
        _refuse_trace(key)
        if named.pop("out", None) is not None:
            raise LayoutError(f"{key}: out= is not there for sparse operands; copy the result")
        try:
            return function(*args, **named)
        except AttributeError as error:
            if isinstance(error, LayoutError):
                raise
            raise TypeError(f"{key}(): {error}") from error  # an argument of the wrong type

    RULES[key] = call
    if method and hasattr(Tensor, key):
        setattr(SparseTensor, key, call)
        if hasattr(Tensor, key + "_"):
            setattr(SparseTensor, key + "_", _in_place(key + "_", call))
    return call


def coo(indices, values, size, merged=False):
    """Return a COO tensor of int64 ``indices`` (sparse dims, nnz) and ``values`` (nnz, *dense).

    ``merged``: the indices are sorted, and none occurs twice.
    """
    return _made(sparse_coo, (indices,), values, size, merged or values.shape[0] < 2)


def compressed(layout, pattern, values, size):
    """Return a tensor of a compressed layout; ``pattern``: (compressed indices, plain indices)."""
    return _made(layout, pattern, values, size, True)


def _made(layout, pattern, values, size, merged):
    self = _new(SparseTensor)
    self.form, self.pattern, self.merged = layout, pattern, merged
    self.sizes = tuple(size)
    self.stored = values
    self._grad = self.view_of = self._cell = None
    return self


def operand(x):
    """``x``; a raw array of a gradient rule becomes a tensor."""
    return from_array(x) if isinstance(x, np.ndarray) and mode.state.in_rule else x


class SparseTensor(Tensor, intercepts=False):
    """A tensor of a sparse layout. ``torch.sparse_coo_tensor`` and others make such tensors.

    >>> import rushlight as torch
    >>> x = torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
    >>> isinstance(x, torch.Tensor), x.layout
    (True, torch.sparse_coo)
    """

    # form     the layout
    # pattern  the indices: (indices,) of a COO tensor, else (compressed indices, plain indices)
    # stored   the values, a tensor whose history is this tensor's history
    # sizes    the shape
    # merged   False if a COO tensor may hold an index twice, or not in order
    __slots__ = ("form", "merged", "pattern", "sizes", "stored")  # ``__dict__`` is the user's
    if TYPE_CHECKING:
        form: Any
        pattern: tuple
        stored: Any
        sizes: tuple
        merged: bool

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Run the rule of ``func``; without a rule, raise LayoutError."""
        if not all(issubclass(t, Tensor) for t in types):
            return NotImplemented
        name, kwargs = func.__name__, kwargs or {}
        _refuse_trace(name)
        found = RULES.get(name)
        if found is not None:
            return found(*args, **kwargs)
        op = getattr(func, "op", None) or OPS.get(name)
        first = args[0] if args else None
        if name.endswith("_") and not isinstance(first, cls) and name[:-1] in RULES:
            found = RULES[name[:-1]](*args, **kwargs)
            return args[0].copy_(found.to_dense())
        if op is not None and op.kind == "elementwise" and isinstance(first, cls):
            return _of_values(func, op, first, args[1:], kwargs)
        if getattr(func, "asks_parts", False):  # its parts have rules, or are refused
            return func.__wrapped__(*args, **kwargs)
        found = first if isinstance(first, cls) else _first_sparse((*args, *kwargs.values()))
        refuse(name, found)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            f"can't convert {in_words(self.form)} layout tensor to numpy. Use Tensor.to_dense() "
            "first."
        )

    @staticmethod
    def _make_subclass(cls, data, require_grad=False):
        return data.detach().requires_grad_(require_grad)

    # What a tensor tells about itself -----------------------------------------------------

    @property
    def array(self):
        raise LayoutError(
            f"there is no rule for tensors of layout {self.form} here; convert with .to_dense() "
            "first"
        )

    layout = property(lambda self: self.form)
    is_sparse = property(lambda self: self.form is sparse_coo)
    is_sparse_csr = property(lambda self: self.form is sparse_csr)
    ndim = property(lambda self: len(self.sizes))
    dtype = property(lambda self: self.stored.dtype)
    device = property(lambda self: self.stored.device)
    itemsize = property(lambda self: self.stored.itemsize)
    node = property(lambda self: self.stored.node)
    cell = property(lambda self: self.stored.cell)
    turned = True  # the fast paths then look at ``array``
    is_leaf = property(lambda self: self.stored.is_leaf)
    names = property(lambda self: (None,) * len(self.sizes))

    @property
    def nbytes(self):
        raise RuntimeError(
            "nbytes is not defined for sparse tensors.  If you want the size of the constituent "
            "tensors, add the nbytes of the indices and values.  If you want the size of the  "
            "equivalent dense tensor, multiply numel() by element_size()"
        )

    @property
    def shape(self):
        _refuse_trace("shape")
        return Size(self.sizes)

    # History ------------------------------------------------------------------------------

    def _set_requires_grad(self, value):
        if value and type(self.stored.node) is not Leaf:
            if self.stored.node is not None:
                raise RuntimeError("you can only change requires_grad flags of leaf variables.")
            self.stored = self.stored.detach()  # the user may hold the values as a tensor
            self.stored.requires_grad = True
            reference = weakref.ref(self)
            self.stored.node.ref = partial(_accumulator, reference)
        elif not value:
            self.stored.requires_grad = False

    requires_grad = property(lambda self: self.stored.requires_grad, _set_requires_grad)

    def requires_grad_(self, requires_grad=True):
        self.requires_grad = flag(requires_grad, "requires_grad_", "requires_grad")
        return self

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        if gradient is None:
            raise GraphError(
                "backward: grad can be implicitly created only for scalar outputs, not for shape "
                f"{self.sizes}; pass gradient="
            )
        values = gradient.sparse_mask(self).stored
        self.stored.backward(values, retain_graph, create_graph, inputs)

    def gradient_of_values(self, g):
        """The gradient of this tensor, if ``g`` is that of its values."""
        if self.form is not sparse_coo or self.merged:
            return self.with_values(g)
        # Elements of one index count together, so each of their gradients is that of the sum.
        order, first = order_of(self.pattern[0].array)
        keep = from_array(order[first])
        return coo(self.pattern[0].index_select(1, keep), g.index_select(0, keep), self.sizes, True)

    def register_hook(self, hook):
        _refuse_trace("register_hook")

        def on_values(g):
            found = hook(self.gradient_of_values(g))
            return None if found is None else found.sparse_mask(self).stored

        return self.stored.register_hook(on_values)

    def _set_data(self, value):
        if not isinstance(value, SparseTensor):
            raise RuntimeError("data: a sparse tensor cannot become a dense one")
        with mode.no_grad():
            self.become(value.detach())

    data = property(lambda self: self.detach(), _set_data)

    def detach(self):
        return self.with_values(self.stored.detach())

    def detach_(self):
        self.stored = self.stored.detach()
        return self

    # Elements -----------------------------------------------------------------------------

    def with_values(self, values):
        """This pattern with other values."""
        _refuse_trace("a sparse tensor")
        return _made(self.form, self.pattern, values, self.sizes, self.merged)

    def become(self, other):
        """Become ``other``. The memory stays if the patterns have one size."""
        leaf = type(self.stored.node) is Leaf
        if leaf and mode.records():
            raise GraphError(
                "a leaf Variable that requires grad is being used in an in-place operation; wrap "
                "it in torch.no_grad(), or use the out-of-place form"
            )
        before, after = self.stored, other.stored
        same = before.shape == after.shape and before.dtype is after.dtype
        if same and (leaf or before.node is None is after.node):
            before.copy_(after)
        elif leaf:
            self.stored = after.detach()
            self.requires_grad = True
        else:
            self.stored = after
        self.form, self.pattern, self.merged = other.form, other.pattern, other.merged
        self.sizes = other.sizes
        return self

    def __repr__(self, *, tensor_contents=None):
        from rushlight.sparse.printing import text

        return text(self)

    def __len__(self):
        if not self.sizes:
            raise TypeError("len() of a 0-d tensor")
        return self.sizes[0]

    def __iter__(self):
        return iter([self.select(0, i) for i in range(len(self))])

    __hash__ = Tensor.__hash__


def order_of(indices):
    """Return the order that sorts the array (dims, nnz), and True where a column is a new one."""
    n = indices.shape[1]
    first = np.ones(n, bool)
    if not n or not len(indices):
        first[1:] = False
        return np.arange(n), first
    bounds = [int(row.max()) + 1 for row in indices]
    if prod(bounds) * n < 2**63:
        # One number for each column, its place in the last digits: these are sorted ten times as
        # fast as by a stable sort.
        keys = np.ravel_multi_index(tuple(indices), bounds) * n + np.arange(n)
        keys.sort()
        keys, order = np.divmod(keys, n)
        first[1:] = keys[1:] != keys[:-1]
        return order, first
    order = np.lexsort(indices[::-1])
    first[1:] = (indices[:, order[1:]] != indices[:, order[:-1]]).any(0)
    return order, first


def _first_sparse(values):
    """The first SparseTensor among the arguments, also inside lists."""
    for x in values:
        for item in x if isinstance(x, (list, tuple)) else (x,):
            if isinstance(item, SparseTensor):
                return item
    return None


class _Accumulator:
    """Stands for a sparse leaf where the engine adds the gradient of its values."""

    __slots__ = ("leaf",)

    def __init__(self, leaf):
        self.leaf = leaf

    array = property(lambda self: self.leaf.stored.array)
    node = property(lambda self: self.leaf.stored.node)

    def _add(self, g):
        g = self.leaf.gradient_of_values(g)
        before = self.leaf._grad
        self.leaf._grad = g if before is None else before + g

    _grad = property(lambda self: None, _add)


def _accumulator(reference):
    leaf = reference()
    return None if leaf is None else _Accumulator(leaf)


# Functions of single elements -------------------------------------------------------------


def _of_values(func, op, x, others, params):
    """Apply an elementwise function to the values, if it gives 0 for the elements of 0."""
    if any(isinstance(y, Tensor) for y in (*others, *params.values())):
        refuse(op.name, x)
    with mode.no_grad():
        found = func(x.stored.new_zeros(1), *others, **params)
    if found.array[0] != 0:  # also nan
        refuse(op.name, x)
    x = x.coalesce() if x.form is sparse_coo else x
    return x.with_values(func(x.stored, *others, **params))


def _in_place(name, call):
    """The method ``name``, which replaces a tensor by the result of ``call``."""

    def written(self, *args, **named):
        found = call(self, *args, **named)
        if not isinstance(found, SparseTensor):
            refuse(name, self)
        if found.sizes != self.sizes:
            raise RuntimeError(
                f"{name}: output with shape {list(self.sizes)} doesn't match the shape "
                f"{list(found.sizes)} of the result"
            )
        if found.dtype is not self.dtype:
            if found.dtype.category > self.dtype.category:
                raise RuntimeError(
                    f"{name}: result type {found.dtype.name} can't be cast to the desired output "
                    f"type {self.dtype.name}"
                )
            found = found.with_values(found.stored.to(self.dtype))
        return self.become(found)

    written.__name__ = name
    return written


def bind_in_place():
    """Give the class the in-place methods of elementwise operations, which apply to the values."""
    for name, op in OPS.items():
        if op.kind == "elementwise" and name not in RULES and hasattr(Tensor, name + "_"):
            call = getattr(Tensor, name, op.call)
            setattr(SparseTensor, name + "_", _in_place(name + "_", call))


def is_layout(x):
    """Tell whether ``x`` is a layout."""
    return isinstance(x, layout_type)
