"""torch._C: the names of PyTorch's C++ module that libraries use.

Any other name of torch._C raises the error for a name that rushlight lacks.
"""

from rushlight import features, late, shapes
from rushlight.accelerator import current_accelerator
from rushlight.autograd import mode
from rushlight.autograd.mode import classes_unasked as DisableTorchFunctionSubclass  # noqa: F401
from rushlight.autograd.mode import is_grad_enabled as is_grad_enabled
from rushlight.autograd.mode import is_inference_mode_enabled as is_inference_mode_enabled
from rushlight.autograd.mode import unasked as DisableTorchFunction  # noqa: F401
from rushlight.backends import cudnn, mkldnn
from rushlight.backends.cuda import _BlasBackend, _LinalgBackend  # noqa: F401
from rushlight.defaults import get_default_device
from rushlight.device import device as device
from rushlight.dtype import dtype as dtype
from rushlight.handled import is_handled
from rushlight.linalg import LinAlgError as _LinAlgError  # noqa: F401 - programs catch it
from rushlight.random import Generator as Generator
from rushlight.random import default_generator as default_generator
from rushlight.tensor import Size as Size
from rushlight.tensor import Tensor
from rushlight.tensor import disabled_torch_dispatch as _disabled_torch_dispatch_impl  # noqa: F401
from rushlight.tensor import disabled_torch_function as _disabled_torch_function_impl  # noqa: F401

__all__: list[str] = []

_VariableFunctionsClass = late.framework  # pickles of functions name it: torch.relu and the like

TensorBase = _TensorBase = Tensor

has_lapack, has_spectral = features.has_lapack, features.has_spectral
has_mkl, has_openmp = features.has_mkl, features.has_openmp
_has_mkldnn = mkldnn.is_available()

_TensorMeta = type(Tensor)


def _are_functorch_transforms_active():
    """True inside a function that ``vmap`` runs."""
    from rushlight.func.interior import are_transforms_active

    return are_transforms_active()


def _is_alias_of(a, b):
    """Whether two tensors share their memory."""
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _infer_size(a, b):
    """Return the shape to which two ``torch.Size`` broadcast."""
    for place, shape in ((1, a), (2, b)):
        if not isinstance(shape, Size):
            raise RuntimeError(f"expected a torch.Size as argument {place}")
    return Size(shapes.broadcast("_infer_size", a, b))


def _is_torch_function_mode_enabled():
    """Whether a ``TorchFunctionMode`` is entered in this thread."""
    return bool(mode.state.function_modes)


def _get_privateuse1_backend_name():
    """The name of a device type for other libraries' drivers."""
    return "privateuseone"


def _log_api_usage_once(event):
    """Do nothing: rushlight does not log which functions are used."""


def _get_accelerator():
    """Return the device of the accelerator, or the CPU if there is none."""
    return current_accelerator() or device("cpu")


def _get_cudnn_enabled():
    """Return the switch ``torch.backends.cudnn.enabled``."""
    return cudnn.enabled


def _get_tracing_state():
    """Return None: ``torch.jit.trace`` runs the function and records nothing."""


def _get_default_device():
    """Return the type of the device on which new tensors are made, such as ``"cpu"``."""
    return get_default_device().type


def _dispatch_isTensorSubclassLike(x):
    """Whether the class of a tensor has ``__torch_dispatch__``, or a mode sees the operations."""
    return is_handled(x) or mode.state.dispatch_modes is not None


def _is_tracing():
    """Return False: ``torch.jit.trace`` runs the function and records nothing."""
    return False


def _set_math_sdp_allow_fp16_bf16_reduction(allow):
    """Do nothing: attention in half precision sums in float32."""


#: Switches of TorchScript's compiler, which are remembered and have no effect.
_script_switches = {"executor": True, "mode": True, "fuse_on_cpu": False, "texpr_fuser": True}


def _set_script_switch(name, on):
    before, _script_switches[name] = _script_switches[name], bool(on)
    return before


def is_autocast_enabled(device_type=None):
    """Return ``torch.is_autocast_enabled(device_type)``."""
    asked = () if device_type is None else (device_type,)
    return late.framework.is_autocast_enabled(*asked)


def _jit_set_profiling_executor(enabled):
    """Remember a switch of TorchScript's compiler, which has no effect; return the old value."""
    return _set_script_switch("executor", enabled)


def _jit_set_profiling_mode(enabled):
    """Remember a switch of TorchScript's compiler, which has no effect; return the old value."""
    return _set_script_switch("mode", enabled)


def _jit_override_can_fuse_on_cpu(enabled):
    """Remember a switch of TorchScript's compiler, which has no effect."""
    _set_script_switch("fuse_on_cpu", enabled)


def _jit_can_fuse_on_cpu():
    """Return what ``_jit_override_can_fuse_on_cpu`` was told last, or False."""
    return _script_switches["fuse_on_cpu"]


def _jit_set_texpr_fuser_enabled(enabled):
    """Remember a switch of TorchScript's compiler, which has no effect."""
    _set_script_switch("texpr_fuser", enabled)


def _jit_texpr_fuser_enabled():
    """Return what ``_jit_set_texpr_fuser_enabled`` was told last, or True."""
    return _script_switches["texpr_fuser"]


def _jit_can_fuse_on_gpu():
    """Return False: no TorchScript is compiled."""
    return False


def _jit_no_fuser(enabled=None):
    """Do nothing, as in PyTorch without CUDA: these switches belong to fusers for GPUs."""


_jit_override_can_fuse_on_gpu = _jit_set_nvfuser_enabled = _jit_set_nvfuser_guard_mode = (
    _jit_no_fuser
)


class _OfTorchScript:
    """A class of PyTorch's TorchScript, which programs name in annotations."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError(
            f"torch._C.{type(self).__name__}: rushlight runs TorchScript as Python and has no "
            "graphs of it"
        )


class Graph(_OfTorchScript):
    """The graph of a function in TorchScript."""


class Node(_OfTorchScript):
    """An operation in a graph of TorchScript."""


class Value(_OfTorchScript):
    """A value in a graph of TorchScript."""


class ScriptObject(_OfTorchScript):
    """An object of a class that is written in TorchScript."""
