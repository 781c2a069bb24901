"""Custom functions and gradcheck."""

import pytest

import rushlight as torch
from rushlight.autograd import Function


class Scale(Function):
    """x · k, written with setup_context."""

    @staticmethod
    def forward(x, k):
        return x * k

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.k = inputs[1]

    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, None


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Split(Function):
    """Two outputs, one not differentiable."""

    @staticmethod
    def forward(ctx, x):
        positive = x > 0
        ctx.mark_non_differentiable(positive)
        ctx.save_for_backward(x)
        return x * x, positive, x * 3

    @staticmethod
    def backward(ctx, g, _, h):
        (x,) = ctx.saved_tensors
        return g * 2 * x + h * 3


def leaf(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: Scale.apply(x, 2.5),
        Exp.apply,
        lambda x: Split.apply(x)[0],
        lambda x: sum(Split.apply(x)[::2]),
    ],
)
def test_first_and_second_order(call):
    x = leaf(0.5, -1.5, 2.0)
    assert torch.autograd.gradcheck(call, (x,))
    assert torch.autograd.gradgradcheck(call, (x,))


def test_names_needs_and_flags():
    seen = {}

    class Seen(Function):
        @staticmethod
        def forward(ctx, x, y, k):
            seen["needs"] = ctx.needs_input_grad
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g, None, None

    out = Seen.apply(leaf(1.0), torch.ones(1, dtype=torch.float64), 3)
    assert (out.grad_fn.name(), seen["needs"]) == ("SeenBackward", (True, False, False))
    _, positive, _ = Split.apply(leaf(1.0))
    assert not positive.requires_grad


def test_mark_dirty():
    class AddOne(Function):
        @staticmethod
        def forward(ctx, x):
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 10

    x = leaf(1.0, 2.0)
    y = x * 2
    z = AddOne.apply(y)
    assert z is y
    y.sum().backward()
    assert x.grad.tolist() == [20.0, 20.0]
    with pytest.raises(RuntimeError, match="leaf Variable"):
        AddOne.apply(x)


def test_materialized_gradients():
    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            assert b.tolist() == [0.0]
            return a + b

    x = leaf(1.0)
    Two.apply(x)[0].sum().backward()
    assert x.grad.item() == 1.0


def test_wrong_number_of_gradients():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Wrong.apply(leaf(1.0), leaf(2.0)).sum().backward()


def test_once_differentiable():
    from rushlight.autograd.function import once_differentiable

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2 * x

    x = leaf(3.0)
    (g,) = torch.autograd.grad(Square.apply(x), x, leaf(1.0), create_graph=True)
    assert g.item() == 6.0
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_saved_tensors_are_freed_and_checked():
    x = leaf(1.0)
    y = Exp.apply(x * 1)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()
    y = Exp.apply(x * 1)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_gradcheck_finds_a_wrong_gradient():
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(Bad.apply, (leaf(1.0),))
    assert not torch.autograd.gradcheck(Bad.apply, (leaf(1.0),), raise_exception=False)


def test_gradcheck_of_outputs_that_depend_on_nothing():
    x = leaf(1.0, 2.0)
    assert torch.autograd.gradcheck(lambda x: x.detach() * 0, (x,))
    assert torch.autograd.gradgradcheck(lambda x: x.pow(0), (x,))
    with pytest.raises(RuntimeError, match="expected to be zero"):
        torch.autograd.gradcheck(lambda x: x.detach() * 2, (x,))


def test_functions_are_not_instantiated():
    with pytest.raises(RuntimeError, match="apply"):
        Exp()
