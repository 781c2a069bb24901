"""A gradient that is infinite or nan at some results: it goes nowhere but where PyTorch's goes."""

import random

import numpy as np
import pytest

import rushlight
from tests import conformance as c
from tests.samples import SAMPLES

#: Sums that BLAS and Fourier transforms take in another order, or a rule of another form.
_OTHERWISE = {
    "conv1d", "linalg_solve_triangular", "linalg_matrix_exp", "scaled_dot_product_attention", "grid_sample",
    "grid_sample_3d", "fft_r2c", "fft_c2r", "stft", "istft",
    "ormqr", "conv_tbc", "convolution", "grid_sampler", "grid_sampler_2d",
}  # fmt: skip


def _gradients(torch, sample, value):
    given = c.tensors(torch, sample, requires_grad=True)
    torch.manual_seed(0)
    outs = [o for o in c.flat(sample.call(torch, *given)) if getattr(o, "requires_grad", False)]
    seeds = []
    for k, o in enumerate(outs):
        rng = np.random.default_rng(k)
        w = rng.uniform(0.5, 1.5, tuple(o.shape))
        w = np.where(rng.integers(0, 3, w.shape) == 0, value, w)
        seeds.append(torch.from_numpy(np.asarray(w)).to(o.dtype))
    wanted = [t for t in given if t.requires_grad]
    found = torch.autograd.grad(outs, wanted, seeds, allow_unused=True)
    return [None if g is None else c.array(g) for g in found]


def _spoilt(sample, peer, value):
    """Whether there is nan where PyTorch has a number."""
    try:
        want = _gradients(peer, sample, value)
    except RuntimeError:  # of svd: the loss depends on the phases of complex vectors
        return False
    got = _gradients(rushlight, sample, value)
    return any(
        (np.isnan(g) & ~np.isnan(w)).any()
        for g, w in zip(got, want, strict=True)
        if g is not None and g.dtype.kind == "f"
    )


def _faults(samples, value):
    peer = pytest.importorskip("torch")
    names = {s.name: s.name.rstrip("0123456789").rstrip("-") for s in samples}
    return [s.name for s in samples if names[s.name] not in _OTHERWISE and _spoilt(s, peer, value)]


_WITH_GRADIENTS = [s for s in SAMPLES.values() if s.grad]
_quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@_quiet
@pytest.mark.parity
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_rules_select_where_pytorch_does_in_a_random_part_of_all_operations(value):
    seed = random.randrange(1 << 32)
    samples = random.Random(seed).sample(_WITH_GRADIENTS, len(_WITH_GRADIENTS) // 5)
    assert not _faults(samples, value), f"seed {seed}"


@_quiet
@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_rules_select_where_pytorch_does(value):
    assert not _faults(_WITH_GRADIENTS, value)


_WRITES = {
    "x[0:1] = 0": lambda t, x: x.__setitem__(slice(0, 1), 0.0),
    "x[mask] = 0": lambda t, x: x.__setitem__(t.tensor([True, False]), 0.0),
    "x[[0]] = 0": lambda t, x: x.__setitem__(t.tensor([0]), 0.0),
    "select": lambda t, x: x[0].zero_(),
    "copy_": lambda t, x: x[:1].copy_(t.zeros(1)),
    "fill_": lambda t, x: x[:1].fill_(0),
    "mul_": lambda t, x: x[:1].copy_(x[:1].detach() * 0),
    "masked_fill_": lambda t, x: x.masked_fill_(t.tensor([True, False]), 0),
    "masked_scatter_": lambda t, x: x.masked_scatter_(t.tensor([True, False]), t.zeros(1)),
    "index_fill_": lambda t, x: x.index_fill_(0, t.tensor([0]), 0),
    "index_copy_": lambda t, x: x.index_copy_(0, t.tensor([0]), t.zeros(1)),
    "index_put_": lambda t, x: x.index_put_((t.tensor([0]),), t.zeros(1)),
    "scatter_": lambda t, x: x.scatter_(0, t.tensor([0]), 0.0),
    "scatter_ of a tensor": lambda t, x: x.scatter_(0, t.tensor([0]), t.zeros(1)),
    "tril_": lambda t, x: x.view(1, 2).triu_(1),
}


@pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES)
def test_what_was_overwritten_has_no_gradient(write):
    v = rushlight.tensor([4.0, 4.0], requires_grad=True)
    x = v * 1
    write(rushlight, x)
    x.abs().sqrt().sum().backward()  # the slope at 0 is infinite, times 0
    assert v.grad.tolist() == [0.0, 0.25]


@pytest.mark.parametrize("name", ["zero_", "floor", "ceil", "trunc", "round", "sign", "floor_"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_steps_have_no_gradient(name, value):
    v = rushlight.tensor([0.5, 1.5], requires_grad=True)
    x = v * 1
    x = getattr(x, name)()
    x.backward(rushlight.tensor([value, 1.0]))
    assert v.grad.tolist() == [0.0, 0.0]
