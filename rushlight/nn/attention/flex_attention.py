"""Attention whose scores are changed by a function of single positions.

Source: Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention
Kernels".
"""

import math
import warnings
from typing import Any, NamedTuple

from rushlight.autograd import mode
from rushlight.dtype import float32, float64
from rushlight.func.positions import over_positions, recorded
from rushlight.nn.attention.block_mask import BlockMask, create_block_mask, rule_of, sliced
from rushlight.nn.attention.positions import (
    and_masks,
    create_mask,
    noop_mask,
    or_masks,
)
from rushlight.ops.core.autocast import LOWER, autocasts
from rushlight.ops.index.mask import where
from rushlight.ops.linear.matmul import matmul
from rushlight.ops.reduce.softmax import logsumexp, softmax
from rushlight.ops.sequence.attention import attention_of
from rushlight.ops.sequence.flexible_attention import changed_attention
from rushlight.tensor import Tensor

__all__ = [
    "_DEFAULT_SPARSE_BLOCK_SIZE", "AuxOutput", "AuxRequest", "BlockMask", "FlexKernelOptions",
    "and_masks", "create_block_mask", "create_mask", "flex_attention", "noop_mask",
    "or_masks",
]  # fmt: skip

INF = float("inf")

#: The numbers of queries and of keys in a block of a mask, where ``BLOCK_SIZE`` is not given.
_DEFAULT_SPARSE_BLOCK_SIZE = 128

#: The type of ``kernel_options``: settings of PyTorch's GPU kernels.
FlexKernelOptions = dict


