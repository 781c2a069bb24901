"""Losses that demand a margin: between classes, pairs, triplets or labels."""

from rushlight.nn import functional as F
from rushlight.nn.modules.distance import PairwiseDistance
from rushlight.nn.modules.loss import _Loss, _WeightedLoss

__all__ = [
    "CosineEmbeddingLoss", "HingeEmbeddingLoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "SoftMarginLoss", "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]  # fmt: skip


class _MarginLoss(_Loss):
    __constants__ = ["margin", "reduction"]

    def __init__(self, margin, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class CosineEmbeddingLoss(_MarginLoss):
    """1 − cos(x1, x2) if y is 1; max(0, cos(x1, x2) − margin) if y is −1.

    Shape: x1, x2: (N, D) or (D); y: (N) or () → (), or y's shape with ``reduction="none"``.

    Args:
        margin: The cosine below which a pair with y = −1 costs nothing: from −1 to 1. Default: 0.

    >>> import rushlight as torch
    >>> x = torch.tensor([[3.0, 4.0]])
    >>> torch.nn.CosineEmbeddingLoss()(x, x.flip(1), torch.tensor([1]))
    tensor(0.0400)
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input1, input2, target):
        return F.cosine_embedding_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class HingeEmbeddingLoss(_MarginLoss):
    """The distance x if y is 1; max(0, margin − x) if y is −1.

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        margin: The distance above which a pair with y = −1 costs nothing. Default: 1.

    >>> import rushlight as torch
    >>> torch.nn.HingeEmbeddingLoss()(torch.tensor([0.25, 0.25]), torch.tensor([1, -1]))
    tensor(0.5000)
    """

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input, target):
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_MarginLoss):
    """max(0, margin − y·(x1 − x2)): y = 1 demands that x1 is larger, y = −1 that x2 is.

    Shape: x1, x2, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        margin: The difference of x1 and x2 above which a pair costs nothing. Default: 0.

    >>> import rushlight as torch
    >>> loss = torch.nn.MarginRankingLoss()
    >>> loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1]))
    tensor(2.)
    """

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input1, input2, target):
        return F.margin_ranking_loss(
            input1, input2, target, margin=self.margin, reduction=self.reduction
        )


class SoftMarginLoss(_Loss):
    """log(1 + e^(−y·x)), where y is 1 or −1.

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    >>> import rushlight as torch
    >>> torch.nn.SoftMarginLoss()(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """

    __constants__ = ["reduction"]

    def forward(self, input, target):
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """The mean over classes of max(0, margin − x[y] + x)ᵖ, without the class y itself.

    Shape: x: (N, C) or (C); y: (N) or () → (), or y's shape with ``reduction="none"``.

    Args:
        p: The exponent, 1 or 2. Default: 1.
        margin: The lead over another class's score from which that class costs nothing. Default: 1.

    Raises:
        ValueError: ``p`` is neither 1 nor 2, or the weights do not have one dim.

    >>> import rushlight as torch
    >>> torch.nn.MultiMarginLoss()(torch.tensor([[0.5, 0.0]]), torch.tensor([0]))
    tensor(0.2500)
    """

    __constants__ = ["p", "margin", "reduction"]

    def __init__(
        self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
    ):
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: only p == 1 and p == 2 supported, not {p}")
        if weight is not None and weight.dim() != 1:
            raise ValueError(
                "MultiMarginLoss: expected weight to be None or 1D tensor, got "
                f"{weight.dim()}D instead"
            )
        self.p = p
        self.margin = margin

    def forward(self, input, target):
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight,
            reduction=self.reduction,
        )  # fmt: skip


class MultiLabelMarginLoss(_Loss):
    """The sum of max(0, 1 − x[label] + x[other]) over all pairs (label, other class), over C.

    Shape: x: (N, C) or (C); y: the same, where the labels end at the first −1 → (), or (N) or
    () with ``reduction="none"``.

    >>> import rushlight as torch
    >>> torch.nn.MultiLabelMarginLoss()(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([2, -1, 0]))
    tensor(0.1667)
    """

    __constants__ = ["reduction"]

    def forward(self, input, target):
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean over classes of the binary cross entropy of each logit.

    Shape: x, y: (N, C) → (), or (N) with ``reduction="none"``.

    >>> import rushlight as torch
    >>> torch.nn.MultiLabelSoftMarginLoss()(torch.zeros(1, 2), torch.ones(1, 2))
    tensor(0.6931)
    """

    __constants__ = ["reduction"]

    def forward(self, input, target):
        return F.multilabel_soft_margin_loss(
            input, target, weight=self.weight, reduction=self.reduction
        )


def _positive(layer, margin):
    if margin <= 0:
        raise ValueError(
            f"{type(layer).__name__}: expected margin to be greater than 0, got {margin} instead"
        )


class TripletMarginLoss(_Loss):
    """max(0, margin + ‖anchor − positive‖ − ‖anchor − negative‖) in the p-norm.

    Shape: (N, D) or (D) each → (), or (N) or () with ``reduction="none"``.

    Args:
        margin: How much farther the negative must be than the positive. Default: 1.
        p: Exponent of the norm. Default: 2.
        eps: Number added to each difference. Default: 1e-6.

    Raises:
        ValueError: ``margin`` is not positive.

    Source: Balntas et al. 2016, Learning local feature descriptors with triplets.

    >>> import rushlight as torch
    >>> a = torch.zeros(1, 2)
    >>> torch.nn.TripletMarginLoss()(a, a, a + 1)
    tensor(0.)
    """

    __constants__ = ["margin", "p", "eps", "swap", "reduction"]

    def __init__(
        self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None,
        reduction="mean",
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        _positive(self, margin)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps,
            swap=self.swap, reduction=self.reduction,
        )  # fmt: skip


class TripletMarginWithDistanceLoss(_Loss):
    """``TripletMarginLoss`` with any distance function.

    Shape: anchor, positive, negative: shapes that ``distance_function`` takes, such as (N, D) → ().

    Args:
        distance_function: Function of two tensors that gives their distances. Default:
            ``PairwiseDistance()``.
        margin: How much farther the negative must be than the positive. Default: 1.

    Raises:
        ValueError: ``margin`` is not positive.

    >>> import rushlight as torch
    >>> a, manhattan = torch.zeros(1, 2), lambda x, y: (x - y).abs().sum(-1)
    >>> loss = torch.nn.TripletMarginWithDistanceLoss(distance_function=manhattan)
    >>> loss(a, a + 1, a + 1)
    tensor(1.)
    """

    __constants__ = ["margin", "swap", "reduction"]

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        _positive(self, margin)
        self.distance_function = (
            PairwiseDistance() if distance_function is None else distance_function
        )
        self.margin = margin
        self.swap = swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function,
            margin=self.margin, swap=self.swap, reduction=self.reduction,
        )  # fmt: skip
