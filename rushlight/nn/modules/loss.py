"""Losses. By default a loss returns the mean over its elements; see ``reduction``."""

import warnings

from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module
from rushlight.ops.loss.regression import reduction_of_flags

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "KLDivLoss", "L1Loss",
    "MSELoss", "NLLLoss", "SmoothL1Loss",
]  # fmt: skip


def _reduction(size_average, reduce, reduction):
    """Return ``reduction``, or derive it from its deprecated predecessors if they are given."""
    if size_average is None and reduce is None:
        return reduction
    reduction = reduction_of_flags(size_average, reduce)
    warnings.warn(
        f"size_average and reduce args will be deprecated; use reduction={reduction!r}",
        stacklevel=5,
    )
    return reduction


class _Loss(Module):
    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        self.reduction = _reduction(size_average, reduce, reduction)


class _WeightedLoss(_Loss):
    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """|x − y|.

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    >>> import rushlight as torch
    >>> torch.nn.L1Loss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]))
    tensor(1.5000)
    """

    __constants__ = ["reduction"]

    def forward(self, input, target):
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """(x − y)².

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    >>> import rushlight as torch
    >>> torch.nn.MSELoss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]))
    tensor(4.5000)
    """

    __constants__ = ["reduction"]

    def forward(self, input, target):
        return F.mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """(x − y)² / (2β) if |x − y| < β, else |x − y| − β/2.

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        beta: The β of the formula, 0 or more. With 0, the loss is ``L1Loss``. Default: 1.

    >>> import rushlight as torch
    >>> torch.nn.SmoothL1Loss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]))
    tensor(1.2500)
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input, target):
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """(x − y)² / 2 if |x − y| < δ, else δ·(|x − y| − δ/2).

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        delta: The δ of the formula, above 0. Default: 1.

    Raises:
        TypeError: ``delta`` is no number.

    >>> import rushlight as torch
    >>> torch.nn.HuberLoss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]))
    tensor(1.2500)
    """

    __constants__ = ["reduction", "delta"]

    def __init__(self, reduction="mean", delta=1.0):
        if not isinstance(delta, float | int):
            raise TypeError(f"HuberLoss: delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class NLLLoss(_WeightedLoss):
    """−x[class], weighted by the class's ``weight``; targets ``ignore_index`` are left out.

    The mean divides the sum of the losses by the sum of their weights.

    Shape: x: (N, C, *) or (C), log-probabilities; y: (N, *) or (), classes → (), or y's shape
    with ``reduction="none"``.

    >>> import rushlight as torch
    >>> torch.nn.NLLLoss()(torch.tensor([[-1.0, -2.0]]), torch.tensor([1]))
    tensor(2.)
    """

    __constants__ = ["ignore_index", "reduction"]

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
    ):  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return F.nll_loss(
            input, target, weight=self.weight, ignore_index=self.ignore_index,
            reduction=self.reduction,
        )  # fmt: skip


class CrossEntropyLoss(_WeightedLoss):
    """``NLLLoss`` of the log-softmax of x.

    Targets may also be probabilities of the classes.

    Shape: x: (N, C, *) or (C), logits; y: (N, *) or (), classes, or x's shape, probabilities
    → (), or (N, *) with ``reduction="none"``.

    >>> import rushlight as torch
    >>> torch.nn.CrossEntropyLoss()(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    __constants__ = ["ignore_index", "reduction", "label_smoothing"]

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean",
        label_smoothing=0.0,
    ):  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        own = self._buffers  # direct look-up: Module.__getattr__ takes 0.4 µs each
        weight = own["weight"] if "weight" in own else self.weight  # noqa: SIM401
        return F.cross_entropy(
            input, target, weight, None, self.ignore_index, None, self.reduction,
            self.label_smoothing,
        )  # fmt: skip


class KLDivLoss(_Loss):
    """y·(log y − x), where x is a log-probability.

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        reduction: As for other losses, or ``"batchmean"``: the sum divided by the size of the first
            dim, as the divergence is defined. Default: ``"mean"``, with a warning.
        log_target: y is a log-probability, too, and the loss is eʸ·(y − x). Default: False.

    >>> import rushlight as torch
    >>> half = torch.tensor([0.5, 0.5])
    >>> torch.nn.KLDivLoss(reduction="sum")(half.log(), half)
    tensor(0.)
    """

    __constants__ = ["reduction"]

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input, target):
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class BCELoss(_WeightedLoss):
    """−y·log x − (1 − y)·log(1 − x), where x is a probability.

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        weight: Tensor that broadcasts to y: a factor for each loss. Default: 1.

    >>> import rushlight as torch
    >>> torch.nn.BCELoss()(torch.tensor([0.5]), torch.tensor([1.0]))
    tensor(0.6931)
    """

    __constants__ = ["reduction"]

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """``BCELoss`` of the sigmoid of x.

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        weight: Tensor that broadcasts to y: a factor for each loss. Default: 1.
        pos_weight: Tensor that broadcasts to y: a factor for the losses of positive targets.
            Default: 1.

    >>> import rushlight as torch
    >>> torch.nn.BCEWithLogitsLoss()(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """

    def __init__(
        self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
