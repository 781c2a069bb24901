"""Attention of nested tensors: each sequence attends to the sequence of the same batch entry."""

import rushlight
from rushlight.errors import LayoutError, ShapeError
from rushlight.nested.jagged import NestedTensor, jagged, rule
from rushlight.nested.ragged import Ragged

__all__: list[str] = []  # the rules are found by name


@rule
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    _check(query, key, value, attn_mask)
    parts = [t.unbind() for t in (query, key, value)]
    if len({len(p) for p in parts}) != 1:
        raise ShapeError(
            "scaled_dot_product_attention: query, key and value must have one batch size, but got "
            f"{[len(p) for p in parts]}"
        )
    attend = rushlight.nn.functional.scaled_dot_product_attention
    found = [
        attend(q, k, v, None, dropout_p, is_causal, scale, enable_gqa)
        for q, k, v in zip(*parts, strict=True)
    ]
    if not found:
        return query.with_values(value.stored.narrow(1, 0, 0))
    # The values lie in memory as (sum, heads, d): PyTorch's kernels write them so, and then
    # transpose(1, 2).flatten(-2) shares the memory.
    values = rushlight.cat([t.transpose(0, 1) for t in found]).transpose(0, 1)
    pattern = query.pattern
    if not pattern.is_whole(values.shape[1]):
        return jagged(values, Ragged.of_lengths(pattern.counts), 2)
    return query.with_values(values)


def _check(query, key, value, attn_mask):
    named = (("query", query), ("key", key), ("value", value))
    for name, t in named:
        if not isinstance(t, NestedTensor):
            raise LayoutError(
                "scaled_dot_product_attention: query, key and value must all be jagged nested "
                f"tensors, but {name} is a dense tensor of shape {tuple(t.shape)}"
            )
        if t.ndim != 4 or t.ragged != 2:
            raise ShapeError(
                f"scaled_dot_product_attention: {name} must have the shape (batch, heads, j, "
                f"features) with ragged dim 2, but its shape is {tuple(t.shape)}; use "
                "transpose(1, 2)"
            )
    if not key.pattern.same_as(value.pattern):
        raise ShapeError(
            "scaled_dot_product_attention: key and value must have the same ragged dim, but got "
            f"{key.sizes} and {value.sizes}"
        )
    if attn_mask is not None:
        raise ValueError("Masks are not yet supported for jagged layout NestedTensors; leave "
                         "attn_mask out, or pad the tensors")  # fmt: skip
