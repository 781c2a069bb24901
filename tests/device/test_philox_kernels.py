"""Kernels that draw CUDA's random numbers, on OpenCL: the numbers of ``draw/philox.py``."""

import warnings
from collections import Counter

import ml_dtypes
import numpy as np
import pytest

import rushlight as T
from rushlight import nn, random
from rushlight.compiler.capture import tracked_memory
from rushlight.compiler.device import draws
from rushlight.device_array import driver_of
from rushlight.draw import philox, philox_rejection
from rushlight.locks import new_lock
from rushlight.ops.core import remote_calls
from rushlight.ops.random.on_devices import philox_integer
from rushlight.ops.random.sampling import drawn_
from rushlight.random import PhiloxGenerator
from rushlight.strides import fill

F = nn.functional
HALF, BFLOAT, SINGLE, DOUBLE = map(np.dtype, (np.float16, ml_dtypes.bfloat16, "f4", "f8"))
BYTE, INT, LONG, BOOL, COMPLEX = map(np.dtype, ("u1", "i4", "i8", "?", "c8"))
DRAWS = [
    *[(name, numbers, dtype) for dtype in (SINGLE, DOUBLE) for name, numbers in (
        ("uniform", (-2.5, 7.3)), ("normal", (1.5, 0.3)), ("log_normal", (0.3, 0.7)),
        ("exponential", (1.7,)), ("cauchy", (1.0, 0.3)), ("geometric", (0.3,)),
        ("dropout", (0.3,)), ("bernoulli", (0.3,)), ("full_range", ()), ("integers", (-9, 99)),
    )],
    ("uniform", (0.0, 0.1), HALF), ("uniform", (), SINGLE), ("normal", (), BFLOAT),
    ("dropout", (1 - 1e-6,), HALF), ("full_range", (), BOOL), ("full_range", (), LONG),
    ("integers", (0, 7), BYTE), ("integers", (5, None), INT), ("geometric", (0.1,), LONG),
    ("integers", (-(2**40), 2**50), LONG), ("integers", (-(2**63), None), LONG),
    ("integers", (-(2**63), 2**63 - 1), LONG),
    ("uniform", (-1.0, 2.0), COMPLEX), ("normal", (0.5, 2.0), COMPLEX),
    ("four_by_four", (), SINGLE), ("one_by_one", (13,), SINGLE),
]  # fmt: skip


@pytest.fixture
def device(monkeypatch):
    """An OpenCL device whose generator is CUDA's."""
    if not T.opencl.is_available():
        pytest.skip("no OpenCL device")
    d = T.device("opencl", 0)
    if not driver_of(d).doubles:
        pytest.skip("no float64")
    own = PhiloxGenerator(d).manual_seed(0)
    monkeypatch.setitem(random._of_devices, d, own)
    for module in (remote_calls, tracked_memory, draws):
        monkeypatch.setattr(module, "generator_of", lambda d: own)
    return d


@pytest.fixture
def generator(device):
    """Its generator."""
    return remote_calls.generator_of(device)


class Stream:
    """A generator at the same place, for the host."""

    def __init__(self, generator):
        self.seed, self.blocks = generator.initial_seed(), generator.blocks
        self.offset, self.lock = generator.get_offset(), new_lock()

    def initial_seed(self):
        return self.seed

    def take(self, count):
        self.offset += count
        return self.offset - count


def _on_host(stream, name, numbers, out):
    if name == "dropout":
        return philox.dropout_noise(stream, out, *numbers)
    return fill(out, getattr(philox, name)(stream, out.size, out.dtype, *numbers))


@pytest.mark.parametrize(("name", "numbers", "dtype"), DRAWS)
def test_kernels_make_the_numbers_of_the_host(device, generator, name, numbers, dtype):
    """With one step of all threads and with several, neighbours together, and in any layout."""
    generator.manual_seed(2**63 + 12345)
    generator.set_offset(2**34 - 8)  # the step's upper half changes
    moved = driver_of(device).moved
    for blocks, shape, order in ((16, (13,), None), (1, (26, 4, 13), (2, 0, 1))):
        generator.blocks = blocks
        stream = Stream(generator)
        out = np.empty(shape, dtype)
        if order is not None:
            out = np.empty([shape[i] for i in order], dtype).transpose(np.argsort(order))
        want = _on_host(stream, name, numbers, out)
        with device:
            found = drawn_(shape=shape, dtype=dtype, distribution=name, parameters=numbers,
                           generator=generator, order=order)  # fmt: skip
        assert driver_of(device).moved - moved <= 56 * 2  # the seed, the step and the parameters
        got, moved = found.cpu()._array, driver_of(device).moved
        assert got.strides == want.strides
        assert generator.get_offset() == stream.offset
        wide = np.complex128 if dtype == COMPLEX else np.float64
        got, want = got.astype(wide), want.astype(wide)
        exact = name not in ("normal", "log_normal", "exponential", "cauchy")
        ulp = {"d": 1e-13, "e": 1e-2, "E": 1e-2}.get(dtype.char, 3e-6)
        np.testing.assert_allclose(got, want, 0 if exact else ulp, 0 if exact else ulp)


