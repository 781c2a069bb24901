"""Random calls of single operations: results, memory, gradients and errors are PyTorch's."""

import random
import time

import pytest

import rushlight
from tests.search.operations.case import Case, Input, Ref, dense
from tests.search.operations.outcome import difference
from tests.search.operations.pool import pool
from tests.search.operations.vary import Variation
from tests.search.operations.work import KNOWN, Operations, shrink
from tests.search.workers import Run

torch = pytest.importorskip("torch")

#: Samples of the daily run, of each kind of operation.
PART = (
    "add", "clamp", "sum", "amax", "matmul", "cat", "transpose", "index_select", "sort", "softmax",
    "linear", "mse_loss", "masked_fill", "where", "pow", "std", "cumsum", "permute", "prod", "tril",
)  # fmt: skip


def test_some_operations():
    found = []
    for seed in range(300):
        case = Variation(random.Random(seed), PART).case()
        if (one := difference(case)) and one.kind not in KNOWN:
            found.append(f"{one}\n{case.script}")
    assert not found, "\n\n".join(found[:5])


@pytest.mark.search
def test_many_operations(tmp_path):
    """20,000, of another seed each time: it is printed, and makes the same cases again."""
    run = Run(Operations, tmp_path, int(time.time()), 20_000, 600)
    run.go(2)
    known = tuple([kind.replace(" ", "-") for kind in KNOWN])  # as files are named
    scripts = {path.name: path.read_text() for path in tmp_path.glob("*.py")}
    wrong = [s for name, s in scripts.items() if not name.startswith(known)]
    other = sum(count for name, count in run.found.items() if name.startswith(KNOWN))
    assert run.done > 0
    assert not wrong, "\n\n".join([f"{len(wrong)} differences in {run.done} cases", *wrong[:10]])
    assert other < 0.05 * run.done, sorted(run.found)


# The search itself ----------------------------------------------------------------------------


def case(name, *inputs, named=(), method=False):
    return Case(name, inputs, tuple(map(Ref, range(len(inputs)))), named, method)


def given(*size, dtype="float32", grad=False):
    count = 1
    for n in size:
        count *= n
    values = tuple([float(i) - 1.5 for i in range(count)])
    return Input(dtype, values, size, dense(size), grad=grad)


def test_a_seed_is_a_case():
    first, second = (Variation(random.Random(3), PART).case() for _ in range(2))
    assert first == second


def test_the_pool_has_every_form():
    names = pool(PART)
    assert {"matmul", "nn.functional.linear", "Tensor.clamp"} <= set(names)


def test_a_script_shows_both(capsys):
    exec(compile(case("neg", given(2)).script, "script", "exec"), {"__name__": "script"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("torch tensor(") and lines[2].startswith("rushlight tensor(")


@pytest.mark.parametrize(
    "wrong, kind",
    [
        (lambda x: x.exp() * 1.001, "value"), (lambda x: x.exp().double(), "dtype"),
        (lambda x: x.exp()[None], "shape"), (lambda x: x.exp().detach(), "requires_grad"),
        (lambda x: x.exp() + (x - x.detach()), "gradient"),
        (lambda x: x.exp().mT.contiguous().mT, "strides"), (lambda x: 1 / 0, "refuses"),
        (lambda x: (x.exp(), x.data.add_(1))[0], "input changed"), (lambda x: [x.exp()], "structure"),
    ],
)  # fmt: skip
def test_each_kind_of_difference(monkeypatch, wrong, kind):
    monkeypatch.setattr(rushlight, "exp", wrong)
    value = given(2, 3, grad=kind in ("requires_grad", "gradient"))
    assert difference(case("exp", value)).kind == kind


def test_a_result_that_shares_memory(monkeypatch):
    monkeypatch.setattr(rushlight, "abs", lambda x: x)
    assert difference(case("abs", Input("float32", (1.0, 2.0), (2,), (1,)))).kind == "memory"


def test_errors_are_compared(monkeypatch):
    def wrong(x, dim):
        raise ValueError("dim")

    monkeypatch.setattr(rushlight, "cumsum", wrong)
    bad = Case("cumsum", (given(2),), (Ref(0), 5))
    assert difference(bad).kind == "error"
    monkeypatch.setattr(rushlight, "cumsum", lambda x, dim: x)
    assert difference(bad).kind == "takes"


def test_shrinking_takes_out_what_is_not_needed(monkeypatch):
    monkeypatch.setattr(rushlight, "neg", lambda x: x.double())
    wide = Input("float32", tuple(map(float, range(20))), (2, 3), (7, 2), 1, grad=True)
    small = shrink(case("neg", wide), "dtype").inputs[0]
    assert (small.stride, small.offset, small.grad) == ((3, 1), 0, False)
    assert set(small.data) == {1.0}
