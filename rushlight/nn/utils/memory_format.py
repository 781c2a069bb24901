"""Conversion of convolutions' weights to another memory format, which has no effect here."""

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert_conv2d_weight_memory_format(module, memory_format):
    """Return ``module`` unchanged: its weights keep their memory format.

    Args:
        module: Any module.
        memory_format: Accepted without effect.

    Returns:
        ``module``.

    >>> import rushlight as torch
    >>> conv = torch.nn.Conv2d(1, 1, 1)
    >>> convert = torch.nn.utils.convert_conv2d_weight_memory_format
    >>> convert(conv, torch.channels_last) is conv
    True
    """
    return module


def convert_conv3d_weight_memory_format(module, memory_format):
    """Return ``module`` unchanged: its weights keep their memory format.

    Args:
        module: Any module.
        memory_format: Accepted without effect.

    Returns:
        ``module``.

    >>> import rushlight as torch
    >>> conv = torch.nn.Conv3d(1, 1, 1)
    >>> convert = torch.nn.utils.convert_conv3d_weight_memory_format
    >>> convert(conv, torch.channels_last_3d) is conv
    True
    """
    return module
