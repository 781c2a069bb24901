"""Multivariate and composed distributions against live PyTorch, and that no class goes untested.

``CASES`` is a table: the name of a case; a function of the framework and of a maker of tensors that
gives the distribution; values for ``log_prob``.
"""

import inspect
import itertools

import numpy as np
import pytest

import rushlight as torch
from tests.distributions.cases_univariate import CASES as UNIVARIATE
from tests.distributions.test_univariate import outcome, same

pytestmark = pytest.mark.parity

_P = [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]
_LOGITS = [[0.3, -1.0, 2.0], [0.0, 0.5, 0.1]]
_COV = [[2.0, 0.5, 0.2], [0.5, 1.0, -0.3], [0.2, -0.3, 1.5]]
_TRIL = [[1.2, 0.0, 0.0], [0.5, 0.8, 0.0], [-0.3, 0.4, 1.5]]
_X = [[0.3, -0.5, 1.0], [1.5, 0.2, -2.0]]
_W = [[1.0, 0.3], [-0.5, 0.8], [0.2, 0.1]]
_DIAGONAL = [0.5, 1.0, 2.0]
_ONE_HOT = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
_CORRELATION = [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.6, 0.0, 0.8]]


def _normal(t, f, *shape):
    grid = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    return t.distributions.Normal(f(grid.tolist()), f((grid + 1.5).tolist()))


def _mixture(t, f):
    return t.distributions.MixtureSameFamily(
        t.distributions.Categorical(f(_P[0])), _normal(t, f, 3)
    )


def _mixture_of_vectors(t, f):
    d = t.distributions
    parts = d.Independent(_normal(t, f, 2, 3, 2), 1)
    return d.MixtureSameFamily(d.Categorical(logits=f(_LOGITS)), parts)


def _transformed(t, f):
    d = t.distributions
    steps = [d.AffineTransform(f([0.5, -0.5]), f([2.0, -1.0])), d.SigmoidTransform()]
    return d.TransformedDistribution(_normal(t, f, 2), steps)


def _transformed_events(t, f):
    d = t.distributions
    steps = [d.StickBreakingTransform(), d.AffineTransform(1.0, f([2.0, 1.0, 3.0]), event_dim=1)]
    return d.TransformedDistribution(_normal(t, f, 4, 2), steps)


