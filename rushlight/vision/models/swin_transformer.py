"""Swin: attention within windows, which every other block shifts; and its version 2.

The windows may have any number of dims: ``rushlight.vision.models.video`` has them in three.
"""

import math
from functools import partial
from itertools import product
from typing import Any

import rushlight as torch
from rushlight import nn
from rushlight.late import whole
from rushlight.nn import functional as F
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import MLP, Permute
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "SwinTransformer", "Swin_B_Weights", "Swin_S_Weights", "Swin_T_Weights",
    "Swin_V2_B_Weights", "Swin_V2_S_Weights", "Swin_V2_T_Weights", "swin_b", "swin_s", "swin_t",
    "swin_v2_b", "swin_v2_s", "swin_v2_t",
]  # fmt: skip

Swin_T_Weights = weights_enum("Swin_T_Weights", __name__)
Swin_S_Weights = weights_enum("Swin_S_Weights", __name__)
Swin_B_Weights = weights_enum("Swin_B_Weights", __name__)
Swin_V2_T_Weights = weights_enum("Swin_V2_T_Weights", __name__)
Swin_V2_S_Weights = weights_enum("Swin_V2_S_Weights", __name__)
Swin_V2_B_Weights = weights_enum("Swin_V2_B_Weights", __name__)


# Windows ----------------------------------------------------------------------------------


def relative_positions(window_size):
    """For each pair of places in a window, the row of their distance in a table, (L, L)."""
    axes = torch.meshgrid(*[torch.arange(n) for n in window_size], indexing="ij")
    found: Any = 0
    for axis, n in zip(axes, window_size, strict=True):
        place = axis.flatten()
        found = found * (2 * n - 1) + (place[:, None] - place[None, :] + n - 1)
    return found


