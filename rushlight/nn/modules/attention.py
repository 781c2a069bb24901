"""MultiheadAttention: attention with several heads, as a layer."""

import rushlight
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.modules.linear import NonDynamicallyQuantizableLinear
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention with several heads; each head uses its own part of the features.

    A bool mask hides the keys where it is True. A float mask is added to the scores.
    ``is_causal=True`` states that ``attn_mask`` hides all later keys.

    Shape: query (L, batch, embed_dim), key (S, batch, kdim), value (S, batch, vdim). With
    ``batch_first`` the batch dim comes first; the batch dim may also be left out. key_padding_mask
    (batch, S); attn_mask (L, S) or (batch · num_heads, L, S) → a result of query's shape and the
    attention weights (batch, L, S). The weights are (batch, num_heads, L, S) without
    ``average_attn_weights``, and None without ``need_weights``.

    Args:
        embed_dim: Number of features of the query and of the result; ``num_heads`` divides it.
        num_heads: Number of heads, each with ``embed_dim`` / ``num_heads`` features.
        dropout: Probability of dropping an attention weight, in training. Default: 0.
        bias: Add learned biases to the projections of the inputs and of the result. Default: True.
        add_bias_kv: Add a learned step to the keys and to the values. Default: False.
        add_zero_attn: Add a step of zeros to the keys and to the values. Default: False.
        kdim, vdim: Number of features of the keys, of the values. Default: ``embed_dim``.
        batch_first: The batch dim comes first, not second. Default: False.

    Raises:
        ValueError: ``embed_dim`` or ``num_heads`` is not above 0.
        AssertionError: ``num_heads`` does not divide ``embed_dim``, or shapes do not fit.
        RuntimeError: ``is_causal`` is given without ``attn_mask``, or a mask has another shape.

    Source: Vaswani et al. 2017.

    >>> import rushlight as torch
    >>> attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = torch.randn(3, 5, 8)
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
    """

    __constants__ = ["batch_first"]

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False,
        kdim=None, vdim=None, batch_first=False, device=None, dtype=None,
    ):  # fmt: skip
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "MultiheadAttention: embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads}"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(
                f"MultiheadAttention: embed_dim={embed_dim} must be divisible by "
                f"num_heads={num_heads}"
            )
        made = {"device": device, "dtype": dtype}
        same = self._qkv_same_embed_dim
        shapes = {
            "q_proj_weight": None if same else (embed_dim, embed_dim),
            "k_proj_weight": None if same else (embed_dim, self.kdim),
            "v_proj_weight": None if same else (embed_dim, self.vdim),
            "in_proj_weight": (3 * embed_dim, embed_dim) if same else None,
            "in_proj_bias": (3 * embed_dim,) if bias else None,
        }
        if same:  # PyTorch's state dict has this order
            shapes = {"in_proj_weight": shapes.pop("in_proj_weight"), **shapes}
        for name, shape in shapes.items():
            value = None if shape is None else Parameter(rushlight.empty(shape, **made))
            self.register_parameter(name, value)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **made)
        for name in ("bias_k", "bias_v"):
            value = rushlight.empty((1, 1, embed_dim), **made) if add_bias_kv else None
            setattr(self, name, None if value is None else Parameter(value))
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self):
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
        average_attn_weights=True, is_causal=False,
    ):  # fmt: skip
        return F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight,
            self.in_proj_bias, self.bias_k, self.bias_v, self.add_zero_attn, self.dropout,
            self.out_proj.weight, self.out_proj.bias, self.training, key_padding_mask,
            need_weights, attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight,
            self.k_proj_weight, self.v_proj_weight, average_attn_weights=average_attn_weights,
            is_causal=is_causal, batch_first=self.batch_first,
        )  # fmt: skip

    def merge_masks(self, attn_mask, key_padding_mask, query):
        """Merge both masks into one, and tell PyTorch's code for its kind.

        Args:
            attn_mask: None, or float Tensor (L, L) or (batch · num_heads, L, L).
            key_padding_mask: None, or float Tensor (batch, L).
            query: Tensor (batch, L, embed_dim).

        Returns:
            Pair (mask, code): (None, None) without masks; the padding mask itself and 1 without
            ``attn_mask``; and otherwise a mask (batch, num_heads, L, L) and 2.

        >>> import rushlight as torch
        >>> attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        >>> mask, code = attention.merge_masks(torch.zeros(5, 5), None, torch.ones(3, 5, 8))
        >>> mask.shape, code
        (torch.Size([3, 2, 5, 5]), 2)
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        batch, steps, _ = query.shape
        mask = attn_mask.reshape(-1 if attn_mask.dim() == 2 else batch, *[
            attn_mask.shape[0] // batch if attn_mask.dim() == 3 else 1, steps, steps
        ])  # fmt: skip
        mask = mask.expand(batch, self.num_heads, steps, steps)
        if key_padding_mask is not None:
            mask = mask + key_padding_mask.reshape(batch, 1, 1, steps)
        return mask, 2

    def __setstate__(self, state):
        state.setdefault("_qkv_same_embed_dim", True)
        super().__setstate__(state)
