"""Copies of sparse tensors, in other dtypes too; what a tensor tells about itself; pickles."""

from math import prod

import rushlight
from rushlight.errors import LayoutError
from rushlight.ops.core.outputs import refuse_gradients
from rushlight.ops.tensor.memory_format import (
    contiguous_format,
    preserve_format,
    sparse_coo,
    strided,
)
from rushlight.sparse.container import RULES, SOURCES, SparseTensor, in_words, refuse, rule
from rushlight.sparse.sizes import empty, without_elements
from rushlight.tensor import Size, Tensor

__all__: list[str] = []  # the rules are found by name


def _refuse_format(name, memory_format, allowed=(None,)):
    if memory_format not in allowed:
        raise RuntimeError(
            f"{name}: unsupported memory format option {memory_format}: the memory format option "
            "is only supported by strided tensors"
        )


@rule
def clone(input, *, memory_format=None):
    _refuse_format("clone", memory_format)
    found = input.with_values(input.stored.clone())
    found.pattern = tuple([t.clone() for t in found.pattern])
    return found


@rule
def to(self, *args, **named):
    args = tuple([x.dtype if isinstance(x, Tensor) else x for x in args])
    if isinstance(named.get("other"), Tensor):
        args, named = (named.pop("other").dtype, *args), named
    memory_format = named.pop("memory_format", None)
    _refuse_format("to", memory_format, (None, preserve_format, contiguous_format))
    found = self.stored.to(*args, **named)
    if found is self.stored:
        return self
    _refuse_format("to", memory_format, (None, preserve_format))
    return self.with_values(found)


def _converter(name):
    def convert(self, *args, **named):
        found = getattr(self.stored, name)(*args, **named)
        return self if found is self.stored else self.with_values(found)

    rule(convert, name=name)


for _name in (
    "float", "double", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool", "cfloat",
    "cdouble", "chalf", "cpu", "conj_physical", "resolve_conj", "resolve_neg",
):  # fmt: skip
    if hasattr(Tensor, _name):
        _converter(_name)


@rule
def conj(input):
    return input.with_values(input.stored.conj_physical()) if input.is_complex() else input


@rule
def copy_(self, src, non_blocking=False):
    if not isinstance(self, SparseTensor) or src.layout is not self.layout:
        raise RuntimeError(
            f"copy_() between {in_words(self.layout)} and {in_words(src.layout)} Tensors is not "
            "implemented!"
        )
    if src.sizes != self.sizes:
        raise RuntimeError(f"copy_: sizes {self.sizes} and {src.sizes} differ")
    return self.become(clone(src).to(self.dtype), replaces=True)


def _check_layout(input, layout):
    """Raise if a tensor made like ``input``, of a compressed layout, would have another one."""
    if layout not in (None, input.form):
        raise RuntimeError(
            "empty_like with different sparse layout is not supported (self is "
            f"{in_words(input.form)} but you requested {in_words(layout)})"
        )


@rule
def zeros_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False,
    memory_format=None,
):  # fmt: skip
    dtype = dtype or input.dtype
    if layout is strided:
        if input.form is not sparse_coo:
            _check_layout(input, layout)
        return rushlight.zeros(input.sizes, dtype=dtype, requires_grad=requires_grad)
    if input.form is sparse_coo:
        _refuse_format("empty_like or zeros_like", memory_format)
    if layout in (None, input.form):
        found = empty(input)
        found = found.with_values(found.stored.to(dtype))
    else:
        found = without_elements(layout, input.sizes, rushlight.zeros(0, dtype=dtype))
    return found.requires_grad_() if requires_grad else found


@rule
def empty_like(input, **options):
    if input.form is sparse_coo:
        return zeros_like(input, **options)
    _refuse_format("empty_like", options.get("memory_format"), (None, contiguous_format))
    return full_like(input, 0, **options)


@rule
def full_like(
    input, fill_value, *, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False, memory_format=None,
):  # fmt: skip
    if input.form is sparse_coo:  # PyTorch fills the values of compressed layouts only
        refuse("full_like", input)
    _check_layout(input, layout)
    values = rushlight.full_like(input.stored.detach(), fill_value, dtype=dtype)
    found = input.with_values(values)
    found.pattern = tuple([t.clone() for t in found.pattern])
    return found.requires_grad_() if requires_grad else found


@rule
def ones_like(input, **options):
    return full_like(input, 1, **options)


@rule
def new_zeros(self, *size, dtype=None, layout=None, device=None, requires_grad=False,
              pin_memory=False):  # fmt: skip
    size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    found = empty(self, size)
    if dtype is not None:
        found = found.with_values(found.stored.to(dtype))
    return found.requires_grad_() if requires_grad else found


rule(new_zeros, name="new_empty")