CASES = {
    "Categorical": (lambda t, f: t.distributions.Categorical(f(_P)), [2.0, 0.0]),
    "Categorical-logits": (lambda t, f: t.distributions.Categorical(logits=f(_LOGITS)), [2.0, 0.0]),
    "Categorical-one": (lambda t, f: t.distributions.Categorical(f([0.0, 3.0, 1.0])), [1.0, 2.0]),
    "OneHotCategorical": (lambda t, f: t.distributions.OneHotCategorical(f(_P)), _ONE_HOT),
    "OneHotCategorical-logits": (
        lambda t, f: t.distributions.OneHotCategorical(logits=f(_LOGITS)), _ONE_HOT),
    "OneHotCategoricalStraightThrough": (
        lambda t, f: t.distributions.OneHotCategoricalStraightThrough(f(_P)), _ONE_HOT),
    "Multinomial": (
        lambda t, f: t.distributions.Multinomial(5, f(_P)), [[1.0, 1.0, 3.0], [5.0, 0.0, 0.0]]),
    "Multinomial-logits": (
        lambda t, f: t.distributions.Multinomial(3, logits=f(_LOGITS[0])), [[1.0, 1.0, 1.0]]),
    "Multinomial-zero": (
        lambda t, f: t.distributions.Multinomial(3, f([0.0, 0.5, 0.5])), [[0.0, 1.0, 2.0]]),
    "Dirichlet": (lambda t, f: t.distributions.Dirichlet(f([[0.5, 2.0, 4.0], [0.3, 0.2, 0.4]])), _P),
    "MultivariateNormal-covariance": (
        lambda t, f: t.distributions.MultivariateNormal(f(_X), f(_COV)), _X),
    "MultivariateNormal-precision": (
        lambda t, f: t.distributions.MultivariateNormal(f(_X[0]), precision_matrix=f([_COV, _TRIL_TRIL])), _X),
    "MultivariateNormal-scale_tril": (
        lambda t, f: t.distributions.MultivariateNormal(f(_X[0]), scale_tril=f(_TRIL)), [_X, _X[::-1]]),
    "MultivariateNormal-batch": (
        lambda t, f: t.distributions.MultivariateNormal(f([[_X[0]], [_X[1]]]), scale_tril=f([_TRIL, _TRIL])),
        [_X, _X[::-1]]),
    "LowRankMultivariateNormal": (
        lambda t, f: t.distributions.LowRankMultivariateNormal(f(_X[0]), f(_W), f(_DIAGONAL)), _X),
    "LowRankMultivariateNormal-batch": (
        lambda t, f: t.distributions.LowRankMultivariateNormal(f(_X), f([_W, _W]), f(_DIAGONAL)), _X),
    "LKJCholesky": (lambda t, f: t.distributions.LKJCholesky(3, f([0.5, 2.0])), [_CORRELATION] * 2),
    "LKJCholesky-two": (lambda t, f: t.distributions.LKJCholesky(2, f(1.5)), [[1.0, 0.0], [0.6, 0.8]]),
    "Wishart-covariance": (lambda t, f: t.distributions.Wishart(f([4.0, 3.5]), f(_COV)), _COV),
    "Wishart-scale_tril": (lambda t, f: t.distributions.Wishart(f(5.0), scale_tril=f(_TRIL)), [_COV, _COV]),
    "Wishart-precision": (
        lambda t, f: t.distributions.Wishart(f(3.7), precision_matrix=f(_COV)), _COV),
    "LogisticNormal": (
        lambda t, f: t.distributions.LogisticNormal(f([0.3, -0.2]), f([0.5, 1.5])), _P),
    "LogisticNormal-number": (lambda t, f: t.distributions.LogisticNormal(f(0.3), f(0.5)), [0.4, 0.6]),
    "RelaxedOneHotCategorical": (
        lambda t, f: t.distributions.RelaxedOneHotCategorical(f(0.7), f(_P)), _P),
    "RelaxedOneHotCategorical-logits": (
        lambda t, f: t.distributions.RelaxedOneHotCategorical(f([1.5]), logits=f(_LOGITS)), _P),
    "Independent": (lambda t, f: t.distributions.Independent(_normal(t, f, 4, 2), 1), [[0.3, -1.0]]),
    "Independent-none": (lambda t, f: t.distributions.Independent(_normal(t, f, 2), 0), [0.3, -1.0]),
    "Independent-categories": (
        lambda t, f: t.distributions.Independent(t.distributions.Categorical(f(_P)), 0), [0.0, 2.0]),
    "MixtureSameFamily": (_mixture, [0.3, -2.0]),
    "MixtureSameFamily-vectors": (_mixture_of_vectors, [[0.3, -1.0], [2.0, 0.0]]),
    "TransformedDistribution": (_transformed, [[0.3, 0.6], [0.5, 0.9]]),
    "TransformedDistribution-events": (_transformed_events, [[1.4, 1.3, 2.5]]),
    "TransformedDistribution-none": (
        lambda t, f: t.distributions.TransformedDistribution(_normal(t, f, 2), []), [0.3, 1.0]),
}  # fmt: skip
_TRIL_TRIL = (np.array(_TRIL) @ np.array(_TRIL).T).tolist()

TOLERANCE = {"float32": 5e-5, "float64": 1e-7}
PROPERTIES = (
    "mean", "mode", "variance", "stddev", "covariance_matrix", "precision_matrix", "scale_tril",
    "logits", "probs", "param_shape",
)  # fmt: skip
cases = pytest.mark.parametrize("name", CASES)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def slopes(t, result, wanted):
    """The gradients of a weighted sum of a result."""
    weights = t.arange(1, result.numel() + 1, dtype=result.dtype).reshape(result.shape)
    wanted = [w for w in wanted if w.requires_grad]
    total = (result * weights).sum()
    return t.autograd.grad(total, wanted, retain_graph=True, allow_unused=True)


