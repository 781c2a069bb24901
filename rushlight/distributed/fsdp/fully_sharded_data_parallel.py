"""FullyShardedDataParallel: parameters divided among processes. One process has them whole."""

import contextlib
import warnings

from rushlight import late
from rushlight.autograd import no_grad
from rushlight.distributed.collectives import broadcast
from rushlight.distributed.fsdp.api import (
    BackwardPrefetch,
    CPUOffload,
    FullOptimStateDictConfig,
    FullStateDictConfig,
    LocalOptimStateDictConfig,
    LocalStateDictConfig,
    MixedPrecision,
    OptimStateDictConfig,
    OptimStateKeyType,
    ShardedOptimStateDictConfig,
    ShardedStateDictConfig,
    ShardingStrategy,
    StateDictConfig,
    StateDictSettings,
    StateDictType,
)
from rushlight.distributed.fsdp.precision import cast, lowered
from rushlight.distributed.fsdp.wrap import chosen, replace_modules
from rushlight.distributed.process_group import resolve
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = [
    "BackwardPrefetch", "CPUOffload", "FlatParameter", "FullOptimStateDictConfig",
    "FullStateDictConfig", "FullyShardedDataParallel", "LocalOptimStateDictConfig",
    "LocalStateDictConfig", "MixedPrecision", "OptimStateDictConfig", "OptimStateKeyType",
    "ShardedOptimStateDictConfig", "ShardedStateDictConfig", "ShardingStrategy", "StateDictConfig",
    "StateDictSettings", "StateDictType",
]  # fmt: skip

_PREFIX = "_fsdp_wrapped_module."
_CONFIGS = {
    StateDictType.FULL_STATE_DICT: (FullStateDictConfig, FullOptimStateDictConfig),
    StateDictType.LOCAL_STATE_DICT: (LocalStateDictConfig, LocalOptimStateDictConfig),
    StateDictType.SHARDED_STATE_DICT: (ShardedStateDictConfig, ShardedOptimStateDictConfig),
}


class FlatParameter(Parameter):
    """The class of parameters that lie one after the other. rushlight makes none."""


