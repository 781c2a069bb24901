"""Poisson, binomial and gamma numbers of a CUDA generator: as curand's and PyTorch's kernels."""

from collections import Counter

import numpy as np
import pytest
import scipy.stats as st

import rushlight as T
from rushlight.draw import philox, philox_rejection
from rushlight.locks import new_lock
from rushlight.ops.core import remote_calls

POISSON = [0.3, 5.0, 63.9, 64.0, 100.0, 1000.0, 4000.0, 4001.0, 1e6]
BINOMIAL = [(5, 0.3), (20, 0.9), (100, 0.01), (1000, 0.5), (1000, 0.7), (1e6, 0.2), (1e6, 1e-6)]
GAMMA = [0.1, 0.5, 1.0, 2.5, 100.0, 1e5]
MANY = 20_001


class Stream:
    """The part of a ``PhiloxGenerator`` that draws use; it needs no device."""

    def __init__(self, seed):
        self.seed, self.offset, self.lock = seed, 0, new_lock()

    def initial_seed(self):
        return self.seed

    def take(self, count):
        self.offset += count
        return self.offset - count


def _assert_distributed(x, law):
    """Kolmogorov's test, on numbers that are spread over the steps of a discrete law."""
    x = x.astype(np.float64)
    assert x.mean() == pytest.approx(law.mean(), abs=5 * law.std() / len(x) ** 0.5)
    if hasattr(law.dist, "pmf"):
        step = law.cdf(x - 1)
        x, cdf = step + (law.cdf(x) - step) * np.random.default_rng(0).random(len(x)), "uniform"
    else:
        cdf = law.cdf
    assert st.kstest(x, cdf).pvalue > 1e-4


@pytest.mark.parametrize("mean", POISSON)
def test_poisson_numbers_have_their_distribution(mean):
    x = philox_rejection.poisson(Stream(3), np.full(MANY, mean, np.float32))
    _assert_distributed(x, st.poisson(mean))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "p"), BINOMIAL)
def test_binomial_numbers_have_their_distribution(n, p, dtype):
    x = philox_rejection.binomial(Stream(3), np.full(MANY, n, dtype), np.full((), p, dtype))
    assert x.dtype == dtype
    _assert_distributed(x, st.binom(n, dtype(p)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", GAMMA)
def test_gamma_numbers_have_their_distribution(shape, dtype):
    x = philox_rejection.gamma(Stream(3), np.full(MANY, shape, dtype))
    assert x.dtype == dtype
    _assert_distributed(x, st.gamma(shape))


def test_dirichlet_points_have_their_distribution():
    x = philox_rejection.dirichlet(Stream(3), np.full((MANY, 3), 2.0, np.float32))
    np.testing.assert_allclose(x.sum(-1), 1, rtol=1e-6)
    _assert_distributed(x[:, 0], st.beta(2, 4))


def _units(seed, first, thread):
    """The uniform numbers of one thread, from the number ``first`` of its stream on."""
    for step in range(first // 4, first // 4 + 100):
        yield from philox.unit32(philox.words(seed, step, thread + 1)[:, thread])


def test_each_element_takes_the_words_of_its_own_thread(fresh, monkeypatch):
    """Knuth's products and waiting times, drawn one by one; the offsets are those of PyTorch."""
    fresh()
    monkeypatch.setattr(remote_calls, "fallbacks", Counter())  # the first call of each warns
    g = T.Generator("cuda").manual_seed(5)
    got = T.poisson(T.full((5, 60), 3.5, device="cuda"), generator=g)
    want = []
    for thread in range(300):
        products = np.cumprod([np.exp(np.float32(3.5)), *_units(5, 0, thread)], dtype=np.float32)
        want.append(int((products <= 1).argmax()) - 1)
    assert got.flatten().tolist() == want
    assert g.get_offset() == 20
    n, p = T.full((1100,), 6.0), T.tensor(0.25)
    with pytest.warns(UserWarning, match="binomial has no kernel"):
        got = T.binomial(n.cuda(), p.cuda(), generator=g).tolist()
    for thread in (0, 127, 128, 300):
        block, lane = divmod(thread, 128)
        units = _units(5, 20, thread)
        for k in range(512 * block + lane, min(512 * block + 512, 1100), 128):
            found, trials = -1, 0.0
            while trials <= 6:
                found += 1
                trials += np.ceil(np.log(next(units)) / np.log1p(np.float32(-0.25)))
            assert got[k] == found
    assert g.get_offset() == 64
    T._standard_gamma(T.ones(3, device="cuda"), generator=g)
    assert g.get_offset() == 76


def test_what_has_no_random_value():
    x = philox_rejection.gamma(Stream(1), np.array([0, np.nan, np.inf], np.float32))
    tiny = np.finfo(np.float32).tiny
    assert x[0] == tiny
    assert philox_rejection.poisson(Stream(1), np.zeros((2, 0), np.float16)).shape == (2, 0)
    assert philox_rejection.poisson(Stream(1), np.zeros(2)).tolist() == [0, 0]
    n, p = np.array([3.0, 0, 3, np.nan, 5]), np.array([0, 1, 1, 0.5, np.nan])
    found = philox_rejection.binomial(Stream(1), n, p)
    np.testing.assert_array_equal(found, [0, 0, 3, np.nan, np.nan])
    for bad in (np.array([-1.0]), np.array([np.nan])):
        with pytest.raises(RuntimeError, match="negative or nan"):
            philox_rejection.poisson(Stream(1), bad)
    with pytest.raises(RuntimeError, match="must be finite"):
        philox_rejection.binomial(Stream(1), np.array([np.inf]), np.array([0.5]))
