"""rushlight: PyTorch's API, semantics and random numbers on NumPy. ``import rushlight as torch``."""

from rushlight import ops as ops
from rushlight.tensor import Size, Tensor
from rushlight.ops.definition import FUNCTIONS as _functions
from rushlight.dtype import *
from rushlight.device import device
from rushlight.autograd.mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from rushlight import autograd as autograd
globals().update(_functions)
from rushlight.dtype import DTYPES as _D, ALIASES as _A
globals().update({d.name: d for d in _D}); globals().update(_A)
