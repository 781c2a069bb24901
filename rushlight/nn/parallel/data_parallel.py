"""A module whose batch is shared out among devices, where there are several."""

from rushlight.autograd.mode import is_grad_enabled
from rushlight.nn.modules.module import Module
from rushlight.nn.parallel.parallel_apply import parallel_apply
from rushlight.nn.parallel.replicate import replicate
from rushlight.nn.parallel.scatter_gather import gather, scatter_kwargs

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(Module):
    """A module that calls another module on the one device there is.

    In PyTorch it shares the batch out among several devices. The state of the other module is kept
    under ``module.``.

    Args:
        module: The module to call.
        device_ids, output_device, dim: Accepted without effect, because there is one device.

    >>> import rushlight as torch
    >>> model = torch.nn.DataParallel(torch.nn.Linear(2, 3))
    >>> list(model.state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module = module
        self.device_ids = []

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)

    # What PyTorch's ``forward`` is made of, for programs that override or call a part of it.

    def replicate(self, module, device_ids):
        """Return copies of ``module`` for devices."""
        return replicate(module, device_ids, not is_grad_enabled())

    def scatter(self, inputs, kwargs, device_ids):
        """Return the parts of the arguments for devices."""
        return scatter_kwargs(inputs, kwargs, device_ids)

    def parallel_apply(self, replicas, inputs, kwargs):
        """Return what the copies give for the parts."""
        return parallel_apply(replicas, inputs, kwargs)

    def gather(self, outputs, output_device):
        """Join the results."""
        return gather(outputs, output_device)


def data_parallel(
    module, inputs, device_ids=None, output_device=None, dim=0, module_kwargs=None
):  # fmt: skip
    """Call ``module`` on the one device there is.

    In PyTorch the function shares the batch out among several devices.

    Args:
        module: The module to call.
        inputs: The positional arguments of the call: a tuple, or a single argument.
        device_ids, output_device, dim: Accepted without effect, because there is one device.
        module_kwargs: Dict of the keyword arguments of the call. Default: none.

    Returns:
        What ``module`` returns.

    >>> import rushlight as torch
    >>> torch.nn.parallel.data_parallel(torch.nn.ReLU(), torch.tensor([-1.0]))
    tensor([0.])
    """
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*inputs, **(module_kwargs or {}))
