"""Networks that classify videos: the state of each has torchvision's keys."""

from rushlight.docstrings import document
from rushlight.vision.models.video.mvit import *  # noqa: F403
from rushlight.vision.models.video.mvit import __all__ as _mvit
from rushlight.vision.models.video.resnet import *  # noqa: F403
from rushlight.vision.models.video.resnet import __all__ as _resnet
from rushlight.vision.models.video.s3d import *  # noqa: F403
from rushlight.vision.models.video.s3d import __all__ as _s3d
from rushlight.vision.models.video.swin_transformer import *  # noqa: F403
from rushlight.vision.models.video.swin_transformer import __all__ as _swin

__all__ = [*_mvit, *_resnet, *_s3d, *_swin]

for _name in __all__:
    if isinstance(globals()[_name], type):  # the builders' docstrings are complete already
        document(globals()[_name], "image model")
