"""What ``torch.optim.optimizer`` has for optimizers of other libraries."""

import functools
from collections.abc import Iterable
from typing import Any, TypeAlias

from rushlight.autograd import mode
from rushlight.tensor import Tensor

__all__ = ["ParamsT"]

ParamsT: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
_params_t: TypeAlias = ParamsT  # the older name


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