class Made:
    """A case's distribution in one framework, and its parameters, which require gradients."""

    def __init__(self, t, name, dtype="float32"):
        self.t, self.dtype = t, getattr(t, dtype)
        self.parameters = []
        self.reads_triangle = name.startswith("Wishart-scale")
        make, values = CASES[name]
        self.distribution = make(t, self._parameter)
        self.values = t.tensor(values, dtype=self.dtype)

    def _parameter(self, values):
        found = self.t.tensor(values, dtype=self.dtype, requires_grad=True)
        self.parameters.append(found)
        return found

    def slopes(self, result, *more):
        """The gradients of a weighted sum of a result, or the type of the error."""
        if isinstance(result, type) or not result.requires_grad:
            return ()
        found = outcome(lambda: slopes(self.t, result, [*more, *self.parameters]))
        if self.reads_triangle and not isinstance(
            found, type
        ):  # PyTorch gives gradients of elements that are not read, too
            return [g.tril() if g is not None and g.ndim > 1 else g for g in found]
        return found


def both(peer, name, dtype="float32"):
    return Made(torch, name, dtype), Made(peer, name, dtype)


def same_slopes(got, want, tolerance, what):
    if isinstance(want, type):
        assert isinstance(got, type) and issubclass(got, want), what
        return
    for g, w in zip(got, want, strict=True):
        assert (g is None) == (w is None), what
        if w is not None:
            same(g, w, tolerance, f"gradient of {what}")


@cases
@dtypes
def test_properties(name, dtype, peer):
    ours, theirs = both(peer, name, dtype)
    d, e = ours.distribution, theirs.distribution
    assert repr(d) == repr(e)
    for what in ("batch_shape", "event_shape", "has_rsample", "has_enumerate_support"):
        assert getattr(d, what) == getattr(e, what), what
    assert repr(d.support) == repr(e.support)
    assert (d.support.event_dim, d.support.is_discrete) == (
        e.support.event_dim, e.support.is_discrete)  # fmt: skip
    for what in PROPERTIES:
        assert hasattr(type(d), what) == hasattr(type(e), what), what
        if hasattr(type(e), what):
            got, want = (outcome(lambda x=x: getattr(x, what)) for x in (d, e))  # noqa: B023
            if isinstance(want, tuple):
                assert got == want
                continue
            same(got, want, TOLERANCE[dtype], what)
            if what == "precision_matrix":
                continue  # PyTorch gives gradients of elements that are not read
            same_slopes(ours.slopes(got), theirs.slopes(want), 20 * TOLERANCE[dtype], what)
    for what in ("entropy", "perplexity", "enumerate_support"):
        got, want = (outcome(getattr(x, what)) for x in (d, e))
        same(got, want, TOLERANCE[dtype], what)
        same_slopes(ours.slopes(got), theirs.slopes(want), 20 * TOLERANCE[dtype], what)


@pytest.mark.filterwarnings("ignore:Singular sample")  # PyTorch's, of sound samples
@cases
@dtypes
def test_samples(name, dtype, peer):
    results = []
    for made in both(peer, name, dtype):
        d = made.distribution
        made.t.manual_seed(11)
        found = [d.sample(), d.sample((7,)), d.sample((2, 5))]
        rsample = outcome(lambda d=d: d.rsample((4,)))
        results.append((found, rsample, made.slopes(rsample), made.t.rand(2)))
    (got, got_r, got_slopes, got_next), (want, want_r, want_slopes, want_next) = results
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        same(g, w, TOLERANCE[dtype], f"sample {k}")
        assert not g.requires_grad
    same(got_r, want_r, TOLERANCE[dtype], "rsample")
    same(got_next, want_next, 0, "the stream afterwards")
    if name.startswith("Wishart"):
        return  # PyTorch's have no backward
    # PyTorch's gradients of gamma numbers are approximations.
    tolerance = 5e-3 if name == "Dirichlet" else 20 * TOLERANCE[dtype]
    same_slopes(got_slopes, want_slopes, tolerance, "rsample")


