"""ReduceLROnPlateau: lower the rate when a metric stops improving."""

import warnings
from math import inf

from rushlight.optim.lr_scheduler.scheduler import (
    EPOCH_DEPRECATION_WARNING,
    LRScheduler,
    check_optimizer,
    options,
    set_option,
)

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the learning rate with ``factor`` when a metric has stopped improving.

    ``step`` takes the metric of each epoch.

    Args:
        mode: ``"min"`` if the metric should fall, ``"max"`` if it should rise. Default: ``"min"``.
        factor: Factor of the learning rate, below 1. Default: 0.1.
        patience: The rate is reduced after more than this many epochs without improvement. Default:
            10.
        threshold, threshold_mode: The least improvement that counts: a share of the best value
            (``"rel"``) or an amount (``"abs"``).
        cooldown: The number of epochs after a reduction that are not counted. Default: 0.
        min_lr: The smallest learning rate: one number, or a list with one for each group. Default:
            0.
        eps: The learning rate is only changed if the change is larger than this. Default: 1e-8.

    Raises:
        ValueError: ``factor`` is 1 or more, a mode is unknown, or ``min_lr`` has the wrong length.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0)
    >>> scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4,
        threshold_mode="rel", cooldown=0, min_lr=0, eps=1e-8,
    ):  # fmt: skip
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: Factor should be < 1.0, but got {factor}")
        self.factor = factor
        check_optimizer("ReduceLROnPlateau", optimizer)
        self.optimizer = optimizer
        n = len(optimizer.param_groups)
        if isinstance(min_lr, (list, tuple)):
            if len(min_lr) != n:
                raise ValueError(f"ReduceLROnPlateau: expected {n} min_lrs, got {len(min_lr)}")
            self.default_min_lr = None
            self.min_lrs = list(min_lr)
        else:
            self.default_min_lr = min_lr
            self.min_lrs = [min_lr] * n
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = options(optimizer, "lr")
        self._set_mode(mode, threshold, threshold_mode)
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics, epoch=None):
        """Take the metric of this epoch, a number or a tensor of one element."""
        current = float(metrics)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = options(self.optimizer, "lr")

    @property
    def in_cooldown(self):
        """True if a reduction was at most ``cooldown`` epochs ago, so that epochs do not count."""
        return self.cooldown_counter > 0

    def _reduce_lr(self):
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    "ReduceLROnPlateau: The number of param groups in the optimizer "
                    f"({len(groups)}) differs from when ReduceLROnPlateau was initialized "
                    f"({len(self.min_lrs)}); set `min_lrs` to a list of {len(groups)}"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            rate = float(group["lr"])
            lower = max(rate * self.factor, least)
            if rate - lower > self.eps:
                set_option(group, "lr", lower)

    def _is_better(self, value, best):
        if self.threshold_mode == "rel":
            sign = -1 if self.mode == "min" else 1
            best = best * (1.0 + sign * self.threshold)
        else:
            best = best - self.threshold if self.mode == "min" else best + self.threshold
        return value < best if self.mode == "min" else value > best

    def _set_mode(self, mode, threshold, threshold_mode):
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode {mode} is unknown; it is 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold mode {threshold_mode} is unknown; it is 'rel' or "
                "'abs'"
            )
        self.mode_worse = inf if mode == "min" else -inf
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode

    def load_state_dict(self, state_dict):
        """Load a state dict that ``state_dict()`` returned."""
        self.__dict__.update(state_dict)
        self._set_mode(self.mode, self.threshold, self.threshold_mode)
