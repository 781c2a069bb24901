"""Gradients of gamma and Dirichlet samples, and what the samplers and special functions refuse."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import numpy as xp
from rushlight.ops.random.reparametrization import beta_slope, gamma_slope

SHAPES = np.array([1e-3, 0.02, 0.3, 0.9, 1.0, 2.5, 17.0, 200.0])
QUANTILES = [0.003, 0.3, 0.5, 0.8, 0.999]


def derivative(cdf, x, a):
    """-(∂F/∂a) / (∂F/∂x) in 50 digits."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(50):
        x, a = mp.mpf(x), mp.mpf(a)
        h = mp.mpf(10) ** -15
        by_a = cdf(mp, a * (1 + h), x) - cdf(mp, a * (1 - h), x)
        by_x = cdf(mp, a, x * (1 + h)) - cdf(mp, a, x * (1 - h))
        return float(-by_a / a / (by_x / x))


@np.errstate(all="ignore")
@pytest.mark.parametrize("a", SHAPES)
def test_gamma_slope(a):
    from scipy.special import digamma, gammaincinv

    for x in gammaincinv(a, QUANTILES):
        if x > 1e-280:
            want = derivative(lambda mp, a, x: mp.gammainc(a, 0, x, regularized=True), x, a)
            got = gamma_slope(xp, np.array([a]), np.array([x]), digamma(a), False)
            np.testing.assert_allclose(got, want, rtol=1e-11)


@np.errstate(all="ignore")
@pytest.mark.parametrize("a", SHAPES[1:])
@pytest.mark.parametrize("b", [0.05, 1.0, 30.0])
def test_beta_slope(a, b):
    from scipy.special import betaincinv, digamma

    for x in betaincinv(a, b, QUANTILES):
        if 1e-250 < x < 1 - 1e-6:
            want = derivative(lambda mp, a, x: mp.betainc(a, b, 0, x, regularized=True), x, a)
            given = np.array([[x], [a], [b]])
            got = beta_slope(xp, *given, digamma(a) - digamma(a + b), False) * (1 - x)
            np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("name", ["_standard_gamma_grad", "_dirichlet_grad"])
def test_gradients_of_many_samples_are_those_of_few(name):
    """A kernel computes them. Operands broadcast; at 0 the derivative is 0."""
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.gamma(2.0, size=(5000, 4)) / 16)
    x[0, :] = 0
    rest = torch.tensor([[0.2], [3.0], [0.4], [20.0], [0.7]]), torch.tensor([1.0, 2.0, 30.0, 0.5])
    alpha, total = [t.double().repeat(1000, 1) if t.ndim == 2 else t.double() for t in rest]
    for dtype, precision in ((torch.float32, 1e-5), (torch.float64, 1e-9)):
        given = [t.to(dtype) for t in (x.clamp(max=0.9), alpha, alpha + total)]
        given = given[1::-1] if name == "_standard_gamma_grad" else given
        many = getattr(torch, name)(*given)
        few = torch.cat([
            getattr(torch, name)(*[t[k : k + 500].contiguous() for t in given])
            for k in range(0, 5000, 500)
        ])  # fmt: skip
        exact = getattr(torch, name)(*[t[:500].double() for t in given])
        assert many.dtype is dtype and (many[0] == 0).all()
        torch.testing.assert_close(many, few, rtol=precision / 10, atol=0)
        torch.testing.assert_close(many[:500].double(), exact, rtol=precision, atol=1e-30)


