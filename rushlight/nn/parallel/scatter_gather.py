"""Parts of tensors on several devices, and modules that run on several."""

from rushlight import late
from rushlight.tensor import Tensor

__all__ = ["gather", "parallel_apply", "replicate", "scatter", "scatter_kwargs"]


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
        What is like one of the results.

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


def replicate(network, devices, detach=False):
    """Copy a module to devices. Gradients of the copies go to the module's parameters.

    Args:
        network: The module.
        devices: The devices.
        detach: Whether gradients stop at the copies.

    Returns:
        A list of modules.

    >>> import rushlight as torch
    >>> len(torch.nn.parallel.replicate(torch.nn.Linear(2, 1), ["cpu"]))
    1
    """

    def moved(t, device):
        copy = t.to(device)
        copy = t.view_as(t) if copy is t else copy
        return copy.detach() if detach else copy

    def copied(module, device):
        twin = object.__new__(type(module))
        twin.__dict__.update(vars(module))
        twin._modules = {n: m and copied(m, device) for n, m in module._modules.items()}
        twin._parameters = {}
        twin._buffers = {n: b if b is None else b.to(device) for n, b in module._buffers.items()}
        for name, param in module._parameters.items():
            if param is None:
                twin._parameters[name] = None
            else:
                object.__setattr__(twin, name, moved(param, device))
        return twin

    return [copied(network, device) for device in devices]


def parallel_apply(modules, inputs, kwargs_tup=None, devices=None):
    """Call each module with its own arguments.

    Args:
        modules: The modules.
        inputs: For each the positional arguments: a tuple, or one argument.
        kwargs_tup: For each a dict of keyword arguments. Default: none.
        devices: Accepted without effect: tensors tell their devices.

    Returns:
        A list of the results.

    Raises:
        AssertionError: There are not as many arguments as modules.

    >>> import rushlight as torch
    >>> torch.nn.parallel.parallel_apply([torch.nn.ReLU()], [torch.tensor([-1.0])])
    [tensor([0.])]
    """
    kwargs_tup = kwargs_tup or ({},) * len(modules)
    if not len(modules) == len(inputs) == len(kwargs_tup):
        raise AssertionError(
            f"The number of modules {len(modules)} is not equal to the number of inputs "
            f"{len(inputs)}"
        )
    calls = zip(modules, inputs, kwargs_tup, strict=True)
    return [m(*(x if isinstance(x, (list, tuple)) else (x,)), **k) for m, x, k in calls]
