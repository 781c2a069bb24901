"""Derivatives of functions where gradients are off outside, or go through what is outside."""

import pytest

import rushlight as torch
from rushlight import func as A


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


@pytest.mark.parametrize("derivative", [
    lambda f, x: A.grad(lambda a: (f(a)[0].sum(), f(a)[1]), has_aux=True)(x),
    lambda f, x: A.vjp(f, x, has_aux=True)[::2],
    lambda f, x: A.jvp(f, (x,), (x,), has_aux=True)[1:],
    lambda f, x: A.jacrev(f, has_aux=True)(x),
    lambda f, x: A.jacfwd(f, has_aux=True)(x),
])  # fmt: skip
def test_aux_keeps_the_history_of_what_is_outside(derivative):
    """The output depends on nothing outside, but aux does."""
    x = torch.tensor([0.5, 0.7])
    total = lambda y: derivative(lambda a: (a * a, y * y), x)[1].sum()
    assert A.grad(total)(torch.tensor([1.0, 2.0])).tolist() == [2, 4]


def test_outputs_without_slopes():
    for derivative in (lambda f, x: A.vjp(f, x), lambda f, x: A.jacrev(f)(x)):
        with pytest.raises(RuntimeError, match="All outputs of f must be floating-point"):
            derivative(lambda x: x.long(), torch.ones(2))


def test_second_gradient_of_a_function_that_saves_a_result_inside_vmap():
    class Cube(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**3, 3 * x**2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0], output[1])

        @staticmethod
        def backward(ctx, g, h):
            x, slope = ctx.saved_tensors
            return g * slope + h * 6 * x

    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    torch.vmap(A.grad(lambda x: Cube.apply(x)[0].sum()))(x).sum().backward()
    assert x.grad.tolist() == [[6, 12]]
