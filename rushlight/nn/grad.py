"""Gradients of convolutions with respect to their operands: ``torch.nn.grad``."""

from rushlight.ops.core.rules import conj
from rushlight.ops.windows.conv import conv_input, conv_weight
from rushlight.ops.windows.window import per_dim

__all__ = [
    "conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input",
    "conv3d_weight",
]  # fmt: skip


def _windows(name, n, **given):
    return {key: per_dim(value, n, name, key) for key, value in given.items()}


def _input_gradient(n):
    name = f"conv{n}d_input"

    def slope(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
        windows = _windows(name, n, stride=stride, padding=padding, dilation=dilation)
        size = tuple(input_size)[-n:]
        return conv_input(grad_output, conj(weight), size=size, groups=groups, **windows)

    slope.__doc__ = f"""Return the gradient of the input of ``conv{n}d``.

    Args:
        input_size: The shape of the input, ``(N, C, *)``.
        weight: Tensor ``(O, C / groups, *)``.
        grad_output: The gradient of the result, a tensor of its shape.
        stride, padding, dilation, groups: As for ``conv{n}d``.

    Returns:
        Tensor of the shape ``input_size``.

    >>> import rushlight as torch
    >>> g, weight = torch.ones(1, 1{", 1" * n}), torch.ones(1, 1{", 2" * n})
    >>> torch.nn.grad.{name}((1, 1{", 2" * n}), weight, g).sum()
    tensor({2**n}.)
    """
    slope.__name__ = slope.__qualname__ = name
    return slope


def _weight_gradient(n):
    name = f"conv{n}d_weight"

    def slope(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
        windows = _windows(name, n, stride=stride, padding=padding, dilation=dilation)
        size = tuple(weight_size)[-n:]
        return conv_weight(grad_output, conj(input), kernel_size=size, groups=groups, **windows)

    slope.__doc__ = f"""Return the gradient of the weight of ``conv{n}d``.

    Args:
        input: Tensor ``(N, C, *)``.
        weight_size: The shape of the weight, ``(O, C / groups, *)``.
        grad_output: The gradient of the result, a tensor of its shape.
        stride, padding, dilation, groups: As for ``conv{n}d``.

    Returns:
        Tensor of the shape ``weight_size``.

    >>> import rushlight as torch
    >>> g, x = torch.ones(1, 1{", 1" * n}), torch.ones(1, 1{", 2" * n})
    >>> torch.nn.grad.{name}(x, (1, 1{", 2" * n}), g).sum()
    tensor({2**n}.)
    """
    slope.__name__ = slope.__qualname__ = name
    return slope


conv1d_input, conv2d_input, conv3d_input = map(_input_gradient, (1, 2, 3))
conv1d_weight, conv2d_weight, conv3d_weight = map(_weight_gradient, (1, 2, 3))
