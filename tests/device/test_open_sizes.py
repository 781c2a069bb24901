"""Kernels that serve many shapes, and those that are released again."""

import gc
import random

import pytest

import rushlight as T
from rushlight.compiler.device import program
from rushlight.compiler.device.loops import _multiplied
from rushlight.device_array import driver_of
from rushlight.ops.core import kept_programs, remote_calls
from rushlight.ops.core.kept_programs import KeptPrograms
from tests.daily import daily

F = T.nn.functional


def _window(x):
    return T.arange(8.0, device=x.device).reshape(2, 1, 2, 2)


def _gradients(x):
    x, window = x.detach().requires_grad_(), _window(x).requires_grad_()
    y = F.conv2d(x, window, padding=1, stride=(1, 2))
    return T.autograd.grad(y, (x, window), y.detach().sin())


#: Functions of a tensor with 3 dims, of 2 elements at least.
CALLS = {
    "sum over the last dim": lambda x: x.sum(-1),
    "sum over two dims": lambda x: x.sum((0, 2)),
    "softmax": lambda x: x.softmax(1),
    "largest, and where": lambda x: x.max(2),
    "variance": lambda x: x.var((0, 1)),
    "rows and columns": lambda x: x[:, :1] + x[:, :, -1:] * x[0],
    "turned": lambda x: x.permute(2, 0, 1).contiguous(),
    "reversed": lambda x: x.flip(1, 2),
    "padded": lambda x: F.pad(x, (1, 2, 0, 3)),
    "joined": lambda x: T.cat([x, x[:, 1:]], 1),
    "running sum": lambda x: x.cumsum(1),
    "every second": lambda x: x[::2, 1:] * 2.5,
    "triangle": lambda x: x.triu(1),
    "by index": lambda x: x.index_select(1, (x[0, :, 0] > 0).long()),
    "added at an index": lambda x: x.index_add(1, (x[0, :, 0] > 0).long(), x),
    "written": lambda x: x.clone().index_fill_(2, T.tensor([1], device=x.device), 7.0),
    "mean": lambda x: x.mean((1, 2)),
    "normalized": lambda x: F.layer_norm(x, x.shape[-1:]),
    "number": lambda x: x + x.numel() * 1.5,
    "whole number": lambda x: x * x.numel(),
    "product": lambda x: x @ x.transpose(1, 2),
    "product with a row": lambda x: (x @ x[:1, :1].mT).squeeze(-1),
    "linear": lambda x: F.linear(x, x[0], x[0, :, 0]),
    "convolution": lambda x: F.conv2d(x[:, None], _window(x)),
    "convolution's gradients": lambda x: _gradients(x[:, None]),
}  # fmt: skip


@pytest.fixture
def programs(monkeypatch):
    """A new table of programs: ``programs(most, most_kernels)``."""

    def make(*limits):
        found = KeptPrograms(*limits)
        monkeypatch.setattr(remote_calls, "_programs", found)
        return found

    return make


def _flat(found):
    return [found] if isinstance(found, T.Tensor) else [*found]


@pytest.mark.parametrize("name", daily([*CALLS], 4, "constant sizes"))
def test_open_and_constant_sizes_give_the_same(name, device, programs, monkeypatch):
    monkeypatch.setattr("rushlight.compiler.device.machine._LARGE", 0)
    monkeypatch.setattr("rushlight.compiler.device.product._LARGE", 0)
    monkeypatch.setattr(kept_programs, "_OFTEN", 1)
    programs(1000, 1000)
    draw = random.Random(name)
    for _ in range(3):
        x = T.randn(*[draw.choice([2, 3, 5, 8, 33, 40]) for _ in range(3)])
        there = x.to(device)
        first, second = [_flat(CALLS[name](there)) for _ in range(2)]
        for one, two, near in zip(first, second, _flat(CALLS[name](x)), strict=True):
            assert T.equal(one, two), x.shape
            T.testing.assert_close(one.cpu(), near, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", daily([*CALLS], 3, "open sizes"))
def test_a_new_shape_needs_no_new_kernel(name, device, programs):
    if not driver_of(device).open_tiles and name.startswith(("product", "linear", "convolution")):
        pytest.skip("the driver's compiler ends the process")
    programs(1000, 1000)
    driver, built = driver_of(device), []
    for shape in ((41, 35, 42), (43, 36, 45), (47, 37, 49)):
        before = driver.built
        CALLS[name](T.ones(shape, device=device))
        built.append(driver.built - before)
    assert built[1:] == [0, 0]


def test_rarely_used_kernels_are_released(device, programs, monkeypatch):
    kept, most = programs(1000, 6), 6
    driver, released = driver_of(device), []
    gc.collect()
    driver.release_dropped()
    unload, kernels = driver.unload, len(program._kernels)
    monkeypatch.setattr(driver, "unload", lambda *handles: (released.append(1), unload(*handles)))
    x, before = T.ones(3, 4, device=device), driver.built
    for k in range(3 * most):
        assert T.equal((x + k * 0.5).cpu(), T.full((3, 4), 1 + k * 0.5))
    made = driver.built - before
    assert made >= 2 * most
    assert len(kept._kernels) == most
    assert len(program._kernels) - kernels <= most
    driver.release_dropped()
    assert made - len(released) <= most


def test_programs_in_use_stay(device, programs):
    programs(4, 1000)
    driver, x = driver_of(device), T.ones(3, device=device)
    x * 3.0
    before = driver.built
    for k in range(1, 8):
        x + k
        x * 3.0
    assert driver.built - before <= 7


def test_numbers_that_must_be_code_are_planned_once(device, monkeypatch):
    from rushlight.compiler.device import single

    x, before, calls = T.rand(3, device=device), single.of_call, []
    monkeypatch.setattr(single, "of_call", lambda *given: calls.append(given[0]) or before(*given))
    for _ in range(4):
        2.75**x
    assert len(calls) <= 3  # with the number as an input, open or not, and as code


def test_a_product_and_a_shift_divide():
    draw = random.Random(1)
    for d in [
        2,
        3,
        2**30,
        2**31 - 1,
        *[draw.randrange(2, 2 ** draw.randrange(2, 32)) for _ in range(500)],
    ]:
        factor, shift = _multiplied(d)
        assert factor < 2**32
        multiple = draw.randrange(2**31 // d) * d
        for n in (0, d - 1, d, multiple, max(multiple - 1, 0), 2**31 - 1, draw.randrange(2**31)):
            assert n * factor >> shift == n // d
