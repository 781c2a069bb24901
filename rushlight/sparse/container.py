"""SparseTensor: the indices and the values of those elements of a tensor that may differ from 0."""

from functools import wraps
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf
from rushlight.autograd.write import check_result
from rushlight.composite import Composite, is_elementwise
from rushlight.errors import GraphError, LayoutError
from rushlight.notices import warn_once
from rushlight.ops.tensor.memory_format import layout as layout_type
from rushlight.ops.tensor.memory_format import (
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
)
from rushlight.tensor import Size, Tensor, from_array

__all__ = [
    "BLOCKED", "BY_ROW", "SOURCES", "SparseTensor", "compressed", "coo", "in_words", "operand",
    "order_of", "refuse", "rule",
]  # fmt: skip

#: The layouts that compress the rows. The others but ``sparse_coo`` compress the columns.
BY_ROW = (sparse_csr, sparse_bsr)
#: The layouts whose values are blocks.
BLOCKED = (sparse_bsr, sparse_bsc)
#: Name of a function → its rule for sparse operands, a function of the same arguments.
RULES: dict = {}
#: Name of a function of no tensor → its rule for a sparse ``out``, which gets the same arguments.
SOURCES: dict = {}
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


def rule(function=None, *, name=None, method=True, replaces=False):
    """State the rule of the function ``name`` for sparse operands. Default: its own name.

    A rule has the public function's arguments. With ``method`` it is also SparseTensor's method,
    if Tensor has a method of that name. ``replaces``: the in-place method of a COO tensor gives the
    tensor other memory, as in PyTorch, so that what shared the memory stays as it was.
    """
    if function is None:
        return lambda f: rule(f, name=name, method=method, replaces=replaces)
    key = name or function.__name__

    @wraps(function)
    def call(*args, **named):
        SparseTensor.refuse_trace(key)
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
            setattr(SparseTensor, key + "_", _in_place(key + "_", call, replaces=replaces))
    return call


def coo(indices, values, size, merged=False):
    """Return a COO tensor of int64 ``indices`` (sparse dims, nnz) and ``values`` (nnz, *dense).

    ``merged``: the indices are sorted, and none occurs twice.
    """
    return _made(sparse_coo, (indices,), values, size, merged or values.shape[0] < 2)


def compressed(layout, pattern, values, size):
    """Return a tensor of a compressed layout; ``pattern``: (compressed indices, plain indices)."""
    warn_once(
        f"Sparse {_WORDS[layout][6:].upper()} tensor support is in beta state. If you miss a "
        "function for this layout, convert with .to_dense() or .to_sparse() first.",
        topic="compressed sparse layouts",
    )
    return _made(layout, pattern, values, size, True)


def _made(layout, pattern, values, size, merged):
    if type(values.node) is Leaf:  # what is made of a leaf is none
        values = values.view_as(values)
    self = _new(SparseTensor)
    self.form, self.pattern, self.merged = layout, pattern, merged
    self.sizes = tuple(size)
    self.stored = values
    self._grad = None
    return self


def operand(x):
    """``x``; a raw array of a gradient rule becomes a tensor."""
    return from_array(x) if isinstance(x, np.ndarray) and mode.state.in_rule else x


