"""Join: training with inputs of which some processes have fewer than others."""

import warnings
from abc import ABC, abstractmethod

from rushlight import late
from rushlight.distributed.collectives import all_reduce

__all__ = ["Join", "JoinHook", "Joinable"]


class JoinHook:
    """What a process does that has no inputs left: the collectives of an iteration.

    >>> from rushlight.distributed.algorithms.join import JoinHook
    >>> JoinHook().main_hook()
    """

    def main_hook(self):
        """Called for each iteration of the other processes."""

    def post_hook(self, is_last_joiner):
        """Called once, when no process has inputs left."""


class Joinable(ABC):
    """What can take part in ``Join``, such as ``DistributedDataParallel``.

    A subclass defines ``join_hook``, ``join_device`` and ``join_process_group``.

    >>> from rushlight.distributed.algorithms.join import Joinable
    >>> issubclass(Joinable, object)
    True
    """

    def __init__(self):
        super().__init__()
        self._join = None

    @abstractmethod
    def join_hook(self, **kwargs):
        """Return the ``JoinHook``."""

    @property
    @abstractmethod
    def join_device(self):
        """The device of the collectives."""

    @property
    @abstractmethod
    def join_process_group(self):
        """The group of the collectives."""


class Join:
    """A context in which the processes may have inputs of different lengths.

    Args:
        joinables: The objects that communicate in the block, a list.
        enable: Whether the context does anything.
        throw_on_early_termination: Whether all processes raise as soon as one has no inputs left.
        kwargs: For the objects' ``join_hook``.

    Raises:
        ValueError: There are no objects, or they are in several groups.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.algorithms.join import Join
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    >>> with Join([model]):
    ...     model(torch.ones(1, 2)).sum().backward()
    >>> dist.destroy_process_group()
    """

    def __init__(self, joinables, enable=True, throw_on_early_termination=False, **kwargs):
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        groups = {id(j.join_process_group) for j in joinables}
        if len(groups) > 1:
            raise ValueError("Using join context manager with multiple process groups")
        self._joinables = list(joinables)
        self._enabled = enable
        self._throw = throw_on_early_termination
        self._hooks = [j.join_hook(**kwargs) for j in joinables]
        self._group = joinables[0].join_process_group
        self._device = joinables[0].join_device
        for joinable in joinables:
            joinable._join = self if enable else None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        for joinable in self._joinables:
            joinable._join = None
        if not self._enabled or kind is not None:
            return
        last = True
        rounds = 0
        while self._count(0):  # processes that still have inputs
            last = False
            rounds += 1
            if self._throw:
                self._count_early(1)
                raise RuntimeError("Detected at least one rank that exhausted inputs.")
            for hook in self._hooks:
                hook.main_hook()
            if rounds == 1000:
                warnings.warn("Some rank has at least 1000 fewer inputs than others", stacklevel=2)
        for hook in self._hooks:
            hook.post_hook(last)

    def _count(self, mine):
        if self._group.size() == 1:
            return mine
        found = late.framework.tensor([mine], device=self._device)
        all_reduce(found, group=self._group)
        return int(found)

    def _count_early(self, mine):
        return self._count(mine)

    @staticmethod
    def notify_join_context(joinable):
        """Tell that a process has one more input; called at the beginning of an iteration.

        Args:
            joinable: The object. Only the first of the context's objects counts.

        Returns:
            A ``Work`` or None.

        Raises:
            RuntimeError: A process has no inputs left, and ``throw_on_early_termination`` was set.
        """
        context = getattr(joinable, "_join", None)
        if context is None or joinable is not context._joinables[0]:
            return None
        context._count(1)
        if context._throw and context._count_early(0):
            raise RuntimeError("Detected at least one rank that exhausted inputs.")
        return None
