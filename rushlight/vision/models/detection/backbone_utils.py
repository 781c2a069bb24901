"""Feature pyramids on networks that classify images."""

import functools
import warnings

from rushlight import nn
from rushlight.vision.models.blocks import IntermediateLayerGetter
from rushlight.vision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from rushlight.vision.ops.feature_pyramid_network import LastLevelMaxPool

__all__ = [
    "BackboneWithFPN", "mobilenet_backbone", "mobilenet_fpn", "resnet_fpn", "resnet_fpn_backbone",
    "trainable_layers_of",
]  # fmt: skip


class BackboneWithFPN(nn.Module):
    """Layers of a network, and a feature pyramid on the maps of some of them."""

    def __init__(
        self, backbone, return_layers, in_channels_list, out_channels, extra_blocks=None,
        norm_layer=None,
    ):  # fmt: skip
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers=return_layers)
        self.fpn = FeaturePyramidNetwork(
            in_channels_list, out_channels, extra_blocks or LastLevelMaxPool(), norm_layer
        )
        self.out_channels = out_channels

    def forward(self, x):
        return self.fpn(self.body(x))


def trainable_layers_of(is_trained, asked, most, usual):
    """How many of the last layers of a backbone are trained.

    Raises:
        ValueError: More are asked for than there are.
    """
    if not is_trained:
        if asked is not None:
            warnings.warn(
                "trainable_backbone_layers has no effect without trained weights: all layers are "
                "trained",
                stacklevel=4,
            )
        return most
    asked = usual if asked is None else asked
    if not 0 <= asked <= most:
        raise ValueError(f"Trainable backbone layers should be from 0 to {most}, got {asked}")
    return asked


def resnet_fpn(backbone, trainable, returned_layers=(1, 2, 3, 4), extra_blocks=None, norm=None):
    """A pyramid on the stages of a ``ResNet``, of which the last ``trainable`` are trained."""
    if not 0 <= trainable <= 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable}")
    if min(returned_layers) <= 0 or max(returned_layers) >= 5:
        raise ValueError(f"Each returned layer should be from 1 to 4. Got {returned_layers}")
    trained = ["layer4", "layer3", "layer2", "layer1", "conv1"][:trainable]
    trained += ["bn1"] * (trainable == 5)
    for name, parameter in backbone.named_parameters():
        if not name.startswith(tuple(trained)):
            parameter.requires_grad_(False)
    if isinstance(extra_blocks, functools.partial):  # its weights are drawn after the backbone's
        extra_blocks = extra_blocks()
    layers = {f"layer{stage}": str(i) for i, stage in enumerate(returned_layers)}
    channels = [backbone.inplanes // 8 * 2 ** (stage - 1) for stage in returned_layers]
    return BackboneWithFPN(backbone, layers, channels, 256, extra_blocks, norm)


def resnet_fpn_backbone(
    *, backbone_name, weights, norm_layer=FrozenBatchNorm2d, trainable_layers=3,
    returned_layers=None, extra_blocks=None,
):  # fmt: skip
    """A pyramid on the ``ResNet`` of this name."""
    from rushlight.vision.models import resnet

    backbone = getattr(resnet, backbone_name)(weights=weights, norm_layer=norm_layer)
    stages = returned_layers or (1, 2, 3, 4)
    return resnet_fpn(backbone, trainable_layers, stages, extra_blocks)


def stages_of(features):
    """The places in MobileNet's ``features`` at which the maps get smaller, and the last one."""
    inner = [i for i, block in enumerate(features) if getattr(block, "_is_cn", False)]
    return [0, *inner, len(features) - 1]


def freeze(features, stages, trainable):
    """Freeze ``features`` but for the last ``trainable`` of the stages that begin at ``stages``."""
    if not 0 <= trainable <= len(stages):
        raise ValueError(f"Trainable layers should be from 0 to {len(stages)}, got {trainable}")
    frozen = len(features) if trainable == 0 else stages[len(stages) - trainable]
    for block in features[:frozen]:
        for parameter in block.parameters():
            parameter.requires_grad_(False)


def mobilenet_fpn(backbone, trainable, fpn=True, returned_layers=None, extra_blocks=None):
    """A pyramid on the stages of a MobileNet, or, without ``fpn``, its last map."""
    features = backbone.features
    stages = stages_of(features)
    freeze(features, stages, trainable)
    if not fpn:
        head = nn.Sequential(features, nn.Conv2d(features[-1].out_channels, 256, 1))
        vars(head)["out_channels"] = 256
        return head
    returned = returned_layers or [len(stages) - 2, len(stages) - 1]
    if min(returned) < 0 or max(returned) >= len(stages):
        raise ValueError(f"Each returned layer should be from 0 to {len(stages) - 1}: {returned}")
    layers = {str(stages[k]): str(i) for i, k in enumerate(returned)}
    channels = [features[stages[k]].out_channels for k in returned]
    return BackboneWithFPN(features, layers, channels, 256, extra_blocks)


def mobilenet_backbone(
    *, backbone_name, weights, fpn, norm_layer=FrozenBatchNorm2d, trainable_layers=2,
    returned_layers=None, extra_blocks=None,
):  # fmt: skip
    """A pyramid on the MobileNet of this name."""
    from rushlight.vision import models

    backbone = getattr(models, backbone_name)(weights=weights, norm_layer=norm_layer)
    return mobilenet_fpn(backbone, trainable_layers, fpn, returned_layers, extra_blocks)


def classifier_for(build, weights_backbone, is_trained, frozen=True):
    """A classifier as the body of a detector; its batch norms are frozen if it is trained."""
    options = {}
    if frozen:
        options["norm_layer"] = FrozenBatchNorm2d if is_trained else nn.BatchNorm2d
    return build(weights=weights_backbone, **options)
