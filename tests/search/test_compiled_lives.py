"""What is done with the results of compiled functions, against the same of eager ones.

A function gives some of three results. Gradients come from any of them, which are written, hooked
and kept between calls, while the leaves change, too.
"""

import numpy as np
import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, close, search

#: What a compiled call says that it cannot do; see docs/differences.md.
LOUD = "cannot be differentiated in turn", "a second time", "saved 'out'"
#: What only an eager call says: results that were views of what the function made are none, and a
#: compiled gradient may need other values.
EAGER = (
    "Can't detach views",
    "is a view and is being modified",
    "modified by an inplace operation",
    "a second time",
)

RESULTS = table("""
a * b | a.sin() | a.abs().sqrt() | a.view(-1) | a | b | a.detach() | a > 0 | a.sum() | (a * b).sum() | a[:2]
a.expand(2, 3) | a.clone() | (a * b).unbind(0)[1] | a.exp().mul_(b) | T.stack([a, b]) | a.double() | a.argmax()
(a - a).norm(3.) | c + a | c | a / b | (a * 1).view(3, 1) | (a * b)[1:] | a.detach() * b | T.where(a > 0, b, 1.) | a @ b
T.zeros(3) | a.softmax(0) | r.exp() | r * r | r[:2] | r.detach() | r.sum() | r.log() | a.floor() | b.relu() | r + 0
""")
FIRST = table("""
r = a * 2 | r = a | r = (a * b).abs() | r = b.exp(); r[0] = 0. | r = a.abs(); r.mul_(b) | c.add_(a.detach()); r = a + c
r = (a - a).abs() | r = a.view(3, 1).squeeze(1) * b | c.copy_(b.detach()); r = a | r = (a * b).clamp(min=0.0)
a.mul_(2); r = a | r = a * a.detach().sum() | with T.no_grad(): r = a * b
""")
# Lines that write to one of three tensors and read another; tensors may come to share memory.
SHARING = table("""
c.mul_(2); r = a * (c + k[0]) | c.mul_(k[1]); r = a + c | c.add_(k[0].exp()); r = a * k[0] | c.add_(1); r = a + k[1].detach() * c | k.add_(1); r = a * c | k[0].mul_(2); r = a + c
q.mul_(2); r = a + c * q | c.add_(1); r = a * (q + c) | q.add_(k[0]); r = a + q * k[1] | q[0] = 4.; r = a * q + c
k[1].copy_(c); r = a + k[0] | c[0] = 5.; r = a * k.sum(0) | k.data[0, 1] = 3.; r = a + c
""")
CALLS = table("""
y, m, n = f(x * 1, w, c) | y, m, n = f(x * 1, w, c) | y, m, n = f(x + 0, w + 0, c) | y, m, n = f(w * 1, x, c)
y, m, n = f(x.detach(), w, c) | y, m, n = f(x * 1, x * 1, c) | y, m, n = f(z * 1, w, c) | y, m, n = f(x * 1, w.detach(), c)
with T.no_grad(): y, m, n = f(x * 1, w, c) | y, m, n = f(x * 1, w, c.clone())
""")
SHARED = table("""
y, m, n = f(x * 1, w, k[0]) | y, m, n = f(x * 1, w, k.view(6)[1:4]) | y, m, n = f(x * 1, w, k[1]) | y, m, n = f(x * 1, k[0], k[1])
y, m, n = f(x * 1, w, T.from_numpy(buffer[1:4])) | y, m, n = f(x * 1, w, q) | y, m, n = f(x * 1, T.from_numpy(buffer[:3]), c)
q.data = c.data | q.data = k[1] | q.data = T.from_numpy(buffer[2:5]) | q.data = T.ones(3) | k.data = T.ones(2, 3) | c.data = k[0]
q.data = k.view(6)[1:4] | c.data = q.data | k.data = T.from_numpy(buffer).view(2, 3)
""")
USES = table("""
y.sum().backward(retain_graph=True) | m.sum().backward(retain_graph=True) | n.sum().backward(retain_graph=True)
(y.sum() + m.sum()).backward() | (y.sum() * n.sum()).backward() | (m.sum() + n.sum()).backward() | y.sum().backward()
y.mul_(2) | m.add_(1) | n.mul_(x.detach()[0]) | y.register_hook(lambda g: g * 2) | m.register_hook(lambda g: g + 1) | y.retain_grad()
m.retain_grad() | z = z + y.sum() | z = z * m.sum() + n.sum() | z.sum().backward(retain_graph=True) | y = y.detach() | m.detach_()
seen.append(T.autograd.grad(y.sum(), (x, w), retain_graph=True, allow_unused=True))
seen.append(T.autograd.grad(n.sum() + m.sum(), (w, x), retain_graph=True, allow_unused=True))
seen.append(T.autograd.grad((y, n), (w, x), (T.ones_like(y), T.ones_like(n)), retain_graph=True, allow_unused=True))
x.grad = None | w.grad = None | with T.no_grad(): x.add_(0.5) | w.data.mul_(0.5) | x.data[0] = 0. | c.mul_(2) | y.data.zero_()
x.requires_grad_(False) | x.requires_grad_() | w.requires_grad_(False) | x.register_hook(lambda g: g * 3) | y, m = m, y | y.zero_()
seen.append([t.requires_grad for t in (y, m, n)]) | w = w.detach().requires_grad_() | n.requires_grad_() | y = y[:1] | m.t_()
with T.no_grad(): y.copy_(T.ones_like(y)) | z = x.detach() * 2 | z = x * 3
""")


