"""The random operations draw PyTorch's stream, by their own names and signatures."""

import numpy as np
import pytest

import rushlight as torch
from tests.ops.parity import array, flat

DRAWN = """torch.rand(3)|torch.rand((2, 3))|torch.rand(size=(2,))|torch.rand([2], generator=g)|torch.rand(2, dtype=torch.int64)
    torch.rand(2.5)|torch.rand()|torch.rand(-1)|torch.randn(5)|torch.randn(20)|torch.randn(5, 7, dtype=torch.float64)
    torch.randn(2, dtype=torch.cfloat)|torch.randn(20, dtype=torch.float16)|torch.randint(5, (2,))|torch.randint(2, 5, (2,))
    torch.randint(0, 5, [2], dtype=torch.float32)|torch.randint(5, 2, (2,))|torch.randint(high=5, size=(2,))
    torch.randint(low=0, high=5, size=(2,))|torch.randint(0, 300, (2,), dtype=torch.uint8)|torch.randint(0, 2.5, (2,))
    torch.randint(0, 2**40, (5,))|torch.randperm(9)|torch.randperm(3, dtype=torch.int32)|torch.randperm(-1)|torch.rand_like(x)
    torch.rand_like(x.t())|torch.rand_like(x, dtype=torch.double)|torch.randn_like(x.long())|torch.randint_like(x, 5)
    torch.randint_like(x, 2, 5)|torch.randint_like(x, low=2, high=5)|torch.normal(0.0, 1.0, (2,))|torch.normal(p, p)
    torch.normal(p, 2.0)|torch.normal(p)|torch.normal(0.0, p)|torch.normal(p, torch.ones(2, 3))|torch.normal(p, -1.0)
    torch.normal(p, -p)|torch.normal(0.0, -1.0, (2,))|torch.normal(p, p, generator=g)|torch.normal(p.long(), p)
    torch.normal(p, p, (3,))|torch.bernoulli(p)|torch.bernoulli(p, 0.2)|torch.bernoulli(p * 4)|torch.bernoulli(p.long())
    torch.bernoulli(torch.rand(4, 3).t())|x.bernoulli_()|x.t().bernoulli_(0.3)|x.bernoulli_(p[:, None].expand(3, 4))|x.bernoulli_(2.0)
    torch.multinomial(p, 2)|p.multinomial(5, True)|torch.multinomial(torch.rand(5, 6), 3)|torch.multinomial(p, 4)
    torch.multinomial(p * float("nan"), 1)|x.normal_()|x.normal_(1, 2)|x.t().normal_(mean=1, std=2)|x.normal_(0, -1)
    x.long().normal_()|x.uniform_()|x[:, ::2].uniform_()|x.uniform_(2, 1)|x.uniform_(1, 2)|x.uniform_(to=2)|x.uniform_(a=1)
    x.exponential_()|x.exponential_(2)|x.exponential_(0)|x.random_()|x.random_(5)|x.random_(2, 5)|x.random_(5, 2)
    x.long().random_()|x.bool().random_()|x.geometric_(0.5)|x.log_normal_()|x.cauchy_()|torch.poisson(p * 9)
    torch.dropout(torch.ones(3, 4).t(), 0.3, True)|torch.dropout(x, 2.0, True)|torch.rand(2, generator=5)|x.requires_grad_().normal_()
    torch.rand(2, 3, out=x)|torch.rand(2, requires_grad=True)"""
DRAWN = [e.strip() for line in DRAWN.splitlines() for e in line.split("|")]


def _drawn(framework, expression):
    framework.manual_seed(7)
    names = {
        "x": framework.zeros(3, 4),
        "p": framework.full((3,), 0.5),
        "g": framework.Generator().manual_seed(3),
    }
    try:
        return flat(eval(expression, {"torch": framework, **names}))
    except Exception as error:
        return error


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("e", DRAWN)
def test_draws(e):
    want, got = _drawn(pytest.importorskip("torch"), e), _drawn(torch, e)
    if isinstance(want, Exception):
        assert isinstance(got, type(want)), got
        return
    assert not isinstance(got, Exception), got
    for g, w in zip(got, want, strict=True):
        assert (str(g.dtype), tuple(g.shape), g.requires_grad) == (
            str(w.dtype),
            tuple(w.shape),
            w.requires_grad,
        )
        if w.dtype.is_floating_point or w.dtype.is_complex:
            np.testing.assert_allclose(array(g), array(w), rtol=1e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(array(g), array(w))


def test_a_replay_draws_anew_and_in_the_same_order():
    def draw(p):
        a = torch.rand(3)
        b, c = torch.bernoulli(p), torch.multinomial(p, 2)
        torch.randn(2)  # not used, but drawn
        return a.normal_(), b, c, torch.dropout(p, 0.5, True), torch.normal(p, 1.0), a.bernoulli_(p)

    compiled, p = torch.compile(draw), torch.full((3,), 0.5)
    torch.manual_seed(3)
    want = [draw(p) for _ in range(3)]
    torch.manual_seed(3)
    for once in want:
        for g, w in zip(compiled(p), once, strict=True):
            assert torch.equal(g, w)


def test_what_was_drawn_has_no_gradient():
    p = torch.full((3,), 0.5, requires_grad=True)
    for drawn in (torch.bernoulli(p), torch.normal(p, p), torch.poisson(p)):
        (g,) = torch.autograd.grad(drawn.sum(), p)
        assert not g.any()


def test_dropout_scales_what_it_keeps():
    torch.manual_seed(0)
    x = torch.ones(1000, requires_grad=True)
    y = torch.dropout(x, 0.25, True)
    y.sum().backward()
    assert set(y.tolist()) == {0.0, torch.tensor(4 / 3).item()} and torch.equal(x.grad, y.detach())
    assert torch.dropout(x, 0.25, False) is x
