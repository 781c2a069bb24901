"""Losses that demand a margin between the scores of pairs, triplets, classes or labels."""

from rushlight.autograd.tape import renamed, watch
from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.nn.functional.similarity import pairwise_distance
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.promotion import as_number
from rushlight.ops.elementwise.activation import logsigmoid
from rushlight.ops.loss.multi_margin import multi_margin
from rushlight.ops.loss.multilabel_margin import multilabel_margin
from rushlight.ops.loss.regression import in_one_dtype, reduced, reduction_of
from rushlight.ops.shape.view import tensor_array

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip

# Pairs --------------------------------------------------------------------------------------


@autocasts(SINGLE)
def cosine_embedding_loss(
    input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"
):
    """Compute the loss of pairs of vectors that should be alike (``target`` 1) or not (-1).

    With the cosine cos of both vectors, the loss is 1 - cos for ``target`` 1, and
    max(0, cos - margin) for ``target`` -1.

    Args:
        input1, input2: Tensors ``(N, D)`` or ``(D)``: the vectors.
        target: Tensor ``(N)`` or ``()`` of the numbers 1 and -1.
        margin: Cosine up to which the loss for ``target`` -1 is 0. Default: 0.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses, in ``target``'s shape.

    Raises:
        RuntimeError: The shapes do not fit.

    >>> import rushlight as torch
    >>> x = torch.tensor([[3.0, 4.0]])
    >>> torch.nn.functional.cosine_embedding_loss(x, x.flip(1), torch.tensor([1]))
    tensor(0.0400)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    tensor_array(input1, "cosine_embedding_loss", "input1")
    if target.ndim > 1:
        raise ShapeError(
            "cosine_embedding_loss: 0D or 1D target tensor expected, multi-target not supported: "
            f"{tuple(target.shape)}"
        )
    dims = target.ndim + 1
    if input1.ndim != dims or input2.ndim != dims:
        raise ShapeError(
            f"cosine_embedding_loss: {dims - 1}D target tensor expects {dims}D input tensors, but "
            f"found inputs with sizes {tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    cosine = _cosine(input1, input2, dims - 1)
    alike = (1 - cosine).where(target == 1, 0)
    apart = (cosine - float(as_number(margin))).clamp_min(0).where(target == -1, 0)
    return reduced(alike + apart, reduction)


def _cosine(a, b, dim):
    """Return the cosine of ``a`` and ``b``. As in PyTorch, 1e-12 is added to the squared norms."""
    squares = [(x * x).sum(dim) + 1e-12 for x in (a, b)]
    return (a * b).sum(dim) / (squares[0] * squares[1]).sqrt()


@autocasts(SINGLE)
def hinge_embedding_loss(
    input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"
):
    """Compute the loss of distances that should be small (``target`` 1) or large (-1).

    The loss is ``input`` for ``target`` 1, and max(0, margin - input) for ``target`` -1.

    Args:
        input: Tensor of any shape ``(*)``: the distances.
        target: Tensor of the numbers 1 and -1, which broadcasts with ``input``.
        margin: Distance from which on the loss for ``target`` -1 is 0. Default: 1.

    >>> import rushlight as torch
    >>> x, y = torch.tensor([0.25, 0.25]), torch.tensor([1, -1])
    >>> torch.nn.functional.hinge_embedding_loss(x, y)
    tensor(0.5000)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if input.dtype.category < 2 or margin is True:  # PyTorch converts the margin first
        margin = input.new_full((), margin)
    apart = (margin - input).clamp_min(0).where(target != 1, 0)
    return reduced(apart + input.where(target != -1, 0), reduction)


