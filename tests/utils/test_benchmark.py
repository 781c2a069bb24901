"""torch.utils.benchmark: Timer and Measurement."""

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
