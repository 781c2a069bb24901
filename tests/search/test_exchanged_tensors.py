"""Random functions that exchange tensors outside: compiled calls leave what eager calls leave.

The tensors lie in ``.grad`` or in other places. Between two calls they are replaced, and made to
share memory.
"""

import random
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import rushlight as torch

#: For each kind of place: statements of the function, its results, statements between its calls.
_WORDS = {
    "gradients": (
        [
            "w.grad = x",
            "v.grad = x",
            "w.grad = x.detach()",
            "w.grad = x[:]",
            "w.grad = None",
            "v.grad = None",
            "w.grad = v.grad",
            "v.grad = w.grad",
            "w.grad, v.grad = v.grad, w.grad",
            "x = x * 2",
            "w.grad = s.t",
            "s.t = w.grad",
            "s.t = x",
            "s.u = v.grad",
            "(w * x).sum().backward()",
            "(w * v * x).sum().backward()",
            "(v * x).pow(2).sum().backward()",
            "y = x * 3; w.grad = y; s.u = y",
            "y = torch.ones(4); w.grad = y[:2]; v.grad = y[2:]",
            "y = x * 5; v.grad = y[:]; s.t = y",
            "if w.grad is not None: w.grad.mul_(2)",
            "if v.grad is not None: v.grad = v.grad + 1",
            "w.grad = torch.zeros_like(w)",
            "w.grad, v.grad = torch.autograd.grad((w * v * x).sum(), [w, v])",
            "torch.nn.utils.clip_grad_norm_([w, v], 0.5)",
            "x = s.t",
            "x = x + 1 if w.grad is v.grad else x",
            "x = x * 3 if v.grad is s.t else x",
            "s.u = w.grad if w.grad is None else w.grad[1:]",
        ],
        [
            "x",
            "w.grad",
            "v.grad",
            "s.t",
            "(w.grad, v.grad)",
            "[x[:1], w.grad]",
            "None",
            "w.grad if w.grad is None else w.grad.view(-1)",
            "(x, v.grad if v.grad is None else v.grad[1:])",
        ],
        [
            "pass",
            "pass",
            "w.grad = torch.randn(2)",
            "v.grad = w.grad",
            "w.grad = None",
            "s.t = torch.randn(2)",
            "s.t = w.grad if w.grad is not None else torch.randn(2)",
            "w.grad = s.t",
            "s.t, s.u = x, None",
        ],
    ),
    "attributes": (
        [
            "s.t.add_(x)",
            "s.u.mul_(x)",
            "x.add_(1)",
            "s.t = x",
            "s.u = x * 2",
            "s.t, s.u = s.u, s.t",
            "s.u = s.t.detach()",
            "s.t = s.t + x",
            "s.u[0] = 5",
            "x = s.t * x",
            "s.t = s.u",
            "s.u = s.t[:]",
            "d['t'] = s.t",
            "s.t = d['t']",
            "d['t'] = d['t'] * 0.5 + s.u",
            "d['t'].sub_(s.u)",
            "s.u = d['u']; d['u'] = x",
            "x = x + 1 if s.t is s.u else x",
            "s.t.requires_grad_(False)",
        ],
        ["x", "s.t", "s.u", "(s.t, s.u, d['t'])", "[x[:1], s.t]", "None", "d['u'] + s.t"],
        [
            "pass",
            "pass",
            "s.t = torch.randn(2)",
            "s.u = s.t",
            "s.u = s.t.detach()",
            "d['t'] = s.u",
            "d['u'] = s.t[:]",
            "s.t, d['t'] = d['t'], s.t",
            "s.t = x",
            "s.u = torch.randn(2).double()",
        ],
    ),
}


def _program(words, seed):
    """(source of a function of x, statements that run before each of its calls)."""
    statements, results, between = _WORDS[words]
    draw = random.Random(seed)
    body = draw.choices(statements, k=draw.randint(1, 5))
    lines = ["def f(x):", *body, f"return {draw.choice(results)}"]
    return "\n    ".join(lines), draw.choices(between, k=5)


def _outcome(source, between, compiled):
    """What each call gives and leaves: values, and which tensors are one object or one memory."""
    torch.manual_seed(0)
    w, v = (torch.randn(2).requires_grad_() for _ in range(2))
    s = SimpleNamespace(t=torch.randn(2), u=torch.randn(2))
    d = {"t": torch.randn(2), "u": torch.randn(2)}
    space = {"torch": torch, "w": w, "v": v, "s": s, "d": d, "x": torch.randn(2)}
    exec(source, space)
    f = space["f"]
    f = torch.compile(f, options={"audit": False}) if compiled else f
    found, earlier = [], []
    for line in between:
        exec(line, space)
        x = space["x"] = torch.randn(2)
        try:
            result = f(x)
        except Exception as error:
            result = type(error).__name__
        results = result if isinstance(result, (tuple, list)) else [result]
        every = [w.grad, v.grad, x, *vars(s).values(), *d.values(), *results]
        tensors = [t for t in every if isinstance(t, torch.Tensor)]
        one = [[a is b for a in tensors] for b in tensors]
        memory = [[a.data_ptr() == b.data_ptr() for a in tensors] for b in tensors]
        earlier += tensors
        found.append(([_form(t) for t in (*every, *earlier)], one, memory))
    return found


def _form(value):
    return value.detach().numpy().copy() if isinstance(value, torch.Tensor) else value


def _check(words, seed):
    source, between = _program(words, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eager, compiled = (_outcome(source, between, c) for c in (False, True))
    for call, (before, now) in enumerate(zip(eager, compiled, strict=True)):
        told = f"{words}, seed {seed}, call {call}, before each call: {between}\n{source}"
        for x, y in zip(before[0], now[0], strict=True):
            if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
                np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6, err_msg=told)
                assert x.dtype == y.dtype, told
            else:
                assert x == y if type(x) is type(y) is str else x is y, told
        assert before[1:] == now[1:], told


@pytest.mark.slow
@pytest.mark.parametrize("words", _WORDS)
def test_some_functions(words):
    for seed in range(40):
        _check(words, seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
@pytest.mark.parametrize("words", _WORDS)
def test_many_functions(words, part):
    for seed in range(1000 + 50 * part, 1050 + 50 * part):
        _check(words, seed)