@autocasts(SINGLE)
def margin_ranking_loss(
    input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"
):
    """Compute the loss of pairs of scores whose order should be that of ``target``.

    The loss is max(0, margin - target (input1 - input2)).

    Args:
        input1, input2: Tensors of any shape ``(*)``, with equal numbers of dims: the scores.
        target: Tensor with as many dims: 1 where ``input1`` should be larger, -1 where ``input2``
            should. All three are broadcast.
        margin: Difference from which on the loss is 0. Default: 0.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses, in the shape of the broadcast.

    Raises:
        RuntimeError: The numbers of dims differ.

    >>> import rushlight as torch
    >>> x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
    >>> torch.nn.functional.margin_ranking_loss(x, y, torch.tensor([1, 1]))
    tensor(1.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {tuple(input1.shape)}, input2: {tuple(input2.shape)}, target: "
            f"{tuple(target.shape)}"
        )
    return ranking_losses(input1, input2, target, margin, reduction)


@autocasts(SINGLE)
def ranking_losses(input1, input2, target, margin, reduction):
    """``margin_ranking_loss`` of tensors of any shapes that broadcast."""
    return reduced((-target * (input1 - input2) + float(as_number(margin))).clamp_min(0), reduction)


@autocasts(SINGLE)
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Compute the loss log(1 + exp(-target · input)) for targets 1 and -1.

    Args:
        target: Tensor of the numbers 1 and -1, which broadcasts to ``input``.

    >>> import rushlight as torch
    >>> torch.nn.functional.soft_margin_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    tensor_array(input, "soft_margin_loss")
    tensor_array(target, "soft_margin_loss", "target")
    if not input.is_floating_point():
        raise UnsupportedDtypeError(f"soft_margin_loss: not implemented for {input.dtype}")
    if target.is_complex():
        raise DtypeError(f"soft_margin_loss: target must be real, but is {target.dtype}")
    # PyTorch computes the losses in memory that has the input's dtype.
    losses = (input * -target.to(input.dtype)).exp().log1p()
    if losses.shape != input.shape:
        raise ShapeError(
            f"soft_margin_loss: target {tuple(target.shape)} does not broadcast to input "
            f"{tuple(input.shape)}"
        )
    found = renamed(reduced(losses, reduction), "SoftMarginLossBackward0")
    return watch(found, input, target)


# Triplets -----------------------------------------------------------------------------------


@autocasts(SINGLE)
def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None,
    reduce=None, reduction="mean",
):  # fmt: skip
    """Compute the loss of anchors that should be closer to ``positive`` than to ``negative``.

    The loss is max(0, margin + ‖anchor - positive‖ - ‖anchor - negative‖) in the p-norm.

    Args:
        anchor, positive, negative: Tensors ``(N, D)`` or ``(D)``.
        margin: Difference from which on the loss is 0; above 0. Default: 1.
        p: The p of the p-norm. Default: 2.
        eps: Number added to each coordinate of a difference. Default: 1e-6.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses, ``(N)`` or ``()``.

    Raises:
        ValueError: ``margin`` is not positive.
        RuntimeError: The numbers of dims differ.

    Source: Balntas et al. 2016, Learning local feature descriptors with triplets.

    >>> import rushlight as torch
    >>> a = torch.zeros(1, 2)
    >>> torch.nn.functional.triplet_margin_loss(a, a, a + 1)
    tensor(0.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    tensor_array(anchor, "triplet_margin_loss", "anchor")
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")
    return triplet_losses(anchor, positive, negative, margin, p, eps, swap, reduction)


@autocasts(SINGLE)
def triplet_losses(anchor, positive, negative, margin, p, eps, swap, reduction):
    """``triplet_margin_loss`` with any margin."""
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(
            "triplet_margin_loss: The anchor, positive, and negative tensors are expected to have "
            f"the same number of dimensions, but got: anchor {anchor.ndim}D, positive "
            f"{positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    return _triplet(
        lambda x, y: pairwise_distance(x, y, p, eps),
        anchor, positive, negative, margin, swap, reduction,
    )  # fmt: skip


def _triplet(distance, anchor, positive, negative, margin, swap, reduction):
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + near - far).clamp_min(0), reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False,
    reduction="mean",
):  # fmt: skip
    """Compute ``triplet_margin_loss`` with any distance function.

    Args:
        anchor, positive, negative: Tensors that ``distance_function`` takes, such as ``(N, D)``.
        margin: Difference from which on the loss is 0; above 0. Default: 1.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses, in the shape of the distances.

    Raises:
        ValueError: ``margin`` is not positive.

    >>> import rushlight as torch
    >>> a, manhattan = torch.zeros(1, 2), lambda x, y: (x - y).abs().sum(-1)
    >>> loss = torch.nn.functional.triplet_margin_with_distance_loss
    >>> loss(a, a + 1, a + 1, distance_function=manhattan)
    tensor(1.)
    """
    reduction = reduction_of(reduction)
    if margin <= 0:
        raise ValueError(
            f"triplet_margin_with_distance_loss: margin must be greater than 0, got {margin}"
        )
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(
            "triplet_margin_with_distance_loss: The anchor, positive, and negative tensors are "
            f"expected to have the same number of dimensions, but got: anchor {anchor.ndim}D, "
            f"positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(distance, anchor, positive, negative, margin, swap, reduction)


# Classes and labels -------------------------------------------------------------------------


def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """Compute the loss of class scores if the target's score is not the largest by ``margin``.

    The loss is the sum over the other classes of max(0, margin - input[target] + input[other])ᵖ,
    divided by the number C of all classes.

    Args:
        input: Tensor ``(N, C)`` or ``(C)``, floating point: the scores.
        target: Tensor ``(N)`` or ``()``, int64: class indices.
        p: 1 or 2. Default: 1.
        margin: Difference from which on the loss is 0. Default: 1.
        weight: Tensor ``(C)``: factors of the losses by the target's class. Default: 1.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses, in ``target``'s shape.

    Raises:
        ValueError: ``p`` is neither 1 nor 2.
        RuntimeError: Shapes do not fit, or a class is out of range.

    >>> import rushlight as torch
    >>> x = torch.tensor([[0.5, 0.0]])
    >>> torch.nn.functional.multi_margin_loss(x, torch.tensor([0]))
    tensor(0.2500)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: only p == 1 and p == 2 supported, not {p}")
    params = {"p": p, "margin": as_number(margin), "reduction": reduction}
    return apply(multi_margin.op, (input, target, weight), params)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Compute the loss of class scores that should be larger for the labels than for other classes.

    The loss is the sum of max(0, 1 - input[label] + input[other]) over all labels and all other
    classes, divided by C.

    Args:
        input: Tensor ``(N, C)`` or ``(C)``, floating point: the scores.
        target: Tensor of ``input``'s shape, int64. A row holds labels up to its first -1.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses, ``(N)`` or ``()``.

    Raises:
        RuntimeError: The shapes differ, or a label is out of range.

    >>> import rushlight as torch
    >>> x, y = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([2, -1, 0])
    >>> torch.nn.functional.multilabel_margin_loss(x, y)
    tensor(0.1667)
    """
    params = {"reduction": reduction_of(reduction, size_average, reduce)}
    return apply(multilabel_margin.op, (input, target), params)


def multilabel_soft_margin_loss(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """Compute the mean over all classes of the binary cross entropy of each class's logit.

    Args:
        input: Tensor ``(*, C)``, floating point: the logits.
        target: Tensor of ``input``'s shape, with 1 for the classes that apply, and 0 for others.
        weight: Tensor ``(C)``: factor of each class. Default: 1.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses ``(*)``.

    >>> import rushlight as torch
    >>> torch.nn.functional.multilabel_soft_margin_loss(torch.zeros(1, 2), torch.ones(1, 2))
    tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    tensor_array(input, "multilabel_soft_margin_loss")
    if not input.is_floating_point():
        raise UnsupportedDtypeError(
            f"multilabel_soft_margin_loss: not implemented for {input.dtype}"
        )
    rest = ~target if target.dtype is bool_ else 1 - target  # in its own dtype, as in PyTorch
    input, target = in_one_dtype(input, target)
    losses = -(target * logsigmoid(input) + rest * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(losses.sum(input.ndim - 1) / input.shape[-1], reduction)
