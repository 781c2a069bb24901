"""Rules of attention for single positions: they are combined here, and called for all positions.

A ``mask_mod`` is a function of scalar tensors ``(b, h, q_idx, kv_idx)`` that returns True where the
query at ``q_idx`` may attend to the key at ``kv_idx``. A ``score_mod`` gets the score before them,
and returns the new score.
"""

import inspect

import rushlight
from rushlight.dtype import bool as bool_
from rushlight.dtype import float32
from rushlight.func.positions import over_positions

__all__ = ["and_masks", "create_mask", "noop_mask", "or_masks", "required"]

INF = float("inf")


def required(function):
    """The number of positional parameters of ``function`` that have no default."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    given = inspect.signature(function).parameters.values()
    found = sum(p.kind in kinds and p.default is inspect.Parameter.empty for p in given)
    if found not in (4, 5):
        raise AssertionError(f"Expected 4 or 5 positional args, got {found}")
    return found


def noop_mask(batch, head, token_q, token_kv):
    """Let every query attend to every key: a ``mask_mod`` that is always True.

    Args:
        batch, head, token_q, token_kv: Scalar tensors, the indices of a position.

    Returns:
        Scalar tensor, True.

    >>> from rushlight.nn.attention.flex_attention import create_mask, noop_mask
    >>> create_mask(noop_mask, 1, 1, 1, 2)
    tensor([[[[True, True]]]])
    """
    return batch.new_ones((), dtype=bool_)


def and_masks(*mask_mods):
    """Return the ``mask_mod`` that is True where all the given ones are.

    Args:
        *mask_mods: Functions of scalar tensors ``(b, h, q_idx, kv_idx)`` that return bools.

    Returns:
        Function of the same arguments.

    Raises:
        RuntimeError: One of the arguments is not callable.

    >>> from rushlight.nn.attention.flex_attention import and_masks, create_mask
    >>> causal = lambda b, h, q, kv: q >= kv
    >>> near = lambda b, h, q, kv: q - kv < 2
    >>> create_mask(and_masks(causal, near), 1, 1, 3, 3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [0, 1, 1]], dtype=torch.int32)
    """
    _callable(mask_mods)

    def and_mask(b, h, q_idx, kv_idx):
        result = b.new_ones((), dtype=bool_)
        for mask in mask_mods:
            result = result & mask(b, h, q_idx, kv_idx)
        return result

    return and_mask


def or_masks(*mask_mods):
    """Return the ``mask_mod`` that is True where at least one of the given ones is.

    Args:
        *mask_mods: Functions of scalar tensors ``(b, h, q_idx, kv_idx)`` that return bools.

    Returns:
        Function of the same arguments.

    Raises:
        RuntimeError: One of the arguments is not callable.

    >>> from rushlight.nn.attention.flex_attention import create_mask, or_masks
    >>> causal = lambda b, h, q, kv: q >= kv
    >>> prefix = lambda b, h, q, kv: kv < 2
    >>> create_mask(or_masks(causal, prefix), 1, 1, 3, 3)[0, 0].int()
    tensor([[1, 1, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    _callable(mask_mods)

    def or_mask(b, h, q_idx, kv_idx):
        result = b.new_zeros((), dtype=bool_)
        for mask in mask_mods:
            result = result | mask(b, h, q_idx, kv_idx)
        return result

    return or_mask


def _callable(mask_mods):
    if not all(callable(m) for m in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")


def create_mask(mod_fn, B, H, Q_LEN, KV_LEN, device=None):
    """Return the mask that a ``mask_mod`` or a ``score_mod`` describes.

    Args:
        mod_fn: A function of scalar tensors ``(b, h, q_idx, kv_idx)`` that returns a bool, or of
            ``(score, b, h, q_idx, kv_idx)`` that returns a score.
        B: The number of batch entries; None means 1.
        H: The number of heads of the query; None means 1.
        Q_LEN: The number of queries.
        KV_LEN: The number of keys.
        device: Where the mask is made. Default: the CPU.

    Returns:
        Tensor ``(B, H, Q_LEN, KV_LEN)`` of bools. For a ``score_mod`` it is False where the score
        0 becomes -inf.

    Raises:
        AssertionError: ``mod_fn`` takes neither 4 nor 5 arguments.

    >>> from rushlight.nn.attention.flex_attention import create_mask
    >>> create_mask(lambda b, h, q, kv: q >= kv, None, None, 2, 3)
    tensor([[[[ True, False, False],
              [ True,  True, False]]]])
    """
    device = device or "cpu"
    sizes = (1 if B is None else B, 1 if H is None else H, Q_LEN, KV_LEN)
    if required(mod_fn) == 4:
        return over_positions(mod_fn, sizes=sizes, device=device)
    scores = rushlight.zeros(sizes, dtype=float32, device=device)
    return over_positions(mod_fn, scores, sizes=sizes, device=device) != -INF
