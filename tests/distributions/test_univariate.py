"""Every univariate distribution against live PyTorch: all that it has, with the same seed."""

import numpy as np
import pytest

import rushlight as torch
from tests.distributions.cases_univariate import CASES

pytestmark = pytest.mark.parity
IDS = [f"{name}-{'-'.join(parameters)}-{i}" for i, (name, parameters, *_) in enumerate(CASES)]
cases = pytest.mark.parametrize("case", CASES, ids=IDS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

PROPERTIES = ("mean", "mode", "variance", "stddev")
TOLERANCE = {"float32": 2e-5, "float64": 2e-7}
#: In double precision PyTorch's raises, of two dtypes; of the other its Bessel functions are rough.
SINGLE_ONLY = ("GeneralizedPareto", "VonMises")


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def build(t, case, dtype, **options):
    """(the distribution, its parameters, which require gradients where they are tensors)."""
    name, parameters, *_ = case
    dtype = "float32" if name in SINGLE_ONLY else dtype
    given = {
        k: t.tensor(v, dtype=getattr(t, dtype), requires_grad=True) if isinstance(v, list) else v
        for k, v in parameters.items()
    }
    return getattr(t.distributions, name)(**given, **options), given


def tolerance_of(case, dtype):
    return TOLERANCE["float32" if case[0] in SINGLE_ONLY else dtype]


def outcome(call):
    """What ``call`` returns, or the type of its error."""
    try:
        return call()
    except (NotImplementedError, ValueError, RuntimeError) as error:
        return type(error)


def numbers(x):
    return x.detach().numpy() if hasattr(x, "detach") else x


def same(got, want, tolerance, what):
    if isinstance(want, type):
        assert isinstance(got, type) and issubclass(got, want), f"{what}: {got}, expected {want}"
        return
    assert not isinstance(got, type), f"{what}: {got}"
    got, want = numbers(got), numbers(want)
    assert got.dtype == want.dtype and got.shape == want.shape, what
    np.testing.assert_allclose(got, want, tolerance, tolerance, err_msg=what)


def slopes(t, result, wanted):
    wanted = [w for w in wanted if hasattr(w, "requires_grad") and w.requires_grad]
    if not wanted:
        return ()
    weights = t.arange(1, result.numel() + 1, dtype=result.dtype).reshape(result.shape)
    return t.autograd.grad((result * weights).sum(), wanted, allow_unused=True)


@cases
@dtypes
def test_properties(case, dtype, peer):
    tolerance = tolerance_of(case, dtype)
    (d, _), (e, _) = build(torch, case, dtype), build(peer, case, dtype)
    assert repr(d) == repr(e)
    assert (tuple(d.batch_shape), tuple(d.event_shape)) == (tuple(e.batch_shape), ())
    assert (d.has_rsample, d.has_enumerate_support) == (e.has_rsample, e.has_enumerate_support)
    for name in PROPERTIES:
        got, want = (outcome(lambda x=x: getattr(x, name)) for x in (d, e))  # noqa: B023
        same(got, want, tolerance, name)
    for name in ("entropy", "perplexity", "enumerate_support"):
        got, want = (outcome(getattr(x, name)) for x in (d, e))
        same(got, want, tolerance, name)
    if isinstance(e, peer.distributions.ExponentialFamily):
        assert isinstance(d, torch.distributions.ExponentialFamily)
        for g, w in zip(d._natural_params, e._natural_params, strict=True):
            same(g, w, tolerance, "natural parameters")
        got, want = (x._log_normalizer(*x._natural_params) for x in (d, e))
        same(got, want, 10 * tolerance, "log normalizer")


@cases
@dtypes
def test_samples(case, dtype, peer):
    tolerance = tolerance_of(case, dtype)
    results = []
    for t in (torch, peer):
        d, given = build(t, case, dtype)
        t.manual_seed(11)
        found = [d.sample(), d.sample((7,)), d.sample((2, 10))]
        if d.has_rsample:
            found += [d.rsample((4,)), d.rsample()]
            gradients = slopes(t, found[-2], given.values())
        else:
            gradients = [outcome(lambda d=d: d.rsample())]
        found.append(t.rand(3))  # the streams are at the same place
        results.append((found, gradients))
    (got, got_slopes), (want, want_slopes) = results
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        same(g, w, tolerance, f"sample {k}")
        assert g.requires_grad == w.requires_grad
    for g, w in zip(got_slopes, want_slopes, strict=True):
        # PyTorch's gradients of gamma numbers are approximations.
        same(g, w, 3e-3 if _of_gamma(case) else 20 * tolerance, "gradient of samples")


def _of_gamma(case):
    return case[0] in ("Gamma", "Beta", "Chi2", "FisherSnedecor", "StudentT", "InverseGamma")


@cases
@dtypes
@pytest.mark.parametrize("method", ["log_prob", "cdf", "icdf"])
def test_of_values(case, dtype, method, peer):
    tolerance = tolerance_of(case, dtype)
    results = []
    for t in (torch, peer):
        d, given = build(t, case, dtype)
        kind = "float32" if case[0] in SINGLE_ONLY else dtype
        values = case[2] if method != "icdf" else [0.1, 0.5, 0.9][: len(case[2])]
        x = t.tensor(values, dtype=getattr(t, kind), requires_grad=True)
        found = outcome(lambda d=d, x=x: getattr(d, method)(x))
        if isinstance(found, type) or not found.requires_grad:
            results.append((found, ()))
        else:
            wanted = [x, *given.values()]
            found_slopes = outcome(lambda f=found, w=wanted, t=t: slopes(t, f, w))
            results.append((found, found_slopes))
    (got, got_slopes), (want, want_slopes) = results
    same(got, want, tolerance, method)
    if isinstance(want_slopes, type):
        assert got_slopes is want_slopes
        return
    for g, w in zip(got_slopes, want_slopes, strict=True):
        assert (g is None) == (w is None)
        if w is not None:
            same(g, w, 20 * tolerance, f"gradient of {method}")


@cases
def test_expanded(case, peer):
    results = []
    for t in (torch, peer):
        d, _ = build(t, case, "float32")
        expanded = d.expand((2, *d.batch_shape))
        t.manual_seed(5)
        samples = expanded.sample((3,))
        x = t.tensor(case[2], dtype=t.float32)
        results.append((repr(expanded), samples, expanded.log_prob(x if d.batch_shape else x[0])))
        assert type(expanded) is type(d) and expanded.batch_shape == (2, *d.batch_shape)
    (got_repr, *got), (want_repr, *want) = results
    assert got_repr == want_repr
    for g, w in zip(got, want, strict=True):
        same(g, w, 2e-5, "expanded")


@cases
def test_refusals(case, peer):
    name, parameters, values, bad = case
    for t in (torch, peer):
        make = getattr(t.distributions, name)
        wrong = {
            k: t.tensor(v) if isinstance(v, list) or k in bad else v
            for k, v in {**parameters, **bad}.items()
        }
        with pytest.raises(ValueError):
            make(**wrong, validate_args=True)
        d, _ = build(t, case, "float32", validate_args=True)
        with pytest.raises(ValueError):
            d.log_prob(t.tensor(float("nan")))
        if d.batch_shape:
            with pytest.raises(ValueError):
                d.log_prob(t.zeros(4, 5) + t.tensor(values[0]))


@pytest.mark.parametrize(
    "name", sorted({name for name, p, *_ in CASES if {"probs", "logits"} & set(p)})
)
def test_either_probabilities_or_logits(name, peer):
    rest = {"total_count": 2} if "omial" in name else {}
    for t in (torch, peer):
        rest = {"temperature": t.tensor(1.0)} if name == "RelaxedBernoulli" else rest
        for given in ({}, {"probs": t.tensor(0.5), "logits": t.tensor(0.0)}):
            with pytest.raises(ValueError):
                getattr(t.distributions, name)(**rest, **given)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_von_mises_of_many(dtype, peer):
    found = []
    for t in (torch, peer):
        t.manual_seed(2)
        k = t.linspace(-7, 5, 400, dtype=getattr(t, dtype)).exp()
        found.append(t.distributions.VonMises(t.zeros_like(k) + 2, k).sample((5,)).numpy())
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)
