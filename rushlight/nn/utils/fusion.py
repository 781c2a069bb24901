"""Functions that fold a batch norm into the layer before it, for evaluation."""

import copy

import rushlight
from rushlight.nn.parameter import Parameter

__all__ = [
    "fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights",
]  # fmt: skip


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """Return one convolution that computes ``bn(conv(x))`` in evaluation mode.

    Args:
        conv: The convolution, in evaluation mode. It is not changed.

    Returns:
        Module of ``conv``'s class.

    Raises:
        AssertionError: A layer is in training mode, or ``bn`` has no running statistics.

    >>> import rushlight as torch
    >>> conv, bn = torch.nn.Conv2d(3, 4, 1).eval(), torch.nn.BatchNorm2d(4).eval()
    >>> x = torch.randn(2, 3, 5, 5)
    >>> torch.allclose(torch.nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True
    """
    _check("fuse_conv_bn_eval", conv, bn)
    return _fused(conv, bn, fuse_conv_bn_weights, transpose=transpose)


def fuse_linear_bn_eval(linear, bn):
    """Return one linear layer that computes ``bn(linear(x))`` in evaluation mode.

    Args:
        linear: The linear layer, in evaluation mode. It is not changed.

    Returns:
        Module of ``linear``'s class.

    Raises:
        AssertionError: A layer is in training mode, or ``bn`` has another number of features or no
            running statistics.

    >>> import rushlight as torch
    >>> linear, bn = torch.nn.Linear(3, 4).eval(), torch.nn.BatchNorm1d(4).eval()
    >>> x = torch.randn(2, 3)
    >>> torch.allclose(torch.nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-6)
    True
    """
    _check("fuse_linear_bn_eval", linear, bn)
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            f"fuse_linear_bn_eval: bn.num_features={bn.num_features} must be "
            f"linear.out_features={linear.out_features}, or 1"
        )
    return _fused(linear, bn, fuse_linear_bn_weights)


def _check(name, layer, bn):
    if layer.training or bn.training:
        raise AssertionError(f"{name}: fusion is for evaluation; call .eval() on both layers")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError(f"{name}: the batch norm has no running statistics to fold in")


def _fused(layer, bn, fuse, **options):
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
        **options,
    )  # fmt: skip
    return fused


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """Return the parameters of a convolution into which a batch norm is folded.

    Args:
        conv_w: Tensor ``(C, *)``, or ``(I, C, *k)`` with ``transpose``: the convolution's weight.
        conv_b: Tensor ``(C,)``: the convolution's bias. None: there is none.

    Returns:
        Tuple of two Parameters: the weight, of ``conv_w``'s shape, and the bias ``(C,)``.

    >>> import rushlight as torch
    >>> w, b = torch.nn.utils.fuse_conv_bn_weights(
    ...     torch.ones(1, 1, 1), None, torch.zeros(1), torch.ones(1), 0.0, 2 * torch.ones(1), None)
    >>> w.tolist(), b.tolist()
    ([[[2.0]]], [0.0])
    """
    channels = (1, -1) if transpose else (-1, 1)
    shape = (*channels, *(1,) * (conv_w.dim() - 2))
    return _folded(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Return the parameters of a linear layer into which a batch norm is folded.

    Args:
        linear_w: Tensor ``(C, in_features)``: the linear layer's weight.
        linear_b: Tensor ``(C,)``: the linear layer's bias. None: there is none.

    Returns:
        Tuple of two Parameters: the weight, of ``linear_w``'s shape, and the bias ``(C,)``.

    >>> import rushlight as torch
    >>> w, b = torch.nn.utils.fuse_linear_bn_weights(
    ...     torch.ones(1, 1), None, torch.ones(1), torch.ones(1), 0.0, torch.ones(1), torch.ones(1))
    >>> w.tolist(), b.tolist()
    ([[1.0]], [0.0])
    """
    return _folded(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, (-1, 1))


def _folded(weight, bias, mean, var, eps, scale, shift, shape):
    factor = rushlight.rsqrt(var + eps)
    if scale is not None:
        factor = factor * scale
    found = (0 if bias is None else bias) - mean
    found = found * factor
    if shift is not None:
        found = found + shift
    weight_wants, bias_wants = weight.requires_grad, weight.requires_grad
    if bias is not None:
        bias_wants = bias.requires_grad
    weight = (weight * factor.reshape(shape)).to(weight.dtype)
    return Parameter(weight.detach(), weight_wants), Parameter(
        found.to(weight.dtype).detach(), bias_wants
    )
