"""Compiled functions whose arguments alias each other, in another way at each call.

The function writes to its arguments, returns views of them, and goes backward. A program that was
recorded for separate tensors must not serve a call where two arguments are one memory.
"""

import random
import re
import warnings
from math import prod

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, close

WRITES = table("""
v.mul_(2) | v.add_(w) | v.copy_(w) | v[0] = w[1] | v[1:] = w[:-1] | v.zero_() | v += w | v.mul_(w.sum()) | v.T.add_(w) | v.view(-1)[1:3] = 5.
v.t_() | v.data.mul_(2) | v.detach().add_(w) | T.add(v, w, out=u) | v.fill_(w.mean()) | v[..., 0].mul_(3) | v.sin_() | v.masked_fill_(w > 0, 2.)
v.index_add_(0, T.tensor([1]), w[:1]) | v.set_(w) | v.data = w | v.diagonal().copy_(w[0]) | v.cumsum_(0) | v[w > 0] = 1.5 | T.sin(v, out=w) | v.addmm_(w, u)
v.resize_(1, 2) | v.unsqueeze_(0); v.squeeze_(0) | v.clamp_(max=w.max()) | v.tril_() | v.copy_(w.T) | v[:, 0] = w[0] | v.lerp_(w, .5) | v.requires_grad_() | v.detach_()
v.swapaxes_(0, 1) | v.as_strided((2,), (1,), 0).add_(1) | v.untyped_storage().fill_(0) | v.numpy()[0] = 2 | v.normal_() | T.utils.swap_tensors(v, w)
""")
VALUES = table("""
v + w | v * w | v.T | v[0] | v[1:] | v.view(-1) | v.reshape(-1) | v.detach() | v.data | v @ w | v.sum(0) | v.clone() | v.contiguous() | v.to(v.dtype) | v.expand(2, *v.shape)[1]
v.exp() | v * 2 | v.T.reshape(-1) | v.as_strided((2,), (1,), 1) | T.where(v > 0, v, w) | v | v[..., None][..., 0] | v.flatten() | T.stack([v, w]) | v.softmax(-1) | v.relu()
v * 2 if v is w else v * 3 | v + 1 if v.data_ptr() == w.data_ptr() else v | v if v.is_contiguous() else w | v + v.stride(0) | v + v.storage_offset() | v.unbind()[1] | v.diagonal()
v * 2 if v.requires_grad else v | v * 1.5 if v.is_leaf else v | v - (v._base is w) | v * (v.grad is None) | v.grad if v.grad is not None else v | v.new_zeros(2, 2) | T.empty_like(v).fill_(1)
T.autograd.grad((v * v).sum(), v, allow_unused=True)[0] if v.requires_grad else v | v.chunk(2)[0] | (v == w).float() | v.view(2, 2) | v.permute(1, 0) | v.mT.contiguous()
""")
BACKWARDS = table("""
v.requires_grad and (v * w).sum().backward() | v.requires_grad and v.backward(T.ones_like(w)) | v.requires_grad and v.retain_grad() | v.grad = w.detach() | v.grad = None
v.requires_grad and (v ** 2).sum().backward(retain_graph=True) | v.requires_grad and v.register_hook(lambda g: g * 2) | with T.no_grad(): v.mul_(2) | with T.no_grad(): v.copy_(w)
with T.no_grad(): v.add_(w, alpha=-.1) | s.x = v | s.y = w | s.x.mul_(2) | s.y.add_(v) | s.x = s.y | s.x[0] = v[1] | g.add_(v) | g.copy_(w) | s.x = v[1:]
""")
#: How the arguments of a call come to be; ``z(...)`` makes a new tensor.
PATTERNS = table("""
a, b, c = z(), z(), z() | a, b, c = z(), z(), z() | a = b = c = z() | a = b = z(); c = z() | a = z(); b = a.T; c = z() | x = z(3, 2); a, b = x[:2], x[1:]; c = z()
a = z(); b, c = a[:], a[:] | a = z(); b = a.view(2, 2); c = b.T | a = z(1, 2).expand(2, 2); b = z(); c = z() | a = z(); c = a.detach(); b = z() | a = z(); b = a.data; c = a.T
x = z(4, 4); a, b, c = x[:2, :2], x[2:, 2:], x[::2, ::2] | x = z(2, 4); a, b = x[:, :2], x[:, 2:]; c = x[:, 1:3] | x = z(9); a = x[:4].view(2, 2); b = x[4:8].view(2, 2); c = x[5:].view(2, 2)
a = z(grad=True); b, c = z(), z() | a = z(grad=True); b = a; c = z() | a = z(grad=True) * 1; b = a.T; c = z() | a = z(grad=True); b, c = a.detach(), z() | a = z(grad=True) * 1; b = a[:]; c = a
a, b, c = z(grad=True), z(grad=True), z(grad=True) | a = z(); b = g; c = z() | a = g.T; b = z(); c = g | a = s.x; b = z(); c = z() | a = z(); b = s.x; c = s.y | a = b = s.y; c = s.x
a = z(); b = T.from_numpy(a.numpy()); c = z() | a = z().T; b = z(); c = z() | a = z(3, 3)[:2, 1:]; b = z().T; c = z() | x = z(8).as_strided((2, 2), (3, 1), 1); a, b = x, z(); c = z()
x = z(2, 2); a = x; b = x.view(-1).as_strided((2, 2), (1, 2), 0); c = z() | x = z(6).as_strided((2, 2), (1, 1), 0); a = x; b, c = z(), z() | x = z(grad=True) * 2; a, b = x, x.detach(); c = x.T
""")
NAMES = "abc"


