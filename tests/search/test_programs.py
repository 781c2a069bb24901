"""Random programs and training loops: eager as PyTorch, compiled as eager, on any number of threads."""

import sys
import time

import pytest

pytest.importorskip("llvmlite")

import rushlight
from rushlight.compiler.run import threads
from tests import processes
from tests.search.programs.generate import Generator
from tests.search.programs.program import Input, Program, Step
from tests.search.programs.scopes import torch
from tests.search.programs.session import check
from tests.search.programs.shrink import shrink
from tests.search.programs.work import Programs
from tests.search.training.work import Loops
from tests.search.workers import Run

needs_torch = pytest.mark.skipif(torch is None, reason="compares with live PyTorch")


@pytest.fixture(autouse=True)
def _threads():
    before = rushlight.get_num_threads()
    yield
    threads.resize(before)


def show(folder):
    for script in folder.glob("*.py"):
        print(script.read_text())


def clean(work, folder, seed, count, jobs=1, seconds=float("inf")):
    """Whether no seed shows a difference; the scripts of those that do are printed."""
    run = Run(work, folder, seed, count, seconds)
    code = run.go(jobs)
    show(folder)
    assert run.done > 0
    return code == 0


def test_some_programs(tmp_path):
    assert clean(Programs, tmp_path, 7, 3)


def test_some_loops(tmp_path):
    assert clean(Loops, tmp_path, 4, 1)


@pytest.mark.search
def test_many_programs(tmp_path):
    """3,000, of another seed each time: it is printed, and makes the same programs again."""
    assert clean(Programs, tmp_path, int(time.time()), 3000, jobs=2, seconds=200)


@pytest.mark.search
def test_many_programs_whose_arrays_count_as_large(tmp_path, monkeypatch):
    """Eager operations run as kernels then, and in-place methods in the tensor's own memory."""
    monkeypatch.setenv("RUSHLIGHT_CHECK", "large")  # the package reads it when it is imported
    options = ["--count", "600", "--seconds", "100", "--jobs", "2", "--folder", str(tmp_path)]
    command = [sys.executable, "-m", "tests.search.programs", "--seed", str(int(time.time()))]
    code = processes.run([*command, *options]).returncode
    show(tmp_path)
    assert code == 0


@pytest.mark.search
def test_many_loops(tmp_path):
    assert clean(Loops, tmp_path, int(time.time()), 300, jobs=2, seconds=50)


# The search itself ----------------------------------------------------------------------------


def program(*lines, outputs, backward="", **inputs):
    made = {}
    for name, (shape, strides) in inputs.items():
        made[name] = Input(shape, "float32", strides)
    return Program(made, tuple([Step(line) for line in lines]), outputs, backward)


def test_a_seed_is_a_program():
    first, second = (Generator(7).program() for _ in range(2))
    assert first.script == second.script


def test_a_script_runs_alone(capsys):
    p = program("v0 = x0 * 2", "v1 = v0.sum(0)", outputs=("v1",), x0=((3,), (2,)))
    exec(compile(p.script, "script", "exec"), {"__name__": "script"})
    eager, _, compiled, _ = capsys.readouterr().out.splitlines()
    assert eager == compiled and eager.startswith("tensor(")


@needs_torch
def test_a_wrong_operation_is_found_and_isolated(monkeypatch):
    right = rushlight.Tensor.cumsum
    wrong = lambda x, d, **kw: right(x, d, **kw) + (x.shape[d] == 3)
    monkeypatch.setattr(rushlight.Tensor, "cumsum", wrong)
    lines = ("v0 = x0.exp()", "v1 = v0 + x1", "v2 = v1.cumsum(1)", "v3 = v2.tanh()")
    p = program(*lines, outputs=("v0", "v3"), x0=((4, 3), (3, 1)), x1=((), ()))
    found = check(p)
    assert found.kind == "value"
    (step,) = shrink(p, found.kind).steps
    assert "cumsum" in step.text


@needs_torch
@pytest.mark.parametrize(
    "name, wrong, kind",
    [
        ("clone", lambda x: x[...], "aliasing"),
        ("neg", lambda x: 0 - x.contiguous(), "strides"),
        ("sin", lambda x: x.double(), "dtype"),
        ("cos", lambda x: x.detach() * 1, "requires_grad"),
        ("tan", lambda x: x.tan_(3), "error"),
    ],
)
def test_each_kind_of_difference(monkeypatch, name, wrong, kind):
    monkeypatch.setattr(rushlight.Tensor, name, wrong)
    p = Program(
        {"x0": Input((2, 3), "float32", (1, 2), grad=True)}, (Step(f"v0 = x0.{name}()"),), ("v0",)
    )
    assert check(p).kind == kind


@needs_torch
def test_a_wrong_gradient(monkeypatch):
    right = rushlight.Tensor.tanh
    monkeypatch.setattr(rushlight.Tensor, "tanh", lambda x: right(x) + (x - x.detach()) * 0.01)
    x = Input((5,), "float64", (1,), grad=True)
    p = Program({"x0": x}, (Step("v0 = x0.tanh()"),), ("v0",), "outside")
    assert check(p).kind == "gradient"


def test_a_wrong_compiled_program(monkeypatch):
    from rushlight.compiler.run import native_program

    run = native_program.NativeProgram.run
    monkeypatch.setattr(
        native_program.NativeProgram, "run", lambda self, *a: [x + 1 for x in run(self, *a)]
    )
    p = program("v0 = x0.exp()", outputs=("v0",), x0=((3,), (1,)))
    assert check(p).kind == "compiled value"
