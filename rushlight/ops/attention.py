"""Scaled dot-product attention.

Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 for queries that share keys.
"""

from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.dropout import dropout
from rushlight.ops.matmul import matmul
from rushlight.ops.softmax import softmax
from rushlight.tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


def _check(query, key, value, mask, dropout_p, is_causal):
    name = "scaled_dot_product_attention"
    listed = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ShapeError(f"{name}: all inputs must be at least 2 dimensional, but got {listed}")
    if len({query.dtype, key.dtype, value.dtype}) > 1:
        raise DtypeError(
            f"{name}: Expected query, key, and value to have the same dtype, but got "
            f"{query.dtype}, "
            f"{key.dtype} and {value.dtype}"
        )
    if query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"{name}: query has {query.shape[-1]} features in its last dim, key has "
            f"{key.shape[-1]}: {listed}"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"{name}: key has {key.shape[-2]} positions, value has {value.shape[-2]}: {listed}"
        )
    if is_causal and mask is not None:
        raise RuntimeError(f"{name}: Explicit attn_mask should not be set when is_causal=True")
    if mask is not None and mask.dtype is not bool_ and mask.dtype is not query.dtype:
        raise DtypeError(
            f"{name}: Expected attn_mask dtype to be bool or to match query dtype, but got "
            f"{mask.dtype} and "
            f"{query.dtype}"
        )
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p}")


def _shared(name, query, key, value):
    """key and value repeated so that each head of ``query`` has one."""
    heads = query.shape[-3]
    for what, t in (("key", key), ("value", value)):
        if t.shape[-3] == 0 or heads % t.shape[-3]:
            raise ShapeError(
                f"{name}: with enable_gqa the number of heads of query ({heads}) must be "
                "divisible by "
                f"that of {what} ({t.shape[-3]})"
            )
    return [t.repeat_interleave(heads // t.shape[-3], -3) for t in (key, value)]


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query @ keyᵀ · scale + mask) @ value; scale None is 1 / √(features).

    ``attn_mask``: bool, where False hides a position, or floats that are added. ``is_causal``
    hides positions after the query's own. ``enable_gqa``: several heads of query share one of key
    and value.

    Shape: query (…, L, E), key (…, S, E), value (…, S, F), mask broadcastable to (…, L, S) →
    (…, L, F).

    Raises:
        RuntimeError: shapes or dtypes do not fit; both ``attn_mask`` and ``is_causal``.

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
    _check(query, key, value, attn_mask, dropout_p, is_causal)
    if enable_gqa:
        key, value = _shared("scaled_dot_product_attention", query, key, value)
    if scale is None:
        scale = query.shape[-1] ** -0.5 if query.shape[-1] else 1.0
    if is_causal:
        shape = (query.shape[-2], key.shape[-2])
        attn_mask = query.new_ones(shape, dtype=bool_).tril()
    scores = matmul(query * scale, key.mT)
    if attn_mask is not None and attn_mask.dtype is bool_:
        scores = scores.masked_fill(attn_mask.logical_not(), float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = softmax(scores, -1)
    if attn_mask is not None:
        # A query that sees nothing attends to nothing.
        blind = (scores == float("-inf")).all(-1, keepdim=True)
        weights = weights.masked_fill(blind, 0)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p, True)
    return matmul(weights, value)
