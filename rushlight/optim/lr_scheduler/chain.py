"""Schedulers made of other schedulers, which run one after the other or all at once."""

from bisect import bisect_right
from collections.abc import Sequence

from rushlight.optim.lr_scheduler.plateau import ReduceLROnPlateau
from rushlight.optim.lr_scheduler.scheduler import LRScheduler, options, set_option

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composed(LRScheduler):
    """A scheduler that holds other schedulers in ``_schedulers``."""

    _schedulers: Sequence[LRScheduler]

    def _check(self, optimizer, schedulers):
        owner = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            name = type(scheduler).__name__
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(
                    f"{owner}: the scheduler at index {i}, a {name}, should have `optimizer` as "
                    "its attribute"
                )
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{owner} does not support ReduceLROnPlateau, whose step takes a metric; it is "
                    f"at index {i}"
                )
            if scheduler.optimizer != optimizer:
                raise ValueError(
                    f"{owner} expects all schedulers to belong to the same optimizer, but the "
                    f"{name} at index {i} has another"
                )

    def state_dict(self):
        """Return the scheduler's attributes, with state dicts in place of its schedulers."""
        found = super().state_dict()
        del found["_schedulers"]
        found["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return found

    def load_state_dict(self, state_dict):
        """Load a state dict that ``state_dict()`` returned."""
        rest = dict(state_dict)
        saved = rest.pop("_schedulers")
        self.__dict__.update(rest)
        for scheduler, held in zip(self._schedulers, saved, strict=False):
            scheduler.load_state_dict(held)


class SequentialLR(_Composed):
    """Run several schedulers one after the other.

    Each scheduler starts at its epoch 0 when its milestone is reached.

    Args:
        schedulers: The schedulers in order. All must belong to ``optimizer``.
        milestones: The steps at which the second and later schedulers start: one int fewer than
            schedulers.

    Raises:
        ValueError: There are no schedulers, one belongs to another optimizer or is a
            ReduceLROnPlateau, or there is not one milestone fewer than schedulers.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0)
    >>> schedulers = torch.optim.lr_scheduler
    >>> warm = schedulers.ConstantLR(optimizer, factor=0.1)
    >>> decay = schedulers.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = schedulers.SequentialLR(optimizer, [warm, decay], milestones=[2])
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr())
    ...     optimizer.step()
    ...     scheduler.step()
    [0.1]
    [0.1]
    [1.0]
    [0.5]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        if len(schedulers) < 1:
            raise ValueError("SequentialLR expects at least one scheduler, but got no scheduler.")
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "SequentialLR expects number of schedulers provided to be one more than the number "
                f"of milestone points, but got {len(schedulers)} schedulers and {len(milestones)} "
                "milestones"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # The constructor of each scheduler took its first step. Take these steps back, and then
        # repeat the step of the first scheduler.
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        self.recursive_undo()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched=None):
        """Take back the first step of all schedulers in ``sched``.

        Args:
            sched: A scheduler, which may hold others. Default: this one.
        """
        top = self if sched is None else sched
        if hasattr(top, "_schedulers"):
            for scheduler in top._schedulers:
                self.recursive_undo(scheduler)
        elif hasattr(top, "last_epoch"):
            top.last_epoch -= 1

    def step(self):
        """Take a step of the scheduler that is active at this epoch."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composed):
    """Run several schedulers at once: each changes the learning rate that the one before set.

    Args:
        schedulers: The schedulers, in the order in which they take their steps.
        optimizer: The optimizer of all schedulers. Default: that of the first one.

    Raises:
        ValueError: There are no schedulers, or one belongs to another optimizer or is a
            ReduceLROnPlateau.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0)
    >>> schedulers = torch.optim.lr_scheduler
    >>> warm = schedulers.ConstantLR(optimizer, factor=0.5)
    >>> decay = schedulers.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = schedulers.ChainedScheduler([warm, decay])
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(self, schedulers, optimizer=None):
        if len(schedulers) < 1:
            raise ValueError(
                "ChainedScheduler expects at least one scheduler to be chained, but got no "
                "scheduler."
            )
        optimizer = optimizer or schedulers[0].optimizer
        self._check(optimizer, schedulers)
        self._schedulers = schedulers
        self.optimizer = optimizer
        self._last_lr = options(optimizer, "lr")

    def step(self):
        """Take a step of each scheduler, in order."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = options(self.optimizer, "lr")
