"""Transformers: layers of attention and of a network on each position, and stacks of layers.

Source: Vaswani et al. 2017; Xiong et al. 2020 for ``norm_first``.
"""

import copy
import math
import warnings

import rushlight
from rushlight.autograd import mode
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.functional.attention import canonical_mask
from rushlight.nn.modules.activation import GELU, ReLU
from rushlight.nn.modules.attention import MultiheadAttention
from rushlight.nn.modules.container import ModuleList
from rushlight.nn.modules.dropout import Dropout
from rushlight.nn.modules.linear import Linear
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.normalization import LayerNorm
from rushlight.notices import warn_of_nested

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
]  # fmt: skip


def _get_activation_fn(activation):
    """The function that ``activation`` names; a function is returned as it is."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"Transformer: activation should be relu/gelu, not {activation}")
    return getattr(F, activation)


def _get_clones(module, N):
    return ModuleList([copy.deepcopy(module) for _ in range(N)])


class _Layer(Module):
    """Base of encoder and decoder layers: their parts, and the network on each position."""

    __constants__ = ["norm_first"]

    def __init__(
        self, attentions, d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps,
        batch_first, norm_first, bias, device, dtype,
    ):  # fmt: skip
        made = {"bias": bias, "device": device, "dtype": dtype}
        super().__init__()
        for name in attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, batch_first=batch_first, **made
            )
            self.add_module(name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **made)
        self.norm_first = norm_first
        for k in range(1, len(attentions) + 2):
            self.add_module(f"norm{k}", LayerNorm(d_model, eps=layer_norm_eps, **made))
        for k in range(1, len(attentions) + 2):
            self.add_module(f"dropout{k}", Dropout(dropout))
        self.activation = _get_activation_fn(activation)

    def _residual(self, x, norm, block):
        """Compute x + block(x), with ``norm`` applied before ``block`` or after the sum."""
        return x + block(norm(x)) if self.norm_first else norm(x + block(x))

    def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
        x, _ = self.self_attn(
            x, x, x, attn_mask=attn_mask, key_padding_mask=key_padding_mask, need_weights=False,
            is_causal=is_causal,
        )  # fmt: skip
        return self.dropout1(x)

    def _positions(self, x):
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def __setstate__(self, state):
        super().__setstate__(state)
        if not hasattr(self, "activation"):
            self.activation = F.relu


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a network on each position.

    The input of each part is added to the part's result, and the sum is normalized. With
    ``norm_first``, the part's input is normalized instead.

    Shape: src (S, batch, d_model), or the batch first with ``batch_first``; src_mask (S, S) or
    (batch · nhead, S, S); src_key_padding_mask (batch, S) → as src.

    Raises:
        RuntimeError: ``activation`` is another text.

    >>> import rushlight as torch
    >>> torch.nn.TransformerEncoderLayer(8, 2, 16)(torch.randn(5, 3, 8)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu,
        layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True, device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__(
            ("self_attn",), d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps,
            batch_first, norm_first, bias, device, dtype,
        )  # fmt: skip
        relu = self.activation is F.relu or isinstance(self.activation, ReLU)
        gelu = self.activation is F.gelu or isinstance(self.activation, GELU)
        self.activation_relu_or_gelu = 1 if relu else 2 if gelu else 0

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        padding = canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", src.dtype, src_mask, "src_mask"
        )
        mask = canonical_mask(src_mask, "src_mask", src.dtype)
        attend = lambda x: self._sa_block(x, mask, padding, is_causal=is_causal)
        x = self._residual(src, self.norm1, attend)
        return self._residual(x, self.norm2, self._ff_block)

    def _ff_block(self, x):
        return self.dropout2(self._positions(x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to ``memory``, then a network on each position.

    Shape: tgt (T, batch, d_model), memory (S, batch, d_model), or the batch first with
    ``batch_first``; tgt_mask (T, T), memory_mask (T, S), tgt_key_padding_mask (batch, T),
    memory_key_padding_mask (batch, S) → as tgt.

    Raises:
        RuntimeError: ``activation`` is another text.

    >>> import rushlight as torch
    >>> layer = torch.nn.TransformerDecoderLayer(8, 2, 16)
    >>> layer(torch.randn(4, 3, 8), torch.randn(5, 3, 8)).shape
    torch.Size([4, 3, 8])
    """

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu,
        layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True, device=None,
        dtype=None,
    ):  # fmt: skip
        super().__init__(
            ("self_attn", "multihead_attn"), d_model, nhead, dim_feedforward, dropout, activation,
            layer_norm_eps, batch_first, norm_first, bias, device, dtype,
        )  # fmt: skip

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,
        memory_key_padding_mask=None, tgt_is_causal=False, memory_is_causal=False,
    ):  # fmt: skip
        own = lambda x: self._sa_block(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = lambda x: self._mha_block(
            x, memory, memory_mask, memory_key_padding_mask, memory_is_causal
        )
        x = self._residual(tgt, self.norm1, own)
        x = self._residual(x, self.norm2, other)
        return self._residual(x, self.norm3, self._ff_block)

    def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
        x, _ = self.multihead_attn(
            x, mem, mem, attn_mask=attn_mask, key_padding_mask=key_padding_mask,
            need_weights=False, is_causal=is_causal,
        )  # fmt: skip
        return self.dropout2(x)

    def _ff_block(self, x):
        return self.dropout3(self._positions(x))


# Stacks -----------------------------------------------------------------------------------


def _why_not_nested(layer):
    """The reason why PyTorch would not leave out padded positions, or "" if it would."""
    name = "encoder_layer"
    if not isinstance(layer, TransformerEncoderLayer):
        return f"{name} was not TransformerEncoderLayer"
    attention = layer.self_attn
    reasons = {
        f"{name}.norm_first was True": layer.norm_first,
        f"{name}.self_attn.batch_first was not True(use batch_first for better inference "
        "performance)": not attention.batch_first,
        f"{name}.self_attn._qkv_same_embed_dim was not True": not attention._qkv_same_embed_dim,
        f"{name}.self_attn was passed bias=False": attention.in_proj_bias is None,
        f"{name}.activation_relu_or_gelu was not True": not layer.activation_relu_or_gelu,
        f"{name}.norm1.eps was not equal to {name}.norm2.eps": layer.norm1.eps != layer.norm2.eps,
        f"{name}.self_attn.num_heads is odd": attention.num_heads % 2 == 1,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


class TransformerEncoder(Module):
    """``num_layers`` copies of ``encoder_layer``, one after another, then ``norm``.

    With ``enable_nested_tensor``, in evaluation without gradients, padded positions become zeros
    before ``norm`` if all padding is at the ends of the sequences. PyTorch's results are zeros
    there too, because PyTorch leaves these positions out.

    Shape: as the layer's.

    Args:
        encoder_layer: The layer that is copied.
        enable_nested_tensor: Zero padded positions as PyTorch does. Default: True.
        mask_check: Check that all padding is at the ends (default); False: take this for granted.

    >>> import rushlight as torch
    >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> torch.nn.TransformerEncoder(layer, 2)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    __constants__ = ["norm"]

    def __init__(
        self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True
    ):
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check
        reason = _why_not_nested(encoder_layer)
        if enable_nested_tensor and reason:
            warnings.warn(
                "enable_nested_tensor is True, but self.use_nested_tensor is False because "
                f"{reason}",
                stacklevel=2,
            )
            self.use_nested_tensor = False

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        padding = canonical_mask(
            src_key_padding_mask, "src_key_padding_mask", src.dtype, mask, "mask"
        )
        mask = canonical_mask(mask, "mask", src.dtype)
        output = src
        causal = _is_causal(self.layers, TransformerEncoderLayer, mask, is_causal)
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=causal, src_key_padding_mask=padding)
        if mask is None and padding is not None and self._leaves_out(src, padding):
            warn_of_nested()  # as PyTorch, which computes with a nested tensor here
            output = output.masked_fill((padding != 0).unsqueeze(-1), 0)
        return output if self.norm is None else self.norm(output)

    def _leaves_out(self, src, padding):
        """Whether PyTorch would leave out the padded positions, so that they become zeros."""
        first = self.layers[0]
        if not self.use_nested_tensor or first.training or src.dim() != 3:
            return False
        if mode.records() and (
            src.requires_grad or any(p.requires_grad for p in first.parameters())
        ):
            return False
        if not self.mask_check:
            return True
        if mode.recorder() is not None:
            return False
        padded = padding != 0
        return not bool((padded[:, :-1] & ~padded[:, 1:]).any())  # padding at the ends only


class TransformerDecoder(Module):
    """``num_layers`` copies of ``decoder_layer``, one after another, then ``norm``.

    Shape: as the layer's.

    Args:
        decoder_layer: The layer that is copied.

    >>> import rushlight as torch
    >>> layer = torch.nn.TransformerDecoderLayer(8, 2, 16)
    >>> torch.nn.TransformerDecoder(layer, 2)(torch.randn(4, 3, 8), torch.randn(5, 3, 8)).shape
    torch.Size([4, 3, 8])
    """

    __constants__ = ["norm"]

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None,
        memory_key_padding_mask=None, tgt_is_causal=None, memory_is_causal=False,
    ):  # fmt: skip
        output = tgt
        causal = _is_causal(self.layers, TransformerDecoderLayer, tgt_mask, tgt_is_causal)
        for layer in self.layers:
            output = layer(
                output, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal, memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return output if self.norm is None else self.norm(output)


def _is_causal(layers, own, mask, hint):
    """What the layers are told of ``mask``: the caller's ``hint``, or whether it is the causal one.

    The mask is not read for layers of the class ``own``, because their results are the same either
    way, nor in a trace, where its elements are not known.
    """
    if hint is not None or mask is None or mode.recorder() is not None:
        return hint is True
    if all(type(layer) is own for layer in layers):
        return False
    causal = Transformer.generate_square_subsequent_mask(
        mask.shape[-2], device=mask.device, dtype=mask.dtype
    )
    return mask.shape == causal.shape and bool((mask == causal).all())


class Transformer(Module):
    """An encoder of ``src``, and a decoder of ``tgt`` that attends to the encoder's result.

    Shape: src (S, batch, d_model), tgt (T, batch, d_model), or the batch first with
    ``batch_first``; the masks have the shapes of the layers' masks → as tgt.

    Args:
        d_model: Number of features of each position. Default: 512.
        nhead: Number of heads of each attention; divides ``d_model``. Default: 8.
        num_encoder_layers, num_decoder_layers: Numbers of layers. Default: 6.
        custom_encoder, custom_decoder: Modules in the place of the TransformerEncoder, of the
            TransformerDecoder. Default: none.

    Raises:
        RuntimeError: The batches or features of src and tgt do not fit.

    >>> import rushlight as torch
    >>> model = torch.nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> model(torch.randn(3, 5, 8), torch.randn(3, 4, 8)).shape
    torch.Size([3, 4, 8])
    """

    def __init__(
        self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6,
        dim_feedforward=2048, dropout=0.1, activation=F.relu, custom_encoder=None,
        custom_decoder=None, layer_norm_eps=1e-5, batch_first=False, norm_first=False, bias=True,
        device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        options = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
            norm_first, bias, device, dtype,
        )  # fmt: skip
        norm = {"eps": layer_norm_eps, "bias": bias, "device": device, "dtype": dtype}
        if custom_encoder is None:
            layer = TransformerEncoderLayer(*options)
            custom_encoder = TransformerEncoder(
                layer, num_encoder_layers, LayerNorm(d_model, **norm)
            )
        self.encoder = custom_encoder
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*options)
            custom_decoder = TransformerDecoder(
                decoder_layer, num_decoder_layers, LayerNorm(d_model, **norm)
            )
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self):
        for p in self.parameters():
            if p.dim() > 1:
                init.xavier_uniform_(p)

    def forward(
        self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None,
        tgt_key_padding_mask=None, memory_key_padding_mask=None, src_is_causal=None,
        tgt_is_causal=None, memory_is_causal=False,
    ):  # fmt: skip
        batch_dim = 0 if self.batch_first else 1
        shapes = f"src is {tuple(src.shape)}, tgt is {tuple(tgt.shape)}"
        if src.dim() == 3 and src.shape[batch_dim] != tgt.shape[batch_dim]:
            raise RuntimeError(
                f"Transformer: the batch number of src and tgt must be equal: {shapes}"
            )
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(
                "Transformer: the feature number of src and tgt must be equal to d_model "
                f"({self.d_model}): {shapes}"
            )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """Make a float mask that hides the keys later than each query.

        Args:
            sz: Number of queries, and of keys.
            device: Where the mask lies. Default: the CPU.
            dtype: The dtype of the mask. Default: ``torch.get_default_dtype()``.

        Returns:
            Tensor (sz, sz) to add to the scores: minus infinity for hidden keys, and 0 for others.

        >>> import rushlight as torch
        >>> torch.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return rushlight.full((sz, sz), -math.inf, dtype=dtype, device=device).triu(1)
