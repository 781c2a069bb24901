"""Random numbers against PyTorch, recorded and live, and what must hold without it."""

import copy
import os
import pickle
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rushlight
from rushlight import draw, selection, strides
from rushlight.draw import rounding
from rushlight.draw.multinomial import _cumulative, _searched
from rushlight.draw.permutation import _durstenfeld, _inside_out
from rushlight.draw.words import CHUNK, F32, F64, doubles, floats
from rushlight.random import BLOCK, STATE, Generator
from tests.golden import make_random
from tests.random_cases import (
    CASES,
    FLOATS,
    INTEGERS,
    NUMPY,
    SEED,
    UNSIGNED,
    check,
    name,
    ours,
    ours_in,
    theirs,
    to_numpy,
    to_torch,
)  # fmt: skip

# Recorded ---------------------------------------------------------------------------------


def test_recorded_draws():
    recorded = make_random.load()
    start = 0
    for case, left in zip(CASES, recorded["left"], strict=True):
        generator = Generator().manual_seed(SEED)
        got = ours(case, generator)
        stop = start + got.nbytes
        wanted = np.frombuffer(recorded["numbers"][start:stop].tobytes(), got.dtype)
        check(case[0], got, wanted.reshape(got.shape))
        assert generator.state_bytes().view(STATE)[0]["left"] == left, name(case)
        start = stop
    assert start == len(recorded["numbers"])


def test_recorded_state():
    recorded = make_random.load()
    generator = Generator().set_state_bytes(recorded["state"])
    np.testing.assert_array_equal(generator.state_bytes(), recorded["state"])
    assert generator.initial_seed() == 2**64 - 3
    check("normal_", draw.normal(generator, 5, F32), recorded["following"])


# Live -------------------------------------------------------------------------------------

BIG = st.integers(-(2**62), 2**62 - 1)
METHODS = {
    "normal_": st.tuples(st.floats(-5, 5), st.floats(0, 5)),
    "uniform_": st.tuples(st.floats(-9, 9), st.floats(0, 9)).map(lambda p: (p[0], sum(p))),
    "exponential_": st.tuples(st.floats(0.1, 9)),
    "log_normal_": st.tuples(st.floats(-2, 2), st.floats(0.1, 2)),
    "cauchy_": st.tuples(st.floats(-5, 5), st.floats(0.1, 5)),
    "geometric_": st.tuples(st.floats(0.01, 0.99)),
    "bernoulli_": st.tuples(st.floats(0, 1)),
    "random_": st.one_of(
        st.just(()),
        st.tuples(BIG, st.integers(1, 2**62)).map(lambda p: (p[0], sum(p))),
        st.tuples(st.integers(-100, 27), st.integers(1, 100)).map(lambda p: (p[0], sum(p))),
        st.tuples(st.integers(-(2**63), 2**62), st.none()),
    ),
}


@st.composite
def draws(draw_):
    method = draw_(st.sampled_from(sorted(METHODS)))
    complex_ = ("complex64", "complex128") if method in ("normal_", "uniform_") else ()
    integral = ("bool", *INTEGERS, *UNSIGNED) if method == "random_" else ()
    dtype = draw_(st.sampled_from((*FLOATS, *complex_, *integral)))
    count = draw_(st.one_of(st.integers(0, 40), st.integers(40, 1500)))
    return method, dtype, count, draw_(METHODS[method])


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=300, deadline=None)
@given(st.lists(draws(), min_size=1, max_size=3), st.integers(-(2**63), 2**64 - 1))
def test_live_draws(cases, seed):
    torch = pytest.importorskip("torch")
    a, b = torch.Generator().manual_seed(seed), Generator().manual_seed(seed)
    for case in cases:  # one generator: the waiting normal goes from one draw into the next
        try:
            wanted = theirs(case, a)
        except (RuntimeError, NotImplementedError) as error:
            with pytest.raises(type(error)):
                ours(case, b)
            continue
        check(case[0], ours(case, b), wanted)
        before, after = b.state_bytes().view(STATE)[0], a.get_state().numpy().view(STATE)[0]
        assert before["normal"] == pytest.approx(after["normal"], rel=1e-14)
        after["normal"] = before["normal"]
        assert before.tobytes() == after.tobytes()


