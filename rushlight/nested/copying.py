"""Copies of nested tensors, in other dtypes too; what a tensor tells about itself; pickles."""

import copy
from math import prod

import rushlight
from rushlight.errors import LayoutError
from rushlight.nested.container import Nested, refuse
from rushlight.nested.container import rule as bind
from rushlight.nested.jagged import NestedTensor, jagged, rule
from rushlight.nested.ragged import Ragged
from rushlight.ops.tensor.memory_format import contiguous_format, preserve_format
from rushlight.ops.tensor.memory_format import strided as strided_layout
from rushlight.shapes import dim as checked_dim
from rushlight.tensor import Size, Tensor

__all__ = ["share"]


@rule
def clone(input, *, memory_format=preserve_format):
    if input.pattern.lengths is not None and memory_format is contiguous_format:
        return _without_gaps(input)
    return input.with_values(input.stored.clone(memory_format=memory_format))


def _without_gaps(x):
    parts = x.unbind()
    axis = x.ragged - 1
    pattern = Ragged.of_lengths([t.shape[axis] for t in parts])
    return jagged(rushlight.cat(parts, axis), pattern, x.ragged)


@rule
def is_contiguous(self, memory_format=contiguous_format):
    if self.pattern.lengths is not None:
        return False
    return memory_format is preserve_format or self.stored.is_contiguous()


@rule
def contiguous(self, memory_format=contiguous_format):
    if self.is_contiguous():
        return self
    if self.pattern.lengths is not None:
        return _without_gaps(self)
    return self.with_values(self.stored.contiguous())


@rule
def stride(self, dim=None):
    inner = self.stored.stride()
    found = (self.pattern.size * inner[self.ragged - 1], *inner)
    return found if dim is None else found[checked_dim(dim, self.ndim, "stride")]


@rule
def size(self, dim=None):
    return Size(self.sizes) if dim is None else self.sizes[checked_dim(dim, self.ndim, "size")]


@rule
def numel(input):
    rest = [n for k, n in enumerate(input.stored.shape) if k != input.ragged - 1]
    return int(input.pattern.counts.sum()) * prod(rest)


rule(numel, name="nelement")


@rule
def is_same_size(input, other):
    return tuple(input.shape) == tuple(other.shape)


@rule
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    return rushlight.allclose(input.stored, input.like(other), rtol, atol, equal_nan)


@rule
def equal(input, other):
    same = isinstance(other, NestedTensor) and input.sizes == other.sizes
    return same and rushlight.equal(input.stored, other.stored)


# Both layouts -----------------------------------------------------------------------------


def share(of):
    """Give the class ``of`` the rules of both layouts: what only asks or converts the values."""
    for name in _ASKED:
        _reads(of, name)
    for name in _CONVERTED:
        if hasattr(Tensor, name):
            _converts(of, name)
    for name in _MADE_ALIKE:
        _makes(of, name)
    for name in _REFUSED:
        bind(lambda self, *args, _name=name, **named: refuse(_name, self), of=of, name=name)
    bind(_copy_, of=of, name="copy_")
    bind(_masked_fill, of=of, name="masked_fill")
    for name in ("dim", "ndimension"):
        bind(lambda self: self.ndim, of=of, name=name)
    of.RULES["detach"] = of.detach
    of.__reduce_ex__ = _reduce
    of.__copy__ = _copied


_ASKED = (
    "element_size", "is_floating_point", "is_complex", "is_signed", "is_inference", "is_conj",
    "is_neg", "is_pinned", "get_device", "is_shared",
)  # fmt: skip
_CONVERTED = (
    "to", "float", "double", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool",
    "cfloat", "cdouble", "cpu", "type_as", "pin_memory", "share_memory_",
)  # fmt: skip
_MADE_ALIKE = (
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like",
)  # fmt: skip
_REFUSED = ("numpy", "tolist", "item", "data_ptr", "storage", "untyped_storage")


def _reads(of, name):
    def call(self, *args, **named):
        return getattr(self.stored, name)(*args, **named)

    bind(call, of=of, name=name)


def _converts(of, name):
    def call(self, *args, **named):
        args = tuple([x.stored if isinstance(x, Nested) else x for x in args])
        found = getattr(self.stored, name)(*args, **named)
        return self if found is self.stored else self.with_values(found)

    bind(call, of=of, name=name)


def _makes(of, name):
    fill = getattr(rushlight, name)

    def call(input, *args, dtype=None, layout=None, device=None, requires_grad=False,
             pin_memory=False, memory_format=None):  # fmt: skip
        if layout not in (None, input.layout):
            raise LayoutError(f"{name}: a nested tensor keeps its layout {input.layout}")
        found = input.with_values(fill(input.stored, *args, dtype=dtype, device=device))
        return found.requires_grad_(requires_grad)

    bind(call, of=of, name=name)


def _copy_(self, src, non_blocking=False):
    if not isinstance(self, Nested) or not isinstance(src, type(self)):
        raise RuntimeError("copy_: both tensors must be nested tensors of one layout")
    self.stored.copy_(self.like(src))
    return self


def _masked_fill(input, mask, value):
    return rushlight.where(mask, value, input)


@rule(name="type")
def type_of(self, dtype=None, non_blocking=False):
    return self.stored.type() if dtype is None else self.to(dtype)


def _reduce(self, protocol):
    from rushlight.serialization.names import rebuild_from_type

    function, args = self.parts()
    # PyTorch's files add notes of its compiler to what the user added.
    added = {
        name: value
        for name, value in self.__dict__.items()
        if not hasattr(type(self), name) and not name.startswith(("_dynamo", "_metadata"))
    }
    if not added and self.layout is strided_layout:
        return function, args
    kind = Tensor if self.layout is strided_layout else type(self)  # as in PyTorch's files
    return rebuild_from_type, (function, kind, args, added)


def _parts(self):
    from rushlight.serialization.names import rebuild_jagged

    pattern = self.pattern
    values = self.stored.detach()
    given = {
        "values": values, "offsets": pattern.offsets, "lengths": pattern.lengths,
        "_ragged_idx": self.ragged, "_metadata_cache": {}, "requires_grad": self.requires_grad,
    }  # fmt: skip
    for key, n in (("min_seqlen", pattern.shortest), ("max_seqlen", pattern.longest)):
        if n is not None:
            given["_metadata_cache"][key] = rushlight.zeros(n, 0)
    return rebuild_jagged, (given,)


NestedTensor.parts = _parts


def _jagged_copied(self, memo):
    pattern = self.pattern
    offsets = copy.deepcopy(pattern.offsets, memo)
    lengths = copy.deepcopy(pattern.lengths, memo)
    copied = Ragged(offsets, lengths, pattern.shortest, pattern.longest)
    return jagged(self.stored.detach().clone(), copied, self.ragged)


NestedTensor.copied = _jagged_copied  # type: ignore[method-assign]


def _copied(self):
    if self.requires_grad and self.is_leaf:
        return self.detach().requires_grad_()
    return self.with_values(self.stored)