class FullyShardedDataParallel(Module):
    """A module whose parameters are divided among the processes of a group.

    A process that is alone has all of them, under their own names and in their shapes (PyTorch
    joins them to one unless ``use_orig_params`` is True). ``state_dict()`` has the names of the
    module.

    Args:
        module: The module.
        process_group: The group. Default: all processes.
        sharding_strategy, backward_prefetch, forward_prefetch, limit_all_gathers: Remembered only.
        cpu_offload, use_orig_params, device_mesh: Remembered only.
        auto_wrap_policy: A policy of ``fsdp.wrap``: which modules inside are wrapped by themselves.
        mixed_precision: A ``MixedPrecision``: dtypes to compute in.
        ignored_modules, ignored_states: Modules that are not wrapped.
        param_init_fn: A function that gives values to the parameters of a module on "meta".
        device_id: The device that the module is moved to.
        sync_module_states: Whether all processes get the first one's parameters.

    Raises:
        ValueError: There is no process group.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.fsdp import FullyShardedDataParallel
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> model = FullyShardedDataParallel(torch.nn.Linear(2, 1))
    >>> list(model.state_dict())
    ['weight', 'bias']
    >>> dist.destroy_process_group()
    """

    def __init__(
        self, module, process_group=None, sharding_strategy=None, cpu_offload=None,
        auto_wrap_policy=None, backward_prefetch=None, mixed_precision=None, ignored_modules=None,
        param_init_fn=None, device_id=None, sync_module_states=False, forward_prefetch=False,
        limit_all_gathers=True, use_orig_params=False, ignored_states=None, device_mesh=None,
    ):  # fmt: skip
        super().__init__()
        options = {
            "process_group": process_group, "sharding_strategy": sharding_strategy,
            "cpu_offload": cpu_offload, "mixed_precision": mixed_precision,
            "param_init_fn": param_init_fn, "device_id": device_id,
            "use_orig_params": use_orig_params, "device_mesh": device_mesh,
        }  # fmt: skip
        group = process_group[0] if isinstance(process_group, tuple) else process_group
        group = device_mesh.get_group(0) if device_mesh is not None and group is None else group
        self.process_group = resolve(group)
        self.sharding_strategy = sharding_strategy or ShardingStrategy.FULL_SHARD
        self.cpu_offload, self.mixed_precision = cpu_offload, mixed_precision
        self._use_orig_params = use_orig_params
        self._is_root = True
        self._settings = _settings(StateDictType.FULL_STATE_DICT, None, None)
        if auto_wrap_policy is not None:
            ignored = [m for part in ignored_modules or () for m in part.modules()]
            found = chosen(module, auto_wrap_policy, ignored, options)
            replace_modules(module, found, type(self))
        for part in FullyShardedDataParallel.fsdp_modules(module):
            part._is_root = False
        self._prepare(module, param_init_fn, device_id, sync_module_states)
        self._fsdp_wrapped_module = module
        self.register_state_dict_post_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)

    def _prepare(self, module, init, device_id, sync):
        if init is not None:
            for part in module.modules():
                if any(p.is_meta for p in part.parameters(recurse=False)):
                    init(part)
        elif any(p.is_meta for p in module.parameters()):
            for part in module.modules():
                if any(p.is_meta for p in part.parameters(recurse=False)):
                    part.to_empty(device=device_id or "cpu", recurse=False)
                    part.reset_parameters()
        if device_id is not None:
            module.to(device_id)
        policy = self.mixed_precision
        if policy is not None and policy.buffer_dtype is not None:
            for part in module.modules():
                for name, buffer in part._buffers.items():
                    if buffer is not None and buffer.is_floating_point():
                        part._buffers[name] = buffer.to(policy.buffer_dtype)
        if sync:
            with no_grad():
                for tensor in [*module.parameters(), *module.buffers()]:
                    broadcast(tensor, group=self.process_group, group_src=0)

    @property
    def module(self):
        """The module that was given."""
        return self._fsdp_wrapped_module

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "_fsdp_wrapped_module":
                raise
            return getattr(self._fsdp_wrapped_module, name)

    def __getitem__(self, key):
        return self._fsdp_wrapped_module[key]

    def _own_places(self):
        """(module, name) of the parameters that no wrapper inside of this one has."""
        left_out = tuple(self.mixed_precision._module_classes_to_ignore or ())

        def walk(module):
            if isinstance(module, (FullyShardedDataParallel, *left_out)):
                return
            for name, param in module._parameters.items():
                if param is not None and param.is_floating_point():
                    yield module, name
            for child in module.children():
                yield from walk(child)

        return list(walk(self._fsdp_wrapped_module))

    def forward(self, *args, **kwargs):
        policy = self.mixed_precision
        if policy is None or policy.param_dtype is None:
            return self._fsdp_wrapped_module(*args, **kwargs)
        if policy.cast_forward_inputs or (policy.cast_root_forward_inputs and self._is_root):
            args, kwargs = cast(args, policy.param_dtype), cast(kwargs, policy.param_dtype)
        with lowered(self._own_places(), policy.param_dtype):
            return self._fsdp_wrapped_module(*args, **kwargs)

    def check_is_root(self):
        """Whether no other wrapper has this one inside."""
        return self._is_root

    @staticmethod
    def fsdp_modules(module, root_only=False):
        """The wrappers in a module, a list."""
        found = [m for m in module.modules() if isinstance(m, FullyShardedDataParallel)]
        return [m for m in found if m.check_is_root()] if root_only else found

    @contextlib.contextmanager
    def no_sync(self):
        """A context in which gradients add up in each process."""
        yield

    @staticmethod
    @contextlib.contextmanager
    def summon_full_params(
        module, recurse=True, writeback=True, rank0_only=False, offload_to_cpu=False,
        with_grads=False,
    ):  # fmt: skip
        """A context in which parameters are whole, as they always are in one process."""
        yield

    def clip_grad_norm_(self, max_norm, norm_type=2.0):
        """Scale the gradients so that their norm is at most ``max_norm``; return the norm."""
        params = [p for p in self.parameters() if p.grad is not None]
        if not params:
            warnings.warn("Called FSDP.clip_grad_norm_() with no gradients", stacklevel=2)
            return late.framework.tensor(0.0)
        return late.framework.nn.utils.clip_grad_norm_(params, max_norm, norm_type)

    def register_comm_hook(self, state, hook):
        """Raise: gradients of one process are not reduced."""
        raise NotImplementedError(
            "FullyShardedDataParallel.register_comm_hook needs several processes"
        )

    # The state of models and optimizers ---------------------------------------------------

    @staticmethod
    def set_state_dict_type(
        module, state_dict_type, state_dict_config=None, optim_state_dict_config=None
    ):
        """Set the form of ``state_dict()`` of all wrappers in ``module``; return what was set."""
        before = FullyShardedDataParallel.get_state_dict_type(module)
        found = _settings(state_dict_type, state_dict_config, optim_state_dict_config)
        for part in FullyShardedDataParallel.fsdp_modules(module):
            part._settings = found
        return before

    @staticmethod
    def get_state_dict_type(module):
        """The form of ``state_dict()`` that is set, a ``StateDictSettings``."""
        parts = FullyShardedDataParallel.fsdp_modules(module)
        return parts[0]._settings if parts else _settings(StateDictType.FULL_STATE_DICT, None, None)

    @staticmethod
    @contextlib.contextmanager
    def state_dict_type(
        module, state_dict_type, state_dict_config=None, optim_state_dict_config=None
    ):
        """A context with another form of ``state_dict()``."""
        before = FullyShardedDataParallel.set_state_dict_type(
            module, state_dict_type, state_dict_config, optim_state_dict_config
        )
        try:
            yield
        finally:
            FullyShardedDataParallel.set_state_dict_type(
                module, before.state_dict_type, before.state_dict_config,
                before.optim_state_dict_config,
            )  # fmt: skip

    @staticmethod
    def optim_state_dict(model, optim, optim_state_dict=None, group=None):
        """The state of an optimizer, by names of parameters.

        Args:
            model: The model.
            optim: Its optimizer.
            optim_state_dict: The state, if it is not ``optim.state_dict()``.
            group: Accepted without effect.
        """
        state = optim.state_dict() if optim_state_dict is None else optim_state_dict
        names = _names(model, optim)
        groups = [{**g, "params": [names[i] for i in g["params"]]} for g in state["param_groups"]]
        return {"state": {names[i]: s for i, s in state["state"].items()}, "param_groups": groups}

    @staticmethod
    def optim_state_dict_to_load(
        model, optim, optim_state_dict, is_named_optimizer=False, load_directly=False, group=None
    ):
        """The state of an optimizer by numbers of parameters, from one by names.

        Args:
            model: The model.
            optim: Its optimizer.
            optim_state_dict: What ``optim_state_dict`` gave.
            is_named_optimizer: Accepted without effect.
            load_directly: Whether the optimizer loads it, too.
            group: Accepted without effect.
        """
        numbers = {name: i for i, name in _names(model, optim).items()}
        state = optim_state_dict
        groups = [{**g, "params": [numbers[n] for n in g["params"]]} for g in state["param_groups"]]
        found = {
            "state": {numbers[n]: s for n, s in state["state"].items()},
            "param_groups": groups,
        }
        if load_directly:
            optim.load_state_dict(found)
        return found

    @staticmethod
    def full_optim_state_dict(model, optim, optim_input=None, rank0_only=True, group=None):
        """The older name of ``optim_state_dict``."""
        return FullyShardedDataParallel.optim_state_dict(model, optim)

    sharded_optim_state_dict = full_optim_state_dict


def _settings(kind, config, optim_config):
    configs = _CONFIGS[kind]
    return StateDictSettings(kind, config or configs[0](), optim_config or configs[1]())


def clean_name(name):
    """The name of a parameter without the parts that wrappers add."""
    for part in (_PREFIX, "_checkpoint_wrapped_module.", "_orig_mod."):
        name = name.replace(part, "")
    return name


def _names(model, optim):
    """From an optimizer's number of a parameter to its name in ``model``."""
    names = {p: clean_name(n) for n, p in model.named_parameters()}
    params = [p for g in optim.param_groups for p in g["params"]]
    return {i: names[p] for i, p in enumerate(params)}


def _without_prefix(module, state, prefix, local_metadata):
    for key in list(state):
        if key.startswith(prefix + _PREFIX):
            state[prefix + key.removeprefix(prefix + _PREFIX)] = state.pop(key)


def _with_prefix(module, state, prefix, *args):
    for key in [k for k in state if k.startswith(prefix)]:
        state[prefix + _PREFIX + key.removeprefix(prefix)] = state.pop(key)
