"""Detectors: networks that find objects in images."""

from rushlight.docstrings import document
from rushlight.vision.models.detection.faster_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.faster_rcnn import __all__ as _faster_rcnn
from rushlight.vision.models.detection.keypoint_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.keypoint_rcnn import __all__ as _keypoint_rcnn
from rushlight.vision.models.detection.mask_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.mask_rcnn import __all__ as _mask_rcnn
from rushlight.vision.models.detection.retinanet import *  # noqa: F403
from rushlight.vision.models.detection.retinanet import __all__ as _retinanet

__all__ = [*_faster_rcnn, *_keypoint_rcnn, *_mask_rcnn, *_retinanet]

for _name in __all__:
    if isinstance(globals()[_name], type):  # the builders' docstrings are complete already
        document(globals()[_name], "image model")
