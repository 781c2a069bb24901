"""In-place methods of large tensors compute in the tensor's own memory."""

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.core import destination
from rushlight.ops.core.destination import Destination
from tests.test_house import without_replays

METHODS = sorted(
    name
    for name, method in vars(torch.Tensor).items()
    if name.endswith("_") and not name.startswith("_") and getattr(method, "is_direct", False)
)
#: Some of their cases take this way.
SURE = ["add_", "sub_", "mul_", "div_", "neg_", "addcmul_", "digamma_"]
OPERANDS = {"addcmul_": 2, "addcdiv_": 2, "lerp_": 2}  # besides the tensor; others take 1 or none


@pytest.fixture
def filled(monkeypatch, nothing_intercepts):
    """All arrays are large; the list of the names of operations that filled a destination."""
    monkeypatch.setattr(destination, "LEAST", 1)
    fill, names = Destination.fill, []

    def noted(self, op, operands, params):
        done = fill(self, op, operands, params)
        names.extend([op.name] * done)
        return done

    monkeypatch.setattr(Destination, "fill", noted)
    with without_replays():
        yield names


def operands(random, name):
    """Memory, a tensor in it, and operands for that: some are parts of the same memory."""
    dtype = random.choice([torch.float32] * 3 + [torch.float64, torch.bfloat16, torch.int64])
    # To compile a kernel for each operation would take long here; with RUSHLIGHT_CHECK=large they
    # have kernels for all sizes.
    n = int(random.choice([1, 7, 64, 70_000 if name in SURE else 1000]))
    memory = torch.from_numpy(random.uniform(-2, 2, 3 * n + 2)).to(dtype)
    x, apart = memory[:n], memory[-n:]
    if random.random() < 0.2:
        x = memory[: 2 * n : 2]
    narrow = random.choice([torch.float32, torch.float64])
    numbers = [float(random.normal()), int(random.integers(-3, 4))]
    others = [x, memory[1 : n + 1], x[0], x[n // 2 :], apart, apart.flip(0), apart.to(narrow)]
    return memory, x, [*others, apart, apart.clone(), memory[-1], *numbers]


@pytest.mark.parametrize("name", METHODS)
def test_an_in_place_method_writes_what_the_function_returns(name, filled):
    random = np.random.default_rng(len(name))
    for _ in range(60 if name in SURE else 10):
        memory, x, others = operands(random, name)
        given = [others[i] for i in random.integers(len(others), size=OPERANDS.get(name, 1))]
        for args in (given, []):
            want = memory.clone()
            try:
                result = getattr(x, name[:-1])(*args)
                want.as_strided(x.shape, x.stride()).copy_(result)
                getattr(x, name)(*args)
            except (RuntimeError, TypeError, ValueError, OverflowError):
                continue  # the function has other operands, or its result does not fit into x
            assert torch.equal(memory.nan_to_num(), want.nan_to_num()), (x.shape, args)
    assert filled or name not in SURE


ACTIVATIONS = ["hardtanh", "hardswish", "hardsigmoid", "silu", "mish", "leaky_relu", "elu", "relu"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_in_place_writes_what_it_returns(name, filled):
    activation = getattr(torch.nn.functional, name)
    random = np.random.default_rng(len(name))
    for n in (0, 1, 7, 70_000):
        memory = torch.from_numpy(random.uniform(-8, 8, 2 * n).astype("f4"))
        for x in (memory[:n], memory[::2], memory.view(2, n).t()):
            want = activation(x)
            version = x._version
            assert activation(x, inplace=True) is x and x._version == version + 1
            assert torch.equal(x, want)
    assert name in filled


@pytest.mark.parametrize("name", [n[:-1] for n in METHODS if hasattr(torch, n[:-1])])
def test_out_takes_what_the_function_returns(name, filled):
    function = getattr(torch, name)
    random = np.random.default_rng(len(name))
    for _ in range(60 if name + "_" in SURE else 10):
        memory, x, others = operands(random, name + "_")
        given = [others[i] for i in random.integers(len(others), size=OPERANDS.get(name + "_", 1))]
        first = others[random.integers(len(others) - 2)]
        for args in ((first, *given), (first,)):
            want = memory.clone()
            try:
                result = function(*args)
                if result.shape != x.shape or result.dtype != x.dtype:
                    continue
                want.as_strided(x.shape, x.stride()).copy_(result)
                function(*args, out=x)
            except (RuntimeError, TypeError, ValueError, OverflowError):
                continue  # the function has other operands
            assert torch.equal(memory.nan_to_num(), want.nan_to_num()), (x.shape, args)
    assert filled or name + "_" not in SURE


def test_a_write_in_place_is_seen_by_all_who_share_the_memory(filled):
    x = torch.ones(70_000)
    y = x * torch.ones((), requires_grad=True)
    z = y.exp().sum() + (y * y).sum()
    array, part, version = x.numpy(), x[3:], x._version
    x.add_(1).mul_(3)
    assert filled == ["add", "mul"] and x._version == version + 2
    assert array[0] == 6 and part[0] == 6
    with torch.no_grad():
        y.sub_(0.5)
    assert filled[2:] == ["sub"]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_what_gradients_must_see_is_not_computed_in_place(filled):
    w = torch.full((70_000,), 2.0, requires_grad=True)
    x = torch.ones(70_000)
    x.mul_(w)
    x.sum().backward()
    assert not filled and w.grad[0] == 1
    with pytest.raises(RuntimeError, match="leaf Variable"):
        w.add_(1)
    with torch.no_grad():
        w.add_(1)
    assert filled == ["add"] and w[0] == 3


def test_memory_that_must_not_be_written_raises(filled):
    array = np.ones(70_000, "f4")
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        x = torch.from_numpy(array)
    with pytest.raises(RuntimeError, match="read-only"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="more than one element"):
        torch.ones(1).expand(70_000).add_(1)
    assert array[0] == 1 and not filled
