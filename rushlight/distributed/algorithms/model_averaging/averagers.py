"""Averages of the parameters of all processes, now and then."""

from rushlight.autograd import no_grad
from rushlight.distributed.collectives import all_reduce
from rushlight.distributed.process_group import resolve
from rushlight.distributed.reduce_op import ReduceOp

__all__ = ["ModelAverager", "PeriodicModelAverager"]


class ModelAverager:
    """The base of averagers: it counts steps.

    Args:
        process_group: The group. Default: all processes.
    """

    def __init__(self, process_group=None):
        self.process_group = resolve(process_group)
        self.step = 0

    def average_parameters(self, params):
        """Average parameters; a subclass defines it."""
        raise NotImplementedError


class PeriodicModelAverager(ModelAverager):
    """Averages parameters in every ``period``-th call, after ``warmup_steps`` calls.

    Args:
        period: The number of calls between two averages.
        warmup_steps: The number of calls before the first.
        process_group: The group. Default: all processes.

    Raises:
        ValueError: ``warmup_steps`` is negative, or ``period`` is not positive.
    """

    def __init__(self, period, warmup_steps=0, process_group=None):
        super().__init__(process_group)
        if warmup_steps < 0 or period <= 0:
            raise ValueError("warmup_steps must be at least 0, and period more than 0")
        self.period, self.warmup_steps = period, warmup_steps

    def average_parameters(self, params):
        """Average parameters if it is time to."""
        if self.step >= self.warmup_steps and (self.step - self.warmup_steps) % self.period == 0:
            with no_grad():
                for item in params:
                    for p in item["params"] if isinstance(item, dict) else (item,):
                        if p.grad is not None:
                            all_reduce(p.data, ReduceOp.AVG, group=self.process_group)
        self.step += 1
