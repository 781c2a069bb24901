"""Padding with a constant, or with elements of the input: reflected, repeated or wrapped."""

from functools import lru_cache

import numpy as np

from rushlight.backend.accumulate import add_at
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.dispatch import refuse
from rushlight.ops.core.kinds import kernel
from rushlight.ops.index.along_dim import filled
from rushlight.ops.index.slice import placed
from rushlight.ops.shape.join import cat
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.strides import channels_order, laid, preserved
from rushlight.tensor import Tensor

__all__ = ["constant_pad", "pad"]


def _pairs(pad, ndim, name):
    """(before, after) for each dim, from PyTorch's flat list, which begins with the last dim."""
    pad = [n.__index__() for n in pad]
    if len(pad) % 2:
        raise RuntimeError(
            f"{name}: Padding length must be divisible by 2, but it is {len(pad)}: {pad}"
        )
    if len(pad) > 2 * ndim:
        raise ShapeError(
            f"{name}: Padding length should be less than or equal to two times the input "
            "dimension, "
            f"but {pad} has {len(pad)} entries for {ndim} dims"
        )
    given = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return [(0, 0)] * (ndim - len(given)) + given


def _padded_shape(shape, pad):
    pairs = _pairs(pad, len(shape), "constant_pad_nd")
    out = tuple([n + a + b for n, (a, b) in zip(shape, pairs, strict=True)])
    kept = [n + min(a, 0) + min(b, 0) for n, (a, b) in zip(shape, pairs, strict=True)]
    if any(n < 0 for n in kept):
        raise ShapeError(
            f"constant_pad_nd: the input {tuple(shape)} with pad {list(pad)} would have the "
            "negative "
            f"size {out}"
        )
    return out


def _known_shape(x, *, pad, value=0):
    """The result's shape; None if its strides depend on those of ``x``."""
    return _padded_shape(x.shape, pad) if x.ndim < 4 and max(pad, default=0) > 0 else None


@kernel(public=False, method=False, name="constant_pad_nd", widen=False, keeps_order=True,
        primitive="padding", shape=_known_shape, moves=True)  # fmt: skip
def constant_pad(xp, x, *, pad, value=0):
    """x with ``value`` around it. Negative numbers in ``pad`` cut elements off."""
    shape, target, source = _places(x.shape, *pad)
    if max(pad, default=0) <= 0:
        return preserved(x[source])
    if type(value) is int and not value:
        out = np.zeros(shape, x.dtype)
    else:
        out = np.full(shape, as_scalar(value, x.dtype), x.dtype)
    out[target] = x[source]
    order = channels_order([x])
    return out if order is None else laid(out, order)


@lru_cache(1024, typed=True)  # 1.0 equals 1, but is refused
def _places(shape, *pad):
    """(the shape of the padded result, and the slices of ``_overlap``)."""
    pairs = _pairs(pad, len(shape), "constant_pad_nd")
    return _padded_shape(shape, pad), *_overlap(shape, pairs)


def _overlap(shape, pairs):
    """(slices of the padded result that x fills, slices of x that fill them)."""
    source, target = [], []
    for n, (a, b) in zip(shape, pairs, strict=True):
        source.append(slice(max(-a, 0), max(n + min(b, 0), 0)))
        target.append(slice(max(a, 0), max(a, 0) + max(n + min(a, 0) + min(b, 0), 0)))
    return tuple(target), tuple(source)


@constant_pad.lower
def _cropped_or_patched(x, pad, value):
    target, source = _overlap(x.shape, _pairs(pad, len(x.shape), "constant_pad_nd"))
    if max(pad, default=0) <= 0:
        return x[source]
    if not isinstance(value, Tensor):
        return NotImplemented
    base = x.new_full(_padded_shape(x.shape, pad), filled(x, value))
    return placed(base, x[source], target)


constant_pad.grad(x=lambda g, pad: constant_pad(g, pad=tuple([-n for n in pad])))


# With elements of the input ---------------------------------------------------------------

_SMALL = 1 << 10  # the largest number of positions that are kept for later calls


def _positions(n, before, after, mode):
    """For each place of the padded dim, the index of its element in the dim of size ``n``."""
    if mode == "circular":  # elements are cut off first, and only the rest is wrapped
        left, right = max(-before, 0), n - max(-after, 0)
        return left + np.arange(-max(before, 0), right - left + max(after, 0)) % (right - left)
    at = np.arange(-before, n + after)
    if mode == "replicate":
        return at.clip(0, n - 1)
    at = np.abs(at)
    return np.where(at >= n, 2 * (n - 1) - at, at)


