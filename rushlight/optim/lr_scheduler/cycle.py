"""Schedulers in cycles, in which the momentum falls while the learning rate rises."""

import types
from functools import partial
from math import cos, floor, pi

from rushlight.optim.lr_scheduler.scheduler import (
    LRScheduler,
    check_optimizer,
    per_group,
    set_option,
)

__all__ = ["CyclicLR", "OneCycleLR"]


class _Cycle(LRScheduler):
    """A scheduler that can also change the momentum, or the first beta of Adam."""

    def _start_momentum(self, optimizer, base_momentum, max_momentum, last_epoch):
        """Set each group's momentum to its largest value.

        Return two lists with one number for each group: the least and the largest momenta.
        """
        owner = type(self).__name__
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                f"{owner}: optimizer must support momentum or beta1 with `cycle_momentum` option "
                f"enabled, and {type(optimizer).__name__} has neither; pass cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        least = per_group(owner, optimizer, "base_momentum", base_momentum)
        largest = per_group(owner, optimizer, "max_momentum", max_momentum)
        if last_epoch == -1:
            for low, high, group in zip(least, largest, optimizer.param_groups, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"] = high
                group["base_momentum"] = low
        return least, largest

    def _set_momentum(self, group, momentum):
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_Cycle):
    """Move the learning rate between ``base_lr`` and ``max_lr``, up and down along straight lines.

    Args:
        base_lr, max_lr: The smallest and the largest learning rate: one number, or a list with one
            for each group.
        step_size_up, step_size_down: The number of steps up, and down. Default: 2000 up, and as
            many down as up.
        mode: How the height of the cycles changes: ``"triangular"`` (not at all),
            ``"triangular2"`` (each cycle is half as high) or ``"exp_range"`` (the height of each
            step is scaled by ``gamma ** step``).
        gamma: Base of the powers that scale the heights in mode ``"exp_range"``. Default: 1.
        scale_fn, scale_mode: A function that replaces ``mode``. It maps the number of the cycle
            (``"cycle"``) or of the step (``"iterations"``) to the height. Default: None.
        cycle_momentum: Move the momentum, too, down while the learning rate goes up. Default: True.
        base_momentum, max_momentum: The smallest and the largest momentum: one number, or a list
            with one for each group. Default: 0.8 and 0.9.

    Raises:
        ValueError: The mode is unknown and there is no ``scale_fn``, a list has the wrong length,
            or the optimizer has no momentum.

    Source: Smith, Cyclical learning rates for training neural networks, 2017.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0, momentum=0.9)
    >>> scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.0, 1.0, step_size_up=2)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None,
        mode="triangular", gamma=1.0, scale_fn=None, scale_mode="cycle", cycle_momentum=True,
        base_momentum=0.8, max_momentum=0.9, last_epoch=-1,
    ):  # fmt: skip
        check_optimizer("CyclicLR", optimizer)
        self.optimizer = optimizer
        base_lrs = per_group("CyclicLR", optimizer, "base_lr", base_lr)
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups, strict=True):
                set_option(group, "lr", lr)
        self.max_lrs = per_group("CyclicLR", optimizer, "max_lr", max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"CyclicLR: mode is invalid and scale_fn is None: {mode!r}")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        self._init_scale_fn()
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._start_momentum(
                optimizer, base_momentum, max_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _init_scale_fn(self):
        if self._scale_fn_custom is not None:
            return
        self.scale_mode = "iterations" if self.mode == "exp_range" else "cycle"
        shapes: dict = {
            "triangular": self._triangular_scale_fn,
            "triangular2": self._triangular2_scale_fn,
            "exp_range": partial(self._exp_range_scale_fn, self.gamma),
        }
        self._scale_fn_ref = shapes[self.mode]

    # Pickles name these three functions, so they have PyTorch's names.

    @staticmethod
    def _triangular_scale_fn(x):
        return 1.0

    @staticmethod
    def _triangular2_scale_fn(x):
        return 1 / 2.0 ** (x - 1)

    @staticmethod
    def _exp_range_scale_fn(gamma, x):
        return gamma**x

    def scale_fn(self, x):
        """Return the relative height of the cycle, or of the step, ``x``.

        Args:
            x: The number of the cycle or of the step, as ``scale_mode`` says.

        Returns:
            Number by which the cycle's height is multiplied.
        """
        custom = self._scale_fn_custom
        return self._scale_fn_ref(x) if custom is None else custom(x)

    def get_lr(self):
        """Return the new learning rates; set the momenta."""
        self._only_in_step()
        cycle = floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        if x <= self.step_ratio:
            height = x / self.step_ratio
        else:
            height = (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            ranges = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, ranges, strict=True):
                self._set_momentum(group, high - (high - low) * height * scale)
        ranges = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height * scale for low, high in ranges]

    def state_dict(self):
        """Return the scheduler's attributes.

        If ``scale_fn`` is a callable object, its attributes are included; a function is left out.
        """
        found = super().state_dict()
        found.pop("_scale_fn_ref", None)
        custom = found.pop("_scale_fn_custom")
        plain = custom is None or isinstance(custom, types.FunctionType)
        found["_scale_fn_custom"] = None if plain else custom.__dict__.copy()
        return found

    def load_state_dict(self, state_dict):
        """Load a state dict that ``state_dict()`` returned."""
        rest = dict(state_dict)
        held = rest.pop("_scale_fn_custom")
        super().load_state_dict(rest)
        if held is not None:
            self._scale_fn_custom.__dict__.update(held)
        self._init_scale_fn()


class OneCycleLR(_Cycle):
    """Raise the learning rate to ``max_lr`` once, and then lower it far below its first value.

    The cycle covers the whole training.

    Args:
        max_lr: The largest learning rate: one number, or a list with one for each group.
        total_steps: The number of steps of the cycle.
        epochs, steps_per_epoch: Their product replaces ``total_steps``.
        pct_start: The share of the steps in which the learning rate rises, from 0 to 1. Default:
            0.3.
        anneal_strategy: The curve of rise and fall: ``"cos"`` or ``"linear"``.
        cycle_momentum: Move the momentum, too, down while the learning rate goes up. Default: True.
        base_momentum, max_momentum: The smallest and the largest momentum: one number, or a list
            with one for each group. Default: 0.85 and 0.95.
        div_factor: The first learning rate is ``max_lr / div_factor``. Default: 25.
        final_div_factor: The last learning rate is the first divided by this. Default: 10000.
        three_phase: First fall to the first learning rate, in as many steps as the rise, and then
            to the last one.

    Raises:
        ValueError: The number of steps is missing or not positive, ``pct_start`` is outside [0, 1],
            the strategy is unknown, the optimizer has no momentum, or ``step`` is called too often.

    Source: Smith & Topin, Super-convergence: very fast training of neural networks using large
        learning rates, 2018.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], momentum=0.9)
    >>> scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for step in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([1.0], 0.85)
    """

    def __init__(
        self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None,
        pct_start=0.3, anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85,
        max_momentum=0.95, div_factor=25.0, final_div_factor=1e4, three_phase=False, last_epoch=-1,
    ):  # fmt: skip
        check_optimizer("OneCycleLR", optimizer)
        self.optimizer = optimizer
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(
                f"OneCycleLR: Expected float between 0 and 1 pct_start, but got {pct_start}"
            )
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "OneCycleLR: anneal_strategy must be one of 'cos' or 'linear', but got "
                f"{anneal_strategy!r}"
            )
        self._anneal_func_type = anneal_strategy
        rates = per_group("OneCycleLR", optimizer, "max_lr", max_lr)
        if last_epoch == -1:
            for rate, group in zip(rates, optimizer.param_groups, strict=True):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        """Return the new learning rates; set the momenta."""
        self._only_in_step()
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: Tried to step {self.last_epoch} times. The specified number of total "
                f"steps is {self.total_steps}"
            )
        phase, part = self._position()
        cosine = self._anneal_func_type == "cos"
        between = self._annealing_cos if cosine else self._annealing_linear
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(between(group[phase["start_lr"]], group[phase["end_lr"]], part))
            if self.cycle_momentum:
                start, end = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, between(start, end, part))
        return rates

    # Subclasses of other libraries call these two by PyTorch's names.

    @staticmethod
    def _annealing_cos(start, end, pct):
        return end + (start - end) / 2.0 * (cos(pi * pct) + 1)

    @staticmethod
    def _annealing_linear(start, end, pct):
        return (end - start) * pct + start

    def _position(self):
        """Return the phase of the present step, and the fraction of the phase that has passed."""
        start = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if self.last_epoch <= end:
                break
            if phase is not self._schedule_phases[-1]:
                start = end
        return phase, (self.last_epoch - start) / (end - start)


def _total_steps(total_steps, epochs, steps_per_epoch):
    if total_steps is not None:
        given = {"total_steps": total_steps}
    elif epochs is not None and steps_per_epoch is not None:
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    else:
        raise ValueError(
            "OneCycleLR: You must define either total_steps OR (epochs AND steps_per_epoch)"
        )
    total = 1
    for name, value in given.items():
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"OneCycleLR: Expected positive integer {name}, but got {value}")
        total *= value
    return total


def _phases(total_steps, pct_start, three_phase):
    """Return the phases of the cycle.

    A phase has the step at which it ends, and the names of the options from which and to which
    the learning rate and the momentum move.
    """
    top = float(pct_start * total_steps) - 1
    down = [(total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    if three_phase:
        back = float(2 * pct_start * total_steps) - 2
        down = [
            (back, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
            (total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    keys = "end_step", "start_lr", "end_lr", "start_momentum", "end_momentum"
    parts = [(top, "initial_lr", "max_lr", "max_momentum", "base_momentum"), *down]
    return [dict(zip(keys, part, strict=True)) for part in parts]