@cases
@dtypes
@pytest.mark.parametrize("method", ["log_prob", "cdf", "icdf"])
def test_of_values(name, dtype, method, peer):
    results = []
    for made in both(peer, name, dtype):
        x = made.values.clone() if method != "icdf" else made.values * 0 + 0.3
        if dtype == "float64" or not name.startswith("Categorical"):
            x.requires_grad_()
        found = outcome(lambda made=made, x=x: getattr(made.distribution, method)(x))
        results.append((found, made.slopes(found, x)))
    (got, got_slopes), (want, want_slopes) = results
    same(got, want, TOLERANCE[dtype], method)
    same_slopes(got_slopes, want_slopes, 40 * TOLERANCE[dtype], method)


@pytest.mark.filterwarnings("ignore:Singular sample")
@cases
def test_expanded(name, peer):
    results = []
    for made in both(peer, name):
        d = made.distribution
        expanded = d.expand((2, *d.batch_shape))
        assert type(expanded) is type(d)
        assert tuple(expanded.batch_shape) == (2, *d.batch_shape)
        assert expanded.event_shape == d.event_shape
        made.t.manual_seed(5)
        found = [expanded.sample((3,)), expanded.log_prob(expanded.sample())]
        found.append(outcome(lambda e=expanded: e.mean))
        if not name.startswith("Multinomial"):  # PyTorch's loses an attribute
            found.append(outcome(expanded.entropy))
        else:
            assert made.t is peer or torch.allclose(expanded.entropy(), d.entropy())
        results.append((repr(expanded), found))
    (got_repr, got), (want_repr, want) = results
    assert got_repr == want_repr
    for g, w in zip(got, want, strict=True):
        same(g, w, 2e-4, "expanded")


@cases
def test_refused_values(name, peer):
    for made in both(peer, name):
        d = made.distribution
        with pytest.raises(ValueError):
            d.log_prob(0.5)
        with pytest.raises(ValueError):
            d.log_prob(made.values * float("nan"))
        if d.batch_shape + d.event_shape:
            with pytest.raises(ValueError):
                d.log_prob(made.t.zeros(7, 7, 7, 7))


REFUSED = {
    "no parameter": lambda d, t: d.Categorical(),
    "two parameters": lambda d, t: d.OneHotCategorical(t.ones(2), t.ones(2)),
    "a number": lambda d, t: d.Categorical(t.tensor(0.5)),
    "negative": lambda d, t: d.Categorical(t.tensor([-0.5, 1.0])),
    "nan": lambda d, t: d.Categorical(logits=t.tensor([float("nan"), 1.0])),
    "no counts": lambda d, t: d.Multinomial(t.tensor([1, 2]), t.ones(2)),
    "concentration": lambda d, t: d.Dirichlet(t.tensor([1.0, -2.0])),
    "no dims": lambda d, t: d.Dirichlet(t.tensor(1.0)),
    "no matrix": lambda d, t: d.MultivariateNormal(t.zeros(2)),
    "two matrices": lambda d, t: d.MultivariateNormal(t.zeros(2), t.eye(2), t.eye(2)),
    "a vector": lambda d, t: d.MultivariateNormal(t.zeros(2), t.ones(2)),
    "indefinite": lambda d, t: d.MultivariateNormal(t.zeros(2), t.ones(2, 2)),
    "asymmetric": lambda d, t: d.MultivariateNormal(t.zeros(2), t.tensor([[1.0, 0.5], [0.0, 1.0]])),
    "upper": lambda d, t: d.MultivariateNormal(t.zeros(2), scale_tril=t.tensor([[1.0, 1], [0, 1]])),
    "sizes": lambda d, t: d.LowRankMultivariateNormal(t.zeros(2), t.ones(3, 1), t.ones(2)),
    "diagonal": lambda d, t: d.LowRankMultivariateNormal(t.zeros(2), t.zeros(2, 1), -t.ones(2)),
    "one row": lambda d, t: d.LKJCholesky(1),
    "freedom": lambda d, t: d.Wishart(t.tensor(1.0), t.eye(3)),
    "dims": lambda d, t: d.Independent(d.Normal(t.zeros(2), t.ones(2)), 2),
    "mixture": lambda d, t: d.MixtureSameFamily(d.Normal(0.0, 1.0), d.Normal(t.zeros(2), 1.0)),
    "components": lambda d, t: d.MixtureSameFamily(d.Categorical(t.ones(2)), 3),
    "few components": lambda d, t: d.MixtureSameFamily(
        d.Categorical(t.ones(3)), d.Normal(t.zeros(2), 1.0)),
    "batches": lambda d, t: d.MixtureSameFamily(
        d.Categorical(t.ones(4, 2)), d.Normal(t.zeros(3, 2), 1.0)),
    "transforms": lambda d, t: d.TransformedDistribution(d.Normal(0.0, 1.0), [3]),
    "few dims": lambda d, t: d.TransformedDistribution(
        d.Normal(0.0, 1.0), d.StickBreakingTransform()),
    "default": lambda d, t: d.Distribution.set_default_validate_args("yes"),
    "registered": lambda d, t: d.register_kl(3, d.Normal),
    "registered transform": lambda d, t: d.biject_to.register(int, print),
    "no divergence": lambda d, t: d.kl_divergence(d.Normal(0.0, 1.0), d.Cauchy(0.0, 1.0)),
    "no transform": lambda d, t: d.transform_to(d.constraints.boolean),
    "subclass": lambda d, t: _with_init(d)(3).expand((2,)),
}  # fmt: skip