_known_positions = lru_cache(256)(_positions)


def _few_positions(n, before, after, mode):
    """``_positions``; those of small dims are kept."""
    return (_known_positions if n + before + after <= _SMALL else _positions)(
        n, before, after, mode
    )


def _extended(xp, x, *, pad, mode):
    """x padded with its own elements."""
    for dim, (a, b) in enumerate(_pairs(pad, x.ndim, "pad")):
        if a or b:
            x = x.take(_few_positions(x.shape[dim], a, b, mode), dim)
    return x if x.flags.owndata else x.copy()


def _extended_tensor(x, pad, mode):
    """``_extended`` of tensors: slices of x, joined before and after x."""
    for dim, (a, b) in enumerate(_pairs(pad, len(x.shape), "pad")):
        if mode == "circular":
            x = _cropped(x, dim, a, b)
        before, after = _around(x, dim, a, mode, True), _around(x, dim, b, mode, False)
        x = cat([part for part in (before, x, after) if part.numel()], dim)
        if mode != "circular":
            x = _cropped(x, dim, a, b)
    return x


def _cropped(x, dim, a, b):
    """``x`` without the elements that negative padding cuts off."""
    first = max(-a, 0)
    return x.narrow(dim, first, x.shape[dim] - max(-b, 0) - first)


def _around(x, dim, k, mode, before):
    """The ``k`` elements of padding before (or after) x along ``dim``."""
    n = x.shape[dim]
    k = max(k, 0)
    if mode == "circular":
        return x.narrow(dim, n - k if before else 0, k)
    if mode == "reflect":
        return x.narrow(dim, 1 if before else n - 1 - k, k).flip(dim)
    size = list(x.shape)
    size[dim] = k
    return x.narrow(dim, 0 if before else n - 1, 1).expand(size)


@kernel(public=False, method=False, name="pad_backward")
def _folded(xp, g, *, shape, pad, mode):
    """The gradient of ``_extended``: each element's gradient is added to the element it copied."""
    for dim, (a, b) in enumerate(_pairs(pad, g.ndim, "pad")):
        if a or b:
            out = np.zeros((*g.shape[:dim], shape[dim], *g.shape[dim + 1 :]), g.dtype)
            at = _positions(shape[dim], a, b, mode)
            add_at(out, (*[slice(None)] * dim, at, *[slice(None)] * (g.ndim - dim - 1)), g)
            g = out
    return g


@_folded.lower
def _folded_of_slices(g, shape, pad, mode):
    for dim, (a, b) in enumerate(_pairs(pad, len(g.shape), "pad")):
        n = shape[dim]
        if a or b:
            # Circular padding cut elements off before it wrapped the rest.
            lost = (a, b) if mode == "circular" else (0, 0)
            kept = n + min(lost[0], 0) + min(lost[1], 0)
            if mode != "circular":
                g = _restored(g, dim, a, b)
            found = g.narrow(dim, max(a, 0), kept)
            found = _added(found, dim, g.narrow(dim, 0, max(a, 0)), mode, True)
            found = _added(found, dim, g.narrow(dim, max(a, 0) + kept, max(b, 0)), mode, False)
            g = _restored(found, dim, *lost)
    return g


def _restored(g, dim, a, b):
    """``g`` with zeros in place of the elements that negative padding cut off."""
    if a >= 0 and b >= 0:
        return g
    pad = [0, 0] * (len(g.shape) - 1 - dim) + [max(-a, 0), max(-b, 0)]
    return constant_pad(g, pad=tuple(pad))


def _added(found, dim, part, mode, before):
    """``found`` plus ``part``, the gradient of the padding before (or after) it."""
    n, k = found.shape[dim], part.shape[dim]
    if not k:
        return found
    if mode == "reflect":
        part, start = part.flip(dim), 1 if before else n - 1 - k
    elif mode == "replicate":
        part, start, k = part.sum(dim, keepdim=True), 0 if before else n - 1, 1
    else:
        start = n - k if before else 0
    at = (*[slice(None)] * dim, slice(start, start + k))
    return placed(found, found[at] + part, at)


