"""Sums, products and quotients of sparse tensors, with numbers, and with dense tensors."""

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.dtype import bool as bool_
from rushlight.errors import ShapeError
from rushlight.ops.core.scale_factors import check_category, factor
from rushlight.ops.elementwise.arithmetic import no_bool
from rushlight.ops.tensor.memory_format import sparse_coo
from rushlight.sparse.container import SparseTensor, coo, operand, refuse, rule
from rushlight.sparse.conversion import (
    as_coo,
    as_layout,
    coordinates,
    count,
    indexed_as,
    matches,
    put,
    taken,
)
from rushlight.sparse.shape import broadcast
from rushlight.tensor import Tensor, from_array

__all__: list[str] = []  # the rules are found by name


def _is_number(x):
    return not isinstance(x, SparseTensor) and not (isinstance(x, Tensor) and x.ndim)


def _like(found, x):
    """The COO tensor ``found`` in the layout of ``x``."""
    shape = tuple(x.stored.shape[1:3])
    return found if x.form is sparse_coo else as_layout(found, x.form, shape)


# Sums -------------------------------------------------------------------------------------


@rule(replaces=True)
def add(input, other, *, alpha=1):
    input, other = operand(input), operand(other)
    if not isinstance(input, SparseTensor):
        return _into_dense(input, other, alpha)
    if not isinstance(other, SparseTensor):
        if input.form is sparse_coo or not isinstance(other, Tensor):
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )
        return _into_dense(other if alpha == 1 else other * alpha, input, 1)
    if input.sizes != other.sizes:
        raise ShapeError(
            "add: expected sizes of 'self' and 'other' to match, but "
            f"{list(input.sizes)} != {list(other.sizes)}"
        )
    if input.form is not other.form:
        raise RuntimeError(
            f"add: both operands must have one layout, but they have {input.form} and {other.form}"
        )
    x, y = as_coo(input), as_coo(other)
    if count(x) != count(y):
        for kept, empty in ((x, y), (y, x)):
            if not coordinates(empty).shape[1]:  # its sparse dims are no matter then
                dtype = rushlight.result_type(x.stored, y.stored)
                values = kept.stored.to(dtype)
                return kept.with_values(_times(values, alpha) if kept is y else values.clone())
        raise ShapeError(
            f"add: expected 'self' and 'other' to have same number of sparse dimensions, but "
            f"{count(x)} != {count(y)}"
        )
    return indexed_as(_like(_sum(x, y, alpha), input), input)


def _sum(x, y, alpha):
    a, b = coordinates(x), coordinates(y)
    dtype = rushlight.result_type(x.stored, y.stored)
    stored = _times(y.stored.to(dtype), alpha)
    if a.shape == b.shape and (a is b or np.array_equal(a, b)):
        found = x.stored + stored
        return coo(x.pattern[0], found, x.sizes, x.merged and y.merged)
    values = rushlight.cat([x.stored.to(dtype), stored])
    found = coo(from_array(np.concatenate([a, b], 1)), values, x.sizes)
    return found.coalesce() if x.merged and y.merged else found


def _into_dense(x, y, alpha):
    """``x + alpha * y`` of a dense ``x``: only the elements that ``y`` stores are added."""
    if not isinstance(x, Tensor) or (not x.ndim and y.sizes):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    y = as_coo(y)
    if x.shape != y.sizes:
        raise ShapeError(
            "add: expected 'self' and 'other' to have same size, but self has size "
            f"{list(x.shape)} while other has size {list(y.sizes)}: the operands do not broadcast"
        )
    dtype = rushlight.result_type(x, y.stored)
    values = _times(y.stored.to(dtype), alpha)
    if not count(y):
        return x + values.sum(0)
    if dtype is bool_:
        return x | y.to_dense()
    return put(x.to(dtype), y.pattern[0], values)


def _times(values, alpha):
    """``alpha * values``, in the dtype of the values."""
    check_category("add", "alpha", alpha, values.dtype)
    return values if alpha == 1 else values * factor(alpha, values.dtype)


def _refuse_bools(x, y):
    values = [v.stored if isinstance(v, SparseTensor) else v for v in (x, y)]
    no_bool([v._array if isinstance(v, Tensor) else v for v in values])


@rule(replaces=True)
def sub(input, other, *, alpha=1):
    _refuse_bools(input, other)
    return add(input, other, alpha=-alpha)


rule(sub, name="subtract", replaces=True)


@rule
def rsub(input, other, *, alpha=1):
    _refuse_bools(input, other)
    return add(other, input, alpha=-alpha)


@rule
def neg(input):
    return input.with_values(-input.stored)


rule(neg, name="negative")


@rule
def positive(input):
    return input


# Products ---------------------------------------------------------------------------------


