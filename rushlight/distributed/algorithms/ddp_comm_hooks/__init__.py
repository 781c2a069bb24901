"""Functions that reduce gradients, for ``DistributedDataParallel.register_comm_hook``."""

import enum

from rushlight.distributed.algorithms.ddp_comm_hooks import default_hooks

__all__ = ["DDPCommHookType", "GradBucket", "register_ddp_comm_hook"]


class GradBucket:
    """The gradient that a hook reduces.

    Args:
        index: The number of the parameter.
        buffer: The gradient in one dim.
        parameters: The parameter, in a list.
        last: Whether it is the last of a backward pass.

    >>> import rushlight as torch
    >>> from rushlight.distributed.algorithms.ddp_comm_hooks import GradBucket
    >>> GradBucket(0, torch.ones(2), [], True).is_last()
    True
    """

    def __init__(self, index, buffer, parameters, last):
        self._index, self._buffer, self._parameters, self._last = index, buffer, parameters, last

    def index(self):
        """The number of the bucket."""
        return self._index

    def buffer(self):
        """The gradients, one after the other in one dim."""
        return self._buffer

    def set_buffer(self, tensor):
        """Replace the gradients."""
        self._buffer = tensor

    def gradients(self):
        """The gradients, a list of tensors of the parameters' shapes."""
        sizes = [p.numel() for p in self._parameters]
        parts = self._buffer.split(sizes)
        return [part.view(p.shape) for part, p in zip(parts, self._parameters, strict=True)]

    def parameters(self):
        """The parameters, a list."""
        return list(self._parameters)

    def is_last(self):
        """Whether it is the last bucket of a backward pass."""
        return self._last


class DDPCommHookType(enum.Enum):
    """The hooks that ``register_ddp_comm_hook`` knows by name."""

    ALLREDUCE = (default_hooks.allreduce_hook,)
    FP16_COMPRESS = (default_hooks.fp16_compress_hook,)
    BF16_COMPRESS = (default_hooks.bf16_compress_hook,)


def register_ddp_comm_hook(comm_hook_type, model, state=None):
    """Let a model reduce its gradients by one of the hooks.

    Args:
        comm_hook_type: A ``DDPCommHookType``.
        model: A ``DistributedDataParallel``.
        state: The first argument of the hook: a process group. Default: all processes.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.algorithms import ddp_comm_hooks as hooks
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    >>> hooks.register_ddp_comm_hook(hooks.DDPCommHookType.FP16_COMPRESS, model)
    >>> dist.destroy_process_group()
    """
    model.register_comm_hook(state, comm_hook_type.value[0])
