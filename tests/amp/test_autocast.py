"""Autocast against PyTorch: dtypes and values of what is on its lists, and its regions."""

import threading
import zlib

import numpy as np
import pytest

import rushlight as torch
from rushlight.autograd import mode
from rushlight.compiler.calls.compiled import Compiled
from rushlight.utils.checkpoint import checkpoint
from tests.amp.cases import CASES


@pytest.fixture
def peer():
    return pytest.importorskip("torch")


def outcome(t, name, dtype, lower):
    """What a call gives in a region, or None where it raises; its inputs are of ``dtype``."""
    t.manual_seed(0)
    count = 0

    def make(*shape):
        nonlocal count
        count += 1
        rng = np.random.default_rng([zlib.crc32(name.encode()), count])
        return t.from_numpy(rng.uniform(-1, 1, shape).astype("f4")).to(getattr(t, dtype))

    with t.autocast("cpu", dtype=getattr(t, lower)):
        return CASES[name](t, make).detach()


def numbers(x):
    x = x if x.is_complex() else x.float()
    return x.resolve_conj().numpy() if hasattr(x, "resolve_conj") else x.numpy()


@pytest.mark.parity
@pytest.mark.parametrize("name", CASES)
def test_dtypes_and_values(name, peer):
    for lower in ("bfloat16", "float16"):
        for dtype in ("float32", lower):
            if lower == "float16" and name in ("lstm", "lstm_of_half"):
                continue  # PyTorch on the CPU has no such kernel
            got = outcome(torch, name, dtype, lower)
            try:
                want = outcome(peer, name, dtype, lower)
            except RuntimeError as error:
                if "could not create a primitive" not in str(error):
                    raise
                continue  # this processor is not among those that it has the kernel for
            assert str(got.dtype) == str(want.dtype), (dtype, lower)
            np.testing.assert_allclose(numbers(got), numbers(want), rtol=2e-2, atol=2e-2)


def state():
    return (
        torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"),
        torch.is_autocast_cache_enabled(), mode.state.autocast, mode.intercept,
    )  # fmt: skip


def product():
    return torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype


def test_regions_nest_and_end():
    before = state()
    with torch.autocast("cpu"):
        assert product() is torch.bfloat16
        with torch.autocast("cpu", enabled=False):
            assert product() is torch.float32
            with torch.autocast("cpu", dtype=torch.float16, cache_enabled=False):
                assert product() is torch.float16
                assert not torch.is_autocast_cache_enabled()
        assert product() is torch.bfloat16
        with pytest.raises(KeyError), torch.autocast("cpu", dtype=torch.float16):
            raise KeyError
        assert product() is torch.bfloat16
    with (region := torch.autocast("cpu")), region:
        assert product() is torch.bfloat16
    assert state() == before and product() is torch.float32


def test_as_a_decorator():
    @torch.autocast("cpu", dtype=torch.float16)
    def f(depth):
        """Its text."""
        return product() if not depth else f(depth - 1)

    assert f(2) is torch.float16 and f.__doc__ == "Its text."
    assert product() is torch.float32


def test_by_functions():
    before = state()
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)
    assert product() is torch.float16
    torch.set_autocast_dtype("cpu", torch.bfloat16)
    assert product() is torch.bfloat16
    torch.set_autocast_enabled("cpu", False)
    assert state() == before


def test_a_region_is_its_threads_own():
    found = []
    with torch.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append(product()))
        thread.start()
        thread.join()
    assert found == [torch.float32]


def test_other_devices():
    assert torch.get_autocast_dtype("cuda") is torch.float16
    with pytest.warns(UserWarning, match="CUDA"):
        region = torch.autocast("cuda")
    with region:
        assert product() is torch.float32 and not torch.is_autocast_enabled()
    with pytest.warns(UserWarning, match="float64"), torch.autocast("cpu", dtype=torch.float64):
        assert product() is torch.float32
    with pytest.raises(RuntimeError):
        torch.autocast("nothing")
    with pytest.raises(RuntimeError):
        torch.autocast("meta")
    with pytest.raises(ValueError):
        torch.autocast(3)


