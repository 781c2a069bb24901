"""Scaled dot-product attention.

Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 for grouped-query attention.
"""

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import watch
from rushlight.backend import numpy as backend
from rushlight.backend.products import matrix_product
from rushlight.backend.sizes import large_from
from rushlight.dtype import bool as bool_
from rushlight.dtype import float32
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.autocast import LOWER, autocasts
from rushlight.ops.core.fast_path import FLOATS, plain
from rushlight.ops.core.half_precision import rounded_once
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.replays import replayed
from rushlight.ops.core.rules import total
from rushlight.ops.create.range import arange
from rushlight.ops.linear.matmul import matmul
from rushlight.ops.random.dropout import dropout_noise
from rushlight.ops.reduce.softmax import softmax, softmax_
from rushlight.shapes import broadcast
from rushlight.strides import visit_order
from rushlight.tensor import Tensor, from_array

__all__ = ["attention_of", "through_tensors", "scaled_dot_product_attention"]

INF = float("inf")
#: Up to so many products of a query's feature and a key, NumPy computes the result at once.
_FEW = large_from(1 << 17)


def _listed(query, key, value):
    return f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"


def _check(query, key, value, mask, dropout_p, is_causal):
    name = "scaled_dot_product_attention"
    if min(query.ndim, key.ndim, value.ndim) < 2:
        listed = _listed(query, key, value)
        raise ShapeError(f"{name}: all inputs must be at least 2 dimensional, but got {listed}")
    if not query.dtype is key.dtype is value.dtype:
        raise DtypeError(
            f"{name}: Expected query, key, and value to have the same dtype, but got "
            f"{query.dtype}, "
            f"{key.dtype} and {value.dtype}"
        )
    if query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"{name}: query has {query.shape[-1]} features in its last dim, key has "
            f"{key.shape[-1]}: {_listed(query, key, value)}"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"{name}: key has {key.shape[-2]} positions, value has {value.shape[-2]}: "
            f"{_listed(query, key, value)}"
        )
    if is_causal and mask is not None:
        raise RuntimeError(f"{name}: Explicit attn_mask should not be set when is_causal=True")
    if mask is not None and mask.dtype not in (bool_, float32, query.dtype):
        raise DtypeError(
            f"{name}: Expected attn_mask dtype to be bool or float or to match query dtype, but "
            f"got {mask.dtype} and {query.dtype}"
        )
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")


