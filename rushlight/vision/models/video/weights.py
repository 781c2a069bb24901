"""Trained weights of networks of videos."""

from rushlight.vision.models.weights import weights_enum
from rushlight.vision.transforms.presets import VideoClassification

__all__ = ["published"]


def published(name, module):
    """The ``WeightsEnum`` of this name, as a class of ``module``."""
    return weights_enum(name, module, VideoClassification)
