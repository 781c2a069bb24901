"""Transforms, constraints and their registries against live PyTorch."""

import copy
import inspect
import itertools
import pickle

import numpy as np
import pytest

import rushlight as torch
from tests.distributions.test_distributions import slopes
from tests.distributions.test_univariate import outcome, same

pytestmark = pytest.mark.parity

_LINE = [-1.5, 0.3, 2.0]
_GRID = [[-1.5, 0.3, 2.0], [0.7, -0.2, 1.1]]
_SQUARE = [[0.5, 0.3, -1.0], [1.0, -0.7, 0.2], [0.1, 0.4, 0.9]]

#: name → (a function of the transforms and of a maker of tensors, x)
CASES = {
    "AbsTransform": (lambda d, f: d.AbsTransform(), _LINE),
    "AffineTransform": (lambda d, f: d.AffineTransform(1.0, -2.0), _LINE),
    "AffineTransform-tensors": (lambda d, f: d.AffineTransform(f([0.5, 1.0, 2.0]), f([-1.0, 2.0, 3.0])), _GRID),
    "AffineTransform-events": (lambda d, f: d.AffineTransform(f([[0.5], [1.0]]), f([-3.0, 2.0, 1.0]), event_dim=1), _GRID),
    "AffineTransform-wider": (lambda d, f: d.AffineTransform(0, f([[0.5], [1.0]])), _LINE),
    "CatTransform": (
        lambda d, f: d.CatTransform([d.ExpTransform(), d.TanhTransform()], dim=-1, lengths=[1, 2]), _GRID),
    "CatTransform-rows": (lambda d, f: d.CatTransform([d.ExpTransform(), d.SigmoidTransform()], dim=0), _GRID),
    "CatTransform-events": (
        lambda d, f: d.CatTransform([d.AffineTransform(0.0, 2.0, event_dim=1), d.ExpTransform()], dim=-2), _GRID),
    "ComposeTransform": (
        lambda d, f: d.ComposeTransform([d.AffineTransform(0.5, f(2.0)), d.SigmoidTransform()]), _GRID),
    "ComposeTransform-events": (
        lambda d, f: d.ComposeTransform(
            [d.ExpTransform(), d.StickBreakingTransform(), d.AffineTransform(0.0, 3.0)]), _GRID),
    "ComposeTransform-reshaped": (
        lambda d, f: d.ComposeTransform(
            [d.ReshapeTransform((3,), (3, 1)), d.AffineTransform(0.0, f([2.0, -1.0]).reshape(2, 1, 1)), ]), _GRID),
    "CorrCholeskyTransform": (lambda d, f: d.CorrCholeskyTransform(), _GRID),
    "CumulativeDistributionTransform": (
        lambda d, f: d.CumulativeDistributionTransform(_normal(d, f)), _GRID),
    "ExpTransform": (lambda d, f: d.ExpTransform(), _LINE),
    "IndependentTransform": (lambda d, f: d.IndependentTransform(d.ExpTransform(), 1), _GRID),
    "LowerCholeskyTransform": (lambda d, f: d.LowerCholeskyTransform(), _SQUARE),
    "PositiveDefiniteTransform": (lambda d, f: d.PositiveDefiniteTransform(), [_SQUARE, _SQUARE[::-1]]),
    "PowerTransform": (lambda d, f: d.PowerTransform(f([2.0, -0.5, 1.5])), [[0.5, 1.0, 2.0]] * 2),
    "ReshapeTransform": (lambda d, f: d.ReshapeTransform((3,), (3, 1)), _GRID),
    "SigmoidTransform": (lambda d, f: d.SigmoidTransform(), [-200.0, -1.0, 0.0, 3.0]),
    "SoftmaxTransform": (lambda d, f: d.SoftmaxTransform(), _GRID),
    "SoftplusTransform": (lambda d, f: d.SoftplusTransform(), [-5.0, 0.3, 30.0]),
    "StackTransform": (
        lambda d, f: d.StackTransform([d.ExpTransform(), d.AffineTransform(1.0, f(2.0))], dim=0), _GRID),
    "StickBreakingTransform": (lambda d, f: d.StickBreakingTransform(), _GRID),
    "TanhTransform": (lambda d, f: d.TanhTransform(), _LINE),
    "identity_transform": (lambda d, f: d.transforms.identity_transform, _LINE),
}  # fmt: skip
TOLERANCE = {"float32": 2e-5, "float64": 1e-8}
cases = pytest.mark.parametrize("name", CASES)


