"""Random permutations: ``randperm``.

Durstenfeld's shuffle starts with 0 ... n-1. From the first place to the last but one, it swaps
place i with place i + w mod (n - i), where w is a 32-bit word. From (2^32 - 1) / 20 elements on,
the inside-out shuffle is used instead: it goes from the first place to the last, and the partner of
place i is a 64-bit draw mod (i + 1).

Source: Durstenfeld, Algorithm 235, CACM 7 (1964); live PyTorch.
"""

import numpy as np

from rushlight import late
from rushlight.backend.sizes import large_from
from rushlight.draw.words import BF16, DIGITS, INTEGERS, refuse, to_dtype
from rushlight.dtype import of as torch_dtype

__all__ = ["check_permutation", "permutation"]

MANY = (2**32 - 1) // 20  # from this count on, a 32-bit word modulo the count is too biased
_LARGE = large_from(64)  # from so many elements on, a loop of machine code is fastest
FEW = 256  # up to this many elements, a Python loop is faster than sorting
I64 = np.dtype(np.int64)


def permutation(generator, count, dtype=I64, n=None):
    """Return the numbers 0 ... n-1 in a random order, ``count`` // ``n`` times one after the other.

    Raises:
        RuntimeError: ``n`` is negative, or the dtype cannot hold every number below ``n``.
        NotImplementedError: ``dtype`` is bool, complex, uint16, uint32 or uint64.
    """
    n = count if n is None else n
    check_permutation(n, dtype)
    with generator.lock:
        if count == n:
            return to_dtype(_one(generator, n), dtype)
        several = [_one(generator, n) for _ in range(count // n if n else 0)]
        return to_dtype(np.concatenate([np.empty(0, np.int64), *several]), dtype)


def check_permutation(n, dtype):
    """Raise the errors of ``permutation``."""
    if n < 0:
        raise RuntimeError(f"randperm: n must not be negative, got {n}")
    if dtype not in INTEGERS and dtype not in DIGITS:
        refuse("randperm", dtype)
    if dtype in INTEGERS:
        limit = int(np.iinfo(dtype).max) + 1
    else:
        limit = 2 ** DIGITS[dtype] + 1
    # PyTorch does not check bfloat16, so its permutations repeat numbers from 258 elements on.
    if n > limit and dtype != BF16:
        raise RuntimeError(f"randperm: {torch_dtype(dtype)} holds up to n = {limit}, not {n}")


def _one(generator, count):
    if count < MANY:
        return _durstenfeld(generator.words(max(count - 1, 0)), count)
    return _inside_out(generator.double_words(count))


def _durstenfeld(words, count):
    if count >= _LARGE or hasattr(words, "noted"):  # a call that will be replayed
        found = late.looped(_shuffle, (words, count), [((count,), I64)])
        if found is not None:
            return found[0]
    return _by_sorting(words, count)


def _shuffle(words, n, order):
    """The numbers below n; each element i is swapped with element i + words[i] mod (n - i)."""
    for i in range(n):
        order[i] = i
    for i in range(n - 1):
        other = i + words[i] % (n - i)
        value = order[other]
        order[other] = order[i]
        order[i] = value


def _by_sorting(words, count):
    i = np.arange(count)
    swap = np.empty(count, np.int64)
    swap[:-1] = words % np.arange(count, 1, -1, dtype=words.dtype)
    swap[-1:] = 0
    swap += i
    if count <= FEW:
        order = list(range(count))
        for k, j in enumerate(swap.tolist()):
            order[k], order[j] = order[j], order[k]
        return np.array(order, np.int64)
    # Step k swaps place k with its target, the place swap[k], and no later step changes place k.
    # Place k gets the number that lies at the target before step k. This number is the one that
    # the last earlier step with the same target put there, or, without such a step, the target's
    # own number. An earlier step put there the number that lay at its own place. That number in
    # turn came from the last still earlier step that hit that place, and so on. These chains have
    # about log n links; ``_ends`` follows the chains of all places at once, by doubling.
    previous, last = _repeats(swap)
    came_from = np.where(last == i, previous, last)
    held = _ends(np.where(came_from < 0, i, came_from))
    return np.where(previous < 0, swap, held[previous])


def _inside_out(draws):
    count = len(draws)
    i = np.arange(count)
    swap = (draws % np.arange(1, count + 1, dtype=np.uint64)).astype(np.int64)
    # Step k copies the number at place swap[k] to place k, and then writes k to place swap[k].
    # If a place was a target, it ends with the number of the last step that had it as target.
    # Otherwise the place keeps the number that its own step copied to it.
    previous, last = _repeats(swap)
    brought = _ends(np.where(previous < 0, swap, i))
    brought = np.where(previous[brought] < 0, brought, previous[brought])
    return np.where(last < 0, brought, last)


def _repeats(swap):
    """Find which steps share a target; returns two arrays (previous, last).

    ``previous[k]`` is the last step before step k with the same target. ``last[i]`` is the last
    step whose target is place i. Both are -1 if there is no such step.
    """
    count = len(swap)
    if count < 1 << 32:
        packed = (swap << 32) | np.arange(count)
        packed.sort()
        steps, targets = packed & 0xFFFFFFFF, packed >> 32
    else:
        steps = swap.argsort(kind="stable")
        targets = swap[steps]
    again = targets[1:] == targets[:-1]
    previous = np.full(count, -1)
    previous[steps[1:][again]] = steps[:-1][again]
    last = np.full(count, -1)
    ends = np.append(~again, True)
    last[targets[ends]] = steps[ends]
    return previous, last


def _ends(link):
    """Follow the links from each place to the end of its chain; an end links to itself."""
    while True:
        further = link[link]
        if np.array_equal(further, link):
            return link
        link = further
