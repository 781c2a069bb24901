"""Nested tensors of the strided layout: tensors of any sizes in one buffer. They do little.

PyTorch makes this layout by default and recommends the other one. It is here for construction,
``unbind``, padding, ``linear``, and functions of single elements.
"""

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

import rushlight
from rushlight.errors import LayoutError, ShapeError
from rushlight.nested import container
from rushlight.nested.container import Nested, make, refuse
from rushlight.notices import warn_of_nested
from rushlight.ops.tensor.memory_format import strided as strided_layout
from rushlight.shapes import dim as checked_dim
from rushlight.storage import contiguous_strides
from rushlight.tensor import Tensor, from_array

__all__ = [
    "StridedNestedTensor", "from_buffer", "from_list", "geometry", "packed", "packed_geometry",
    "rule", "view_from_buffer", "view_of",
]  # fmt: skip


def from_list(tensors, dtype, device):
    """Return the nested tensor of copies of ``tensors``, whose history it keeps."""
    warn_of_nested()
    if len({t.ndim for t in tensors}) > 1:
        raise RuntimeError(
            "All Tensors given to nested_tensor must have the same dimension. Found dimensions "
            f"{sorted({t.ndim for t in tensors})}"
        )
    shapes = tuple([tuple(t.shape) for t in tensors])
    if not tensors:
        values = rushlight.zeros(0, dtype=dtype)
    else:
        first = dtype or tensors[0].dtype
        values = rushlight.cat([t.reshape(-1).to(dtype=first, device=device) for t in tensors])
    return _made(values, shapes)


def _made(values, shapes, strides=None, offsets=None):
    self = make(StridedNestedTensor, values)
    self.shapes, self.strides, self.offsets = shapes, strides, offsets
    return self


def view_of(x, shapes, strides, offsets):
    """Return a nested tensor of other shapes that shares the memory of ``x``."""
    values = x.stored.view_as(x.stored)  # a node of its own, because a view is no leaf
    if (strides, offsets) == packed_geometry(shapes):
        counts = sum(map(prod, shapes))
        return _made(values.narrow(0, 0, counts), shapes)
    return _made(values, shapes, strides, offsets)


def view_from_buffer(buffer, shapes, strides, offsets):
    """Return the nested tensor of these parts of the 1-D ``buffer``, whose memory it shares."""
    start = buffer.storage_offset()
    for part in zip(shapes, strides, offsets, strict=True):
        buffer.as_strided(*part[:2], start + part[2])  # raises if the part does not fit
    return view_of(_made(buffer, shapes, strides, offsets), shapes, strides, offsets)


def packed_geometry(shapes):
    """The strides and the offsets of parts that follow each other without gaps."""
    counts = np.array([prod(s) for s in shapes], np.int64)
    offsets = tuple((np.cumsum(counts) - counts).tolist())
    return tuple([contiguous_strides(s) for s in shapes]), offsets


def geometry(x):
    """The strides and the offsets of the parts of ``x``, in elements of its values."""
    return packed_geometry(x.shapes) if x.strides is None else (x.strides, x.offsets)


def packed(x):
    """Return ``x``, or a copy whose parts follow each other if those of ``x`` do not."""
    return x if x.strides is None else from_list(x.unbind(), None, None)


def from_buffer(buffer, shapes):
    """Return the nested tensor whose elements are those of the 1-D ``buffer``, in order."""
    if sum(map(prod, shapes)) != buffer.numel() or len({len(s) for s in shapes}) > 1:
        raise RuntimeError(
            f"a buffer of {buffer.numel()} elements does not fit the shapes {list(shapes)}"
        )
    return _made(buffer, tuple(shapes))


