"""Random permutations: ``randperm``.

Durstenfeld's shuffle of 0 ... n-1 swaps place i with i + w mod (n - i), w a 32-bit word, from the
first place to the last but one. From (2^32 - 1) / 20 elements up, it is the inside-out shuffle,
with a 64-bit draw mod (i + 1), from the first place to the last.

Source: Durstenfeld, Algorithm 235, CACM 7 (1964); live PyTorch.
"""

import numpy as np

from rushlight.draw.words import BF16, DIGITS, INTEGERS, refuse, to_dtype
from rushlight.dtype import of as torch_dtype

__all__ = ["permutation"]

MANY = (2**32 - 1) // 20  # elements, from which a word modulo their number would be biased
FEW = 256  # elements, up to which a loop is faster than sorting
I64 = np.dtype(np.int64)


def permutation(generator, count, dtype=I64):
    """The numbers 0 ... count-1 in a random order.

    Raises:
        RuntimeError: a negative count, or one that the dtype cannot hold.
        NotImplementedError: bool, complex and the large unsigned dtypes.
    """
    if count < 0:
        raise RuntimeError(f"randperm: n must not be negative, got {count}")
    if dtype not in INTEGERS and dtype not in DIGITS:
        refuse("randperm", dtype)
    if dtype in INTEGERS:
        limit = int(np.iinfo(dtype).max) + 1
    else:
        limit = 2 ** DIGITS[dtype] + 1
    # PyTorch lets bfloat16 through: its permutations have repeats from 258 elements.
    if count > limit and dtype != BF16:
        raise RuntimeError(f"randperm: {torch_dtype(dtype)} holds up to n = {limit}, not {count}")
    with generator.lock:
        if count < MANY:
            return to_dtype(_durstenfeld(generator.words(max(count - 1, 0)), count), dtype)
        return to_dtype(_inside_out(generator.double_words(count)), dtype)


def _durstenfeld(words, count):
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
    # Place k is final after step k, so what it gets is known without shuffling: the number that
    # the last earlier step with the same target left there, or the target itself. The number at
    # place k before its own step came from the last earlier step that hit it, and so on back:
    # chains of about log n links, followed for all places at once by doubling.
    previous, last = _repeats(swap)
    came_from = np.where(last == i, previous, last)
    held = _ends(np.where(came_from < 0, i, came_from))
    return np.where(previous < 0, swap, held[previous])


def _inside_out(draws):
    count = len(draws)
    i = np.arange(count)
    swap = (draws % np.arange(1, count + 1, dtype=np.uint64)).astype(np.int64)
    # Step k writes the number at place swap[k] to place k, and k to place swap[k]. A place keeps
    # the last step that wrote there as its target; else what its own step brought.
    previous, last = _repeats(swap)
    brought = _ends(np.where(previous < 0, swap, i))
    brought = np.where(previous[brought] < 0, brought, previous[brought])
    return np.where(last < 0, brought, last)


def _repeats(swap):
    """For each step, the last earlier step with the same target; for each place, the last step
    with it as the target; -1 where there is none."""
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
    """The end of the chain from each place, where an end links to itself."""
    while True:
        further = link[link]
        if np.array_equal(further, link):
            return link
        link = further