class AuxRequest(NamedTuple):
    """What ``flex_attention`` returns besides the attention.

    Args:
        lse: The logarithm of the sum of the exponentials of each query's scores. Default: False.
        max_scores: The largest score of each query. Default: False.

    >>> from rushlight.nn.attention.flex_attention import AuxRequest
    >>> AuxRequest(lse=True)
    AuxRequest(lse=True, max_scores=False)
    """

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What an ``AuxRequest`` asked for: tensors ``(B, Hq, L)``, or None.

    Args:
        lse: The logarithm of the sum of the exponentials of each query's scores, or None.
        max_scores: The largest score of each query, or None.

    >>> from rushlight.nn.attention.flex_attention import AuxOutput
    >>> AuxOutput().lse is None
    True
    """

    lse: Tensor | None = None
    max_scores: Tensor | None = None


@autocasts(LOWER)
def flex_attention(
    query, key, value, score_mod=None, block_mask=None, scale=None, enable_gqa=False,
    return_lse=False, kernel_options=None, *, return_aux=None,
):  # fmt: skip
    """Compute softmax(score_mod(query @ keyᵀ · scale)) @ value, where a block mask lets it.

    ``score_mod`` and the rule of ``block_mask`` see single positions; ``torch.vmap`` applies them
    to all. Tensors that they capture receive gradients, as the inputs do. A query that may attend
    to no key gets 0.

    Args:
        query: Tensor ``(B, Hq, L, E)``.
        key: Tensor ``(B, Hkv, S, E)``.
        value: Tensor ``(B, Hkv, S, Ev)``.
        score_mod: A function of scalar tensors ``(score, b, h, q_idx, kv_idx)`` that returns the
            new score. Default: keep the scores.
        block_mask: A ``BlockMask``. Default: each query may attend to all keys.
        scale: Factor of the scores. Default: 1 / √E.
        enable_gqa: Let several heads of query share one head of key and value. Default: False.
        return_lse: Return the logarithm of the sums of exponentials, too. Deprecated: use
            ``return_aux=AuxRequest(lse=True)``.
        kernel_options: Accepted without effect.
        return_aux: An ``AuxRequest`` of further results. Default: None.

    Returns:
        Tensor ``(B, Hq, L, Ev)``. With ``return_aux`` a pair of it and an ``AuxOutput``; with
        ``return_lse`` a pair of it and the tensor ``(B, Hq, L)``.

    Raises:
        ValueError: Shapes do not fit each other or the ``block_mask``.
        NotImplementedError: An input does not have 4 dims.
        RuntimeError: ``block_mask`` was sliced, and its rule was not set anew.

    >>> import rushlight as torch
    >>> from rushlight.nn.attention.flex_attention import create_block_mask, flex_attention
    >>> q = k = torch.zeros(1, 1, 3, 2)
    >>> v = torch.tensor([[[[1.0], [2.0], [6.0]]]])
    >>> causal = create_block_mask(lambda b, h, q_idx, kv_idx: q_idx >= kv_idx, 1, 1, 3, 3)
    >>> flex_attention(q, k, v, block_mask=causal).flatten()
    tensor([1.0000, 1.5000, 3.0000])
    >>> flex_attention(q, k, v, lambda score, b, h, q_idx, kv_idx: score + 99 * kv_idx).flatten()
    tensor([6., 6., 6.])
    """
    _check(query, key, value, block_mask, enable_gqa)
    if return_lse:
        if return_aux is not None:
            raise ValueError(
                "Cannot specify both return_lse and return_aux. return_lse is deprecated, please "
                "use return_aux=AuxRequest(lse=True) instead."
            )
        warnings.warn(
            "return_lse is deprecated. Please use return_aux=AuxRequest(lse=True) instead.",
            FutureWarning,
            stacklevel=2,
        )
    if scale is None:
        scale = 1.0 / math.sqrt(query.shape[-1])
    sizes = (*query.shape[:3], key.shape[2])
    key, value = [t.expand(sizes[0], -1, -1, -1) for t in (key, value)]
    sees = None if block_mask is None else rule_of(block_mask)
    if _is_compiled() and not return_lse and return_aux is None:
        found = _in_a_kernel(query, key, value, score_mod, block_mask, sees, float(scale), sizes)
        if found is not None:
            return found
    mask = None if sees is None else over_positions(sees, sizes=sizes, device=query.device)
    if score_mod is None and not return_lse and return_aux is None:
        key, value = key.to(query.dtype), value.to(query.dtype)
        return attention_of(query, key, value, mask, scale=float(scale), enable_gqa=enable_gqa)
    repeats = query.shape[1] // key.shape[1]
    if repeats > 1:
        key, value = [t.repeat_interleave(repeats, 1) for t in (key, value)]
    scores = _scores(query, key, scale, score_mod, mask, sizes)
    # The scores of a query that may attend to nothing become 0 before the softmax, because the
    # gradient through a softmax of infinities is nan.
    blind = (scores == -INF).all(-1, keepdim=True)
    filled = scores.masked_fill(blind, 0)
    weights = softmax(filled, -1).masked_fill(blind, 0)
    out = matmul(weights.to(query.dtype), value.to(query.dtype))
    if return_aux is None and not return_lse:
        return out
    lse = logsumexp(filled, -1).masked_fill(blind.squeeze(-1), -INF)
    if return_aux is None:
        return out, lse
    most = scores.amax(-1) if return_aux.max_scores else None
    return out, AuxOutput(lse if return_aux.lse else None, most)


def _is_compiled():
    recorder: Any = mode.recorder()
    return recorder is not None and not recorder.batches and not recorder.exporting


def _in_a_kernel(query, key, value, score_mod, block_mask, sees, scale, sizes):
    """Attention whose kernel changes and hides the scores; None if no kernel can.

    Gradients of tensors that the rules capture need all scores.
    """
    working = float64 if query.dtype is float64 else float32

    def rule(score, *position):
        new = score if score_mod is None else score_mod(score, *position)
        return new if sees is None else where(sees(*position), new, -INF)

    found = recorded(rule, working, sizes)
    if found is None:
        return None
    program, captured = found
    if any(t.requires_grad for t in captured):
        return None
    key, value = [t.repeat_interleave(sizes[1] // t.shape[1], 1) for t in (key, value)]
    tensors = [t.to(working) for t in (query, key, value)]
    block = None
    if block_mask is not None:
        block = block_mask.BLOCK_SIZE
        tensors.append((block_mask.to_dense() != 0).contiguous())
    tensors += [t.contiguous() for t in captured]
    found = changed_attention(tensors, scale=scale, program=program, block=block)
    return found.to(query.dtype)


def _scores(query, key, scale, score_mod, mask, sizes):
    """The changed scores ``(B, Hq, L, S)`` in float32 or float64; -inf where the mask hides."""
    working = float64 if query.dtype is float64 else float32
    scores = matmul(query.to(working), key.to(working).mT) * scale
    if score_mod is not None:
        scores = over_positions(score_mod, scores, sizes=sizes, device=query.device)
    return scores if mask is None else where(mask, scores, -INF)


def _check(query, key, value, block_mask, enable_gqa):
    """Raise PyTorch's errors for inputs that do not fit."""
    listed = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if query.ndim != 4 or key.ndim != 4 or value.ndim != 4:
        raise NotImplementedError(f"NYI: query, key, and value must be 4D tensors, got {listed}")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension but got "
            f"E={query.shape[-1]} and E={key.shape[-1]}."
        )
    if key.shape[:3] != value.shape[:3]:
        raise ValueError(f"Expect key and value to have the same batch, heads and length: {listed}")
    heads, shared = query.shape[1], key.shape[1]
    if not enable_gqa and heads != shared:
        raise ValueError(
            "Expect query and key/value to have the same number of heads but got "
            f"Hq={heads} and Hkv={shared}. Try setting enable_gqa=True for GQA."
        )
    if enable_gqa and heads % shared:
        raise ValueError(
            "Expect number of query heads to be a multiple of kv heads for GQA but got "
            f"Hq={heads} and Hkv={shared}."
        )
    batch, other = query.shape[0], key.shape[0]
    if batch != other:
        if block_mask is None or block_mask.kv_num_blocks.shape[0] != batch:
            raise ValueError(
                "Expect query and key/value to have the same batch size, or a block_mask with the "
                f"batch size of query, but got Bq={batch} and Bkv={other}."
            )
        if other != 1:
            raise RuntimeError(f"Bq and Bkv must broadcast. Got Bq={batch} and Bkv={other}")
    if block_mask is not None:
        _check_mask(block_mask, query.shape[2], key.shape[2])


def _check_mask(block_mask, queries, keys):
    if block_mask.mask_mod is sliced:
        raise RuntimeError("Cannot use mask_mod from a sliced BlockMask")
    rows, columns = block_mask.shape[-2:]
    if (rows, columns) != (queries, keys):
        remedy = (
            "the block mask was created for a smaller length than you're using it for, you likely "
            "need to create a new block mask."
            if queries > rows or keys > columns
            else "the block mask was created for a larger length than you're using it for, you can "
            "either create a new block mask, or crop this one to its upper left corner by calling "
            "block_mask._adjust(q_len, kv_len)."
        )
        raise ValueError(
            f"block_mask was created for block_mask.shape={block_mask.shape} but got "
            f"q_len={queries} and kv_len={keys}. As {remedy}"
        )
