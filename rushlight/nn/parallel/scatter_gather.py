"""Batches that are shared out among devices, and collected again."""

from rushlight.ops.shape.join import cat
from rushlight.tensor import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs, target_gpus, dim=0):
    """Cut the tensors in ``inputs`` into a part for each device.

    Args:
        inputs: Tensors, in nested lists, tuples and dicts, too. Other objects go to every device.
        target_gpus: The devices.
        dim: The dim that is cut. Default: 0.

    Returns:
        A list of structures like ``inputs``: one for each device that gets a part.

    >>> import rushlight as torch
    >>> scatter(torch.arange(3), ["cpu", "cpu"])
    (tensor([0, 1]), tensor([2]))
    """
    if isinstance(inputs, Tensor):
        parts = inputs.chunk(len(target_gpus), dim)
        return tuple([p.to(place) for p, place in zip(parts, target_gpus, strict=False)])
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        parts = [scatter(v, target_gpus, dim) for v in inputs]
        return [type(inputs)(*found) for found in zip(*parts, strict=False)]
    if isinstance(inputs, (list, tuple)) and inputs:
        parts = [scatter(v, target_gpus, dim) for v in inputs]
        return [type(inputs)(found) for found in zip(*parts, strict=False)]
    if isinstance(inputs, dict) and inputs:
        parts = [scatter(v, target_gpus, dim) for v in inputs.values()]
        return [
            type(inputs)(zip(inputs, found, strict=True)) for found in zip(*parts, strict=False)
        ]
    return [inputs for _ in target_gpus]


def scatter_kwargs(inputs, kwargs, target_gpus, dim=0):
    """Cut the positional and the keyword arguments of a call into a part for each device.

    Args:
        inputs: Tuple of the positional arguments.
        kwargs: Dict of the keyword arguments, or None.
        target_gpus, dim: As for ``scatter``.

    Returns:
        A tuple of tuples, and a tuple of as many dicts.

    >>> import rushlight as torch
    >>> scatter_kwargs((torch.arange(2),), None, ["cpu", "cpu"])
    (((tensor([0]),), (tensor([1]),)), ({}, {}))
    """
    positional = scatter(inputs, target_gpus, dim) if inputs else []
    named = scatter(kwargs, target_gpus, dim) if kwargs else []
    n = max(len(positional), len(named))
    positional = [*positional, *[()] * (n - len(positional))]
    named = [*named, *[{} for _ in range(n - len(named))]]
    return tuple(positional), tuple(named)


def gather(outputs, target_device, dim=0):
    """Join the results of several devices on one of them.

    Args:
        outputs: A list of tensors, or of dicts, lists or tuples of tensors that are alike.
        target_device: The device of the result.
        dim: The dim along which tensors are joined. Default: 0.

    Returns:
        A structure like one of ``outputs``.

    >>> import rushlight as torch
    >>> gather([torch.tensor([0]), torch.tensor([1])], "cpu")
    tensor([0, 1])
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        return cat([(t if t.ndim else t.reshape(1)).to(target_device) for t in outputs], dim)
    if first is None:
        return None
    if isinstance(first, dict):
        return type(first)((k, gather([o[k] for o in outputs], target_device, dim)) for k in first)
    parts = [gather(part, target_device, dim) for part in zip(*outputs, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
