"""Pruning: a mask keeps some elements of a parameter at zero.

Each function here prunes a parameter of a module by one of the methods in ``pruning_methods.py``,
or takes its pruning back.
"""

from collections.abc import Iterable

import rushlight
from rushlight.docstrings import document
from rushlight.nn.utils.convert_parameters import parameters_to_vector
from rushlight.nn.utils.pruning_methods import (
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningContainer,
    RandomStructured,
    RandomUnstructured,
    _compute_norm,  # noqa: F401
    _compute_nparams_toprune,  # noqa: F401
    _validate_pruning_amount,  # noqa: F401
    _validate_pruning_amount_init,  # noqa: F401
    _validate_pruning_dim,  # noqa: F401
    _validate_structured_pruning,  # noqa: F401
    find,
)

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured",
    "PruningContainer", "RandomStructured", "RandomUnstructured", "custom_from_mask",
    "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def identity(module, name):
    """Give a parameter a mask that prunes nothing.

    >>> import rushlight as torch
    >>> list(torch.nn.utils.prune.identity(torch.nn.Linear(2, 3), "weight").state_dict())
    ['bias', 'weight_orig', 'weight_mask']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module, name, amount):
    """Prune elements of a parameter at random.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.prune.random_unstructured(torch.nn.Linear(2, 3), "weight", 1)
    >>> layer.weight_mask.sum()
    tensor(5.)
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module, name, amount, importance_scores=None):
    """Prune the elements of a parameter with the smallest absolute values.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(2, 3), "weight", 0.5)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module, name, amount, dim):
    """Prune slices of a parameter along ``dim`` at random.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.prune.random_structured(torch.nn.Linear(2, 3), "weight", 1, 0)
    >>> layer.weight_mask.sum()
    tensor(4.)
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module, name, amount, n, dim, importance_scores=None):
    """Prune the slices of a parameter along ``dim`` that have the smallest norms.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.prune.ln_structured(torch.nn.Conv2d(1, 4, 3), "weight", 2, 2, 0)
    >>> layer.weight_mask.sum()
    tensor(18.)
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module, name, mask):
    """Prune the elements of a parameter where ``mask`` is 0.

    Args:
        mask: Tensor of the parameter's shape: 0 for elements that are pruned, otherwise 1.

    >>> import rushlight as torch
    >>> mask = torch.tensor([0, 1, 1])
    >>> torch.nn.utils.prune.custom_from_mask(torch.nn.Linear(2, 3), "bias", mask).bias_mask
    tensor([0., 1., 1.])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs):
    """Prune several parameters together, as if they were one.

    Args:
        parameters: Iterable of pairs (module, name).
        pruning_method: The class of an unstructured method.
        importance_scores: A dict from (module, name) to scores, which replace the values of that
            parameter. Default: none.
        **kwargs: The arguments of ``pruning_method``.

    Returns:
        None.

    Raises:
        TypeError: An argument has the wrong type, or the method is not unstructured.

    >>> import rushlight as torch
    >>> P = torch.nn.utils.prune
    >>> layer = torch.nn.Linear(4, 1)
    >>> pairs = [(layer, "weight"), (layer, "bias")]
    >>> P.global_unstructured(pairs, P.L1Unstructured, amount=2)
    >>> layer.weight_mask.sum() + layer.bias_mask.sum()
    tensor(3.)
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    if not isinstance(importance_scores, dict | None):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    pairs, scores = list(parameters), importance_scores or {}
    values = [getattr(module, name) for module, name in pairs]
    whole = parameters_to_vector([
        scores.get(pair, value) for pair, value in zip(pairs, values, strict=True)
    ])  # fmt: skip
    masks = parameters_to_vector([
        getattr(module, name + "_mask", rushlight.ones_like(value))
        for (module, name), value in zip(pairs, values, strict=True)
    ])  # fmt: skip
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    method._tensor_name = "all"
    final = PruningContainer(method).compute_mask(whole, masks)
    parts = final.split([value.numel() for value in values])
    for (module, name), value, part in zip(pairs, values, parts, strict=True):
        custom_from_mask(module, name, mask=part.view_as(value))


def remove(module, name):
    """Make a pruned parameter an ordinary parameter, whose pruned elements stay 0.

    Raises:
        ValueError: The parameter is not pruned.

    >>> import rushlight as torch
    >>> layer = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(2, 3), "weight", 0.5)
    >>> sorted(torch.nn.utils.prune.remove(layer, "weight").state_dict())
    ['bias', 'weight']
    """
    key = find(module, name)
    if key is None:
        raise ValueError(
            f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
        )
    module._forward_pre_hooks.pop(key).remove(module)
    return module


def is_pruned(module):
    """Return whether a parameter of a module or of one of its submodules is pruned.

    Args:
        module: Any module.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.nn.utils.prune.is_pruned(torch.nn.Linear(2, 3))
    False
    """
    hooks = [hook for m in module.modules() for hook in m._forward_pre_hooks.values()]
    return any(isinstance(hook, BasePruningMethod) for hook in hooks)


for _name in __all__:
    _thing = globals()[_name]
    document(_thing, "pruner" if isinstance(_thing, type) else "pruning")
