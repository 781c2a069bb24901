"""Connectionist temporal classification: the loss of a labelling whose alignment is unknown.

A labelling of S labels is aligned to T inputs along L = 2S + 1 states: the labels, with a blank
before, between and behind them. From one input to the next, a path stays in its state or moves on
by one state. It may also move on by two states, if it skips a blank between different labels.
``alpha[t, n, s]`` is the log-probability of all paths that are in state s at time t. The whole
batch takes one step at a time.

Source: Graves et al. 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf, eq. 6 to 16.
"""

import math

import numpy as np

from rushlight.dtype import OF, int64
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.core.rules import memo_of
from rushlight.ops.create.from_data import as_tensor
from rushlight.ops.loss.ctc_loops import longest, paths_by_loop, slope_by_loop
from rushlight.ops.loss.ctc_on_devices import gradient, losses
from rushlight.ops.loss.regression import reduction_of
from rushlight.ops.shape.view import tensor_array
from rushlight.tensor import Tensor

__all__ = ["ctc_loss"]

# The lattice --------------------------------------------------------------------------------


def _padded(targets, lengths):
    """The labels as (N, S), from ``targets`` (N, S) or from one dim with all sequences in a row."""
    if targets.ndim == 2:
        return targets
    starts = np.cumsum(lengths) - lengths
    most = int(lengths.max(initial=0))
    index = starts[:, None] + np.arange(most)
    return targets.take(np.minimum(index, max(len(targets) - 1, 0))) if most else index


def _states(targets, lengths, blank):
    """(each state's class, True if a path may enter it from two states before): (N, L) each."""
    labels = _padded(targets, lengths)
    n, most = labels.shape
    inside = np.arange(most) < lengths[:, None]
    classes = np.full((n, 2 * most + 1), blank, np.int64)
    classes[:, 1::2] = np.where(inside, labels, blank)
    skips = np.zeros(classes.shape, bool)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return classes, skips


def _forward(emitted, skips, first):
    """Log-probabilities (T, N, L) of all paths into each state. Paths start in ``first`` (N, L).

    ``emitted`` (T, N, L) has the log-probability of each state's class at each time. All arrays of
    a step are made once, because a step is short.
    """
    found = np.empty_like(emitted)
    found[0] = np.where(first, emitted[0], -np.inf)
    # The log-probabilities of the paths that stay, that move by one state, and by two.
    ways = np.full((3, *skips.shape), -np.inf, emitted.dtype)
    shares, base, lowest = np.empty_like(ways), np.empty_like(ways[0]), np.finfo(ways.dtype).min
    open_ = skips[:, 2:]
    # A sum is faster than a masked copy, but inf - inf would be nan.
    barrier = np.where(open_, ways.dtype.type(0), -np.inf) if emitted.max() < np.inf else None
    for last, now, here in zip(found[:-1], found[1:], emitted[1:], strict=True):
        ways[0] = last
        ways[1, :, 1:] = last[:, :-1]
        if barrier is None:
            np.copyto(ways[2, :, 2:], last[:, :-2], where=open_)
        else:
            np.add(last[:, :-2], barrier, out=ways[2, :, 2:])
        # log(Σ exp), without nan if all three are -inf.
        np.maximum.reduce(ways, 0, out=base)
        np.maximum(base, lowest, out=base)
        np.exp(np.subtract(ways, base, out=shares), out=shares)
        np.add.reduce(shares, 0, out=now)
        np.log(now, out=now)
        now += base
        now += here
    return found


def _taken(x, index):
    """The elements of ``x`` (T, N, K) at ``index`` (N, L) in the last dim, at all times."""
    times, n, k = x.shape
    places = index + np.arange(n)[:, None] * k
    return x.reshape(times, n * k).take(places, 1)


def _reversed_times(x, lengths):
    """Reverse each sequence of ``x`` (T, N, …) within its length. Later times stay in place."""
    times = np.arange(len(x))[:, None]
    index = np.where(times < lengths, lengths - 1 - times, times)
    return x[index, np.arange(x.shape[1])]


