"""Schedulers whose learning rates follow a cosine."""

from math import cos, floor, log, pi

from rushlight.optim.lr_scheduler.scheduler import LRScheduler

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """Move the learning rate to ``eta_min`` along half a cosine of ``T_max`` epochs, and back.

    Each step computes the new learning rate from the present one, so a change by other code has
    a lasting effect.

    Args:
        T_max: Number of epochs from the initial learning rate to ``eta_min``.
        eta_min: The smallest learning rate. Default: 0.

    Source: Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts, 2017,
        equation 5, without the restarts.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0)
    >>> scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        self._only_in_step()
        if self._is_initial:
            return self._kept()
        groups = self.optimizer.param_groups
        epoch, period, least = self.last_epoch, self.T_max, self.eta_min
        if self._step_count == 1 and epoch > 0:
            return [
                least + (lr - least) * (1 + cos(epoch * pi / period)) / 2 for lr in self.base_lrs
            ]
        if (epoch - 1 - period) % (2 * period) == 0:
            # The present rate is ``eta_min``, so its distance from ``eta_min`` cannot be scaled.
            return [
                group["lr"] + (lr - least) * (1 - cos(pi / period)) / 2
                for lr, group in zip(self.base_lrs, groups, strict=True)
            ]
        factor = (1 + cos(pi * epoch / period)) / (1 + cos(pi * (epoch - 1) / period))
        return [factor * (group["lr"] - least) + least for group in groups]

    def _get_closed_form_lr(self):
        factor = 1 + cos(pi * self.last_epoch / self.T_max)
        return [self.eta_min + (lr - self.eta_min) * factor / 2 for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Lower the learning rate to ``eta_min`` along half a cosine, and restart at the initial rate.

    The ``epoch`` of ``step`` may be a fraction.

    Args:
        T_0: The number of epochs before the first restart.
        T_mult: How many times longer each period is than the one before. Default: 1.
        eta_min: The smallest learning rate. Default: 0.

    Raises:
        ValueError: ``T_0`` or ``T_mult`` is not a positive int, or ``eta_min`` is not a number.

    Source: Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts, 2017,
        equation 5.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0)
    >>> scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr())
    ...     optimizer.step()
    ...     scheduler.step()
    [1.0]
    [0.5]
    [1.0]
    [0.5]
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        owner = "CosineAnnealingWarmRestarts"
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"{owner}: Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"{owner}: Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(
                f"{owner}: Expected float or int eta_min, but got {eta_min} of {type(eta_min)}"
            )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        self._only_in_step()
        factor = 1 + cos(pi * self.T_cur / self.T_i)
        return [self.eta_min + (lr - self.eta_min) * factor / 2 for lr in self.base_lrs]

    def step(self, epoch=None):
        """Set the learning rates of the next epoch, or of ``epoch``.

        Args:
            epoch: The epoch to go to; it may be a fraction. Default: the next one.

        Raises:
            ValueError: ``epoch`` is negative.
        """
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self._go_to(epoch)
        self.last_epoch = floor(epoch)
        self._set(self.get_lr)

    def _go_to(self, epoch):
        if epoch < 0:
            raise ValueError(
                f"CosineAnnealingWarmRestarts.step: Expected non-negative epoch, but got {epoch}"
            )
        first, longer = self.T_0, self.T_mult
        if epoch < first:
            self.T_i = first
            self.T_cur = epoch
        elif longer == 1:
            self.T_cur = epoch % first
        else:
            n = int(log(epoch / first * (longer - 1) + 1, longer))
            self.T_cur = epoch - first * (longer**n - 1) / (longer - 1)
            self.T_i = first * longer**n
