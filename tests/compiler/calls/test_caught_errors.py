"""Errors that the compiled function catches itself: what is left is what eager mode leaves."""

import contextlib

import pytest

import rushlight as torch

pytestmark = pytest.mark.filterwarnings("ignore:torch.compile. running eagerly")
EAGER = RuntimeError, Exception, BaseException


@torch.compiler.disable
def apart(x):
    return x * 10


def writes_by_a_mask(x):
    x[x > 0] = torch.tensor([7.0, 8.0])
    return x + 0


SOUGHT = {  # what no program can do, so that the recording ends there
    "a mask selects": lambda x: x[x > 0].sum(),
    "where is it": lambda x: x.nonzero().sum() + x.unique().numel(),
    "a value": lambda x: x * x[0].item(),
    "a branch": lambda x: x * (1 if x.numpy()[0] else 2),
    "disabled": apart,
    "a write by a mask": writes_by_a_mask,
    "compiled": torch.compile(lambda x: x[x > 0].sum()),
    "prints": lambda x: print("", end="") or x * 4,
}


@pytest.mark.parametrize("kind", EAGER)
@pytest.mark.parametrize("sought", SOUGHT.values(), ids=SOUGHT)
def test_the_recordings_error_is_not_the_functions(sought, kind):
    def f(x):
        try:
            return sought(x)
        except kind:
            return torch.tensor(-1.0)

    x = torch.tensor([1.0, -1.0, 3.0])
    assert torch.equal(torch.compile(f)(x.clone()), f(x.clone()))


class Counted:
    depth = 0

    def __enter__(self):
        Counted.depth += 1

    def __exit__(self, *_):
        Counted.depth -= 1
        return True


def suppressed(s, x):
    with contextlib.suppress(Exception):
        print("", end="")
    s["n"] += 1
    s["mean"] = s["mean"] * 0.5 + x.sum()


def in_a_finally(s, x):
    try:
        print("", end="")
    finally:
        s["n"] += 1
        s["log"].append(s["n"])
        s["mean"] = s["mean"] * 0.5 + x.sum()


def again_and_again(s, x):
    for k in range(3):
        try:
            print("", end="")
        except BaseException:
            s["n"] += 100
        s["log"].append(k)


def in_a_called_function(s, x):
    try:
        in_a_finally(s, x)
    except Exception:
        s["n"] += 100
    finally:
        s["log"].clear()


def in_a_context(s, x):
    with Counted():
        print("", end="")
    s["n"] += Counted.depth + 1


@pytest.mark.parametrize(
    "change", [suppressed, in_a_finally, again_and_again, in_a_called_function, in_a_context]
)
def test_what_follows_is_done_once(change):
    found = []
    for compiled in (False, True):
        s = {"n": 0, "log": [], "mean": torch.zeros(())}

        def f(x, s=s):
            change(s, x)
            return x + 1

        f = torch.compile(f) if compiled else f
        for _ in range(2):
            f(torch.ones(2))
        found.append((s["n"], s["log"], s["mean"].item()))
    assert found[0] == found[1] and Counted.depth == 0


def test_an_operation_that_fails_in_a_program():
    def make():
        w, s = torch.zeros(2), {"n": 0}

        def f(p):
            s["n"] += 1
            w.add_(1)
            drawn = torch.rand(3)
            try:
                return torch.bernoulli(p) + drawn[0]
            except RuntimeError:
                return p * 0

        return f, w, s

    found = []
    for compiled in (False, True):
        torch.manual_seed(3)
        f, w, s = make()
        f = torch.compile(f) if compiled else f
        results = [f(torch.full((2,), p)).tolist() for p in (0.5, 2.0, 0.25)]
        found.append((results, w.tolist(), s, torch.rand(1).item()))
    assert found[0] == found[1]


def test_an_error_that_leaves_the_program():
    w, s = torch.zeros(2), {"n": 0}

    @torch.compile
    def f(x):
        s["n"] += 1
        w.add_(1)
        return torch.linalg.svd(torch.diag(x))[1]

    f(torch.ones(2))
    with pytest.raises(torch.linalg.LinAlgError):
        f(torch.tensor([1.0, float("nan")]))
    assert s["n"] == 2 and w.tolist() == [2, 2]
