"""Losses that are negative log-likelihoods: of counts, normal values, label sequences, classes."""

import math
import warnings

from rushlight.nn import functional as F
from rushlight.nn.modules.linear import Linear
from rushlight.nn.modules.loss import NLLLoss, _Loss, _WeightedLoss

__all__ = ["CTCLoss", "GaussianNLLLoss", "LinearCrossEntropyLoss", "NLLLoss2d", "PoissonNLLLoss"]


class NLLLoss2d(NLLLoss):
    """A deprecated name of ``NLLLoss``, for images.

    Shape: as in ``NLLLoss``.

    >>> import rushlight as torch
    >>> torch.nn.NLLLoss()(torch.ones(1, 2, 1, 1), torch.zeros(1, 1, 1, dtype=torch.int64))
    tensor(-1.)
    """

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
    ):
        warnings.warn("NLLLoss2d is deprecated; use NLLLoss", FutureWarning, stacklevel=2)
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class PoissonNLLLoss(_Loss):
    """eˣ − y·x, for counts y from a Poisson distribution whose rate is eˣ.

    Without ``log_input``, x is the rate itself, and the loss is x − y·log(x + eps).

    Shape: x, y: (*) → (), or (*) with ``reduction="none"``.

    Args:
        log_input: x is the logarithm of the rate. Default: True.
        full: Add Stirling's approximation of log(y!) where y is above 1. Default: False.
        eps: Number added to a rate before its logarithm is taken. Default: 1e-8.

    >>> import rushlight as torch
    >>> torch.nn.PoissonNLLLoss()(torch.zeros(1), torch.tensor([2.0]))
    tensor(1.)
    """

    __constants__ = ["log_input", "full", "eps", "reduction"]

    def __init__(
        self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None,
        reduction="mean",
    ):  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input, target):
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps,
            reduction=self.reduction,
        )  # fmt: skip


class GaussianNLLLoss(_Loss):
    """(log var + (x − y)² / var) / 2, where var is at least ``eps``.

    Shape: x, y: (N, *); var: (N, *), (N) or (N, 1) → (), or (N, *) with ``reduction="none"``.

    Args:
        full: Add the constant log(2π) / 2. Default: False.
        eps: The least variance; smaller ones are replaced by it. Default: 1e-6.

    Raises:
        ValueError: A variance is negative, or the shape of ``var`` does not fit (in the call).

    >>> import rushlight as torch
    >>> torch.nn.GaussianNLLLoss()(torch.zeros(1), torch.ones(1), torch.ones(1))
    tensor(0.5000)
    """

    __constants__ = ["full", "eps", "reduction"]

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input, target, var):
        return F.gaussian_nll_loss(
            input, target, var, full=self.full, eps=self.eps, reduction=self.reduction
        )


class CTCLoss(_Loss):
    """The negative log-likelihood of label sequences, summed over all alignments to the inputs.

    Shape: log_probs: (T, N, C) or (T, C); targets: (N, S), or all labels in one dim; lengths: (N)
    → (), or (N) with ``reduction="none"``.

    Args:
        reduction: As for other losses, but ``"mean"`` (default) first divides each loss by the
            length of its label sequence.

    Source: Graves et al. 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf

    >>> import rushlight as torch
    >>> log_p = torch.full((2, 1, 2), 0.5).log()
    >>> torch.nn.CTCLoss()(log_p, torch.tensor([[1]]), [2], [1])
    tensor(0.2877)
    """

    __constants__ = ["blank", "reduction"]

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction,
            self.zero_infinity,
        )  # fmt: skip


class LinearCrossEntropyLoss(_WeightedLoss):
    """A linear layer followed by ``CrossEntropyLoss``; the loss holds the layer's parameters.

    Shape: x: (N, in_features) or (in_features); y: (N, *out_features), classes, or
    (N, num_classes, *out_features), probabilities → (), or (N, *) with ``reduction="none"``.

    Args:
        num_classes: Number C of classes.
        out_features: Shape of the places that are classified for each input, such as (H, W).
            Default: (), one place.
        bias: Add a learned bias to the linear layer. Default: False.
        ignore_index: A class whose places do not count; only where y holds classes. Default: -100.
        options: Accepted without effect, for PyTorch's programs.

    Raises:
        RuntimeError: ``label_smoothing`` is outside [0, 1], or the number of weights is wrong.

    >>> import rushlight as torch
    >>> loss = torch.nn.LinearCrossEntropyLoss(3, 2)
    >>> loss(torch.zeros(1, 3), torch.tensor([1])).detach()
    tensor(0.6931)
    """

    __constants__ = ["num_classes", "out_features", "reduction", "ignore_index", "label_smoothing"]

    def __init__(
        self, in_features, num_classes, *, out_features=(), bias=False, device=None, dtype=None,
        reduction="mean", weight=None, ignore_index=None, label_smoothing=0.0, options=None,
    ):  # fmt: skip
        super().__init__(weight, reduction=reduction)
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(
                f"LinearCrossEntropyLoss: expected weight shape to be {(num_classes,)}, got "
                f"{tuple(weight.shape)}"
            )
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(
                "LinearCrossEntropyLoss: expected label_smoothing to be in range [0, 1], got "
                f"{label_smoothing}"
            )
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        size = num_classes * math.prod(self.out_features)
        self.linear = Linear(in_features, size, bias=bias, device=device, dtype=dtype)

    def forward(self, input, target):
        places, bias = self.out_features, self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(self.num_classes, *places, -1),
            target,
            linear_bias=bias if bias is None else bias.reshape(self.num_classes, *places),
            weight=self.weight, reduction=self.reduction, ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing, options=self.options,
        )  # fmt: skip

    def extra_repr(self):
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
            f"reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
