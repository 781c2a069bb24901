"""Small functions that libraries take from PyTorch's module of this name."""

from rushlight.autograd import no_grad
from rushlight.distributed.collectives import broadcast
from rushlight.distributed.fsdp.precision import cast
from rushlight.tensor import Tensor

__all__: list[str] = []


def _sync_module_states(
    module, process_group, broadcast_bucket_size=None, src=0, params_and_buffers_to_ignore=(),
    broadcast_buffers=True,
):  # fmt: skip
    """Give the parameters and buffers of one process to all."""
    named = [*module.named_parameters(), *(module.named_buffers() if broadcast_buffers else ())]
    with no_grad():
        for name, tensor in named:
            if name not in params_and_buffers_to_ignore:
                broadcast(tensor, group=process_group, group_src=src)


def _verify_param_shape_across_processes(process_group, tensors, logger=None):
    """Do nothing: the shapes of one process are its own."""


def _apply_to_tensors(fn, container):
    """Return ``container`` with ``fn(tensor)`` in the place of each tensor."""
    if isinstance(container, Tensor):
        return fn(container)
    if isinstance(container, dict):
        return type(container)((k, _apply_to_tensors(fn, v)) for k, v in container.items())
    if isinstance(container, tuple) and hasattr(container, "_fields"):
        return type(container)(*(_apply_to_tensors(fn, v) for v in container))
    if isinstance(container, (list, tuple, set)):
        return type(container)(_apply_to_tensors(fn, v) for v in container)
    return container


def _to_kwargs(inputs, kwargs, target_device, use_side_stream_for_tensor_copies=False):
    """Return the arguments of a call on a device, in tuples."""

    def move(x):
        return x.to(target_device)

    return (_apply_to_tensors(move, inputs),), (_apply_to_tensors(move, kwargs or {}),)


def _replace_by_prefix(state_dict, old_prefix, new_prefix):
    """Rename the keys of ``state_dict`` that begin with ``old_prefix``."""
    if old_prefix == new_prefix:
        raise ValueError("old_prefix and new_prefix must be distinct")
    for key in [k for k in state_dict if k.startswith(old_prefix)]:
        state_dict[new_prefix + key.removeprefix(old_prefix)] = state_dict.pop(key)


def _cast_forward_inputs(dtype, *args, **kwargs):
    """Return the arguments of a call with their floating-point tensors in a dtype."""
    return cast(args, dtype), cast(kwargs, dtype)
