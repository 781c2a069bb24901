"""Whole samples of a residual branch, dropped at random."""

import rushlight as torch
from rushlight import nn

__all__ = ["StochasticDepth", "stochastic_depth"]


def stochastic_depth(input, p, mode, training=True):
    """Set samples to zero at random.

    The samples that are kept are divided by 1 - ``p``.

    Args:
        input: Tensor ``(N, ...)`` of N samples.
        p: Probability that a sample becomes 0.
        mode: ``"row"``: each sample by itself; ``"batch"``: all at once.
        training: Work as in training; False: return ``input``. Default: True.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        ValueError: ``p`` is not from 0 to 1, or there is no such mode.

    Source: Huang et al. 2016, https://arxiv.org/abs/1603.09382

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import stochastic_depth
    >>> stochastic_depth(torch.ones(2, 3), 0.5, "row", training=False)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"stochastic_depth: p must be from 0 to 1, got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth: mode must be 'batch' or 'row', got {mode!r}")
    if not training or p == 0.0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    noise = torch.empty([rows] + [1] * (input.ndim - 1), dtype=input.dtype).bernoulli_(1 - p)
    if p < 1.0:
        noise.div_(1 - p)
    return input * noise


class StochasticDepth(nn.Module):
    """``stochastic_depth`` in training, the identity in evaluation.

    Args:
        p: Probability that a sample becomes 0.
        mode: ``"row"``: each sample by itself; ``"batch"``: all at once.

    >>> from rushlight.vision.ops import StochasticDepth
    >>> StochasticDepth(0.2, "row")
    StochasticDepth(p=0.2, mode=row)
    """

    def __init__(self, p, mode):
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input):
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self):
        return f"StochasticDepth(p={self.p}, mode={self.mode})"
