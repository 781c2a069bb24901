"""The handle that takes a hook away again, and the mark of hooks that are not to be saved."""

import warnings

from rushlight.nn.modules.hooks import RemovableHandle

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks"]


def unserializable_hook(f):
    """Mark a hook, so that saving a tensor that has it gives a warning.

    Args:
        f: The hook.

    Returns:
        ``f``.

    >>> import rushlight as torch
    >>> torch.utils.hooks.unserializable_hook(lambda g: g)(3)
    3
    """
    f.__torch_unserializable__ = True
    return f


def warn_if_has_hooks(tensor):
    """Warn of the hooks of a tensor that is saved, unless they are marked.

    Args:
        tensor: The tensor.

    >>> import rushlight as torch
    >>> torch.utils.hooks.warn_if_has_hooks(torch.ones(1))
    """
    hooks = tensor.node.hooks if tensor.node is not None else None
    for kind, hook in list((hooks or {}).values()):
        if kind == "tensor" and not hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"the hook {hook!r} is not saved with its tensor; "
                "torch.utils.hooks.unserializable_hook marks hooks of which that is known",
                stacklevel=2,
            )
