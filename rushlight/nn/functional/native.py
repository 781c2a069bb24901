"""The forms of normalisation and dropout that also return what their gradients need.

PyTorch's gradients go through the first result alone, and so do these. Libraries call the functions
for the other results: means, reciprocal standard deviations and masks.
"""

import rushlight
from rushlight.nn import functional as F
from rushlight.nn.utils.weight_norm import norm_of_slices
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.guard import guarded
from rushlight.ops.norm.batch_norm import batch_normalized
from rushlight.ops.norm.layer_norm import group_normalized

__all__ = [
    "native_batch_norm", "native_dropout", "native_group_norm", "native_layer_norm",
    "norm_except_dim",
]  # fmt: skip

_KINDS = {
    "normalized_shape": "shape", "weight": "Tensor?", "bias": "Tensor?",
    "running_mean": "Tensor?", "running_var": "Tensor?", "training": "bool", "train": "bool?",
}  # fmt: skip


def _published(call):
    return guarded(takes(kinds=_KINDS)(call), call.__name__)


def _statistics(x, dims, keepdim, weight, eps):
    """The mean and the reciprocal standard deviation of ``x`` over ``dims``, without a gradient.

    They have the dtype of ``weight``, or that of ``x`` if there is none.
    """
    with rushlight.no_grad():
        wide = x.float() if x.dtype.itemsize == 2 else x
        var, mean = rushlight.var_mean(wide, dims, correction=0, keepdim=keepdim)
        dtype = x.dtype if weight is None else weight.dtype
        return mean.to(dtype), (var + eps).rsqrt().to(dtype)


@_published
def native_layer_norm(input, normalized_shape, weight, bias, eps):
    """Normalise the last dims, as ``nn.functional.layer_norm``, and return the statistics as well.

    Args:
        input: Tensor ``(*, *normalized_shape)``, floating point.
        normalized_shape: Sizes of the dims that are normalised together.
        weight: Factors ``normalized_shape``, or None.
        bias: Summands ``normalized_shape``, or None.
        eps: Number that is added to the variances.

    Returns:
        Tuple (result, mean, reciprocal standard deviation). The statistics have the shape ``*``,
        followed by 1 for each normalised dim, and no gradient.

    Raises:
        RuntimeError: The shapes do not fit each other.

    >>> import rushlight as torch
    >>> y, mean, rstd = torch.native_layer_norm(torch.tensor([[1.0, 3.0]]), (2,), None, None, 0.0)
    >>> y, mean, rstd
    (tensor([[-1.,  1.]]), tensor([[2.]]), tensor([[1.]]))
    """
    shape = tuple(normalized_shape)
    out = F.layer_norm(input, shape, weight, bias, eps)
    dims = tuple(range(input.ndim - len(shape), input.ndim))
    return out, *_statistics(input, dims, True, weight, eps)


@_published
def native_group_norm(input, weight, bias, N, C, HxW, group, eps):
    """Normalise groups of channels, as ``nn.functional.group_norm``, and return the statistics.

    Args:
        input: Tensor of ``N * C * HxW`` elements, whose first dims are samples and channels.
        weight: Factors ``(C,)``, or None.
        bias: Summands ``(C,)``, or None.
        N: Number of samples.
        C: Number of channels.
        HxW: Number of elements of a channel.
        group: Number of groups, a divisor of ``C``.
        eps: Number that is added to the variances.

    Returns:
        Tuple (result, mean, reciprocal standard deviation). The statistics have the shape
        ``(N, group)`` and no gradient.

    Raises:
        RuntimeError: ``input`` has another number of elements, or ``C`` is no multiple of
            ``group``.

    >>> import rushlight as torch
    >>> x = torch.tensor([[[1.0], [3.0]]])
    >>> torch.native_group_norm(x, None, None, 1, 2, 1, 1, 0.0)[1]
    tensor([[2.]])
    """
    if input.numel() != N * C * HxW:
        raise RuntimeError(
            f"native_group_norm: Expected input of {N} * {C} * {HxW} elements, but got the shape "
            f"{list(input.shape)}"
        )
    out = group_normalized(input.reshape(N, C, HxW), group, weight, bias, eps)
    groups = input.reshape(N, group, -1)
    return out.reshape(input.shape), *_statistics(groups, (2,), False, weight, eps)


@_published
def native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps):
    """Normalise each channel, as ``nn.functional.batch_norm``, and return the batch's statistics.

    Args:
        input: Tensor ``(N, C, *)``, floating point.
        weight: Factors ``(C,)``, or None.
        bias: Summands ``(C,)``, or None.
        running_mean: Running means ``(C,)``; None without running statistics.
        running_var: Running variances ``(C,)``; None without running statistics.
        training: Normalise by the batch's statistics, and move the running ones towards them.
        momentum: How far the running statistics move.
        eps: Number that is added to the variances.

    Returns:
        Tuple (result, mean, reciprocal standard deviation). The statistics have the shape ``(C,)``
        in training, else ``(0,)``, and no gradient.

    Raises:
        RuntimeError: The shapes do not fit, or running statistics are missing outside of training.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> torch.native_batch_norm(x, None, None, None, None, True, 0.1, 0.0)[1:]
    (tensor([2.]), tensor([1.]))
    """
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError(
            "native_batch_norm: Expected running_mean and running_var to be tensors outside of "
            "training"
        )
    out = batch_normalized(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        dtype = input.dtype if weight is None else weight.dtype
        return out, input.new_empty(0, dtype=dtype), input.new_empty(0, dtype=dtype)
    dims = (0, *range(2, input.ndim))
    return out, *_statistics(input.detach(), dims, False, weight, eps)


@_published
def native_dropout(input, p, train):
    """Drop elements, as ``nn.functional.dropout``, and return which ones stayed.

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        p: Probability in [0, 1] with which an element becomes 0.
        train: Drop (True or None); False returns a copy of ``input`` and a mask of True.

    Returns:
        Tuple (result, bool tensor ``(*)`` that is True where an element stayed). For an ``input``
        without elements, the second has its dtype.

    Raises:
        RuntimeError: ``p`` is outside [0, 1], or ``input`` is not floating point.

    >>> import rushlight as torch
    >>> torch.native_dropout(torch.ones(2), 0.0, True)
    (tensor([1., 1.]), tensor([True, True]))
    """
    if not input.is_floating_point() and not input.is_complex():
        raise RuntimeError(
            f"native_dropout: result type Float can't be cast to the desired output type "
            f"{input.dtype}; convert with .float()"
        )
    if train is False or not input.numel():
        kind = rushlight.bool if input.numel() else input.dtype  # as in PyTorch
        return input.clone(), rushlight.ones_like(input, dtype=kind, requires_grad=False)
    noise = rushlight.dropout(rushlight.ones_like(input, requires_grad=False), p, True)
    return input * noise, noise != 0


@_published
def norm_except_dim(v, pow=2, dim=0):
    """Return the norm of each slice of ``v`` along ``dim``; its other dims stay, with size 1.

    Args:
        v: Tensor of any shape ``(*)``, floating point.
        pow: The order of the norm, an int. Default: 2.
        dim: The dim of the slices, or -1 for one norm of all elements. Default: 0.

    Returns:
        Tensor with ``v``'s size in ``dim`` and 1 elsewhere; a 0-dim one for ``dim=-1``.

    Raises:
        IndexError: ``dim`` is neither -1 nor a dim of ``v``.

    >>> import rushlight as torch
    >>> torch.norm_except_dim(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    return norm_of_slices(v, pow, dim)