def _paths(log_p, targets, input_lengths, target_lengths, blank):
    """(alpha, negative log-likelihoods, emitted, classes, skips), as ``_forward`` has them."""
    classes, skips = _states(targets, target_lengths, blank)
    log_p = log_p[: longest(input_lengths)]
    n = log_p.shape[1]
    emitted = _taken(log_p, classes)
    states = np.arange(classes.shape[1])
    alpha = _forward(emitted, skips, states < np.minimum(2, 2 * target_lengths[:, None] + 1))
    last = alpha[np.maximum(input_lengths - 1, 0), np.arange(n)]
    ends = (states == 2 * target_lengths[:, None]) | (states == 2 * target_lengths[:, None] - 1)
    last = np.where(ends, last, -np.inf)
    largest = last.max(1, initial=-np.inf)
    base = np.where(largest == -np.inf, log_p.dtype.type(0), largest)  # nan for infinity, as above
    total = np.log(np.exp(last - base[:, None]).sum(1)) + base
    # An empty input has one path if there is no label, and none otherwise.
    none = np.where(target_lengths == 0, 0, -np.inf)
    total = np.where(input_lengths == 0, none, total)
    return alpha, (-total).astype(log_p.dtype), emitted, classes, skips


# The operation ------------------------------------------------------------------------------


def _prepared(log_probs, targets, input_lengths, target_lengths, *, blank, **params):
    if log_probs.dtype.kind != "f" or log_probs.dtype.itemsize < 4:
        raise UnsupportedDtypeError(f"ctc_loss: not implemented for {OF[log_probs.dtype]}")
    for name, lengths in (("input", input_lengths), ("target", target_lengths)):
        if lengths.shape != log_probs.shape[1:2]:
            raise ShapeError(
                f"ctc_loss: {name}_lengths must be of size batch_size: {lengths.shape} for "
                f"log_probs {log_probs.shape}"
            )
    if not 0 <= blank < log_probs.shape[2]:
        raise ShapeError(
            f"ctc_loss: blank must be in label range: {blank} is not in [0, {log_probs.shape[2]})"
        )
    if not log_probs.size:
        raise ShapeError(f"ctc_loss: log_probs tensor must not be empty: {log_probs.shape}")
    return {"blank": blank, **params, "memo": memo_of(log_probs)}


def _checked(log_probs, targets, input_lengths, target_lengths, **params):
    """Raise if lengths or labels are out of range."""
    times, _, classes = log_probs.shape
    for name, lengths, most in (
        ("input", input_lengths, times),
        ("target", target_lengths, targets.shape[1] if targets.ndim == 2 else None),
    ):
        if lengths.size and (lengths.min() < 0 or (most is not None and lengths.max() > most)):
            raise RuntimeError(
                f"ctc_loss: Expected {name}_lengths to have values from 0 to {most}: "
                f"{lengths.tolist()}"
            )
    # A trace infers the shape of the result with lengths of 0, which must not raise.
    total = int(target_lengths.sum())
    if targets.ndim == 1 and total != len(targets) and (total or input_lengths.any()):
        raise ShapeError(
            f"ctc_loss: targets must have size {total}, the sum of target_lengths, but have "
            f"{len(targets)}"
        )
    used = targets if targets.ndim == 1 else targets[np.arange(targets.shape[1]) <
                                                     target_lengths[:, None]]  # fmt: skip
    if used.size and (used.min() < 0 or used.max() >= classes):
        raise RuntimeError(f"ctc_loss: targets must be in [0, {classes}): {used.tolist()}")


@kernel(
    public=False, method=False, prepare=_prepared, check=_checked, name="ctc_loss", autocast=SINGLE
)
def _ctc(
    xp, log_probs, targets, input_lengths, target_lengths, *, blank, zero_infinity, memo=None
):  # fmt: skip
    """The negative log-likelihood of each labelling, (N)."""
    given = log_probs, targets, input_lengths, target_lengths, blank
    found = paths_by_loop(*given) or _paths(*given)
    if memo is not None:
        memo[:] = found
    losses = found[1].copy()  # because the result may be written in place later
    if zero_infinity:
        losses[losses == np.inf] = 0
    return losses


