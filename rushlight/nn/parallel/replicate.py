"""Copies of a module on several devices."""

__all__ = ["replicate"]


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