def _named(name, grad_name, autocast):
    op = kernel(
        _extended, name=name, grad_name=grad_name, public=False, method=False, widen=False,
        autocast=autocast, channels=int(not name.startswith("circular")),
        flat=not name.startswith("circular"),
    )  # fmt: skip
    op.lower(lambda x, pad, mode: _extended_tensor(x, pad, mode))
    op.grad(x=lambda g, x_shape, pad, mode: _folded(g, shape=tuple(x_shape), pad=pad, mode=mode))
    if not name.startswith("circular"):
        op.watch(x="x")
    return op


_BY_MODE = {
    (mode, n): _named(
        f"{mode}_pad{n}d", f"{title}Pad{n}DBackward0", SINGLE if n <= single else None
    )
    for mode, title, single in (
        ("reflect", "Reflection", 2),
        ("replicate", "Replication", 3),
        ("circular", "Circular", 0),
    )
    for n in (1, 2, 3)
}
_folded.grad(
    g=lambda h, pad, mode: _BY_MODE[mode, len(pad) // 2](h, pad=pad, mode=mode)
)  # fmt: skip


def pad(input, pad, mode="constant", value=None):
    """Add elements around the last dims of ``input``.

    Args:
        pad: Numbers of elements ``(left, right, top, bottom, …)``: two for each dim, the last dim
            first. Negative numbers cut elements off.
        mode: ``"constant"`` (default) adds ``value``; ``"reflect"`` adds the reflected input,
            ``"replicate"`` the element at the edge, and ``"circular"`` those of the other end.
        value: The number that ``"constant"`` adds. Default: 0.

    Returns:
        Tensor with as many dims as ``input``; each dim grows by the sum of its two numbers.

    Raises:
        RuntimeError: ``pad`` does not fit the input.
        ValueError: A ``value`` is given for another mode than ``"constant"``.
        NotImplementedError: The mode is unknown, or does not take so many dims.

    >>> import rushlight as torch
    >>> torch.nn.functional.pad(torch.tensor([[1.0, 2.0, 3.0]]), (1, 1), mode="reflect")
    tensor([[2., 1., 2., 3., 2.]])
    """
    if not isinstance(input, Tensor):
        refuse(constant_pad.op, 0, input)
    pad = tuple([n.__index__() for n in pad])
    if mode == "constant":
        value = float(value) if type(value) is int and value else value or 0  # as in PyTorch
        return constant_pad(input, pad=pad, value=value)
    if value:
        raise RuntimeError(f'pad: padding mode "{mode}" takes no value, but got {value}')
    x = input._array
    n = len(pad) // 2
    if (
        mode not in ("reflect", "replicate", "circular")
        or n not in (1, 2, 3)
        or x.ndim not in (n + 1, n + 2)
    ):
        raise NotImplementedError(
            f"pad: mode={mode!r} with {len(pad)} numbers is not supported for an input of "
            f"{x.ndim} dims "
            f"{tuple(x.shape)}: 2 numbers pad 2D or 3D input, 4 pad 3D or 4D, 6 pad 4D or 5D"
        )
    _check_pad(x, pad, mode, n)
    return _BY_MODE[mode, n](input, pad=pad, mode=mode)


def _check_pad(x, pad, mode, n):
    if x.dtype.kind == "b" and mode != "circular":
        raise UnsupportedDtypeError(f"pad: mode={mode!r} is not implemented for torch.bool")
    if mode != "circular" and 0 in x.shape[-n - 1 :]:
        raise ShapeError(
            f"pad: mode={mode!r} expects an input whose dims are not empty, but for that of the "
            f"batch: {tuple(x.shape)}"
        )
    for dim, (a, b) in list(enumerate(_pairs(pad, x.ndim, "pad")))[-n:]:
        size = x.shape[dim]
        limit = size if mode == "circular" else size - 1 if mode == "reflect" else None
        if limit is not None and max(a, b) > limit:
            raise ShapeError(
                f"pad: Padding size should be less than the corresponding input dimension for "
                f"mode={mode!r}, but got padding ({a}, {b}) at dimension {dim} of input "
                f"{tuple(x.shape)}"
            )
        if size + a + b < 1:
            raise ShapeError(
                f"pad: input {tuple(x.shape)} with pad {list(pad)} has no elements left in dim "
                f"{dim}"
            )