def _with_init(d):
    class Own(d.Normal):
        def __init__(self, loc):
            super().__init__(loc, 1.0)

    return Own


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, peer):
    kinds = []
    for t in (torch, peer):
        with pytest.raises((ValueError, NotImplementedError, TypeError)) as found:
            REFUSED[name](t.distributions, t)
        kinds.append(found.type)
    assert kinds[0] is kinds[1]


def test_a_subclass_without_init_expands(peer):
    for t in (torch, peer):
        kind = type("Own", (t.distributions.Normal,), {})
        found = kind(t.zeros(2), 1.0).expand((3, 2))
        assert type(found) is kind and tuple(found.batch_shape) == (3, 2)


def test_checks_can_be_turned_off(peer):
    for t in (torch, peer):
        base = t.distributions.Distribution
        assert t.distributions.Normal(0.0, -1.0, validate_args=False).scale == -1
        base.set_default_validate_args(False)
        try:
            assert t.distributions.Normal(0.0, -1.0).scale == -1
        finally:
            base.set_default_validate_args(True)


def test_distributions_without_constraints_warn(peer):
    for t in (torch, peer):
        with pytest.warns(UserWarning, match="arg_constraints"):
            made = t.distributions.Distribution()
        with pytest.warns(UserWarning, match="support"):
            made._validate_sample(t.zeros(()))
        with pytest.raises(NotImplementedError):
            made.sample()
        with pytest.warns(FutureWarning):
            assert tuple(t.distributions.Normal(0.0, 1.0).sample_n(3).shape) == (3,)


def test_gradient_of_wishart_samples(peer):
    """With the noise held, samples are L·M·Lᵀ."""
    made = Made(torch, "Wishart-scale_tril", "float64")
    sample = made.distribution.rsample((4,))
    (got,) = slopes(torch, sample, made.parameters[1:])
    L = peer.tensor(_TRIL, dtype=peer.float64, requires_grad=True)
    inverse = peer.linalg.inv(L.detach())
    M = inverse @ peer.from_numpy(sample.detach().numpy()) @ inverse.T
    (want,) = slopes(peer, L @ M @ L.T, [L])
    same(got, want, 1e-6, "gradient of samples")


def test_few_degrees_of_freedom_warn(peer):
    for t in (torch, peer):
        with pytest.warns(UserWarning):
            t.distributions.Wishart(t.tensor(1.5), t.eye(2))


def test_every_class_has_a_case(peer):
    for t in (torch, peer):
        base, space = t.distributions.Distribution, t.distributions
        names = {
            n for n, o in vars(space).items()
            if inspect.isclass(o) and issubclass(o, base)
        } - {"Distribution", "ExponentialFamily"}  # fmt: skip
        tested = {n.split("-")[0] for n in CASES} | {n for n, *_ in UNIVARIATE}
        assert names == tested


