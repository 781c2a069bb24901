"""torch.utils.checkpoint: forgets and computes again, and gives what PyTorch's gives."""

import weakref

import numpy as np
import pytest

import rushlight
from rushlight.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential

WAYS = [True, False]


def both():
    """rushlight and PyTorch, the oracle."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.utils.checkpoint")
    return rushlight, torch


def model(torch, depth=3, dropout=0.0):
    torch.manual_seed(0)
    parts = [
        part
        for _ in range(depth)
        for part in (torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Dropout(dropout))
    ]
    return torch.nn.Sequential(*parts)


def same(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("use_reentrant", WAYS)
@pytest.mark.parametrize("preserve_rng_state", [True, False])
def test_gradients_and_random_numbers(use_reentrant, preserve_rng_state):
    found = []
    for torch in both():
        net = model(torch, dropout=0.4)
        torch.manual_seed(1)
        x = torch.ones(5, 4, requires_grad=True)
        y = torch.utils.checkpoint.checkpoint(
            net, x, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state
        )
        y.square().sum().backward()
        found.append([y, x.grad, *(p.grad for p in net.parameters()), torch.rand(3)])
    for ours, theirs in zip(*found, strict=True):
        same(ours, theirs)


@pytest.mark.parity
@pytest.mark.parametrize("use_reentrant", WAYS)
def test_autocast_as_in_the_forward(use_reentrant):
    found = []
    for torch in both():
        net, dtypes = model(torch), []
        net[0].register_forward_hook(lambda module, args, out, seen=dtypes: seen.append(out.dtype))
        x = torch.ones(5, 4, requires_grad=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = torch.utils.checkpoint.checkpoint(net, x, use_reentrant=use_reentrant)
        y.float().square().sum().backward()
        assert dtypes == [torch.bfloat16] * 2
        found.append([y.float(), x.grad, *(p.grad for p in net.parameters())])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=3e-2)


@pytest.mark.parity
@pytest.mark.parametrize("use_reentrant", WAYS)
@pytest.mark.parametrize("segments", [1, 2, 3])
def test_sequential(use_reentrant, segments):
    found = []
    for torch in both():
        net = model(torch)
        x = torch.ones(5, 4, requires_grad=True)
        run = torch.utils.checkpoint.checkpoint_sequential
        y = run(net, segments, x, use_reentrant=use_reentrant)
        y.square().sum().backward()
        found.append([y, x.grad, *(p.grad for p in net.parameters())])
    for ours, theirs in zip(*found, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("use_reentrant", WAYS)
def test_nothing_inside_is_kept_and_all_is_computed_again(use_reentrant):
    inside, calls = [], []

    def part(x):
        calls.append(rushlight.is_grad_enabled())
        y = x.exp()
        inside.append(weakref.ref(y._array))
        return y * y

    x = rushlight.ones(3, requires_grad=True)
    y = checkpoint(part, x, use_reentrant=use_reentrant)
    assert len(calls) == 1 and inside[0]() is None
    y.sum().backward()
    assert len(calls) == 2 and calls[1]
    assert all(kept() is None for kept in inside)
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2.0), rtol=1e-6)


def test_without_a_checkpoint_the_test_above_would_fail():
    x = rushlight.ones(3, requires_grad=True)
    y = x.exp()
    kept = weakref.ref(y._array)
    z = y * y
    del y
    assert kept() is not None and z.requires_grad


def test_nested():
    calls = []

    def inner(x):
        calls.append("inner")
        return x.sin()

    def outer(x):
        calls.append("outer")
        return checkpoint(inner, x * 2, use_reentrant=False) * 3

    x = rushlight.tensor([0.5], requires_grad=True)
    checkpoint(outer, x, use_reentrant=False).backward()
    assert calls == ["outer", "inner", "outer", "inner", "inner"]
    assert x.grad.item() == pytest.approx(6 * np.cos(1.0))


def test_structures_keywords_and_inputs_without_grad():
    w = rushlight.tensor(2.0, requires_grad=True)

    def part(x, *, by):
        return {"a": x * w, "rest": (x * w * by, "text"), "same": x}

    x = rushlight.ones(3)
    found = checkpoint(part, x, by=3, use_reentrant=False)
    assert found["same"] is x and found["rest"][1] == "text"
    (found["a"].sum() + 2 * found["rest"][0].sum()).backward()
    assert w.grad.item() == 3 + 2 * 9


def test_one_of_several_outputs():
    x = rushlight.ones(3, requires_grad=True)
    a, b = checkpoint(lambda x: (x * 2, x * 5), x, use_reentrant=False)
    (g,) = rushlight.autograd.grad(b.sum(), x)
    assert g.tolist() == [5, 5, 5] and a.requires_grad


def test_grad_with_inputs_and_higher_orders():
    x = rushlight.tensor([0.3, 0.7], dtype=rushlight.float64, requires_grad=True)
    part = lambda x: checkpoint(lambda x: x.exp() * x.sin(), x, use_reentrant=False)
    assert rushlight.autograd.gradcheck(part, (x,))
    assert rushlight.autograd.gradgradcheck(part, (x,))


def test_graph_is_freed_or_retained():
    x = rushlight.ones(2, requires_grad=True)
    y = checkpoint(lambda x: x.exp().exp(), x, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_hooks_of_tensors_before_run_once():
    seen = []
    x = rushlight.ones(2, requires_grad=True)
    h = x * 2
    h.register_hook(lambda g: seen.append(g.tolist()))
    checkpoint(lambda h: h * h, h, use_reentrant=False).sum().backward()
    assert seen == [[4, 4]] and x.grad.tolist() == [8, 8]


def test_view_results():
    x = rushlight.ones(2, 3, requires_grad=True)
    y = checkpoint(lambda x: x.exp().t(), x, use_reentrant=False)
    y.mul_(2)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.e, rtol=1e-6)
    whole = checkpoint(lambda x: x.t(), x, use_reentrant=False)
    assert whole.data_ptr() == x.data_ptr() and whole.sum().requires_grad


def test_no_grad_and_compile_are_ordinary_calls():
    x = rushlight.ones(2, requires_grad=True)
    with rushlight.no_grad():
        assert not checkpoint(lambda x: x * 2, x, use_reentrant=False).requires_grad

    @rushlight.compile(fullgraph=True)
    def step(x):
        return checkpoint(lambda x: (x * 2).exp(), x, use_reentrant=False).sum()

    step(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2.0), rtol=1e-6)


def test_inputs_written_since_are_noticed():
    x = rushlight.ones(2, requires_grad=True)
    h = x * 1
    y = checkpoint(lambda h: h.exp(), h, use_reentrant=False)
    h.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        y.sum().backward()


def test_another_result_the_second_time():
    calls = []

    def part(x):
        calls.append(1)
        return x.exp() if len(calls) == 1 else x[:1].exp()

    x = rushlight.ones(2, requires_grad=True)
    with pytest.raises(CheckpointError, match="different metadata"):
        checkpoint(part, x, use_reentrant=False).sum().backward()


def test_reentrant_refuses_what_pytorch_refuses():
    x = rushlight.ones(2, requires_grad=True)
    y = checkpoint(lambda x: x.exp(), x, use_reentrant=True)
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        rushlight.autograd.grad(y.sum(), x)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: b"):
        checkpoint(lambda x, b: x, x, b=1, use_reentrant=True)
    with pytest.raises(ValueError, match="context_fn"):
        checkpoint(lambda x: x, x, context_fn=lambda: None, use_reentrant=True)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(lambda x: x, x, determinism_check="some", use_reentrant=False)
    with pytest.warns(UserWarning, match="None of the inputs"):
        checkpoint(lambda x: x, rushlight.ones(1), use_reentrant=True)
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        assert checkpoint(lambda x: x * 2, x).tolist() == [2, 2]
    with pytest.raises(ValueError, match="segments"):
        checkpoint_sequential([abs], 2, x, use_reentrant=False)


def test_contexts():
    entered = []

    class Context:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            entered.append(self.name)

        def __exit__(self, *exc):
            pass

    x = rushlight.ones(2, requires_grad=True)
    contexts = lambda: (Context("first"), Context("again"))
    checkpoint(lambda x: x.exp(), x, use_reentrant=False, context_fn=contexts).sum().backward()
    assert entered == ["first", "again"]


def test_batches_of_gradients_compute_again_outside_of_the_batch():
    """Its random numbers are those of the forward."""
    torch = rushlight
    x = torch.linspace(0.1, 1, 8).requires_grad_()
    call = lambda x: torch.nn.functional.dropout(x.sin(), 0.5) * x.sum()
    y = checkpoint(call, x, use_reentrant=False)
    each = torch.eye(8)
    found = torch.autograd.grad(y, x, each, retain_graph=True, is_grads_batched=True)[0]
    rows = [torch.autograd.grad(y, x, row, retain_graph=True)[0] for row in each]
    assert torch.equal(found, torch.stack(rows)) and (y == 0).any() and (y != 0).any()


@pytest.mark.parametrize("reentrant", [False, True])
def test_results_that_are_no_tensors_are_passed_on(reentrant):
    def function(x, y, scale):
        return scale, x * y * scale, None, "name", x, x + y

    x, y = (rushlight.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    found = checkpoint(function, x, y, 5, use_reentrant=reentrant)
    assert found[0] == 5 and found[2:4] == (None, "name")
    for result, slopes in ((1, (15.0, 10.0)), (5, (1.0, 1.0)), (4, (1.0, None))):
        x.grad = y.grad = None
        found[result].backward(retain_graph=True)
        assert x.grad.item() == slopes[0]
        assert (y.grad.item() if y.grad is not None else 0.0) == (slopes[1] or 0.0)