class StridedNestedTensor(Nested, intercepts=False):
    """A batch of tensors that may differ in the size of every dim.

    >>> import rushlight as torch
    >>> x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 4)])
    >>> x.is_nested, x.layout, x.size(0)
    (True, torch.strided, 2)
    """

    # shapes    the shape of each part
    # strides, offsets  of each part in the 1-D values; None if the parts follow each other there
    __slots__ = ("offsets", "shapes", "strides")
    if TYPE_CHECKING:
        shapes: tuple
        strides: tuple | None
        offsets: tuple | None
    RULES: dict[str, Any] = {}  # filled below

    layout = property(lambda self: strided_layout)
    ndim = property(lambda self: 1 + (len(self.shapes[0]) if self.shapes else 0))

    @property
    def shape(self):
        raise RuntimeError(
            "a nested tensor of the strided layout has no shape; use size(dim), unbind(), or "
            "layout=torch.jagged"
        )

    def with_values(self, values):
        return _made(values, self.shapes, self.strides, self.offsets)

    def like(self, other):
        return self._filled(other, self.stored)

    def _filled(self, other, buffer):
        """Return values with the elements of ``other``, and those of ``buffer`` in the gaps."""
        if not isinstance(other, StridedNestedTensor) or other.shapes != self.shapes:
            raise ShapeError("expected a nested tensor of the same sizes")
        if self.strides is None:
            return packed(other).stored
        filled = self.with_values(buffer.clone())
        for mine, part in zip(filled.unbind(), other.unbind(), strict=True):
            mine.copy_(part)
        return filled.stored

    def as_values(self, gradient):
        if gradient is None or self.strides is None:
            return super().as_values(gradient)
        return self.stored, self._filled(gradient, rushlight.zeros_like(self.stored))

    def register_hook(self, hook):
        if self.strides is None:
            return super().register_hook(hook)

        def on_values(g):
            found = hook(self.with_values(g))
            return None if found is None else self._filled(found, g)

        return self.stored.register_hook(on_values)

    def elementwise(self, func, args, kwargs):
        container.refuse_trace(func.__name__)
        operands = [_fitted(self, x, func.__name__) for x in args]
        kwargs = {key: _fitted(self, x, func.__name__) for key, x in kwargs.items()}
        if func.__name__.endswith("_") and self.strides is not None:
            self._write(func, operands[1:], kwargs)
            return self
        found = func(*operands, **kwargs)
        if isinstance(found, tuple):
            refuse(func.__name__, self)
        return _made(found, self.shapes)

    def _write(self, func, operands, kwargs):
        """Call the in-place method ``func`` on each part of a view."""
        start = 0
        for part in self.unbind():
            count = part.numel()

            def of_part(x, start=start, count=count, shape=part.shape):
                if not isinstance(x, Tensor) or x.numel() <= 1:
                    return x
                return x.narrow(0, start, count).view(shape)

            start += count

            named = {key: of_part(x) for key, x in kwargs.items()}
            func(part, *[of_part(x) for x in operands], **named)

    def parts(self):
        """The function and the arguments from which a file makes the tensor."""
        from rushlight.serialization.names import rebuild_nested

        buffer = packed(self).stored.detach().requires_grad_(self.requires_grad)
        strides, offsets = packed_geometry(self.shapes)
        return rebuild_nested, (
            buffer,
            *map(_table, (self.shapes, strides)),
            from_array(np.array(offsets, np.int64)),
        )

    def copied(self, memo):
        return _made(packed(self).stored.detach().clone(), self.shapes)

    def __repr__(self, *, tensor_contents=None):
        container.refuse_trace("printing")
        tracked = self.requires_grad
        parts = [repr(t.requires_grad_(tracked)) for t in self.detach().unbind()]
        parts = [f"  {text}".replace("\n", "\n  ") for text in parts]
        suffix = ""
        if self.grad_fn is not None:
            suffix = f", grad_fn=<{type(self.grad_fn).__name__}>"
        elif self.requires_grad:
            suffix = ", requires_grad=True"
        body = ",\n".join(parts)
        return f"nested_tensor([\n{body}\n]{suffix})" if parts else f"nested_tensor([\n\n]{suffix})"

    __hash__ = Tensor.__hash__


def _table(rows):
    """Return the rows, of which each has as many ints, as an int64 tensor."""
    return _whole(rows).reshape(len(rows), -1)


