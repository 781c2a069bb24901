"""Averages of a model's weights over time, with their schedule: ``torch.optim.swa_utils``."""

import math
from copy import deepcopy
from itertools import chain

import rushlight
from rushlight.autograd import mode
from rushlight.dtype import int64
from rushlight.nn.modules.batchnorm import _BatchNorm
from rushlight.nn.modules.module import Module
from rushlight.optim.lr_scheduler import LRScheduler
from rushlight.optim.lr_scheduler.scheduler import per_group
from rushlight.tensor import Tensor

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def get_ema_avg_fn(decay=0.999):
    """Return a function that updates the exponential moving average of one parameter.

    Args:
        decay: Share of the old average in the new one, from 0 to 1. The parameter gets the rest.
            Default: 0.999.

    Returns:
        Function ``f(average, parameter, count)`` that returns the new average, a tensor of the
        parameter's shape.

    Raises:
        ValueError: ``decay`` is outside [0, 1].

    >>> import rushlight as torch
    >>> average = torch.optim.swa_utils.get_ema_avg_fn(0.75)
    >>> average(torch.tensor(4.0), torch.tensor(8.0), 1)
    tensor(5.)
    """
    _check_decay("get_ema_avg_fn", decay)

    @mode.no_grad()
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """Return a function that updates the plain average of all values of one parameter.

    Returns:
        Function ``f(average, parameter, count)`` that returns the new average, a tensor of the
        parameter's shape; ``count`` is the number of values averaged so far.

    >>> import rushlight as torch
    >>> torch.optim.swa_utils.get_swa_avg_fn()(torch.tensor(4.0), torch.tensor(8.0), 3)
    tensor(5.)
    """

    @mode.no_grad()
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay=0.999):
    """Return the function of ``get_ema_avg_fn`` for lists of parameters.

    The function writes the new averages into the old ones.

    Args:
        decay: Share of the old average in the new one, from 0 to 1. The parameter gets the rest.
            Default: 0.999.

    Returns:
        Function ``f(averages, parameters, count)`` of two lists of tensors; it returns None.

    Raises:
        ValueError: ``decay`` is outside [0, 1].

    >>> import rushlight as torch
    >>> means = [torch.tensor(4.0)]
    >>> torch.optim.swa_utils.get_ema_multi_avg_fn(0.75)(means, [torch.tensor(8.0)], 1)
    >>> means
    [tensor(5.)]
    """
    _check_decay("get_ema_multi_avg_fn", decay)

    @mode.no_grad()
    def ema_update(ema_param_list, current_param_list, _):
        for mean, p in zip(ema_param_list, current_param_list, strict=True):
            if mean.is_floating_point() or mean.is_complex():
                mean.lerp_(p, 1 - decay)
            else:
                mean.copy_(mean * decay + p * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn():
    """Return the function of ``get_swa_avg_fn`` for lists of parameters.

    The function writes the new averages into the old ones.

    Returns:
        Function ``f(averages, parameters, count)`` of two lists of tensors; it returns None.
        ``count`` is the number of values averaged so far.

    >>> import rushlight as torch
    >>> means = [torch.tensor(4.0)]
    >>> torch.optim.swa_utils.get_swa_multi_avg_fn()(means, [torch.tensor(8.0)], 3)
    >>> means
    [tensor(5.)]
    """

    @mode.no_grad()
    def swa_update(averaged_param_list, current_param_list, num_averaged):
        share = 1 / (num_averaged + 1)
        for mean, p in zip(averaged_param_list, current_param_list, strict=True):
            if mean.is_floating_point() or mean.is_complex():
                mean.lerp_(p, share.to(mean.dtype) if isinstance(share, Tensor) else share)
            else:
                mean.copy_(mean + (p - mean) * share)

    return swa_update


def _check_decay(owner, decay):
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"{owner}: Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


class AveragedModel(Module):
    """A copy of ``model`` whose parameters are averages of the model's parameters over time.

    Args:
        model: The model to copy.
        device: The device of the copy. Default: that of ``model``.
        avg_fn: A function that computes the new average from the old average, the parameter and the
            number of models averaged so far. Default: the plain average.
        multi_avg_fn: The same for a list of averages and a list of parameters. The function writes
            into the averages. Default: None.
        use_buffers: Average the buffers too; False: copy the newest buffers. Default: False.

    Raises:
        AssertionError: Both ``avg_fn`` and ``multi_avg_fn`` are given.

    Source: Izmailov et al., Averaging weights leads to wider optima and better generalization,
        2018.

    >>> import rushlight as torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> averaged = torch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = torch.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item()
    3.0
    """

    n_averaged: Tensor

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", rushlight.tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def update_parameters(self, model):
        """Add the parameters of ``model`` to the average; the first call copies them.

        Args:
            model: A module with the parameters of the one that was copied.
        """
        pairs = [
            (mean.detach(), p.detach())
            for mean, p in zip(self._averaged(self.module), self._averaged(model), strict=False)
        ]
        first = self.n_averaged == 0
        if mode.intercept and mode.recorder() is not None:
            # A compiled program cannot branch on ``first``: it computes both results and keeps one.
            kept = [(mean, p.clone()) for mean, p in pairs]
            self._average(pairs)
            for mean, p in kept:
                mean.copy_(rushlight.where(first, p, mean))
        elif first:
            for mean, p in pairs:
                mean.copy_(p)
        else:
            self._average(pairs)
        if not self.use_buffers:
            for ours, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                ours.detach().copy_(theirs.detach())
        self.n_averaged.add_(1)

    def _averaged(self, model):
        """Return the tensors of ``model`` that are averaged."""
        return chain(model.parameters(), model.buffers() if self.use_buffers else ())

    def _average(self, pairs):
        if self.multi_avg_fn is None:
            average = self.avg_fn or get_swa_avg_fn()
            for mean, p in pairs:
                mean.copy_(average(mean, p, self.n_averaged))
            return
        for dtype in dict.fromkeys(mean.dtype for mean, _ in pairs):
            means, params = zip(*[pair for pair in pairs if pair[0].dtype is dtype], strict=True)
            self.multi_avg_fn([*means], [*params], self.n_averaged)


def update_bn(loader, model, device=None):
    """Compute the running statistics of all batch norms of ``model`` anew from ``loader``.

    Args:
        loader: An iterable of batches. A batch is an input, or a list or tuple that begins with an
            input.
        model: A module; its training mode is restored afterwards.
        device: The device to which inputs are moved. Default: they stay where they are.

    Returns:
        None.

    >>> import rushlight as torch
    >>> model = torch.nn.BatchNorm1d(1)
    >>> torch.optim.swa_utils.update_bn([torch.tensor([[1.0], [3.0]])], model)
    >>> model.running_mean
    tensor([2.])
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
    momenta = [norm.momentum for norm in norms]
    training = model.training
    model.train()
    with mode.no_grad():
        for norm in norms:
            norm.momentum = None  # a plain average over all batches
        for x in loader:
            if isinstance(x, (list, tuple)):
                x = x[0]
            model(x if device is None else x.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Move each group's learning rate to ``swa_lr`` in ``anneal_epochs`` epochs, then keep it.

    Args:
        optimizer: The optimizer whose learning rates are set.
        swa_lr: The final learning rate, for all groups or a list with one for each.
        anneal_epochs: The number of epochs that the change takes. Default: 10.
        anneal_strategy: The curve of the change: ``"cos"`` or ``"linear"``. Default: ``"cos"``.
        last_epoch: Index of the last epoch of a resumed training; -1 starts anew. Default: -1.

    Raises:
        ValueError: The strategy is unknown, or ``anneal_epochs`` is not an int of at least 0.

    >>> import rushlight as torch
    >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=1.0)
    >>> scheduler = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     print(scheduler.get_last_lr())
    [0.75]
    [0.5]
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        rates = per_group("SWALR", optimizer, "swa_lr", swa_lr)
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "SWALR: anneal_strategy must be one of 'cos' or 'linear', instead got "
                f"{anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(
                f"SWALR: anneal_epochs must be equal or greater than 0, got {anneal_epochs}"
            )
        self._set_anneal_func(anneal_strategy)
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _set_anneal_func(self, strategy):
        self._anneal_strategy = strategy
        self.anneal_func = self._cosine_anneal if strategy == "cos" else self._linear_anneal

    # The weight of the final rate after the fraction ``t`` of the epochs. Pickles name these two
    # functions, so they have PyTorch's names.

    @staticmethod
    def _cosine_anneal(t):
        return (1 - math.cos(math.pi * t)) / 2

    @staticmethod
    def _linear_anneal(t):
        return t

    def state_dict(self):
        """Return the scheduler's attributes, except the optimizer and the curve's function."""
        found = super().state_dict()
        found.pop("anneal_func")
        return found

    def load_state_dict(self, state_dict):
        """Load a state dict that ``state_dict()`` returned."""
        super().load_state_dict(state_dict)
        self._set_anneal_func(self._anneal_strategy)

    def get_lr(self):
        self._only_in_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (
            self.anneal_func(max(0, min(1, i / max(1, self.anneal_epochs))))
            for i in (step - 1, step)
        )
        rates = []
        for group in self.optimizer.param_groups:
            rate, last = group["lr"], group["swa_lr"]
            start = last if before == 1 else (rate - before * last) / (1 - before)
            rates.append(last * now + start * (1 - now))
        return rates