def _normal(d, f):
    return d.Normal(f([0.0, 1.0, -1.0]), f([1.0, 2.0, 0.5]))


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def make(t, name, dtype="float32"):
    """(the transform, x)."""
    build, values = CASES[name]
    f = lambda v: t.tensor(v, dtype=getattr(t, dtype))
    return build(t.distributions, f), f(values).requires_grad_()


def both(peer, name, dtype="float32"):
    return [(t, *make(t, name, dtype)) for t in (torch, peer)]


@cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(name, dtype, peer):
    results = []
    for t, transform, x in both(peer, name, dtype):
        y = transform(x)
        back = transform.inv(y)
        jacobian = outcome(lambda m=transform, x=x, y=y: m.log_abs_det_jacobian(x, y))
        found = [y, back, jacobian]
        found += [outcome(lambda m=transform, x=x, y=y: m.inv.log_abs_det_jacobian(y, x))]
        grads = [
            () if isinstance(o, type) or not o.requires_grad else slopes(t, o, [x])
            for o in found[:3]
        ]
        results.append((found, grads))
    (got, got_slopes), (want, want_slopes) = results
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        same(g, w, TOLERANCE[dtype], f"output {k}")
    for k, (gs, ws) in enumerate(zip(got_slopes, want_slopes, strict=True)):
        for g, w in zip(gs, ws, strict=True):
            assert (g is None) == (w is None)
            if w is not None:
                same(g, w, 50 * TOLERANCE[dtype], f"gradient of output {k}")


def _answer(call):
    found = outcome(call)
    return found if isinstance(found, type) else repr(found)


@cases
def test_properties(name, peer):
    answers = []
    for _, transform, x in both(peer, name):
        shape = tuple(x.shape)
        asked = [
            lambda m=transform, a=a: getattr(m, a)
            for a in ("domain", "codomain", "bijective", "event_dim")
        ]
        asked += [
            lambda m=transform: m,
            lambda m=transform: m.inv,
            lambda m=transform: m.inv.domain,
            lambda m=transform: m.inv.codomain,
            lambda m=transform: m.inv.bijective,
            lambda m=transform, s=shape: tuple(m.forward_shape(s)),
            lambda m=transform, s=shape: tuple(m.inverse_shape(m.forward_shape(s))),
            lambda m=transform: tuple(m.forward_shape(())),
            lambda m=transform: tuple(m.inverse_shape((2, 5, 4))),
            lambda m=transform: m.with_cache(1)._cache_size,
            lambda m=transform: m.inv.inv is m,
            lambda m=transform: m.inv is m.inv,
            lambda m=transform: m == copy.deepcopy(m),
            lambda m=transform: m == m.inv,
            lambda m=transform: m.inv == m.inv,
        ]
        answers.append([_answer(a) for a in asked])
        signs = outcome(lambda m=transform: m.sign)
        answers[-1].append(
            signs if isinstance(signs, type) else np.asarray(signs, np.float64).tolist()
        )
    for k, (got, want) in enumerate(zip(*answers, strict=True)):
        if isinstance(want, type):
            assert isinstance(got, type) and issubclass(got, want), k
        else:
            assert got == want, k


@cases
def test_cached_inverse_is_the_very_value(name, peer):
    for _, transform, x in both(peer, name):
        cached = transform.with_cache(1)
        y = cached(x)
        assert cached(x) is y or name == "identity_transform"
        if not name.startswith(("CatTransform", "StackTransform")):
            assert cached.inv(y) is x


@cases
def test_pickled(name):
    transform, x = make(torch, name)
    transform = transform.with_cache(1)
    want = transform(x)
    assert transform.inv is not None
    found = pickle.loads(pickle.dumps(transform))
    same(found(x), want, 0, "pickled")


def test_every_transform_has_a_case(peer):
    base = peer.distributions.Transform
    names = {
        n for n, o in vars(peer.distributions.transforms).items()
        if inspect.isclass(o) and issubclass(o, base) and not n.startswith("_")
    } - {"Transform"}  # fmt: skip
    assert names == {n.split("-")[0] for n in CASES} - {"identity_transform"}


