"""Long sequences run in pieces, by programs of a few steps; short ones by NumPy. Both agree."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.sequence import recurrent

#: (network, options): one with a projection, and one without biases.
NETWORKS = [
    (torch.nn.LSTM, {}),
    (torch.nn.LSTM, {"proj_size": 2, "bidirectional": True}),
    (torch.nn.GRU, {"bidirectional": True}),
    (torch.nn.GRU, {"bias": False}),
]


def run(network, x, states):
    """The results, and the gradients of input, states and weights."""
    given = [x, *states, *network.parameters()]
    for t in given:
        t.requires_grad_().grad = None
    out, last = network(x, states if len(states) > 1 else states[0])
    ends = last if isinstance(last, tuple) else (last,)
    (sum([t.square().sum() for t in ends]) + (out * out.cos()).sum()).backward()
    return [t.detach().numpy().copy() for t in (out, *ends, *[t.grad for t in given])]


@pytest.mark.parametrize("length", [17, 35])
@pytest.mark.parametrize("kind, options", NETWORKS)
def test_pieces_give_what_one_run_gives(kind, options, length, monkeypatch):
    torch.manual_seed(0)
    network = kind(3, 4, dtype=torch.float64, **options)
    x = torch.randn(length, 2, 3, dtype=torch.float64)
    count = 1 + options.get("bidirectional", False)
    sizes = [options.get("proj_size") or 4, 4][: 1 + (kind is torch.nn.LSTM)]
    states = [torch.randn(count, 2, n, dtype=torch.float64) for n in sizes]
    found = []
    for least in (1 << 30, 0):
        monkeypatch.setattr(recurrent, "_LEAST", least)
        found.append(run(network, x, states))
    for want, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_the_bias_may_be_written_before_backward(monkeypatch):
    monkeypatch.setattr(recurrent, "_LEAST", 0)
    network, x = torch.nn.LSTM(2, 2), torch.randn(40, 1, 2)
    found = []
    for change in (0.0, 5.0):
        out, _ = network(x)
        with torch.no_grad():
            network.bias_hh_l0.add_(change)
        (grad,) = torch.autograd.grad(out.sum(), network.weight_hh_l0)
        found.append(grad)
    assert torch.equal(*found)


def test_packed_sequences_of_several_lengths_stay_with_numpy(monkeypatch):
    monkeypatch.setattr(recurrent, "_LEAST", 0)
    network = torch.nn.GRU(2, 2)
    long, short = torch.randn(40, 2), torch.randn(9, 2)
    packed = torch.nn.utils.rnn.pack_sequence([long, short])
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(network(packed)[0])
    torch.testing.assert_close(out[:, 0], network(long)[0])
    torch.testing.assert_close(out[:9, 1], network(short)[0])
