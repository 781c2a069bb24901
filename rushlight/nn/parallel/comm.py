"""Copies of tensors to devices, and sums of tensors from devices."""

from rushlight import late
from rushlight.nn.parallel.scatter_gather import gather as _gather

__all__ = [
    "broadcast", "broadcast_coalesced", "gather", "reduce_add", "reduce_add_coalesced", "scatter",
]  # fmt: skip


def broadcast(tensor, devices=None, *, out=None):
    """Copy a tensor to devices.

    Args:
        tensor: Tensor of any shape.
        devices: The devices.
        out: Tensors that receive the copies, in place of ``devices``.

    Returns:
        Tuple of tensors of ``tensor``'s shape.

    Raises:
        RuntimeError: Neither or both of ``devices`` and ``out`` are given.

    >>> import rushlight as torch
    >>> torch.nn.parallel.comm.broadcast(torch.ones(1), ["cpu", "cpu"])
    (tensor([1.]), tensor([1.]))
    """
    _one_of(devices=devices, out=out)
    if out is not None:
        return tuple(t.copy_(tensor) for t in out)
    return tuple(tensor.to(d) for d in devices)


def broadcast_coalesced(tensors, devices, buffer_size=10485760):
    """Copy several tensors to devices.

    Args:
        tensors: The tensors.
        devices: The devices.
        buffer_size: Accepted without effect: each tensor is copied by itself.

    Returns:
        For each device a list of tensors.

    >>> import rushlight as torch
    >>> torch.nn.parallel.comm.broadcast_coalesced([torch.ones(1)], ["cpu"])
    [[tensor([1.])]]
    """
    return [[t.to(d) for t in tensors] for d in devices]


def reduce_add(inputs, destination=None):
    """Add tensors of several devices.

    Args:
        inputs: The tensors, all of one shape.
        destination: The device of the result. Default: that of the first tensor.

    Returns:
        Tensor of that shape.

    Raises:
        ValueError: The tensors have different shapes.

    >>> import rushlight as torch
    >>> torch.nn.parallel.comm.reduce_add([torch.ones(1), torch.ones(1)])
    tensor([2.])
    """
    first = inputs[0]
    place = first.device if destination is None else destination
    for i, t in enumerate(inputs):
        if t.shape != first.shape:
            raise ValueError(
                f"input {i} has invalid size: got {tuple(t.shape)}, but expected "
                f"{tuple(first.shape)}"
            )
    return sum((t.to(place) for t in inputs[1:]), first.to(place))


def reduce_add_coalesced(inputs, destination=None, buffer_size=10485760):
    """Add the lists of tensors of several devices.

    Args:
        inputs: For each device a list of tensors.
        destination: The device of the results. Default: that of the first list.
        buffer_size: Accepted without effect.

    Returns:
        Tuple of the sums.

    >>> import rushlight as torch
    >>> torch.nn.parallel.comm.reduce_add_coalesced([[torch.ones(1)], [torch.ones(1)]])
    (tensor([2.]),)
    """
    return tuple(reduce_add(ts, destination) for ts in zip(*inputs, strict=True))


def scatter(tensor, devices=None, chunk_sizes=None, dim=0, streams=None, *, out=None):
    """Divide a tensor among devices.

    Args:
        tensor: Tensor of any shape.
        devices: The devices.
        chunk_sizes: The size of each part along ``dim``. Default: equal ones.
        dim: The dim that is divided.
        streams: Accepted without effect.
        out: Tensors that receive the parts, in place of ``devices``.

    Returns:
        Tuple of tensors.

    Raises:
        RuntimeError: Neither or both of ``devices`` and ``out`` are given.

    >>> import rushlight as torch
    >>> torch.nn.parallel.comm.scatter(torch.arange(3), ["cpu", "cpu"], [1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    _one_of(devices=devices, out=out)
    if out is not None:
        parts = tensor.split([t.shape[dim] for t in out], dim)
        return tuple(t.copy_(part) for t, part in zip(out, parts, strict=True))
    parts = tensor.split(chunk_sizes, dim) if chunk_sizes else tensor.chunk(len(devices), dim)
    return tuple(part.to(d) for part, d in zip(parts, devices, strict=False))


def gather(tensors, dim=0, destination=None, *, out=None):
    """Join tensors of several devices on one.

    Args:
        tensors: The tensors.
        dim: The dim along which they are joined.
        destination: The device of the result. Default: the accelerator, or else the CPU.
        out: Tensor that receives the result, in place of ``destination``.

    Returns:
        Tensor.

    Raises:
        RuntimeError: Both of ``destination`` and ``out`` are given.

    >>> import rushlight as torch
    >>> torch.nn.parallel.comm.gather([torch.ones(1), torch.zeros(1)], destination="cpu")
    tensor([1., 0.])
    """
    if out is None:
        place = destination or late.framework.accelerator.current_accelerator() or "cpu"
        return _gather(tensors, place, dim)
    if destination is not None:
        raise RuntimeError(
            f"'destination' must not be specified when 'out' is specified, but got {destination=}"
        )
    return out.copy_(_gather(tensors, out.device, dim))


def _one_of(**given):
    if sum(x is not None for x in given.values()) != 1:
        values = " and ".join([f"{name}={x}" for name, x in given.items()])
        raise RuntimeError(
            f"Exactly one of 'devices' and 'out' must be specified, but got {values}"
        )
