"""What ``torch.optim.optimizer`` has for optimizers of other libraries."""

import functools
from collections.abc import Iterable
from typing import Any, TypeAlias

from rushlight import late
from rushlight.autograd import mode
from rushlight.device import device
from rushlight.tensor import Tensor

__all__ = ["ParamsT"]

#: Lines of docstrings that optimizers of other libraries put into their own.
_params_doc = "params: Tensors, ``(name, tensor)`` pairs, or dicts of groups."
_foreach_doc = "foreach: Whether to step on lists of tensors. Default: None."
_fused_doc = "fused: Whether to step by one kernel. Default: None."
_capturable_doc = "capturable: Whether a step can be captured as a graph. Default: False."
_differentiable_doc = "differentiable: Whether gradients flow through a step. Default: False."
_maximize_doc = "maximize: Whether the objective is maximised. Default: False."

ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
_params_t: TypeAlias = ParamsT  # the older name
DeviceDict: TypeAlias = dict[device | None, Tensor]


def _use_grad_for_differentiable(func):
    """Let an optimizer's step record gradients if the optimizer is ``differentiable``."""

    @functools.wraps(func)
    def step(self, *args, **kwargs):
        with mode.set_grad_enabled(bool(self.defaults["differentiable"])):
            return func(self, *args, **kwargs)

    return step


def _default_to_fused_or_foreach(params, differentiable, use_fused=False):
    """(whether to step by one fused kernel, whether to step on lists of tensors): neither, here."""
    return False, False


def _get_value(x):
    """Return the number in a tensor with one element; any other ``x`` as it is."""
    return x.item() if isinstance(x, Tensor) else x


def _stack_if_compiling(x):
    """Return ``x``; PyTorch's compiler stacks it."""
    return x


def _get_scalar_dtype(is_fused=None):
    """Return the dtype of an optimizer's count of steps."""
    import rushlight

    return (
        rushlight.float64
        if rushlight.get_default_dtype() == rushlight.float64
        else rushlight.float32
    )


def _get_capturable_supported_devices(supports_xla=True):
    """Return the types of the devices whose steps can be captured as a graph: none here."""
    return []


def _get_foreach_kernels_supported_devices():
    """Return the types of the devices where PyTorch steps on lists of tensors."""
    return ["cuda", "xpu", "mtia", "privateuseone"]


def _get_fused_kernels_supported_devices():
    """Return the types of the devices where PyTorch steps by one fused kernel."""
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]


def _device_dtype_check_for_fused(p, cuda_unsupported=False):
    """Raise RuntimeError if PyTorch has no fused kernel for the parameter ``p``."""
    known = _get_fused_kernels_supported_devices()
    if cuda_unsupported:
        known.remove("cuda")
    if p.device.type not in known or not p.is_floating_point():
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of supported "
            f"devices: {known} but {p.dtype} and {p.device.type}"
        )


def _view_as_real(params, *state_and_grads):
    """Replace complex parameters, and what belongs to them, by their real views, in the lists."""
    view_as_real = late.framework.view_as_real
    for i, p in enumerate(params):
        if p.is_complex():
            for tensors in (params, *state_and_grads):
                tensors[i] = view_as_real(tensors[i])


def _to_scalar(x):
    """Return a tensor of one element as a 0-dim tensor; any other ``x`` as it is."""
    return x.squeeze() if isinstance(x, Tensor) and x.ndim else x


def _disable_dynamo_if_unsupported(single_tensor_fn=None):
    """Return a decorator that leaves a function as it is, because every step compiles."""
    return lambda function: function
