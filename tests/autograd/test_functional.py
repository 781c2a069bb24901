"""``torch.autograd.functional`` against PyTorch, and against numbers for machines without it."""

import warnings

import pytest

import rushlight
from rushlight.autograd import functional

CALLS = """
jacobian(lambda x: x.exp() * x.sum(), a)
jacobian(lambda x, y: (x @ y, x.sum()), (m, n))
jacobian(lambda x: (x, x * 2), a, create_graph=True)
jacobian(lambda x: a.sin(), a)
jacobian(lambda x: a.sin(), a, strict=True)
jacobian(lambda x: x.sum(), a, vectorize=True, strict=True)
jacobian(lambda x: x * 2, a, vectorize=True)
jacobian(lambda x: x * 2, a, strategy="sideways")
jacobian(lambda x: x * 2, a, strategy="forward-mode")
jacobian(lambda x: x * 2, [a])
jacobian(lambda x: 3, a)
hessian(lambda x: (x ** 3).sum() * x[0], a)
hessian(lambda x, y: (x @ y).pow(2).sum(), (m, n))
hessian(lambda x: x * 2, a)
hessian(lambda x: (x.sum(), x.sum()), a)
hessian(lambda x: x.sum(), a)
hessian(lambda x: x.sum(), a, strict=True)
hessian(lambda x: (x ** 3).sum(), a, create_graph=True)
vjp(lambda x: x ** 2, a, b)
vjp(lambda x: (x ** 2).sum(), a)
vjp(lambda x, y: x @ y, (m, n), ones)
vjp(lambda x: x ** 2, a)
vjp(lambda x: x ** 2, a, m)
vjp(lambda x: x ** 2, a, (a, a))
vjp(lambda x: a * 2, a, b)
vjp(lambda x: a * 2, a, b, strict=True)
vjp(lambda x: x ** 2, a, b, create_graph=True)
jvp(lambda x: x ** 2, a, b)
jvp(lambda x, y: (x @ y, x.sum()), (m, n), (m, n))
jvp(lambda x: x ** 2, a)
jvp(lambda x: x ** 2, one)
jvp(lambda x: a * 2, a, b)
jvp(lambda x: a * 2, a, b, strict=True)
jvp(lambda x: x ** 2, a, b, create_graph=True)
vhp(lambda x: (x ** 3).sum(), a, b)
vhp(lambda x, y: (x @ y).pow(3).sum(), (m, n), (m, n))
vhp(lambda x: x * 2, a, b)
vhp(lambda x: x.sum(), a, b)
vhp(lambda x: x.sum(), a, b, strict=True)
hvp(lambda x: (x ** 3).sum(), a, b)
hvp(lambda x, y: (x @ y).pow(3).sum(), (m, n), (m, n))
hvp(lambda x: (x ** 3).sum(), a, b, create_graph=True)
hvp(lambda x: x.sum(), a, b, strict=True)
""".strip().splitlines()


def run(t, call):
    names = {
        "a": t.tensor([1.0, 2.0, 3.0]), "b": t.tensor([0.5, -1.0, 2.0]), "one": t.tensor([4.0]),
        "m": t.arange(6.0).reshape(2, 3), "n": t.arange(6.0).reshape(3, 2), "ones": t.ones(2, 2),
    }  # fmt: skip
    names["a"].requires_grad_("create_graph" in call)
    names |= {n: getattr(t.autograd.functional, n) for n in functional.__all__}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(call, names)
        except Exception as error:
            return error


def described(found):
    if isinstance(found, Exception):
        return type(found).__mro__
    if isinstance(found, tuple):
        return tuple(described(f) for f in found)
    numbers = [round(v, 4) for v in found.detach().reshape(-1).tolist()]
    return numbers, tuple(found.shape), found.requires_grad


@pytest.mark.parity
@pytest.mark.parametrize("call", CALLS)
def test_as_pytorch(call):
    peer = pytest.importorskip("torch")
    got, want = run(rushlight, call), run(peer, call)
    if isinstance(want, Exception):
        assert isinstance(got, type(want)), f"{got!r}, but PyTorch {want!r}"
    else:
        assert described(got) == described(want)


def test_numbers():
    assert run(rushlight, CALLS[0])[0].tolist() == pytest.approx(
        [19.0280, 2.7183, 2.7183], abs=1e-4
    )
    assert run(rushlight, "hessian(lambda x: (x ** 3).sum(), a)").diagonal().tolist() == [6, 12, 18]
    assert run(rushlight, "jacobian(lambda x: x[:0], a)").shape == (0, 3)
    assert run(rushlight, "jvp(lambda x: x ** 2, a, b)")[1].tolist() == [1, -4, 12]
    assert run(rushlight, "hvp(lambda x: (x ** 3).sum(), a, b)")[1].tolist() == [3, -12, 36]
