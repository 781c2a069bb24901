"""Transforms of functions and their compositions, as PyTorch has them."""

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")

A = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
X = np.random.default_rng(2).normal(size=(4, 1, 6, 6)).astype(np.float32)


def t(R, a):
    return R.from_numpy(a.copy())


def network(R, seed, *layers):
    net = R.nn.Sequential(*layers)
    for i, p in enumerate(net.parameters()):
        values = np.random.default_rng(seed + i).normal(size=tuple(p.shape))
        p.data = R.from_numpy(values.astype(np.float32))
    return net


def per_sample_gradients(R, net, x):
    params = {name: p.detach() for name, p in net.named_parameters()}

    def loss(params, x, y):
        out = R.func.functional_call(net, params, (x[None],))
        return R.nn.functional.cross_entropy(out, y[None])

    y = R.tensor([0, 1, 1, 0])
    return R.func.vmap(R.func.grad(loss), (None, 0, 0))(params, x, y)


def mlp(R):
    n = R.nn
    return per_sample_gradients(R, network(R, 0, n.Linear(3, 4), n.Tanh(), n.Linear(4, 2)), t(R, A))


def cnn(R):
    n = R.nn
    layers = n.Conv2d(1, 3, 3, padding=1), n.ReLU(), n.MaxPool2d(2), n.Flatten(), n.Linear(27, 2)
    return per_sample_gradients(R, network(R, 0, *layers), t(R, X))


def tangent_kernel(R):
    """The Jacobians of a network by its parameters, for each sample."""
    n = R.nn
    net = network(R, 0, n.Conv2d(1, 3, 3), n.ReLU(), n.Conv2d(3, 2, 3), n.Flatten(), n.Linear(8, 2))
    params = {name: p.detach() for name, p in net.named_parameters()}
    call = lambda p, x: R.func.functional_call(net, p, (x[None],))[0]
    jacobians = R.func.vmap(R.func.jacrev(call), (None, 0))(params, t(R, X))
    flat = [j.flatten(2) for j in jacobians.values()]
    return R.stack([R.einsum("Naf,Mbf->NMab", j, j) for j in flat]).sum(0)


def ensemble(R):
    n = R.nn
    make = lambda: (n.Conv2d(1, 3, 3), n.BatchNorm2d(3), n.ReLU(), n.Flatten(), n.Linear(48, 2))
    nets = [network(R, 9 * j, *make()).eval() for j in range(3)]
    call = lambda p, b, x: R.func.functional_call(nets[0], (p, b), (x,))
    return R.func.vmap(call, (0, 0, None))(*R.func.stack_module_state(nets), t(R, X))


def history_of_a_batch(R):
    x, w = t(R, A).requires_grad_(), t(R, W).requires_grad_()
    constant = w.detach()
    y = R.func.vmap(lambda a: ((a @ w) * (a.detach() @ constant)).sum())(x)
    y.sum().backward()
    return y, x.grad, w.grad


def without_gradients_inside(R):
    x = t(R, A).requires_grad_()

    def f(a):
        with R.no_grad():
            b = a * 2
        return (a * b).sum()

    R.func.vmap(f)(x).sum().backward()
    return x.grad


def second_gradients(R):
    x = t(R, A).requires_grad_()
    g = R.func.vmap(R.func.grad(lambda a: (a**3).sum()))(x)
    g.sum().backward()
    return g, x.grad


def writes(R):
    x = t(R, A)

    def f(a):
        a.add_(1)
        b = a.clone()
        b[0] = 5.0
        b[1:].mul_(2)
        return b

    return R.func.vmap(f)(x), x


def custom_function(R):
    class Cube(R.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, g):
            return g * 7 * ctx.saved_tensors[0]  # not the derivative, so that it can be told

    x = t(R, A)
    inside = R.func.vmap(R.func.grad(lambda a: Cube.apply(a).sum()))(x)
    y = x.clone().requires_grad_()
    R.func.vmap(Cube.apply)(y).sum().backward()
    return R.func.vmap(Cube.apply)(x), inside, y.grad


def custom_rule(R):
    class Twice(R.autograd.Function):
        @staticmethod
        def forward(x, y):
            return x * 2 + y

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g * 2, g

        @staticmethod
        def vmap(info, in_dims, x, y):
            x = x if in_dims[0] is None else x.movedim(in_dims[0], 0)
            y = y if in_dims[1] is None else y.movedim(in_dims[1], 0)
            return Twice.apply(x, y) + info.batch_size, 0

    return R.func.vmap(Twice.apply, (0, None))(t(R, A), t(R, A)[0])


def rows_by_a_product(R):
    _, product = R.func.vjp(lambda a: (a @ t(R, W)).exp(), t(R, A)[0])
    return R.func.vmap(product)(R.eye(5))


def perturbations(R):
    inner = lambda x: R.func.grad(lambda y: (x * y).sin())(R.tensor(1.0))
    return R.func.grad(lambda x: x * inner(x))(R.tensor(2.0))


