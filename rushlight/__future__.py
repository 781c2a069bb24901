"""``torch.__future__``: how a module's tensors are replaced when it is converted or loaded."""

__all__ = [
    "get_overwrite_module_params_on_conversion", "get_swap_module_params_on_conversion",
    "set_overwrite_module_params_on_conversion", "set_swap_module_params_on_conversion",
]  # fmt: skip

_overwrite = False
_swap = False


def set_overwrite_module_params_on_conversion(value):
    """Choose whether ``Module.to`` and its kin give the module new parameters.

    Args:
        value: True for new parameters. False, as at the start, changes the parameters in place.

    >>> import rushlight as torch
    >>> torch.__future__.set_overwrite_module_params_on_conversion(True)
    >>> layer = torch.nn.Linear(1, 1)
    >>> before = layer.weight
    >>> layer.double().weight is before
    False
    >>> torch.__future__.set_overwrite_module_params_on_conversion(False)
    """
    global _overwrite
    _overwrite = value


def get_overwrite_module_params_on_conversion():
    """Tell whether ``Module.to`` and its kin give the module new parameters.

    Returns:
        What ``set_overwrite_module_params_on_conversion`` was given, or False.
    """
    return _overwrite


def set_swap_module_params_on_conversion(value):
    """Choose whether parameters change by ``torch.utils.swap_tensors``.

    This is about ``Module.to`` and its kin, and about ``load_state_dict``, which then swaps a
    parameter with ``parameter.module_load(entry, assign)``. It comes before
    ``set_overwrite_module_params_on_conversion``.

    Args:
        value: True for swaps. False, as at the start, writes into the parameters.

    >>> import rushlight as torch
    >>> torch.__future__.set_swap_module_params_on_conversion(True)
    >>> layer = torch.nn.Linear(1, 1)
    >>> before = layer.weight
    >>> layer.double().weight is before
    True
    >>> torch.__future__.set_swap_module_params_on_conversion(False)
    """
    global _swap
    _swap = value


def get_swap_module_params_on_conversion():
    """Tell whether parameters change by ``torch.utils.swap_tensors``.

    Returns:
        What ``set_swap_module_params_on_conversion`` was given, or False.
    """
    return _swap
