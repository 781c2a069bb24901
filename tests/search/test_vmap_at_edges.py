"""Gradients through ``vmap`` are those of the samples one by one, where many numbers are equal.

Under ``vmap`` an operation may run as the operations that it is made of. At ties and zeros their
gradients may differ from the operation's own rule.
"""

import random

import numpy as np
import pytest

import rushlight as torch
from tests import conformance as c
from tests.samples import SAMPLES

#: What vmap says where numbers are drawn, or a shape depends on values.
_REFUSALS = ("random operation", "dynamic shape", "data-dependent", "calling .tolist()")
_WITH_GRADIENTS = [s for s in SAMPLES.values() if s.grad]


def _batches(given):
    """For each tensor with a gradient three samples: itself, rounded, and of one number."""
    return [
        torch.stack([t, t.real.round().to(t.dtype), torch.full_like(t, 1.0)]).detach()
        for t in given
        if t.requires_grad
    ]


def _mapped(sample, given, batched):
    """(a function of the batches, the batches)."""

    def call(*own):
        own = iter(own)
        args = [next(own) if t.requires_grad else t for t in given]
        found = c.flat(sample.call(torch, *args))
        return tuple([o for o in found if o.dtype.is_floating_point or o.dtype.is_complex])

    if batched:
        return torch.vmap(call)

    def one_by_one(*whole):
        rows = [call(*[w[i].clone() for w in whole]) for i in range(3)]
        return tuple([torch.stack(r) for r in zip(*rows, strict=True)])

    return one_by_one


def _slopes(sample, batched):
    """The values, the gradients and the second gradients, as arrays."""
    given = c.doubles(sample)
    batches = [b.requires_grad_() for b in _batches(given)]
    outs = _mapped(sample, given, batched)(*batches)
    ends = [o for o in outs if o.requires_grad]
    first = torch.autograd.grad(
        ends, batches, [_weights(o) for o in ends], create_graph=True, allow_unused=True
    )
    again = [g for g in first if g is not None and g.requires_grad]
    second = (
        torch.autograd.grad(again, batches, [_weights(g) for g in again], allow_unused=True)
        if again
        else [None] * len(batches)
    )
    return [None if t is None else t.detach().numpy() for t in (*outs, *first, *second)]


def _weights(t):
    w = np.random.default_rng(t.numel()).uniform(0.5, 1.5, t.shape)
    return torch.from_numpy(np.asarray(w)).to(t.dtype)


def _difference(sample):
    try:
        want = _slopes(sample, False)
    except RuntimeError:  # a value of an edge is refused, or has no second gradient
        return None
    try:
        for _ in range(3):  # the third call is followed: it is compared with the second one
            found = _slopes(sample, True)
    except Exception as error:
        return None if any(text in str(error) for text in _REFUSALS) else error
    for k, (x, y) in enumerate(zip(found, want, strict=True)):
        x, y = [np.zeros(()) if v is None else v for v in (x, y)]
        largest = np.abs(y).max(initial=0, where=np.isfinite(y))
        if not np.allclose(x, y, 1e-7, 1e-9 * max(1, largest), equal_nan=True):
            return k, x, y
    return None


def _faults(samples):
    return [(s.name, d) for s in samples if (d := _difference(s)) is not None]


_quiet = pytest.mark.filterwarnings("ignore")


@_quiet
def test_some_edges():
    assert not _faults(random.sample(_WITH_GRADIENTS, 12))


@_quiet
@pytest.mark.search
def test_all_edges():
    assert not _faults(_WITH_GRADIENTS)
