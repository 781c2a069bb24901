"""The lattice of ``ctc.py`` on devices: a work-group for each labelling, an item for each state.

``alpha[s]`` at a time has the paths into state s, ``beta[s]`` those from it to the end; see
``ctc.py``.
"""

from math import exp, inf, log

from rushlight.dtype import int64
from rushlight.ops.core.work_groups import groups, in_groups, items

__all__ = ["gradient", "losses"]


def _added(x, y):
    """log(e^x + e^y)."""
    base = max(x, y)
    base = base if base > -inf else 0.0
    total = exp(x - base) + exp(y - base)
    return base + log(total)


def _class(labels, start, state, blank):
    return labels[start + state // 2] if state % 2 == 1 else blank


def _skips(labels, start, state):
    """Whether a path may enter ``state``, which is above 1, from two states before."""
    found = 0
    if state % 2 == 1 and labels[start + state // 2] != labels[start + state // 2 - 1]:
        found = 1
    return found


def _total(alpha, base, times, states, width):
    """The log-likelihood, from a filled alpha."""
    found = 0.0 if states == 1 else -inf
    if times > 0:
        last = base + (times - 1) * width + states - 1
        found = alpha[last]
        if states > 1:
            found = _added(found, alpha[last - 1])
    return found


def _losses(p, labels, starts, lengths, sizes, count, most, width, classes, blank, out, alpha):
    for g in groups(count):
        base = g * most * width
        times = lengths[g]
        states = 2 * sizes[g] + 1
        start = starts[g]
        for t in range(times):
            for s in items(states):
                here = p[(t * count + g) * classes + _class(labels, start, s, blank)]
                at = base + t * width + s
                total = -inf
                if t == 0:
                    total = 0.0 if s < 2 else -inf
                else:
                    total = alpha[at - width]
                    if s > 0:
                        total = _added(total, alpha[at - width - 1])
                    if s > 1 and _skips(labels, start, s) == 1:
                        total = _added(total, alpha[at - width - 2])
                alpha[at] = total + here
        out[g] = -_total(alpha, base, times, states, width)


def _forwards(log_probs, targets, input_lengths, target_lengths, blank):
    """(the losses (N), alpha, what the kernels read, their numbers)."""
    sizes = target_lengths.to(int64)
    if targets.ndim == 2:
        starts = (sizes * 0 + targets.shape[1]).cumsum(0) - targets.shape[1]
    else:
        starts = sizes.cumsum(0) - sizes
    given = [log_probs, targets.to(int64).reshape(-1), starts, input_lengths.to(int64), sizes]
    most, n, classes = log_probs.shape
    width = 2 * targets.shape[-1] + 1
    numbers = most, width, classes, blank
    return *in_groups(_losses, given, n, numbers, [(n,), (n, most, width)]), given, numbers


def losses(log_probs, targets, input_lengths, target_lengths, blank):
    """The negative log-likelihoods (N)."""
    return _forwards(log_probs, targets, input_lengths, target_lengths, blank)[0]


def _gradient(p, labels, starts, lengths, sizes, losses, alpha, count, most, width, classes, blank,
              out, beta):  # fmt: skip
    for g in groups(count):
        base = g * most * width
        times = lengths[g]
        states = 2 * sizes[g] + 1
        start = starts[g]
        loss = losses[g]
        for k in range(times):
            t = times - 1 - k
            for s in items(states):
                here = p[(t * count + g) * classes + _class(labels, start, s, blank)]
                at = base + t * width + s
                total = -inf
                if k == 0:
                    total = 0.0 if s > states - 3 else -inf
                else:
                    total = beta[at + width]
                    if s + 1 < states:
                        total = _added(total, beta[at + width + 1])
                    if s + 2 < states and _skips(labels, start, s + 2) == 1:
                        total = _added(total, beta[at + width + 2])
                beta[at] = total + here
        for t in range(most):
            for c in items(classes):
                at = (t * count + g) * classes + c
                if t >= times or loss == inf:
                    out[at] = 0.0
                else:
                    share = 0.0
                    for s in range(states):
                        if _class(labels, start, s, blank) == c:
                            k = base + t * width + s
                            share += exp(alpha[k] + beta[k] - p[at] + loss)
                    out[at] = exp(p[at]) - share


def gradient(g, log_probs, targets, input_lengths, target_lengths, blank, zero_infinity):
    """The gradient of the logits, as ``ctc.py`` has it."""
    total, alpha, given, numbers = _forwards(
        log_probs, targets, input_lengths, target_lengths, blank
    )
    most, n = log_probs.shape[:2]
    given, shapes = [*given, total, alpha], [log_probs.shape, alpha.shape]
    found = in_groups(_gradient, given, n, numbers, shapes)[0] * g.unsqueeze(-1)
    lost = total.isnan() if zero_infinity else total.isnan() | total.isinf()
    inside = input_lengths > (input_lengths * 0 + 1).new_ones(most).cumsum(0).unsqueeze(-1) - 1
    return found.masked_fill((lost & inside).unsqueeze(-1), float("nan"))
