"""Random functions that make views, write to them or their bases, and turn either in place.

Which gradient each of them then has is a question of histories, more than of numbers: so the
operations are few, and all of a function's values may be results. The compiled function equals the
eager one, and both equal PyTorch where it is installed and does not refuse.
"""

import random
import re
import warnings

import pytest

import rushlight
from tests.search.test_writes_after_use import _peer

VIEWS = """
v[None] | v.squeeze() | v.flatten() | v.mT | v[..., 1:] | v.detach() | v.reshape(-1) | v.T | v[:1]
v.unsqueeze(-1) | v.movedim(0, -1) | v.view_as(v) | v.expand(2, *v.shape)[0] | v.narrow(-1, 0, 1)
v.select(0, 0)[None] | v.as_strided((2,), (1,), 1) | T.view_as_real(c)[..., 0] | c.imag | c.real[0]
v.diagonal(0, 0, -1) | v.chunk(2, -1)[0] | v.unfold(-1, 1, 1)
"""
WRITES = """
v.abs_() | v.mul_(3) | v[..., 0] = 5. | v.add_(x.sum()) | v.exp_() | v.zero_() | v += 1
v.copy_(x.mean() * 2) | v[...] = x.flatten()[0] * v.detach() | v.copy_(b.sum()) | v.sub_(w.mean())
v.masked_fill_(v > 0, 2.) | v.clamp_(0) | v.index_fill_(-1, T.tensor([0]), 3.) | v.detach().add_(1)
with T.no_grad(): v.mul_(3) | with T.no_grad(): w.add_(1) | w.data = w.data * 0.9 | c.mul_(2)
c.real.add_(1) | v[v > 1] = w.sum()
"""
TURNS = "v.squeeze_(0) | v.unsqueeze_(0) | v.transpose_(0, -1) | v.swapdims_(-1, 0)"
VALUES = "v.sin() | v * 1.5 | v ** 2 | v + x | v + w | v * v | v.detach() + 1 | v.clone()"
VIEWS, WRITES, TURNS, VALUES = [
    [line.strip() for line in re.split(r" \| |\n", text) if line]
    for text in (VIEWS, WRITES, TURNS, VALUES)
]
#: v0 has a history, b is a buffer, w a parameter, c complex.
FIRST = ["v0 = x * 2", "c = T.complex(x, x * 3)", "v1 = b[:1]"]


def function(seed):
    """(lines, names of the results) of a random function of ``x``, ``b`` and ``w``."""
    draw = random.Random(seed)
    # In PyTorch the views of what was written and then detached require a gradient that is none.
    detaches = draw.random() < 0.15
    weights = (45, 0, 0, 15) if detaches else (45, 25, 15, 15)
    lines, names = [*FIRST], ["v0", "v1"]
    for _ in range(draw.randrange(2, 9)):
        kind = draw.choices((VIEWS, WRITES, TURNS, VALUES), weights)[0]
        line = re.sub(r"\bv\b", draw.choice(names), draw.choice(kind))
        if kind in (VIEWS, VALUES):
            names.append(f"v{len(names)}")
            line = f"{names[-1]} = {line}"
        lines.append(line)
    if detaches:
        lines.append("v0.detach_()")
    return lines, draw.sample(names, draw.randrange(1, len(names) + 1))


def outcome(lines, results, torch, compiled=False):
    """Numbers, histories and the gradient of a function; the exception where there is one."""
    source = "\n    ".join(["def f(x, b, w):", *lines, f"return [{', '.join(results)}]"])
    scope = {"T": torch}
    exec(source, scope)
    f = torch.compile(scope["f"]) if compiled else scope["f"]
    double = {"dtype": torch.float64}
    x = torch.tensor([[[-1.0, 0.5, -0.3]]], requires_grad=True, **double)
    b = torch.tensor([[[1.0, -2.0, 3.0]], [[4.0, 5.0, -6.0]]], **double)
    w = torch.tensor([0.5, -1.5, 2.0], requires_grad=True, **double)
    try:
        found = [*f(x, b, w), b, w]
        total = 0.0
        for i, t in enumerate(found):
            if t.requires_grad:
                weights = torch.arange(t.numel(), dtype=torch.float64).reshape(t.shape) + 1 + i
                total = total + (t * weights).sum()
        total.backward()
    except Exception as error:
        return error
    gradients = [[0.0] * 3 if t.grad is None else t.grad.flatten().tolist() for t in (x, w)]
    return [(t.tolist(), t.shape, t.requires_grad) for t in found], gradients


def _same(found, want):
    if isinstance(found, Exception) or isinstance(want, Exception):
        return type(found) is type(want)
    (values, gradient), (others, other) = found, want
    looks = [v[1:] for v in values] == [tuple(o[1:]) for o in others]
    numbers = [v[0] for v in values], gradient
    return looks and _flat(numbers) == pytest.approx(_flat(([o[0] for o in others], other)))


def _flat(x):
    return [x] if isinstance(x, float) else [y for part in x for y in _flat(part)]


def faults(seeds, peer):
    found = []
    for seed in seeds:
        lines, results = function(seed)
        eager = outcome(lines, results, rushlight)
        seen = {"compiled": outcome(lines, results, rushlight, compiled=True)}
        if peer is not None and not isinstance(want := outcome(lines, results, peer), Exception):
            seen["PyTorch"] = want
        for name, other in seen.items():
            if not _same(other, eager):
                text = "\n  ".join([f"seed {seed}", *lines, f"return {', '.join(results)}"])
                found.append(f"{text}\n{name}: {other}\neager: {eager}")
    return found


def _look(count):
    first = random.randrange(1 << 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = faults(range(first, first + count), _peer())
    assert not found, "\n\n".join(found)


def test_histories():
    _look(20)


@pytest.mark.search
def test_many_histories():
    _look(1000)


def test_a_view_keeps_the_history_that_its_base_loses():
    lines = ["v0 = x * 2", "v1 = v0[None]", "v0.detach_()"]
    want = outcome(lines, ["v0", "v1"], rushlight)
    assert want[1][0] == [4.0, 6.0, 8.0]
    assert _same(outcome(lines, ["v0", "v1"], rushlight, compiled=True), want)


def test_a_view_of_a_base_that_was_written_and_turned():
    lines = ["v0 = x * 2", "v1 = v0[None]", "v0.abs_()", "v0.squeeze_(0)"]
    want = outcome(lines, ["v1", "v0"], rushlight)
    assert want[1][0] == [-6.0, 10.0, -14.0]
    assert _same(outcome(lines, ["v1", "v0"], rushlight, compiled=True), want)


def test_a_gradient_from_outside_is_of_what_data_was():
    lines = ["v0 = x * w", "w.data = w.data * 0.5"]
    want = outcome(lines, ["v0"], rushlight)
    assert want[1][0] == [0.5, -3.0, 6.0]
    assert _same(outcome(lines, ["v0"], rushlight, compiled=True), want)
