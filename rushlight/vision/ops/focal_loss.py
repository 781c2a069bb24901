"""Losses of detectors."""

from rushlight.nn import functional as F

__all__ = ["sigmoid_focal_loss"]


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    """Binary cross entropy with lower weights for elements that are already predicted well.

    Args:
        inputs: Tensor of any shape ``(*)``: logits.
        targets: Tensor of ``inputs``' shape, of zeros and ones.
        alpha: Weight of targets 1, from 0 to 1; targets 0 have 1 - ``alpha``. -1: no weights.
            Default: 0.25.
        gamma: Exponent of the weights: the larger, the less count elements that are predicted well.
            Default: 2.
        reduction: Give each loss (``"none"``, default), their ``"mean"`` or their ``"sum"``.

    Returns:
        Tensor of ``inputs``' shape, or ``()`` for ``"mean"`` and ``"sum"``.

    Raises:
        ValueError: ``alpha`` is neither -1 nor from 0 to 1, or the reduction is not known.

    Source: Lin et al. 2017, https://arxiv.org/abs/1708.02002

    >>> import rushlight as torch
    >>> from rushlight.vision.ops import sigmoid_focal_loss
    >>> sigmoid_focal_loss(torch.zeros(2), torch.tensor([0.0, 1.0]))
    tensor([0.1300, 0.0433])
    """
    if not (0 <= alpha <= 1 or alpha == -1):
        raise ValueError(f"sigmoid_focal_loss: alpha must be -1 or from 0 to 1, got {alpha}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(
            f"sigmoid_focal_loss: reduction must be 'none', 'mean' or 'sum', got {reduction!r}"
        )
    p = inputs.sigmoid()
    right = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = loss * (1 - right) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return loss if reduction == "none" else getattr(loss, reduction)()