def test_every_public_name_exists(peer):
    spaces = ["", ".constraints", ".transforms", ".utils", ".kl", ".constraint_registry"]
    for space in spaces:
        ours, theirs = (
            __import__(f"{t.__name__}.distributions{space}", fromlist=["x"]) for t in (torch, peer)
        )
        assert set(theirs.__all__) <= {*ours.__all__, "identity_transform"}
        assert [n for n in theirs.__all__ if not hasattr(ours, n)] == []
    modules = {c.__module__ for c in vars(peer.distributions).values() if inspect.isclass(c)}
    for module in sorted(modules):
        __import__(module.replace("torch.", "rushlight.", 1))


def _arguments(function):
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def test_methods_take_the_same_arguments(peer):
    ours, theirs = torch.distributions, peer.distributions
    unused = {("CorrCholeskyTransform", "log_abs_det_jacobian")}
    wrong = []
    for name, kind in vars(theirs).items():
        if not inspect.isclass(kind):
            continue
        for method in dir(kind):
            found = inspect.getattr_static(kind, method)
            if not inspect.isfunction(found) or (method.startswith("_") and method != "__init__"):
                continue
            mine = inspect.getattr_static(getattr(ours, name), method)
            if _arguments(mine) != _arguments(found) and (name, method) not in unused:
                wrong.append((name, method))
    assert wrong == []


# Divergences ----------------------------------------------------------------------------------


def _pool(t, f):
    """One or two distributions for each class that has a divergence."""
    d = t.distributions
    return [
        d.Bernoulli(f([0.2, 1.0, 0.0])), d.Bernoulli(logits=f([0.5, -1.0, 2.0])),
        d.Beta(f([1.5, 3.0, 2.0]), f([0.7, 1.0, 4.0])), d.Beta(f([2.5, 1.0, 0.9]), f([1.7, 1.3, 2.0])),
        d.Binomial(6, f([0.1, 0.5, 0.9])), d.Binomial(f([6.0, 4.0, 6.0]), f([0.3, 0.5, 0.2])),
        d.Categorical(f([_P[0], [0.5, 0.0, 0.5]])), d.Categorical(f([_P[1], [0.0, 0.2, 0.8]])),
        d.ContinuousBernoulli(f([0.1, 0.3, 0.9])), d.ContinuousBernoulli(f([0.6, 0.2, 0.7])),
        d.Dirichlet(f([[0.5, 2.0, 4.0]])), d.Dirichlet(f([[1.5, 0.3, 0.4]])),
        d.Exponential(f([0.3, 1.0, 5.0])), d.Exponential(f([2.0, 1.5, 0.5])),
        d.Gamma(f([0.7, 1.0, 5.0]), f([0.5, 1.0, 3.0])), d.Gamma(f([2.0, 1.5, 0.5]), f([1.0, 2.0, 0.7])),
        d.Geometric(f([0.2, 0.5, 0.9])), d.Geometric(f([0.7, 0.4, 0.3])),
        d.Gumbel(f([0.0, 1.0, -1.0]), f([0.5, 1.0, 2.0])), d.Gumbel(f([0.5, -1.0, 0.0]), f([1.5, 1.0, 0.7])),
        d.HalfNormal(f([0.5, 1.0, 2.0])), d.HalfNormal(f([2.0, 1.5, 1.0])),
        d.Laplace(f([0.0, 1.0, -1.0]), f([0.5, 1.0, 2.0])), d.Laplace(f([0.5, -1.0, 0.0]), f([1.5, 1.0, 0.7])),
        d.Cauchy(f([0.0, 1.0, -1.0]), f([0.5, 1.0, 2.0])), d.Cauchy(f([0.5, -1.0, 0.0]), f([1.5, 1.0, 0.7])),
        d.Normal(f([0.0, 1.0, -1.0]), f([0.5, 1.0, 2.0])), d.Normal(f([0.5, -1.0, 0.0]), f([1.5, 1.0, 0.7])),
        d.LogNormal(f([0.0, 1.0, -1.0]), f([0.5, 1.0, 2.0])), d.LogNormal(f([0.5, -1.0, 0.0]), f([1.5, 1.0, 0.7])),
        d.Independent(d.Normal(f([0.0, 1.0, -1.0]), f([0.5, 1.0, 2.0])), 1),
        d.Independent(d.Normal(f([0.5, -1.0, 0.0]), f([1.5, 1.0, 0.7])), 1),
        d.LowRankMultivariateNormal(f(_X[0]), f(_W), f(_DIAGONAL)),
        d.LowRankMultivariateNormal(f(_X), f(_W) * 0.5, f(_DIAGONAL[::-1])),
        d.MultivariateNormal(f(_X), f(_COV)), d.MultivariateNormal(f(_X[1]), scale_tril=f([_TRIL, _TRIL])),
        d.OneHotCategorical(f(_P[0])), d.OneHotCategoricalStraightThrough(f(_P[1])),
        d.Pareto(f([0.5, 1.0, 2.0]), f([0.8, 1.5, 4.0])), d.Pareto(f([0.4, 2.0, 1.0]), f([2.0, 2.5, 1.0])),
        d.Poisson(f([0.3, 2.0, 30.0])), d.Poisson(f([1.3, 1.0, 20.0])),
        d.Uniform(f([-1.0, 0.2, 2.0]), f([0.5, 0.7, 9.0])), d.Uniform(f([-2.0, -0.1, 3.0]), f([0.9, 1.1, 5.0])),
    ]  # fmt: skip


