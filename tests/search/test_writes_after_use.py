"""An operand or a result is written in place between an operation and its gradient.

The gradient is then that of the values before the write, or an error. ``tests/ops/core/test_writes.py``
holds that it is an error just where PyTorch raises one.
"""

import random

import numpy as np
import pytest

import rushlight as torch
from tests import conformance as c
from tests.samples import SAMPLES


def _write(t):
    if t.dtype.is_floating_point or t.dtype.is_complex:
        t.mul_(2)
    else:
        t.zero_()


def _gradients(sample, which, k, in_place):
    """The gradients after a write to input or result ``k``; for a result also out of place."""
    given = c.tensors(torch, sample, requires_grad=True)
    operands = [t.clone() for t in given]
    torch.manual_seed(0)
    outs = [o for o in c.flat(sample.call(torch, *operands)) if isinstance(o, torch.Tensor)]
    if in_place:
        _write(operands[k] if which == "input" else outs[k])
    elif which == "result" and (outs[k].dtype.is_floating_point or outs[k].dtype.is_complex):
        outs[k] = outs[k] * 2
    parts = [(o.abs() if o.dtype.is_complex else o).double().sum() for o in outs if o.requires_grad]
    sum(parts).backward()
    return [None if t.grad is None else c.array(t.grad) for t in given if t.requires_grad]


def _outcome(*args):
    try:
        return _gradients(*args)
    except (RuntimeError, AttributeError) as error:
        return error


def _same(got, want):
    return all(
        (a is None) == (b is None)
        and (a is None or np.allclose(a, b, rtol=1e-3, atol=1e-3, equal_nan=True))
        for a, b in zip(got, want, strict=True)
    )


def _is_wrong(sample, which, k):
    got = _outcome(sample, which, k, True)
    if not isinstance(got, list):
        return False
    want = _outcome(sample, which, k, False)
    return isinstance(want, Exception) or not _same(got, want)


def _is_view(out, given):
    """Whether ``out`` looks at the memory of ``given``; a conjugate does, and refuses writes."""
    lazy = out.view_of is not None and out.view_of.lazy
    return lazy or np.may_share_memory(out._array, given._array)


def _faults(samples):
    found = []
    for s in samples:
        given = c.tensors(torch, s)
        outs = [o for o in c.flat(s.call(torch, *given)) if isinstance(o, torch.Tensor)]
        if any(_is_view(o, t) for o in outs for t in given):
            continue  # it sees what is written to its base
        count = len(outs)
        for which, n in (("input", len(s.inputs)), ("result", count)):
            wrong = [k for k in range(n) if _is_wrong(s, which, k)]
            found += [f"{s.name}, {which} {k}: a wrong gradient" for k in wrong]
    return found


_WITH_GRADIENTS = [s for s in SAMPLES.values() if s.grad]


def test_writes_after_a_random_part_of_all_operations():
    seed = random.randrange(1 << 32)
    samples = random.Random(seed).sample(_WITH_GRADIENTS, len(_WITH_GRADIENTS) // 20)
    faults = _faults(samples)
    assert not faults, f"seed {seed}:\n" + "\n".join(faults)


@pytest.mark.slow
def test_writes_after_all_operations():
    faults = _faults(_WITH_GRADIENTS)
    assert not faults, "\n".join(faults)
