"""torch.profiler: what is noted, how it adds up, and that it leaves no trace."""

import gzip
import json
import threading

import pytest

import rushlight as torch
from rushlight import nn, profiler
from rushlight.autograd import mode
from rushlight.autograd import profiler as older
from rushlight.profiler import ProfilerAction, profile, record_function, schedule

pytestmark = pytest.mark.usefixtures("nothing_intercepts")


def training():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x = torch.randn(16, 4)

    def step():
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


def names(profiled):
    return [e.name for e in profiled.events()]


def test_operations_gradients_and_optimizers_are_noted_and_change_nothing():
    plain, watched = training(), training()
    expected = [plain() for _ in range(3)]
    with profile(record_shapes=True, profile_memory=True) as profiled:
        got = [watched() for _ in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert mode.intercept == 0 and mode.state.profiler is None
    assert names(profiled)[: len(names(profiled)) // 3] == [
        "aten::linear", "aten::relu", "aten::linear", "aten::square", "aten::mean",
        "MeanBackward0", "PowBackward0", "AddmmBackward0", "ReluBackward0", "AddmmBackward0",
        "Optimizer.step#SGD.step",
    ]  # fmt: skip
    by_name = {e.key: e for e in profiled.key_averages()}
    assert by_name["aten::linear"].count == 6
    assert by_name["aten::linear"].self_cpu_memory_usage == 3 * 4 * (16 * 8 + 16)
    shapes = {str(e.input_shapes) for e in profiled.key_averages(True) if e.key == "aten::linear"}
    assert shapes == {"[[8], [16, 4], [8, 4]]", "[[1], [16, 8], [1, 8]]"}
    kept = profiled.events().total_average()
    assert kept.cpu_time_total == pytest.approx(kept.self_cpu_time_total)
    training()()
    assert len(profiled.events()) == 33  # what happens later is not noted


def test_regions_hold_what_happens_in_them():
    @record_function("decorated")
    def double(x):
        return x * 2

    with profile() as profiled:
        with record_function("outer"), record_function("outer"):
            double(torch.ones(2))
        with pytest.raises(ValueError, match="no"), record_function("fails"):
            raise ValueError("no")
    outer, inner, *_ = profiled.events()
    assert names(profiled) == ["outer", "outer", "aten::full", "decorated", "aten::mul", "fails"]
    assert inner.cpu_parent is outer and outer.cpu_children == [inner]
    assert [e.name for e in inner.cpu_children] == ["aten::full", "decorated"]
    average = profiled.key_averages()[0]
    assert average.count == 2 and average.cpu_time_total == outer.cpu_time_total
    assert outer.self_cpu_time_total == pytest.approx(outer.cpu_time_total - inner.cpu_time_total)
    assert double(3) == 6  # outside a profile


@pytest.mark.parametrize("compiler", ["native", "numpy"])
def test_compiled_programs_show_their_kernels(compiler, monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", compiler)
    plain, step = training(), training()
    compiled = torch.compile(step)
    for _ in range(2):
        assert torch.allclose(plain(), compiled())
    with profile() as profiled:
        found = compiled()
    assert torch.allclose(plain(), found)
    region = next(e for e in profiled.events() if e.name == "Torch-Compiled Region")
    kinds = {e.category for e in region.cpu_children}
    from rushlight.compiler.run.program import native

    assert kinds == ({"kernel"} if native() else {"cpu_op"})
    assert any("mm" in e.name or "linear" in e.name for e in region.cpu_children)
    from rushlight.compiler.run.program import Program

    assert Program.run.__module__ == "rushlight.compiler.run.program"
    assert torch.allclose(plain(), compiled())


def test_checks_within_programs_still_raise():
    f = torch.compile(lambda x, i: nn.functional.embedding(i, x) * 2)
    x, i = torch.randn(4, 3), torch.tensor([0, 3])
    f(x, i)
    with profile() as profiled:
        got = f(x, i)
        with pytest.raises(IndexError):
            f(x, torch.tensor([0, 4]))
    assert torch.allclose(got, x[i] * 2)
    assert "Torch-Compiled Region" in names(profiled)


def test_schedule_and_traces(tmp_path):
    step = training()
    ready = []
    when = schedule(wait=1, warmup=1, active=2, repeat=2)
    with profile(schedule=when, on_trace_ready=lambda p: ready.append((p.step_num, names(p)))) as p:
        for _ in range(9):
            step()
            p.step()
    assert [n for n, _ in ready] == [4, 8]
    steps = [[e for e in found if e.startswith("ProfilerStep")] for _, found in ready]
    assert steps == [["ProfilerStep#2", "ProfilerStep#3"], ["ProfilerStep#6", "ProfilerStep#7"]]
    handler = profiler.tensorboard_trace_handler(str(tmp_path / "log"), "worker", use_gzip=True)
    with profile(on_trace_ready=handler, record_shapes=True, with_stack=True) as p:
        step()
    (file,) = (tmp_path / "log").iterdir()
    assert file.name.startswith("worker.") and file.name.endswith(".pt.trace.json.gz")
    with gzip.open(file, "rt") as opened:
        trace = json.load(opened)
    events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert [e["name"] for e in events] == names(p)
    assert events[0]["args"]["Input Dims"] == [[8], [16, 4], [8, 4]]
    assert "test_profiler.py" in events[0]["args"]["Call stack"]
    p.add_metadata_json("more", "[1]")
    p.export_chrome_trace(tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["more"] == [1]


def test_tables():
    with profile(profile_memory=True) as profiled:
        training()()
    averages = profiled.key_averages()
    text = averages.table(sort_by="self_cpu_time_total", row_limit=3, header="Mine")
    lines = text.splitlines()
    assert lines[1] == "Mine" and lines[-1].startswith("Self CPU time total: ")
    assert len(lines) == 2 + 3 + 3 + 1 + 1 and "CPU Mem" in lines[3]
    times = [e.self_cpu_time_total for e in sorted(averages, key=lambda e: -e.self_cpu_time_total)]
    assert sum(times) == pytest.approx(averages.self_cpu_time_total)
    with pytest.raises(AttributeError):
        averages.table(sort_by="foo")
    assert str(averages) == averages.table()


def test_the_older_way_and_errors():
    with older.profile(use_cpu=True, record_shapes=True) as profiled:
        torch.ones(2) + 1
    assert [e.key for e in profiled.function_events] == ["aten::full", "aten::add"]
    assert "aten::add" in str(profiled) and "aten::add" in profiled.table(sort_by="cpu_time")
    with older.profile(enabled=False) as profiled:
        torch.ones(2) + 1
    with pytest.raises(AssertionError, match="didn't finish"):
        profiled.events()
    with pytest.raises(AssertionError, match="Invalid profiler schedule"):
        schedule(wait=0, warmup=0, active=0)


def test_other_threads_are_left_alone():
    step = training()
    with profile() as profiled:
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
        torch.ones(1)
    assert names(profiled) == ["aten::full"]


def test_when_off_an_operation_takes_its_short_path():
    from tests.test_house import python_calls

    with profile():
        pass
    a = torch.ones(4)
    assert python_calls(lambda: a * a) == 1 and python_calls(lambda: a.exp()) == 2


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:Profiler won't")
def test_schedules_and_columns_are_pytorchs():
    pt = pytest.importorskip("torch")
    options = [
        {"wait": 1, "warmup": 1, "active": 3}, {"wait": 0, "warmup": 0, "active": 1, "repeat": 2},
        {"wait": 2, "warmup": 1, "active": 2, "repeat": 1, "skip_first": 3},
        {"wait": 2, "warmup": 1, "active": 2, "skip_first": 1, "skip_first_wait": 1},
    ]  # fmt: skip
    for given in options:
        ours, theirs = schedule(**given), pt.profiler.schedule(**given)
        assert [ours(i).name for i in range(20)] == [theirs(i).name for i in range(20)], given
    assert [a.name for a in ProfilerAction] == [a.name for a in pt.profiler.ProfilerAction][:4]
    tables = []
    for torch_, profile_ in ((torch, profile), (pt, pt.profiler.profile)):
        with profile_(record_shapes=True, profile_memory=True) as p:
            torch_.ones(2) + 1
        tables.append(p.key_averages(group_by_input_shape=True).table().splitlines()[1].split())
    assert tables[0] == tables[1]