def test_deprecated_names():
    with pytest.warns(FutureWarning), torch.cpu.amp.autocast():
        assert product() is torch.bfloat16
    with pytest.warns(FutureWarning):
        assert torch.cpu.amp.GradScaler().is_enabled()
    with pytest.warns(FutureWarning), pytest.warns(UserWarning, match="CUDA"):
        assert not torch.cuda.amp.GradScaler().is_enabled()
    with pytest.warns(FutureWarning):
        torch.cuda.amp.custom_fwd(lambda ctx: None)


# Gradients --------------------------------------------------------------------------------


def trained(t, cache_enabled=True):
    """Gradients of a small network that uses one layer twice."""
    t.manual_seed(3)
    first, second = t.nn.Linear(4, 4), t.nn.Linear(4, 3)
    x = t.linspace(-1, 1, 20).reshape(5, 4)
    with t.autocast("cpu", cache_enabled=cache_enabled):
        hidden = first(first(x).relu())
        y = second(t.nn.functional.layer_norm(hidden, (4,)))
        loss = t.nn.functional.cross_entropy(y, t.tensor([0, 1, 2, 0, 1]))
    loss.backward()
    return [loss, y, *[p.grad for p in (*first.parameters(), *second.parameters())]]


@pytest.mark.parity
@pytest.mark.parametrize("cache_enabled", [True, False])
def test_gradients(cache_enabled, peer):
    for got, want in zip(trained(torch, cache_enabled), trained(peer, cache_enabled), strict=True):
        assert str(got.dtype) == str(want.dtype)
        np.testing.assert_allclose(
            numbers(got.detach()), numbers(want.detach()), rtol=3e-2, atol=5e-3
        )


def test_weights_are_cast_once_in_the_outermost_region():
    w = torch.ones(2, 2, requires_grad=True)
    with torch.autocast("cpu"):
        with torch.autocast("cpu"):
            first = torch.mm(w, w).grad_fn.next_functions
        second = torch.mm(w, w).grad_fn.next_functions
        assert first[0][0] is first[1][0] is second[0][0]
        torch.clear_autocast_cache()
        third = torch.mm(w, w).grad_fn.next_functions
        assert third[0][0] is not first[0][0]
    with torch.autocast("cpu"):
        with torch.no_grad():
            torch.mm(w, w)
        assert torch.mm(w, w).requires_grad
    with torch.autocast("cpu", cache_enabled=False):
        a, b = torch.mm(w, w).grad_fn.next_functions
        assert a[0] is not b[0]


def test_backward_inside_a_region_is_not_cast():
    w = torch.ones(2, 2, requires_grad=True)
    with torch.autocast("cpu"):
        y = (w.double() @ w.double()).sum()
        (g,) = torch.autograd.grad(y, w, create_graph=True)
        assert g.dtype is torch.float32 and mode.state.autocast is not None
        (second,) = torch.autograd.grad((g * g).sum(), w)
    np.testing.assert_allclose(second.numpy(), np.full((2, 2), 32.0))


def custom(t):
    """The dtypes that a custom function sees, by how it is decorated."""
    seen = []

    def function(**options):
        class F(t.autograd.Function):
            @staticmethod
            @t.amp.custom_fwd(device_type="cpu", **options)
            def forward(ctx, x, y):
                ctx.save_for_backward(x, y)
                out = x.mm(y)
                seen.append((str(x.dtype), str(out.dtype)))
                return out

            @staticmethod
            @t.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                x, y = ctx.saved_tensors
                seen.append(str(x.to(g.dtype).mm(y.to(g.dtype)).dtype))
                return g @ y.to(g.dtype).t(), x.to(g.dtype).t() @ g

        return F.apply

    for options in ({}, {"cast_inputs": t.float32}, {"cast_inputs": t.bfloat16}):
        for enabled in (True, False):
            x = t.ones(2, 2, requires_grad=True)
            with t.autocast("cpu", enabled=enabled):
                out = function(**options)(x, t.ones(2, 2))
            out.float().sum().backward()
            seen.append(str(x.grad.dtype))
    return seen


