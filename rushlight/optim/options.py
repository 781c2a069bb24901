"""Checks of the options of a parameter group."""

from rushlight.tensor import Tensor

__all__ = ["check_betas", "check_fused", "check_options", "check_range"]

_LABELS = {
    "lr": "learning rate", "eps": "epsilon value", "momentum": "momentum value",
    "weight_decay": "weight_decay value", "alpha": "alpha value", "lr_decay": "lr_decay value",
    "initial_accumulator_value": "initial_accumulator_value value",
    "momentum_decay": "momentum_decay value",
}  # fmt: skip


def check_options(owner, **options):
    """Raise ValueError if an option is negative, or a tensor of more than one element."""
    for name, value in options.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(
                f"{owner}: Tensor {name} must be 1-element, but it has the shape "
                f"{tuple(value.shape)}"
            )
        if not value >= 0.0:
            raise ValueError(f"{owner}: Invalid {_LABELS[name]}: {value}; it must be >= 0")


def check_range(owner, label, value, *, closed=False):
    """Raise ValueError if ``value`` is outside [0, 1), or outside [0, 1] with ``closed``."""
    if not (0.0 <= value < 1.0 or (closed and value == 1.0)):
        raise ValueError(
            f"{owner}: Invalid {label}: {value}; it must be in [0, 1{']' if closed else ')'}"
        )


def check_betas(owner, betas):
    """Raise ValueError if a beta is outside [0, 1)."""
    for i, beta in enumerate(betas):
        check_range(owner, f"beta parameter at index {i}", beta)


def check_fused(owner, fused, foreach, differentiable):
    """Raise RuntimeError if ``fused`` is combined with ``foreach`` or ``differentiable``."""
    if fused and differentiable:
        raise RuntimeError(f"{owner}: `fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError(f"{owner}: `fused` and `foreach` cannot be `True` together.")
