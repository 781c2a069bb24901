"""Sums, means and extrema of jagged nested tensors: over all elements, or along dims."""

import rushlight
from rushlight import shapes
from rushlight.errors import LayoutError
from rushlight.nested.container import is_nested
from rushlight.nested.jagged import rule
from rushlight.nested.padding import padded
from rushlight.tensor import from_array

__all__: list[str] = []  # the rules are found by name


def _dims(x, dim, name):
    """The dims as a sorted list, or None for all."""
    if dim is None or (isinstance(dim, (tuple, list)) and not len(dim)):
        return None
    return sorted(shapes.dims(dim, x.ndim, name))


def _elements(x):
    """The values without gaps between the sequences."""
    if x.pattern.is_whole(x.stored.shape[x.ragged - 1]):
        return x.stored
    _, _, at = x.pattern.positions()
    return x.stored.index_select(x.ragged - 1, from_array(at))


def _reduced(call, x, dim, keepdim, name, neutral=0):
    """The reduction ``call(tensor, dims, keepdim)`` of ``x`` along ``dim``."""
    found = _dims(x, dim, name)
    if found is None:
        out = call(_elements(x), None, False)
        return out.reshape([1] * x.ndim) if keepdim else out
    r = x.ragged
    rest = [k for k in found if k not in (0, r)]
    if 0 in found and r not in found:
        raise LayoutError(
            f"{name}(): reducing along the batch dimension but not the ragged dimension is not "
            "supported for nested tensors"
        )
    if 0 in found:
        out = call(_elements(x), [k - 1 for k in found if k], keepdim)
        return out.unsqueeze(0) if keepdim else out
    if r in found:
        if rest:
            raise LayoutError(
                f"{name}(): reducing along a ragged and non-batch dimension is not supported for "
                "nested tensors"
            )
        if x.pattern.lengths is not None:
            raise LayoutError(
                f"{name}(): reducing across the ragged dimension is not supported for "
                "non-contiguous nested tensors with holes"
            )
        value = neutral(x.dtype) if callable(neutral) else neutral
        return call(padded(x, value), [r], keepdim)
    values = call(x.stored, [k - 1 for k in rest], keepdim)
    return x.with_values(values, r if keepdim else r - sum(k < r for k in rest))


@rule(name="sum")
def sum_of(input, dim=None, keepdim=False, *, dtype=None):
    def call(t, dims, keep):
        return t.sum(dtype=dtype) if dims is None else t.sum(dims, keep, dtype=dtype)

    return _reduced(call, input, dim, keepdim, "sum")


@rule
def mean(input, dim=None, keepdim=False, *, dtype=None):
    def call(t, dims, keep):
        return t.mean(dtype=dtype) if dims is None else t.mean(dims, keep, dtype=dtype)

    if _dims(input, dim, "mean") != [input.ragged]:
        return _reduced(call, input, dim, keepdim, "mean")
    total = sum_of(input, dim, True, dtype=dtype)
    counts = from_array(input.pattern.counts)
    if total.dtype.is_floating_point:
        counts = counts.to(total.dtype)
    found = total / counts.reshape([-1, *[1] * (total.ndim - 1)])
    return found if keepdim else found.squeeze(input.ragged)


@rule
def prod(input, dim=None, keepdim=False, *, dtype=None):
    def call(t, dims, keep):
        return t.prod(dtype=dtype) if dims is None else t.prod(dims[0], keep, dtype=dtype)

    return _reduced(call, input, dim, keepdim, "prod", neutral=1)


def _least(dtype):
    if dtype is rushlight.bool:
        return False
    return (rushlight.finfo if dtype.is_floating_point else rushlight.iinfo)(dtype).min


def _greatest(dtype):
    if dtype is rushlight.bool:
        return True
    return (rushlight.finfo if dtype.is_floating_point else rushlight.iinfo)(dtype).max


def _extremum(name, neutral):
    @rule(name=name)
    def reduce(input, dim=(), keepdim=False):
        def call(t, dims, keep):
            return getattr(t, name)() if dims is None else getattr(t, name)(dims, keep)

        return _reduced(call, input, dim, keepdim, name, neutral)


_extremum("amax", _least)
_extremum("amin", _greatest)


def _with_places(name, neutral):
    """``max`` and ``min``: of all elements, of two tensors, or with the places along a dim."""

    @rule(name=name)
    def reduce(input, dim=None, keepdim=False, **named):
        other = named.get("other", dim)
        if is_nested(other) or isinstance(other, rushlight.Tensor):
            return getattr(rushlight, f"{name}imum")(input, other)
        if dim is None:
            return getattr(_elements(input), name)()
        pairs = []

        def call(t, dims, keep):
            pairs.append(getattr(t, name)(dims[0], keep))
            return pairs[-1].indices

        where = _reduced(call, input, dim, keepdim, name, neutral)
        values = pairs[-1].values
        values = where.with_values(values) if is_nested(where) else values
        return type(pairs[-1])((values, where))


_with_places("max", _least)
_with_places("min", _greatest)


def _place(name, neutral):
    @rule(name=name)
    def reduce(input, dim=None, keepdim=False):
        def call(t, dims, keep):
            return getattr(t, name)(None if dims is None else dims[0], keep)

        return _reduced(call, input, dim, keepdim, name, neutral)


_place("argmax", _least)
_place("argmin", _greatest)


def _logical(name, neutral):
    @rule(name=name)
    def reduce(input, dim=None, keepdim=False):
        def call(t, dims, keep):
            t = t if t.dtype is rushlight.bool else t != 0
            return getattr(t, name)() if dims is None else getattr(t, name)(dims, keep)

        return _reduced(call, input, dim, keepdim, name, neutral)


_logical("any", False)
_logical("all", True)


def _whole(name):
    """Reductions along dims that are neither the batch nor the ragged one, or over all."""

    @rule(name=name)
    def reduce(input, dim=None, *args, keepdim=False, **named):
        found = _dims(input, dim, name)
        if found is None:
            return getattr(_elements(input), name)(*args, **named)
        if 0 in found or input.ragged in found:
            raise LayoutError(
                f"{name}(): not supported along the batch or the ragged dim of nested tensors; "
                "reduce each part of unbind()"
            )

        def call(t, dims, keep):
            return getattr(t, name)(dims, *args, keepdim=keep, **named)

        return _reduced(call, input, dim, keepdim, name)


for _name in ("var", "std", "logsumexp"):
    _whole(_name)