@pytest.mark.parity
def test_custom_functions(peer):
    assert custom(torch) == custom(peer)


# Inside torch.compile ---------------------------------------------------------------------


def test_compiled_regions():
    layer = torch.nn.Linear(4, 3)

    def step(x):
        with torch.autocast("cpu"):
            y = layer(x)
            loss = torch.nn.functional.mse_loss(y, torch.zeros(5, 3))
        loss.backward()
        return y, loss

    x = torch.linspace(-1, 1, 20).reshape(5, 4)
    want, wanted_slope = step(x), layer.weight.grad.clone()
    layer.zero_grad()
    compiled = torch.compile(step, fullgraph=True)
    for _ in range(2):
        layer.zero_grad()
        got = compiled(x)
        assert [t.dtype for t in got] == [torch.bfloat16, torch.float32]
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(
                numbers(g.detach()), numbers(w.detach()), rtol=1e-2, atol=1e-2
            )
        np.testing.assert_allclose(
            layer.weight.grad.numpy(), wanted_slope.numpy(), rtol=2e-2, atol=1e-2
        )
    assert mode.state.autocast is None


def test_a_program_is_for_the_region_it_was_recorded_in():
    compiled = Compiled(lambda x: x @ x, fullgraph=True)
    x = torch.eye(2)
    found = []
    for _ in range(2):
        found.append(compiled(x).dtype)
        with torch.autocast("cpu"):
            found.append(compiled(x).dtype)
        with torch.autocast("cpu", dtype=torch.float16):
            found.append(compiled(x).dtype)
    assert found == [torch.float32, torch.bfloat16, torch.float16] * 2
    assert compiled.count == 3


def test_a_checkpoint_does_not_share_casts_with_what_is_around_it():
    w = torch.ones(2, 2, requires_grad=True)
    x = torch.ones(2, 2)
    with torch.autocast("cpu"):
        parts = [x @ w, checkpoint(torch.matmul, x, w, use_reentrant=False), x @ w]
        parts.append(checkpoint(torch.matmul, x, w, use_reentrant=False))
        for part in parts[:3]:
            part.float().sum().backward()
    parts[3].float().sum().backward()
    assert w.grad.tolist() == [[8.0, 8.0], [8.0, 8.0]]


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints_run_again_as_they_ran(use_reentrant):
    w = torch.linspace(-1, 1, 9).reshape(3, 3).requires_grad_()
    found = []

    def block(x):
        out = torch.mm(x, w).relu()
        found.append((torch.is_autocast_enabled("cpu"), out.dtype))
        return out

    x = torch.linspace(1, 2, 9).reshape(3, 3).requires_grad_()
    with torch.autocast("cpu"):
        direct = block(x)
        again = checkpoint(block, x, use_reentrant=use_reentrant)
    (want,) = torch.autograd.grad(direct.float().sum(), w)
    again.float().sum().backward()
    assert found == [(True, torch.bfloat16)] * 3 and torch.equal(w.grad, want)
    assert mode.state.autocast is None


def test_inference_mode_keeps_no_casts():
    w = torch.nn.Parameter(torch.ones(2, 2))
    with torch.autocast("cpu", dtype=torch.float16):
        for context, after in ((torch.inference_mode, 4), (torch.no_grad, 2)):
            with torch.no_grad():
                w.fill_(1)
            with context():
                before = torch.ones(2) @ w
                w.data.fill_(2)
                assert before[0] == 2 and (torch.ones(2) @ w)[0] == after