def _ctc_slope(g, log_probs, targets, input_lengths, target_lengths, blank, zero_infinity, memo):
    return _back(
        g, log_probs, targets, input_lengths, target_lengths, blank=blank,
        zero_infinity=zero_infinity, memo=memo if type(g) is np.ndarray else None,
    )  # fmt: skip


def _checked_back(g, log_probs, *operands, memo=None, **params):
    """As ``_checked``. A program that needs no loss has only this call."""
    if memo is None:
        _checked(log_probs, *operands, **params)


@kernel(public=False, method=False, check=_checked_back, name="ctc_loss_backward")
def _back(
    xp, g, log_probs, targets, input_lengths, target_lengths, *, blank, zero_infinity, memo=None
):  # fmt: skip
    """(probability - the share of the paths that emit the class) · g, for each time and class.

    As in PyTorch, this is the gradient of the logits whose log_softmax is ``log_probs``, and not
    the derivative by ``log_probs`` itself. The gradient of log_softmax leaves it unchanged.
    """
    given = log_probs, targets, input_lengths, target_lengths, blank
    found = memo or paths_by_loop(*given) or _paths(*given)
    if len(found) == 2:
        return slope_by_loop(g, *given, found[0], found[1], zero_infinity)
    alpha, losses, emitted, classes, skips = found
    n, times = len(losses), len(alpha)
    states = np.arange(classes.shape[1])
    # beta is the log-probability of the paths from each state to the end. If times and states are
    # reversed, these are paths into the state, which ``_forward`` computes. ``turn`` reverses the
    # states of each labelling.
    turn = np.where(states <= 2 * target_lengths[:, None],
                    2 * target_lengths[:, None] - states, states)  # fmt: skip
    turned = _taken(_reversed_times(emitted, input_lengths), turn)
    row = np.arange(n)[:, None]
    passed = np.zeros(skips.shape, bool)
    passed[:, 2:] = skips[row, turn][:, :-2]
    passed &= states <= 2 * target_lengths[:, None]
    first = states < np.minimum(2, 2 * target_lengths[:, None] + 1)
    beta = _forward(turned, passed, first)
    beta = _reversed_times(_taken(beta, turn), input_lengths)
    share = np.exp(alpha + beta - emitted + losses[:, None])
    share[:, states > 2 * target_lengths[:, None]] = 0
    whole = np.zeros_like(log_probs)  # 0 beyond the longest input
    found = np.exp(log_probs[:times])
    np.subtract.at(found, (np.arange(times)[:, None, None], row[None], classes[None]), share)
    found = found * g[:, None]
    found[:, np.isnan(losses)] = np.nan
    found[:, losses == np.inf] = 0 if zero_infinity else np.nan
    found[np.arange(times)[:, None] >= input_lengths] = 0
    whole[:times] = found
    return whole


def _once(g):
    raise RuntimeError("the derivative for 'ctc_loss_backward' is not implemented")


@_ctc.lower_on_devices
def _losses_on_devices(log_probs, targets, input_lengths, target_lengths, blank, zero_infinity):
    found = losses(log_probs, targets, input_lengths, target_lengths, blank)
    return found.masked_fill(found == math.inf, 0) if zero_infinity else found


_back.lower_on_devices(
    lambda g, log_probs, targets, input_lengths, target_lengths, blank, zero_infinity: gradient(
        g, log_probs, targets, input_lengths, target_lengths, blank, zero_infinity
    )
)


def _check_values(log_probs, targets, input_lengths, target_lengths):
    """``_checked`` by operations, whose error on a device the host explains."""
    times, _, classes = log_probs.shape
    limits = {"error": RuntimeError, "message": "ctc_loss: {} is out of range"}
    check_range(input_lengths, low=0, high=times, **limits)
    most = targets.shape[-1]
    check_range(target_lengths, low=0, high=most, **limits)
    if targets.ndim == 1:
        check_range(target_lengths.sum(), low=most, high=most, **limits)
    else:
        inside = target_lengths.new_ones(most).cumsum(0) <= target_lengths.unsqueeze(-1)
        targets = targets * inside
    check_range(targets, low=0, high=classes - 1, **limits)


