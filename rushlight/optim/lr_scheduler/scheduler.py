"""LRScheduler: the base class of all learning-rate schedulers."""

import functools
import types
import warnings

from rushlight.autograd import mode
from rushlight.optim.optimizer import Optimizer, hooked
from rushlight.tensor import Tensor

__all__ = ["LRScheduler"]

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
    "possible: call `scheduler.step()` without it. With an epoch, the closed form of the schedule "
    "is used where there is one, instead of the form that goes from step to step."
)
ORDER_WARNING = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`: call `optimizer.step()` "
    "first, or the first value of the learning rate schedule is skipped."
)
OVERRIDDEN_WARNING = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler "
    "initialization. Make sure that `optimizer.step()` is called before `lr_scheduler.step()`."
)


def replayed(step):
    """Wrap a scheduler's ``step`` so that a trace does not run it.

    The step is called in Python at each run of the compiled program, because it computes with
    numbers and not with tensors.
    """

    @functools.wraps(step)
    def wrapper(self, *args, **kwargs):
        active = mode.recorder() if mode.intercept else None
        if active is None:
            return step(self, *args, **kwargs)
        active.defer(step, self, *args, **kwargs)
        return None

    return wrapper


class LRScheduler:
    """The base class of schedulers, which set the learning rates of all parameter groups.

    A subclass defines ``get_lr``, which returns the new learning rates. The constructor sets the
    first ones, and each ``step`` sets the next.

    Args:
        optimizer: The optimizer. Each group's ``"lr"`` is kept as its ``"initial_lr"``.
        last_epoch: The index of the last epoch if training is resumed, otherwise -1. For a resumed
            training the groups must have an ``"initial_lr"``.

    Raises:
        TypeError: ``optimizer`` is not an Optimizer.
        KeyError: Training is resumed, and a group has no ``"initial_lr"``.

    >>> import rushlight as torch
    >>> class Halving(torch.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [lr * 0.5**self.last_epoch for lr in self.base_lrs]
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0)
    >>> scheduler = Halving(optimizer)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer, last_epoch=-1):
        check_optimizer(type(self).__name__, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    f"{type(self).__name__} with last_epoch={last_epoch}; load the optimizer's "
                    "state dict first, or start anew with last_epoch=-1"
                )
        self.base_lrs = options(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        watch(optimizer)
        self._initial_step()

    def _initial_step(self):
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = replayed(cls.step)  # type: ignore[method-assign]

    def state_dict(self):
        """Return all attributes of the scheduler except the optimizer.

        Returns:
            Dict of the attributes by name.
        """
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict):
        """Load a state dict that ``state_dict()`` returned.

        Args:
            state_dict: The dict that ``state_dict()`` returned.
        """
        self.__dict__.update(state_dict)

    def get_last_lr(self):
        """Return the learning rate of each group after this scheduler's last step.

        Returns:
            List with one learning rate for each parameter group.
        """
        mode.refuse_in_trace(
            "a scheduler has no rate to tell, since its steps come after the program; ask for it "
            "outside"
        )
        return self._last_lr

    def get_lr(self):
        """Return the new learning rate of each group, for ``step``, which calls this method.

        Returns:
            List with one learning rate for each parameter group.
        """
        raise NotImplementedError

    @replayed
    def step(self, epoch=None):
        """Set the next learning rates, after the optimizer's ``step``.

        Args:
            epoch: Deprecated; the epoch to go to. Default: the next one.
        """
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "hooked"):
                warnings.warn(OVERRIDDEN_WARNING, UserWarning, stacklevel=2)
            elif not self.optimizer._opt_called:
                warnings.warn(ORDER_WARNING, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch=None):
        get_lr = self.get_lr
        if epoch is None:
            self.last_epoch += 1
        else:
            self.last_epoch = epoch
            get_lr = getattr(self, "_get_closed_form_lr", get_lr)
        self._set(get_lr)

    def _set(self, get_lr):
        """Set the learning rates that the function ``get_lr`` returns."""
        self._get_lr_called_within_step = True
        try:
            rates = get_lr()
        finally:
            self._get_lr_called_within_step = False
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_option(group, "lr", rate)
        self._last_lr = options(self.optimizer, "lr")

    # For get_lr --------------------------------------------------------------------------

    def _only_in_step(self):
        """Warn if ``get_lr`` is called by the user and not by ``step``."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use "
                "`get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def _kept(self):
        """Return the present learning rates."""
        return options(self.optimizer, "lr")

    def _scaled(self, factor):
        """Return the present learning rates times ``factor``."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]


def watch(optimizer):
    """Make ``optimizer`` note, from now on, that its ``step`` was called."""
    if "_watched" in optimizer.__dict__:
        return
    optimizer._watched = True
    optimizer._opt_called = False
    if not hasattr(optimizer.step, "hooked"):
        # Either the user assigned a step to this instance, or the optimizer is a wrapper that did
        # not call ``Optimizer.__init__``, and has no hooks.
        own = "_optimizer_step_pre_hooks" in optimizer.__dict__
        step = (hooked if own else _noted)(optimizer.step.__func__)
        optimizer.step = types.MethodType(step, optimizer)


def _noted(step):
    """Wrap ``step`` so that the optimizer notes that it was called."""

    @functools.wraps(step)
    def wrapper(self, *args, **kwargs):
        self._opt_called = True
        return step(self, *args, **kwargs)

    wrapper.hooked = True  # type: ignore[attr-defined]
    return wrapper


def check_optimizer(owner, optimizer):
    """Raise TypeError if ``optimizer`` is not an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{owner}: {type(optimizer).__name__} is not an Optimizer")


def copied(value):
    """Return ``value``, as a copy if it is a tensor, so that nothing else can write to it."""
    return value.clone() if isinstance(value, Tensor) else value


def options(optimizer, key):
    """Return a list of ``group[key]`` for all groups; tensors are copied."""
    return [copied(group[key]) for group in optimizer.param_groups]


def set_option(group, key, value):
    """Set ``group[key]`` to ``value``. If the present option is a tensor, write into the tensor."""
    if isinstance(group[key], Tensor):
        group[key].fill_(value.reshape(()) if isinstance(value, Tensor) else value)
    else:
        group[key] = value


def per_group(owner, optimizer, name, value):
    """Return ``value`` as a list with one entry for each parameter group."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [copied(value) for _ in range(n)]
    if len(value) != n:
        raise ValueError(
            f"{owner}: {name} must have the same length as optimizer.param_groups; it has "
            f"{len(value)} values, param_groups has {n}"
        )
    return [copied(v) for v in value]
