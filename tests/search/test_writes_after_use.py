"""An operand or a result is written in place between an operation and its gradient.

The gradient is then that of the values before the write, or an error; and where PyTorch gives a
gradient, so does rushlight.
"""

import random

import numpy as np
import pytest

import rushlight
from tests import conformance as c
from tests.samples import SAMPLES
from tests.search.lines import peer as find_peer

#: Operations that raise although PyTorch saves other values, which nobody wrote.
_STRICTER = ("linalg_svd", "linalg_solve", "special.ndtr", "matmul", "repeat_interleave", "kron",
             "ldexp", "cdist_by_product", "linalg_lu_factor_ex", "lu", "cond", "svd",
             "linalg_lstsq", "instance_norm")  # fmt: skip
#: PyTorch's result depends on the order in which it goes through places that overlap.
_OVERLAPPING = ("unfold",)


def _write(t):
    if t.dtype.is_floating_point or t.dtype.is_complex:
        t.mul_(2)
    else:
        t.zero_()


def _gradients(torch, sample, which, k, in_place):
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


def _fault(sample, which, k, peer):
    got = _outcome(rushlight, sample, which, k, True)
    if isinstance(got, list):
        want = _outcome(rushlight, sample, which, k, False)
        return "a wrong gradient" if isinstance(want, Exception) or not _same(got, want) else None
    if peer is None:
        return None
    if isinstance(_outcome(peer, sample, which, k, True), list):
        return f"raises, where PyTorch does not: {got}"
    return None


def _is_view(out, given):
    """Whether ``out`` looks at the memory of ``given``; a conjugate does, and refuses writes."""
    lazy = out.view_of is not None and out.view_of.lazy
    return lazy or np.may_share_memory(out.array, given.array)


def _faults(samples, peer):
    found = []
    for s in samples:
        name = s.name.rstrip("0123456789").rstrip("-")
        if name in _STRICTER + _OVERLAPPING:
            continue
        given = c.tensors(rushlight, s)
        outs = [o for o in c.flat(s.call(rushlight, *given)) if isinstance(o, rushlight.Tensor)]
        if any(_is_view(o, t) for o in outs for t in given):
            continue  # it sees what is written to its base
        count = len(outs)
        for which, n in (("input", len(s.inputs)), ("result", count)):
            for k in range(n):
                fault = _fault(s, which, k, peer)
                if fault is not None:
                    found.append(f"{s.name}, {which} {k}: {fault}")
    return found


_WITH_GRADIENTS = [s for s in SAMPLES.values() if s.grad]


def test_writes_after_a_random_part_of_all_operations():
    seed = random.randrange(1 << 32)
    samples = random.Random(seed).sample(_WITH_GRADIENTS, len(_WITH_GRADIENTS) // 10)
    faults = _faults(samples, find_peer())
    assert not faults, f"seed {seed}:\n" + "\n".join(faults)


@pytest.mark.slow
def test_writes_after_all_operations():
    faults = _faults(_WITH_GRADIENTS, find_peer())
    assert not faults, "\n".join(faults)
