"""torch.utils.benchmark: Timer and Measurement."""

import random

import pytest

import rushlight as torch
from rushlight.utils.benchmark import Measurement, TaskSpec, Timer


def _clock():
    """Return a clock on which each second call is a microsecond after the one before."""
    times = iter(i * 1e-6 for i in range(10**6))
    return lambda: next(times)


def test_a_timer_runs_its_statement():
    seen = []
    timer = Timer("seen.append(x)", setup="x = 3", globals={"seen": seen}, label="L", sub_label="S")
    found = timer.timeit(10)
    assert len(seen) >= 10
    assert (found.number_per_run, len(found.times), found.title) == (10, 1, "L: S")


def test_blocks_fill_the_time():
    told = []
    found = Timer(timer=_clock()).blocked_autorange(lambda n, t: told.append(n), min_run_time=1e-5)
    assert len(found.times) == len(told) >= 10
    assert found.median == pytest.approx(1e-6 / found.number_per_run)
    assert not found.has_warnings
    assert len(Timer(timer=_clock()).adaptive_autorange(min_run_time=1e-6).times) == 4


def test_the_number_of_threads_holds_while_the_statement_runs():
    before, seen = torch.get_num_threads(), []
    Timer(
        "seen.append(f())", globals={"seen": seen, "f": torch.get_num_threads}, num_threads=1
    ).timeit(2)
    assert set(seen) == {1}
    assert torch.get_num_threads() == before


def test_a_measurement_prints_its_unit_and_its_spread():
    spec = TaskSpec("f()", "", label="L", description="D", num_threads=2)
    text = repr(Measurement(1, [1e-3, 1e-3, 1.05e-3], spec))
    assert "L\nD\n  Median: 1.00 ms\n" in text
    assert "3 measurements, 1 runs per measurement, 2 threads" in text
    assert "WARNING" not in text
    assert "  1.00 s\n  1 measurement, 5 runs , 2 threads" in repr(Measurement(5, [5.0], spec))
    assert [m.raw_times for m in Measurement.merge([Measurement(1, [1.0], spec)] * 2)] == [
        [1.0, 1.0]
    ]


def test_only_python_is_measured():
    with pytest.raises(ValueError, match="only statements of Python"):
        Timer(language="c++")


def _tables(benchmark, case):
    """The text of Compare for measurements drawn by ``case``, with one of its options each."""
    draw, results = random.Random(case), []
    for threads in (1, 4)[: 1 + case % 2]:
        for env in ("a", "bcd")[: 1 + case // 2 % 2]:
            for sub_label in ("[1, 1]", "[64, 64]", None):
                for description in ("mul/sum", "bmm", "x")[: 2 + case % 2]:
                    if draw.random() < 0.2:
                        continue
                    base, spread = 10 ** draw.uniform(-6.4, -4), draw.choice([0.001, 0.05, 0.3])
                    spec = benchmark.TaskSpec(
                        "f(x)", "", label=draw.choice(["L", "Batched"]), sub_label=sub_label,
                        description=description, env=env, num_threads=threads,
                    )  # fmt: skip
                    count = draw.choice([1, 5, 20])
                    times = [base * (1 + spread * draw.random()) for _ in range(count)]
                    results.append(benchmark.Measurement(draw.choice([1, 100]), times, spec))
    compare = benchmark.Compare(results)
    if case % 5:
        compare.trim_significant_figures()
    if case % 3:
        compare.colorize(rowwise=case % 3 == 1)
    if case % 4 > 1:
        compare.highlight_warnings()
    return str(compare)


def test_tables_are_those_of_pytorch():
    pytest.importorskip("torch")
    from torch.utils import benchmark as peer

    for case in range(30):
        assert _tables(torch.utils.benchmark, case) == _tables(peer, case)


def test_tables_hold_measurements_only():
    with pytest.raises(ValueError, match="expected a Measurement"):
        torch.utils.benchmark.Compare([1.0])


@pytest.mark.parity
def test_fuzzers_draw_as_pytorchs():
    peer = pytest.importorskip("torch")
    import torch.utils.benchmark as theirs

    import rushlight as torch
    from rushlight.utils import benchmark as ours

    def drawn(library, b):
        fuzzer = b.Fuzzer(
            [
                b.FuzzedParameter("dim", 1, 3, "uniform", strict=True),
                [b.FuzzedParameter(f"n{i}", 1, 30, "loguniform") for i in range(3)],
                b.FuzzedParameter("k", 0.5, 2.0, "uniform"),
                b.FuzzedParameter("step", 1, 2, "uniform"),
            ],
            [
                b.FuzzedTensor(
                    "x", ("n0", "n1", "n2"), ("step", 1, 2), dim_parameter="dim", max_elements=400,
                    min_elements=4, max_allocation_bytes=2000,
                ),
                [b.FuzzedTensor("y", (4, "n1"), dtype=library.int64)],
            ],
            constraints=[lambda params: params["k"] < 1.9],
            seed=3,
        )  # fmt: skip
        found = []
        for tensors, properties, params in fuzzer.take(25):
            told = {n: {**p, "order": p["order"].tolist()} for n, p in properties.items()}
            strides = {n: (t.tolist(), t.stride()) for n, t in tensors.items()}
            found.append((strides, told, params))
        return found, fuzzer.rejection_rate

    assert drawn(torch, ours) == drawn(peer, theirs)


def test_parameters_that_stand_for_others():
    from rushlight.utils import benchmark as b

    same = b.FuzzedParameter("m", distribution={b.ParameterAlias("n"): 1.0})
    fuzzer = b.Fuzzer([b.FuzzedParameter("n", 5, 5, "uniform"), same], [], seed=0)
    assert [params for _, _, params in fuzzer.take(1)] == [{"n": 5, "m": 5}]
    circle = b.FuzzedParameter("n", distribution={b.ParameterAlias("m"): 1.0})
    with pytest.raises(ValueError, match="cycle"):
        next(b.Fuzzer([circle, same], [], seed=0).take(1))
    with pytest.raises(ValueError, match="Failed to generate"):
        next(b.Fuzzer([], [], constraints=[lambda params: False], seed=0).take(1))
    for bad in ({"distribution": "odd"}, {"distribution": {1: 0.4}}, {"distribution": {1: -1}}):
        with pytest.raises(AssertionError):
            b.FuzzedParameter("n", **bad)
