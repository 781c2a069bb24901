"""The gradients of a batch of gradients are those of its rows, for random operations.

Under ``vmap`` an operation may run as the operations that it is made of. Then one of these without
a gradient rule would cut the history in silence.
"""

import random

import numpy as np
import pytest

import rushlight as torch
from tests import conformance as c
from tests.samples import SAMPLES

_ROWS = 3
#: A gradient whose shape depends on values has no batch.
_REFUSED = {"repeat_interleave", "masked_scatter"}
_WITH_GRADIENTS = [s for s in SAMPLES.values() if s.grad and s.name not in _REFUSED]


def _weights(tensors, first, lead=()):
    found = []
    for k, t in enumerate(tensors):
        w = np.random.default_rng(first + k).uniform(0.5, 1.5, (*lead, *t.shape))
        found.append(torch.from_numpy(np.asarray(w)).to(t.dtype))
    return found


def _slopes(sample, batched):
    """(rows of gradients, the gradients of the rows) by inputs and by the rows' seeds."""
    given = c.doubles(sample)
    inputs = [t for t in given if t.requires_grad]
    torch.manual_seed(0)
    outs = [o for o in c.flat(sample.call(torch, *given)) if getattr(o, "requires_grad", False)]
    seeds = [w.requires_grad_() for w in _weights(outs, 0, (_ROWS,))]

    def grad(seeds, **options):
        return torch.autograd.grad(
            outs, inputs, seeds, create_graph=True, allow_unused=True, **options
        )

    if batched:
        rows = grad(seeds, is_grads_batched=True)
    else:
        each = [grad([s[i] for s in seeds]) for i in range(_ROWS)]
        rows = [None if r[0] is None else torch.stack(r) for r in zip(*each, strict=True)]
    ends = [r for r in rows if r is not None and r.requires_grad]
    by = [*inputs, *seeds]
    again = torch.autograd.grad(ends, by, _weights(ends, 100), allow_unused=True) if ends else ()
    return _arrays(rows), _arrays(again or [None] * len(by))


def _arrays(gradients):
    """Arrays; a zero, which broadcasts, where a gradient is None."""
    return [np.zeros(()) if g is None else g.detach().numpy() for g in gradients]


def _differs(sample):
    try:
        want = _slopes(sample, False)
    except RuntimeError:  # it has no second gradient
        return False
    found = _slopes(sample, True)
    pairs = zip(found[0] + found[1], want[0] + want[1], strict=True)
    return not all(_close(x, y) for x, y in pairs)


def _close(x, y):
    y = np.broadcast_to(y, np.broadcast_shapes(x.shape, y.shape))
    largest = np.abs(y).max(initial=0, where=np.isfinite(y))
    return np.allclose(x, y, 1e-7, 1e-9 * max(1, largest), equal_nan=True)


def _faults(samples):
    return [s.name for s in samples if _differs(s)]


_quiet = pytest.mark.filterwarnings("ignore")


@_quiet
def test_batches_of_gradients_of_a_few_operations():
    seed = random.randrange(1 << 32)
    few = random.Random(seed).sample(_WITH_GRADIENTS, len(_WITH_GRADIENTS) // 100)
    assert not _faults(few), f"seed {seed}"


@_quiet
@pytest.mark.slow
def test_batches_of_gradients_of_all_operations():
    assert not _faults(_WITH_GRADIENTS)