def words(choose, line, names):
    return re.sub(r"\b[uvw]\b", lambda m: choose.choice(names), line)


def program(choose):
    names = [*NAMES, "g"] if choose.random() < 0.3 else [*NAMES]
    lines = []
    for _ in range(choose.randint(1, 5)):
        kind = choose.choices((WRITES, VALUES, BACKWARDS), (40, 35, 15))[0]
        line = words(choose, choose.choice(kind), names)
        if kind is VALUES:
            names.append(f"v{len(names)}")
            line = f"{names[-1]} = {line}"
        lines.append(line)
    returned = choose.sample(names, min(len(names), choose.randint(1, 3)))
    return (tuple(lines), tuple(returned)), choose.choices(PATTERNS, k=choose.randint(2, 5))


class State:
    """What the function keeps from call to call."""


def start(T):
    """The names that a function uses besides its arguments."""
    names = {"T": T, "g": T.tensor([[0.5, -1.0], [2.0, 1.5]]), "s": State()}
    names["s"].x = T.tensor([[3.0, 1.0], [-1.0, 2.0]])
    names["s"].y = T.tensor([[1.0, -1.0], [0.5, 4.0]])
    return names


def run(made, patterns, compiled):
    """What each call gives and leaves, until one raises."""
    lines, returned = made
    names, draws = start(rushlight), random.Random(3)
    exec("\n    ".join(["def f(a, b, c):", *lines, f"return [{', '.join(returned)}]"]), names)
    f = rushlight.compile(names["f"]) if compiled else names["f"]
    seen = []
    for pattern in patterns:
        leaves: list = []

        def z(*shape, grad=False, leaves=leaves):
            shape = shape or (2, 2)
            numbers = [draws.randint(-6, 6) / 2 + 0.25 for _ in range(prod(shape))]
            leaves.append(rushlight.tensor(numbers).reshape(shape).requires_grad_(grad))
            return leaves[-1]

        rushlight.manual_seed(1)
        scope = {**names, "z": z}
        exec(pattern, scope)
        given = [scope[n] for n in NAMES]
        try:
            found = f(*given)
        except Exception as error:
            return [*seen, error]
        tensors = [*found, *given, names["g"], names["s"].x, names["s"].y, *leaves]
        seen.append(look(tensors))
        total = sum((t * t).sum() for t in tensors if t.requires_grad)
        try:
            if not isinstance(total, int):
                total.backward()
        except (
            RuntimeError
        ) as error:  # what an earlier call saved is gone; a program may not need it
            return [*seen, "freed" if "a second time" in str(error) else error]
        seen.append([None if t.grad is None else t.grad.detach().tolist() for t in leaves])
    return seen


def look(tensors):
    memory = [t.untyped_storage().data_ptr() for t in tensors]
    return [
        {
            "value": x.detach().tolist(),
            "stride": [s for n, s in zip(x.shape, x.stride(), strict=True) if n > 1],
            "flags": (x.requires_grad, x.is_leaf),
            "gradient": x.grad.tolist() if x.is_leaf and x.grad is not None else None,
            "one": [x is y for y in tensors],
            "memory": [at == other for other in memory],
            "base": [x._is_view() and x._base is y for y in tensors],
        }
        for x, at in zip(tensors, memory, strict=True)
    ]


def alike(a, b):
    if isinstance(a, Exception) or isinstance(b, Exception):
        return type(a) is type(b)
    return "freed" in (a, b) or close(a, b, 1e-5)


def difference(made, patterns):
    """The number of the first call that differs, and how; or None."""
    eager, compiled = (run(made, patterns, way) for way in (False, True))
    for i, (a, b) in enumerate(zip(eager, compiled, strict=False)):
        if not alike(a, b):
            if isinstance(a, list) and isinstance(b, list) and isinstance(a[0], dict):
                pairs = enumerate(zip(a, b, strict=True))
                return i, [(j, k, x[k], y[k]) for j, (x, y) in pairs for k in x if x[k] != y[k]]
            return i, a, b
    return None


def search(count, seed):
    choose = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            made, patterns = program(choose)
            found = difference(made, patterns)
            assert not found, f"seed {seed}: {made}\n{patterns}: {found}"


def test_some_functions():
    search(15, 7)


@pytest.mark.search
def test_many_functions():
    search(2000, SEED)