for _op in (_ctc, _back):
    _op.lower_check(_check_values)
_ctc.grad(log_probs=_ctc_slope)
_back.grad(g=_once, log_probs=_once)

# The function -------------------------------------------------------------------------------


def _lengths(name, lengths, log_probs):
    """The lengths as an int64 tensor beside ``log_probs``. They may come from any device."""
    if not isinstance(lengths, Tensor):
        if not isinstance(lengths, (tuple, list)):
            raise TypeError(f"ctc_loss(): {name} must be a tensor or a tuple of ints")
        if any(isinstance(n, float) for n in lengths):
            raise TypeError(f"ctc_loss(): {name} must be ints, not {lengths}")
        lengths = as_tensor(lengths, dtype=int64)
    if lengths.dtype.category != 1:
        raise DtypeError(f"ctc_loss(): {name} must be integral, not {lengths.dtype}")
    lengths = _whole(lengths)
    if lengths.device != log_probs.device:
        lengths = lengths.to(log_probs.device)
    return lengths if lengths.ndim == 1 else lengths.reshape(-1)


def _whole(x):
    return x if x.dtype is int64 else x.to(int64)


def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean",
    zero_infinity=False,
):  # fmt: skip
    """Compute the negative log-likelihood of labellings, whose alignment to the inputs is unknown.

    The likelihoods of all alignments are summed.

    Args:
        log_probs: Tensor ``(T, N, C)`` or ``(T, C)``: logarithms of the classes' probabilities at T
            times.
        targets: The labels ``(N, S)``, or all labels in one dim. They are class indices without
            ``blank``.
        input_lengths: The inputs' lengths ``(N)``, at most T: a tensor or a tuple of ints.
        target_lengths: The labellings' lengths ``(N)``, at most S: a tensor or a tuple of ints.
        reduction: ``"mean"`` (default) of the losses, each divided by its labelling's length, their
            ``"sum"``, or each loss (``"none"``).
        zero_infinity: Give labellings that are too long for their input the loss 0 instead of
            infinity. Default: False.

    Returns:
        Tensor ``()``; with ``reduction="none"`` the losses ``(N)`` or ``()``.

    Raises:
        RuntimeError: Lengths, labels or shapes do not fit.
        ValueError: The reduction is unknown.

    Source: Graves et al. 2006, Connectionist temporal classification.

    >>> import rushlight as torch
    >>> log_p = torch.full((2, 1, 2), 0.5).log()
    >>> torch.nn.functional.ctc_loss(log_p, torch.tensor([[1]]), [2], [1])
    tensor(0.2877)
    """
    reduction = reduction_of(reduction)
    tensor_array(log_probs, "ctc_loss", "log_probs")
    batched = log_probs.ndim == 3
    if log_probs.ndim not in (2, 3):
        raise ShapeError(f"ctc_loss: log_probs must have 2 or 3 dims: {tuple(log_probs.shape)}")
    if not targets.dtype.category == 1 and not targets.is_floating_point():
        raise DtypeError(f"ctc_loss: targets must be integral, not {targets.dtype}")
    if targets.ndim not in (1, 2):
        raise ShapeError(
            f"ctc_loss: Expected 1 to 2 dimensions, but got {targets.ndim}-dimensional tensor for "
            "argument 'targets'"
        )
    targets = _whole(targets)
    input_lengths, target_lengths = (
        _lengths("input_lengths", input_lengths, log_probs),
        _lengths("target_lengths", target_lengths, log_probs),
    )
    operands = (
        log_probs if batched else log_probs.unsqueeze(1), targets, input_lengths, target_lengths,
    )  # fmt: skip
    losses = apply(_ctc.op, operands, {"blank": blank, "zero_infinity": zero_infinity})
    if reduction == "mean":
        return (losses / target_lengths.clamp_min(1)).mean()
    if reduction == "sum":
        return losses.sum()
    return losses if batched else losses.squeeze(0)
