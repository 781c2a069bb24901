"""MViT: a transformer over the patches of a video, whose attention pools them on the way."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.registry import builder
from rushlight.vision.models.video.weights import published
from rushlight.vision.ops.misc import MLP
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "MViT", "MViT_V1_B_Weights", "MViT_V2_S_Weights", "mvit_v1_b", "mvit_v2_s",
]  # fmt: skip

MViT_V1_B_Weights = published("MViT_V1_B_Weights", __name__)
MViT_V2_S_Weights = published("MViT_V2_S_Weights", __name__)


@dataclass
class MSBlockConfig:
    """A block: its heads and channels, and the windows in which it pools queries, and the rest.

    An empty kernel, or one of 1×1×1 with such a stride, pools nothing.
    """

    num_heads: int
    input_channels: int
    output_channels: int
    kernel_q: list[int]
    kernel_kv: list[int]
    stride_q: list[int]
    stride_kv: list[int]


class Pool(nn.Module):
    """Pools the patches, but not the class token, which comes first; then normalises all.

    Shape: x: (N, heads, 1 + T · H · W, C), or without heads → with fewer patches, and their sizes.
    """

    def __init__(self, pool, norm):
        super().__init__()
        self.pool = pool
        self.norm_act = None if norm is None else nn.Sequential(norm)

    def forward(self, x, thw):
        plain = x.ndim == 3
        x = x[:, None] if plain else x
        n, heads, _, channels = x.shape
        token, x = x[:, :, :1], x[:, :, 1:]
        x = x.flatten(0, 1).transpose(1, 2).reshape(n * heads, channels, *thw)
        x = self.pool(x)
        sizes = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2).reshape(n, heads, -1, channels)
        x = torch.cat([token, x], 2)
        x = x if self.norm_act is None else self.norm_act(x)
        return (x[:, 0] if plain else x), sizes


def _pool(channels, kernel, stride, norm_layer):
    """A depthwise convolution that pools, or None."""
    if math.prod(kernel) <= 1 and math.prod(stride) <= 1:
        return None
    conv = nn.Conv3d(
        channels, channels, tuple(kernel), tuple(stride), tuple([k // 2 for k in kernel]),
        groups=channels, bias=False,
    )  # fmt: skip
    return Pool(conv, norm_layer(channels))


def _distances(table, queries, keys):
    """The rows of ``table`` for the distances of ``queries`` places to ``keys``, (q, k, C).

    Where there are fewer of one kind, its places lie apart; a table of another size is resized.
    """
    size = 2 * max(queries, keys) - 1
    if len(table) != size:
        table = F.interpolate(table.t()[None], size=size, mode="linear")[0].t()
    q = torch.arange(queries)[:, None] * max(keys / queries, 1.0)
    k = (torch.arange(keys)[None] + (1.0 - keys)) * max(queries / keys, 1.0)
    return table[(q - k).long()]


class MultiscaleAttention(nn.Module):
    """Attention among pooled patches.

    Shape: x: (N, 1 + T · H · W, embed_dim) → (N, 1 + T' · H' · W', output_dim), and the new sizes.
    """

    def __init__(
        self, input_size, embed_dim, output_dim, num_heads, kernel_q, kernel_kv, stride_q,
        stride_kv, residual_pool, residual_with_cls_embed, rel_pos_embed, dropout=0.0,
        norm_layer=nn.LayerNorm,
    ):  # fmt: skip
        super().__init__()
        self.embed_dim, self.output_dim, self.num_heads = embed_dim, output_dim, num_heads
        self.head_dim = output_dim // num_heads
        self.scaler = 1.0 / math.sqrt(self.head_dim)
        self.residual_pool = residual_pool
        self.residual_with_cls_embed = residual_with_cls_embed
        self.qkv = nn.Linear(embed_dim, 3 * output_dim)
        layers: list[nn.Module] = [nn.Linear(output_dim, output_dim)]
        if dropout > 0.0:
            layers.append(nn.Dropout(dropout, inplace=True))
        self.project = nn.Sequential(*layers)
        self.pool_q = _pool(self.head_dim, kernel_q, stride_q, norm_layer)
        self.pool_k = _pool(self.head_dim, kernel_kv, stride_kv, norm_layer)
        self.pool_v = _pool(self.head_dim, kernel_kv, stride_kv, norm_layer)
        self.rel_pos_h = self.rel_pos_w = self.rel_pos_t = None
        if rel_pos_embed:
            side = max(input_size[1:])
            most = max(side // s[1] if s else side for s in (stride_q, stride_kv))
            for axis, n in (("h", most), ("w", most), ("t", input_size[0])):
                table = nn.init.trunc_normal_(torch.zeros(2 * n - 1, self.head_dim), std=0.02)
                setattr(self, f"rel_pos_{axis}", nn.Parameter(table))

    def forward(self, x, thw):
        parts = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dim))
        q, k, v = parts.transpose(1, 3).unbind(2)
        sizes_k = sizes_q = thw
        if self.pool_k is not None:
            k, sizes_k = self.pool_k(k, thw)
            v = self.pool_v(v, thw)[0]
        if self.pool_q is not None:
            q, sizes_q = self.pool_q(q, thw)
        scores = (self.scaler * q) @ k.transpose(2, 3)
        if self.rel_pos_h is not None:
            places = self._positions(q, sizes_q, sizes_k)
            scores = scores + F.pad(places, (1, 0, 1, 0))  # none of the class token
        x = scores.softmax(-1) @ v
        if self.residual_pool:
            start = 0 if self.residual_with_cls_embed else 1
            x = torch.cat([x[:, :, :start], x[:, :, start:] + q[:, :, start:]], 2)
        return self.project(x.transpose(1, 2).flatten(2)), sizes_q

    def _positions(self, q, sizes_q, sizes_k):
        """What is added to the scores for the distance of two patches in each axis."""
        q = q[:, :, 1:].unflatten(2, sizes_q)
        found: Any = 0
        for i, axis in enumerate("thw"):
            rows = _distances(getattr(self, f"rel_pos_{axis}"), sizes_q[i], sizes_k[i])
            part = torch.einsum(f"bnthwc,{axis}kc->bnthwk", q, rows)
            shape = [1, 1, 1]
            shape[i] = sizes_k[i]
            found = found + part.unflatten(-1, shape)
        return found.flatten(5).flatten(2, 4)


class MultiscaleBlock(nn.Module):
    """A ``MultiscaleAttention``, then two linear layers.

    Each normalises its input and adds its result to it. Shapes are those of the attention.
    """

    def __init__(
        self, input_size, cnf, residual_pool, residual_with_cls_embed, rel_pos_embed,
        proj_after_attn, dropout=0.0, stochastic_depth_prob=0.0, norm_layer=nn.LayerNorm,
    ):  # fmt: skip
        super().__init__()
        self.proj_after_attn = proj_after_attn
        self.pool_skip = None
        if math.prod(cnf.stride_q) > 1:
            kernel = [s + 1 if s > 1 else s for s in cnf.stride_q]
            around = [k // 2 for k in kernel]
            self.pool_skip = Pool(nn.MaxPool3d(kernel, cnf.stride_q, around), None)
        inner = cnf.output_channels if proj_after_attn else cnf.input_channels
        self.norm1 = norm_layer(cnf.input_channels)
        self.norm2 = norm_layer(inner)
        self.attn = MultiscaleAttention(
            input_size, cnf.input_channels, inner, cnf.num_heads, cnf.kernel_q, cnf.kernel_kv,
            cnf.stride_q, cnf.stride_kv, residual_pool, residual_with_cls_embed, rel_pos_embed,
            dropout, norm_layer,
        )  # fmt: skip
        self.mlp = MLP(
            inner, [4 * inner, cnf.output_channels], activation_layer=nn.GELU, dropout=dropout
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.project = None
        if cnf.input_channels != cnf.output_channels:
            self.project = nn.Linear(cnf.input_channels, cnf.output_channels)

    def forward(self, x, thw):
        normed = self.norm1(x)
        attended, sizes = self.attn(normed, thw)
        if self.project is not None and self.proj_after_attn:
            x = self.project(normed)
        x = x if self.pool_skip is None else self.pool_skip(x, thw)[0]
        x = x + self.stochastic_depth(attended)
        normed = self.norm2(x)
        if self.project is not None and not self.proj_after_attn:
            x = self.project(normed)
        return x + self.stochastic_depth(self.mlp(normed)), sizes


class PositionalEncoding(nn.Module):
    """Puts a class token first; adds learned places, unless the attention has distances.

    Shape: x: (N, T · H · W, embed_size) → (N, 1 + T · H · W, embed_size).
    """

    def __init__(self, embed_size, spatial_size, temporal_size, rel_pos_embed):
        super().__init__()
        self.spatial_size, self.temporal_size = spatial_size, temporal_size
        self.class_token = nn.Parameter(torch.zeros(embed_size))
        self.spatial_pos: Any = None
        self.temporal_pos: Any = None
        self.class_pos: Any = None
        if not rel_pos_embed:
            self.spatial_pos = nn.Parameter(torch.zeros(math.prod(spatial_size), embed_size))
            self.temporal_pos = nn.Parameter(torch.zeros(temporal_size, embed_size))
            self.class_pos = nn.Parameter(torch.zeros(embed_size))

    def forward(self, x):
        x = torch.cat([self.class_token.expand(len(x), 1, -1), x], 1)
        if self.spatial_pos is None:
            return x
        places = (self.temporal_pos[:, None] + self.spatial_pos).flatten(0, 1)
        return x + torch.cat([self.class_pos[None], places])


class MViT(nn.Module):
    """The blocks that ``block_setting`` lists; the result of the class token is classified.

    Shape: x: (N, 3, temporal_size, *spatial_size) → (N, num_classes).

    Args:
        spatial_size: Height and width of the frames, in pixels.
        temporal_size: Number of frames.
        block_setting: List of an ``MSBlockConfig`` for each block.
        residual_pool: Add the pooled queries to the attention's result.
        residual_with_cls_embed: Add them to that of the class token, too.
        rel_pos_embed: Let the attention learn numbers for distances, in place of places.
        proj_after_attn: Change the channels in the attention, not after it.
        dropout: Probability of dropout before the last layer. Default: 0.5.
        attention_dropout: Probability of dropout in the blocks. Default: 0.
        stochastic_depth_prob: Probability that the last block is dropped in training; it grows from
            0 for the first. Default: 0.
        num_classes: Number of classes. Default: 400.
        block: Class of the blocks. Default: ``MultiscaleBlock``.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``LayerNorm``.
        patch_embed_kernel, patch_embed_stride, patch_embed_padding: Of the first convolution.
            Default: (3, 7, 7), (2, 4, 4) and (1, 3, 3).

    Raises:
        ValueError: ``block_setting`` is empty.

    Source: Fan et al. 2021, https://arxiv.org/abs/2104.11227, and Li et al. 2021,
        https://arxiv.org/abs/2112.01526

    >>> import rushlight as torch
    >>> from rushlight.vision.models.video.mvit import MSBlockConfig, MViT
    >>> blocks = [MSBlockConfig(2, 8, 8, [], [3, 3, 3], [], [1, 2, 2])]
    >>> model = MViT((16, 16), 4, blocks, False, False, True, False, num_classes=10)
    >>> model(torch.zeros(1, 3, 4, 16, 16)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, spatial_size, temporal_size, block_setting, residual_pool, residual_with_cls_embed,
        rel_pos_embed, proj_after_attn, dropout=0.5, attention_dropout=0.0,
        stochastic_depth_prob=0.0, num_classes=400, block=None, norm_layer=None,
        patch_embed_kernel=(3, 7, 7), patch_embed_stride=(2, 4, 4), patch_embed_padding=(1, 3, 3),
    ):  # fmt: skip
        super().__init__()
        if not block_setting:
            raise ValueError("MViT: block_setting is empty")
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        width, last = block_setting[0].input_channels, block_setting[-1].output_channels
        self.conv_proj = nn.Conv3d(
            3, width, patch_embed_kernel, patch_embed_stride, patch_embed_padding
        )
        frames = (temporal_size, *spatial_size)
        size = [n // s for n, s in zip(frames, patch_embed_stride, strict=True)]
        self.pos_encoding = PositionalEncoding(width, size[1:], size[0], rel_pos_embed)
        self.blocks, whole = nn.ModuleList(), max(1, len(block_setting) - 1)
        for i, cnf in enumerate(block_setting):
            self.blocks.append(
                (block or MultiscaleBlock)(
                    size, cnf, residual_pool, residual_with_cls_embed, rel_pos_embed,
                    proj_after_attn, attention_dropout, stochastic_depth_prob * i / whole,
                    norm_layer,
                )
            )  # fmt: skip
            size = [n // s for n, s in zip(size, cnf.stride_q or (1, 1, 1), strict=True)]
        self.norm = norm_layer(last)
        self.head = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(last, num_classes))
        self._draw()

    def _draw(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, PositionalEncoding):
                for weight in module.parameters():
                    nn.init.trunc_normal_(weight, std=0.02)

    def forward(self, x):
        x = self.conv_proj(x)
        sizes = tuple(x.shape[2:])
        x = self.pos_encoding(x.flatten(2).transpose(1, 2))
        for block in self.blocks:
            x, sizes = block(x, sizes)
        return self.head(self.norm(x)[:, 0])


def _blocks(rows):
    """The blocks of rows: number of blocks, heads, channels, and strides of queries and the rest.

    A stride of 0 stands for queries that are not pooled.
    """
    return [
        MSBlockConfig(
            heads, inputs, outputs, [3, 3, 3] if q else [], [3, 3, 3], [1, q, q] if q else [],
            [1, kv, kv],
        )
        for count, heads, inputs, outputs, q, kv in rows
        for _ in range(count)
    ]  # fmt: skip


# One row for each run of equal blocks.
_V1_B = [
    (1, 1, 96, 192, 0, 8), (1, 2, 192, 192, 2, 4), (1, 2, 192, 384, 0, 4), (1, 4, 384, 384, 2, 2),
    (9, 4, 384, 384, 0, 2), (1, 4, 384, 768, 0, 2), (1, 8, 768, 768, 2, 1), (1, 8, 768, 768, 0, 1),
]  # fmt: skip
_V2_S = [
    (1, 1, 96, 96, 1, 8), (1, 2, 96, 192, 2, 4), (1, 2, 192, 192, 1, 4), (1, 4, 192, 384, 2, 2),
    (10, 4, 384, 384, 1, 2), (1, 8, 384, 768, 2, 1), (1, 8, 768, 768, 1, 1),
]  # fmt: skip


def _mvit(rows, version2, options):
    usual = {
        "spatial_size": (224, 224), "temporal_size": 16, "residual_pool": version2,
        "residual_with_cls_embed": False, "rel_pos_embed": version2, "proj_after_attn": version2,
        "stochastic_depth_prob": 0.2,
    }  # fmt: skip
    return MViT(block_setting=_blocks(rows), **{**usual, **options})


@builder(MViT_V1_B_Weights, pretrained="KINETICS400_V1")
def mvit_v1_b(**options):
    """Build an ``MViT`` of version 1, 16 blocks, for 16 frames of 224×224.

    >>> from rushlight.vision.models.video import mvit_v1_b
    >>> mvit_v1_b.weights.DEFAULT.meta["num_params"]
    36610672
    """
    return _mvit(_V1_B, False, options)


@builder(MViT_V2_S_Weights, pretrained="KINETICS400_V1")
def mvit_v2_s(**options):
    """Build an ``MViT`` of version 2, 16 blocks, for 16 frames of 224×224.

    >>> from rushlight.vision.models.video import mvit_v2_s
    >>> mvit_v2_s.weights.DEFAULT.meta["num_params"]
    34537744
    """
    return _mvit(_V2_S, True, options)
