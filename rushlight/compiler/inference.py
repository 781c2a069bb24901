"""Inference: the shapes and dtypes of an operation's results, without its work.

What costs little is found by a dry run, on zeros; the large operations state a rule here.
"""

from functools import partial
from typing import Any

import numpy as np

from rushlight import shapes
from rushlight.backend import numpy as xp
from rushlight.compiler.abstract import Abstract, user_line
from rushlight.errors import TraceError
from rushlight.ops.dispatch import compute
from rushlight.ops.window import output_size

__all__ = ["infer"]


def infer(op, ins, params):
    """The abstract results of ``op``."""
    if op.kind == "elementwise":
        return _elementwise(op, ins, params)
    if op.kind == "source":
        return _source(op, params)
    if op.dynamic(*ins, **params) if callable(op.dynamic) else op.dynamic:
        raise TraceError(
            f"{user_line()}: {op.name} gives a tensor whose shape depends on values, inside "
            "torch.compile. Move it out of the compiled function, or use a form of fixed shape "
            "such as torch.where."
        )
    if op.name in _RULES:
        found = _RULES[op.name](*ins, **params)
        if found is not None:
            return [Abstract(shape, ins[0].dtype) for shape in found]
    if op.kind == "reduction" and ins[0].size > 4096:
        return _reduction(op, ins, params)
    return _dry_run(op, ins, params)


# By running it ----------------------------------------------------------------------------


def _dry_run(op, ins, params):
    fake = list(map(_stand_in, ins[0] if op.variadic else ins))
    fake_params = {k: _stand_in(v) for k, v in params.items()}
    if "generator" in fake_params:
        fake_params["generator"] = None  # tell the shape, draw nothing
    with np.errstate(all="ignore"):
        found = compute(op, (fake,) if op.variadic else tuple(fake), fake_params)
    found = found if isinstance(found, tuple) else (found,)
    return [Abstract(a.shape, a.dtype, a.strides) for a in found]


def _stand_in(value):
    return value.like() if isinstance(value, Abstract) else value


def _reduction(op, ins, params):
    """A reduction's dtype is that of a reduction of one element; its shape follows from its dims.

    Some give several results, or take other operands: those are run as they are.
    """
    x, dims = ins[0], params.get("dim")
    if len(ins) > 1 or type(dims) is not tuple:
        return _dry_run(op, ins, params)
    with np.errstate(all="ignore"):
        found = compute(op, (np.zeros((1,) * x.ndim, x.dtype),), params)
    if type(found) is tuple:
        return _dry_run(op, ins, params)
    kept = 1 if params.get("keepdim") else None
    sizes = [kept if d in dims else n for d, n in enumerate(x.shape)]
    return [Abstract([n for n in sizes if n is not None], found.dtype)]


# Elementwise ------------------------------------------------------------------------------

_DRY = xp.Dry()
_BYTE = np.zeros(1, np.uint8)  # never read: only strides are asked for
_dtypes: dict = {}  # (operation, kinds of operands) → dtype of the result


def _elementwise(op, ins, params):
    operands = [*ins, *params.values()]
    tensors = [v for v in operands if isinstance(v, Abstract)]
    shape = shapes.broadcast(op.name, *[v.shape for v in tensors])
    key = (op.name, *map(_kind, operands))
    if key not in _dtypes:
        with np.errstate(all="ignore"):
            fake_params = {name: _one(v) for name, v in params.items()}
            fake = compute(op, tuple(map(_one, ins)), fake_params, _DRY)
        if not all(isinstance(v, (Abstract, float, int, type(None))) for v in operands):
            return [Abstract(shape, fake.dtype, _order(shape, fake.dtype, tensors))]
        _dtypes[key] = fake.dtype
    return [Abstract(shape, _dtypes[key], _order(shape, _dtypes[key], tensors))]


def _order(shape, dtype, tensors):
    """The strides that NumPy gives a result: its elements lie in the order of the operands'."""
    if len(shape) < 2 or all(v.in_order for v in tensors):
        return None
    look: Any = np.lib.stride_tricks.as_strided
    operands: Any = [look(_BYTE, v.shape, v.strides) for v in tensors]
    roles: Any = [["readonly"]] * len(operands) + [["writeonly", "allocate"]]
    dtypes = [None] * len(operands) + [dtype]
    loop: Any = np.nditer([*operands, None], ["zerosize_ok"], roles, dtypes)
    return loop.operands[-1].strides


