"""ViT: a transformer over the patches of an image."""

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.registry import builder, require
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.ops.misc import MLP, Conv2dNormActivation

__all__ = [
    "ViT_B_16_Weights", "ViT_B_32_Weights", "ViT_H_14_Weights", "ViT_L_16_Weights",
    "ViT_L_32_Weights", "VisionTransformer", "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16",
    "vit_l_32",
]  # fmt: skip

ViT_B_16_Weights = weights_enum("ViT_B_16_Weights", __name__)
ViT_B_32_Weights = weights_enum("ViT_B_32_Weights", __name__)
ViT_L_16_Weights = weights_enum("ViT_L_16_Weights", __name__)
ViT_L_32_Weights = weights_enum("ViT_L_32_Weights", __name__)
ViT_H_14_Weights = weights_enum("ViT_H_14_Weights", __name__)

NORM = partial(nn.LayerNorm, eps=1e-6)


class ConvStemConfig(NamedTuple):
    """One convolution of a stem. The stem replaces the linear projection of the patches."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d
    activation_layer: Callable[..., nn.Module] = nn.ReLU


class MLPBlock(MLP):
    """Two linear layers with GELU between them.

    Shape: x: (..., in_dim) → the same.
    """

    _version = 2  # in version 1, the layers were called linear_1 and linear_2

    def __init__(self, in_dim, mlp_dim, dropout):
        super().__init__(
            in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, inplace=None, dropout=dropout
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if (local_metadata.get("version") or 1) < 2:
            for old, new in (("linear_1", "0"), ("linear_2", "3")):
                for name in ("weight", "bias"):
                    if f"{prefix}{old}.{name}" in state_dict:
                        value = state_dict.pop(f"{prefix}{old}.{name}")
                        state_dict[f"{prefix}{new}.{name}"] = value
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class EncoderBlock(nn.Module):
    """Attention, then an ``MLPBlock``. Each normalises its input and adds its result to it.

    Shape: x: (N, L, hidden_dim) → the same.
    """

    def __init__(self, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer=NORM):
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input):
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Adds learned positions, then applies ``num_layers`` blocks and a normalisation.

    Shape: x: (N, seq_length, hidden_dim) → the same.
    """

    def __init__(
        self, seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout,
        norm_layer=NORM,
    ):  # fmt: skip
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        sizes = num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer
        self.layers = nn.Sequential(
            OrderedDict((f"encoder_layer_{i}", EncoderBlock(*sizes)) for i in range(num_layers))
        )
        self.ln = norm_layer(hidden_dim)

    def forward(self, input):
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))


