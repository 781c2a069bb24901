"""Every operation at three sizes, eager, against PyTorch: ``python -m benchmarks --operations``.

The inputs are those of the conformance samples (``tests/samples``). At size 10 a sample runs as it
is. For larger sizes its tensors are repeated along one dim, with other floating values, until the
largest tensor has as many elements. Dim 0 of all tensors is tried first, because it is often the
batch; then the last dim of all; then these dims of the first tensor alone. The first way counts at
which both frameworks run and give results of one shape.

Both frameworks work in this one process with one thread each, and take turns. A ratio is the median
of the ratios of neighbouring blocks. Only the processor's time for this thread counts, so a busy
machine changes little. Calls record no gradients, unless ``--taped`` asks for it: then all
floating inputs require grad. Calls repeat, as those of a program's loop do, and the first ones are
not timed.
"""

import re
import statistics
import sys
import time
import warnings

import numpy as np

from benchmarks.process import shown
from benchmarks.tables import head, line

__all__ = ["SIZES", "show"]

SIZES = (10, 10**4, 10**6)
BLOCK = 0.002  # seconds of a block; a block has at least one call
ROUNDS = 5
FIRST = 1200, 0.1  # calls, or seconds, that are not timed
LONGEST = 0.5  # a call that would take more seconds is left out
WORST = 20  # lines of the table
_taped = False
#: Windows counts a thread's time in steps that are longer than a block.
_now = time.perf_counter if sys.platform == "win32" else time.thread_time


def show(only, taped=False):
    """Print, size by size, the median ratio and the worst ratios of operations with ``only``.

    ``taped``: floating inputs require grad.
    """
    global _taped
    _taped = taped
    warnings.simplefilter("ignore")
    _begin()
    families = _families(only)
    for size in SIZES:
        ratios: dict = {}
        left_out: dict = {}
        for name, samples in families.items():
            found = _measured(samples, size)
            if isinstance(found, str):
                left_out.setdefault(found, []).append(name)
            else:
                ratios[name] = found
            if sys.stderr.isatty():
                print(f"\r{size:,} {name:40}", end="\r", file=sys.stderr, flush=True)
        if ratios:
            _print_medians(size, ratios)
            _print_worst(size, ratios)
        for reason, names in left_out.items():
            print(f"\nNot measured at size {size:,}, {reason}: {', '.join(names)}.")


def _begin():
    """Run as many calls as a program has run when rushlight replays calls that repeat."""
    import rushlight

    x = rushlight.ones(10)
    for _ in range(60_000):
        x = x + 0.0


def _families(only):
    """The samples of each operation by its name, those with the plainest inputs first."""
    from tests.samples import SAMPLES

    found: dict = {}
    for key, sample in SAMPLES.items():
        name = re.sub(r"-\d+$", "", key)
        if only in name:
            found.setdefault(name, []).append(sample)
    return {name: sorted(samples, key=_oddities) for name, samples in found.items()}


def _oddities(sample):
    """How many inputs have no dims or no elements, gaps in memory, or a dtype that is rarer."""
    return sum(
        a.size < 2 or not a.flags.c_contiguous or a.dtype.name not in ("float32", "int64", "bool")
        for a in sample.inputs
    )


# Tables -----------------------------------------------------------------------------------


def _print_medians(size, ratios):
    found = [ratio for ratio, *_ in ratios.values()]
    above = [str(sum(r > limit for r in found)) for limit in (1, 3)]
    head("size", "operations", "median ratio", "above 1", "above 3")
    line(f"{size:,}", str(len(found)), f"{statistics.median(found):.2f}", *above)


def _print_worst(size, ratios):
    head(f"{WORST} worst at size {size:,}", "rushlight", "PyTorch", "ratio")
    for name, (ratio, *times) in sorted(ratios.items(), key=lambda at: -at[1][0])[:WORST]:
        line(f"`{name}`", *map(shown, times), f"{ratio:.2f}")


# Inputs of a size -------------------------------------------------------------------------


def _repeated(arrays, size, dim, which):
    """Copies of ``arrays``, of which those in ``which`` are repeated along ``dim``; None: can't."""
    largest = max((arrays[i].size for i in which), default=0)
    if not largest:
        return None
    times = round(size / largest)
    length = {arrays[i].shape[dim] if arrays[i].ndim else None for i in which}
    if times < 2 or len(length) > 1 or None in length:
        return None
    rng = np.random.default_rng(0)
    out = list(arrays)
    for i in which:
        dims = [1] * arrays[i].ndim
        dims[dim] = times
        out[i] = np.tile(arrays[i], dims)
        if out[i].dtype.kind == "f":
            # Equal numbers would let a sort, for example, take other ways.
            out[i] *= rng.uniform(0.999, 1, out[i].shape).astype(out[i].dtype)
    return out


