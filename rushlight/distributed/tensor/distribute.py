"""Tensors and modules on several processes, and new tensors there."""

from typing import Any

from rushlight import late
from rushlight.distributed.device_mesh import current_mesh
from rushlight.distributed.tensor.dtensor import DTensor, checked, made
from rushlight.distributed.tensor.placement_types import Replicate
from rushlight.nn.parameter import Parameter

__all__ = [
    "distribute_module", "distribute_tensor", "empty", "full", "ones", "rand", "randn", "zeros",
]  # fmt: skip


def distribute_tensor(tensor, device_mesh=None, placements=None, *, src_data_rank=0):
    """Lay a tensor on the processes of a mesh.

    Args:
        tensor: The whole tensor, a leaf.
        device_mesh: The mesh. Default: that of the ``with`` block.
        placements: One for each dim of the mesh. Default: ``Replicate()``.
        src_data_rank: The process whose tensor counts.

    Returns:
        A ``DTensor``, a leaf.

    Raises:
        RuntimeError: The tensor is no leaf.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> from rushlight.distributed.tensor import Shard, distribute_tensor
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> mesh = dist.init_device_mesh("cpu", (1,))
    >>> distribute_tensor(torch.ones(2), mesh, [Shard(0)]).full_tensor()
    tensor([1., 1.])
    >>> dist.destroy_process_group()
    """
    mesh = device_mesh or current_mesh()
    if not tensor.is_leaf:
        raise RuntimeError("`distribute_tensor` should be used to distribute leaf tensors!")
    placements = checked(placements, mesh, tensor.ndim)
    if isinstance(tensor, DTensor):
        if tensor.mesh != mesh or tuple(tensor.placements) != placements:
            raise ValueError("the tensor is a DTensor of another mesh or with other placements")
        return tensor
    if any(p.is_partial() for p in placements):
        raise RuntimeError("distribute_tensor: Partial is no placement of a whole tensor")
    values = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    return made(values, mesh, placements)


def distribute_module(
    module, device_mesh=None, partition_fn=None, input_fn=None, output_fn=None
):  # fmt: skip
    """Make the parameters and buffers of a module DTensors.

    Args:
        module: The module.
        device_mesh: The mesh. Default: that of the ``with`` block.
        partition_fn: A function of a name, a module and the mesh that replaces parameters.
        input_fn: A function of the module, its inputs and the mesh that gives the inputs.
        output_fn: A function of the module, its outputs and the mesh that gives the outputs.

    Returns:
        ``module``.
    """
    mesh = device_mesh or current_mesh()
    for name, part in module.named_modules():
        if partition_fn is not None:
            partition_fn(name, part, mesh)
        for key, param in part._parameters.items():
            if param is not None and not isinstance(param, DTensor):
                whole = distribute_tensor(param.data, mesh, [Replicate()] * mesh.ndim)
                part._parameters[key] = Parameter(whole, param.requires_grad)
        for key, buffer in part._buffers.items():
            if buffer is not None and not isinstance(buffer, DTensor):
                part._buffers[key] = distribute_tensor(buffer, mesh, [Replicate()] * mesh.ndim)
    if input_fn is not None:
        module.register_forward_pre_hook(lambda m, inputs: input_fn(m, inputs, mesh))
    if output_fn is not None:
        module.register_forward_hook(lambda m, inputs, outputs: output_fn(m, outputs, mesh))
    return module


def _factory(name, fills=False):
    def make(*args, device_mesh=None, placements=None, **options):
        mesh = device_mesh or current_mesh()
        make_local = getattr(late.framework, name)
        fill = args[-1:] if fills else ()
        size: Any = args[:-1] if fills else args
        size = size[0] if len(size) == 1 and isinstance(size[0], (list, tuple)) else size
        values = make_local(tuple(size), *fill, **options)
        return made(values, mesh, checked(placements, mesh, values.ndim))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""A ``DTensor`` as ``torch.{name}`` makes it.

    Args:
        args: The size{", and the value" if fills else ""}.
        device_mesh: The mesh. Default: that of the ``with`` block.
        placements: One for each dim of the mesh. Default: ``Replicate()``.
        options: As of ``torch.{name}``.

    Returns:
        A ``DTensor``.
    """
    return make


empty, ones, zeros = _factory("empty"), _factory("ones"), _factory("zeros")
rand, randn, full = _factory("rand"), _factory("randn"), _factory("full", fills=True)
