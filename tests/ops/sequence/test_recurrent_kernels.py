"""A kernel takes all steps of a recurrent layer, for any sizes, and agrees with NumPy."""

import random

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import native

nn = torch.nn


def run(network, x, states):
    """The results, and the gradients of input, states and weights."""
    given = [x, *states, *network.parameters()]
    for t in given:
        t.requires_grad_().grad = None
    out, last = network(x, states if len(states) > 1 else states[0])
    ends = last if isinstance(last, tuple) else (last,)
    (sum([t.square().sum() for t in ends]) + (out * out.cos()).sum()).backward()
    return [t.detach().numpy().copy() for t in (out, *ends, *[t.grad for t in given])]


def network(draw, dtype):
    """(a random network, a sequence of random sizes for it, its states)."""
    kind, n = draw.choice([nn.LSTM, nn.GRU, nn.RNN]), draw.choice([1, 2, 3, 8, 16, 17, 20, 37])
    options = {"nonlinearity": draw.choice(["tanh", "relu"])} if kind is nn.RNN else {}
    two, layers = draw.random() < 0.5, draw.choice([1, 2])
    made = kind(
        3, n, layers, bias=draw.random() < 0.8, bidirectional=two, dtype=dtype, **options
    )  # fmt: skip
    batch, length = draw.randint(1, 20), draw.choice([1, 2, 5, 20])
    states = [torch.randn(layers * (1 + two), batch, n, dtype=dtype)]
    if kind is nn.LSTM:
        states.append(torch.randn_like(states[0]))
    return made, torch.randn(length, batch, 3, dtype=dtype), states


@pytest.mark.skipif(not native.compiles(), reason="there are no kernels")
@pytest.mark.parametrize("seed", range(24))
def test_kernels_agree_with_numpy(seed, monkeypatch):
    from rushlight.compiler.run import recurrent_kernels

    draw = random.Random(seed)
    torch.manual_seed(seed)
    dtype, close = draw.choice([(torch.float32, 1e-4), (torch.float64, 1e-11)])
    given, calls = network(draw, dtype), []
    kernel = recurrent_kernels.run
    monkeypatch.setattr(recurrent_kernels, "run", lambda *args: calls.append(1) or kernel(*args))
    if draw.random() < 0.5:  # several threads take sequences
        monkeypatch.setattr(recurrent_kernels, "_SHARED", 1)
    found = run(*given)
    assert calls
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    for want, got in zip(run(*given), found, strict=True):
        np.testing.assert_allclose(got, want, rtol=close, atol=close * np.abs(want).max())


def test_the_bias_may_be_written_before_backward():
    network, x = nn.LSTM(2, 2), torch.randn(40, 1, 2)
    found = []
    for change in (0.0, 5.0):
        out, _ = network(x)
        with torch.no_grad():
            network.bias_hh_l0.add_(change)
        (grad,) = torch.autograd.grad(out.sum(), network.weight_hh_l0)
        found.append(grad)
    assert torch.equal(*found)


def test_packed_sequences_of_several_lengths():
    network = nn.GRU(2, 2)
    long, short = torch.randn(40, 2), torch.randn(9, 2)
    packed = nn.utils.rnn.pack_sequence([long, short])
    out, _ = nn.utils.rnn.pad_packed_sequence(network(packed)[0])
    torch.testing.assert_close(out[:, 0], network(long)[0])
    torch.testing.assert_close(out[:9, 1], network(short)[0])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_infinite_gradients_and_nan_are_kept_apart(kind):
    """Nothing of one sequence reaches another one."""
    network, x = kind(2, 5), torch.randn(4, 6, 2)
    whole, _ = network(x)
    x[2, 3] = float("nan")
    out, _ = network(x)
    assert out[2:, 3].isnan().all()
    others = [0, 1, 2, 4, 5]
    assert torch.equal(out[:, others], whole[:, others])


def _result(call):
    try:
        return [t.shape for t in call()]
    except (RuntimeError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("seed", range(40))
def test_shapes_that_do_not_fit_are_as_with_numpy(seed, monkeypatch):
    """A kernel would read memory behind the arrays."""
    draw = random.Random(seed)
    name, gates = draw.choice([("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)])
    n, batch, length = draw.randint(1, 9), draw.randint(1, 4), draw.randint(1, 4)
    wide, rows = n + draw.choice([0, 0, 5, 40]), gates * n
    bias = draw.choice([(rows,), (1,), (), (rows - 1,), (n,)])
    state = 1, draw.choice([batch, 1]), n + draw.choice([0, 0, 5, 40])
    weights = [torch.ones(rows, 3), torch.ones(rows, wide), torch.ones(rows), torch.ones(bias)]
    states = torch.ones(state) if name != "lstm" else (torch.ones(state), torch.ones(state))
    options = True, 1, 0.0, False, False, False

    def call():
        out, *_ = getattr(torch, name)(torch.ones(length, batch, 3), states, weights, *options)
        return [out]

    found = _result(call)
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    assert found == _result(call)
