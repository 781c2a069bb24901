"""The life of a leaf: gradients, hooks, freezing, other memory; after each line as in PyTorch."""

import copy

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, search

torch = pytest.importorskip("torch")


LINES = table("""
p.requires_grad_(False) | p.requires_grad_(True) | p.requires_grad = True | p.detach_()
h.append(p.register_hook(lambda g: g * 3)) | h.append(p.register_hook(lambda g: seen.append(g.tolist())))
h.append(p.register_post_accumulate_grad_hook(lambda q: seen.append(q.requires_grad)))
h.append(y.register_hook(lambda g: g * 5)) | h.pop(0).remove() | h.pop().remove() | y.retain_grad()
y = p * 2 | y = p * p | y = p | y = (p * 2) ** 3 | y = p[:1] | y = p.view(-1) | y = p.detach()
y.sum().backward() | (p * 2).sum().backward() | y.sum().backward(retain_graph=True)
y.backward(T.ones_like(y)) | seen.append(T.autograd.grad(y.sum(), p, retain_graph=True)[0].tolist())
p.grad = None | p.grad = T.ones(3) | p.grad.zero_() | p.grad = p.grad * 2
p.data.mul_(1)
with T.no_grad(): p.mul_(0.5) | with T.no_grad(): p.add_(1) | y.mul_(2) | y.detach_()
y = y * p.grad | p = T.nn.Parameter(p.detach()) | p = copy.deepcopy(p) | p = p.clone()
p = p.detach().requires_grad_() | y.requires_grad_() | y.requires_grad_(False)
y.grad = None | seen.append(y.is_leaf or y.retains_grad) | seen.append(len(h))
y = T.stack([p, p]) | y = p.to(T.float64) | p.requires_grad_(p.grad is None) | p.grad = p.grad.detach()
""")


def start(framework):
    names = {"T": framework, "h": [], "seen": [], "copy": copy}
    names["p"] = framework.tensor([1.0, -2.0, 0.5], requires_grad=True)
    names["y"] = names["p"] * 3
    return names


def look(names):
    """What can be seen of the two tensors, and what hooks have seen."""
    found = [list(names["seen"])]
    for name in "py":
        x = names[name]
        retains = not x.is_leaf and x.retains_grad  # PyTorch's flag stays after detach_()
        found.append((x.requires_grad, x.is_leaf, retains, x.detach().tolist()))
        grad = x.grad if x.is_leaf or x.retains_grad else None
        found.append(None if grad is None else (grad.requires_grad, grad.detach().tolist()))
    return found


def difference(_, lines):
    """The first line after which the frameworks differ, and how; or None."""
    both = start(rushlight), start(torch)
    for line in lines:
        ours, theirs = (attempt(line, names) for names in both)
        y = both[1]["y"]
        if y._is_view() and (y.is_leaf or not both[1]["p"].requires_grad):
            return None  # views of what came to require grad, or does so no more, are PyTorch's own
        if "detached in-place" in str(theirs):  # ours goes on with what it saved
            return None
        if (ours is None) != (theirs is None):
            return line, ours, theirs
        a, b = map(look, both)
        if a != b:
            return line, a, b
    return None


def draw(choose):
    return None, choose.choices(LINES, k=choose.randint(3, 14))


def test_some_lives():
    search(draw, difference, 100, 7)


@pytest.mark.search
def test_many_lives():
    search(draw, difference, 5000, SEED)
