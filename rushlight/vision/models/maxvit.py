"""MaxViT: convolutions, attention within windows, and attention over a grid, in turns."""

from collections import OrderedDict
from functools import partial
from typing import Any

import numpy as np

import rushlight as torch
from rushlight import nn
from rushlight.late import whole
from rushlight.vision.models import swin_transformer as windows
from rushlight.vision.models.registry import builder
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from rushlight.vision.ops.stochastic_depth import StochasticDepth

__all__ = ["MaxVit", "MaxVit_T_Weights", "maxvit_t"]

MaxVit_T_Weights = weights_enum("MaxVit_T_Weights", __name__)


def halved(size):
    """The size of a map after a convolution of 3×3 with stride 2."""
    return tuple([(n - 1) // 2 + 1 for n in size])


class MBConv(nn.Module):
    """Expands the channels, convolves and weights each by itself, and reduces them again.

    Shape: x: (N, in_channels, H, W) → (N, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels, out_channels, expansion_ratio, squeeze_ratio, stride, activation_layer,
        norm_layer, p_stochastic_dropout=0.0,
    ):  # fmt: skip
        super().__init__()
        self.proj: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            pool = nn.AvgPool2d(3, stride=stride, padding=1)
            self.proj = nn.Sequential(pool, nn.Conv2d(in_channels, out_channels, 1))
        inner, squeeze = int(out_channels * expansion_ratio), int(out_channels * squeeze_ratio)
        drop = p_stochastic_dropout
        self.stochastic_depth = StochasticDepth(drop, "row") if drop else nn.Identity()
        conv = partial(
            Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation_layer,
            inplace=None,
        )  # fmt: skip
        self.layers = nn.Sequential(OrderedDict(
            pre_norm=norm_layer(in_channels),
            conv_a=conv(in_channels, inner, 1),
            conv_b=conv(inner, inner, 3, stride=stride, groups=inner),
            squeeze_excitation=SqueezeExcitation(inner, squeeze, activation=nn.SiLU),
            conv_c=nn.Conv2d(inner, out_channels, 1),
        ))  # fmt: skip

    def forward(self, x):
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention within groups of places, with a learned number for each distance of two places.

    Shape: x: (N, groups, max_seq_len, feat_dim) → the same.
    """

    def __init__(self, feat_dim, head_dim, max_seq_len):
        super().__init__()
        if feat_dim % head_dim:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        side = round(max_seq_len**0.5)
        self.n_heads, self.head_dim = feat_dim // head_dim, head_dim
        self.to_qkv = nn.Linear(feat_dim, 3 * feat_dim)
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(feat_dim, feat_dim)
        table = torch.empty((2 * side - 1) ** 2, self.n_heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", windows.relative_positions((side, side)))

    def forward(self, x):
        split = self.to_qkv(x).unflatten(-1, (3, self.n_heads, self.head_dim))
        q, k, v = split.permute(3, 0, 1, 4, 2, 5)
        table: Any = self.relative_position_bias_table
        biases = table[self.relative_position_index].permute(2, 0, 1)
        weights = (q @ (k * self.scale_factor).transpose(-2, -1) + biases).softmax(-1)
        return self.merge((weights @ v).transpose(-3, -2).flatten(-2))


class SwapAxes(nn.Module):
    """``torch.swapaxes`` as a module. Shape: x: any → two dims exchanged."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x):
        return x.swapaxes(self.a, self.b)


@whole
def check_grid(x, grid_size, p):
    """Raise an AssertionError if a map has another size, or cannot be cut into windows."""
    if tuple(x.shape[2:]) != tuple(grid_size) or any(n % p for n in grid_size):
        raise AssertionError(
            f"Grid size must be {tuple(grid_size)}, and divisible by {p}, but the "
            f"map is of {tuple(x.shape[2:])}"
        )


class WindowPartition(nn.Module):
    """Windows of p×p places. Shape: x: (N, C, H, W) → (N, windows, p · p, C)."""

    def forward(self, x, p):
        return windows.to_windows(x.permute(0, 2, 3, 1), (p, p)).unflatten(0, (x.shape[0], -1))


class WindowDepartition(nn.Module):
    """The inverse of ``WindowPartition``, of ``h`` windows by ``w``."""

    def forward(self, x, p, h, w):
        return windows.from_windows(x.flatten(0, 1), (p, p), (h * p, w * p)).permute(0, 3, 1, 2)


class PartitionAttentionLayer(nn.Module):
    """Attention within windows ("window"), or among the places of the same row and column of all.

    Two linear layers follow. Each part normalises its input and adds its result to it.

    Shape: x: (N, in_channels, H, W) → the same.
    """

    def __init__(
        self, in_channels, head_dim, partition_size, partition_type, grid_size, mlp_ratio,
        activation_layer, norm_layer, attention_dropout, mlp_dropout, p_stochastic_dropout,
    ):  # fmt: skip
        super().__init__()
        if partition_type not in ("grid", "window"):
            raise ValueError("partition_type must be either 'grid' or 'window'")
        count = grid_size[0] // partition_size
        inside = partition_type == "window"
        self.p, self.g = (partition_size, count) if inside else (count, partition_size)
        self.partition_op, self.departition_op = WindowPartition(), WindowDepartition()
        self.partition_swap = nn.Identity() if inside else SwapAxes(-2, -3)
        self.departition_swap = nn.Identity() if inside else SwapAxes(-2, -3)
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, "row")
        self.grid_size = grid_size

    def forward(self, x):
        counts = [n // self.p for n in self.grid_size]
        check_grid(x, self.grid_size, self.p)
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        return self.departition_op(self.departition_swap(x), self.p, *counts)


class MaxVitLayer(nn.Module):
    """An ``MBConv``, then attention within windows, then over the grid.

    Shape: x: (N, in_channels, H, W) → (N, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels, out_channels, squeeze_ratio, expansion_ratio, stride, norm_layer,
        activation_layer, head_dim, mlp_ratio, mlp_dropout, attention_dropout,
        p_stochastic_dropout, partition_size, grid_size,
    ):  # fmt: skip
        super().__init__()
        attention = partial(
            PartitionAttentionLayer, out_channels, head_dim, partition_size, grid_size=grid_size,
            mlp_ratio=mlp_ratio, activation_layer=activation_layer, norm_layer=nn.LayerNorm,
            attention_dropout=attention_dropout, mlp_dropout=mlp_dropout,
            p_stochastic_dropout=p_stochastic_dropout,
        )  # fmt: skip
        self.layers = nn.Sequential(OrderedDict(
            MBconv=MBConv(
                in_channels, out_channels, expansion_ratio, squeeze_ratio, stride,
                activation_layer, norm_layer, p_stochastic_dropout,
            ),
            window_attention=attention(partition_type="window"),
            grid_attention=attention(partition_type="grid"),
        ))  # fmt: skip

    def forward(self, x):
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """``n_layers`` layers, of which the first halves the size; ``p_stochastic`` has their drops.

    Shape: x: (N, in_channels, H, W) → (N, out_channels, H / 2, W / 2).
    """

    def __init__(
        self, in_channels, out_channels, squeeze_ratio, expansion_ratio, norm_layer,
        activation_layer, head_dim, mlp_ratio, mlp_dropout, attention_dropout, partition_size,
        input_grid_size, n_layers, p_stochastic,
    ):  # fmt: skip
        super().__init__()
        if len(p_stochastic) != n_layers:
            raise ValueError(f"p_stochastic must have {n_layers} numbers, got {p_stochastic}")
        self.grid_size = halved(input_grid_size)
        self.layers = nn.ModuleList([
            MaxVitLayer(
                out_channels if i else in_channels, out_channels, squeeze_ratio, expansion_ratio,
                1 if i else 2, norm_layer, activation_layer, head_dim, mlp_ratio, mlp_dropout,
                attention_dropout, drop, partition_size, self.grid_size,
            )
            for i, drop in enumerate(p_stochastic)
        ])  # fmt: skip

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """Blocks of convolutions and of two kinds of attention.

    Shape: x: (N, 3, *input_size) → (N, num_classes).

    Args:
        input_size: Height and width of the images, in pixels.
        stem_channels: Number of channels of the first convolutions.
        partition_size: Height and width of the windows and of the grid.
        block_channels: List of the number of channels of each block.
        block_layers: List of the number of layers of each block.
        head_dim: Number of channels of a head.
        stochastic_depth_prob: Probability that the last layer is dropped in training; it grows from
            0 for the first.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``BatchNorm2d``.
        activation_layer: Class of the activations. Default: ``GELU``.
        squeeze_ratio: Channels between the layers that weight channels, per channel. Default: 0.25.
        expansion_ratio: Channels inside an ``MBConv``, per channel. Default: 4.
        mlp_ratio: Channels inside the feed-forward networks, per channel. Default: 4.
        mlp_dropout: Probability of dropout in these networks. Default: 0.
        attention_dropout: Probability of dropout after the attention. Default: 0.

    Raises:
        ValueError: ``partition_size`` does not divide the size of a block's map.

    Source: Tu et al. 2022, https://arxiv.org/abs/2204.01697

    >>> import rushlight as torch
    >>> from rushlight.vision.models import MaxVit
    >>> MaxVit((32, 32), 8, 2, [8, 16], [1, 1], 4, 0.0, num_classes=10)(
    ...     torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, input_size, stem_channels, partition_size, block_channels, block_layers, head_dim,
        stochastic_depth_prob, norm_layer=None, activation_layer=nn.GELU, squeeze_ratio=0.25,
        expansion_ratio=4, mlp_ratio=4, mlp_dropout=0.0, attention_dropout=0.0, num_classes=1000,
    ):  # fmt: skip
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        self.stem = nn.Sequential(
            Conv2dNormActivation(
                3, stem_channels, 3, stride=2, norm_layer=norm_layer,
                activation_layer=activation_layer, bias=False, inplace=None,
            ),
            Conv2dNormActivation(
                stem_channels, stem_channels, 3, norm_layer=None, activation_layer=None, bias=True
            ),
        )  # fmt: skip
        self.partition_size = partition_size
        size, inputs, done = halved(input_size), stem_channels, 0
        drops = np.linspace(0, stochastic_depth_prob, sum(block_layers)).tolist()
        self.blocks = nn.ModuleList()
        for channels, count in zip(block_channels, block_layers, strict=True):
            if any(n % partition_size for n in halved(size)):
                raise ValueError(
                    f"MaxVit: input_size={input_size} gives a block a map of {halved(size)}, which "
                    f"partition_size={partition_size} does not divide"
                )
            self.blocks.append(
                MaxVitBlock(
                    inputs, channels, squeeze_ratio, expansion_ratio, norm_layer,
                    activation_layer, head_dim, mlp_ratio, mlp_dropout, attention_dropout,
                    partition_size, size, count, drops[done : done + count],
                )
            )  # fmt: skip
            size, inputs, done = halved(size), channels, done + count
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(inputs),
            nn.Linear(inputs, inputs),
            nn.Tanh(),
            nn.Linear(inputs, num_classes, bias=False),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)


@builder(MaxVit_T_Weights)
def maxvit_t(**options):
    """Build a ``MaxVit`` of 11 layers, for images of 224×224.

    >>> from rushlight.vision.models import maxvit_t
    >>> maxvit_t.weights.DEFAULT.meta["num_params"]
    30919624
    """
    usual = {
        "input_size": (224, 224), "stem_channels": 64, "partition_size": 7, "head_dim": 32,
        "block_channels": [64, 128, 256, 512], "block_layers": [2, 2, 5, 2],
        "stochastic_depth_prob": 0.2,
    }  # fmt: skip
    return MaxVit(**{**usual, **options})