def _whole(numbers):
    return from_array(np.array(numbers, np.int64))


def _fitted(x, y, name):
    """The operand ``y`` of an elementwise function, to broadcast with the values of ``x``."""
    if isinstance(y, StridedNestedTensor):
        if y.shapes != x.shapes:
            raise ShapeError("expected a nested tensor of the same sizes")
        return packed(y).stored
    if not isinstance(y, Tensor) or not y.ndim or (y.numel() == 1 and y.ndim == 1):
        return y
    if isinstance(y, Nested) or y.layout is not strided_layout:
        raise LayoutError(f"{name}: one operand is a nested tensor, the other one {y.layout}")
    if y.ndim > x.ndim or (y.ndim == x.ndim and y.shape[0] not in (1, len(x.shapes))):
        raise LayoutError(f"{name}: Unsupported dense operand of shape {tuple(y.shape)}")
    rows = y.expand(len(x.shapes), *y.shape[1:]) if y.ndim == x.ndim else [y] * len(x.shapes)
    return rushlight.cat([row.expand(s).reshape(-1) for row, s in zip(rows, x.shapes, strict=True)])


def rule(function=None, *, name=None):
    """State the rule of a function for strided nested tensors; see ``container.rule``."""
    if function is None:
        return lambda f: rule(f, name=name)
    return container.rule(function, of=StridedNestedTensor, name=name)


def _each(x, call):
    """The nested tensor of ``call(part)`` for each part of ``x``."""
    return from_list([call(t) for t in x.unbind()], None, None)


@rule
def size(self, dim=None):
    if dim is None:
        raise RuntimeError(
            "a nested tensor of the strided layout has no size(); use size(dim), unbind(), or "
            "layout=torch.jagged"
        )
    k = checked_dim(dim, self.ndim, "size")
    if k == 0:
        return len(self.shapes)
    found = {s[k - 1] for s in self.shapes}
    if len(found) != 1:
        raise RuntimeError(f"Given dimension {k} is irregular and does not have a size.")
    return found.pop()


@rule
def unbind(input, dim=0):
    if dim not in (0, -input.ndim):
        raise LayoutError(
            f"NestedTensor can only be unbound along dimension 0 got dimension {dim} instead."
        )
    if input.strides is not None:
        start, places = input.stored.storage_offset(), zip(*geometry(input), strict=True)
        found = [
            input.stored.as_strided(shape, stride, start + offset)
            for shape, (stride, offset) in zip(input.shapes, places, strict=True)
        ]
        return tuple(found)
    counts = [prod(s) for s in input.shapes]
    parts = input.stored.split(counts) if counts else ()
    return tuple([t.view(s) for t, s in zip(parts, input.shapes, strict=True)])


def _item(self, index):
    if isinstance(index, tuple) and index:
        found = self[index[0]]
        return found[index[1:]] if len(index) > 1 else found
    if isinstance(index, (int, np.integer)) and type(index) is not bool:
        return self.select(0, int(index))
    raise LayoutError("indexing a strided nested tensor takes an int first; use unbind()")


def _assigned(self, index, value):
    raise LayoutError("assignment to elements of a nested tensor: write to a part of unbind()")


StridedNestedTensor.__getitem__ = _item
StridedNestedTensor.__setitem__ = _assigned


@rule
def to_padded_tensor(input, padding, output_size=None):
    if not input.shapes:
        return rushlight.zeros(0, dtype=input.dtype, device=input.device)
    most = [max(n) for n in zip(*input.shapes, strict=True)]
    size = (len(input.shapes), *most)
    if output_size is not None:
        given = tuple(output_size)
        if len(given) != len(size) or any(a < b for a, b in zip(given, size, strict=True)):
            raise RuntimeError(
                "Value in output_size is less than NestedTensor padded size. Truncation is not "
                f"supported: {given} < {size}"
            )
        size = given
    pad = rushlight.nn.functional.pad
    rows = []
    for t in input.unbind():
        missing = [b - a for a, b in zip(t.shape, size[1:], strict=True)]
        around = [n for k in reversed(missing) for n in (0, k)]
        rows.append(pad(t, around, value=padding))
    rows += [input.stored.new_full(size[1:], padding)] * (size[0] - len(rows))
    return rushlight.stack(rows)