@rule(replaces=True)
def mul(input, other):
    input, other = operand(input), operand(other)
    if not isinstance(input, SparseTensor) or (isinstance(other, SparseTensor) and not input.sizes):
        input, other = other, input
    if isinstance(other, SparseTensor) and not other.sizes:
        other = other.to_dense()
    if _is_number(other):
        found = input.with_values(_scaled(input.stored, other))
        return found if input.sizes else _of_numbers(found, input, other)
    if not input.sizes:  # it counts as a number in the dtype of the product
        input = input.to(rushlight.result_type(input.stored.new_zeros(()), other))
    x = as_coo(input)
    if isinstance(other, SparseTensor):
        return _like(_intersection(x, as_coo(other)), input)
    size = _broadcast_size(x.sizes, tuple(other.shape))
    x = x if x.sizes == size else broadcast(x, size)
    other = other.expand(size)
    factor = taken(other, x.pattern[0]) if count(x) else other
    return _like(x.with_values(x.stored * factor), input)


rule(mul, name="multiply", replaces=True)


def _of_numbers(found, x, number):
    """The product ``found`` of two tensors without dims, in the wider dtype of the two."""
    if not isinstance(number, Tensor):
        return found
    return found.to(rushlight.promote_types(x.dtype, number.dtype))


def _scaled(values, number):
    """``values * number``, in the dtype that the product of the whole tensor has."""
    if isinstance(number, Tensor) and number.dtype.category == values.dtype.category:
        return values * number.to(values.dtype)
    return values * number


def _intersection(x, y):
    """The product of two COO tensors: 0 wherever one of them stores nothing."""
    d = count(x)
    if x.sizes == y.sizes and not (coordinates(x).shape[1] and coordinates(y).shape[1]):
        none = x.stored[:0]
        return coo(x.pattern[0][:, :0], none.to(rushlight.result_type(none, y.stored)), x.sizes)
    if d != count(y) or len(x.sizes) != len(y.sizes) or x.sizes[:d] != y.sizes[:d]:
        raise ShapeError(
            f"mul: expected 'self' and 'other' to have same sizes and sparse dims, but got sizes "
            f"{list(x.sizes)} and {list(y.sizes)}"
        )
    size = _broadcast_size(x.sizes, y.sizes)  # dense dims are broadcast
    y = y.coalesce()
    found, at = matches(x, y)
    if found.all() and found.size:
        return coo(x.pattern[0], x.stored * y.stored[from_array(at)], size, x.merged)
    keep, at = from_array(np.flatnonzero(found)), from_array(at[found])
    return coo(x.pattern[0][:, keep], x.stored[keep] * y.stored[at], size, x.merged)


def _broadcast_size(a, b):
    try:
        return tuple(rushlight.broadcast_shapes(a, b))
    except RuntimeError:
        raise ShapeError(
            f"mul: the sizes {list(a)} and {list(b)} of the operands do not broadcast"
        ) from None


@rule
def div(input, other, *, rounding_mode=None):
    input, other = operand(input), operand(other)
    if not isinstance(input, SparseTensor):
        refuse("div", other)
    if not _is_number(other):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got shape "
            f"{list(other.shape)} for divisor)"
        )
    if rounding_mode is None:
        return input.with_values(input.stored / other)
    x = input.coalesce() if input.form is sparse_coo else input
    return x.with_values(x.stored.div(other, rounding_mode=rounding_mode))


for _name in ("divide", "true_divide"):
    rule(div, name=_name)


@rule
def floor_divide(input, other):
    return div(input, other, rounding_mode="floor")


@rule(name="pow")
def power(input, exponent):
    if not isinstance(input, SparseTensor) or not _is_number(exponent):
        refuse("pow", input if isinstance(input, SparseTensor) else exponent)
    if float(exponent) <= 0:
        refuse("pow with an exponent that is not positive", input)
    x = input.coalesce() if input.form is sparse_coo else input
    return x.with_values(x.stored**exponent)


def _operator(call, reflected=False):
    def operate(self, other):
        if not (isinstance(other, (Tensor, int, float, complex, np.generic, np.ndarray))):
            return NotImplemented
        if isinstance(other, np.ndarray) and mode.state.in_rule and call is add:
            return add(from_array(other), self)._array  # two gradients of one tensor
        return call(other, self) if reflected else call(self, other)

    return operate


for _sign, _call in (("add", add), ("sub", sub), ("mul", mul), ("truediv", div),
                     ("floordiv", floor_divide), ("pow", power)):  # fmt: skip
    setattr(SparseTensor, f"__{_sign}__", _operator(_call))
    setattr(SparseTensor, f"__r{_sign}__", _operator(_call, reflected=True))
    setattr(SparseTensor, f"__i{_sign}__",
            getattr(SparseTensor, _call.__name__.replace("power", "pow") + "_"))  # fmt: skip
SparseTensor.__neg__ = neg