@whole
def to_windows(x, window):
    """(N, sizes, C) → (N · number of windows, places in a window, C); windows divide the sizes."""
    n, *sizes, channels = x.shape
    split = [k for size, w in zip(sizes, window, strict=True) for k in (size // w, w)]
    dims = range(1, 2 * len(window) + 1)
    order = [0, *dims[::2], *dims[1::2], 2 * len(window) + 1]
    return x.reshape(n, *split, channels).permute(order).reshape(-1, math.prod(window), channels)


@whole
def from_windows(x, window, sizes):
    """The inverse of ``to_windows``."""
    counts = [size // w for size, w in zip(sizes, window, strict=True)]
    k = len(window)
    order = [0, *[d for i in range(1, k + 1) for d in (i, i + k)], 2 * k + 1]
    x = x.reshape(-1, *counts, *window, x.shape[-1]).permute(order)
    return x.reshape(x.shape[0], *sizes, x.shape[-1])


def shift_mask(sizes, window, shift):
    """-100 for each pair in a window whose places were not neighbours before the shift, else 0.

    Returns:
        Tensor (number of windows, L, L).
    """
    region: Any = 0
    for size, w, s in zip(sizes, window, shift, strict=True):
        place = torch.arange(size)
        part = (place >= size - w).int() + (place >= size - s).int() if s else place * 0
        region = torch.as_tensor(region)[..., None] * 3 + part
    region = to_windows(region[None, ..., None], window)[..., 0]
    return (region[:, None, :] != region[:, :, None]) * -100.0


@whole
def joined_places(x):
    """Each 2×2 places side by side: (..., H, W, C) → (..., H / 2, W / 2, 4 · C), rounded up."""
    x = F.pad(x, (0, 0, 0, x.shape[-2] % 2, 0, x.shape[-3] % 2))
    return torch.cat([x[..., i::2, j::2, :] for j, i in product(range(2), range(2))], -1)


# Attention --------------------------------------------------------------------------------


@whole
def position_biases(table, index, window):
    """The rows of ``table`` for the pairs of places in a window: (1, heads, L, L)."""
    length = math.prod(window)
    return table[index.view(length, length)].permute(2, 0, 1).contiguous()[None]


@whole
def shifted_window_attention(
    x, qkv_weight, qkv_bias, proj_weight, proj_bias, biases, logit_scale, window, shift, num_heads,
    attention_dropout, dropout, training, clips_windows,
):  # fmt: skip
    """Attention within windows that are shifted.

    ``biases`` (1, heads, L, L) are added to the scores. With a ``logit_scale`` the scores are
    cosines. ``clips_windows``: a window that is larger than the image becomes as small as it.
    ``torch.fx`` records the call as one node, because the steps depend on the size of ``x``.
    """
    sizes, window, shift = x.shape[1:-1], [*window], [*shift]
    for d, size in enumerate(sizes):
        if size <= window[d]:
            shift[d] = 0
            window[d] = size if clips_windows else window[d]
    missing = [-size % w for size, w in zip(sizes, window, strict=True)]
    x = F.pad(x, (0, 0, *[k for n in reversed(missing) for k in (0, n)]))
    padded, dims = x.shape[1:-1], tuple(range(1, x.ndim - 1))
    if any(shift):
        x = x.roll([-s for s in shift], dims)
    x = to_windows(x, window)
    count, length, channels = x.shape
    if logit_scale is not None and qkv_bias is not None:
        q, _, v = qkv_bias.chunk(3)
        qkv_bias = torch.cat([q, torch.zeros_like(q), v])  # keys have none, whatever was learned
    q, k, v = (
        F.linear(x, qkv_weight, qkv_bias)
        .reshape(count, length, 3, num_heads, -1)
        .permute(2, 0, 3, 1, 4)
    )
    if logit_scale is None:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    else:
        cosines = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        scores = cosines * logit_scale.clamp(max=math.log(100.0)).exp()
    scores = scores + biases[..., :length, :length]
    if any(shift):
        mask = shift_mask(padded, window, shift).to(x.device, x.dtype)[:, None]
        scores = scores.view(-1, len(mask), *scores.shape[1:]) + mask
        scores = scores.view(count, *scores.shape[2:])
    weights = F.dropout(scores.softmax(-1), attention_dropout, training)
    x = (weights @ v).transpose(1, 2).reshape(count, length, channels)
    x = F.dropout(F.linear(x, proj_weight, proj_bias), dropout, training)
    x = from_windows(x, window, padded)
    if any(shift):
        x = x.roll(shift, dims)
    return x[(slice(None), *[slice(size) for size in sizes])].contiguous()


# Layers -----------------------------------------------------------------------------------


class PatchMerging(nn.Module):
    """Joins each 2×2 places to one with twice the channels.

    Shape: x: (..., H, W, dim) → (..., H / 2, W / 2, 2 · dim), rounded up.
    """

    def __init__(self, dim, norm_layer=nn.LayerNorm):
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = self._norm(norm_layer)

    def _norm(self, norm_layer):
        return norm_layer(4 * self.dim)

    def forward(self, x):
        return self.reduction(self.norm(joined_places(x)))


class PatchMergingV2(PatchMerging):
    """A ``PatchMerging`` that normalises its result."""

    def _norm(self, norm_layer):
        return norm_layer(2 * self.dim)

    def forward(self, x):
        return self.norm(self.reduction(joined_places(x)))


class ShiftedWindowAttention(nn.Module):
    """Attention within windows, with a learned number for each distance of two places.

    Shape: x: (N, sizes, dim) → the same.
    """

    clips_windows = False  # True: a window that is larger than the image becomes as small as it
    flat_index = True

    def __init__(
        self, dim, window_size, shift_size, num_heads, qkv_bias=True, proj_bias=True,
        attention_dropout=0.0, dropout=0.0,
    ):  # fmt: skip
        super().__init__()
        if len(window_size) != len(shift_size):
            raise ValueError("window_size and shift_size must have a number for each dim")
        self.window_size, self.shift_size, self.num_heads = window_size, shift_size, num_heads
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self._make_positions()

    def _make_positions(self):
        rows = math.prod([2 * n - 1 for n in self.window_size])
        table = torch.zeros(rows, self.num_heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self._make_index()

    def _make_index(self):
        index = relative_positions(self.window_size)
        self.register_buffer(
            "relative_position_index", index.flatten() if self.flat_index else index
        )

    def get_relative_position_bias(self):
        """What is added to the scores of a window: (1, heads, L, L)."""
        return position_biases(
            self.relative_position_bias_table, self.relative_position_index, self.window_size
        )

    def _logit_scale(self):
        return None

    def forward(self, x):
        return shifted_window_attention(
            x, self.qkv.weight, self.qkv.bias, self.proj.weight, self.proj.bias,
            self.get_relative_position_bias(), self._logit_scale(), self.window_size,
            self.shift_size, self.num_heads, self.attention_dropout, self.dropout, self.training,
            self.clips_windows,
        )  # fmt: skip


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Attention within windows by cosines; a small network gives a number for each distance.

    Shape: x: (N, sizes, dim) → the same.
    """

    def __init__(
        self, dim, window_size, shift_size, num_heads, qkv_bias=True, proj_bias=True,
        attention_dropout=0.0, dropout=0.0,
    ):  # fmt: skip
        super().__init__(
            dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, attention_dropout, dropout
        )
        self.logit_scale = nn.Parameter(torch.full((num_heads, 1, 1), 10.0).log())
        self.cpb_mlp = nn.Sequential(
            nn.Linear(len(window_size), 512), nn.ReLU(inplace=True),
            nn.Linear(512, num_heads, bias=False),
        )  # fmt: skip
        if qkv_bias:
            bias: Any = self.qkv.bias
            nn.init.zeros_(bias[dim : 2 * dim].detach())

    def _make_positions(self):
        axes = [torch.arange(1 - n, n, dtype=torch.float32) / (n - 1) * 8 for n in self.window_size]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)[None]
        table = places.sign() * (places.abs() + 1).log2() / 3.0
        self.register_buffer("relative_coords_table", table)
        self._make_index()

    def get_relative_position_bias(self):
        """What is added to the scores of a window: (1, heads, L, L)."""
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)
        biases = position_biases(table, self.relative_position_index, self.window_size)
        return 16 * biases.sigmoid()

    def _logit_scale(self):
        return self.logit_scale


class SwinTransformerBlock(nn.Module):
    """Attention within windows, then two linear layers.

    Each normalises its input and adds its result to it.

    Shape: x: (N, sizes, dim) → the same.
    """

    attention = ShiftedWindowAttention

    def __init__(
        self, dim, num_heads, window_size, shift_size, mlp_ratio=4.0, dropout=0.0,
        attention_dropout=0.0, stochastic_depth_prob=0.0, norm_layer=nn.LayerNorm, attn_layer=None,
    ):  # fmt: skip
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = (attn_layer or self.attention)(
            dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout,
            dropout=dropout,
        )  # fmt: skip
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(
            dim,
            [int(dim * mlp_ratio), dim],
            activation_layer=nn.GELU,
            inplace=None,
            dropout=dropout,
        )
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)

    def forward(self, x):
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """A ``SwinTransformerBlock`` with attention by cosines, which normalises its results."""

    attention = ShiftedWindowAttentionV2

    def forward(self, x):
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


# Models -----------------------------------------------------------------------------------


def stages(
    embed_dim, depths, num_heads, window_size, drop, block, downsample_layer, norm_layer, **options
):
    """Return the stages' modules, between which the places are joined, and the last channels.

    ``drop`` is the probability that the last block is dropped; it grows from 0.
    """
    found: list[nn.Module] = []
    total, count = sum(depths), 0
    for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
        dim, blocks = embed_dim * 2**i, []
        for k in range(depth):
            shift = [w // 2 if k % 2 else 0 for w in window_size]
            blocks.append(
                block(
                    dim, heads, window_size, shift, norm_layer=norm_layer,
                    stochastic_depth_prob=drop * count / (total - 1), **options,
                )
            )  # fmt: skip
            count += 1
        found.append(nn.Sequential(*blocks))
        if i < len(depths) - 1:
            found.append(downsample_layer(dim, norm_layer))
    return found, embed_dim * 2 ** (len(depths) - 1)


def draw_linear(model):
    """Draw the weights of all linear layers from a narrow normal distribution."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class SwinTransformer(nn.Module):
    """A transformer whose attention stays within windows of an image.

    Shape: x: (N, 3, H, W) → (N, num_classes).

    Args:
        patch_size: Height and width of the patches, in pixels: a list.
        embed_dim: Number of channels of the first stage; each later one has twice as many.
        depths: List of the number of blocks of each stage.
        num_heads: List of the number of heads of each stage.
        window_size: Height and width of the windows, in patches: a list.
        mlp_ratio: Channels inside the feed-forward networks, per channel. Default: 4.
        dropout: Probability of dropout of channels. Default: 0.
        attention_dropout: Probability of dropout in the attention. Default: 0.
        stochastic_depth_prob: Probability that the last block is dropped in training; it grows from
            0 for the first. Default: 0.1.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``LayerNorm``.
        block: Class of the blocks. Default: ``SwinTransformerBlock``.
        downsample_layer: Class of the layers between stages. Default: ``PatchMerging``.

    Source: Liu et al. 2021, https://arxiv.org/abs/2103.14030 and
        https://arxiv.org/abs/2111.09883

    >>> import rushlight as torch
    >>> from rushlight.vision.models import SwinTransformer
    >>> model = SwinTransformer([4, 4], 8, [1, 1], [2, 2], [2, 2], num_classes=10)
    >>> model(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, patch_size, embed_dim, depths, num_heads, window_size, mlp_ratio=4.0, dropout=0.0,
        attention_dropout=0.0, stochastic_depth_prob=0.1, num_classes=1000, norm_layer=None,
        block=None, downsample_layer=PatchMerging,
    ):  # fmt: skip
        super().__init__()
        self.num_classes = num_classes
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        patches = nn.Sequential(
            nn.Conv2d(3, embed_dim, tuple(patch_size), stride=tuple(patch_size)),
            Permute([0, 2, 3, 1]),
            norm_layer(embed_dim),
        )
        layers, channels = stages(
            embed_dim, depths, num_heads, window_size, stochastic_depth_prob,
            block or SwinTransformerBlock, downsample_layer, norm_layer, mlp_ratio=mlp_ratio,
            dropout=dropout, attention_dropout=attention_dropout,
        )  # fmt: skip
        self.features = nn.Sequential(patches, *layers)
        self.norm = norm_layer(channels)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(channels, num_classes)
        draw_linear(self)

    def forward(self, x):
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))


def _swin(width, deep, heads, drop, options, window=7, **version):
    """A model of ``width`` channels at first, and ``deep`` blocks in its third stage."""
    depths, num_heads = [2, 2, deep, 2], [heads * 2**i for i in range(4)]
    options = {"stochastic_depth_prob": drop, **version, **options}
    return SwinTransformer([4, 4], width, depths, num_heads, [window, window], **options)


_v2 = partial(_swin, window=8, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2)


@builder(Swin_T_Weights)
def swin_t(**options):
    """Build a ``SwinTransformer`` of 12 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models import swin_t
    >>> swin_t.weights.DEFAULT.meta["num_params"]
    28288354
    """
    return _swin(96, 6, 3, 0.2, options)


@builder(Swin_S_Weights)
def swin_s(**options):
    """Build a ``SwinTransformer`` of 24 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models import swin_s
    >>> swin_s.weights.DEFAULT.meta["num_params"]
    49606258
    """
    return _swin(96, 18, 3, 0.3, options)


@builder(Swin_B_Weights)
def swin_b(**options):
    """Build a ``SwinTransformer`` of 24 blocks, 128 to 1024 channels.

    >>> from rushlight.vision.models import swin_b
    >>> swin_b.weights.DEFAULT.meta["num_params"]
    87768224
    """
    return _swin(128, 18, 4, 0.5, options)


@builder(Swin_V2_T_Weights)
def swin_v2_t(**options):
    """Build a ``SwinTransformer`` of version 2, 12 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models import swin_v2_t
    >>> swin_v2_t.weights.DEFAULT.meta["num_params"]
    28351570
    """
    return _v2(96, 6, 3, 0.2, options)


@builder(Swin_V2_S_Weights)
def swin_v2_s(**options):
    """Build a ``SwinTransformer`` of version 2, 24 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models import swin_v2_s
    >>> swin_v2_s.weights.DEFAULT.meta["num_params"]
    49737442
    """
    return _v2(96, 18, 3, 0.3, options)


@builder(Swin_V2_B_Weights)
def swin_v2_b(**options):
    """Build a ``SwinTransformer`` of version 2, 24 blocks, 128 to 1024 channels.

    >>> from rushlight.vision.models import swin_v2_b
    >>> swin_v2_b.weights.DEFAULT.meta["num_params"]
    87930848
    """
    return _v2(128, 18, 4, 0.5, options)
