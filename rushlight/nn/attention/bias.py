"""Causal masks that know their form, so that attention needs no mask in memory for them."""

import enum
import warnings

from rushlight.dtype import bool as _bool
from rushlight.ops.create.filled import ones
from rushlight.ops.sequence.attention import scaled_dot_product_attention
from rushlight.tensor import Tensor, disabled_torch_function

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(enum.IntEnum):
    """The corner of the mask at which the diagonal of a causal mask starts or ends.

    With 3 queries and 4 keys, ``UPPER_LEFT`` lets the first query attend to the first key, and
    ``LOWER_RIGHT`` lets the last query attend to all keys. Both are the same for square masks.
    """

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias(Tensor):
    """A causal mask of shape ``(seq_len_q, seq_len_kv)`` for ``scaled_dot_product_attention``.

    The elements are True where a query may attend to a key. Attention does not read them where
    ``is_causal=True`` means the same.

    Args:
        variant: A ``CausalVariant``.
        seq_len_q: The number of queries.
        seq_len_kv: The number of keys.

    Raises:
        AssertionError: ``variant`` is not a CausalVariant.

    >>> import rushlight as torch
    >>> from rushlight.nn.attention.bias import CausalBias, CausalVariant
    >>> CausalBias(CausalVariant.LOWER_RIGHT, 2, 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """

    # Operations treat the bias as a plain tensor. A class that operations ask would take the fast
    # path from all tensors.
    __torch_function__ = disabled_torch_function

    def __new__(cls, variant, seq_len_q, seq_len_kv):
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        offset = seq_len_kv - seq_len_q if variant == CausalVariant.LOWER_RIGHT else 0
        whole = ones(seq_len_q, seq_len_kv, dtype=_bool)
        return Tensor._make_subclass(cls, whole.tril(offset))

    def __init__(self, variant, seq_len_q, seq_len_kv):
        self.variant = variant
        self.seq_len_q = seq_len_q
        self.seq_len_kv = seq_len_kv
        if variant == CausalVariant.LOWER_RIGHT and seq_len_q > seq_len_kv:
            warnings.warn(
                "Lower right causal bias will produce NaNs in the output when seq_len_q > "
                "seq_len_kv!",
                stacklevel=2,
            )

    def __repr__(self):
        return repr(self._materialize())

    def _materialize(self, device=None):
        """The mask as a plain tensor of bools, on ``device``."""
        return self.as_subclass(Tensor).to(device or "cpu")

    def _attention(self, query, key, value, dropout_p, is_causal, scale, enable_gqa):
        """``scaled_dot_product_attention`` with this mask; it calls this method."""
        if is_causal:
            raise ValueError("CausalBias should not be used with causal=True")
        square = self.seq_len_q == self.seq_len_kv
        causal = square or self.variant == CausalVariant.UPPER_LEFT
        mask = None if causal else self._materialize(query.device)
        return scaled_dot_product_attention(
            query, key, value, mask, dropout_p, causal, scale, enable_gqa
        )


def causal_upper_left(*size):
    """Return the causal mask whose diagonal starts at the upper left corner.

    It means the same as ``is_causal=True``.

    Args:
        *size: The numbers of queries and keys, two ints.

    Returns:
        CausalBias of shape ``(queries, keys)``.

    Raises:
        AssertionError: There are not two sizes.

    >>> from rushlight.nn.attention.bias import causal_upper_left
    >>> causal_upper_left(2, 3)
    tensor([[ True, False, False],
            [ True,  True, False]])
    """
    if len(size) != 2:
        raise AssertionError("causal_upper_left only supports 2D tensors")
    return CausalBias(CausalVariant.UPPER_LEFT, *size)


def causal_lower_right(*size):
    """Return the causal mask whose diagonal ends at the lower right corner.

    It serves queries that are the last of a longer sequence of keys, as with a cache of keys.

    Args:
        *size: The numbers of queries and keys, two ints.

    Returns:
        CausalBias of shape ``(queries, keys)``.

    Raises:
        AssertionError: There are not two sizes.

    >>> import rushlight as torch
    >>> from rushlight.nn.attention.bias import causal_lower_right
    >>> q, k = torch.ones(1, 1, 2, 4), torch.ones(1, 1, 3, 4)
    >>> v = torch.tensor([[[[1.0], [2.0], [3.0]]]])
    >>> bias = causal_lower_right(2, 3)
    >>> torch.nn.functional.scaled_dot_product_attention(q, k, v, bias).flatten()
    tensor([1.5000, 2.0000])
    """
    if len(size) != 2:
        raise AssertionError("causal_lower_right only supports 2D tensors")
    return CausalBias(CausalVariant.LOWER_RIGHT, *size)
