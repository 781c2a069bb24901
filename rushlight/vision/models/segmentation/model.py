"""What networks that segment share: a class for each pixel, from a network that classifies."""

from collections import OrderedDict

from rushlight import nn
from rushlight.nn import functional as F
from rushlight.vision.models.blocks import IntermediateLayerGetter
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.transforms.presets import SemanticSegmentation

__all__ = ["Segmentation", "published", "resnet_maps", "trained"]


class Segmentation(nn.Module):
    """A network, and heads on its maps "out" and, if there is one, "aux"."""

    def __init__(self, backbone, classifier, aux_classifier=None):
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x):
        size, maps = x.shape[-2:], self.backbone(x)
        heads = {"out": self.classifier, "aux": self.aux_classifier}
        return OrderedDict(
            (name, F.interpolate(head(maps[name]), size, mode="bilinear", align_corners=False))
            for name, head in heads.items()
            if head is not None
        )


def published(name, module):
    """The ``WeightsEnum`` of this name, as a class of ``module``."""
    return weights_enum(name, module, SemanticSegmentation)


def trained(member, options):
    """Prepare the options for trained weights: those of the backbone are among them."""
    options["weights_backbone"] = None
    options["aux_loss"] = True


def resnet_maps(build, weights_backbone, aux_loss):
    """The maps of a ``ResNet`` whose last stages are dilated instead of strided."""
    body = build(weights=weights_backbone, replace_stride_with_dilation=[False, True, True])
    layers = {"layer4": "out", **({"layer3": "aux"} if aux_loss else {})}
    return IntermediateLayerGetter(body, return_layers=layers)
