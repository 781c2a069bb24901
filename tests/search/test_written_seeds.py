"""Backward passes through a kept graph use the gradient as it stands, for every operation.

A rule may keep what another rule of its node needs. That holds for one backward only: the caller
may write to the gradient before the next one.
"""

import numpy as np

import rushlight as torch
from tests import conformance as c
from tests.samples import SAMPLES

_WITH_GRADIENTS = {name: s for name, s in SAMPLES.items() if s.grad}


def _faults(sample):
    """Inputs whose gradient does not double when the seeds are doubled in place."""
    given = c.doubles(sample)
    inputs = [t for t in given if t.requires_grad]
    torch.manual_seed(0)
    outs = [o for o in c.flat(sample.call(torch, *given)) if getattr(o, "requires_grad", False)]
    seeds = [torch.full(o.shape, 0.75, dtype=o.dtype) for o in outs]

    def grads(of):
        return torch.autograd.grad(outs, of, seeds, retain_graph=True, allow_unused=True)

    before = [None if g is None else g.to_dense().detach().numpy().copy() for g in grads(inputs)]
    for s in seeds:
        s.mul_(2)
    together, alone = grads(inputs), [grads([t])[0] for t in inputs]
    for k, want in enumerate(before):
        for found in (together[k], alone[k]):
            if want is not None and not np.allclose(
                found.to_dense().detach().numpy(), 2 * want, 1e-9, 1e-12, equal_nan=True
            ):
                return k
    return None


def test_doubled_seeds_give_doubled_gradients():
    found = {name: _faults(s) for name, s in _WITH_GRADIENTS.items()}
    assert not {name: k for name, k in found.items() if k is not None}
