"""Fractional max pooling, pooling by p-norms, unpooling, and the names ``*_with_indices``."""

from math import inf

from rushlight.errors import IndexRangeError
from rushlight.ops.random.sampling import rand
from rushlight.ops.windows import adaptive_max_pool, avg_pool, max_pool
from rushlight.ops.windows.window import per_dim

__all__ = [
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d_with_indices", "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices",
    "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip

# With positions ---------------------------------------------------------------------------


def max_pool1d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Call ``max_pool1d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.

    >>> import rushlight as torch
    >>> torch.nn.functional.max_pool1d_with_indices(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return max_pool.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Call ``max_pool2d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.

    >>> import rushlight as torch
    >>> x = torch.arange(4.0).reshape(1, 2, 2)
    >>> torch.nn.functional.max_pool2d_with_indices(x, 2)
    (tensor([[[3.]]]), tensor([[[3]]]))
    """
    return max_pool.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Call ``max_pool3d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    >>> import rushlight as torch
    >>> x = torch.arange(8.0).reshape(1, 2, 2, 2)
    >>> torch.nn.functional.max_pool3d_with_indices(x, 2)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    return max_pool.max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """Call ``adaptive_max_pool1d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_max_pool1d_with_indices(torch.arange(6.0).reshape(1, 6), 2)
    (tensor([[2., 5.]]), tensor([[2, 5]]))
    """
    return adaptive_max_pool.adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """Call ``adaptive_max_pool2d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.
        output_size: Spatial size of the result: int or ints; None keeps the size of a dim.

    >>> import rushlight as torch
    >>> torch.nn.functional.adaptive_max_pool2d_with_indices(torch.arange(4.0).reshape(1, 2, 2), 1)
    (tensor([[[3.]]]), tensor([[[3]]]))
    """
    return adaptive_max_pool.adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """Call ``adaptive_max_pool3d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        output_size: Spatial size of the result: int or ints; None keeps the size of a dim.

    >>> import rushlight as torch
    >>> x = torch.arange(8.0).reshape(1, 2, 2, 2)
    >>> torch.nn.functional.adaptive_max_pool3d_with_indices(x, 1)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    return adaptive_max_pool.adaptive_max_pool3d(input, output_size, True)


def _check_dims(name, n, input):
    if len(input.shape) <= n:
        raise IndexRangeError(
            f"{name}: expected {n + 1}D or {n + 2}D input, but got {tuple(input.shape)}"
        )


# Fractional -------------------------------------------------------------------------------


def _fractional(n, input, kernel_size, output_size, output_ratio, samples):
    name = f"fractional_max_pool{n}d"
    _check_dims(name, n, input)
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        ratio = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
        size = input.shape[-n:]
        if len(ratio) != n:  # PyTorch's types
            kind = ValueError if len(ratio) > n else IndexRangeError
            raise kind(f"{name}: output_ratio {tuple(ratio)} must be {n} numbers, or one number")
        output_size = tuple([int(s * r) for s, r in zip(size, ratio, strict=True)])
    if samples is None:
        batch = 1 if input.dim() == n + 1 else input.shape[0]
        samples = rand(batch, input.shape[-n - 1], n, dtype=input.dtype)
    return adaptive_max_pool.fractional(name, n, input, kernel_size, output_size, samples)


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """Call ``fractional_max_pool2d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.
        output_size: Spatial size of the result: int or ints. Default: by ``output_ratio``.

    >>> import rushlight as torch
    >>> x = torch.ones(1, 9, 9)
    >>> maxima, at = torch.nn.functional.fractional_max_pool2d_with_indices(x, 2, 4)
    >>> maxima.shape, at.shape
    (torch.Size([1, 4, 4]), torch.Size([1, 4, 4]))
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """Call ``fractional_max_pool3d``, and always return the indices too.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        output_size: Spatial size of the result: int or ints. Default: by ``output_ratio``.

    >>> import rushlight as torch
    >>> x = torch.ones(1, 9, 9, 9)
    >>> maxima, at = torch.nn.functional.fractional_max_pool3d_with_indices(x, 2, 4)
    >>> maxima.shape, at.shape
    (torch.Size([1, 4, 4, 4]), torch.Size([1, 4, 4, 4]))
    """
    return _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """Return the maximum of each window, with random distances between the windows.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.
        output_size: Spatial size of the result: int or ints. Default: by ``output_ratio``.

    Returns:
        Tensor ``(N, C, *output_size)``, or ``(N, C, int(output_ratio · H), …)``. With
        ``return_indices`` a pair: the maxima, and their flat positions in (H, W), int64.

    Raises:
        ValueError: Neither ``output_size`` nor ``output_ratio`` is given.
        RuntimeError: The windows do not fit.

    Source: Graham 2014, https://arxiv.org/abs/1412.6071

    >>> import rushlight as torch
    >>> torch.nn.functional.fractional_max_pool2d(torch.ones(1, 1, 9, 9), 2, 4).shape
    torch.Size([1, 1, 4, 4])
    """
    found, at = _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return (found, at) if return_indices else found


def fractional_max_pool3d(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False,
    _random_samples=None,
):  # fmt: skip
    """Return the maximum of each window, with random distances between the windows.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        output_size: Spatial size of the result: int or ints. Default: by ``output_ratio``.

    Returns:
        Tensor ``(N, C, *output_size)``, or ``(N, C, int(output_ratio · D), …)``. With
        ``return_indices`` a pair: the maxima, and their flat positions in (D, H, W), int64.

    Raises:
        ValueError: Neither ``output_size`` nor ``output_ratio`` is given.
        RuntimeError: The windows do not fit.

    >>> import rushlight as torch
    >>> x = torch.ones(1, 1, 9, 9, 9)
    >>> torch.nn.functional.fractional_max_pool3d(x, 2, output_ratio=0.5).shape
    torch.Size([1, 1, 4, 4, 4])
    """
    found, at = _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return (found, at) if return_indices else found


# By p-norms -------------------------------------------------------------------------------


_INFINITE = (inf, -inf)


def _largest(pool, input, norm_type, kernel_size, stride, ceil_mode):
    """The largest absolute value in each window, or the smallest one if ``norm_type`` is -inf."""
    sign = 1 if norm_type > 0 else -1
    return sign * pool(sign * input.abs(), kernel_size, stride, 0, 1, ceil_mode)


def _lp(mean, norm_type, count):
    """Compute (Σ xᵖ) ^ (1 / p) from the mean of xᵖ over windows of ``count`` elements."""
    return (mean.sign() * mean.abs().relu()).mul(count).pow(1.0 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Compute (Σ xᵖ) ^ (1 / p) over each window, where p is ``norm_type``.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``.

    Returns:
        Tensor ``(N, C, L')`` or ``(C, L')``, with L' = (L - kernel_size) // stride + 1.

    >>> import rushlight as torch
    >>> torch.nn.functional.lp_pool1d(torch.tensor([[[3.0, 4.0]]]), 2, 2)
    tensor([[[5.]]])
    """
    if norm_type in _INFINITE:
        return _largest(max_pool.max_pool1d, input, norm_type, kernel_size, stride, ceil_mode)
    mean = avg_pool.avg_pool1d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return _lp(mean, norm_type, per_dim(kernel_size, 1, "lp_pool1d", "kernel_size")[0])


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Compute (Σ xᵖ) ^ (1 / p) over each window, where p is ``norm_type``.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``.

    Returns:
        Tensor ``(N, C, H', W')`` or ``(C, H', W')``, each size as in ``lp_pool1d``.

    >>> import rushlight as torch
    >>> torch.nn.functional.lp_pool2d(torch.ones(1, 1, 4, 4), 2, 2)
    tensor([[[[2., 2.],
              [2., 2.]]]])
    """
    h, w = per_dim(kernel_size, 2, "lp_pool2d", "kernel_size")
    if norm_type in _INFINITE:
        return _largest(max_pool.max_pool2d, input, norm_type, kernel_size, stride, ceil_mode)
    mean = avg_pool.avg_pool2d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return _lp(mean, norm_type, h * w)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Compute (Σ xᵖ) ^ (1 / p) over each window, where p is ``norm_type``.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Returns:
        Tensor ``(N, C, D', H', W')`` or ``(C, D', H', W')``, each size as in ``lp_pool1d``.

    >>> import rushlight as torch
    >>> torch.nn.functional.lp_pool3d(torch.ones(1, 1, 2, 2, 2), 3, 2)
    tensor([[[[[2.]]]]])
    """
    d, h, w = per_dim(kernel_size, 3, "lp_pool3d", "kernel_size")
    if norm_type in _INFINITE:
        return _largest(max_pool.max_pool3d, input, norm_type, kernel_size, stride, ceil_mode)
    mean = avg_pool.avg_pool3d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return _lp(mean, norm_type, d * h * w)


# Unpooling --------------------------------------------------------------------------------


def _unpooled(n, input, indices, kernel_size, stride, padding, output_size):
    name = f"max_unpool{n}d"
    _check_dims(name, n, input)
    kernel_size = per_dim(kernel_size, n, name, "kernel_size")
    stride = per_dim(kernel_size if stride is None else stride, n, name, "stride")
    padding = per_dim(padding, n, name, "padding")
    size = tuple([
        (s - 1) * step + k - 2 * p
        for s, step, k, p in zip(input.shape[-n:], stride, kernel_size, padding, strict=True)
    ])  # fmt: skip
    if output_size is not None:
        size = _wanted(name, n, tuple(output_size), size, stride)
    return adaptive_max_pool.unpool(name, n, input, indices, size)


def _wanted(name, n, wanted, size, stride):
    """Return the spatial part of ``output_size``.

    Raise ValueError unless each dim differs from the usual size by less than a stride.
    """
    given = wanted
    if len(wanted) == n + 2:
        wanted = wanted[2:]
    if len(wanted) != n:
        raise ValueError(
            f"{name}: output_size must be of {n} or {n + 2} numbers, but it is {list(given)}"
        )
    if any(abs(w - s) >= step for w, s, step in zip(wanted, size, stride, strict=True)):
        raise ValueError(
            f"{name}: invalid output_size {list(given)}: each dim must be less than a stride "
            f"{list(stride)} from {list(size)}"
        )
    return wanted


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Undo ``max_pool1d``: put each maximum at its position in ``indices``, and 0 elsewhere.

    Args:
        input: Tensor ``(N, C, L)`` or ``(C, L)``: the maxima.

    Returns:
        Tensor ``(N, C, L')`` or ``(C, L')``, with L' = (L - 1) stride - 2 padding + kernel_size, or
        ``output_size``.

    Raises:
        ValueError: ``output_size`` is impossible for these windows.
        RuntimeError: ``indices`` do not fit.

    >>> import rushlight as torch
    >>> F = torch.nn.functional
    >>> F.max_unpool1d(*F.max_pool1d(torch.tensor([[1.0, 3.0]]), 2, return_indices=True), 2)
    tensor([[0., 3.]])
    """
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Undo ``max_pool2d``: put each maximum at its position in ``indices``, and 0 elsewhere.

    Args:
        input: Tensor ``(N, C, H, W)`` or ``(C, H, W)``: the maxima.

    Returns:
        Tensor ``(N, C, H', W')`` or ``(C, H', W')``, each size as in ``max_unpool1d``.

    Raises:
        ValueError: ``output_size`` is impossible for these windows.
        RuntimeError: ``indices`` do not fit.

    >>> import rushlight as torch
    >>> F = torch.nn.functional
    >>> x, at = F.max_pool2d(torch.arange(4.0).reshape(1, 2, 2), 2, return_indices=True)
    >>> F.max_unpool2d(x, at, 2)
    tensor([[[0., 0.],
             [0., 3.]]])
    """
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Undo ``max_pool3d``: put each maximum at its position in ``indices``, and 0 elsewhere.

    Args:
        input: Tensor ``(N, C, D, H, W)`` or ``(C, D, H, W)``: the maxima.

    Returns:
        Tensor ``(N, C, D', H', W')`` or ``(C, D', H', W')``, each size as in ``max_unpool1d``.

    Raises:
        ValueError: ``output_size`` is impossible for these windows.
        RuntimeError: ``indices`` do not fit.

    >>> import rushlight as torch
    >>> F = torch.nn.functional
    >>> x, at = F.max_pool3d(torch.ones(1, 1, 2, 2, 2), 2, return_indices=True)
    >>> F.max_unpool3d(x, at, 2).sum()
    tensor(1.)
    """
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)
