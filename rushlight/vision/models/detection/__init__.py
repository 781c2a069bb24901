"""Detectors: networks that find objects in images."""

from rushlight.docstrings import document
from rushlight.vision.models.detection.faster_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.faster_rcnn import __all__ as _faster_rcnn
from rushlight.vision.models.detection.fcos import *  # noqa: F403
from rushlight.vision.models.detection.fcos import __all__ as _fcos
from rushlight.vision.models.detection.keypoint_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.keypoint_rcnn import __all__ as _keypoint_rcnn
from rushlight.vision.models.detection.mask_rcnn import *  # noqa: F403
from rushlight.vision.models.detection.mask_rcnn import __all__ as _mask_rcnn
from rushlight.vision.models.detection.retinanet import *  # noqa: F403
from rushlight.vision.models.detection.retinanet import __all__ as _retinanet
from rushlight.vision.models.detection.ssd import *  # noqa: F403
from rushlight.vision.models.detection.ssd import __all__ as _ssd
from rushlight.vision.models.detection.ssdlite import *  # noqa: F403
from rushlight.vision.models.detection.ssdlite import __all__ as _ssdlite

__all__ = [
    *_faster_rcnn, *_fcos, *_keypoint_rcnn, *_mask_rcnn, *_retinanet, *_ssd, *_ssdlite,
]  # fmt: skip

for _name in __all__:
    if isinstance(globals()[_name], type):  # the builders' docstrings are complete already
        document(globals()[_name], "image model")