def _kind(value):
    """What of an operand the dtype of the result depends on."""
    if isinstance(value, Abstract):
        return value.dtype, not value.shape
    return type(value)


def _one(value):
    """One element like ``value``; no dims are another thing than some in promotion."""
    if not isinstance(value, Abstract):
        return value
    return np.ones((1,) * min(len(value.shape), 1), value.dtype)


# Sources ----------------------------------------------------------------------------------


def _source(op, params):
    if op.shape is not None:
        shape, dtype = op.shape(**params)
        return [Abstract(shape, dtype)]
    if "shape" in params and "dtype" in params:
        return [Abstract(params["shape"], params["dtype"])]
    found = np.asarray(op.forward(xp, **params))
    return [Abstract(found.shape, found.dtype)]


# Rules ------------------------------------------------------------------------------------
#
# Each gives the shapes of the results, all of the first operand's dtype, or None where it does
# not know: then the dry run finds the shape, or the error.


def _like_first(x, *_, dtype=None, **params):
    return None if dtype is not None else [x.shape]


def _product(x, y):
    fits = x.dtype == y.dtype and x.shape[:-2] == y.shape[:-2] and x.shape[-1] == y.shape[-2]
    return [(*x.shape[:-1], y.shape[-1])] if fits and x.ndim >= 2 else None


def _linear(bias, x, weight):
    fits = x.ndim and weight.ndim == 2 and x.shape[-1] == weight.shape[1]
    fits = fits and x.dtype == weight.dtype and x.dtype.kind != "b"
    if bias is not None:
        fits = fits and bias.shape == weight.shape[:1] and bias.dtype == x.dtype
    return [(*x.shape[:-1], weight.shape[0])] if fits else None


def _attention(query, key, value, *_, **params):
    return [(*query.shape[:-1], value.shape[-1])] if _same_heads(query, key, value) else None


def _attention_backward(g, query, key, value, *_, **params):
    fits = _same_heads(query, key, value)
    return [query.shape, key.shape, value.shape] if fits else None


def _same_heads(query, key, value):
    same = query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
    same = same and query.dtype == key.dtype == value.dtype
    return same and query.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2]


def _convolution(x, weight, bias=None, *, stride, padding, dilation, **params):
    places = output_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return [(x.shape[0], weight.shape[0], *places)]


def _convolution_input(g, weight, *, size, groups, **params):
    return [(g.shape[0], weight.shape[1] * groups, *size)]


def _convolution_weight(g, x, *, kernel_size, groups, **params):
    return [(g.shape[1], x.shape[1] // groups, *kernel_size)]


def _pooled(x, *, windows, **params):
    return [(*x.shape[: -len(windows.places)], *windows.places)]


_RULES: dict[str, Any] = {
    "mm": _product,
    "bmm": _product,
    "attention": _attention,
    "attention_backward": _attention_backward,
    "convolution": _convolution,
    "convolution_input_grad": _convolution_input,
    "convolution_weight_grad": _convolution_weight,
    "max_pool_backward": lambda g, x, *_, **params: [x.shape],
    "avg_pool_backward": lambda g, *, size, **params: [(*g.shape[: -len(size)], *size)],
    "embedding_backward": lambda g, indices, *, rows, **params: [(rows, g.shape[-1])],
    "batch_statistics": lambda x: [x.shape[1:2]] * 2 if x.dtype.itemsize > 2 else None,
    **{f"{kind}_pool{n}d": _pooled for kind in ("max", "avg") for n in (1, 2, 3)},
    **dict.fromkeys(("linear", "linear_nd"), _linear),
    **dict.fromkeys(("linear_unbiased", "linear_unbiased_nd"), partial(_linear, None)),
    **dict.fromkeys(
        ("softmax", "log_softmax", "layer_norm", "rms_norm", "group_norm", "batch_norm"),
        _like_first,
    ),
}  # fmt: skip
