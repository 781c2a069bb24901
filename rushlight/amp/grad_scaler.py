"""``GradScaler``: scales a loss so that its gradients do not round to 0 in float16.

Source: Micikevicius et al., Mixed precision training, ICLR 2018, section 3.2.
"""

import inspect
import warnings
from enum import Enum
from typing import Any

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.mode import no_grad
from rushlight.device_array import drivers
from rushlight.dtype import float16
from rushlight.tensor import Tensor, from_array

__all__ = ["GradScaler", "OptState"]


class OptState(Enum):
    """The last step that an optimizer's gradients went through since the last ``update``.

    >>> from rushlight.amp.grad_scaler import OptState
    >>> OptState.READY.name
    'READY'
    """

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Multiplies a loss by a scale, divides the gradients by the scale, and adapts the scale.

    If a gradient comes out infinite or nan, the optimizer's step is skipped and the scale falls.
    After ``growth_interval`` steps in a row without such gradients the scale grows.

    Args:
        device: The type of the tensors' device. Without CUDA devices, ``"cuda"`` warns and the
            scaler is disabled.
        init_scale: The first scale.
        growth_factor: The factor by which the scale grows, above 1.
        backoff_factor: The factor by which the scale falls after a skipped step, below 1.
        growth_interval: The number of steps in a row without a skipped step before the scale grows.
        enabled: If False, ``scale`` returns its argument and ``step`` is the optimizer's own step.

    Raises:
        AssertionError: ``growth_factor`` is not above 1, or ``backoff_factor`` is not below 1.

    >>> import rushlight as torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> optimizer, scaler = torch.optim.SGD([w], lr=0.5), torch.amp.GradScaler("cpu")
    >>> scaler.scale(w.sum()).backward()
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> w.detach(), scaler.get_scale()
    (tensor([0.5000, 0.5000]), 65536.0)
    """

    def __init__(
        self,
        device="cuda",
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        self._device = device
        if enabled and device == "cuda" and not drivers("cuda"):
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available: disabled",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        if not enabled:
            return
        if not growth_factor > 1:
            raise AssertionError(f"GradScaler: growth_factor is {growth_factor}, must be above 1")
        if not backoff_factor < 1:
            raise AssertionError(f"GradScaler: backoff_factor is {backoff_factor}, must be below 1")
        self._init_scale, self._growth_factor = init_scale, growth_factor
        self._backoff_factor, self._growth_interval = backoff_factor, growth_interval
        self._init_growth_tracker = 0
        self._scale: Any = None  # 0-dim tensors, made by `_start` at the first `scale`
        self._growth_tracker: Any = None
        self._per_optimizer_states: dict = {}  # optimizer id → {"stage", "found_inf"}

    def _start(self):
        """Make the tensors that hold the scale and the number of steps since its last change."""
        if self._scale is None:
            # Made from arrays, so that the tensors hold values even while a trace is recorded.
            self._scale = from_array(np.array(self._init_scale, np.float32))
            self._growth_tracker = from_array(np.array(self._init_growth_tracker, np.int32))

    def _check_started(self, name):
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )

    def _state(self, optimizer, name):
        mode.refuse_in_trace(
            "GradScaler cannot look whether gradients are finite; take the step outside, or train "
            "in bfloat16, which needs no scaling"
        )
        self._check_started(name)
        return self._per_optimizer_states.setdefault(
            id(optimizer), {"stage": OptState.READY, "found_inf": None}
        )

    # A step -------------------------------------------------------------------------------

    def scale(self, outputs):
        """Multiply ``outputs``, a tensor or an iterable of tensors, by the scale.

        Raises:
            ValueError: ``outputs`` is neither.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            self._start()
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(x) for x in outputs])
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer):
        """Divide the gradients of the optimizer's parameters by the scale, and look for infinities.

        ``step`` calls this method unless the caller has called it before, for instance to clip
        gradients.

        Raises:
            RuntimeError: The method was already called since the last ``update``, or ``step`` was.
            ValueError: A gradient is in float16.
            AssertionError: ``scale`` was not called yet.
        """
        if not self._enabled:
            return
        state = self._state(optimizer, "unscale_")
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        state["found_inf"] = _unscale(_gradients(optimizer), 1.0 / self._scale.item())
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer, *args, **kwargs):
        """Call ``optimizer.step(*args, **kwargs)`` and return its result.

        If a gradient is infinite or nan, the step is skipped and the result is None.

        Raises:
            RuntimeError: ``step`` was already called since the last ``update``, or a closure is
                given.
            AssertionError: ``scale`` was not called yet, or no parameter of the optimizer has a
                gradient.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        state = self._state(optimizer, "step")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            return self._step_scaled(optimizer, state, args, kwargs)
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if state["found_inf"] is None:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        found = None if state["found_inf"] else optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return found

    def _step_scaled(self, optimizer, state, args, kwargs):
        """Call the step of an optimizer that unscales its gradients itself.

        The step finds the tensors ``grad_scale`` and ``found_inf`` as attributes of the optimizer,
        or takes this object as ``grad_scaler``.
        """
        if "grad_scaler" in inspect.signature(optimizer.step).parameters:
            warnings.warn(
                "GradScaler is going to stop passing itself as a keyword argument to the passed "
                "optimizer: read optimizer.grad_scale and optimizer.found_inf in its step",
                FutureWarning, stacklevel=3,
            )  # fmt: skip
            found = optimizer.step(*args, **kwargs, grad_scaler=self)
            state["stage"] = OptState.STEPPED
            return found
        before = getattr(optimizer, "grad_scale", None)
        if state["stage"] is OptState.READY:
            state["found_inf"] = _unscale(_gradients(optimizer), 1.0)
            before = self._scale.clone() if before is None else self._scale * before
        optimizer.grad_scale = before
        optimizer.found_inf = self._scale.new_tensor(float(bool(state["found_inf"])))
        found = optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        del optimizer.grad_scale, optimizer.found_inf
        return found

    def update(self, new_scale=None):
        """Lower the scale if a step since the last ``update`` was skipped, or let the scale grow.

        With ``new_scale`` the scale is set to this value instead.

        Raises:
            AssertionError: ``scale`` was not called yet; no gradients were unscaled since the last
                ``update``; or ``new_scale`` is neither a float nor a tensor of one element.
        """
        if not self._enabled:
            return
        self._check_started("update")
        if new_scale is None:
            self._adapt()
        elif isinstance(new_scale, float):
            self._scale.fill_(new_scale)
        else:
            one = new_scale.device.type == self._device and new_scale.numel() == 1
            if not one or new_scale.requires_grad:
                raise AssertionError(
                    "new_scale should be a float or a 1-element torch.cuda.FloatTensor or "
                    "torch.FloatTensor with requires_grad=False."
                )
            self._scale.copy_(new_scale)
        self._per_optimizer_states.clear()

    def _adapt(self):
        from rushlight.private_functions import _amp_update_scale_

        states = self._per_optimizer_states.values()
        found = [s["found_inf"] for s in states if s["found_inf"] is not None]
        if not found:
            raise AssertionError("No inf checks were recorded prior to update.")
        _amp_update_scale_(
            self._scale, self._growth_tracker, self._scale.new_tensor(float(any(found))),
            self._growth_factor, self._backoff_factor, self._growth_interval,
        )  # fmt: skip

    # The settings -------------------------------------------------------------------------

    def get_scale(self):
        """The scale as a float; 1.0 if the scaler is disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self):
        """The factor by which the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Set the factor by which the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """The factor by which the scale falls after a skipped step."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Set the factor by which the scale falls after a skipped step."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """The number of steps in a row without a skipped step before the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Set the number of steps in a row without a skipped step before the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self):
        if not self._enabled:
            return 0
        tracker = self._growth_tracker
        return self._init_growth_tracker if tracker is None else tracker.item()

    def is_enabled(self):
        """Whether the scaler is enabled."""
        return self._enabled

    def state_dict(self):
        """The scaler's state for ``load_state_dict``, in PyTorch's form; {} if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict):
        """Restore the state that ``state_dict()`` returned.

        Raises:
            RuntimeError: ``state_dict`` is empty, because it is from a disabled scaler.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved "
                "from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        if self._scale is not None:
            self._scale.fill_(self._init_scale)
            self._growth_tracker.fill_(self._init_growth_tracker)

    def __getstate__(self):
        """Return the state to pickle; the copy starts with the current scale as its first scale."""
        state = vars(self).copy()
        if self._enabled:
            if self._per_optimizer_states:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, "
                    "or at the end after scaler.update()."
                )
            state["_init_scale"] = self.get_scale()
            state["_init_growth_tracker"] = self._get_growth_tracker()
            state["_scale"] = state["_growth_tracker"] = None
        return state


def _gradients(optimizer):
    """The gradients of an optimizer's parameters.

    Raises:
        ValueError: A gradient is in float16, whose range is too small for unscaled gradients.
    """
    found = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.dtype is float16:
                raise ValueError("Attempting to unscale FP16 gradients.")
            found.append(p.grad)
    return found


def _unscale(gradients, factor):
    """Multiply ``gradients`` by ``factor`` in place.

    Returns:
        Whether a gradient held an infinity or nan; None if there are no gradients.
    """
    found = None
    with no_grad():
        for g in gradients:
            g = g._values() if g.is_sparse else g  # shares the memory of the gradient
            found = bool(found) or not bool(g.isfinite().all())
            g.mul_(factor)
    return found
