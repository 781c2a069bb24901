"""ZeroRedundancyOptimizer: an optimizer whose state is divided among processes."""

from rushlight.distributed.algorithms.join import Joinable, JoinHook
from rushlight.distributed.collectives import broadcast
from rushlight.distributed.process_group import resolve
from rushlight.optim.optimizer import Optimizer

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer, Joinable):
    """An optimizer of which each process has the state of some parameters.

    A process updates its parameters and gives them to the others. Parameters go, the largest
    first, to the process that has the fewest elements.

    Args:
        params: The parameters, or dicts of groups.
        optimizer_class: The class of the optimizer.
        process_group: The processes. Default: all.
        parameters_as_bucket_view, overlap_with_ddp: Accepted without effect.
        defaults: The options of the optimizer.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.optim import ZeroRedundancyOptimizer
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.SGD, lr=0.1)
    >>> model(torch.ones(1, 2)).sum().backward()
    >>> optimizer.step()
    >>> dist.destroy_process_group()
    """

    def __init__(
        self, params, optimizer_class, process_group=None, parameters_as_bucket_view=False,
        overlap_with_ddp=False, **defaults,
    ):  # fmt: skip
        self.process_group = resolve(process_group)
        self.world_size, self.rank = self.process_group.size(), self.process_group.rank()
        self.initialized = False
        Optimizer.__init__(self, params, defaults)
        Joinable.__init__(self)
        self.initialized = True
        self._optim_constructor, self._options = optimizer_class, defaults
        self._saved = None
        self._make_optimizer()

    def _make_optimizer(self):
        self._owner = self._shared_out()
        groups = []
        for group in self.param_groups:
            mine = [p for p in group["params"] if self._owner[p] == self.rank]
            groups.append({**group, "params": mine})
        self.optim = self._optim_constructor(groups, **self._options)
        for group, own in zip(self.param_groups, self.optim.param_groups, strict=True):
            for key, value in own.items():
                group.setdefault(key, value)

    def _shared_out(self):
        """From each parameter to the rank that updates it."""
        sizes = [0] * self.world_size
        found = {}
        params = [p for g in self.param_groups for p in g["params"]]
        for p in sorted(params, key=lambda p: -p.numel()):
            found[p] = sizes.index(min(sizes))
            sizes[found[p]] += p.numel()
        return found

    def add_param_group(self, param_group):
        """Add a group of parameters."""
        super().add_param_group(param_group)
        if self.initialized:
            state = dict(self.optim.state)
            self._make_optimizer()
            self.optim.state.update(state)

    def _hand_over(self, source, target):
        for one, other in zip(source, target, strict=True):
            other.update({k: v for k, v in one.items() if k != "params"})

    def step(self, closure=None, **kwargs):
        """Update this process's parameters, and give all of them to all processes.

        Args:
            closure: A function that computes the loss.
            kwargs: For the optimizer's ``step``.

        Returns:
            What the optimizer's ``step`` returns.
        """
        self._hand_over(self.param_groups, self.optim.param_groups)
        args = () if closure is None else (closure,)
        loss = self.optim.step(*args, **kwargs)
        if self.world_size > 1:
            for p, owner in self._owner.items():
                broadcast(p.data, group=self.process_group, group_src=owner)
        self._hand_over(self.optim.param_groups, self.param_groups)
        return loss

    @property
    def state(self):
        """The state of this process's parameters."""
        return self.optim.state if "optim" in vars(self) else self._first_state

    @state.setter
    def state(self, value):
        self._first_state = value

    def consolidate_state_dict(self, to=0):
        """Collect the state of all processes on the process ``to``, for ``state_dict``."""
        if self.world_size > 1:
            raise NotImplementedError(
                "ZeroRedundancyOptimizer.consolidate_state_dict of several processes"
            )
        self._saved = self.optim.state_dict()

    def state_dict(self):
        """Return the state that ``consolidate_state_dict`` collected.

        Returns:
            A dict.

        Raises:
            RuntimeError: ``consolidate_state_dict`` was not called before.
        """
        if self._saved is None:
            raise RuntimeError(
                "Optimizer state has not been consolidated on this rank. Please call "
                f"`consolidate_state_dict(to={self.rank})` on all ranks beforehand if you meant to "
                "save the global state."
            )
        found, self._saved = self.optim.state_dict(), None
        return found

    def load_state_dict(self, state_dict):
        """Take a state of ``state_dict``."""
        self.optim.load_state_dict(state_dict)
        self._hand_over(self.optim.param_groups, self.param_groups)

    def join_hook(self, **kwargs):
        """What a process without inputs does: its part of a step."""
        return _StepHook(self)

    @property
    def join_device(self):
        """The device of the parameters."""
        return self.param_groups[0]["params"][0].device

    @property
    def join_process_group(self):
        """The processes."""
        return self.process_group


class _StepHook(JoinHook):
    def __init__(self, optimizer):
        self._optimizer = optimizer

    def main_hook(self):
        self._optimizer.step()
