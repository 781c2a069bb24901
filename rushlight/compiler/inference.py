"""Inference: the shapes and dtypes of an operation's results."""

import numpy as np

from rushlight import shapes
from rushlight.backend import numpy as xp
from rushlight.compiler.abstract import Abstract, user_line
from rushlight.errors import TraceError
from rushlight.ops.dispatch import compute

__all__ = ["infer"]


def infer(op, ins, params):
    """The abstract results of ``op``: its shape rule where it states one, else a dry run."""
    if op.kind == "source":
        return _infer_source(op, params)
    if op.dynamic(*ins, **params) if callable(op.dynamic) else op.dynamic:
        raise TraceError(
            f"{user_line()}: {op.name} gives a tensor whose shape depends on values, inside "
            "torch.compile. Move it out of the compiled function, or use a form of fixed shape "
            "such as torch.where."
        )
    if op.kind == "elementwise":
        return _infer_elementwise(op, ins, params)
    fake = _dry_list(ins[0]) if op.variadic else [_dry(v, op) for v in ins]
    fake_params = {k: _dry(v, op) if isinstance(v, Abstract) else v for k, v in params.items()}
    if "generator" in fake_params:
        fake_params["generator"] = None  # tell the shape, draw nothing
    with np.errstate(all="ignore"):
        found = compute(op, (fake,) if op.variadic else tuple(fake), fake_params)
    found = found if isinstance(found, tuple) else (found,)
    return [Abstract(a.shape, a.dtype, a.strides) for a in found]


def _dry_list(values):
    return [np.zeros(v.shape, v.dtype) for v in values]


def _dry(value, op):
    if not isinstance(value, Abstract):
        return value
    return value.like() if op.kind == "view" else np.zeros(value.shape, value.dtype)


def _infer_elementwise(op, ins, params):
    operands = [*ins, *[v for v in params.values() if isinstance(v, Abstract)]]
    shape = shapes.broadcast(op.name, *[v.shape for v in operands if isinstance(v, Abstract)])
    small = lambda v: (
        np.ones((1,) * min(len(v.shape), 1), v.dtype) if isinstance(v, Abstract) else v
    )
    with np.errstate(all="ignore"):
        found = compute(
            op, tuple([small(v) for v in ins]), {k: small(v) for k, v in params.items()}
        )
    return [Abstract(shape, found.dtype)]


def _infer_source(op, params):
    if op.shape is not None:
        shape, dtype = op.shape(**params)
        return [Abstract(shape, dtype)]
    if "shape" in params and "dtype" in params:
        return [Abstract(params["shape"], params["dtype"])]
    found = np.asarray(op.forward(xp, **params))
    return [Abstract(found.shape, found.dtype)]
