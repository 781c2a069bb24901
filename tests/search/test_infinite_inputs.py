"""Inputs that are infinite, nan or 0 here and there: there is no nan where PyTorch has a number."""

import random

import numpy as np
import pytest

import rushlight
from tests import conformance as c
from tests.samples import SAMPLES

#: LAPACK's; sums that PyTorch takes in another order or dtype, so that infinities meet; what makes
#: PyTorch crash (grid_sample, pdist) or go on for ever (von_mises); its polynomials and Bessel functions of
#: nan, which are those of a neighbour; and what is listed as different (cdist).
_OTHERWISE = (
    "svd", "eig", "lstsq", "pinv", "matrix", "qr", "solve", "householder", "grid", "transformer", "multihead", "conv",
    "scaled_dot", "instance_norm", "batch_norm", "special.i1", "standard_gamma", "von_mises", "nuclear", "bicubic",
    "fft_c2r", "stft", "det", "cofactor", "lu_", "pdist", "cond", "rank", "lobpcg", "polynomial", "cdist", "vdot",
    # Like sums, products in another order: 0 meets inf, or a number overflows first (prod, vander).
    "group_norm", "prod", "vander",
)  # fmt: skip
_SAMPLES = [
    s for s in SAMPLES.values()
    if s.name.split("-")[0] != "lu" and not any(part in s.name for part in _OTHERWISE)
]  # fmt: skip


def _spoilt(torch, t, value, rng):
    if not t.is_floating_point():
        return t
    array = t.double().numpy()
    odd = np.where(rng.random(array.shape) < 0.3, 0.0, value)
    array = np.where(rng.random(array.shape) < 0.2, odd, array)
    return torch.tensor(array).to(t.dtype).requires_grad_()


def _results(torch, sample, value, seed, wrap=lambda f: f):
    """Values and gradients, as arrays."""

    def call(*given):
        outs = [o for o in c.flat(sample.call(torch, *given)) if isinstance(o, torch.Tensor)]
        leaves = [t for t in given if t.requires_grad]
        roots = [o.sum() for o in outs if o.requires_grad and o.is_floating_point()]
        slopes = torch.autograd.grad(roots, leaves, allow_unused=True) if roots and leaves else ()
        return *outs, *slopes

    rng = np.random.default_rng(seed)
    given = [_spoilt(torch, t, value, rng) for t in c.tensors(torch, sample)]
    torch.manual_seed(0)
    return [None if x is None else c.array(x) for x in wrap(call)(*given)]


def _is_spoilt(peer, sample, value, seed):
    """Whether there is nan where PyTorch has a number; what PyTorch refuses is no matter."""
    try:
        wanted = _results(peer, sample, value, seed)
    except Exception:
        return False
    try:
        found = _results(rushlight, sample, value, seed)
    except rushlight.linalg.LinAlgError:
        return False  # another LAPACK finds a matrix of infinities singular
    return any(
        (np.isnan(x) & ~np.isnan(y)).any()
        for x, y in zip(found, wanted, strict=True)
        if x is not None and y is not None and x.dtype.kind == "f"
    )


def _faults(samples, value):
    peer, seed = pytest.importorskip("torch"), random.randrange(1 << 32)
    # Where opt_einsum is installed, PyTorch multiplies several operands in an order of its choice.
    peer.backends.opt_einsum.enabled = False
    return [(s.name, seed) for s in samples if _is_spoilt(peer, s, value, seed)]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_random_part_of_all_operations(value):
    assert _faults(random.sample(_SAMPLES, len(_SAMPLES) // 8), value) == []


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_all_operations(value):
    assert _faults(_SAMPLES, value) == []


def _is_compiled_otherwise(sample, value, seed):
    """Whether the compiled function gives other numbers than the function."""
    try:
        wanted = _results(rushlight, sample, value, seed)
    except Exception:
        return False
    found = _results(rushlight, sample, value, seed, rushlight.compile)
    return not all(
        x is y is None or np.allclose(x, y, 2e-3, 1e-4, equal_nan=True)
        for x, y in zip(found, wanted, strict=True)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_random_part_is_compiled_as_it_is(value):
    seed = random.randrange(1 << 32)
    samples = [s for s in _SAMPLES if s.trace and not s.draws]
    samples = random.Random(seed).sample(samples, len(samples) // 8)
    faults = [s.name for s in samples if _is_compiled_otherwise(s, value, seed)]
    assert faults == [], f"seed {seed}"


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("call", ["prod()", "prod(0)", "cumprod(0)", "logcumsumexp(0)"])
def test_the_slope_of_a_product_of_one_factor_is_1(call, value):
    x = rushlight.tensor(value, requires_grad=True)
    eval(f"x.{call}", {"x": x}).backward()
    assert x.grad == 1


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_rectified_networks_keep_a_nan(compiled):
    found = []
    for torch in (pytest.importorskip("torch"), rushlight):
        x = torch.ones(3, 2, 1)
        x[1, 0, 0] = np.nan
        w = [torch.full(s, 0.5, requires_grad=True) for s in ((2, 1), (2, 2), (2,), (2,))]
        run = lambda x, torch=torch, w=w: torch.rnn_relu(
            x, torch.zeros(1, 2, 2), w, True, 1, 0.0, True, False, False
        )[0].sum()
        if compiled and torch is rushlight:
            run = torch.compile(run)
        found.append([g.numpy() for g in torch.autograd.grad(run(x.requires_grad_()), [x, *w])])
    for want, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
