"""Results that go into given tensors: ``out=`` and in-place methods."""

import warnings
from functools import wraps

import rushlight.dtype as dtypes
from rushlight.autograd import mode
from rushlight.autograd.write import assign, check_overlap, check_write, write
from rushlight.dtype import OF
from rushlight.errors import ArgumentDtypeError, DtypeError
from rushlight.ops.definition import OPS
from rushlight.tensor import Tensor

__all__ = ["in_place", "store"]


#: Elementwise operations that write into nothing but the dtype of their result.
_OWN_DTYPE = {
    "abs", "bitwise_not", "ceil", "conj", "clamp_max_number", "clamp_min_number", "clamp_number",
    "floor", "frac", "isneginf", "isposinf", "lerp", "nan_to_num", "neg", "round",
    "round_decimals", "sgn", "sign", "signbit", "trunc", "where",
}  # fmt: skip
#: Other operations that write into any dtype to which their result can be cast.
_CASTING = {
    "addr", "cat", "logsumexp", "max_all", "min_all", "normal", "normal_", "stack", "std", "var",
}  # fmt: skip
#: Those that resize ``out`` without a word.
_SILENT = {
    "addbmm", "bernoulli", "empty", "eye", "full", "linspace", "logspace", "multinomial", "ones",
    "rand", "randint", "randn", "randperm", "zeros",
}  # fmt: skip


def store(out, result, name):
    """Write ``result`` into ``out`` as ``out=`` asks; returns ``out``.

    Raises:
        TypeError: ``out`` is no tensor, or not as many as there are results.
        RuntimeError: its dtype is not what the operation called ``name`` writes into, it requires
            grad or an input does, or several of its elements share a place in memory.
    """
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(
                f"{name}(): argument 'out' must be tuple of {len(result)} Tensors, not "
                f"{type(out).__name__}"
            )
        for o, r in zip(out, result, strict=True):
            store(o, r, name)
        if type(out) is type(result):
            return out
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if 0 in out.array.strides and out.array.size:
        check_overlap(out.array, name)
    if mode.is_grad_enabled() and (out.requires_grad or result.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    if out.array.dtype != result.array.dtype:
        _check_dtype(OF[out.array.dtype], OF[result.array.dtype], name)
    if out.array.shape != result.array.shape:
        _resize_out(out, result, name)
    return assign(out, result)


def _check_dtype(given, wanted, name):
    """Raise unless results of the dtype ``wanted`` may be written into the dtype ``given``."""
    if name == "bernoulli" or (name in ("all", "any") and given is dtypes.uint8):
        return  # ones and zeros, whatever the dtype
    op = OPS.get(name)
    if op is not None and op.kind == "elementwise":
        casts = name not in _OWN_DTYPE
    else:
        casts = name in _CASTING
    if not casts:
        raise DtypeError(
            f"{name}(): Expected out tensor to have dtype {wanted}, but got {given} instead"
        )
    if wanted.category > given.category:
        kind = ArgumentDtypeError if name in ("cat", "stack") else DtypeError
        raise kind(
            f"{name}(): result type {wanted.name} can't be cast to the desired output type "
            f"{given.name}"
        )


def _resize_out(out, result, name):
    if out.array.size and name not in _SILENT:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape "
            f"{list(out.array.shape)}, which does not match the required output shape "
            f"{list(result.array.shape)} of {name}; reuse an out tensor by resizing it to zero "
            "elements first: t.resize_(0)",
            stacklevel=4,
        )
    out.resize_(result.array.shape)


def _keep_overwritten(node, x):
    """Give ``node`` a copy of its first input, whose memory is about to be written."""
    tracing = mode.state.recorder is not None  # whose values nothing overwrites
    for i, origin in enumerate(node.op.origins):
        if origin == 0 and (tracing or node.saved[i] is x.array):
            copy = node.saved[i] if tracing else x.array.copy()
            node.saved = (*node.saved[:i], copy, *node.saved[i + 1 :])
            node.cells = (*node.cells[:i], None, *node.cells[i + 1 :])


def in_place(call, name):
    """The method ``name`` that writes the result of ``call`` back into its tensor."""

    @wraps(call)
    def written(self, *args, **kwargs):
        if not isinstance(self, Tensor):
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not {type(self).__name__}"
            )
        check_write(self, name)
        value = call(self, *args, **kwargs)
        if value.node is not None and value.node.saved:
            _keep_overwritten(value.node, self)
        return write(self, value, name)

    written.__name__ = written.__qualname__ = name
    written.__doc__ = f"In-place version of ``{name[:-1]}``."
    return written
