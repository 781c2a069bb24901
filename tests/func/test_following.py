"""Calls of ``vmap`` that repeat are followed; each must be what the function is at that time."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.func import following


@pytest.fixture(autouse=True)
def _anew(nothing_intercepts):
    following._courses.clear()
    following._left.clear()


def kept():
    return [c for c in following._courses.values() if type(c) is following.Course]


def same(x, y):
    np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=1e-5, atol=1e-6)


def samples(f, xs):
    return torch.stack([f(x) for x in xs])


X = torch.arange(12.0).reshape(4, 3) / 7


def test_a_call_that_repeats_is_followed_and_runs_the_function():
    calls = []

    def f(x):
        calls.append(1)
        return (x * 2).sin().sum()

    for i in range(5):
        same(torch.vmap(f)(X + i), samples(lambda x: (x * 2).sin().sum(), X + i))
    assert len(calls) == 5 and len(kept()) == 1


@pytest.mark.parametrize("place", ["operation", "number", "dim", "order", "end", "result", "grad"])
def test_a_call_that_differs_is_recorded(place):
    state = {"on": False}

    def f(x):
        on = state["on"]
        y = x.cos() if on and place == "operation" else x.sin()
        z = y.reshape(3, 1) * (3.0 if on and place == "number" else 2.0)
        z = z.sum(1 if on and place == "dim" else 0).sum()
        w = y - z if on and place == "order" else z - y
        if on and place == "end":
            w = w.exp()
        if place == "grad":
            with torch.set_grad_enabled(not on):
                w = w * x
            w = w + x
        return y if on and place == "result" else w

    for on in (False, False, False, True, False, True, True, True):
        state["on"] = on
        xs = X.clone().requires_grad_()
        out, wanted = torch.vmap(f)(xs), samples(f, xs)
        same(out, wanted)
        (g,) = torch.autograd.grad(out.sum(), xs)
        (w,) = torch.autograd.grad(wanted.sum(), xs)
        same(g, w)


def test_numbers_from_outside_are_those_of_the_call():
    w, zero = torch.ones(3), 0.0
    f = lambda x: (x * w).sum() / torch.full((), 1.0).copysign(zero)
    for i in range(5):
        w, zero = torch.full((3,), float(i + 1)), -0.0 if i == 4 else 0.0
        assert torch.equal(torch.vmap(f)(X + 1), samples(f, X + 1))


def test_tensors_from_outside_that_shared_memory_may_be_apart():
    def loss(x):
        return ((x * a).sin() * b).sum()

    for i in range(6):
        a = torch.arange(3.0) + i
        b = a.detach() if i < 3 else torch.ones(3)
        same(torch.vmap(torch.func.grad(loss))(X), samples(torch.func.grad(loss), X))
        a, b = b, a
        same(torch.vmap(torch.func.grad(loss))(X), samples(torch.func.grad(loss), X))


def test_a_difference_after_a_gradient_began():
    state = {"n": 0}

    def loss(x):
        y = (x.detach() * x).tanh().view(3, 1)
        return (y * y).sum() if state["n"] % 4 < 3 else (y * y).exp().sum()

    f = torch.func.grad(loss)
    for _ in range(8):
        state["n"] += 1
        same(torch.vmap(f)(X), samples(f, X))


def test_a_write_after_the_course_was_known():
    state = {"on": False}

    def f(x):
        y = x * 2
        if state["on"]:
            y[0] = 5.0
        return y + 1

    for on in (False, False, False, True, False, True):
        state["on"] = on
        same(torch.vmap(f)(X), samples(f, X))


def test_a_tensor_that_was_kept_from_an_earlier_call_is_refused():
    seen = []

    def f(x):
        y = x.sin()
        seen.append(y)
        return y + (seen[0] if len(seen) > 4 else y)

    for _ in range(4):
        torch.vmap(f)(X)
    with pytest.raises(Exception):  # noqa: B017
        torch.vmap(f)(X)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_values_that_a_course_cannot_know_raise():
    f = lambda x, i: x.gather(0, i)
    good, bad = torch.zeros(4, 1, dtype=torch.int64), torch.full((4, 1), 7)
    for _ in range(4):
        same(torch.vmap(f)(X, good), X[:, :1])
    with pytest.raises((RuntimeError, IndexError)):
        torch.vmap(f)(X, bad)


def test_gradients_flow_to_what_wants_them_now():
    w = torch.ones(3)
    f = lambda x: (x * w).sum()
    for i in range(6):
        w = torch.ones(3, requires_grad=i > 2)
        out = torch.vmap(f)(X)
        assert out.requires_grad is (i > 2)
        if i > 2:
            out.sum().backward()
            same(w.grad, X.sum(0))


def test_hessians_are_followed():
    f = lambda x: (x.sin() * x).sum()
    for i in range(5):
        h = torch.func.hessian(f)(X[0] + i)
        x = X[0] + i
        same(h, torch.diag(2 * x.cos() - x * x.sin()))
    assert len(kept()) == 2