def _source(name):
    """Let the function ``name``, which makes a tensor of zeros, write into a sparse ``out``.

    All dims of the result are sparse, as in PyTorch.
    """

    def write(*size, out, dtype=None, layout=None, **options):
        if layout not in (None, out.layout):
            raise RuntimeError(f"{name}: layout {layout} does not match that of out, {out.layout}")
        if dtype not in (None, out.dtype):
            raise RuntimeError(f"{name}: dtype {dtype} does not match that of out, {out.dtype}")
        size = tuple(options.pop("size", size))
        leaf = options.get("requires_grad", False)
        size = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
        refuse_gradients(name, (out,))
        return out.become(empty(out, size, len(size))).requires_grad_(leaf)

    SOURCES[name] = write


_source("zeros")
_source("empty")


@rule
def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False, layout=None,
               pin_memory=False):  # fmt: skip
    return self.stored.new_tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)


# What a tensor tells about itself ---------------------------------------------------------


@rule
def size(self, dim=None):
    return Size(self.sizes) if dim is None else self.shape[dim]


@rule
def dim(self):
    return len(self.sizes)


rule(dim, name="ndimension")


@rule
def numel(input):
    return prod(input.sizes)


rule(numel, name="nelement")


@rule
def element_size(self):
    return self.stored.element_size()


@rule
def is_same_size(input, other):
    return tuple(input.shape) == tuple(other.shape)


@rule
def is_contiguous(self, memory_format=None):
    return False


@rule
def is_floating_point(input):
    return input.dtype.is_floating_point


@rule
def is_complex(input):
    return input.dtype.is_complex


@rule
def is_signed(input):
    return input.stored.is_signed()


@rule
def is_inference(input):
    return input.stored.is_inference()


@rule
def is_conj(input):
    return False


rule(is_conj, name="is_neg")
rule(is_conj, name="is_pinned")
rule(is_conj, name="is_shared")


@rule
def get_device(input):
    return -1


@rule(name="type")
def type_of(self, dtype=None, non_blocking=False):
    if dtype is not None:
        found = self.stored.type(dtype)
        return self if found is self.stored else self.with_values(found)
    dense = self.stored.type()
    return dense.replace("torch.", "torch.sparse.", 1) if self.form is sparse_coo else dense


@rule
def stride(self, dim=None):
    if self.form is not sparse_coo:
        raise LayoutError("stride: Sparse CSR tensors do not have strides")
    return (0,) * len(self.sizes) if dim is None else 0


@rule
def storage_offset(self):
    return 0


def _refused(name, error, message):
    def refused(self, *args, **named):
        raise error(message.format(in_words(self.form)))

    rule(refused, name=name)


_refused("numpy", TypeError,
         "can't convert {} layout tensor to numpy. Use Tensor.to_dense() first.")  # fmt: skip
for _name in ("tolist", "data_ptr"):
    _refused(_name, RuntimeError, f"{_name}: Cannot access data pointer of Tensor that doesn't "
             "have storage; convert with .to_dense() first")  # fmt: skip
for _name in ("storage", "untyped_storage"):
    _refused(_name, NotImplementedError, "Cannot access storage of {}TensorImpl")
_refused("register_post_accumulate_grad_hook", LayoutError,
         "a sparse tensor has no register_post_accumulate_grad_hook; use its values()")  # fmt: skip
for _name in ("reshape", "view_as"):
    _refused(_name, LayoutError, f"{_name} is not implemented for sparse tensors; convert with "
             ".to_dense() first")  # fmt: skip


@rule
def retain_grad(self):
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if not self.is_leaf:
        raise LayoutError(
            "retain_grad: a sparse tensor that was computed keeps no gradient; use its values()"
        )


@rule
def item(self):
    if prod(self.sizes) != 1:
        raise RuntimeError(
            f"a Tensor with {prod(self.sizes)} elements cannot be converted to Scalar"
        )
    return self.to_dense().item()


def _truth(self):
    if prod(self.sizes) != 1:
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    return bool(self.to_dense().item())


SparseTensor.__bool__ = _truth
rule(_truth, name="is_nonzero")
SparseTensor.__int__ = lambda self: int(self.item())
SparseTensor.__float__ = lambda self: float(self.item())
SparseTensor.__complex__ = lambda self: complex(self.item())


# Copies of the object ---------------------------------------------------------------------


def _reduce(self, protocol):
    from rushlight.serialization.names import rebuild_from_type, rebuild_sparse_tensor

    parts = (*self.pattern, self.stored.detach(), Size(self.sizes))
    if self.form is sparse_coo:
        parts = (*parts, self.merged)
    args = self.form, parts
    if self.__dict__:
        return rebuild_from_type, (rebuild_sparse_tensor, Tensor, args, self.__dict__)
    return rebuild_sparse_tensor, args


def _deep(self, memo):
    return clone(self.detach())


def _copied(self):
    found = self.with_values(self.stored)
    if self.requires_grad and self.is_leaf:
        found = self.detach().requires_grad_()
    return found


SparseTensor.__reduce_ex__ = _reduce  # type: ignore[method-assign]
SparseTensor.copied = _deep  # type: ignore[method-assign]
SparseTensor.__copy__ = _copied
RULES["detach"] = SparseTensor.detach