def test_places_beyond_32_bits(device):
    """Which thread's word an element takes, far behind in a tensor that nobody could hold here."""
    threads, seed, turns = 300 * 256, 2**63 + 5, 2**17
    k, thread = np.arange(8) % 4, np.arange(8) * 7919
    place = turns * 4 * threads + k * threads + thread
    want = [philox.words(seed, 3 + turns, t + 1)[n, t] for n, t in zip(k, thread, strict=True)]
    with device:
        found = philox_integer(
            T.from_numpy(place).to(device), T.tensor(seed - 2**64, device=device), 3, threads, 0,
            way=(4, 1, False, True), long=False,
        )  # fmt: skip
    assert place.min() > 2**32
    assert found.tolist() == want


REJECTED = [
    ("poisson", T.poisson, (0.0, 63.0, 4000.0, 4001.0, 1e6), (SINGLE, DOUBLE, HALF)),
    ("gamma", T._standard_gamma, (0.0, 0.3, 1.0, 50.0, np.inf), (SINGLE, DOUBLE)),
    ("dirichlet", T._sample_dirichlet, (0.5, 0.3, 1.0, 2.0, 3.0), (SINGLE, DOUBLE)),
]


@pytest.mark.parametrize(("name", "call", "numbers", "dtypes"), REJECTED)
def test_what_accepts_and_rejects_takes_the_words_of_the_host(
    device, generator, name, call, numbers, dtypes, monkeypatch
):
    monkeypatch.setenv("RUSHLIGHT_FALLBACK", "error")
    for dtype in dtypes:
        x = np.resize(np.array(numbers), (40, 5)).clip(0, 6e4 if dtype == HALF else None)
        x = x.astype(dtype)
        generator.manual_seed(7)
        generator.set_offset(16)
        stream = Stream(generator)
        want = getattr(philox_rejection, name)(stream, x)
        got = call(T.from_numpy(x).to(device)).cpu().numpy()
        assert generator.get_offset() == stream.offset
        np.testing.assert_allclose(got.astype("f8"), want.astype("f8"), rtol=2e-6)
    with pytest.raises(RuntimeError, match="a rate is negative or nan"):
        T.poisson(T.tensor([1.0, -1.0], device=device))


def test_permutations(device):
    found = [T.randperm(n, device=device) for n in (1, 7, 100, 100)]
    for p in found:
        assert p.sort()[0].tolist() == [*range(len(p))]
    assert not T.equal(found[-1], found[-2])
    firsts = T.stack([T.randperm(3, device=device) for _ in range(60)]).cpu()
    assert firsts.unique(dim=0).shape == (6, 3)


@pytest.mark.parametrize("name", ["rand", "randn", "randperm"])
def test_what_gets_no_kernel_is_computed_from_the_position(device, generator, name, monkeypatch):
    draw = getattr(T, name)
    generator.manual_seed(3)
    want = draw(9, device=device)
    generator.manual_seed(3)
    for way in ("_again", "_by_program"):
        monkeypatch.setattr(remote_calls, way, lambda *call: None)
    monkeypatch.setattr(remote_calls, "fallbacks", Counter())
    with pytest.warns(UserWarning, match="philox_draw has no kernel"):
        found = draw(9, device=device)
    _all_equal([found], [want])


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("from=2 > to=1", lambda x: x.uniform_(2, 1)),
        ("std >= 0", lambda x: x.normal_(0, -1)),
        ("lambda > 0", lambda x: x.exponential_(0)),
        ("expects from < to", lambda x: x.random_(3, 3)),
        ("negative", lambda x: T.randperm(-1, device=x.device)),
        ("floating point", lambda x: x.long().cauchy_()),
    ],
)
def test_errors_are_those_of_the_host(device, message, call):
    with pytest.raises((RuntimeError, NotImplementedError), match=message):
        call(T.ones(3, device=device))


# Compiled calls -----------------------------------------------------------------------------


def _some_draws(x, w, d):
    """A draw that nothing reads takes its numbers all the same."""
    T.rand(10, device=d)
    y = F.dropout(x * w, 0.3)
    found = T.rand(3, 5, device=d), T.randn(7, device=d), y, T.bernoulli(x.sigmoid())
    return [*found, *T.autograd.grad((y * y).sum(), w)]


def _draws(x, w, d):
    """All that a program may draw."""
    like = T.ones(2, 3, 4, 5, device=d).to(memory_format=T.channels_last)
    return [
        *_some_draws(x, w, d), T.randint(9, (4,), device=d), x.exp().multinomial(3), x.exp().multinomial(5, True),
        x.clone().exponential_(), T.randperm(10, device=d), T.empty_like(x).uniform_(-1, 2),
        T.empty_like(like).normal_(2, 3), F.rrelu(x, training=True), F.gumbel_softmax(x),
        F.alpha_dropout(x, 0.5), F.dropout2d(like, 0.5), T.empty_like(x).geometric_(0.2),
        T.normal(x, x.abs()), T.poisson(x.exp() * 60), T._standard_gamma(x.exp()),
        T._sample_dirichlet(x.exp()), T.randn(3, dtype=T.complex64, device=d).imag, T.zeros(3, dtype=T.float64, device=d).cauchy_(),
    ]  # fmt: skip