class VisionTransformer(nn.Module):
    """A transformer over a class token and the patches of an image.

    The result of the class token is classified.

    Shape: x: (N, 3, image_size, image_size) → (N, num_classes).

    Args:
        image_size: Height and width of the images, in pixels.
        patch_size: Height and width of the patches, in pixels.
        num_layers: Number of layers of the transformer.
        num_heads: Number of heads of each attention.
        hidden_dim: Number of channels of the tokens.
        mlp_dim: Number of channels inside the feed-forward networks.
        dropout: Probability of dropout of tokens' channels. Default: 0.
        attention_dropout: Probability of dropout in the attention. Default: 0.
        representation_size: Number of channels of one more layer before the last. Default: None, no
            such layer.
        norm_layer: Function of a number of channels that makes a normalization layer.
            Default: ``LayerNorm``.
        conv_stem_configs: List of ``ConvStemConfig`` of convolutions in place of the patches'
            linear layer. Default: None.

    Raises:
        AssertionError: the images are not of ``image_size``, or ``patch_size`` does not divide it.

    Source: Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929

    >>> import rushlight as torch
    >>> from rushlight.vision.models import VisionTransformer
    >>> VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=10)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self, image_size, patch_size, num_layers, num_heads, hidden_dim, mlp_dim, dropout=0.0,
        attention_dropout=0.0, num_classes=1000, representation_size=None, norm_layer=NORM,
        conv_stem_configs=None,
    ):  # fmt: skip
        super().__init__()
        if image_size % patch_size:
            raise AssertionError(
                f"VisionTransformer: patch_size={patch_size} does not divide "
                f"image_size={image_size}"
            )
        self.image_size = image_size
        self.patch_size = patch_size
        self.hidden_dim = hidden_dim
        self.mlp_dim = mlp_dim
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.num_classes = num_classes
        self.representation_size = representation_size
        self.norm_layer = norm_layer
        self.conv_proj = self._projection(conv_stem_configs)
        self.class_token = nn.Parameter(torch.zeros(1, 1, hidden_dim))
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout,
            attention_dropout, norm_layer,
        )  # fmt: skip
        self.heads = self._heads()
        self._init_weights()

    def _projection(self, stem):
        if stem is None:
            return nn.Conv2d(3, self.hidden_dim, self.patch_size, stride=self.patch_size)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = 3
        for i, layer in enumerate(stem):
            layers[f"conv_bn_relu_{i}"] = Conv2dNormActivation(
                channels, layer.out_channels, layer.kernel_size, layer.stride,
                norm_layer=layer.norm_layer, activation_layer=layer.activation_layer,
            )  # fmt: skip
            channels = layer.out_channels
        layers["conv_last"] = nn.Conv2d(channels, self.hidden_dim, 1)
        return nn.Sequential(layers)

    def _heads(self):
        if self.representation_size is None:
            return nn.Sequential(OrderedDict(head=nn.Linear(self.hidden_dim, self.num_classes)))
        return nn.Sequential(
            OrderedDict(
                pre_logits=nn.Linear(self.hidden_dim, self.representation_size),
                act=nn.Tanh(),
                head=nn.Linear(self.representation_size, self.num_classes),
            )
        )

    def _init_weights(self):
        if isinstance(self.conv_proj, nn.Conv2d):
            fan_in = math.prod(self.conv_proj.weight.shape[1:])
            nn.init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / fan_in))
            nn.init.zeros_(self.conv_proj.bias)
        else:
            last = self.conv_proj.conv_last
            nn.init.normal_(last.weight, std=math.sqrt(2 / last.out_channels))
            nn.init.zeros_(last.bias)
        if self.representation_size is not None:
            nn.init.trunc_normal_(self.heads.pre_logits.weight, std=math.sqrt(1 / self.hidden_dim))
            nn.init.zeros_(self.heads.pre_logits.bias)
        nn.init.zeros_(self.heads.head.weight)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x):
        count, _, height, width = x.shape
        for size in (height, width):  # by _assert, so that torch.fx can trace the comparison
            torch._assert(
                size == self.image_size,
                f"VisionTransformer: images must be of {self.image_size}×{self.image_size}, "
                f"but are of {height}×{width}",
            )
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        token = self.class_token.expand(count, -1, -1)
        return self.heads(self.encoder(torch.cat([token, patches], 1))[:, 0])


def interpolate_embeddings(
    image_size, patch_size, model_state, interpolation_mode="bicubic", reset_heads=False
):
    """Adapt the state of a model to images of another size, by interpolating its positions.

    If the number of positions changes and ``reset_heads`` is True, the returned state lacks the
    classifier.

    Raises:
        ValueError: the positions in ``model_state`` are not those of a square image.
    """
    embedding = model_state["encoder.pos_embedding"]
    size = image_size // patch_size
    if embedding.shape[1] == size**2 + 1:
        return model_state
    old = math.isqrt(embedding.shape[1] - 1)
    if embedding.shape[0] != 1 or old**2 != embedding.shape[1] - 1:
        raise ValueError(
            f"interpolate_embeddings: encoder.pos_embedding {tuple(embedding.shape)} is not "
            "(1, n² + 1, hidden_dim)"
        )
    token, grid = embedding[:, :1], embedding[:, 1:]
    grid = grid.transpose(1, 2).unflatten(2, (old, old))
    grid = F.interpolate(grid, size=size, mode=interpolation_mode, align_corners=True)
    model_state["encoder.pos_embedding"] = torch.cat([token, grid.flatten(2).transpose(1, 2)], 1)
    if not reset_heads:
        return model_state
    return OrderedDict((k, v) for k, v in model_state.items() if not k.startswith("heads"))


def _trained(weights, options):
    require(options, "image_size", weights.meta["min_size"][0])


def _vit(patch_size, *sizes, image_size=224, **options):
    return VisionTransformer(image_size, patch_size, *sizes, **options)


@builder(ViT_B_16_Weights, _trained)
def vit_b_16(**options):
    """Build a ``VisionTransformer`` of 12 layers of 768, patches of 16.

    >>> from rushlight.vision.models import vit_b_16
    >>> vit_b_16.weights.DEFAULT.meta["num_params"]
    86567656
    """
    return _vit(16, 12, 12, 768, 3072, **options)


@builder(ViT_B_32_Weights, _trained)
def vit_b_32(**options):
    """Build a ``VisionTransformer`` of 12 layers of 768, patches of 32.

    >>> from rushlight.vision.models import vit_b_32
    >>> vit_b_32.weights.DEFAULT.meta["num_params"]
    88224232
    """
    return _vit(32, 12, 12, 768, 3072, **options)


@builder(ViT_L_16_Weights, _trained)
def vit_l_16(**options):
    """Build a ``VisionTransformer`` of 24 layers of 1024, patches of 16.

    >>> from rushlight.vision.models import vit_l_16
    >>> vit_l_16.weights.DEFAULT.meta["num_params"]
    304326632
    """
    return _vit(16, 24, 16, 1024, 4096, **options)


@builder(ViT_L_32_Weights, _trained)
def vit_l_32(**options):
    """Build a ``VisionTransformer`` of 24 layers of 1024, patches of 32.

    >>> from rushlight.vision.models import vit_l_32
    >>> vit_l_32.weights.DEFAULT.meta["num_params"]
    306535400
    """
    return _vit(32, 24, 16, 1024, 4096, **options)


@builder(ViT_H_14_Weights, _trained, pretrained=None)
def vit_h_14(**options):
    """Build a ``VisionTransformer`` of 32 layers of 1280, patches of 14.

    >>> from rushlight.vision.models import vit_h_14
    >>> vit_h_14.weights.DEFAULT.meta["num_params"]
    633470440
    """
    return _vit(14, 32, 16, 1280, 5120, **options)
