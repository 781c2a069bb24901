"""What explain tells is so, and telling it changes nothing but what one call does."""

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight import nn
from rushlight.compiler.explanation import rehearsal
from rushlight.compiler.explanation.layers import Layout

explain = torch.compiler.explain


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """A few runs are enough for what is tested of times."""
    monkeypatch.setattr(rehearsal, "_SECONDS", 0.01)


def training(dropout=0.0):
    """(a training step, what it changes) of a small network."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, model


X, Y = torch.randn(5, 6), torch.tensor([0, 2, 1, 1, 0])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("native", [False, True])
def test_explaining_does_what_one_call_does(compiled, native, monkeypatch):
    if native:
        pytest.importorskip("llvmlite")
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "native" if native else "numpy")
    found = []
    for explained in (False, True):
        step, model = training(dropout=0.3)
        run = torch.compile(step)
        if compiled:
            run(X, Y)
        elif explained:
            run = step
        if explained:
            assert explain(run)(X, Y).native == native
        else:
            run(X, Y)
        found.append([*model.parameters(), torch.rand(3), torch.compile(step)(X, Y)])
    for x, y in zip(*found, strict=True):
        np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=1e-6)


def native(f, *args):
    pytest.importorskip("llvmlite")
    return explain(f)(*args)


def test_work_is_counted():
    n, m, k = 64, 48, 32
    a, b = torch.randn(n, k), torch.randn(k, m)
    (product,) = native(lambda a, b: torch.relu(a @ b), a, b).kernels
    assert product.kind == "contraction"
    assert product.flops == 2 * n * m * k  # choosing the larger is no arithmetic
    assert product.bytes == 4 * (n * k + k * m + n * m)
    (sums,) = native(lambda a: (a * 2 + 1).sum(1), a).kernels
    assert (sums.flops, sums.bytes) == (3 * n * k, 4 * (n * k + n))
    (wide,) = native(lambda a: a.t() - a[0, 0], torch.randn(n, n)).kernels
    assert (wide.flops, wide.bytes) == (n * n, 2 * 4 * n * n)
    image, weight = torch.randn(2, 4, 9, 9), torch.randn(8, 4, 3, 3)
    kernels = native(lambda x, w: F.conv2d(x, w), image, weight).kernels
    assert sum(k.flops for k in kernels) == 2 * (2 * 8 * 7 * 7) * (4 * 9)


def test_a_training_step():
    step, _ = training()
    found = native(step, X, Y)
    text = str(found)
    for words in ("cross_entropy(", "of the limit", "0.weight is written in place", "in training"):
        assert words in text
    assert "args[0] is float32 of shape (5, 6)" in text
    memory = found.memory
    assert 0 < memory.arena <= memory.values + 64 * len(memory.places)
    assert {name for name, _ in (*memory.in_place, *memory.copied)} >= {"0.weight", "3.bias.grad"}
    assert all(k.seconds > 0 for k in found.kernels)
    assert 0 < found.seconds < 1
    names = {k.name for k in found.kernels}
    llvm = found.llvm
    assert all(f'"{name}"(' in llvm for name in names)
    assert "define" in found.llvm_of(found.kernels[0].name)
    last = found.kernels[-1].name
    assert f"{last}:" in found.assembly
    assert f"{last}:" in found.assembly_of(last)
    with pytest.raises(KeyError, match="no kernel is called 'loops99'"):
        found.llvm_of("loops99")


def test_values_that_share_memory_live_one_after_the_other():
    step, _ = training()
    places = native(step, X, Y).memory.places
    for i, (at, size, _, born, last) in enumerate(places):
        for other, length, _, begin, end in places[i + 1 :]:
            if at < other + length and other < at + size:
                assert last < begin or end < born


def test_a_forward_has_a_backward():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
    for f in (model, torch.compile(model)):
        found = native(f, X)
        assert found.backward.kernels
        assert found.backward.llvm != found.llvm
        assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        assert native(torch.compile(model), X).backward is None


def test_calls_have_reasons():
    z = torch.view_as_complex(torch.randn(4, 2))
    found = native(lambda x, z: (torch.rand(4) + x, z * z), torch.randn(4), z)
    reasons = [k.reason for k in found.kernels if k.kind == "call"]
    assert any("draws random numbers" in r for r in reasons)
    assert any("complex64" in r for r in reasons)


def test_what_runs_eagerly_says_why():
    with pytest.warns(UserWarning, match="running eagerly"):
        found = explain(lambda x: x * 2 if x.sum() > 0 else x)(torch.ones(3))
    assert "needs the values of a tensor" in str(found)
    with pytest.raises(RuntimeError, match="no native code"):
        found.llvm  # noqa: B018
    with pytest.raises(ValueError, match="runs eagerly"):
        found.picture("x.svg")
    with pytest.raises(TypeError, match="not int"):
        explain(3)


def test_without_native_code_numpys_calls_are_timed(monkeypatch):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    found = explain(lambda x: torch.softmax(x, 0) * 2)(torch.ones(3))
    assert [k.name for k in found.kernels] == ["softmax", "mul"]
    assert all(k.seconds > 0 for k in found.kernels)
    assert "RUSHLIGHT_COMPILER is numpy" in str(found)


def test_pictures(tmp_path):
    from xml.etree import ElementTree

    found = native(training()[0], X, Y)
    path = tmp_path / "step.svg"
    found.picture(path)
    texts = [e.text for e in ElementTree.parse(path).iter() if e.tag.endswith("text")]
    assert {k.name for k in found.kernels if k.kind == "loops"} <= set(texts)
    pytest.importorskip("matplotlib")
    native(lambda x: x.exp(), X).picture(tmp_path / "step.png")
    assert (tmp_path / "step.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(ValueError, match="must end in"):
        found.picture(tmp_path / "step.gif")


def test_listings_have_every_kind_of_node():
    x, at = torch.randn(6, 5), torch.tensor([[0, 4], [1, 1]] * 3)
    cases = {
        lambda x: (x * 2).sum(1): "sum of x1 over j",
        lambda x: x.argmax(1): "argmax of x0 over j",
        lambda x: x.cumsum(1) + 1: "cumsum of",
        lambda x: x.gather(1, at) + 1: "m0[5·i + x0]",
        lambda x: torch.zeros(6, 5).scatter_add(1, at, x[:, :2]): "+=",
        lambda x: x[:, 0] + torch.arange(6): "0 + (i)",
        lambda x: x.t()[1:] * 3: "mul(x0, 3)",
    }
    for f, words in cases.items():
        found = native(f, x)
        names = {k.name for k in found.kernels if k.kind == "loops"}
        text = "\n".join(map(found.loops_of, names))
        assert words in text, text
    with pytest.raises(KeyError, match="no kernel of loops"):
        found.loops_of("product0")


def test_boxes_of_a_picture_stand_apart():
    sizes = [(30 + 17 * (i % 5), 20) for i in range(40)]
    edges = [(i, [i + 1 + i % 3, i + 2 + i % 7]) for i in range(30)]
    places = Layout(sizes, edges, [20] * 40).places
    for i, p in enumerate(places):
        for q in places[:i]:
            apart = abs(p.x - q.x) >= (p.width + q.width) / 2 + 10
            assert apart or abs(p.y - q.y) >= 30, (p.box, q.box)
    assert all(places[s].y < places[t].y for s, targets in edges for t in targets)


def test_the_phases_of_compilation_are_told_cold_and_from_the_cache(tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", str(tmp_path))
    for phases in (("scheduling", "writing machine code"), ("reading the cache",)):
        found = explain(torch.compile(training()[0]))(X, Y)
        assert tuple(found.compiling) == ("recording", *phases)
        assert all(seconds > 0 for seconds in found.compiling.values())


def test_what_repeats_is_computed_once():
    pytest.importorskip("llvmlite")
    twice = torch.compile(lambda x: (x[1:3, ..., 0].exp(), 2 * x[1:3, ..., 0].exp()))
    [kernel] = explain(twice)(X).kernels
    assert sum(" = exp(" in line for line in kernel.members) == 1, kernel.members