@pytest.mark.parity
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_live_order_in_memory(data):
    torch = pytest.importorskip("torch")
    shape = data.draw(st.lists(st.sampled_from((1, 1, 2, 3, 4)), min_size=1, max_size=5))
    x = torch.zeros([2 * n for n in shape])
    x = x[tuple(slice(None, None, data.draw(st.sampled_from((1, 2)))) for _ in shape)]
    x = x.permute(data.draw(st.permutations(range(len(shape)))))
    method = data.draw(st.sampled_from(("normal_", "uniform_", "random_")))
    memory = np.empty(x.untyped_storage().size() // 4, F32)
    mine = np.lib.stride_tricks.as_strided(memory, x.shape, x.numpy().strides)
    a, b = torch.Generator().manual_seed(5), Generator().manual_seed(5)
    wanted = getattr(x, method)(generator=a).numpy()
    check(method, ours_in(mine, method, (0.0, 1.0) if method != "random_" else (), b), wanted)
    y = x.unsqueeze(0).expand(3, *x.shape) if data.draw(st.booleans()) else x
    like = strides.empty_like(y.numpy()).strides
    for n, wanted, got in zip(y.shape, torch.empty_like(y).stride(), like, strict=True):
        assert n == 1 or got == 4 * wanted


@pytest.mark.parity
def test_live_threads_and_large():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    cases = [
        ("bernoulli_", "float32", 2 * CHUNK + 5, (0.3,)),
        ("exponential_", "float64", CHUNK + 1, (2.0,)),
        ("normal_", "float16", CHUNK + 9, (0.0, 1.0)),
        ("normal_", "float64", CHUNK + 24, (1.0, 2.0)),
        ("random_", "int64", CHUNK + 1, (0, 9)),
        ("randperm", "int32", 70000, ()),
    ]
    try:
        for case in cases:
            for n in (1, 2):
                torch.set_num_threads(n)
                wanted = theirs(case, torch.Generator().manual_seed(1))
                check(case[0], ours(case, Generator().manual_seed(1)), wanted)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1 / 3, 1 - 2.0**-17, 1.0])
def test_live_dropout(dtype, p):
    torch = pytest.importorskip("torch")
    x = torch.linspace(-3, 3, 60).reshape(6, 10).to(getattr(torch, dtype)).t()[:, ::2]
    state = torch.get_rng_state()
    try:
        torch.manual_seed(4)
        wanted = torch.nn.functional.dropout(x, p)
        left = torch.get_rng_state()[8:12]
    finally:
        torch.set_rng_state(state)
    generator = Generator().manual_seed(4)
    got = to_numpy(x) * draw.dropout_noise(generator, to_numpy(x), p)
    np.testing.assert_array_equal(got, to_numpy(wanted))
    assert generator.state_bytes()[8:12].tolist() == left.tolist()