def start(source, compiled):
    names = {"T": rushlight, "seen": []}
    exec(source, names)
    if compiled:
        # An audit would find at the second call what the guards do not know.
        names["f"] = rushlight.compile(names["f"], options={"audit": False})
    names["x"] = rushlight.tensor([1.0, -2.0, 0.0], requires_grad=True)
    names["w"] = rushlight.tensor([2.0, 3.0, -1.0], requires_grad=True)
    names["c"] = rushlight.tensor([0.5, 0.0, 1.0])
    # The function finds these two outside.
    names["k"] = rushlight.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    names["buffer"] = np.arange(6.0, dtype=np.float32)
    names["q"] = rushlight.from_numpy(names["buffer"][:3])
    names["y"] = names["m"] = names["n"] = names["z"] = names["x"] * 3
    return names


def look(names):
    found = []
    for t in [names[n] for n in "xwcymnzkq"]:
        grad = t.grad if t.is_leaf or t.retains_grad else None
        flags = t.requires_grad, t.is_leaf, str(t.dtype), tuple(t.shape), t.is_contiguous()
        grad = None if grad is None else grad.detach().double().tolist()
        found.append((flags, t.detach().double().tolist(), grad))
    plain = lambda g: g.tolist() if isinstance(g, rushlight.Tensor) else g
    found += [[plain(g) for g in item] for item in names["seen"]]
    places = [names[n].data_ptr() for n in "xwcymnzkq"]
    return found, [places.index(p) for p in places]


def difference(source, lines):
    """The first line after which the compiled function's life is another, and how; or None."""
    eager, compiled = start(source, False), start(source, True)
    for line in lines:
        want, found = (attempt(line, names) for names in (eager, compiled))
        if any(words in str(found) for words in LOUD) or any(words in str(want) for words in EAGER):
            return None
        if (want is None) != (found is None):
            return line, found, want
        if want is not None:
            return None
        a, b = look(compiled), look(eager)
        if not close(a, b, 1e-5):
            return line, a, b
    return None


def draw(choose):
    if choose.random() < 0.3:
        source = f"def f(a, b, c):\n    {choose.choice(SHARING)}\n    return r, c * 1, q + k[0]"
        turns = [choose.choice(CALLS[:1] + SHARED) for _ in range(choose.randint(1, 4))]
        return source, [event for turn in turns for event in (CALLS[0], turn)] + CALLS[:1]
    first = choose.choice(FIRST)
    results = choose.choices(RESULTS, k=3)
    source = f"def f(a, b, c):\n    {first}\n    return {', '.join(results)}"
    events = []
    for _ in range(choose.randint(1, 3)):
        events += [choose.choice(CALLS), *choose.choices(USES, k=choose.randint(1, 5))]
    if "a.mul_" in first:
        # The results are made of ``a`` as it is then. What the function made of it besides gives
        # no gradient to the result ``a``, in PyTorch's torch.compile neither.
        events = [e for e in events if "retain_grad" not in e and "register_hook" not in e]
    return source, events


def test_some_lives():
    search(draw, difference, 15, 3)


@pytest.mark.search
def test_many_lives():
    search(draw, difference, 1500, SEED)
