"""The older form of weight norm, in which a hook computes the weight before each forward."""

import warnings

from rushlight.nn.parameter import Parameter

__all__ = ["WeightNorm", "remove_weight_norm", "weight_norm"]


def norm_of_slices(v, order, dim):
    """Return the norm of each slice of ``v`` along ``dim``; its other dims stay, with size 1.

    If ``dim`` is -1, return one norm of all elements.
    """
    if dim == -1:
        return v.norm(order)
    if not -v.dim() <= dim < v.dim():
        raise IndexError(
            f"norm_except_dim: Dimension out of range (expected to be in range of [{-v.dim()}, "
            f"{v.dim() - 1}], but got {dim})"
        )
    if v.dim() == 1:  # norms of single numbers, whose slope at infinity is nan
        return v.unsqueeze(1).norm(order, 1)
    others = [d for d in range(v.dim()) if d != dim % v.dim()]
    return v.norm(order, others, keepdim=True)


def scaled(v, g, dim):
    """Return ``v`` scaled so that its norms are ``g``."""
    return v * (g / norm_of_slices(v, 2, dim))


class WeightNorm:
    """The hook of ``weight_norm``, which computes the weight."""

    def __init__(self, name, dim):
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module):
        """Compute the weight from its lengths and directions."""
        v, g = getattr(module, self.name + "_v"), getattr(module, self.name + "_g")
        return scaled(v, g, self.dim)

    @staticmethod
    def apply(module, name, dim):
        """Replace the weight by its lengths and directions."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two weight_norm hooks on the same parameter {name}"
                )
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        del module._parameters[name]
        norms = norm_of_slices(weight, 2, hook.dim)
        module.register_parameter(name + "_g", Parameter(norms.detach()))
        module.register_parameter(name + "_v", Parameter(weight.detach()))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module):
        """Replace the lengths and directions by the weight."""
        weight = self.compute_weight(module).detach()
        delattr(module, self.name)
        for part in ("_g", "_v"):
            del module._parameters[self.name + part]
        setattr(module, self.name, Parameter(weight))

    def __call__(self, module, inputs):
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module, name="weight", dim=0):
    """Learn the lengths ``weight_g`` and directions ``weight_v`` of a weight separately.

    Deprecated in favour of ``nn.utils.parametrizations.weight_norm``.

    Args:
        dim: The weight has one length for each index of this dim. None: a single length.
            Default: 0.

    Returns:
        ``module``.

    Raises:
        RuntimeError: The weight has a weight norm already.

    >>> import rushlight as torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> sorted(torch.nn.utils.weight_norm(torch.nn.Linear(20, 40)).state_dict())
    ['bias', 'weight_g', 'weight_v']
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of "
        "torch.nn.utils.parametrizations.weight_norm.",
        FutureWarning,
        stacklevel=2,
    )
    WeightNorm.apply(module, name, dim)
    return module


def remove_hook(module, name, kind, called):
    """Call ``remove(module)`` of the pre-hook of class ``kind`` for ``name``; remove the hook."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return
    raise ValueError(f"{called} of '{name}' not found in {module}")


def remove_weight_norm(module, name="weight"):
    """Undo ``weight_norm``.

    Returns:
        ``module``.

    Raises:
        ValueError: The weight has no weight norm.

    >>> import rushlight as torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> layer = torch.nn.utils.weight_norm(torch.nn.Linear(20, 40))
    >>> sorted(torch.nn.utils.remove_weight_norm(layer).state_dict())
    ['bias', 'weight']
    """
    remove_hook(module, name, WeightNorm, "weight_norm")
    return module