@pytest.mark.parity
def test_gradients_of_samples():
    """PyTorch's are approximations, to about one in a thousand."""
    peer = pytest.importorskip("torch")

    def gradients(t):
        t.manual_seed(3)
        x = (t.arange(60.0).reshape(20, 3) % 7 + 0.2).requires_grad_()
        t._standard_gamma(x).log().sum().backward()
        if t is peer:
            point = t.distributions.dirichlet._Dirichlet.apply(x)
        else:
            point = t._sample_dirichlet(x)
        (point * t.tensor([1.0, 2.0, -1.0])).sum().backward()
        return x.grad.numpy()

    np.testing.assert_allclose(gradients(torch), gradients(peer), rtol=3e-3, atol=1e-4)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda t: t.binomial(t.ones(2).long(), t.ones(2)), ValueError),
        (lambda t: t.binomial(t.ones(2).half(), t.ones(2).half()), NotImplementedError),
        (lambda t: t.binomial(t.ones(2), t.ones(2).double()), RuntimeError),
        (lambda t: t._standard_gamma(t.ones(2).bfloat16()), NotImplementedError),
        (lambda t: t._sample_dirichlet(t.ones(2).half()), NotImplementedError),
        (lambda t: t.polygamma(-1, t.ones(2)), RuntimeError),
        (lambda t: t.polygamma(1.5, t.ones(2)), TypeError),
        (lambda t: t.mvlgamma(t.ones(2), 0), RuntimeError),
        (lambda t: t.igamma(t.ones(2), 1.0), TypeError),
        (lambda t: t.igamma(t.ones(2).long(), t.ones(2).long()), NotImplementedError),
        (
            lambda t: t.igamma(t.ones(1, requires_grad=True), t.ones(1)).backward(),
            NotImplementedError,
        ),
    ],
)
def test_refusals(call, error):
    with pytest.raises(error):
        call(torch)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["lgamma", "digamma", "erfc", "erfinv", "i0"])
def test_poles_and_limits(name):
    peer = pytest.importorskip("torch")
    given = [0.0, -0.0, 1.0, -1.0, -1.5, 1e-30, 40.0, float("nan"), float("inf"), -float("inf")]
    got, want = (getattr(t, name)(t.tensor(given)).numpy() for t in (torch, peer))
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-7)


@pytest.mark.parity
@pytest.mark.parametrize("order", [1, 2, 3])
def test_polygamma_at_poles(order):
    peer = pytest.importorskip("torch")
    given = [0.0, -0.3, -1.5, 1e-10, 40.0, float("nan")]
    got, want = (t.polygamma(order, t.tensor(given).double()).numpy() for t in (torch, peer))
    np.testing.assert_allclose(got, want, rtol=1e-6)


REFUSED = {
    "normal": lambda t: t.normal(t.zeros(3), t.tensor([1.0, -1.0, 1.0])),
    "normal of a number": lambda t: t.normal(t.zeros(3), -1.0),
    "normal_": lambda t: t.zeros(3).normal_(0, -1),
    "bernoulli": lambda t: t.bernoulli(t.tensor([0.5, 2.0])),
    "bernoulli_": lambda t: t.zeros(3).bernoulli_(1.5),
    "multinomial": lambda t: t.multinomial(t.tensor([0.5, -2.0]), 1),
    "more of multinomial": lambda t: t.multinomial(t.tensor([0.5, 2.0]), 3),
    "randint": lambda t: t.randint(3, 3, (4,)),
    "uniform_": lambda t: t.zeros(3).uniform_(2, 1),
    "exponential_": lambda t: t.zeros(3).exponential_(-1),
    "geometric_": lambda t: t.zeros(3).geometric_(0),
    "cauchy_": lambda t: t.zeros(3).cauchy_(0, -1),
    "log_normal_": lambda t: t.zeros(3).log_normal_(0, -1),
    "rrelu": lambda t: t.rrelu(-t.ones(3), 2, 1, training=True),
    "dropout": lambda t: t.dropout(t.ones(3), 1.5, True),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_is_refused_takes_the_numbers_that_pytorch_takes(name):
    theirs = pytest.importorskip("torch")
    for t in (torch, theirs):
        t.manual_seed(3)
        t.randn(1)  # a normal waits
        with pytest.raises((RuntimeError, ValueError)):
            REFUSED[name](t)
    assert torch.get_rng_state().tolist() == theirs.get_rng_state().tolist()


@pytest.mark.parity
def test_gamma_numbers_of_any_shape_parameters():
    """Shape parameters below 0 are no error, even if a power of 1 / shape is infinite."""
    theirs = pytest.importorskip("torch")
    rng = np.random.default_rng()
    for dtype in ("f4", "f8"):
        for _ in range(20):
            shapes = rng.standard_normal(20) * 10.0 ** rng.uniform(-9, 3, 20)
            drawn = []
            for t in (torch, theirs):
                t.manual_seed(5)
                found = t._standard_gamma(t.from_numpy(shapes.astype(dtype)))
                drawn.append(([str(v) for v in found.tolist()], t.get_rng_state().tolist()))
            np.testing.assert_allclose(*[np.array(d[0], "f8") for d in drawn], 1e-5)
            assert drawn[0][1] == drawn[1][1]
