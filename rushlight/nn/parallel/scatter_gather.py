"""Parts of tensors on several devices."""

from rushlight import late
from rushlight.tensor import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs, target_gpus, dim=0):
    """Divide tensors among devices.

    Args:
        inputs: A tensor, or tuples, lists and dicts of tensors. Other objects go to all devices.
        target_gpus: The devices, as ``torch.device``, texts or the numbers of GPUs.
        dim: The dim that is divided.

    Returns:
        For each device what is like ``inputs``: a tuple of tensors, or a list.

    >>> import rushlight as torch
    >>> torch.nn.parallel.scatter(torch.arange(4), ["cpu", "cpu"])
    (tensor([0, 1]), tensor([2, 3]))
    """

    def share(obj):
        if isinstance(obj, Tensor):
            parts = obj.chunk(len(target_gpus), dim)
            return tuple(part.to(d) for part, d in zip(parts, target_gpus, strict=False))
        if isinstance(obj, tuple) and hasattr(obj, "_fields"):
            return [type(obj)(*args) for args in zip(*map(share, obj), strict=False)]
        if isinstance(obj, tuple) and obj:
            return list(zip(*map(share, obj), strict=False))
        if isinstance(obj, list) and obj:
            return [list(part) for part in zip(*map(share, obj), strict=False)]
        if isinstance(obj, dict) and obj:
            return [type(obj)(part) for part in zip(*map(share, obj.items()), strict=False)]
        return [obj for _ in target_gpus]

    return share(inputs)


def scatter_kwargs(inputs, kwargs, target_gpus, dim=0):
    """Divide the arguments of a call among devices.

    Args:
        inputs: The positional arguments, a tuple.
        kwargs: Dict of the keyword arguments.
        target_gpus: The devices.
        dim: The dim that is divided.

    Returns:
        Tuple of two tuples: for each device the positional arguments, and the keyword arguments.

    >>> import rushlight as torch
    >>> from rushlight.nn.parallel.scatter_gather import scatter_kwargs
    >>> scatter_kwargs((torch.arange(2),), {}, ["cpu"])
    (((tensor([0, 1]),),), ({},))
    """
    shared = scatter(inputs, target_gpus, dim) if inputs else []
    named = scatter(kwargs, target_gpus, dim) if kwargs else []
    size = max(len(shared), len(named))
    shared = list(shared) + [()] * (size - len(shared))
    named = list(named) + [{} for _ in range(size - len(named))]
    return tuple(shared), tuple(named)


def gather(outputs, target_device, dim=0):
    """Join the results of several devices on one.

    Args:
        outputs: A list of results: tensors, or tuples, lists and dicts of tensors of one form.
        target_device: The device, or "cpu".
        dim: The dim along which tensors are joined.

    Returns:
        A result of the form of each output, with the joined tensors.

    Raises:
        ValueError: The results are dicts with different keys.

    >>> import rushlight as torch
    >>> torch.nn.parallel.gather([torch.ones(1), torch.zeros(1)], "cpu")
    tensor([1., 0.])
    """
    torch = late.framework

    def join(parts):
        first = parts[0]
        if isinstance(first, Tensor):
            parts = [p.to(target_device) for p in parts]
            return torch.stack(parts) if first.ndim == 0 else torch.cat(parts, dim)
        if first is None:
            return None
        if isinstance(first, dict):
            if any(p.keys() != first.keys() for p in parts):
                raise ValueError("All dicts must have the same number of keys")
            return type(first)((k, join([p[k] for p in parts])) for k in first)
        joined = map(join, zip(*parts, strict=True))
        return type(first)._make(joined) if hasattr(first, "_fields") else type(first)(joined)

    return join(list(outputs))
