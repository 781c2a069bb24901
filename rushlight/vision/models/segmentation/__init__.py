"""Networks that segment: they give each pixel a class."""

from rushlight.docstrings import document
from rushlight.vision.models.segmentation.deeplabv3 import *  # noqa: F403
from rushlight.vision.models.segmentation.deeplabv3 import __all__ as _deeplabv3
from rushlight.vision.models.segmentation.fcn import *  # noqa: F403
from rushlight.vision.models.segmentation.fcn import __all__ as _fcn
from rushlight.vision.models.segmentation.lraspp import *  # noqa: F403
from rushlight.vision.models.segmentation.lraspp import __all__ as _lraspp

__all__ = [*_deeplabv3, *_fcn, *_lraspp]

for _name in __all__:
    if isinstance(globals()[_name], type):  # the builders' docstrings are complete already
        document(globals()[_name], "image model")
