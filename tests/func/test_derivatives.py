"""Derivatives of functions where gradients are off outside."""

import rushlight as torch


def test_derivatives_inside_no_grad_and_inference_mode():
    x, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])
    p = torch.nn.Parameter(x.clone())

    def cubes(x):
        return (x**3).sum()

    def all_of(x):
        func = torch.func
        product = func.jvp(cubes, (x,), (v,))[1]
        hessian = func.vmap(lambda v: func.jvp(func.grad(cubes), (x,), (v,))[1])(torch.eye(2))
        return func.grad(cubes)(x), product, func.jacrev(cubes)(x), hessian

    for context in (torch.no_grad, torch.inference_mode):
        with context():
            for given in (x, p, torch.tensor([1.0, 2.0])):
                first, product, row, second = all_of(given)
                assert first.tolist() == row.tolist() == [3, 12] and product.item() == 3
                assert second.tolist() == [[6, 0], [0, 12]]
                assert not first.requires_grad


def test_an_inner_derivative_under_no_grad_is_a_constant():
    def f(x):
        with torch.no_grad():
            inner = torch.func.grad(lambda y: (y**3).sum())(x)
        return (inner * x).sum()

    assert torch.func.grad(f)(torch.tensor([1.0, 2.0])).tolist() == [3, 12]