def _shared(query, key, value):
    """``key`` and ``value`` with their heads repeated, so that each head of ``query`` has one."""
    heads = query.shape[-3]
    for what, t in (("key", key), ("value", value)):
        if t.shape[-3] == 0 or heads % t.shape[-3]:
            raise ShapeError(
                "scaled_dot_product_attention: with enable_gqa the number of heads of query "
                f"({heads}) must be divisible by that of {what} ({t.shape[-3]})"
            )
    return [t.repeat_interleave(heads // t.shape[-3], -3) for t in (key, value)]


# Attention written out ---------------------------------------------------------------------


def _weights(query, key, mask, scale, causal):
    """softmax(query @ keyᵀ · scale + mask)."""
    scores = matmul(query * scale, key.mT)
    hidden = None
    if causal:
        hidden = arange(key.shape[-2]) > arange(query.shape[-2]).unsqueeze(1)
    elif mask is not None and mask.dtype is bool_:
        hidden = mask.logical_not()
    elif mask is not None:
        scores = scores + mask
    if hidden is not None:
        scores = scores.masked_fill(hidden, -INF)
    if mask is None:
        return softmax(scores, -1)
    # A query whose keys are all hidden gets weights 0. Its scores become 0 before the softmax,
    # because the gradient through a softmax of infinities is nan.
    blind = (scores == -INF).all(-1, keepdim=True)
    return softmax(scores.masked_fill(blind, 0), -1).masked_fill(blind, 0)


def _attended(query, key, value, mask, noise, scale, causal):
    """The weighted sums of the values. ``noise`` is dropout's factor for each weight, or None."""
    weights = _weights(query, key, mask, scale, causal)
    return matmul(weights if noise is None else weights * noise, value)


def _slopes(g, query, key, value, mask, noise, scale, causal):
    """The gradients of query, key and value."""
    weights = _weights(query, key, mask, scale, causal)
    dropped = weights if noise is None else weights * noise
    to_weights = matmul(g, value.mT)
    met = (to_weights if noise is None else to_weights * noise) * weights
    to_scores = (met - weights * total(met, (met._array.ndim - 1,))) * scale
    return matmul(to_scores, key), matmul(to_scores.mT, query), matmul(dropped.mT, g)


# As one operation of a trace ---------------------------------------------------------------
#
# A trace records attention as one operation, so that the compiler can use a kernel that never
# holds all weights at once. Without this kernel the operation is lowered to the functions above.
# Eager calls use those functions, too.


def through_tensors(written_out, arrays, **params):
    """The result of ``written_out``, a function of tensors, for ``arrays``."""
    tensors = [None if a is None else from_array(a) for a in arrays]
    with mode.suspended(), mode.no_grad():
        found = written_out(*tensors, **params)
    return tuple([t._array for t in found]) if type(found) is tuple else found._array


def _shape(query, key, value, *_, **params):
    return (*query.shape[:-1], value.shape[-1]) if _same_heads(query, key, value) else None


def _slope_shapes(g, query, key, value, *_, **params):
    same = _same_heads(query, key, value)
    return [query.shape, key.shape, value.shape] if same else None


def _same_heads(query, key, value):
    return query.shape[:-2] == key.shape[:-2] == value.shape[:-2]


@kernel(public=False, method=False, name="attention", shape=_shape,
        primitive="attention result")  # fmt: skip
def _attention(xp, query, key, value, mask=None, noise=None, *, scale, causal):
    """softmax(query @ keyᵀ · scale + mask) · noise @ value."""
    operands = (query, key, value, mask, noise)
    return through_tensors(_attended, operands, scale=scale, causal=causal)


@kernel(public=False, method=False, name="attention_backward", shape=_slope_shapes,
        primitive="attention grad")  # fmt: skip
def _attention_back(xp, g, query, key, value, mask=None, noise=None, *, scale, causal):
    """The gradients of query, key and value from the gradient of the result."""
    operands = (g, query, key, value, mask, noise)
    return through_tensors(_slopes, operands, scale=scale, causal=causal)


_attention.lower(lambda query, key, value, mask, noise, scale, causal: (
    _attended(query, key, value, mask, noise, scale, causal)
))  # fmt: skip
_attention_back.lower(lambda g, query, key, value, mask, noise, scale, causal: (
    _slopes(g, query, key, value, mask, noise, scale, causal)
))  # fmt: skip


def _slope(i):
    def rule(g, query, key, value, mask, noise, scale, causal):
        if type(g) is not ndarray and mode.records():  # to be differentiated again
            return _slopes(g, query, key, value, mask, noise, scale, causal)[i]
        operands = (g, query, key, value, mask, noise)
        return _attention_back(*operands, scale=scale, causal=causal)[i]

    return rule


_attention.grad(query=_slope(0), key=_slope(1), value=_slope(2))


# Function ----------------------------------------------------------------------------------

#: None, or what ``nn.attention.sdpa_kernel`` demands: a function of the arguments that raises if
#: PyTorch had no kernel for them.
_check_kernels = None


def exchange_check(check):
    """Let ``check`` look at the arguments of each call (None: nothing does); give the last one."""
    global _check_kernels
    before, _check_kernels = _check_kernels, check
    return before


@in_c
@takes(
    strict=True,
    kinds={"query": "Tensor", "key": "Tensor", "value": "Tensor", "scale": "float"},
)
@autocasts(LOWER)
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """Compute softmax(query @ keyᵀ · scale + mask) @ value.

    Args:
        query: Tensor ``(*, L, E)``.
        key: Tensor ``(*, S, E)``.
        value: Tensor ``(*, S, F)``.
        attn_mask: Tensor that broadcasts to ``(*, L, S)``. A bool False hides a position; floats
            are added to the scores. Default: hide nothing.
        dropout_p: Probability that a weight is dropped. Default: 0.
        is_causal: Hide the positions after the query's own. Default: False.
        scale: Factor of the scores. Default: 1 / √E.
        enable_gqa: Let several heads (dim -3) of query share one head of key and value. Default:
            False.

    Returns:
        Tensor ``(*, L, F)``.

    Raises:
        RuntimeError: Shapes or dtypes do not fit; both ``attn_mask`` and ``is_causal`` are given.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    for position, (what, t) in enumerate((("query", query), ("key", key), ("value", value)), 1):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"scaled_dot_product_attention(): argument '{what}' (position {position}) must "
                "be Tensor, "
                f"not {type(t).__name__}"
            )
    if hasattr(attn_mask, "_attention"):  # a CausalBias
        return attn_mask._attention(query, key, value, dropout_p, is_causal, scale, enable_gqa)
    _check(query, key, value, attn_mask, dropout_p, is_causal)
    if _check_kernels is not None:
        _check_kernels(query, key, value, attn_mask, dropout_p, enable_gqa)
    if scale is None:
        scale = query.shape[-1] ** -0.5 if query.shape[-1] else 1.0
    return attention_of(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


scaled_dot_product_attention.composes = False  # what it does depends on ``_check_kernels``, too


@replayed
def attention_of(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=1.0, enable_gqa=False
):
    """``scaled_dot_product_attention`` of arguments that fit, without a look at them."""
    if attn_mask is None and not dropout_p and not mode.intercept:
        found = _of_few(query, key, value, is_causal, scale)
        if found is not None:
            return found
    noise = None
    if dropout_p > 0:
        batch = broadcast("attention", *[t._array.shape[:-2] for t in (query, key)])
        shape = (*batch, query.shape[-2], key.shape[-2])
        noise = dropout_noise(query.new_empty(shape), dropout_p, True)
    one = _is_one_operation(query, key, value, attn_mask, noise, enable_gqa)
    whole = mode.recorder() is not None and (attn_mask is None or attn_mask.node is None)
    if whole:
        if enable_gqa:
            key, value = _shared(query, key, value)
        found = _attention(query, key, value, attn_mask, noise, scale=scale, causal=is_causal)
        found = found.to(query.dtype)  # a float32 mask makes half precision float32
        return _laid_as(query, found) if one else found

    def written_out(query, key, value, noise):  # a float32 mask may meet half precision
        if enable_gqa:
            key, value = _shared(query, key, value)
        return _attended(query, key, value, attn_mask, noise, scale, is_causal)

    found = rounded_once(written_out, query, key, value, noise)
    if not one:
        return found
    found = _laid_as(query, found)
    if found.node is not None:
        watch(found, query, key, value, found)
    return found


def _of_few(query, key, value, causal, scale):
    """The result of small operands without history, on arrays; None: not such operands."""
    if mode.records() and (query.node or key.node or value.node):
        return None
    q, k, v = plain(query), plain(key), plain(value)
    if not (q.dtype in FLOATS and q.flags.c_contiguous and q.shape[:-2] == k.shape[:-2]) or not (
        k.shape[:-2] == v.shape[:-2] and 0 < q.size * k.shape[-2] <= _FEW and v.size
    ):
        return None
    multiply = matrix_product if q.ndim == 2 else np.matmul
    scores = multiply(q * scale, k.swapaxes(-1, -2))
    if causal:
        hidden = np.arange(k.shape[-2]) > np.arange(q.shape[-2])[:, None]
        np.copyto(scores, -INF, where=hidden)
    weights = softmax_.op.forward(backend, scores, dim=(scores.ndim - 1,))
    return from_array(multiply(weights, v))


def _is_one_operation(query, key, value, mask, noise, shares_heads):
    """Whether PyTorch runs one operation, which saves its operands and its result.

    Otherwise PyTorch's result is that of a matrix product, which is contiguous.
    """
    first, *others = [t._array.shape for t in (query, key, value)]
    return (
        noise is None
        and (mask is None or mask.node is None)
        and len(first) == 4
        and 0 not in first
        and all(
            len(s) == 4 and 0 not in s and s[0] == first[0] and s[3] == first[3] for s in others
        )
        and (shares_heads or all(s[1] == first[1] for s in others))
        and all(t.stride(-1) == 1 for t in (query, key, value))
    )


def _laid_as(query, found):
    """``found`` with its dims in the memory order of ``query`` (batch, heads, L, E)."""
    x = query._array
    if query.is_contiguous():
        return found
    order = visit_order(x.shape, x.strides)
    return found.permute(order).contiguous().permute(*np.argsort(order).tolist())