@pytest.mark.parity
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_live_multinomial_with_equals(data):
    torch = pytest.importorskip("torch")
    n = data.draw(st.sampled_from((1, 2, 5, 17, 40, 300)))
    rows = data.draw(st.integers(1, 3))
    levels = data.draw(st.sampled_from((1, 2, 5, 1000)))
    dtype = NUMPY[data.draw(st.sampled_from(FLOATS))]
    w = np.random.default_rng(n).integers(0, levels + 1, (rows, n)).astype(dtype)
    w[:, 0] = 1
    count = data.draw(st.sampled_from(sorted({1, n, max(n // 2, 1), max(n // 70, 1)})))
    replacement = data.draw(st.booleans())
    generator = torch.Generator().manual_seed(2)
    wanted = torch.multinomial(to_torch(w), count, replacement, generator=generator)
    got = draw.multinomial(Generator().manual_seed(2), w, count, replacement)
    np.testing.assert_array_equal(got, wanted.numpy())


@pytest.mark.parametrize("dtype", [F32, F64])
def test_many_samples_of_many_weights(dtype):
    rng = np.random.default_rng(0)
    w = rng.random((2, 1 << 17)).astype(dtype) * (rng.random((2, 1 << 17)) < 0.5)
    got = draw.multinomial(Generator().manual_seed(2), w, 1 << 17, True)
    u = doubles(Generator().manual_seed(2), w.size).reshape(w.shape)
    wanted = [_cumulative(row).searchsorted(own) for row, own in zip(w, u, strict=True)]
    np.testing.assert_array_equal(got, wanted)


def test_a_sample_looks_at_few_weights():
    """It looks at about the logarithm of their number, not at every one."""
    n, count, looks = 1 << 12, 50, []

    class Sums(list):
        def __getitem__(self, i):
            looks.append(i)
            return super().__getitem__(i)

    rng = np.random.default_rng(0)
    sums = Sums([0.0] * n)
    _searched(rng.random(n), rng.random(count), 1, n, count, [0] * count, sums)
    assert len(looks) - n <= count * 13  # each sum is read once to be divided


@pytest.mark.parity
def test_live_states_exchange():
    torch = pytest.importorskip("torch")
    for words in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK):
        a, b = torch.Generator().manual_seed(words), Generator().manual_seed(words)
        torch.empty(words).uniform_(generator=a)
        draw.uniform(b, words, F32)
        np.testing.assert_array_equal(b.state_bytes(), a.get_state().numpy())
        a.set_state(torch.from_numpy(b.state_bytes()))
        b.set_state_bytes(a.get_state().numpy())
        np.testing.assert_array_equal(draw.uniform(b, 9, F32), torch.rand(9, generator=a).numpy())


REFUSED = [
    "torch.Generator().manual_seed(1.5)", "torch.Generator().manual_seed(True)",
    "torch.Generator().manual_seed(2**64)", "torch.Generator().manual_seed(-2**63 - 1)",
    "torch.manual_seed('x')", "torch.manual_seed(2**64)", "torch.Generator('cuda')",
    "torch.Generator('nowhere')", "torch.Generator(2.5)", "torch.Generator().get_offset()",
    "torch.Generator().graphsafe_get_state()", "torch.Generator().set_state([1])",
    "torch.Generator().set_state(torch.zeros(5056))", "torch.Generator().none",
    "torch.Generator().set_state(torch.zeros(5056, dtype=torch.uint8))",
    "torch.Generator().set_state(torch.zeros(10, dtype=torch.uint8))",
    "torch.zeros(3).uniform_(2, 1)", "torch.zeros(3).uniform_(-3e38, 3e38)",
    "torch.zeros(3, dtype=torch.float16).uniform_(0, 7e4)",
    "torch.zeros(3, dtype=torch.int64).uniform_()",
    "torch.zeros(3).normal_(0, -1)", "torch.zeros(3, dtype=torch.int64).normal_()",
    "torch.zeros(3).normal_(0, float('nan'))", "torch.zeros(3).exponential_(0)",
    "torch.zeros(3, dtype=torch.int64).exponential_()", "torch.zeros(3).bernoulli_(1.5)",
    "torch.bernoulli(torch.tensor([0.5, 2.0]))", "torch.bernoulli(torch.tensor([1, 0]))",
    "torch.zeros(3).random_(5, 5)", "torch.zeros(3, dtype=torch.int8).random_(0, 300)",
    "torch.zeros(3, dtype=torch.bool).random_(0, 3)",
    "torch.zeros(3, dtype=torch.uint16).random_()",
    "torch.randint(3, 3, (2,))", "torch.randperm(-1)",
    "torch.randperm(3, dtype=torch.bool)", "torch.randperm(300, dtype=torch.uint8)",
    "torch.multinomial(torch.zeros(2), 1)",
    "torch.multinomial(torch.tensor([1.0, float('nan')]), 1)",
    "torch.multinomial(torch.tensor([1.0, -1.0]), 1, True)", "torch.multinomial(torch.ones(2), 3)",
    "torch.multinomial(torch.ones(2), 0)", "torch.multinomial(torch.ones(2, dtype=torch.int64), 1)",
    "torch.multinomial(torch.ones(1, 2, 2), 1)", "torch.multinomial(torch.ones(0), 1, True)",
    "torch.rand(2, dtype=torch.int64)", "torch.rand(2, generator=3)",
    "torch.random.fork_rng(devices=[0]).__enter__()",
    "torch.random.fork_rng(device_type='nowhere').__enter__()",
]  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("source", REFUSED)
def test_live_error_types(source):
    torch = pytest.importorskip("torch")
    with pytest.raises(Exception) as wanted:
        eval(source, {"torch": torch})
    with pytest.raises(wanted.type):
        eval(source, {"torch": rushlight})


# Without PyTorch --------------------------------------------------------------------------


def test_the_introduction():
    rushlight.manual_seed(7)
    assert repr(rushlight.randn((1, 5))) == (
        "tensor([[-0.1468,  0.7861,  0.9468, -1.1143,  1.6908]])"
    )


def test_generator():
    g = Generator()
    assert g.initial_seed() == 67280421310721
    assert g.device == rushlight.device("cpu")
    assert g.manual_seed(-1) is g
    assert g.initial_seed() == 2**64 - 1
    assert g.seed() == g.initial_seed() != g.seed()
    draw.normal(g, 3, F32)  # a normal waits
    for twin in (g.clone_state(), copy.copy(g), copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
        assert type(twin) is Generator
        assert twin is not g
        np.testing.assert_array_equal(twin.state_bytes(), g.state_bytes())
    state = g.get_state()
    first = rushlight.randn(4, generator=g)
    assert g.set_state(state) is g
    assert (rushlight.randn(4, generator=g) == first).all()
    with pytest.raises(RuntimeError, match="5056 bytes; this has 3"):
        g.set_state_bytes(np.zeros(3, np.uint8))
    broken = g.state_bytes().view(STATE)
    broken["left"] = 77
    with pytest.raises(RuntimeError, match="77 words left"):
        g.set_state_bytes(broken.view(np.uint8))


def test_default_generator():
    generator = rushlight.default_generator
    assert rushlight.manual_seed(3) is generator
    assert rushlight.initial_seed() == 3
    first = rushlight.rand(3)
    with rushlight.random.fork_rng():
        rushlight.manual_seed(5)
        rushlight.randn(3)
    with rushlight.random.fork_rng(enabled=False):
        second = rushlight.rand(3)
    rushlight.manual_seed("3")
    assert (rushlight.rand(3) == first).all()
    state = rushlight.get_rng_state()
    assert (rushlight.rand(3) == second).all()
    rushlight.set_rng_state(state)
    assert (rushlight.rand(3) == second).all()
    assert rushlight.seed() == rushlight.initial_seed()


@pytest.mark.parametrize("drawn", [None, 1, 623, 624, 1000])
def test_a_stream_goes_back_to_a_mark(drawn):
    g = rushlight.Generator().manual_seed(3)
    if drawn is not None:
        rushlight.rand(drawn, generator=g)
        rushlight.randn(1, generator=g)  # of whose pair the second waits
    state, mark = g.clone_state(), g.mark()
    for _ in range(2):
        rushlight.randn(1001, generator=g)
        g.manual_seed(5)
        g.rewind(mark)
        assert g.get_state().tolist() == state.get_state().tolist()
        assert g.initial_seed() == 3


def test_threads_do_not_mix():
    """Every thread's numbers are one run of the stream."""
    g = Generator().manual_seed(1)
    runs = []

    def run():
        runs.append(draw.uniform(g, 3 * CHUNK, F32))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    whole = draw.uniform(Generator().manual_seed(1), 12 * CHUNK, F32).reshape(4, -1)
    assert {r.tobytes() for r in runs} == {r.tobytes() for r in whole}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_another_thread_draws():
    generator = rushlight.default_generator
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            draw.uniform(generator, CHUNK, F32)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                generator.manual_seed(1)
                os._exit(0 if draw.uniform(generator, 3, F32).all() else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
def test_chunks_are_one_stream(count):
    g, h = Generator().manual_seed(9), Generator().manual_seed(9)
    np.testing.assert_array_equal(draw.uniform(g, count, F32), floats(h, count))
    np.testing.assert_array_equal(draw.uniform(g, count, F64), doubles(h, count))
    small = np.concatenate([draw.exponential(h, n, F32) for n in (100, count - 100)])
    np.testing.assert_allclose(draw.exponential(g, count, F32), small, rtol=1e-6)
    np.testing.assert_array_equal(g.state_bytes(), h.state_bytes())


@settings(max_examples=60, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(0, 99), st.floats(1e-30, 1))
def test_multiply_add_rounds_once(a, b, seed, scale):
    a, b = a * scale, b * scale
    assume(min(abs(a) or 1, abs(b) or 1) > 2.0**-900)
    x = draw.uniform(Generator().manual_seed(seed), 20, F64)
    for u, got in zip(x, rounding.fma64(x, a, b), strict=True):
        assert got == float(Fraction(float(u)) * Fraction(a) + Fraction(b))
    x, a, b = x.astype(F32), np.float32(a), np.float32(b)
    for u, got in zip(x, rounding.fma32(x, a, b), strict=True):
        exact = Fraction(float(u)) * Fraction(float(a)) + Fraction(float(b))
        around = [Fraction(float(np.nextafter(got, np.float32(s)))) for s in (-np.inf, np.inf)]
        assert all(abs(Fraction(float(got)) - exact) <= abs(n - exact) for n in around)


@pytest.mark.parametrize(
    ("a", "b"), [(1.43e-307, 1.43e-307), (8.4e-304, -7.3e-304), (3e-290, 1e-299)]
)
def test_multiply_add_of_tiny_numbers_rounds_once(a, b):
    x = draw.uniform(Generator().manual_seed(0), 500, F64)
    for u, got in zip(x, rounding.fma64(x, a, b), strict=True):
        assert got == float(Fraction(float(u)) * Fraction(a) + Fraction(b))


def test_multiply_add_breaks_ties_by_the_exact_sum():
    x = np.array([2.0**-24], np.float32)
    # 1 + 2^-24 (1 + 2^-23) rounds to 53 bits as is, and 1 + 2^-24 - 2^-70 as the tie above 1.
    assert rounding.fma32(x, np.float32(1 + 2**-23), np.float32(1))[0] == np.float32(1 + 2**-23)
    x = np.array([2.0**-24 * (1 - 2.0**-24)], np.float32)
    assert rounding.fma32(x, np.float32(1 + 2**-23), np.float32(1))[0] == np.float32(1 + 2**-23)
    assert rounding.fma32(x, np.float32(1 - 2**-24), np.float32(1))[0] == np.float32(1)
    x = np.array([0.5, 1 - 2**-53])
    assert np.isfinite(rounding.fma64(x, 1.1 * 2.0**1000, -(2.0**1001))).all()


def test_a_value_that_rounds_to_the_bound_becomes_the_other():
    values = draw.uniform(Generator().manual_seed(0), 100000, NUMPY["bfloat16"])
    assert values.min() >= 0
    assert values.max() < 1


def test_both_shuffles_are_what_the_loops_do():
    for count in (1, 2, 300, 1000):
        g = Generator().manual_seed(count)
        words, draws_ = g.words(count - 1), g.double_words(count)
        order = list(range(count))
        for i, w in enumerate(words.tolist()):
            j = i + w % (count - i)
            order[i], order[j] = order[j], order[i]
        assert _durstenfeld(words, count).tolist() == order
        order = []
        for i, d in enumerate(draws_.tolist()):
            order.append(i)
            order[i] = order[d % (i + 1)]
            order[d % (i + 1)] = i
        assert _inside_out(draws_).tolist() == order


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=300), st.data())
def test_selection_orders(key, data):
    count = data.draw(st.integers(1, len(key)))
    found = selection.topk(key, count)
    assert [key[i] for i in found] == sorted(key)[:count]
    assert len(set(found)) == count


def test_a_kernel_shuffles_many_numbers_as_sorting_does(monkeypatch):
    pytest.importorskip("llvmlite")
    permutation = sys.modules[_durstenfeld.__module__]
    words = np.random.default_rng(5).integers(0, 1 << 32, 29_999, np.uint32)
    wanted = permutation._by_sorting(words, 30_000)
    monkeypatch.delattr(permutation, "_by_sorting")
    np.testing.assert_array_equal(permutation._durstenfeld(words, 30_000), wanted)


@pytest.mark.parametrize("special", [None, np.nan, np.inf])
def test_few_of_many_weights_are_found_without_sorting_all(special, monkeypatch):
    rows = np.random.default_rng(2).standard_normal((2, 5000)).round(2)
    if special is not None:
        rows[0, ::9] = special
    by_size = np.argsort(-rows, axis=1, kind="stable")
    wanted = by_size[:, :50].copy()
    selection.settle(rows, wanted, by_size[:, 50:51], True)
    sizes, argsort = [], np.argsort
    monkeypatch.setattr(np, "argsort", lambda x, **how: sizes.append(x.size) or argsort(x, **how))
    np.testing.assert_array_equal(selection.largest(rows, 50), wanted)
    assert max(sizes) < 1000


def test_a_normal_pair_spans_draws():
    g = Generator().manual_seed(2)
    once = draw.normal(g.clone_state(), 13, F64)
    parts = [draw.normal(g, n, F64) for n in (1, 2, 3, 7)]
    np.testing.assert_array_equal(np.concatenate(parts), once)
    spread = draw.normal(Generator().manual_seed(2), 40, F64, contiguous=False)
    np.testing.assert_allclose(spread[:13], once, rtol=1e-14)


@pytest.mark.parity
def test_live_overflow_is_silent():
    torch = pytest.importorskip("torch")
    for count in (5, 20):
        for method, dtype, parameters in (
            ("normal_", "float32", (1e39, 2e38)),
            ("normal_", "float16", (0.0, 1e6)),
            ("exponential_", "float16", (1e-6,)),
            ("exponential_", "float64", (1e-320,)),
            ("log_normal_", "float32", (50.0, 60.0)),
            ("cauchy_", "float16", (0.0, 1e6)),
        ):
            case = method, dtype, count, parameters
            wanted = theirs(case, torch.Generator().manual_seed(8))
            check(method, ours(case, Generator().manual_seed(8)), wanted)


def test_what_a_tensor_cannot_ask_for():
    x = np.broadcast_to(np.zeros(1, F32), (3,))
    with pytest.raises(RuntimeError, match="share one place"):
        strides.fill(x, np.zeros(3, F32))
    with pytest.raises(ValueError, match="9223372036854775808 does not fit"):
        draw.integers(Generator(), 1, F64, 0, 2**63)
