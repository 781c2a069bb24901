"""Multi-head attention with its projections and masks.

Source: Vaswani et al. 2017.
"""

import math
import warnings

from rushlight.autograd import mode
from rushlight.dtype import bool as bool_
from rushlight.nn.functional.dropout import dropout
from rushlight.ops.linear.linear import linear
from rushlight.ops.reduce.softmax import softmax
from rushlight.ops.sequence.attention import scaled_dot_product_attention
from rushlight.ops.shape.join import cat

__all__ = ["canonical_mask", "multi_head_attention_forward"]


def canonical_mask(mask, name, dtype, other=None, other_name=""):
    """Convert ``mask`` to numbers that are added to the scores: a bool True becomes -inf.

    Raises:
        AssertionError: The mask has an integer dtype.
    """
    if mask is None:
        return None
    if mask.dtype is not bool_ and not mask.dtype.is_floating_point:
        raise AssertionError(
            f"multi_head_attention: only bool and floating types of {name} are supported, got "
            f"{mask.dtype}"
        )
    if other is not None and other.dtype is not mask.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated: they are "
            f"{mask.dtype} and {other.dtype}; give both the same dtype",
            stacklevel=3,
        )
    if mask.dtype is bool_:
        mask = mask.new_zeros(mask.shape, dtype=dtype).masked_fill(mask, -math.inf)
    return mask


def _require(holds, message):
    if not holds:
        raise AssertionError(f"multi_head_attention: {message}")


def _check_dims(query, key, value, key_padding_mask, attn_mask, num_heads):
    """Return True if there is a batch dim; raise AssertionError if a number of dims is wrong."""
    dims = query.dim()
    _require(
        dims in (2, 3),
        f"query should be unbatched 2D or batched 3D tensor but received {dims}-D query tensor",
    )
    for name, t in (("key", key), ("value", value)):
        _require(t.dim() == dims, f"query has {dims} dims, {name} {tuple(t.shape)} has not")
    if key_padding_mask is not None:
        _require(
            key_padding_mask.dim() == dims - 1,
            f"for a {dims}-D query key_padding_mask must have {dims - 1} dims, but is "
            f"{tuple(key_padding_mask.shape)}",
        )
    if attn_mask is not None:
        _require(
            attn_mask.dim() in (2, 3),
            f"attn_mask must have 2 or 3 dims, but is {tuple(attn_mask.shape)}",
        )
        if dims == 2 and attn_mask.dim() == 3:
            expected = (num_heads, query.shape[0], key.shape[0])
            _require(
                tuple(attn_mask.shape) == expected,
                f"expected attn_mask of shape {expected}, but it is {tuple(attn_mask.shape)}",
            )
    return dims == 3


def _as_batch(query, key, value, batch_first):
    """Add a batch dim to query, key and value. If two are the same tensor, they stay the same."""
    made = {id(t): t.unsqueeze(0 if batch_first else 1) for t in (query, key, value)}
    return [made[id(t)] for t in (query, key, value)]


def _check_sizes(query, key, value, features, num_heads, apart):
    found = query.shape[2]
    _require(found == features, f"was expecting embedding dimension of {features}, but got {found}")
    _require(found % num_heads == 0, f"embed_dim {found} not divisible by num_heads {num_heads}")
    dims = slice(0, 2 if apart else 3)
    _require(
        key.shape[dims] == value.shape[dims],
        f"key shape {tuple(key.shape)} does not match value shape {tuple(value.shape)}",
    )


def _masks(key_padding_mask, attn_mask, is_causal, need_weights, dtype):
    """Return both masks as numbers to add, and True if the kernel itself must hide later keys."""
    key_padding_mask = canonical_mask(
        key_padding_mask, "key_padding_mask", dtype, attn_mask, "attn_mask"
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "multi_head_attention: Need attn_mask if specifying the is_causal hint; "
            "Transformer.generate_square_subsequent_mask makes it"
        )
    if is_causal and key_padding_mask is None and not need_weights:
        return None, None, True
    return key_padding_mask, canonical_mask(attn_mask, "attn_mask", dtype), False


# Parts ------------------------------------------------------------------------------------