def _all_equal(found, want):
    for f, w in zip(found, want, strict=True):
        T.testing.assert_close(f.detach().cpu(), w.detach().cpu(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("draws", [_some_draws, pytest.param(_draws, marks=pytest.mark.slow)])
def test_compiled_calls_draw_the_numbers_of_eager_ones(device, generator, draws):
    x, w = T.linspace(-1, 1, 48).reshape(6, 8).to(device), T.ones(8, device=device)
    w.requires_grad_()
    compiled = T.compile(draws, fullgraph=True)
    runs = []
    for call in (draws, compiled):
        generator.manual_seed(2**63 + 5)
        runs.append([call(x, w, device) for _ in range(3)])
        runs[-1].append([T.tensor(generator.get_offset())])
    for found, want in zip(*runs, strict=True):
        _all_equal(found, want)
    assert not T.equal(runs[1][0][0], runs[1][1][0])


def test_a_step_with_dropout_moves_a_few_numbers(device, generator):
    """The two masks are made by the kernels that read them: only their position goes there."""
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64),
                          nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)).to(device)  # fmt: skip
    x, y = T.randn(32, 20).to(device), T.randint(0, 10, (32,)).to(device)
    counts = []
    for training in (False, True):
        model.train(training)
        optimizer = T.optim.SGD(model.parameters(), 0.1)

        def step(optimizer=optimizer):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        compiled = T.compile(step, fullgraph=True)
        for _ in range(2):
            compiled()
        driver = driver_of(device)
        before, taken = (driver.launches, driver.moved), generator.get_offset()
        losses = {compiled().item() for _ in range(3)}
        counts.append((driver.launches - before[0], driver.moved - before[1]))
        assert len(losses) == 3
        assert generator.get_offset() - taken == (24 if training else 0)
    (plain, bytes_of_plain), (noisy, moved) = counts
    assert noisy == plain
    assert moved - bytes_of_plain == 3 * 64  # in each call a piece of 64 bytes


def test_compiled_calls_in_graphs_go_on_with_each_replay(device, generator):
    x = T.ones(40, device=device)
    noisy = T.compile(lambda t: (F.dropout(t, 0.5), t + T.rand(40, device=device)), fullgraph=True)
    noisy(x)
    generator.manual_seed(3)
    g = T.opencl.Graph()
    with T.opencl.graph(g):
        found = noisy(x)
    assert generator.get_offset() == 0
    replayed = []
    for _ in range(3):
        g.replay()
        replayed.append([t.clone() for t in found])
    generator.manual_seed(3)
    for one in replayed:
        _all_equal(one, noisy(x))


def test_the_host_draws_what_has_no_kernel_and_all_around_it(device, generator):
    """Binomial numbers are the host's, so it draws the others as well, in order."""
    x = T.full((9,), 3.0, device=device)
    call = lambda: (
        F.dropout(x, 0.5),
        T.binomial(x, x / 4),
        T.rand(5, device=device),
        x.multinomial(3),
    )
    compiled = T.compile(call, fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first call of the host warns
        runs = []
        for f in (call, compiled):
            generator.manual_seed(1)
            runs.append([*f(), *f(), T.tensor(generator.get_offset())])
    _all_equal(*runs)


def test_checkpoints_and_backward_use_the_numbers_of_the_forward(device, generator):
    x = T.linspace(0.5, 1, 60, device=device).requires_grad_()

    def step(x):
        kept = F.dropout(x, 0.5)
        again = T.utils.checkpoint.checkpoint(
            lambda t: F.dropout(t * 2, 0.5), x, use_reentrant=False
        )
        T.rand(3, device=device)
        return kept, again, *T.autograd.grad(kept.sum(), x), *T.autograd.grad(again.sum(), x)

    for call in (step, T.compile(step, fullgraph=True)):
        kept, again, slope, slope_again = [t.detach() for t in call(x)]
        T.testing.assert_close(slope * x.detach(), kept)
        T.testing.assert_close(slope_again * x.detach(), again)
        assert 10 < kept.count_nonzero().item() < 50
        assert not T.equal(kept != 0, again != 0)


def test_states_of_the_generator(device, generator):
    compiled = T.compile(lambda: F.dropout(T.ones(50, device=device), 0.5), fullgraph=True)
    compiled()
    state = generator.get_state()
    first = compiled()
    generator.set_state(state)
    assert T.equal(compiled(), first)
    later = generator.get_state()
    generator.set_state(state)
    compiled()
    assert T.equal(generator.get_state(), later)


def test_explanations_of_programs_that_draw(device, generator):
    compiled = T.compile(lambda: F.dropout(T.ones(50, device=device), 0.5), fullgraph=True)
    compiled()
    before = generator.get_offset()
    assert "philox_unit" in str(T.compiler.explain(compiled)())
    assert generator.get_offset() == before + 4
