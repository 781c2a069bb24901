"""The older form of spectral norm, in which a hook computes the weight before each forward."""

import rushlight
from rushlight.autograd.mode import no_grad
from rushlight.nn import functional as F
from rushlight.nn.parameter import Parameter
from rushlight.nn.utils.weight_norm import remove_hook

__all__ = [
    "SpectralNorm", "SpectralNormLoadStateDictPreHook", "SpectralNormStateDictHook",
    "remove_spectral_norm", "spectral_norm",
]  # fmt: skip


class SpectralNorm:
    """The hook of ``spectral_norm``, which computes the weight."""

    _version = 1  # of the state dict; since version 1, the vector v is in it

    def __init__(self, name="weight", n_power_iterations=1, dim=0, eps=1e-12):
        if n_power_iterations <= 0:
            raise ValueError(
                "spectral_norm: Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def reshape_weight_to_matrix(self, weight):
        """Return the weight as a matrix whose rows are the slices along ``dim``."""
        return weight.movedim(self.dim, 0).flatten(1)

    def compute_weight(self, module, do_power_iteration):
        """Return the weight divided by its largest singular value."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix.mv(v), dim=0, eps=self.eps))
                # Backward needs these values, and the next call overwrites the buffers.
                u, v = u.clone(), v.clone()
        return weight / u.dot(matrix.mv(v))

    @staticmethod
    def apply(module, name, n_power_iterations, dim, eps):
        """Replace the weight by ``<name>_orig`` and the vectors of the power iteration."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two spectral_norm hooks on the same parameter {name}"
                )
        hook = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        rows, columns = hook.reshape_weight_to_matrix(weight).size()
        u = F.normalize(weight.new_empty(rows).normal_(0, 1), dim=0, eps=eps)
        v = F.normalize(weight.new_empty(columns).normal_(0, 1), dim=0, eps=eps)
        del module._parameters[name]
        module.register_parameter(name + "_orig", weight)
        # Until the first forward, code may read the weight by its name.
        setattr(module, name, weight.data)
        module.register_buffer(name + "_u", u.detach())
        module.register_buffer(name + "_v", v.detach())
        module.register_forward_pre_hook(hook)
        module._register_state_dict_hook(SpectralNormStateDictHook(hook))
        module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(hook))
        return hook

    def remove(self, module):
        """Make the computed weight an ordinary parameter again."""
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        delattr(module, self.name)
        for part in ("_u", "_v", "_orig"):
            delattr(module, self.name + part)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module, inputs):
        weight = self.compute_weight(module, do_power_iteration=module.training)
        setattr(module, self.name, weight)


class SpectralNormStateDictHook:
    """Writes the version of spectral norm's state into a state dict's metadata."""

    def __init__(self, fn):
        self.fn = fn

    def __call__(self, module, state_dict, prefix, local_metadata):
        versions = local_metadata.setdefault("spectral_norm", {})
        versions[self.fn.name + ".version"] = self.fn._version


class SpectralNormLoadStateDictPreHook:
    """Adds the vector v to old state dicts, which lack it, by solving u = W·v up to a factor."""

    def __init__(self, fn):
        self.fn = fn

    def __call__(self, state_dict, prefix, local_metadata, *_):
        hook, key = self.fn, prefix + self.fn.name
        version = local_metadata.get("spectral_norm", {}).get(hook.name + ".version")
        needed = [key + part for part in ("_orig", "", "_u")]
        if (
            version is not None
            or key + "_v" in state_dict
            or any(k not in state_dict for k in needed)
        ):
            return
        with no_grad():
            original, weight, u = [state_dict[k] for k in needed]
            sigma = (original / weight).mean()
            matrix = hook.reshape_weight_to_matrix(original)
            identity = rushlight.eye(matrix.shape[1], device=matrix.device)
            gram = matrix.t() @ matrix + hook.eps * identity
            v = rushlight.linalg.solve(gram, matrix.t().mv(u))
            state_dict[key + "_v"] = v * (sigma / u.dot(matrix.mv(v)))
            del state_dict[key]


def rows_of(module):
    """Return the dim of the output channels in the weight of ``module``."""
    return 1 if getattr(module, "transposed", False) is True else 0


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Keep the largest singular value of a weight at 1.

    The state is ``weight_orig`` and the two vectors of the power iteration. The newer form is
    ``nn.utils.parametrizations.spectral_norm``.

    Args:
        dim: The dim whose slices are the rows of the weight as a matrix. Default: 0, or 1 for
            transposed convolutions.

    Returns:
        ``module``.

    Raises:
        ValueError: ``n_power_iterations`` is not positive.
        RuntimeError: The weight has a spectral norm already.

    >>> import rushlight as torch
    >>> list(torch.nn.utils.spectral_norm(torch.nn.Linear(20, 40)).state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if dim is None:
        dim = rows_of(module)
    SpectralNorm.apply(module, name, n_power_iterations, dim, eps)
    return module


def remove_spectral_norm(module, name="weight"):
    """Undo ``spectral_norm``.

    Returns:
        ``module``.

    Raises:
        ValueError: The weight has no spectral norm.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.spectral_norm(torch.nn.Linear(20, 40))
    >>> sorted(torch.nn.utils.remove_spectral_norm(layer).state_dict())
    ['bias', 'weight']
    """
    remove_hook(module, name, SpectralNorm, "spectral_norm")
    for hooks, kind in (
        (module._state_dict_hooks, SpectralNormStateDictHook),
        (module._load_state_dict_pre_hooks, SpectralNormLoadStateDictPreHook),
    ):
        for key in [k for k, h in hooks.items() if isinstance(h, kind) and h.fn.name == name]:
            del hooks[key]
    return module
