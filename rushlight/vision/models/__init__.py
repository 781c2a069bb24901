"""Networks that classify images: the state of each has torchvision's keys."""

from rushlight.docstrings import document
from rushlight.vision.models import detection, optical_flow, segmentation, video
from rushlight.vision.models.alexnet import *  # noqa: F403
from rushlight.vision.models.alexnet import __all__ as _alexnet
from rushlight.vision.models.convnext import *  # noqa: F403
from rushlight.vision.models.convnext import __all__ as _convnext
from rushlight.vision.models.densenet import *  # noqa: F403
from rushlight.vision.models.densenet import __all__ as _densenet
from rushlight.vision.models.efficientnet import *  # noqa: F403
from rushlight.vision.models.efficientnet import __all__ as _efficientnet
from rushlight.vision.models.googlenet import *  # noqa: F403
from rushlight.vision.models.googlenet import __all__ as _googlenet
from rushlight.vision.models.inception import *  # noqa: F403
from rushlight.vision.models.inception import __all__ as _inception
from rushlight.vision.models.maxvit import *  # noqa: F403
from rushlight.vision.models.maxvit import __all__ as _maxvit
from rushlight.vision.models.mnasnet import *  # noqa: F403
from rushlight.vision.models.mnasnet import __all__ as _mnasnet
from rushlight.vision.models.mobilenetv2 import *  # noqa: F403
from rushlight.vision.models.mobilenetv2 import __all__ as _mobilenetv2
from rushlight.vision.models.mobilenetv3 import *  # noqa: F403
from rushlight.vision.models.mobilenetv3 import __all__ as _mobilenetv3
from rushlight.vision.models.registry import (
    get_model,
    get_model_builder,
    get_model_weights,
    get_weight,
    list_models,
)
from rushlight.vision.models.regnet import *  # noqa: F403
from rushlight.vision.models.regnet import __all__ as _regnet
from rushlight.vision.models.resnet import *  # noqa: F403
from rushlight.vision.models.resnet import __all__ as _resnet
from rushlight.vision.models.shufflenetv2 import *  # noqa: F403
from rushlight.vision.models.shufflenetv2 import __all__ as _shufflenetv2
from rushlight.vision.models.squeezenet import *  # noqa: F403
from rushlight.vision.models.squeezenet import __all__ as _squeezenet
from rushlight.vision.models.swin_transformer import *  # noqa: F403
from rushlight.vision.models.swin_transformer import __all__ as _swin
from rushlight.vision.models.vgg import *  # noqa: F403
from rushlight.vision.models.vgg import __all__ as _vgg
from rushlight.vision.models.vision_transformer import *  # noqa: F403
from rushlight.vision.models.vision_transformer import __all__ as _vision_transformer
from rushlight.vision.models.weights import Weights, WeightsEnum

__all__ = [
    "Weights", "WeightsEnum", "detection", "get_model", "get_model_builder", "get_model_weights",
    "get_weight", "list_models", "optical_flow", "segmentation", "video", *_alexnet, *_convnext,
    *_densenet,
    *_efficientnet, *_googlenet, *_inception, *_maxvit, *_mnasnet, *_mobilenetv2, *_mobilenetv3,
    *_regnet, *_resnet, *_shufflenetv2, *_squeezenet, *_swin, *_vgg, *_vision_transformer,
]  # fmt: skip

for _name in __all__:
    if isinstance(globals()[_name], type):  # the builders' docstrings are complete already
        document(globals()[_name], "image model")
