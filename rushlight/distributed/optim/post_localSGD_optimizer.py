"""PostLocalSGDOptimizer: an optimizer whose parameters are averaged now and then."""

from rushlight.optim.optimizer import Optimizer

__all__ = ["PostLocalSGDOptimizer"]


class PostLocalSGDOptimizer(Optimizer):
    """An optimizer, and an average of the parameters after each of its steps.

    Args:
        optim: The optimizer.
        averager: A ``ModelAverager``.
    """

    def __init__(self, optim, averager):
        self.optim = optim
        self.param_groups = self.optim.param_groups
        self.averager = averager

    @property
    def state(self):  # type: ignore[override]
        """The state of the optimizer."""
        return self.optim.state

    def __repr__(self):
        return repr(self.optim)

    def state_dict(self):
        """The state of the optimizer, and the number of steps of the averager."""
        return {**self.optim.state_dict(), "step": self.averager.step}

    def load_state_dict(self, state_dict):
        """Take a state of ``state_dict``."""
        rest = {k: v for k, v in state_dict.items() if k != "step"}
        self.optim.load_state_dict(rest)
        self.averager.step = state_dict.get("step", 0)

    def step(self, closure=None):
        """Make a step, and average."""
        found = self.optim.step(closure) if closure is not None else self.optim.step()
        self.averager.average_parameters(self.optim.param_groups)
        return found

    def zero_grad(self, set_to_none=True):
        """Forget the gradients."""
        self.optim.zero_grad(set_to_none=set_to_none)

    def add_param_group(self, param_group):
        """Add parameters."""
        self.optim.add_param_group(param_group)
