"""Calls that draw random numbers are replayed with PyTorch's numbers; ``test_replays.py`` runs this.

Replays begin at once in that process, and each is compared with the function itself.
"""

import numpy as np
import pytest

import rushlight
from rushlight.ops.core import replays
from tests.daily import drawn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

N = lambda g: {} if g is None else {"generator": g}

_own: dict = {}


def own(t, x):
    """A tensor that draws write to, always the same one, with the elements of x."""
    key = t.__name__, *x.shape, x.dtype
    if key not in _own:
        _own[key] = t.zeros(x.shape, dtype=x.dtype)
    return _own[key].copy_(x)


#: f(framework, x, generator) draws numbers; the elements of x lie between 0 and 1.
DRAWS = {
    "rand": lambda t, x, g: t.rand(x.shape, **N(g)),
    "rand in a dtype": lambda t, x, g: t.rand(x.shape, dtype=t.float64, **N(g)),
    "randn": lambda t, x, g: t.randn(x.shape, **N(g)),
    "rand_like": lambda t, x, g: t.rand_like(x.t(), **N(g)),
    "randn_like": lambda t, x, g: t.randn_like(x[:, 1:], **N(g)),
    "randint": lambda t, x, g: t.randint(-3, 9, x.shape, **N(g)),
    "large randint": lambda t, x, g: t.randint(-3, 2**40, x.shape, **N(g)),
    "randint of int32": lambda t, x, g: t.randint(7, x.shape, dtype=t.int32, **N(g)),
    "randperm": lambda t, x, g: t.randperm(x.numel(), **N(g)),
    "bernoulli": lambda t, x, g: t.bernoulli(x, **N(g)),
    "bernoulli of p": lambda t, x, g: t.bernoulli(x, 0.3, **N(g)),
    "bernoulli of a half": lambda t, x, g: t.bernoulli(x, 0.5, **N(g)),
    "multinomial": lambda t, x, g: t.multinomial(x, 2, **N(g)),
    "one of multinomial": lambda t, x, g: t.multinomial(x, 1, **N(g)),
    "multinomial with replacement": lambda t, x, g: t.multinomial(x, 5, True, **N(g)),
    "poisson": lambda t, x, g: t.poisson(x * 20, **N(g)),
    "binomial": lambda t, x, g: t.binomial((x * 40).round(), x, **N(g)),
    "gamma": lambda t, x, g: t._standard_gamma(3 * x, **N(g)),
    "dirichlet": lambda t, x, g: t._sample_dirichlet(x, **N(g)),
    "normal": lambda t, x, g: t.normal(x, 2 * x, **N(g)),
    "normal of numbers": lambda t, x, g: t.normal(1.0, 3.0, x.shape, **N(g)),
    "normal_": lambda t, x, g: own(t, x).normal_(1, 2, **N(g)),
    "uniform_": lambda t, x, g: own(t, x).uniform_(-1, 3, **N(g)),
    "random_": lambda t, x, g: own(t, x).random_(**N(g)),
    "random_ of int64": lambda t, x, g: own(t, x.long()).random_(**N(g)),
    "random_ below 100": lambda t, x, g: own(t, x).random_(100, **N(g)),
    "bernoulli_": lambda t, x, g: own(t, x).bernoulli_(0.1, **N(g)),
    "bernoulli_ of x": lambda t, x, g: own(t, x).bernoulli_(x, **N(g)),
    "exponential_": lambda t, x, g: own(t, x).exponential_(2.0, **N(g)),
    "geometric_": lambda t, x, g: own(t, x).geometric_(0.2, **N(g)),
    "cauchy_": lambda t, x, g: own(t, x).cauchy_(**N(g)),
    "log_normal_": lambda t, x, g: own(t, x).log_normal_(**N(g)),
    "rrelu": lambda t, x, g: t.rrelu(x - 0.5, training=True, **N(g)),
    "dropout": lambda t, x, g: t.dropout(x, 0.3, True),
    "dropout of the half": lambda t, x, g: t.nn.functional.dropout(x, 0.5),
    "alpha_dropout": lambda t, x, g: t.alpha_dropout(x, 0.4, True),
    "feature_dropout": lambda t, x, g: t.feature_dropout(x[None], 0.4, True),
    "gumbel_softmax": lambda t, x, g: t.nn.functional.gumbel_softmax(x),
    "fractional_max_pool2d": lambda t, x, g: t.nn.functional.fractional_max_pool2d(
        x.repeat(2, 2)[None], 2, 3, return_indices=True
    ),
    "fractional_max_pool3d": lambda t, x, g: t.nn.functional.fractional_max_pool3d(
        x.repeat(4, 2, 2)[None], 2, (2, 2, 3)
    ),
}  # fmt: skip
#: Their logarithms and sines may differ in the last digits.
CLOSE = (
    "randn", "randn_like", "normal", "normal of numbers", "normal_", "exponential_", "cauchy_",
    "log_normal_", "gamma", "dirichlet", "gumbel_softmax",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", sorted(drawn(range(10**6), 40, "draws")))
def test_random_sequences_of_draws(seed):
    """Draws take turns with seeds, states, forks and other generators."""
    rng = np.random.default_rng(seed)
    chosen = [list(DRAWS)[i] for i in rng.integers(0, len(DRAWS), 4)]
    shape = [(4, 5), (2, 3), (4, 9)][rng.integers(3)]
    dtype = ["f4", "f4", "f8"][rng.integers(3)]
    arrays = [rng.uniform(0.01, 0.99, shape).astype(dtype) for _ in range(2)]
    operands = [[t.from_numpy(a) for a in arrays] for t in (rushlight, torch)]
    streams = [[None, t.Generator(), t.Generator()] for t in (rushlight, torch)]
    states: list = []
    both = (rushlight, *operands[:1], *streams[:1]), (torch, *operands[1:], *streams[1:])

    def reseeded():
        k = int(rng.integers(100))
        which = int(rng.integers(3))
        for t, _, generators in both:
            (generators[which] or t).manual_seed(k)

    def kept():
        which = int(rng.integers(3))
        states.append([(generators[which] or t.random.default_generator).get_state()
                       for t, _, generators in both])  # fmt: skip
        assert states[-1][0].tolist() == states[-1][1].tolist()

    def restored():
        if states:
            pair = states[rng.integers(len(states))]
            which = int(rng.integers(3))
            for (t, _, generators), state in zip(both, pair, strict=True):
                (generators[which] or t.random.default_generator).set_state(state)

    def drawn_by_both():
        name, k = chosen[rng.integers(len(chosen))], int(rng.integers(2))
        which = int(rng.integers(3)) if rng.random() < 0.4 else 0
        found = [DRAWS[name](t, x[k], generators[which]) for t, x, generators in both]
        pairs = zip(*found, strict=True) if type(found[0]) is tuple else [found]
        for ours, theirs in pairs:
            a, b = ours.numpy(), theirs.numpy()
            assert a.dtype == b.dtype and a.shape == b.shape, name
            if name in CLOSE:
                np.testing.assert_allclose(
                    a, b, *((1e-5, 1e-6) if a.itemsize == 4 else (1e-12, 1e-13))
                )
            else:
                assert replays._bits(a) == replays._bits(b), name

    def forked():
        with rushlight.random.fork_rng(), torch.random.fork_rng():
            drawn_by_both()
            reseeded()
            drawn_by_both()

    for t, _, generators in both:
        for k, g in enumerate(generators):
            (g or t).manual_seed(k)
    for _ in range(120):
        p = rng.random()
        act = reseeded if p < 0.04 else kept if p < 0.08 else restored if p < 0.12 else forked
        (drawn_by_both if p > 0.16 else act)()
    for ours, theirs in zip(*streams, strict=True):
        ours, theirs = ours or rushlight.default_generator, theirs or torch.default_generator
        assert ours.get_state().tolist() == theirs.get_state().tolist()


def refused(*given):
    raise AssertionError("a call is not replayed")


@pytest.mark.parametrize("name", [n for n in DRAWS if n != "large randint"])
def test_each_draw_is_replayed(name, monkeypatch):
    """Each draw is replayed at last, from the default generator and from others."""
    x = rushlight.linspace(0.02, 0.98, 20).reshape(4, 5)
    for g in (None, rushlight.Generator()):
        for _ in range(8):  # what draws write to looks the same only after its copy_ is replayed
            DRAWS[name](rushlight, x, g)
        with monkeypatch.context() as m:
            for r in replays.ALL:  # without the comparison, in which the function draws, too
                for cell in getattr(r.run, "__closure__", None) or ():
                    if type(cell.cell_contents) is BUILTIN:
                        m.setattr(r, "run", cell.cell_contents)
            for method in ("words", "double_words", "engine"):
                m.setattr(rushlight.Generator, method, refused)
            DRAWS[name](rushlight, x, g if "dropout" not in name else None)


BUILTIN = type(len)


def test_a_draw_is_taken_back_if_a_guard_gives_the_call_back():
    """Of equal weights, the first call with ties computes again: with the same numbers."""
    weights = [[0.2, 0.5, 0.7, 0.1], [0.0, 0.0, 0.0, 1.0], [np.inf] * 4, [0.0, 1e-45, 1e-45, 0.0]]
    results = []
    for t in (rushlight, torch):
        t.manual_seed(2)
        t.empty(1).normal_()  # a normal waits
        for row in (0, 0, 0, 0, 1, 0, 3, 2, 3, 0):
            try:
                results.append(t.multinomial(t.tensor(weights[row]), 2).tolist())
            except RuntimeError:
                results.append(None)
            results.append(t.empty(1).exponential_().tolist())
        results.append(t.get_rng_state().tolist())
    half = len(results) // 2
    for ours, theirs in zip(results[:half], results[half:], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6) if ours else ours == theirs


def test_a_seed_reaches_the_next_draw():
    for _ in range(5):
        rushlight.manual_seed(7)
        assert (
            rushlight.rand(2, dtype=rushlight.float32).tolist()
            == torch.rand(2, generator=torch.Generator().manual_seed(7)).tolist()
        )


def test_results_follow_the_default_dtype():
    for _ in range(4):
        assert rushlight.rand(3).dtype is rushlight.float32
    rushlight.set_default_dtype(rushlight.float64)
    try:
        for _ in range(4):
            assert rushlight.rand(3).dtype is rushlight.float64
    finally:
        rushlight.set_default_dtype(rushlight.float32)
    assert rushlight.rand(3).dtype is rushlight.float32
