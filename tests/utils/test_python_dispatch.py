"""TorchDispatchMode and what stands on it: FlopCounterMode and make_fx."""

import pytest

import rushlight as torch
from rushlight.fx.experimental.proxy_tensor import make_fx
from rushlight.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
    is_in_torch_dispatch_mode,
)
from rushlight.utils.flop_counter import FlopCounterMode, register_flop_formula
from tests import conformance as c
from tests.samples import SAMPLES

try:
    import torch as pytorch
    from torch.utils.flop_counter import FlopCounterMode as TheirCounter
except ImportError:
    pytorch = None

aten = torch.ops.aten


class Log(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


def test_operations_forward_and_backward_are_seen():
    x = torch.rand(3, 3, requires_grad=True)
    with Log() as log:
        y = torch.relu(x @ x + 1).sum(dim=1, keepdim=True)
        y.sum().backward()
    names = [f._opname for f in log.seen]
    assert names[:4] == ["mm", "add", "relu", "sum"]
    assert names.count("mm") == 3  # the product and its two gradients
    assert log.seen[0] is aten.mm.default and log.seen[1] == aten.add.Tensor
    plain = x.detach().clone().requires_grad_()
    torch.relu(plain @ plain + 1).sum(dim=1, keepdim=True).sum().backward()
    torch.testing.assert_close(x.grad, plain.grad)
    assert x.grad.grad_fn is None and not x.grad.requires_grad


def test_results_can_be_replaced():
    class Zeros(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is aten.relu.default:
                return torch.zeros_like(args[0])
            return func(*args, **(kwargs or {}))

    with Zeros():
        assert torch.relu(torch.ones(2)).tolist() == [0, 0]
        assert torch.nn.ReLU()(torch.ones(2)).tolist() == [0, 0]
    assert torch.relu(torch.ones(2)).tolist() == [1, 1]


def test_modes_nest():
    assert not is_in_torch_dispatch_mode()
    with Log() as outer:
        with Log() as inner:
            torch.ones(2).neg()
            assert _get_current_dispatch_mode() is inner
        torch.ones(2)
    assert len(inner.seen) == 2 and len(outer.seen) == 3
    with pytest.raises(ZeroDivisionError), Log():
        raise ZeroDivisionError
    assert not is_in_torch_dispatch_mode()


def test_custom_operators_are_seen_and_have_rules():
    @torch.library.custom_op("test_dispatch::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    x = torch.ones(1)
    with Log() as log:
        twice(x)
    assert log.seen[0] is twice._opoverload

    class Special(Log):
        pass

    twice.register_torch_dispatch(Special, lambda mode, func, types, args, kwargs: func(*args) + 1)
    with Special():
        assert twice(torch.ones(1)).item() == 3
    with Log():
        assert twice(torch.ones(1)).item() == 2


def test_operations_of_lists_and_with_parameters_run_again():
    x = torch.rand(4, 6)
    calls = [
        lambda: torch.cat([x, x], dim=1), lambda: x.var(dim=1, keepdim=True), lambda: x[1:, ::2],
        lambda: torch.full((2,), 3), lambda: torch.where(x > 0.5, x, 0.0), lambda: x.argmax(dim=0),
        lambda: x.to(torch.float64), lambda: torch.nn.functional.softmax(x, dim=1),
        lambda: torch.einsum("ij,kj->ik", x, x), lambda: x.split(2), lambda: x.sort(dim=1),
        lambda: torch.nn.functional.layer_norm(x, (6,)), lambda: x.clone().add_(1), lambda: 2 / x,
        lambda: torch.linalg.svd(x @ x.T)[1], lambda: torch.fft.rfft(x).abs(),
    ]  # fmt: skip
    for call in calls:
        with Log():
            found = call()
        torch.testing.assert_close(found, call())


def test_random_numbers_are_those_without_a_mode():
    torch.manual_seed(0)
    plain = torch.rand(3), torch.nn.functional.dropout(torch.ones(9)), torch.randn(2)
    torch.manual_seed(0)
    with Log():
        found = torch.rand(3), torch.nn.functional.dropout(torch.ones(9)), torch.randn(2)
    for a, b in zip(plain, found, strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_every_operation_runs_as_without_a_mode():
    failed = []
    for s in SAMPLES.values():
        if s.draws:
            continue
        plain = c.run(torch, s), c.gradients(torch, s) if s.grad else ()
        try:
            with Log():
                seen = c.run(torch, s), c.gradients(torch, s) if s.grad else ()
            for a, b in zip([*seen[0], *seen[1]], [*plain[0], *plain[1]], strict=True):
                if isinstance(b, torch.Tensor):
                    torch.testing.assert_close(a, b, equal_nan=True, rtol=1e-4, atol=1e-5)
        except Exception as error:
            failed.append(f"{s.name}: {type(error).__name__} {str(error)[:150]}")
    assert not failed, "\n".join(failed)


# Counting ---------------------------------------------------------------------------------


def models(torch):
    nn = torch.nn
    return [
        (nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)),
         (2, 3, 4, 4)),
        (nn.Sequential(nn.Conv1d(4, 8, 3, stride=2), nn.Conv1d(8, 4, 1)), (2, 4, 9)),
        (nn.Sequential(nn.Linear(4, 8, bias=False), nn.Sequential(nn.Tanh(), nn.Linear(8, 2))),
         (5, 4)),
        (nn.ConvTranspose2d(2, 3, 3, stride=2), (1, 2, 4, 4)),
    ]  # fmt: skip


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("i", range(4))
def test_totals_are_those_of_pytorch(i, backward):
    pytest.importorskip("torch")
    totals = []
    for t, Counter in ((torch, FlopCounterMode), (pytorch, TheirCounter)):
        model, shape = models(t)[i]
        with Counter(display=False) as counter:
            out = model(t.ones(shape, requires_grad=True))
            if backward:
                out.sum().backward()
        by_module = {k: sum(v.values()) for k, v in counter.get_flop_counts().items()}
        totals.append((counter.get_total_flops(), by_module))
    assert totals[0] == totals[1]


def test_the_table_and_formulas(capsys):
    with FlopCounterMode():
        torch.nn.Sequential(torch.nn.Linear(10, 100))(torch.ones(3, 10))
    assert "Sequential.0" in capsys.readouterr().out

    @register_flop_formula(aten.erf)
    def erf_flop(x_shape, *args, out_shape=None, **kwargs):
        return 7 * x_shape.numel()

    with FlopCounterMode(display=False) as counter:
        torch.erf(torch.ones(2, 3))
    assert counter.get_total_flops() == 42
    mapping = {aten.tanh: lambda x_shape, out_shape=None, **kwargs: x_shape[0]}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        torch.tanh(torch.ones(5))
    assert counter.get_flop_counts()["Global"] == {aten.tanh: 5}


# Graphs of operations ---------------------------------------------------------------------


def test_make_fx_records_forward_and_backward():
    w = torch.rand(3, 2, requires_grad=True)

    def step(x, scale):
        loss = torch.relu(x @ w).mul(scale["a"]).sum()
        return {"grad": torch.autograd.grad(loss, w)[0], "loss": loss}

    x, scale = torch.rand(4, 3), {"a": torch.rand(2)}
    made = make_fx(step)(x, scale)
    other = torch.rand(4, 3), torch.rand(2)
    with torch.no_grad():
        found = made(*other)
    wanted = step(other[0], {"a": other[1]})
    torch.testing.assert_close(found["grad"], wanted["grad"])
    torch.testing.assert_close(found["loss"], wanted["loss"].detach())
    targets = [n.target for n in made.graph.nodes if n.op == "call_function"]
    assert aten.mm.default in targets
    for refused in (lambda x: x.clone().add_(1), lambda x: x.neg().relu_() + 1):
        with pytest.raises(NotImplementedError, match="written in place"):
            make_fx(refused)(torch.rand(2))
    with pytest.raises(NotImplementedError):
        make_fx(step, tracing_mode="symbolic")
