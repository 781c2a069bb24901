"""DistributedDataParallel: a model on several processes, each with its own part of a batch."""

import contextlib

from rushlight.autograd import no_grad
from rushlight.distributed import collectives
from rushlight.distributed.algorithms.join import Join, Joinable, JoinHook
from rushlight.distributed.process_group import resolve
from rushlight.distributed.reduce_op import ReduceOp
from rushlight.nn.modules.module import Module

__all__ = ["DistributedDataParallel"]

_NO_PARAMETERS = (
    "DistributedDataParallel is not needed when a module doesn't have any parameter that requires "
    "a gradient."
)


class _Hook(JoinHook):
    """A process without inputs left: it has nothing to do until the others are ready."""


class DistributedDataParallel(Module, Joinable):
    """A module whose gradients are averaged over all processes.

    Parameters and buffers of the first process are given to all. Each parameter's gradient is
    averaged when it is complete in a backward pass. The state of the module is kept under
    ``module.``.

    Args:
        module: The module.
        device_ids, output_device: The GPU of the module, if it lies on one.
        dim, check_reduction, bucket_cap_mb, gradient_as_bucket_view, static_graph: Accepted
            without effect.
        find_unused_parameters: Accepted without effect: each gradient is averaged by itself.
        broadcast_buffers: Whether buffers are those of the first process in each call. Default:
            True.
        init_sync: Whether parameters are given to all processes at the beginning.
        process_group: The group. Default: all processes.
        delay_all_reduce_named_params, param_to_hook_all_reduce: Accepted without effect.
        mixed_precision, skip_all_reduce_unused_params, bucket_cap_mb_list: Accepted without effect.
        batched_grad_copy, forward_sync_buffers: Accepted without effect.
        device_mesh: A mesh of one dim, in place of ``process_group``.

    Raises:
        ValueError: There is no process group, or ``device_ids`` does not fit the parameters.
        RuntimeError: No parameter requires a gradient.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    >>> list(model.state_dict())
    ['module.weight', 'module.bias']
    >>> dist.destroy_process_group()
    """

    def __init__(
        self, module, device_ids=None, output_device=None, dim=0, broadcast_buffers=None,
        init_sync=True, process_group=None, bucket_cap_mb=None, find_unused_parameters=False,
        check_reduction=False, gradient_as_bucket_view=False, static_graph=False,
        delay_all_reduce_named_params=None, param_to_hook_all_reduce=None, mixed_precision=None,
        device_mesh=None, skip_all_reduce_unused_params=False, bucket_cap_mb_list=None,
        batched_grad_copy=False, forward_sync_buffers=None,
    ):  # fmt: skip
        super().__init__()
        if process_group is not None and device_mesh is not None:
            raise RuntimeError("Cannot specify both process_group and device_mesh arguments.")
        if device_mesh is not None:
            process_group = device_mesh.get_group(0)
        self.process_group = resolve(process_group)
        self.device_mesh = device_mesh
        ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        self.parameters_to_ignore = ignored
        params = [p for n, p in module.named_parameters() if n not in ignored and p.requires_grad]
        if not params:
            raise RuntimeError(_NO_PARAMETERS)
        kinds = {p.device.type for p in params}
        if device_ids and (len(device_ids) > 1 or kinds == {"cpu"}):
            raise ValueError(
                "DistributedDataParallel device_ids and output_device arguments only work with "
                f"GPU modules, but got device_ids {device_ids} and parameters on {sorted(kinds)}. "
                "Leave device_ids out for a module on the CPU"
            )
        self.device_ids, self.output_device, self.dim = device_ids or None, output_device, dim
        self.device, self.device_type = params[0].device, params[0].device.type
        self.is_multi_device_module = False
        self.broadcast_buffers = broadcast_buffers is None or broadcast_buffers
        self.find_unused_parameters = find_unused_parameters
        self.gradient_as_bucket_view = gradient_as_bucket_view
        self.static_graph = static_graph
        self.mixed_precision = mixed_precision
        self.require_backward_grad_sync = self.require_forward_param_sync = True
        self.module = module
        self._comm_hook = None
        self._handles: list = []
        if init_sync:
            self._give_to_all([*module.parameters(), *module.buffers()])
        if self.process_group.size() > 1:
            self._watch_gradients()

    def _give_to_all(self, tensors):
        with no_grad():
            for tensor in tensors:
                collectives.broadcast(tensor, group=self.process_group, group_src=0)

    def _watch_gradients(self):
        """Average each parameter's gradient as soon as it is complete."""
        for i, (name, param) in enumerate(self.module.named_parameters()):
            if param.requires_grad and name not in self.parameters_to_ignore:
                hook = _reduction(self, i)
                self._handles.append(param.register_post_accumulate_grad_hook(hook))

    def _reduce(self, index, param):
        if not self.require_backward_grad_sync or param.grad is None:
            return
        if self._comm_hook is None:
            collectives.all_reduce(param.grad, ReduceOp.AVG, group=self.process_group)
            return
        from rushlight.distributed.algorithms.ddp_comm_hooks import GradBucket

        state, hook = self._comm_hook
        flat = param.grad.detach().reshape(-1)
        future = hook(state, GradBucket(index, flat, [param], index == 0))
        found = future.wait()
        found = found[0] if isinstance(found, (list, tuple)) else found
        with no_grad():
            param.grad.copy_(found.reshape(param.grad.shape))

    def forward(self, *inputs, **kwargs):
        Join.notify_join_context(self)
        if self.will_sync_module_buffers():
            self._give_to_all(self.module.buffers())
        return self.module(*inputs, **kwargs)

    def will_sync_module_buffers(self):
        """Whether the next call gives the first process's buffers to all."""
        return (
            self.require_forward_param_sync
            and self.broadcast_buffers
            and self.process_group.size() > 1
        )

    @contextlib.contextmanager
    def no_sync(self):
        """A context in which gradients add up in each process, and are not averaged."""
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def register_comm_hook(self, state, hook):
        """Let a function reduce the gradients.

        Args:
            state: The first argument of the function.
            hook: A function of ``state`` and a ``GradBucket`` that returns a Future of a tensor.
                It is called once for each parameter.

        Raises:
            TypeError: ``hook`` is no function.
            RuntimeError: There is a hook already.
        """
        if not callable(hook):
            raise TypeError("Communication hook must be callable.")
        if self._comm_hook is not None:
            raise RuntimeError(
                "register_comm_hook or register_builtin_comm_hook can only be called once."
            )
        self._comm_hook = state, hook
        if not self._handles:
            self._watch_gradients()

    def join(
        self, divide_by_initial_world_size=True, enable=True, throw_on_early_termination=False
    ):
        """A context in which processes may have inputs of different lengths."""
        return Join(
            [self], enable, throw_on_early_termination,
            divide_by_initial_world_size=divide_by_initial_world_size,
        )  # fmt: skip

    def join_hook(self, **kwargs):
        """What a process does that has no inputs left."""
        return _Hook()

    @property
    def join_device(self):
        """The device of the collectives of ``join``."""
        return self.device

    @property
    def join_process_group(self):
        """The group of ``join``."""
        return self.process_group

    def scatter(self, inputs, kwargs, device_ids):
        """The inputs for each device, of which there is one."""
        return [inputs], [kwargs]

    def gather(self, outputs, output_device):
        """The outputs of all devices."""
        return outputs

    def _set_static_graph(self):
        self.static_graph = True

    def _get_ddp_logging_data(self):
        return {
            "world_size": self.process_group.size(), "rank": self.process_group.rank(),
            "module_name": type(self.module).__name__, "backend_name": self.process_group.name(),
        }  # fmt: skip

    @staticmethod
    def _set_params_and_buffers_to_ignore_for_model(module, params_and_buffers_to_ignore):
        module._ddp_params_and_buffers_to_ignore = params_and_buffers_to_ignore

    def __getstate__(self):
        state = dict(vars(self))
        for name in ("process_group", "_handles", "_comm_hook"):
            state.pop(name)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        self.process_group, self._handles, self._comm_hook = resolve(), [], None
        if self.process_group.size() > 1:
            self._watch_gradients()


def _reduction(model, index):
    return lambda param: model._reduce(index, param)
