"""Conversion of convolutions' weights to another memory format."""

from rushlight.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _converted(module, kinds, memory_format):
    for part in module.modules():
        if isinstance(part, kinds):
            part.weight.data = part.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module, memory_format):
    """Convert the weights of all 2-d convolutions in ``module`` to a memory format, in place.

    Args:
        module: Any module; its ``Conv2d`` and ``ConvTranspose2d`` layers are converted.
        memory_format: ``torch.channels_last`` or ``torch.contiguous_format``.

    Returns:
        ``module``.

    Raises:
        RuntimeError: The format is for weights of another number of dims.

    >>> import rushlight as torch
    >>> conv = torch.nn.Conv2d(3, 4, 2)
    >>> convert = torch.nn.utils.convert_conv2d_weight_memory_format
    >>> convert(conv, torch.channels_last).weight.stride()
    (12, 1, 6, 3)
    """
    return _converted(module, (Conv2d, ConvTranspose2d), memory_format)


def convert_conv3d_weight_memory_format(module, memory_format):
    """Convert the weights of all 3-d convolutions in ``module`` to a memory format, in place.

    Args:
        module: Any module; its ``Conv3d`` and ``ConvTranspose3d`` layers are converted.
        memory_format: ``torch.channels_last_3d`` or ``torch.contiguous_format``.

    Returns:
        ``module``.

    Raises:
        RuntimeError: The format is for weights of another number of dims.

    >>> import rushlight as torch
    >>> conv = torch.nn.Conv3d(3, 4, 2)
    >>> convert = torch.nn.utils.convert_conv3d_weight_memory_format
    >>> convert(conv, torch.channels_last_3d).weight.stride()
    (24, 1, 12, 6, 3)
    """
    return _converted(module, (Conv3d, ConvTranspose3d), memory_format)
