"""Normalization of each channel by the channels around it."""

from rushlight.ops.windows.avg_pool import avg_pool2d
from rushlight.ops.windows.pad import pad

__all__ = ["across_channels", "local_response_norm"]


def across_channels(input, before, after, alpha, beta, k):
    """Divide ``input`` by (k + alpha · mean of squares) ^ beta.

    The mean is over the channel itself, ``before`` channels before it and ``after`` channels after
    it. Channels that do not exist count as zeros.
    """
    n, c = input.shape[:2]
    squares = pad((input * input).reshape(n, 1, c, -1), (0, 0, before, after))
    mean = avg_pool2d(squares, (before + 1 + after, 1), 1).reshape(input.shape)
    return input / (mean * alpha + k) ** beta


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide ``input`` by (k + alpha · mean of squares) ^ beta.

    Args:
        input: Tensor ``(N, C, *)`` with at least 3 dims.
        size: Number of channels around each channel, over which the mean of squares is taken.
        alpha: Factor of the mean. Default: 1e-4.
        beta: Exponent of the divisor. Default: 0.75.
        k: Number added to alpha · mean. Default: 1.

    Raises:
        ValueError: ``input`` has fewer than three dims.
        RuntimeError: ``size`` is below 1.

    Source: Krizhevsky et al. 2012, section 3.3.

    >>> import rushlight as torch
    >>> torch.nn.functional.local_response_norm(torch.ones(1, 2, 1), 2, alpha=1.0, beta=1.0)
    tensor([[[0.6667],
             [0.5000]]])
    """
    if input.ndim < 3:
        raise ValueError(
            f"local_response_norm: Expected 3D or higher dimensionality input, got {input.ndim} "
            f"dims: {tuple(input.shape)}"
        )
    if input.numel() == 0:
        return input
    return across_channels(input, size // 2, (size - 1) // 2, alpha, beta, k)
