"""Functions that libraries take from inside of PyTorch: amp, lists, axes by patterns, profilers."""

import importlib
import random
from math import inf, nan, prod

import pytest

import rushlight as torch

STEPS = [0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1]


def _scales(framework, start):
    scale, steps = framework.tensor([start]), framework.zeros(1, dtype=framework.int32)
    found = []
    for bad in STEPS:
        given = framework.tensor([float(bad)])
        same = framework._amp_update_scale_(scale, steps, given, 2.0, 0.5, 2)
        assert same is scale
        found.append((scale.item(), steps.item()))
    return found


def test_the_scale_of_a_loss_is_that_of_grad_scaler():
    scaler, w = torch.amp.GradScaler("cpu", 8.0, growth_interval=2), torch.ones(1)
    optimizer, found = torch.optim.SGD([w], lr=0.1), []
    for bad in STEPS:
        scaler.scale(w)
        w.grad = torch.tensor([inf if bad else 1.0])
        scaler.step(optimizer)
        scaler.update()
        found.append((scaler.get_scale(), scaler._get_growth_tracker()))
    assert _scales(torch, 8.0) == found


def _unscaled(framework, values, dtype):
    gradients = [framework.tensor(v, dtype=getattr(framework, dtype)) for v in values]
    found = framework.zeros(1)
    framework._amp_foreach_non_finite_check_and_unscale_(gradients, found, framework.tensor([0.3]))
    return [g.tolist() for g in gradients], found.item()


@pytest.mark.parametrize(("scale", "steps", "message"), [
    (torch.ones(2), torch.zeros(1, dtype=torch.int32), "current_scale must be a 1-element"),
    (torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.int32), "be a float tensor"),
    (torch.ones(1), torch.zeros(1), "growth_tracker must be an int tensor"),
])  # fmt: skip
def test_wrong_scales(scale, steps, message):
    with pytest.raises(RuntimeError, match=message):
        torch._amp_update_scale_(scale, steps, torch.zeros(1), 2.0, 0.5, 2)


@pytest.mark.parametrize(("gradient", "found", "inverse", "message"), [
    (torch.ones(2), torch.zeros(2), torch.ones(1), "found_inf must be a 1-element"),
    (torch.ones(2), torch.zeros(1), torch.ones(2), "inv_scale must be a 1-element"),
    (torch.ones(2, dtype=torch.int64), torch.zeros(1), torch.ones(1), "not implemented"),
])  # fmt: skip
def test_wrong_gradients(gradient, found, inverse, message):
    with pytest.raises(RuntimeError, match=message):
        torch._amp_foreach_non_finite_check_and_unscale_([gradient], found, inverse)


@pytest.mark.parity
def test_amp_is_pytorchs():
    peer = pytest.importorskip("torch")
    for start in (8.0, 3e38, 1e-45):
        assert _scales(torch, start) == _scales(peer, start)
    for values in ([[1.0, -3.0], [0.1]], [[1.0], [inf, 2.0]], [[nan]], [[]], []):
        for dtype in ("float32", "float16", "bfloat16", "float64"):
            assert str(_unscaled(torch, values, dtype)) == str(_unscaled(peer, values, dtype))


# Axes by patterns ---------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "lengths", "shape"), [
    ("b c h -> h b c", {}, (6, 2, 4)), ("b (x y) h -> (b x) y h", {"x": 2}, (4, 2, 6)),
    ("b ... -> ... b", {}, (4, 6, 2)), ("... -> (...)", {}, (48,)),
    ("b c (x y) -> b 1 (y c) x ()", {"y": 3}, (2, 1, 12, 2, 1)),
])  # fmt: skip
def test_rearrange(pattern, lengths, shape):
    x = torch.arange(48.0, requires_grad=True)
    found = torch.func.rearrange(x.reshape(2, 4, 6), pattern, **lengths)
    assert found.shape == shape and sorted(found.flatten().tolist()) == x.tolist()
    found.sum().backward()
    assert x.grad.eq(1).all()


@pytest.mark.parametrize(("pattern", "lengths", "message"), [
    ("b c -> b", {}, "only on one side"), ("b c d -> b c d", {}, r"\(3\) must be equal to"),
    ("b c d ... -> b c d ...", {}, "less than or equal"), ("b (h w) -> h b w", {}, "cannot infer"),
    ("b (h w) -> h b w", {"h": 4}, "evenly"), ("b (h w) -> h b w", {"h": 2, "w": 4}, "6 != 8"),
    ("b c -> c b", {"q": 2}, "not found"), ("b b -> b", {}, "duplicate"), ("b c", {}, "'->'"),
    ("b (c -> b c", {}, "Imbalanced"), ("b _ -> _ b", {}, "Invalid"),
    ("b (c 2) -> b c", {}, "size 1"), ("(...) -> ...", {}, "left side"),
])  # fmt: skip
def test_rearrange_refuses(pattern, lengths, message):
    with pytest.raises(ValueError, match=message):
        torch.func.rearrange(torch.zeros(2, 6), pattern, **lengths)


