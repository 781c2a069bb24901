"""Random functions that compute gradients inside, and have others compute them outside.

Four calls with one state: parameters, a buffer, an optimizer, and what the calls before left.
"""

import pytest

import rushlight
from tests.search.lines import Family, alike, table

VALUES = table("""
v.sin() | v * 1.5 | v ** 2 | v + x | v * w | v.detach() * w | (v * w).sum() * v | v + b | v.clone()
v.exp().clamp(max=3) | w.view(-1) + v.flatten()[:3] | v[..., 1:].sum() + v | T.where(v > 0, v, w)
v.softmax(-1) | v.mean() + v * u | T.nn.functional.linear(v, m) | v.cumsum(-1) | v.max() * v | v - b
v + (w.grad if w.grad is not None else 0.0) | v.view(-1)[None] | v.squeeze()
""")
GRADIENTS = table("""
g = T.autograd.grad(v.sum(), w, retain_graph=True, allow_unused=True)[0]
NAME = v * T.autograd.grad((w * w).sum() + v.sum(), w, create_graph=True)[0]
NAME = v * T.autograd.grad((w * v.detach()).sum(), w)[0].sum()
v.sum().backward(retain_graph=True) | v.mean().backward(retain_graph=True)
((v + w) ** 2).sum().backward(inputs=[w], retain_graph=True) | (w * u).sum().backward()
w.grad = None | u.grad = w.detach() * 1 | w.grad is not None and w.grad.mul_(2.0)
w.grad is not None and w.grad.zero_() | v.requires_grad and v.register_hook(lambda g: g * 2)
v.requires_grad and v.retain_grad() | v.requires_grad and v.register_hook(lambda g: None)
h = w.register_hook(lambda g: g * 3); (w * 2).sum().backward(); h.remove()
T.nn.utils.clip_grad_norm_([w, u], 0.5)
""")
STATE = table("""
b.add_(v.detach().sum()) | b.mul_(0.5) | b.copy_(w.detach()) | w.data.mul_(0.9)
opt.step() | opt.zero_grad() | opt.zero_grad(set_to_none=False) | with T.no_grad(): b.add_(1)
with T.no_grad(): w.sub_(0.1 * w.grad if w.grad is not None else 0.0) | with T.no_grad(): NAME = v * 3
with T.enable_grad(): NAME = v * w | with T.no_grad(): w.clamp_(-2, 2)
""")


def state(torch):
    double = {"dtype": torch.float64}
    w = torch.tensor([0.5, -1.0, 0.7], requires_grad=True, **double)
    u = torch.tensor([1.1, 0.2, -0.4], requires_grad=True, **double)
    return {
        "x": torch.tensor([[1.0, -0.5, 0.0]], **double),
        "b": torch.tensor([0.3, -0.2, 0.1], **double),
        "w": w,
        "u": u,
        "m": torch.tensor([[0.1, 0.2, 0.3], [0.4, -0.5, 0.6], [0.7, 0.8, -0.9]], **double),
        "opt": torch.optim.SGD([w, u], lr=0.1, momentum=0.9),
    }


def move(state, k):
    state["x"] = state["x"] + 0.25


INSIDE = Family(
    kinds=[(45, [f"NAME = {value}" for value in VALUES]), (30, GRADIENTS), (25, STATE)],
    first=["v0 = x * w"],
    names=["v0"],
    state=state,
    calls=4,
    move=move,
)


def test_gradients_inside():
    INSIDE.search(8)


@pytest.mark.search
def test_many_gradients_inside():
    INSIDE.search(80)


def test_hook_on_a_view_beside_its_base():
    lines = ["v0 = x * w", "v1 = v0.squeeze()", "v1.register_hook(lambda g: g * 2)"]
    want = INSIDE.outcome(lines, ["v1", "v0"], rushlight)
    with pytest.warns(UserWarning, match="a view with a hook is returned beside"):
        assert alike(INSIDE.outcome(lines, ["v1", "v0"], rushlight, compiled=True), want)
