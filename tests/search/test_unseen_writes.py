"""Inputs and results are written through ``.data``, which nobody sees, between forward and backward.

The gradient then shows which memory the backward reads: it must be the memory that PyTorch reads.
"""

import random

import numpy as np
import pytest

import rushlight
from tests import conformance as c
from tests.samples import SAMPLES

#: Operations whose backward reads other memory than PyTorch's; see docs/differences.md.
_OTHERWISE = {
    "bilinear", "celu", "cholesky", "cholesky_inverse", "conj", "dist", "embedding_bag", "glu", "gru", "gru_cell",
    "householder_product", "index_reduce", "linalg_cholesky_ex", "linalg_cofactor", "linalg_det", "linalg_lstsq",
    "linalg_qr", "linalg_slogdet", "linalg_solve", "lobpcg", "logsigmoid", "lstm", "lu_row_order", "matmul",
    "multilabel_soft_margin_loss", "orgqr", "ormqr", "pdist", "qr", "renorm", "rms_norm", "rnn_relu", "rnn_tanh",
    "rnn_tanh_cell", "scaled_dot_product_attention", "scatter_reduce", "sgn", "slogdet", "soft_margin_loss",
    "sparse_product", "sparse_sampled_product", "special.log_ndtr", "std_mean",
}  # fmt: skip


def _gradients(torch, sample, which, k):
    given = c.tensors(torch, sample, requires_grad=True)
    torch.manual_seed(0)
    outs = [o for o in c.flat(sample.call(torch, *given)) if isinstance(o, torch.Tensor)]
    if which:
        written = (given if which == "input" else outs)[k]
        if written.is_floating_point() or written.is_complex():
            written.data.mul_(0.75)
    taken = [o for o in outs if o.requires_grad]
    seeds = []
    for i, o in enumerate(taken):
        rng = np.random.default_rng(i)
        seeds.append(
            torch.from_numpy(np.asarray(rng.uniform(0.5, 1.5, tuple(o.shape)))).to(o.dtype)
        )
    wanted = [t for t in given if t.requires_grad]
    found = torch.autograd.grad(taken, wanted, seeds, allow_unused=True)
    return [None if g is None else c.array(g) for g in found], len(outs)


def _same(got, want):
    return all(
        (a is None) == (b is None)
        and (a is None or np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True))
        for a, b in zip(got, want, strict=True)
    )


def _differences(sample, peer):
    """The tensors of the sample whose writes change its gradient in another way than PyTorch's."""
    want, n = _gradients(peer, sample, None, 0)
    got, m = _gradients(rushlight, sample, None, 0)
    if n != m or not _same(got, want):
        return []  # their gradients differ without a write: of phases, say
    places = [("input", k) for k in range(len(sample.inputs))]
    places += [("result", k) for k in range(n)]
    found = []
    for place in places:
        try:
            want = _gradients(peer, sample, *place)[0]
        except RuntimeError:
            continue
        try:
            got = _gradients(rushlight, sample, *place)[0]
        except RuntimeError:
            continue
        if not _same(got, want):
            found.append(place)
    return found


def _name(sample):
    return sample.name.rstrip("0123456789").rstrip("-")


def _faults(samples):
    peer = pytest.importorskip("torch")
    found = [(s.name, _differences(s, peer)) for s in samples if _name(s) not in _OTHERWISE]
    return [f"{name}: {places}" for name, places in found if places]


_WITH_GRADIENTS = [s for s in SAMPLES.values() if s.grad]


@pytest.mark.parity
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_unseen_writes_after_a_random_part_of_all_operations():
    seed = random.randrange(1 << 32)
    samples = random.Random(seed).sample(_WITH_GRADIENTS, len(_WITH_GRADIENTS) // 10)
    faults = _faults(samples)
    assert not faults, f"seed {seed}:\n" + "\n".join(faults)