def _pattern(draw):
    """A pattern, the shape of a tensor that it fits, and lengths of some axes."""
    names = draw.sample("abcd", draw.randint(1, 4))
    sizes = {name: draw.choice([1, 2, 3]) for name in names}
    with_dots = draw.random() < 0.3

    def side(dots):
        left, found = draw.sample(names, len(names)), []
        while left:
            taken = left[: draw.choice([1, 1, 2])]
            left = left[len(taken) :]
            found.append(taken[0] if len(taken) == 1 else f"({' '.join(taken)})")
            found += draw.choice([[], [], [], ["1"], ["()"]])
        if with_dots:
            found.insert(draw.randint(0, len(found)), draw.choice(dots))
        return found

    left = side(["..."])
    shape = []
    for axis in left:
        extra = [2] * draw.randint(0, 2)
        shape += extra if axis == "..." else [prod(sizes.get(name, 1) for name in axis)]
    lengths = {name: sizes[name] for name in names if draw.random() < 0.6}
    return f"{' '.join(left)} -> {' '.join(side(['...', '(...)']))}", shape, lengths


@pytest.mark.parity
def test_rearranged_as_in_pytorch():
    """PyTorch's own refuses some patterns that are right; all others agree."""
    peer = pytest.importorskip("torch")
    rearrange = importlib.import_module("functorch.einops").rearrange
    draw, agreed = random.Random(5), 0
    for _ in range(300):
        pattern, shape, lengths = _pattern(draw)
        try:
            want = rearrange(peer.arange(prod(shape)).reshape(shape), pattern, **lengths).tolist()
        except Exception:
            continue
        x = torch.arange(prod(shape)).reshape(shape)
        assert torch.func.rearrange(x, pattern, **lengths).tolist() == want, (pattern, lengths)
        agreed += 1
    assert agreed > 100


# Profilers, optimizers, groups ---------------------------------------------------------------


def test_a_profile_that_was_disabled_does_not_end_the_next_one():
    first, second = torch.profiler.profile(), torch.profiler.profile()
    first.start()
    torch.ones(1)
    torch.autograd._disable_profiler()
    assert not torch.autograd._profiler_enabled()
    second.start()
    first.stop()
    torch.zeros(1) + 1
    second.stop()
    assert [e.key for e in first.key_averages()] == ["aten::full"]
    assert "aten::add" in [e.key for e in second.key_averages()]
    torch.autograd._disable_profiler()


def test_optimizers_under_older_names():
    older = importlib.import_module("rushlight.optim._multi_tensor")
    w = torch.ones(2, requires_grad=True)
    for name in ("Adam", "SGD", "Adagrad", "ASGD", "Rprop"):
        optimizer = getattr(older, name)([w], lr=0.1)
        assert isinstance(optimizer, getattr(torch.optim, name))
        assert optimizer.defaults["foreach"] is True


def test_one_step_of_sparse_adam_is_that_of_its_class():
    def table():
        torch.manual_seed(0)
        table = torch.nn.Embedding(5, 2, sparse=True)
        table(torch.tensor([3, 1, 3])).sum().backward()
        return table.weight

    w, v = table(), table()
    torch.optim.SparseAdam([w], lr=0.1, maximize=True).step()
    mean, square = torch.zeros(5, 2), torch.zeros(5, 2)
    with torch.no_grad():
        torch.optim._functional.sparse_adam(
            [v], [v.grad], [mean], [square], [1], eps=1e-8, beta1=0.9, beta2=0.999, lr=0.1,
            maximize=True,
        )  # fmt: skip
    assert torch.equal(w, v) and mean[3].ne(0).all() and mean[0].eq(0).all()


def test_groups_that_are_there_now():
    dist, home = torch.distributed, torch.distributed.distributed_c10d
    assert home._pg_map == {}
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        assert list(home._pg_map) == [dist.group.WORLD] and object() not in home._pg_map
        assert home._pg_group_ranks == {dist.group.WORLD: {0: 0}}
    finally:
        dist.destroy_process_group()
    assert home._pg_map == {}