def _ways(arrays, size):
    """Yield the inputs of ``size`` elements, in the ways that may make them."""
    full = [i for i, a in enumerate(arrays) if a.ndim]
    lead = [i for i in full if len(arrays[i]) == len(arrays[full[0]])]
    tail = [i for i in full if arrays[i].shape[-1] == arrays[full[0]].shape[-1]]
    for dim, which in ((0, full), (0, lead), (-1, full), (-1, tail), (0, full[:1]), (-1, full[:1])):
        found = _repeated(arrays, size, dim, which)
        if found is not None:
            yield found


def _shapes(result):
    if isinstance(result, (tuple, list)):
        return [_shapes(r) for r in result]
    return tuple(getattr(result, "shape", ()))


def _calls(sample, arrays):
    """The call of each framework (rushlight, PyTorch) on tensors over copies of ``arrays``."""
    import torch

    import rushlight

    def call(framework):
        tensors = [framework.from_numpy(a.copy(order="K")) for a in arrays]
        if _taped:
            tensors = [t.requires_grad_() if t.is_floating_point() else t for t in tensors]
        return lambda: sample.call(framework, *tensors)

    return [call(rushlight), call(torch)]


def _once(run):
    """(seconds, result) of one call."""
    start = _now()
    result = run()
    return _now() - start, result


def _run(sample, size):
    """The two calls at ``size``, or the reason why there are none."""
    if not sample.inputs:
        candidates = [[]] if size == SIZES[0] else []
    else:
        candidates = [sample.inputs] if size == SIZES[0] else _ways(sample.inputs, size)
    reason = "no way to this size"
    for arrays in candidates:
        calls = _calls(sample, arrays)
        try:
            ours, theirs = [_once(run) for run in calls]
        except Exception:
            reason = "one of the two raises at this size"
            continue
        if _shapes(ours[1]) != _shapes(theirs[1]):
            reason = "the results have several shapes"
            continue
        if min(ours[0], theirs[0]) > LONGEST:
            return f"longer than {LONGEST} s"
        return calls
    return reason


def _fits(sample, size):
    """Whether the results at a hundredth of ``size`` let expect memory for those at ``size``."""
    if size < 10**5:
        return True
    calls = _run(sample, size // 100)
    if isinstance(calls, str):
        return True
    seconds, result = _once(calls[1])
    largest = max([int(np.prod(s)) for s in _flat(_shapes(result))], default=0)
    return largest <= size // 4 and seconds * 100 <= 4 * LONGEST


def _flat(shapes):
    return [s for found in shapes for s in _flat(found)] if isinstance(shapes, list) else [shapes]


# Times ------------------------------------------------------------------------------------


def _measured(samples, size):
    """(ratio, seconds of rushlight, of PyTorch) at ``size``, or the reason why there are none."""
    reason = ""
    for sample in samples[:6]:
        if any(a.size == 0 for a in sample.inputs):
            continue
        if not _fits(sample, size):
            reason = reason or f"longer than {LONGEST} s or results too large"
            continue
        calls = _run(sample, size)
        if isinstance(calls, str):
            reason = reason or calls
            continue
        return compared(*calls)
    return reason or "no sample has elements"


def compared(ours, theirs):
    """(ratio, median seconds of ``ours``, of ``theirs``), which run by turns."""
    for run in (ours, theirs):
        start = _now()
        for _ in range(FIRST[0]):
            run()
            if _now() - start > FIRST[1]:
                break
    numbers = [_number(run) for run in (ours, theirs)]
    pairs = [
        [_block(run, n) for run, n in zip((ours, theirs), numbers, strict=True)]
        for _ in range(ROUNDS)
    ]
    ratio = statistics.median(a / b for a, b in pairs)
    return ratio, *[statistics.median(times) for times in zip(*pairs, strict=True)]


def _number(run):
    """How many calls fill a block."""
    number, taken = 1, _block(run, 1)
    while taken * number < BLOCK / 4:
        number *= 2
        taken = _block(run, number)
    return max(1, round(BLOCK / taken))


def _block(run, number):
    """The average seconds of ``number`` calls."""
    start = _now()
    for _ in range(number):
        run()
    return (_now() - start) / number
