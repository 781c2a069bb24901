"""NestedTensor: sequences one after the other in one tensor, and the offsets where they begin."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight import shapes
from rushlight.errors import LayoutError, ShapeError
from rushlight.nested import container
from rushlight.nested.container import Nested, make, refuse
from rushlight.nested.ragged import Ragged
from rushlight.ops.tensor.memory_format import jagged as jagged_layout
from rushlight.ops.tensor.memory_format import strided
from rushlight.tensor import Size, Tensor, from_array

__all__ = ["NestedTensor", "inner_dim", "jagged", "rule"]


def jagged(values, pattern, ragged=1):
    """Return the nested tensor of ``values`` whose dim ``ragged``, with the batch, is ragged."""
    self = make(NestedTensor, values)
    self.pattern, self.ragged = pattern, ragged
    return self


class NestedTensor(Nested, intercepts=False):
    """A batch of tensors that differ in the size of one dim. ``torch.nested`` makes such tensors.

    >>> import rushlight as torch
    >>> x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=torch.jagged)
    >>> isinstance(x, torch.Tensor), x.is_nested, x.offsets()
    (True, True, tensor([0, 2, 6]))
    """

    # pattern  the lengths
    # ragged   the ragged dim of this tensor; it is dim ``ragged - 1`` of the values
    __slots__ = ("pattern", "ragged")
    if TYPE_CHECKING:
        pattern: Ragged
        ragged: int
    RULES: dict[str, Any] = {}  # filled by the modules of the rules

    layout = property(lambda self: jagged_layout)
    ndim = property(lambda self: self.stored._array.ndim + 1)

    @property
    def sizes(self):
        """The shape as a tuple, in which the ragged dim has its symbolic size."""
        shape, r = self.stored._array.shape, self.ragged
        return (len(self.pattern), *shape[: r - 1], self.pattern.size, *shape[r:])

    @property
    def shape(self):
        container.refuse_trace("shape")
        return Size(self.sizes)

    _ragged_idx = property(lambda self: self.ragged)
    _values = property(lambda self: self.stored)
    _offsets = property(lambda self: self.pattern.offsets)
    _lengths = property(lambda self: self.pattern.lengths)
    _max_seqlen = property(lambda self: self.pattern.max)
    _min_seqlen = property(lambda self: self.pattern.min)
    _maybe_max_seqlen = property(lambda self: self.pattern.longest)
    _maybe_min_seqlen = property(lambda self: self.pattern.shortest)

    def _get_max_seqlen(self):
        return self.pattern.max

    def _get_min_seqlen(self):
        return self.pattern.min

    def values(self):
        """Return the sequences, one after the other, as one tensor that shares the memory."""
        container.refuse_trace("values")
        return self.stored.view_as(self.stored)

    def offsets(self):
        """Return the positions at which the sequences begin, and the end: int64 tensor (B + 1,)."""
        container.refuse_trace("offsets")
        return self.pattern.offsets

    def lengths(self):
        """Return the lengths if there are gaps between the sequences, else None."""
        container.refuse_trace("lengths")
        return self.pattern.lengths

    def with_values(self, values, ragged=None):
        return jagged(values, self.pattern, self.ragged if ragged is None else ragged)

    def like(self, other):
        if not isinstance(other, NestedTensor) or other.sizes != self.sizes:
            found = tuple(other.shape)
            raise ShapeError(f"expected a nested tensor of shape {self.sizes}, but got {found}")
        return other.stored

    def elementwise(self, func, args, kwargs):
        container.refuse_trace(func.__name__)
        name = func.__name__
        args = [_fitted(self, x, name) for x in args]
        kwargs = {key: _fitted(self, x, name) for key, x in kwargs.items()}
        found = func(*args, **kwargs)
        if isinstance(found, tuple):
            refuse(name, self)
        return self.with_values(found)

    def __repr__(self, *, tensor_contents=None):
        container.refuse_trace("printing")
        parts = [f"size={self.shape}", f"offsets={self.pattern.offsets}"]
        if self.grad_fn is not None:
            parts.append(f"grad_fn={self.grad_fn}")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        parts.append(f"contiguous={self.is_contiguous()}")
        text = f"NestedTensor({', '.join(parts)})"
        return text.replace("size=torch.Size([", "size=(").replace("]), offsets", "), offsets", 1)

    __hash__ = Tensor.__hash__


def rule(function=None, *, name=None):
    """State the rule of a function for jagged nested tensors; see ``container.rule``."""
    if function is None:
        return lambda f: rule(f, name=name)
    return container.rule(function, of=NestedTensor, name=name)


# Operands of functions of single elements -------------------------------------------------


def _mismatch(name, x, y):
    raise ShapeError(
        f"cannot call binary pointwise function {name} with inputs of shapes {tuple(x.shape)} and "
        f"{tuple(y.shape)}: the ragged dims need the same offsets, and dense operands size 1 there"
    )


def _fitted(x, y, name):
    """The operand ``y`` of an elementwise function, to broadcast with the values of ``x``."""
    if not isinstance(y, Tensor):
        return y
    if isinstance(y, NestedTensor):
        if y is x:
            return x.stored
        n = x.ragged + 1
        if y.ndim != x.ndim or y.ragged != x.ragged or y.sizes[n - 1] != x.sizes[n - 1]:
            _mismatch(name, x, y)
        return y.stored
    if isinstance(y, Nested) or y.layout is not strided:
        raise LayoutError(f"{name}: one operand is a jagged tensor, the other one {y.layout}")
    return _spread(x, y, name)


def _spread(x, y, name):
    """The dense ``y``, which broadcasts to the shape of ``x``, as it broadcasts to the values."""
    r, batch = x.ragged, len(x.pattern)
    if y.ndim > x.ndim:
        raise LayoutError(f"{name}: NYI: broadcasting NT with T with larger dim")
    if y.ndim < x.ndim - r:
        return y  # no dim of y lies at the ragged one or before it
    size = (*[1] * (x.ndim - y.ndim), *y.shape)
    if size[0] not in (1, batch) or (size[r] != 1 and y.ndim != x.ndim):
        _mismatch(name, x, y)
    y = y.reshape(size)
    if size[r] != 1:  # a padded tensor
        from rushlight.nested.padding import from_padded

        if size[0] != batch or size[r] != x.pattern.max:
            _mismatch(name, x, y)
        return from_padded(y, x.pattern, r, x.stored.shape[r - 1])
    if size[0] == 1:
        return y[0]
    which = _owners(x)
    return y.squeeze(r).index_select(0, from_array(which)).movedim(0, r - 1)


def _owners(x):
    """The number of the sequence that each position of the ragged dim of the values is for."""
    total = x.stored.shape[x.ragged - 1]
    ends = x.pattern.offsets._array
    found = np.searchsorted(ends, np.arange(total), "right") - 1
    return np.clip(found, 0, len(x.pattern) - 1)


def inner_dim(x, dim, name, ragged=False):
    """The dim of the values that is dim ``dim`` of ``x``; the batch has none.

    ``ragged``: the ragged dim is allowed.
    """
    found = shapes.dim(dim, x.ndim, name)
    if found == 0:
        raise LayoutError(f"{name}(): not supported for NestedTensor on dim=0")
    if found == x.ragged and not ragged:
        raise LayoutError(f"{name}(): not supported for NestedTensor on ragged dim")
    return found - 1
