"""The order of arguments of PyTorch's first versions, and NumPy's name for dims."""

import pytest

import rushlight as torch

CALLS = [
    lambda t, o: o(2).add(2, o(2)),
    lambda t, o: t.add(o(2), 3, o(2)),
    lambda t, o: o(2).add_(0.5, o(2)),
    lambda t, o: o(2).sub(2, o(2)),
    lambda t, o: t.add(o(2), 3, 2),
    lambda t, o: t.add(o(2, dtype=t.int32), 3, 2.5),
    lambda t, o: o(2).add_(3, True),
    lambda t, o: o(2).sub(3, 0),
    lambda t, o: o(2).addcmul_(0.5, o(2), o(2)),
    lambda t, o: t.addcdiv(o(2), -0.5, o(2), o(2)),
    lambda t, o: o(2, 2).addmm_(0.5, 2.0, o(2, 2), o(2, 2)),
    lambda t, o: o(2, 2).addmm(0.5, o(2, 2), o(2, 2)),
    lambda t, o: t.addmm(3, o(2, 2), 2, o(2, 2), o(2, 2)),
    lambda t, o: t.addmv(2, o(2), o(2, 2), o(2)),
    lambda t, o: o(2).addmv(2, 3, o(2, 2), o(2)),
    lambda t, o: o(2, 2).addr(2, o(2), o(2)),
    lambda t, o: t.addbmm(2, o(2, 2), 3, o(1, 2, 2), o(1, 2, 2)),
    lambda t, o: o(1, 2, 2).baddbmm(2, 3, o(1, 2, 2), o(1, 2, 2)),
]
RESULTS = [
    [3, 3], [4, 4], [1.5, 1.5], [-1, -1], [7, 7], [8.5, 8.5], [4, 4], [1, 1], [1.5, 1.5], [0.5, 0.5], [[4.5, 4.5]] * 2, [[2.5, 2.5]] * 2,
    [[7, 7]] * 2, [4, 4], [8, 8], [[3, 3]] * 2, [[8, 8]] * 2, [[[8, 8]] * 2],
]  # fmt: skip


@pytest.mark.parametrize("call, result", list(zip(CALLS, RESULTS, strict=True)))
def test_numbers_before_tensors(call, result):
    with pytest.warns(UserWarning, match="deprecated"):
        assert call(torch, torch.ones).tolist() == result


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", CALLS)
def test_as_pytorch(call):
    peer = pytest.importorskip("torch")
    assert call(torch, torch.ones).tolist() == call(peer, peer.ones).tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda x, **dim: x.chunk(3, **dim),
        lambda x, **dim: x.unbind(**dim),
        lambda x, **dim: x.tensor_split(3, **dim),
        lambda x, **dim: (x.repeat_interleave(2, **dim),),
    ],
)
def test_axis(call):
    x = torch.arange(6).reshape(2, 3)
    found, expected = call(x, axis=1), call(x, dim=1)
    assert [f.tolist() for f in found] == [e.tolist() for e in expected]


def test_multinomial_is_contiguous():
    found = torch.multinomial(torch.ones(3, 7), 2)
    assert found.is_contiguous() and found.stride() == (2, 1)