def _divergences(t, dtype):
    """(names of the classes, the divergence, its gradients) of each pair in the pool."""
    dtype = getattr(t, dtype)
    parameters = []

    def f(values):
        parameters.append(t.tensor(values, dtype=dtype, requires_grad=True))
        return parameters[-1]

    pool = _pool(t, f)
    for p, q in itertools.product(pool, repeat=2):
        found = outcome(lambda p=p, q=q: t.distributions.kl_divergence(p, q))
        if isinstance(found, type):
            yield type(p), type(q), found, ()
        else:
            finite = found.masked_fill(found.isinf(), 0.0)
            grads = slopes(t, finite, parameters) if finite.requires_grad else ()
            yield type(p), type(q), found, grads


def test_divergences(peer):
    seen = set()
    for ours, theirs in zip(
        _divergences(torch, "float64"), _divergences(peer, "float64"), strict=True
    ):
        (*kinds, got, got_slopes), (a, b, want, want_slopes) = ours, theirs
        what = f"KL({a.__name__} ‖ {b.__name__})"
        assert [k.__name__ for k in kinds] == [a.__name__, b.__name__]
        same(got, want, 1e-7, what)
        if not isinstance(want, type):
            seen.add((a, b))
        if not isinstance(want, type) and not want.isinf().any():
            same_slopes(got_slopes, want_slopes, 1e-6, what)
    registered = set(peer.distributions.kl._KL_REGISTRY)
    general = {(k, k) for k in map(peer.distributions.__dict__.get, GENERAL)}
    assert registered - general <= seen


#: Classes whose formula serves subclasses only; these have formulas of their own in the pool.
GENERAL = ("ExponentialFamily", "TransformedDistribution")


def test_divergence_of_an_exponential_family(peer):
    found = []
    for t in (torch, peer):
        kind = type("Own", (t.distributions.Gamma,), {})
        t.distributions.register_kl(kind, kind)(
            t.distributions.kl._kl_expfamily_expfamily
            if t is peer
            else t.distributions.kl.same.exponential_family
        )
        made = [kind(t.tensor(a), t.tensor(b)) for a, b in [(2.0, 3.0), (1.5, 0.7)]]
        found.append(t.distributions.kl_divergence(*made))
    same(*found, 1e-5, "exponential family")


def test_entropy_by_the_log_normalizer(peer):
    found = []
    for t in (torch, peer):
        gamma = t.distributions.Gamma(t.tensor([2.0, 0.7]), t.tensor([3.0, 1.0]))
        found.append(t.distributions.ExponentialFamily.entropy(gamma))
    same(*found, 1e-5, "entropy")


def test_divergence_of_the_nearest_classes(peer):
    for t in (torch, peer):
        d = t.distributions
        near, nearer = type("Near", (d.Normal,), {}), None
        nearer = type("Nearer", (near,), {})
        d.register_kl(near, d.Normal)(lambda p, q: "near")
        assert d.kl_divergence(nearer(0.0, 1.0), near(0.0, 1.0)) == "near"
        assert d.kl_divergence(d.Normal(0.0, 1.0), near(0.0, 1.0)) == 0
