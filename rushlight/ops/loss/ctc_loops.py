"""``ctc_loss`` and its gradient as loops of machine code; ``ctc.py`` says what they compute.

Shapes: log_p (T, N, K), targets (N, S) or all labels in one dim, alpha (times, N, 2S + 1).
"""

import math

import numpy as np

from rushlight.backend import native
from rushlight.backend.sizes import large_from

__all__ = ["longest", "paths_by_loop", "slope_by_loop"]

#: From so many states at all times on, loops are compiled, which takes a second without a cache.
_LEAST = large_from(256)


def longest(input_lengths):
    """The number of times that some input reaches; 1 if all inputs are empty."""
    return int(input_lengths.max(initial=1))


def paths_by_loop(log_p, targets, input_lengths, target_lengths, blank):
    """[alpha, negative log-likelihoods (N)]; None: few states, or no machine code.

    ``alpha`` is filled as far as an input and its labels reach.
    """
    states, steps = _sizes(log_p, targets, target_lengths)
    times = longest(input_lengths)
    if times * math.prod(states) < _LEAST:
        return None
    given = log_p, targets, input_lengths, target_lengths, blank, *steps, times
    results = [((times, *states), log_p.dtype), (states[:1], log_p.dtype), *_laid(states)]
    found = native.looped(_paths, given, results)
    return None if found is None else found[:2]


def slope_by_loop(
    g, log_p, targets, input_lengths, target_lengths, blank, alpha, losses, zero_infinity
):
    """The gradient of ``log_p``, from what ``paths_by_loop`` found."""
    states, steps = _sizes(log_p, targets, target_lengths)
    lengths = input_lengths, target_lengths
    sizes = *steps, len(log_p), int(zero_infinity)
    given = g, log_p, targets, *lengths, alpha, losses, blank, *sizes
    shapes = log_p.shape, (2, *states), states
    results = [*[(shape, log_p.dtype) for shape in shapes], *_laid(states)]
    return native.looped(_slopes, given, results)[0]


def _sizes(log_p, targets, target_lengths):
    """(N, 2S + 1), and (N, K, S, the distance of two labellings in ``targets``).

    -1 stands for the distance if labellings of several lengths lie one after the other.
    """
    n, classes = log_p.shape[1:]
    apart = targets.shape[1] if targets.ndim == 2 else -1
    most = int(target_lengths.max(initial=0)) if apart < 0 else apart
    return (n, 2 * most + 1), (n, classes, most, apart)


def _laid(states):
    return [(states, np.dtype(np.int64))] * 2


def _sum(x, y, z):
    """The logarithm of the sum of three numbers given by their logarithms."""
    base = max(x, max(y, z))
    if base == -math.inf:
        base = 0.0
    return math.log(math.exp(x - base) + math.exp(y - base) + math.exp(z - base)) + base


def _lay(targets, target_lengths, blank, n, most, apart, at, skips):
    """Fill ``at`` with the states' classes, and ``skips`` with 1 where two states may be taken."""
    for k in range(n * (2 * most + 1)):
        at[k] = blank
        skips[k] = 0
    first = 0
    for a in range(n):
        place = a * (2 * most + 1) + 1
        for k in range(target_lengths[a]):
            at[place + 2 * k] = targets[first + k]
            if k > 0:
                skips[place + 2 * k] = targets[first + k] != targets[first + k - 1]
        first = first + (target_lengths[a] if apart < 0 else apart)


def _paths(
    log_p, targets, input_lengths, target_lengths, blank, n, classes, most, apart, times, alpha,
    losses, at, skips,
):  # fmt: skip
    _lay(targets, target_lengths, blank, n, most, apart, at, skips)
    width = 2 * most + 1
    for t in range(times):
        for a in range(n):
            if t < input_lengths[a]:
                states = 2 * target_lengths[a] + 1
                place = a * width
                now = t * n * width + place
                last = now - n * width
                for s in range(states):
                    alpha[now + s] = log_p[(t * n + a) * classes + at[place + s]]
                if t == 0:
                    for s in range(2, states):
                        alpha[now + s] = -math.inf
                else:
                    for s in range(states):
                        stay = alpha[last + s]
                        step = alpha[last + s - 1] if s > 0 else -math.inf
                        skip = alpha[last + s - 2] if skips[place + s] else -math.inf
                        alpha[now + s] = _sum(stay, step, skip) + alpha[now + s]
    for a in range(n):
        states = 2 * target_lengths[a] + 1
        if input_lengths[a] > 0:
            end = ((input_lengths[a] - 1) * n + a) * width + states - 1
            before = alpha[end - 1] if states > 1 else -math.inf
            losses[a] = -_sum(before, alpha[end], -math.inf)
        else:  # one path if there is no label, and none otherwise
            losses[a] = 0.0 if states == 1 else math.inf


def _slopes(
    g, log_p, targets, input_lengths, target_lengths, alpha, losses, blank, n, classes, most, apart,
    times, zero_infinity, found, beta, shares, at, skips,
):  # fmt: skip
    """Fill ``found``. ``beta`` (2, N, 2S + 1) has the paths to the end, from two times."""
    _lay(targets, target_lengths, blank, n, most, apart, at, skips)
    width = 2 * most + 1
    for k in range(times * n * classes):
        found[k] = 0.0
    for back in range(times):
        t = times - 1 - back
        for a in range(n):
            if t < input_lengths[a]:
                row = t * n + a
                states = 2 * target_lengths[a] + 1
                place = a * width
                now = t % 2 * n * width + place
                last = n * width + 2 * place - now
                for s in range(states):
                    emitted = log_p[row * classes + at[place + s]]
                    value = emitted
                    if t + 1 < input_lengths[a]:
                        stay = beta[last + s]
                        step = beta[last + s + 1] if s + 1 < states else -math.inf
                        may = s + 2 < states and skips[place + s + 2]
                        skip = beta[last + s + 2] if may else -math.inf
                        value = _sum(stay, step, skip) + emitted
                    elif s + 2 < states:
                        value = -math.inf
                    beta[now + s] = value
                    through = alpha[row * width + s] + value - emitted
                    shares[place + s] = math.exp(through + losses[a])
                factor = g[a] if losses[a] < math.inf else math.nan
                if losses[a] != math.inf or zero_infinity == 0:
                    for k in range(row * classes, row * classes + classes):
                        found[k] = math.exp(log_p[k])
                    for s in range(states):
                        k = row * classes + at[place + s]
                        found[k] = found[k] - shares[place + s]
                    for k in range(row * classes, row * classes + classes):
                        found[k] = found[k] * factor