class SparseTensor(Composite, intercepts=False):
    """A tensor of a sparse layout. ``torch.sparse_coo_tensor`` and others make such tensors.

    >>> import rushlight as torch
    >>> x = torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
    >>> isinstance(x, torch.Tensor), x.layout
    (True, torch.sparse_coo)
    """

    # form     the layout
    # pattern  the indices: (indices,) of a COO tensor, else (compressed indices, plain indices)
    # sizes    the shape
    # merged   False if a COO tensor may hold an index twice, or not in order
    __slots__ = ("form", "merged", "pattern", "sizes")
    RULES = RULES
    noun, remedy = "sparse tensors", "convert with .to_dense() first"
    if TYPE_CHECKING:
        form: Any
        pattern: tuple
        sizes: tuple
        merged: bool

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = func.__name__
        dense: Any = args[0] if args else None
        if name.endswith("_") and not isinstance(dense, cls) and name[:-1] in RULES:
            found = RULES[name[:-1]](*args, **kwargs or {}).to_dense()
            check_result(dense, found, name)  # copy_ itself casts any dtype
            return dense.copy_(found)
        out = kwargs.get("out") if kwargs else None
        rest = {key: value for key, value in (kwargs or {}).items() if key != "out"}
        if out is None:
            return super().__torch_function__(func, types, args, rest)
        if cls.first((*args, *rest.values())) is None:
            return SOURCES[name](*args, **kwargs) if name in SOURCES else out.refuse(name)
        found = super().__torch_function__(func, types, args, rest)
        return found if found is NotImplemented else cls.write_out(out, found, name)

    @classmethod
    def write_out(cls, out, found, name):
        from rushlight.sparse.outputs import write_out

        return write_out(out, found, name)

    def refuse(self, name):
        refuse(name, self)

    @classmethod
    def refuse_trace(cls, name):
        if not getattr(mode.recorder(), "batches", False):  # vmap knows the indices from outside
            super().refuse_trace(name)

    # What a tensor tells about itself -----------------------------------------------------

    layout = property(lambda self: self.form)
    is_sparse = property(lambda self: self.form is sparse_coo)
    is_sparse_csr = property(lambda self: self.form is sparse_csr)
    ndim = property(lambda self: len(self.sizes))

    @property
    def nbytes(self):
        if self.form is not sparse_coo:
            return prod(self.sizes) * self.stored.element_size()
        raise RuntimeError(
            "nbytes is not defined for sparse tensors.  If you want the size of the constituent "
            "tensors, add the nbytes of the indices and values.  If you want the size of the  "
            "equivalent dense tensor, multiply numel() by element_size()"
        )

    @property
    def shape(self):
        self.refuse_trace("shape")
        return Size(self.sizes)

    # History ------------------------------------------------------------------------------

    def like(self, other):
        return other.sparse_mask(self).stored

    def gradient_of_values(self, g):
        """The gradient of this tensor, if ``g`` is that of its values."""
        if self.form is not sparse_coo or self.merged:
            return self.with_values(g)
        # Elements of one index count together, so each of their gradients is that of the sum.
        order, first = order_of(self.pattern[0]._array)
        keep = from_array(order[first])
        return coo(self.pattern[0].index_select(1, keep), g.index_select(0, keep), self.sizes, True)

    def _set_data(self, value):
        if not isinstance(value, SparseTensor):
            raise RuntimeError("data: a sparse tensor cannot become a dense one")
        with mode.no_grad():
            self.become(value.detach())

    data = property(lambda self: self.detach(), _set_data)

    # Elements -----------------------------------------------------------------------------

    def with_values(self, values):
        """This pattern with other values."""
        self.refuse_trace("with_values")
        return _made(self.form, self.pattern, values, self.sizes, self.merged)

    def become(self, other, replaces=False):
        """Become ``other``.

        The memory stays if the patterns have one size, unless a COO tensor ``replaces`` its own.
        A leaf's memory stays, because its graphs and hooks know it.
        """
        leaf = type(self.stored.node) is Leaf
        if leaf and mode.records():
            raise GraphError(
                "a leaf Variable that requires grad is being used in an in-place operation; wrap "
                "it in torch.no_grad(), or use the out-of-place form"
            )
        before, after = self.stored, other.stored
        same = before.shape == after.shape and before.dtype is after.dtype
        keeps = not (replaces and self.form is sparse_coo and other.stored is not before)
        if same and (leaf or (keeps and before.node is None is after.node)):
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

    def elementwise(self, func, args, kwargs):
        """Apply the function to the values, if it gives 0 for the elements of 0."""
        if args[0] is not self or any(isinstance(y, Tensor) for y in (*args[1:], *kwargs.values())):
            self.refuse(func.__name__)
        with mode.no_grad():
            found = func(self.stored.new_zeros(1), *args[1:], **kwargs)
        if found._array[0] != 0:  # also nan
            self.refuse(func.__name__)
        x = self.coalesce() if self.form is sparse_coo else self
        return x.with_values(func(x.stored, *args[1:], **kwargs))


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


# Functions of single elements -------------------------------------------------------------


def cast_into(x, dtype, name):
    """Return the sparse tensor ``x`` in the dtype of the tensor that the function writes."""
    if x.dtype is dtype:
        return x
    if x.dtype.category > dtype.category:
        raise RuntimeError(
            f"{name}: result type {x.dtype.name} can't be cast to the desired output type "
            f"{dtype.name}"
        )
    return x.with_values(x.stored.to(dtype))


#: In-place methods that exchange dims.
_TURNS = ("t_", "transpose_", "swapaxes_", "swapdims_")


def _in_place(name, call, elementwise=False, replaces=False):
    """The method ``name``, which replaces a tensor by the result of ``call``."""

    def written(self, *args, **named):
        if elementwise:
            if self.form is sparse_coo and not self.merged:
                raise RuntimeError(f"{name} requires coalesced input")
            with mode.no_grad():  # the dense method refuses what it cannot write
                getattr(self.stored.detach().reshape(-1)[:0].clone(), name)(*args, **named)
        found = call(self, *args, **named)
        if not isinstance(found, SparseTensor):
            refuse(name, self)
        if found.sizes != self.sizes and name not in _TURNS:
            raise RuntimeError(
                f"{name}: output with shape {list(self.sizes)} doesn't match the shape "
                f"{list(found.sizes)} of the result"
            )
        return self.become(cast_into(found, self.dtype, name), replaces)

    written.__name__ = name
    return written


def bind_in_place():
    """Give the class the in-place methods of elementwise operations, which apply to the values."""
    for name in [n[:-1] for n in vars(Tensor) if n[-1] == "_" != n[0]]:  # also aliases
        call = getattr(Tensor, name, None)
        if name not in RULES and call is not None and is_elementwise(call, name):
            setattr(SparseTensor, name + "_", _in_place(name + "_", call, True))


def is_layout(x):
    """Tell whether ``x`` is a layout."""
    return isinstance(x, layout_type)