REFUSED = {
    "cache": lambda d, t: d.ExpTransform(cache_size=2),
    "shapes": lambda d, t: d.ReshapeTransform((2, 3), (5,)),
    "a shape": lambda d, t: d.ReshapeTransform((2, 3), (6,)).forward_shape((3, 2)),
    "few dims": lambda d, t: d.ReshapeTransform((2, 3), (6,)).inverse_shape(()),
    "parts": lambda d, t: d.CatTransform([3]),
    "slices": lambda d, t: d.StackTransform([d.ExpTransform()], 5)(t.zeros(1)),
    "count": lambda d, t: d.StackTransform([d.ExpTransform()])(t.zeros(2)),
    "length": lambda d, t: d.CatTransform([d.ExpTransform()])(t.zeros(2)),
    "numbers": lambda d, t: d.CorrCholeskyTransform().forward_shape((2,)),
    "no square": lambda d, t: d.CorrCholeskyTransform().inverse_shape((2, 3)),
    "dims": lambda d, t: d.IndependentTransform(d.ExpTransform(), 2)(t.zeros(1)),
    "no Jacobian": lambda d, t: d.AbsTransform().log_abs_det_jacobian(t.zeros(1), t.zeros(1)),
    "abstract": lambda d, t: d.Transform()(t.zeros(1)),
    "abstract inverse": lambda d, t: d.Transform()._inverse(t.zeros(1)),
    "abstract sign": lambda d, t: d.Transform().sign,
    "hash": lambda d, t: hash(d.ExpTransform()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, peer):
    kinds = []
    for t in (torch, peer):
        with pytest.raises((ValueError, NotImplementedError, AssertionError, TypeError)) as found:
            REFUSED[name](t.distributions, t)
        kinds.append(found.type)
    assert kinds[0] is kinds[1]


# Constraints ----------------------------------------------------------------------------------


def _constraints(c, t):
    """(constraint, shape of values or None for a single number)."""
    two = t.tensor([0.0, 1.0])
    scalars = [
        c.boolean, c.nonnegative_integer, c.positive_integer, c.integer_interval(-1, 2), c.real,
        c.positive, c.nonnegative, c.greater_than(0.5), c.greater_than_eq(0.5), c.less_than(0.5),
        c.unit_interval, c.interval(-1.0, 0.5), c.half_open_interval(-1.0, 1.0),
    ]  # fmt: skip
    vectors = [
        c.real_vector, c.one_hot, c.simplex, c.multinomial(2), c.independent(c.positive, 1),
        c.greater_than(two), c.cat([c.real, c.positive], -1), c.stack([c.positive, c.real], -1),
        c.cat([c.positive], 0, [3]), c.MixtureSameFamilyConstraint(c.greater_than(two)),
        c.MixtureSameFamilyConstraint(c.simplex), c.independent(c.real, 0),
    ]  # fmt: skip
    matrices = [
        c.square, c.symmetric, c.lower_triangular, c.lower_cholesky, c.corr_cholesky,
        c.positive_definite, c.positive_semidefinite,
    ]  # fmt: skip
    return scalars, vectors, matrices


NUMBERS = [-1.5, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, float("nan"), float("inf")]
VECTORS = [[0.0, 1.0], [0.5, 0.5], [1.0, 1.0], [-1.0, 2.0], [float("nan"), 1.0]]
MATRICES = [
    [[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.5], [0.5, 1.0]], [[1.0, 1.0], [1.0, 1.0]],
    [[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]], [[-1.0, 0.0], [0.0, -1.0]],
]  # fmt: skip


def test_constraints(peer):
    kinds = [_constraints(t.distributions.constraints, t) for t in (torch, peer)]
    values = (NUMBERS, VECTORS + [VECTORS[0]], MATRICES)
    for ours, theirs, data in zip(*kinds, values, strict=True):
        for c, e in zip(ours, theirs, strict=True):
            assert repr(c) == repr(e)
            assert (c.event_dim, c.is_discrete) == (e.event_dim, e.is_discrete), c
            if data is MATRICES:
                batches = [*data, data[1:3], data]
            else:
                batches = [data, data[:3]]
            for batch in batches:
                got, want = (
                    outcome(lambda x=x, t=t, b=batch: x.check(t.tensor(b)))
                    for x, t in ((c, torch), (e, peer))
                )
                same(got, want, 0, f"{c} {batch}")


def test_dependent_constraints(peer):
    for t in (torch, peer):
        c = t.distributions.constraints
        assert c.is_dependent(c.dependent) and not c.is_dependent(c.real)
        known = c.dependent(is_discrete=True, event_dim=1)
        assert (known.is_discrete, known.event_dim) == (True, 1)
        for wrong in (lambda c=c: c.dependent.event_dim, lambda c=c: c.dependent.is_discrete):
            with pytest.raises(NotImplementedError):
                wrong()
        with pytest.raises(ValueError):
            c.dependent.check(t.zeros(1))
        kind = t.distributions.Uniform
        assert c.is_dependent(kind.support) and kind.support.event_dim == 0


def test_refused_constraints(peer):
    for t in (torch, peer):
        c = t.distributions.constraints
        for wrong in (
            lambda c=c: c.cat([1]), lambda c=c: c.stack([1]), lambda c=c: c.independent(1, 1),
            lambda c=c: c.independent(c.real, -1), lambda c=c: c.cat([c.real], lengths=[1, 2]),
            lambda c=c, t=t: c.stack([c.real]).check(t.zeros(())),
            lambda c=c: c.MixtureSameFamilyConstraint(1),
        ):  # fmt: skip
            with pytest.raises(AssertionError):
                wrong()
        with pytest.raises(ValueError):
            c.independent(c.real, 1).check(t.zeros(()))


def _registered(c, f):
    return [
        c.real, c.positive, c.nonnegative, c.greater_than(1.0), c.greater_than_eq(f([0.5, 1.0, 2.0])),
        c.less_than(1.0), c.unit_interval, c.interval(f([0.0, 1.0, 2.0]), 3.0), c.half_open_interval(0.0, 1.0),
        c.simplex, c.lower_cholesky, c.corr_cholesky, c.positive_definite, c.positive_semidefinite,
        c.real_vector, c.independent(c.positive, 1), c.boolean, c.one_hot,
        c.stack([c.real, c.positive], -2), c.cat([c.real, c.positive], -1, [1, 2]),
    ]  # fmt: skip


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_registries(registry, peer):
    lists = []
    for t in (torch, peer):
        find = getattr(t.distributions, registry)
        found = []
        for c in _registered(t.distributions.constraints, t.tensor):
            transform = outcome(lambda c=c, find=find: find(c))
            x = t.tensor(_SQUARE if c.event_dim == 2 and "Corr" not in repr(c) else _GRID)
            found.append((transform, transform if isinstance(transform, type) else transform(x)))
        lists.append(found)
    for (ours, got), (theirs, want) in zip(*lists, strict=True):
        assert isinstance(ours, type) == isinstance(theirs, type), (ours, theirs)
        if not isinstance(theirs, type):
            assert repr(ours) == repr(theirs)
        same(got, want, 2e-5, repr(ours))


def test_registering_a_constraint(peer):
    for t in (torch, peer):
        d = t.distributions
        kind = type("Mine", (type(d.constraints.real),), {})
        assert d.biject_to.register(kind)(lambda c, d=d: d.ExpTransform()) is not None
        assert d.biject_to(kind()) == d.ExpTransform()
        for wrong in (int, 3):
            with pytest.raises(TypeError):
                d.biject_to.register(wrong, print)


@pytest.mark.parametrize("diag, n", [*itertools.product((-2, -1, 0, 1), (2, 3, 4))])
def test_triangles(diag, n, peer):
    matrix = np.arange(2.0 * n * n, dtype=np.float32).reshape(2, n, n)
    found = []
    for t in (torch, peer):
        u = t.distributions.utils
        vector = outcome(lambda u=u, t=t: u.tril_matrix_to_vec(t.from_numpy(matrix), diag))
        found.append((vector, outcome(lambda u=u, v=vector: u.vec_to_tril_matrix(v, diag))))
    for g, w in zip(*found, strict=True):
        same(g, w, 0, "triangle")


def test_shared_functions(peer):
    found = []
    for t in (torch, peer):
        u = t.distributions.utils
        p = t.tensor([0.0, 0.3, 1.0])
        results = [u.clamp_probs(p), u.probs_to_logits(p), u.probs_to_logits(p, is_binary=True)]
        results += [u.logits_to_probs(p), u.logits_to_probs(p, is_binary=True)]
        results += [*u.broadcast_all(p, 1, True), *u.broadcast_all(1, 2.5)]
        results.append(u.broadcast_all(t.ones(2, 1, dtype=t.float64), p)[1])
        for wrong in (
            lambda u=u: u.broadcast_all("1"),
            lambda u=u, p=p: u.tril_matrix_to_vec(p, 5),
        ):
            with pytest.raises(ValueError):
                wrong()
        with pytest.raises(ValueError):
            u.vec_to_tril_matrix(t.zeros(5))
        found.append(results)
    for g, w in zip(*found, strict=True):
        same(g, w, 1e-6, "shared function")