def _projected(query, key, value, weight, bias):
    """Project query, key and value by the thirds of one weight, in as few products as possible."""
    _require(weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
    if key is value and query is key:
        return linear(query, weight, bias).chunk(3, -1)
    n = query.shape[-1]
    q_bias, rest = (None, None) if bias is None else (bias[:n], bias[n:])
    q = linear(query, weight[:n], q_bias)
    if key is value:
        return (q, *linear(key, weight[n:], rest).chunk(2, -1))
    biases = (None, None) if rest is None else rest.chunk(2)
    parts = zip((key, value), weight[n:].chunk(2), biases, strict=True)
    return (q, *[linear(x, w, b) for x, w, b in parts])


def _projected_apart(given, weights, bias):
    """Project query, key and value, each by a weight of its own."""
    _require(
        all(w is not None for w in weights),
        "use_separate_proj_weight is True but the weight of a projection is None",
    )
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    return [linear(x, w, b) for x, w, b in zip(given, weights, biases, strict=True)]


def _to_heads(x, num_heads, batch_first):
    """Reshape (steps, batch, features) to (batch, heads, steps, features of a head).

    With ``batch_first`` the input is (batch, steps, features).
    """
    x = x.reshape(*x.shape[:2], num_heads, x.shape[2] // num_heads)
    return x.transpose(1, 2) if batch_first else x.permute(1, 2, 0, 3)


def _from_heads(x, batch_first):
    batch, heads, steps, features = x.shape
    if batch_first:
        return x.transpose(1, 2).reshape(batch, steps, heads * features)
    return x.permute(2, 0, 1, 3).reshape(steps, batch, heads * features)


def _mask_of_heads(attn_mask, batch, heads, rows, columns):
    """Return ``attn_mask`` in a shape that broadcasts to (batch, heads, rows, columns)."""
    shape = tuple(attn_mask.shape)
    if attn_mask.dim() == 2:
        if shape != (rows, columns):
            raise RuntimeError(
                f"multi_head_attention: The shape of the 2D attn_mask is {shape}, but should be "
                f"{(rows, columns)}"
            )
        return attn_mask
    if shape != (batch * heads, rows, columns):
        raise RuntimeError(
            f"multi_head_attention: The shape of the 3D attn_mask is {shape}, but should be "
            f"{(batch * heads, rows, columns)}"
        )
    return attn_mask.reshape(batch, heads, rows, columns)


def _with_column(mask):
    """Return ``mask`` with a column for one more key, which is not hidden."""
    return mask if mask is None else cat([mask, mask.new_zeros((*mask.shape[:-1], 1))], -1)


def _merged(attn_mask, key_padding_mask, batch, columns):
    """Add both masks to one that broadcasts to (batch, heads, rows, columns)."""
    if key_padding_mask is None:
        return attn_mask
    for dim, expected in enumerate((batch, columns)):
        _require(
            key_padding_mask.shape[dim] == expected,
            f"key_padding_mask {tuple(key_padding_mask.shape)} should be {(batch, columns)}",
        )
    padding = key_padding_mask.reshape(batch, 1, 1, columns)
    return padding if attn_mask is None else attn_mask + padding


def _extended(x, bias, static, add_zero):
    """Return ``x`` (batch, heads, steps, features) with up to two more steps.

    The first further step is ``bias``, the second is zeros with ``add_zero``. If ``static`` is
    given, it replaces ``x``.
    """
    batch, heads, _, features = x.shape
    if bias is not None:
        _require(static is None, "bias cannot be added to static key or value")
        step = bias.reshape(1, heads, 1, features).expand(batch, heads, 1, features)
        x = cat([x, step], 2)
    if static is not None:
        _require(
            static.shape[0] == batch * heads and static.shape[2] == features,
            f"expecting static_k and static_v of shape ({batch * heads}, steps, {features}), but "
            f"got {tuple(static.shape)}",
        )
        x = static.reshape(batch, heads, static.shape[1], features)
    return cat([x, x.new_zeros((batch, heads, 1, features))], 2) if add_zero else x


def _of_heads(q, k, v, mask, dropout_p, need_weights, is_causal):
    """Return (the attention of all heads, its weights or None).

    q, k and v have the shape (batch, heads, steps, features).
    """
    if not need_weights:
        return scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal), None
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    weights = softmax(scores if mask is None else scores + mask, -1)
    if dropout_p > 0.0:
        weights = dropout(weights, dropout_p)
    return weights @ v, weights


# The function -----------------------------------------------------------------------------


def multi_head_attention_forward(
    query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v,
    add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None,
    need_weights=True, attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None,
    k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None,
    average_attn_weights=True, is_causal=False, *, batch_first=False,
):  # fmt: skip
    """Compute multi-head attention with its projections, as ``nn.MultiheadAttention`` does.

    L is the number of queries, S the number of keys, and E the number of features.

    Args:
        query: Tensor ``(L, N, E)`` or ``(L, E)``.
        key: Tensor ``(S, N, E)`` or ``(S, E)``.
        value: Tensor of ``key``'s shape.
        embed_dim_to_check: E.
        num_heads: Number of heads; it must divide E.
        in_proj_weight: Tensor ``(3E, E)``: the projections of query, key and value, one after the
            other.
        in_proj_bias: Tensor ``(3E)`` or None: the biases of these projections.
        bias_k, bias_v: Tensors ``(1, 1, E)`` that are appended to the keys and values as one more
            step, or None.
        add_zero_attn: Append one more step of zeros to the keys and values.
        dropout_p: Probability that an attention weight is dropped in training.
        out_proj_weight: Tensor ``(E, E)``: the projection of the result.
        out_proj_bias: Tensor ``(E)`` or None: the bias of this projection.
        training: Apply the dropout. Default: True.
        key_padding_mask: Tensor ``(N, S)`` or ``(S)``. A bool True hides a key; floats are added to
            the scores. Default: hide nothing.
        need_weights: Return the attention weights, too. Default: True.
        attn_mask: Tensor ``(L, S)`` or ``(N · num_heads, L, S)`` with values as in
            ``key_padding_mask``. Default: hide nothing.
        use_separate_proj_weight: Project by the next three weights instead of ``in_proj_weight``.
            Key and value may then have other numbers of features. Default: False.
        q_proj_weight, k_proj_weight, v_proj_weight: Tensors ``(E, features)``.
        static_k, static_v: Tensors ``(N · num_heads, S, E / num_heads)`` that replace the projected
            key and value.
        average_attn_weights: Return the mean of the heads' attention weights. Default: True.
        is_causal: States that ``attn_mask`` hides all later keys, for speed. Default: False.
        batch_first: N is the first dim of query, key, value and result. It is an addition of
            rushlight. Default: False.

    Returns:
        The result, of ``query``'s shape, and the attention weights ``(N, L, S)``. Without averaging
        they are ``(N, num_heads, L, S)``, and without ``need_weights`` None. For an unbatched
        ``query`` all shapes are without N.

    Raises:
        AssertionError: Shapes or dtypes do not fit.
        RuntimeError: ``is_causal`` is given without ``attn_mask``, or a mask has a wrong shape.

    >>> import rushlight as torch
    >>> x, w = torch.ones(2, 1, 4), torch.eye(4)
    >>> out, weights = torch.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 4, 2, torch.cat([w, w, w]), None, None, None, False, 0.0, w, None
    ... )
    >>> weights
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    batched = _check_dims(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = _as_batch(query, key, value, batch_first)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    key_padding_mask, attn_mask, is_causal = _masks(
        key_padding_mask, attn_mask, is_causal, need_weights, query.dtype
    )
    if use_separate_proj_weight:
        weights = q_proj_weight, k_proj_weight, v_proj_weight
        projected = _projected_apart((query, key, value), weights, in_proj_bias)
    else:
        projected = _projected(query, key, value, in_proj_weight, in_proj_bias)
    q, k, v = [_to_heads(x, num_heads, batch_first) for x in projected]
    batch = q.shape[0]
    if attn_mask is not None:
        attn_mask = _mask_of_heads(attn_mask, batch, num_heads, q.shape[2], k.shape[2])
    _require((bias_k is None) == (bias_v is None), "one of bias_k and bias_v is None")
    k, v = (_extended(*t, add_zero_attn) for t in ((k, bias_k, static_k), (v, bias_v, static_v)))
    for _ in range((bias_k is not None) + bool(add_zero_attn)):
        attn_mask, key_padding_mask = _with_column(attn_mask), _with_column(key_padding_mask)
    mask = _merged(attn_mask, key_padding_mask, batch, k.shape[2])
    found, weights = _of_heads(
        q, k, v, mask, dropout_p if training else 0.0, need_weights, is_causal
    )
    # In training, and where a gradient is wanted, PyTorch's result is stored in the order of the
    # steps. A dropout that follows draws numbers in the order of memory, so equal results need the
    # same layout.
    ends = found, out_proj_weight, out_proj_bias
    wanted = mode.records() and any(t is not None and t.requires_grad for t in ends)
    by_batch = batch_first and not training and not wanted
    out = linear(_from_heads(found, by_batch), out_proj_weight, out_proj_bias)
    if batch_first and not by_batch:
        out = out.transpose(0, 1)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if batched:
        return out, weights
    return out.squeeze(0 if batch_first else 1), None if weights is None else weights.squeeze(0)
