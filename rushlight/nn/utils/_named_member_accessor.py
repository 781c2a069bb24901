"""torch.nn.utils._named_member_accessor: exchange a parameter or buffer of a module."""

from rushlight.tensor import Tensor

__all__: list[str] = []

_MISSING = object()


def swap_tensor(module, name, tensor, allow_missing=False):
    """Put ``tensor`` in the place of a parameter, buffer or attribute; return the previous one.

    ``tensor`` goes into the place as it is: a plain tensor may stand where a parameter was.

    Args:
        module: The Module.
        name: The name, without dots.
        tensor: The new tensor, or None.
        allow_missing: Return a mark that stands for "nothing" if there was no such name. The mark
            given as ``tensor`` deletes the place again. Default: False.

    Raises:
        AttributeError: There is no such name, and ``allow_missing`` is False.
        TypeError: ``tensor`` is no tensor.

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(1, 1)
    >>> old = swap_tensor(layer, "bias", torch.tensor([2.0]))
    >>> layer.bias, type(old).__name__
    (tensor([2.]), 'Parameter')
    """
    if "." in name or not name:
        raise KeyError(f"a name must be without dots and not empty, got {name!r}")
    if tensor is not None and tensor is not _MISSING and not isinstance(tensor, Tensor):
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    for place in (module._parameters, module._buffers):
        if name in place:
            old = place[name]
            if tensor is _MISSING:
                del place[name]
            else:
                place[name] = tensor
            return old
    old = module.__dict__.get(name, _MISSING)
    if old is _MISSING and not allow_missing:
        raise AttributeError(f"{type(module).__name__} has no attribute {name!r}")
    if old is not _MISSING and not isinstance(old, Tensor):
        raise TypeError(f"attribute {name!r}: {old} is not an instance of torch.Tensor")
    if tensor is _MISSING:
        module.__dict__.pop(name, None)
    else:
        module.__dict__[name] = tensor
    return old
