"""Swin for videos: the windows have a length in time, too."""

from functools import partial

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.registry import builder
from rushlight.vision.models.swin_transformer import (
    PatchMerging,
    ShiftedWindowAttention,
    SwinTransformerBlock,
    draw_linear,
    stages,
)
from rushlight.vision.models.video.weights import published

__all__ = [
    "Swin3D_B_Weights", "Swin3D_S_Weights", "Swin3D_T_Weights", "SwinTransformer3d", "swin3d_b",
    "swin3d_s", "swin3d_t",
]  # fmt: skip

Swin3D_T_Weights = published("Swin3D_T_Weights", __name__)
Swin3D_S_Weights = published("Swin3D_S_Weights", __name__)
Swin3D_B_Weights = published("Swin3D_B_Weights", __name__)


class ShiftedWindowAttention3d(ShiftedWindowAttention):
    """Attention within windows of time and space. Shape: x: (N, T, H, W, dim) → the same."""

    clips_windows, flat_index = True, False


class PatchEmbed3d(nn.Module):
    """A vector for each patch of a video, whose ends are padded.

    Shape: x: (N, in_channels, T, H, W) → (N, T', H', W', embed_dim).
    """

    def __init__(self, patch_size, in_channels=3, embed_dim=96, norm_layer=None):
        super().__init__()
        self.tuple_patch_size = tuple(patch_size)
        self.proj = nn.Conv3d(
            in_channels, embed_dim, self.tuple_patch_size, stride=self.tuple_patch_size
        )
        self.norm = nn.Identity() if norm_layer is None else norm_layer(embed_dim)

    def forward(self, x):
        missing = [-n % k for n, k in zip(x.shape[2:], self.tuple_patch_size, strict=True)]
        x = self.proj(F.pad(x, [k for n in reversed(missing) for k in (0, n)]))
        return self.norm(x.permute(0, 2, 3, 4, 1))


class SwinTransformer3d(nn.Module):
    """A transformer whose attention stays within windows of a video.

    Shape: x: (N, 3, T, H, W) → (N, num_classes).

    Args:
        patch_size: Frames, height and width of the patches: a list.
        embed_dim: Number of channels of the first stage; each later one has twice as many.
        depths: List of the number of blocks of each stage.
        num_heads: List of the number of heads of each stage.
        window_size: Length, height and width of the windows, in patches: a list.
        mlp_ratio: Channels inside the feed-forward networks, per channel. Default: 4.
        dropout: Probability of dropout of channels. Default: 0.
        attention_dropout: Probability of dropout in the attention. Default: 0.
        stochastic_depth_prob: Probability that the last block is dropped in training; it grows from
            0 for the first. Default: 0.1.
        num_classes: Number of classes. Default: 400.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``LayerNorm``.
        block: Class of the blocks. Default: ``SwinTransformerBlock`` with windows of videos.
        downsample_layer: Class of the layers between stages. Default: ``PatchMerging``.
        patch_embed: Class of the first layers. Default: ``PatchEmbed3d``.

    Source: Liu et al. 2021, https://arxiv.org/abs/2106.13230

    >>> import rushlight as torch
    >>> from rushlight.vision.models.video import SwinTransformer3d
    >>> model = SwinTransformer3d([2, 4, 4], 8, [1, 1], [2, 2], [2, 2, 2], num_classes=10)
    >>> model(torch.zeros(1, 3, 4, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, patch_size, embed_dim, depths, num_heads, window_size, mlp_ratio=4.0, dropout=0.0,
        attention_dropout=0.0, stochastic_depth_prob=0.1, num_classes=400, norm_layer=None,
        block=None, downsample_layer=PatchMerging, patch_embed=None,
    ):  # fmt: skip
        super().__init__()
        self.num_classes = num_classes
        block = block or partial(SwinTransformerBlock, attn_layer=ShiftedWindowAttention3d)
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        self.patch_embed = (patch_embed or PatchEmbed3d)(
            patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm_layer
        )
        self.pos_drop = nn.Dropout(dropout)
        layers, self.num_features = stages(
            embed_dim, depths, num_heads, window_size, stochastic_depth_prob, block,
            downsample_layer, norm_layer, mlp_ratio=mlp_ratio, dropout=dropout,
            attention_dropout=attention_dropout,
        )  # fmt: skip
        self.features = nn.Sequential(*layers)
        self.norm = norm_layer(self.num_features)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(self.num_features, num_classes)
        draw_linear(self)

    def forward(self, x):
        x = self.norm(self.features(self.pos_drop(self.patch_embed(x))))
        return self.head(self.avgpool(x.permute(0, 4, 1, 2, 3)).flatten(1))


def _swin3d(width, deep, heads, drop, options):
    """A model of ``width`` channels at first, and ``deep`` blocks in its third stage."""
    num_heads = [heads * 2**i for i in range(4)]
    options = {"stochastic_depth_prob": drop, **options}
    return SwinTransformer3d([2, 4, 4], width, [2, 2, deep, 2], num_heads, [8, 7, 7], **options)


@builder(Swin3D_T_Weights, pretrained="KINETICS400_V1")
def swin3d_t(**options):
    """Build a ``SwinTransformer3d`` of 12 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models.video import swin3d_t
    >>> swin3d_t.weights.DEFAULT.meta["num_params"]
    28158070
    """
    return _swin3d(96, 6, 3, 0.1, options)


@builder(Swin3D_S_Weights, pretrained="KINETICS400_V1")
def swin3d_s(**options):
    """Build a ``SwinTransformer3d`` of 24 blocks, 96 to 768 channels.

    >>> from rushlight.vision.models.video import swin3d_s
    >>> swin3d_s.weights.DEFAULT.meta["num_params"]
    49816678
    """
    return _swin3d(96, 18, 3, 0.1, options)


@builder(Swin3D_B_Weights, pretrained="KINETICS400_V1")
def swin3d_b(**options):
    """Build a ``SwinTransformer3d`` of 24 blocks, 128 to 1024 channels.

    >>> from rushlight.vision.models.video import swin3d_b
    >>> swin3d_b.weights.DEFAULT.meta["num_params"]
    88048984
    """
    return _swin3d(128, 18, 4, 0.1, options)