@rule
def numel(input):
    return sum(map(prod, input.shapes))


rule(numel, name="nelement")


@rule
def clone(input, *, memory_format=None):
    return packed(input) if input.strides is not None else _made(input.stored.clone(), input.shapes)


@rule
def is_contiguous(self, memory_format=None):
    return self.strides is None


@rule
def contiguous(self, memory_format=None):
    return packed(self)


@rule
def is_same_size(input, other):
    if not (isinstance(input, StridedNestedTensor) and isinstance(other, StridedNestedTensor)):
        raise RuntimeError("is_same_size: one is a nested tensor, and the other is none")
    return input.shapes == other.shapes


def _sizes(self):
    """Return the shape of each part, int64 tensor (B, dims)."""
    return _table(self.shapes)


StridedNestedTensor._nested_tensor_size = _sizes
StridedNestedTensor._nested_tensor_strides = lambda self: _table(geometry(self)[0])
StridedNestedTensor._nested_tensor_storage_offsets = lambda self: _whole(geometry(self)[1])
StridedNestedTensor.values = lambda self: self.stored.view_as(self.stored)


@rule
def linear(input, weight, bias=None):
    if not isinstance(input, StridedNestedTensor):
        raise LayoutError("linear(): only the input may be nested, not the weight or the bias")
    if input.ndim < 2:
        raise LayoutError("linear(): the parts of a nested tensor need at least one dim")
    features = input.size(-1)
    found = rushlight.nn.functional.linear(packed(input).stored.view(-1, features), weight, bias)
    shapes = tuple([(*s[:-1], weight.shape[0]) for s in input.shapes])
    return _made(found.reshape(-1), shapes)


@rule
def embedding(input, weight, *args, **options):
    if not isinstance(input, StridedNestedTensor):
        raise LayoutError("embedding(): only the indices may be nested, not the weight")
    if input.ndim > 2:
        raise LayoutError("embedding(): the parts of a strided nested tensor need one dim")
    found = rushlight.nn.functional.embedding(packed(input).stored, weight, *args, **options)
    return _made(found.reshape(-1), tuple([(*s, weight.shape[1]) for s in input.shapes]))


def _of_parts(name):
    """The rule of a function that treats the last dims of each part on their own."""

    @rule(name=name)
    def apply(input, *args, **named):
        call = getattr(rushlight.nn.functional, name)
        return _each(input, lambda t: call(t, *args, **named))


_of_parts("layer_norm")


@rule
def dropout(input, p=0.5, training=True, inplace=False):
    input = input if inplace else packed(input)
    found = rushlight.nn.functional.dropout(input.stored, p, training, inplace)
    return input.with_values(found)


def _along(name):
    @rule(name=name)
    def apply(input, dim=None, *args, **named):
        if not input.shapes:
            return input
        k = checked_dim(dim, input.ndim, name)
        if k == 0:
            raise LayoutError(f"{name}: Cannot apply {name} across nested dimension 0")
        call = getattr(rushlight.nn.functional, name)
        return _each(input, lambda t: call(t, k - 1, *args, **named))


for _name in ("softmax", "log_softmax"):
    _along(_name)


@rule
def matmul(input, other):
    if isinstance(input, StridedNestedTensor) and isinstance(other, StridedNestedTensor):
        if len(input.shapes) != len(other.shapes):
            raise ShapeError("matmul: both nested tensors must have the same number of parts")
        pairs = zip(input.unbind(), other.unbind(), strict=True)
        return from_list([a @ b for a, b in pairs], None, None)
    if isinstance(input, StridedNestedTensor) and other.ndim == 2:
        return _each(input, lambda t: t @ other)
    raise LayoutError("matmul: no rule for these operands; multiply the parts of unbind()")


rule(matmul, name="bmm")
StridedNestedTensor.__matmul__ = lambda self, other: matmul(self, other)
