"""Random custom functions, and what is done with their results, as in PyTorch."""

import pytest

import rushlight
from tests.search.lines import table
from tests.search.lives import SEED, attempt, search

torch = pytest.importorskip("torch")

#: PyTorch's words where ours goes on: with graphs that need nothing that was freed, with several
#: results beside a written view, and with hooks that get no gradient.
THEIRS = (
    "a second time", "cannot return more than one Tensor", "for *: 'NoneType'", "INTERNAL ASSERT",
)  # fmt: skip

FORWARDS = table("""
out = a * b | out = a.clone() | out = a.view(-1) | out = a[:2] | out = b.detach() * a | out = a + 0
a.mul_(2); ctx.mark_dirty(a); out = a | a.add_(b); ctx.mark_dirty(a); out = a | out = a | out = b
out = (a > 0).to(a.dtype) | out = a.double() | out = a.sum() | out = a.expand(2, 3) | out = T.ones(3)
""")
MORE = table("""
more = a * 3 | more = b | more = (a > 0) | more = a.argmax() | more = out | more = None | more = 7 | more = a.T
more = a > 0; ctx.mark_non_differentiable(more) | more = a * 2; ctx.mark_non_differentiable(more)
more = [a] | more = out * 2 | more = T.arange(3)
""")
SAVES = table("""
ctx.save_for_backward(a, b) | ctx.save_for_backward(out) | ctx.save_for_backward(a, None, out) | ctx.keep = a
ctx.set_materialize_grads(False) | ctx.mark_non_differentiable(out) | pass | ctx.needs_input_grad and None
""")
VIEWS = "view", "[:2]", "expand", "dirty"
# A None goes no further; see docs/differences.md.
BACKWARDS = table("""
return g * 2, g * 3 | return g.sum() * a_, g * 3 | return g * 2
return g * 2, g * 3, None | return g[:1], g | return g.double(), g * 3
return (g * 2 if ctx.needs_input_grad[0] else None), (g if ctx.needs_input_grad[1] else None)
return ctx.saved_tensors[0] * 2, g * 5 | return T.zeros(3), T.ones(3) | return g, g | return g.detach() * w, g
seen.append((g is None, g2 is None)); return T.ones(3), T.ones(3) | raise ValueError
""")
CALLS = "y, m = call(x * 1, w)", "y, m = call(x, w)"
USES = table("""
y.sum().backward() | y.sum().backward(retain_graph=True) | y.mul_(2) | z = y * y | z.sum().backward()
z = y + 1 | y[0] = 5. | y.requires_grad_() | y.register_hook(lambda g: g * 2) | y.retain_grad()
z = y * y + z | m.sum().backward() | (y.sum() + m.sum()).backward() | x = y; y, m = call(x, w)
T.autograd.grad(y.sum(), (x, w), create_graph=True, allow_unused=True)[0].sum().backward()
y, m = call(x, w) | y, m = call(w, x) | y, m = call(x * 1, w) | y, m = call(x, w.detach()) | y = y.detach() | m.add_(1)
x = x * 2 | seen.append(y is x) | y, m = call(x[:], w) | y, m = call(x * 1, x)
""")


def start(framework, source):
    names = {"T": framework, "seen": []}
    exec(source, names)
    names["x"] = framework.tensor([1.0, -2.0, 0.5], requires_grad=True)
    names["w"] = framework.tensor([2.0, 3.0, -1.0], requires_grad=True)
    names["y"] = names["z"] = names["x"] * 3
    names["m"] = names["w"] * 2
    names["leaves"] = names["x"], names["w"]
    return names


def source(choose):
    several = choose.random() < 0.4
    forward, more = choose.choice(FORWARDS), choose.choice(MORE) if several else "more = None"
    saves = choose.choices(SAVES, k=2)
    if any(word in forward for word in VIEWS):  # in PyTorch a view requires grad with its base
        saves = [line for line in saves if "mark_non_differentiable" not in line]
        more = more.replace("more = out", "more = None")
    body = "\n        ".join([forward, more, *saves])
    return f"""
class F(T.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        {body}
        return {"out, more" if several else "out"}

    @staticmethod
    def backward(ctx, g, g2=None):
        a_ = T.ones(3)
        {choose.choice(BACKWARDS)}

def call(a, b):
    found = F.apply(a, b)
    return found if isinstance(found, tuple) else (found, m)
"""


def look(names):
    found = [list(names["seen"])]
    for t in (*names["leaves"], names["y"], names["m"], names["z"]):
        if isinstance(t, (rushlight.Tensor, torch.Tensor)):
            grad = t.grad if t.is_leaf or t.retains_grad else None
            flags = t.requires_grad, t.is_leaf, str(t.dtype), t.grad_fn is None
            values = t.detach().double().reshape(-1).tolist()
            found.append((flags, values, None if grad is None else grad.detach().tolist()))
        else:
            found.append(str(type(t)))
    return str(found)


def difference(text, lines):
    """The first line after which the frameworks differ, and how; or None."""
    both = start(rushlight, text), start(torch, text)
    for line in lines:
        ours, theirs = (attempt(line, names) for names in both)
        if any(words in str(theirs) for words in THEIRS):
            return None
        if (ours is None) != (theirs is None):
            return line, ours, theirs
        if ours is not None:
            return None
        try:
            a, b = map(look, both)
        except RuntimeError:  # ours says that a view of a result is not to be used any more
            return None
        if a != b:
            return line, a, b
    return None


def draw(choose):
    return source(choose), [choose.choice(CALLS), *choose.choices(USES, k=choose.randint(1, 7))]


def test_some_functions():
    search(draw, difference, 100, 7)


@pytest.mark.search
def test_many_functions():
    search(draw, difference, 5000, SEED)
