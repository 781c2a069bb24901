"""Random functions that make views, write to them or their bases, and turn either in place.

Which gradient each of them then has is a question of histories, more than of numbers: so the
operations are few, and all of a function's values may be results.
"""

from dataclasses import replace

import pytest

import rushlight
from rushlight.errors import GraphError
from tests.search.lines import Family, alike, table

VIEWS = table("""
v[None] | v.squeeze() | v.flatten() | v.mT | v[..., 1:] | v.detach() | v.reshape(-1) | v.T | v[:1]
v.unsqueeze(-1) | v.movedim(0, -1) | v.view_as(v) | v.expand(2, *v.shape)[0] | v.narrow(-1, 0, 1)
v.select(0, 0)[None] | v.as_strided((2,), (1,), v.storage_offset() + 1) | T.view_as_real(c)[..., 0] | c.imag | c.real[0]
v.diagonal(0, 0, -1) | v.chunk(2, -1)[0] | v.unfold(-1, 1, 1) | T.view_as_real(c)
""")
WRITES = table("""
v.abs_() | v.mul_(3) | v[..., 0] = 5. | v.add_(x.sum()) | v.exp_() | v.zero_() | v += 1
v.copy_(x.mean() * 2) | v[...] = x.flatten()[0] * v.detach() | v.copy_(b.sum()) | v.sub_(w.mean())
v.masked_fill_(v > 0, 2.) | v.clamp_(0) | v.index_fill_(-1, T.tensor([0]), 3.) | v.detach().add_(1)
with T.no_grad(): v.mul_(3) | with T.no_grad(): w.add_(1) | c.mul_(2)
c.real.add_(1) | v[v > 1] = w.sum() | T.view_as_real(c).cumsum_(-1) | c.imag.mul_(w[0].item())
""")
HOOKS = table("""
v.requires_grad and v.register_hook(lambda g: g * 2) | c.register_hook(lambda g: g * 1j)
x.requires_grad and x.register_hook(lambda g: None)
""")
TURNS = table("v.squeeze_(0) | v.unsqueeze_(0) | v.transpose_(0, -1) | v.swapdims_(-1, 0)")
VALUES = table("v.sin() | v * 1.5 | v ** 2 | v + x | v + w | v * v | v.detach() + 1 | v.clone()")


def state(torch):
    double = {"dtype": torch.float64}
    return {
        "x": torch.tensor([[[-1.0, 0.5, -0.3]]], requires_grad=True, **double),
        "b": torch.tensor([[[1.0, -2.0, 3.0]], [[4.0, 5.0, -6.0]]], **double),
        "w": torch.tensor([0.5, -1.5, 2.0], requires_grad=True, **double),
    }


HISTORIES = Family(
    kinds=[
        (45, [f"NAME = {view}" for view in VIEWS]),
        (25, WRITES),
        (15, TURNS),
        (15, [f"NAME = {value}" for value in VALUES]),
    ],
    # v0 has a history, v1 and v2 look at a buffer, v2 is no view of it; c is complex.
    first=["v0 = x * 2", "c = T.complex(x, x * 3)", "v1 = b[:1]", "v2 = b.detach()[1:].detach()"],
    names=["v0", "v1", "v2"],
    state=state,
    graphs=True,
)
# PyTorch crashes where a hook is put on some of the views.
HOOKED = replace(HISTORIES, kinds=[*HISTORIES.kinds, (8, HOOKS)], compares=False)


@pytest.mark.slow
def test_histories():
    HISTORIES.search(20)
    HOOKED.search(10)


@pytest.mark.search
def test_many_histories():
    HISTORIES.search(300)
    HOOKED.search(300)


@pytest.mark.parametrize("lines, results, gradient", [
    # The view keeps the history that its base loses.
    (["v0 = x * 2", "v1 = v0[None]", "v0.detach_()"], "v0 v1", [7.0, 10.0, 13.0]),
    # The view's base is written and turned.
    (["v0 = x * 2", "v1 = v0[None]", "v0.abs_()", "v0.squeeze_(0)"], "v1", [0.0, 7.0, -2.0]),
    # The view sees elements that its own base does not.
    (["v0 = x * 2", "v1 = v0[..., :1]", "v2 = v1.as_strided((2,), (1,), 1)", "v1.mul_(3)"], "v2",
     [2.0, 5.0, 8.0]),
    # All of the complex numbers' parts are written.
    (["c = T.complex(x, x)", "v0 = T.view_as_real(c)", "v0.cumsum_(-2)"], "v0",
     [23.0, 21.0, 15.0]),
    # The weight is another one when the gradient is computed: see docs/differences.md.
    (["v0 = x * w", "w.data = w.data * 0.5"], "v0", [2.5, 0.0, 10.0]),
])  # fmt: skip
def test_found(lines, results, gradient):
    """x is the last result: its own part of its gradient is (1, 2, 3) and 1 for each before."""
    want = HISTORIES.outcome(lines, results.split(), rushlight)
    for way in ("compiled", "graph"):
        assert alike(HISTORIES.outcome(lines, results.split(), rushlight, **{way: True}), want)
    assert want[0][1][0][0][0] == gradient


@pytest.mark.filterwarnings("ignore:torch.compile")
def test_a_part_of_a_written_base():
    """No gradient passes a part that split gave before its base was written, as in PyTorch."""
    lines = ["v0 = x * 2", "v1 = v0.chunk(2, -1)[0]", "v0.copy_(b.sum())"]
    for results in (["v1"], ["v0", "v1"]):
        for ways in ({}, {"compiled": True}, {"graph": True}):
            assert type(HISTORIES.outcome(lines, results, rushlight, **ways)[0]) is GraphError
