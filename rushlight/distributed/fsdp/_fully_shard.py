"""fully_shard: the parameters of a module divided among processes. One process has them whole."""

from rushlight.distributed.fsdp.api import MixedPrecisionPolicy, OffloadPolicy
from rushlight.distributed.fsdp.precision import cast, lowered
from rushlight.distributed.process_group import resolve

__all__ = [
    "FSDPModule", "UnshardHandle", "fully_shard", "register_fsdp_forward_method",
    "share_comm_ctx",
]  # fmt: skip

_classes: dict = {}


class UnshardHandle:
    """What ``unshard(async_op=True)`` gives."""

    def wait(self):
        """Do nothing: the parameters are whole."""


class FSDPModule:
    """What ``fully_shard`` adds to the class of a module. In one process nothing has to be done."""

    _fsdp_policy: MixedPrecisionPolicy

    def unshard(self, async_op=False):
        """Make the parameters whole, which they are."""
        return UnshardHandle() if async_op else None

    def reshard(self):
        """Divide the parameters, of which one process keeps all."""

    def __call__(self, *args, **kwargs):
        policy = self._fsdp_policy
        if policy.param_dtype is None:
            found = super().__call__(*args, **kwargs)  # type: ignore[misc]
        else:
            if policy.cast_forward_inputs:
                args, kwargs = cast(args, policy.param_dtype), cast(kwargs, policy.param_dtype)
            with lowered(_places(self), policy.param_dtype):
                found = super().__call__(*args, **kwargs)  # type: ignore[misc]
        return found if policy.output_dtype is None else cast(found, policy.output_dtype)


def _setting(name):
    def method(self, *args, **kwargs):
        self.__dict__.setdefault("_fsdp_settings", {})[name] = args, kwargs

    method.__name__ = name
    method.__doc__ = "Remember a setting of the communication between processes."
    return method


for _name in [
    "set_is_last_backward",
    "set_requires_gradient_sync",
    "set_requires_all_reduce",
    "set_reshard_after_forward",
    "set_reshard_after_backward",
    "set_modules_to_forward_prefetch",
    "set_modules_to_backward_prefetch",
    "set_custom_all_gather",
    "set_custom_reduce_scatter",
    "set_all_reduce_hook",
    "set_post_optim_event",
    "set_reduce_scatter_divide_factor",
    "set_gradient_divide_factor",
    "set_force_sum_reduction_for_comms",
    "set_unshard_in_backward",
    "set_allocate_memory_from_process_group_for_comm",
    "set_reduce_scatter_unused_params",
]:
    setattr(FSDPModule, _name, _setting(_name))


def _places(root):
    """(module, name) of the parameters below ``root`` that no inner ``fully_shard`` has."""
    found = []

    def walk(module):
        for name, param in module._parameters.items():
            if param is not None and param.is_floating_point():
                found.append((module, name))
        for child in module.children():
            if not isinstance(child, FSDPModule):
                walk(child)

    walk(root)
    return found


def fully_shard(
    module, *, mesh=None, reshard_after_forward=None, shard_placement_fn=None,
    mp_policy=None, offload_policy=None, ignored_params=None, dp_mesh_dims=None,
):  # fmt: skip
    """Divide the parameters of a module among processes. One process keeps all of them.

    The class of the module becomes one that also derives from ``FSDPModule``. The parameters stay
    what they are (in PyTorch they become ``DTensor``).

    Args:
        module: The module, or a list of modules.
        mesh: A ``DeviceMesh`` of the processes. Default: all processes.
        reshard_after_forward, shard_placement_fn, offload_policy, ignored_params: Accepted without
            effect.
        mp_policy: A ``MixedPrecisionPolicy``: dtypes to compute in.
        dp_mesh_dims: Accepted without effect.

    Returns:
        ``module``.

    Raises:
        ValueError: There is no process group, or the module contains its children in a list only.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.fsdp import FSDPModule, fully_shard
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> isinstance(fully_shard(torch.nn.Linear(2, 1)), FSDPModule)
    True
    >>> dist.destroy_process_group()
    """
    if mesh is None:
        resolve()
    parts = module if isinstance(module, (list, tuple)) else [module]
    for part in parts:
        kind = type(part)
        if type(part).__name__ in ("ModuleList", "ModuleDict") and kind.forward is _unforwarded(
            part
        ):
            raise ValueError(
                f"fully_shard does not support containers that do not implement forward: {part}"
            )
        if kind not in _classes:
            _classes[kind] = type(
                f"FSDP{kind.__name__}", (FSDPModule, kind), {"__module__": __name__}
            )
        part.__class__ = _classes[kind]
        part._fsdp_policy = mp_policy or MixedPrecisionPolicy()
        part._fsdp_offload = offload_policy or OffloadPolicy()
    return module


def _unforwarded(module):
    from rushlight.nn.modules.module import Module

    return Module.forward


def register_fsdp_forward_method(module, method_name):
    """Let another method of a module work as ``forward`` does: in one process it does.

    Args:
        module: The module.
        method_name: The name of the method.
    """
    if not hasattr(module, method_name):
        raise ValueError(f"{type(module)} does not have a method {method_name}")


def share_comm_ctx(modules):
    """Let modules share their streams of communication, of which there are none.

    Args:
        modules: The modules.
    """