CALLS = {
    f.__name__: f for f in (
        mlp, cnn, tangent_kernel, ensemble, history_of_a_batch, without_gradients_inside, second_gradients, writes,
        custom_function, custom_rule, rows_by_a_product, perturbations,
    )
} | {
    "jacrev in vmap": lambda R: R.func.vmap(R.func.jacrev(lambda a: (a @ t(R, W)).tanh()))(t(R, A)),
    "hessian in vmap": lambda R: R.func.vmap(R.func.hessian(lambda a: (a @ t(R, W)).tanh().sum()))(t(R, A)),
    "jacfwd": lambda R: R.func.jacfwd(lambda a, b: (a @ b).tanh(), argnums=(0, 1))(t(R, A), t(R, W)),
    "jacrev of dicts": lambda R: R.func.jacrev(lambda d: {"y": d["a"] * d["b"], "z": d["a"].sum()})(
        {"a": t(R, A), "b": t(R, A) + 1}),
    "third derivative": lambda R: R.func.grad(R.func.grad(R.func.grad(R.sin)))(R.tensor(2.0)),
    "jvp": lambda R: R.func.jvp(lambda a, b: (a * b, a.sin()), (t(R, A), t(R, A) + 1), (t(R, A) * 2, t(R, A) * 3)),
    "vjp": lambda R: R.func.vjp(lambda a: a.exp(), t(R, A))[1](t(R, A)),
    "linearize": lambda R: R.func.linearize(lambda a: a.sin(), t(R, A))[1](t(R, A)),
    "aux": lambda R: R.func.grad_and_value(lambda a, b: ((a * b).sum(), b), (0, 1), True)(t(R, A), t(R, A) + 1),
    "nested": lambda R: R.func.vmap(R.func.vmap(lambda a, b: a * b, (0, None)), (None, 0))(t(R, A)[0], t(R, A)[1]),
    "dims": lambda R: R.func.vmap(lambda x, y: (x + y, x), (0, None), (1, 0))(t(R, A), t(R, A)[0]),
    "dim 1": lambda R: R.func.vmap(lambda x: x.sum(), in_dims=1)(t(R, A)),
    "tree": lambda R: R.func.vmap(lambda d: d["a"] * 2, in_dims=({"a": 0},))({"a": t(R, A)}),
    "chunks": lambda R: R.func.vmap(lambda x: x * 2, chunk_size=3)(t(R, A)),
    "nothing": lambda R: R.func.vmap(lambda x: x * 2)(R.zeros(0, 3)),
    "different": lambda R: R.func.vmap(lambda x: x + R.randn(3), randomness="different")(t(R, A)),
    "same": lambda R: R.func.vmap(lambda x: x + R.randn(3), randomness="same")(t(R, A)),
    "dropout": lambda R: R.func.vmap(lambda x: R.nn.functional.dropout(x, 0.5), randomness="different")(t(R, A)),
    "same dropout": lambda R: R.func.vmap(lambda x: R.nn.functional.dropout(x, 0.5), randomness="same")(t(R, A)),
    "same in chunks": lambda R: (R.func.vmap(lambda x: x + R.randn(3), randomness="same", chunk_size=1)(t(R, A)), R.rand(2)),
    "same in inner chunks": lambda R: R.func.vmap(R.func.vmap(R.rand_like, randomness="same", chunk_size=2), randomness="same")(R.zeros(2, 5, 3)),
    "different in chunks": lambda R: R.func.vmap(lambda x: x + R.randn(3), randomness="different", chunk_size=1)(t(R, A)),
    "mixed dtypes": lambda R: R.func.vmap(lambda x, s: x * s)(t(R, A), R.arange(4, dtype=R.float64)),
    "index": lambda R: R.vmap(lambda x, i: x[i])(t(R, A), R.tensor([0, 1, 2, 0])),
    # Errors
    "draws": lambda R: R.func.vmap(lambda x: x + R.randn(3))(t(R, A)),
    "an if": lambda R: R.func.vmap(lambda x: x if x.sum() > 0 else -x)(t(R, A)),
    "item": lambda R: R.func.vmap(lambda x: x.sum().item())(t(R, A)),
    "dynamic": lambda R: R.func.vmap(lambda x: R.nonzero(x))(t(R, A)),
    "outer write": lambda R: (lambda w: R.func.vmap(lambda a: w.add_(a))(t(R, A)))(R.ones(3)),
    "no scalar": lambda R: R.func.grad(lambda a: a)(t(R, A)),
    "integers": lambda R: R.func.grad(lambda a: a.sum())(R.arange(3)),
    "sizes": lambda R: R.func.vmap(lambda a, b: a)(t(R, A), t(R, W)),
}  # fmt: skip


def flat(tree):
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    return [x for part in tree for x in flat(part)] if isinstance(tree, (tuple, list)) else [tree]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_as_pytorch(name):
    outcomes = []
    for framework in (torch, rushlight):
        framework.manual_seed(0)
        try:
            outcomes.append(flat(CALLS[name](framework)))
        except Exception as error:
            outcomes.append(error)
    want, found = outcomes
    if isinstance(want, Exception):
        assert isinstance(found, type(want)), found
        return
    if isinstance(found, Exception):
        raise found
    assert len(want) == len(found)
    for x, y in zip(found, want, strict=True):
        assert x.requires_grad == y.requires_grad
        assert str(x.dtype) == str(y.dtype)
        y = y.detach().numpy()
        near = 1e-5 * max(1.0, np.abs(y).max(initial=0))
        np.testing.assert_allclose(x.detach().numpy(), y, 1e-4, near)
