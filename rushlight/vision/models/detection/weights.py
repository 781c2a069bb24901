"""Trained weights of detectors, and what they ask of a model."""

from rushlight.vision.models.detection.coding import overwrite_eps
from rushlight.vision.models.weights import weights_enum
from rushlight.vision.transforms.presets import ObjectDetection

__all__ = ["published", "trained"]


def published(name, module):
    """The ``WeightsEnum`` of this name, as a class of ``module``."""
    return weights_enum(name, module, ObjectDetection)


def trained(member, options):
    """Prepare the options for trained weights: those of the backbone are among them."""
    options["weights_backbone"] = None
    options["is_trained"] = True
    if member.name == "COCO_V1" and "_V2_" not in type(member).__name__:
        return lambda model: overwrite_eps(model, 0.0)
    return None
