"""Custom functions and gradcheck."""

import pytest

import rushlight as torch
from rushlight.autograd import Function
from rushlight.autograd.function import InplaceFunction


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
    with pytest.warns(DeprecationWarning, match="should not be instantiated"):
        made = Exp()
    with pytest.raises(RuntimeError, match="apply"):
        made(torch.ones(2))


class Skewed(torch.autograd.Function):
    """x · |x|, whose gradient, tangent or batched gradient is wrong by a quarter, as asked."""

    wrong = ""

    @staticmethod
    def forward(x):
        return x * x.abs()

    @staticmethod
    def setup_context(ctx, inputs, output):
        (x,) = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.abs() * (2.5 if Skewed.wrong == "backward" else 2)

    @staticmethod
    def jvp(ctx, t):
        (x,) = ctx.saved_tensors
        return t * x.abs() * (2.5 if Skewed.wrong == "forward" else 2)


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradcheck_finds_what_is_wrong_in_either_mode(fast_mode, dtype, monkeypatch):
    x = torch.randn(2, 3, dtype=dtype, requires_grad=True)
    call = Skewed.apply if dtype is torch.float64 else lambda x: torch.complex(
        Skewed.apply(x.real), Skewed.apply(x.imag)
    )  # fmt: skip
    check = lambda **options: torch.autograd.gradcheck(call, x, fast_mode=fast_mode, **options)
    assert check(check_forward_ad=True)
    monkeypatch.setattr(Skewed, "wrong", "backward")
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        check()
    monkeypatch.setattr(Skewed, "wrong", "forward")
    assert check()
    assert check(check_backward_ad=False, check_forward_ad=True, raise_exception=False) is False
    with pytest.raises(RuntimeError, match="forward mode"):
        check(check_forward_ad=True)


class Sums(torch.autograd.Function):
    """x y k and x + y, with a ``jvp`` and no ``backward``."""

    @staticmethod
    def forward(x, k, y):
        return x * y * k, x + y

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.k, y = inputs
        ctx.save_for_forward(x, y)

    @staticmethod
    def jvp(ctx, tx, tk, ty):
        assert tk is None
        x, y = ctx.saved_tensors
        return (tx * y + ty * x) * ctx.k, tx + ty


def test_forward_mode_asks_a_function_for_its_own_derivative():
    x, y, fw = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0]), torch.autograd.forward_ad
    with fw.dual_level():
        dual = fw.make_dual(x, torch.ones(2))
        found = [fw.unpack_dual(o).tangent.tolist() for o in Sums.apply(dual, 2.0, y)]
    assert found == [[6.0, 10.0], [1.0, 1.0]]  # y has a tangent of zeros
    one = torch.ones(2)
    call = lambda x, y: Sums.apply(x.square(), 3.0, y)
    _, (product, total) = torch.func.jvp(call, (x, y), (one, one))
    assert product.tolist() == [21.0, 72.0]
    assert total.tolist() == [3.0, 5.0]
    first = lambda x: call(x, y)[0]
    assert torch.func.jacfwd(first)(x).tolist() == [[18.0, 0.0], [0.0, 60.0]]
    second = torch.func.jacrev(torch.func.jacfwd(first))(x)  # backward of what jvp computed
    assert second.tolist() == [[[18.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 30.0]]]
    assert torch.autograd.functional.jvp(first, x, one)[1].tolist() == [18.0, 60.0]
    with pytest.raises(NotImplementedError, match="backward"):
        Sums.apply(x.requires_grad_(), 2.0, y)[1].sum().backward()


def test_gradcheck_of_batches():
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    options = {"check_batched_grad": True, "check_forward_ad": True}
    assert torch.autograd.gradcheck(
        lambda x: (x.exp().sum(0), x.sin()), x, check_batched_forward_grad=True, **options
    )
    assert torch.autograd.gradgradcheck(
        lambda x: x**3, x, check_batched_grad=True, check_fwd_over_rev=True,
        gen_non_contig_grad_outputs=True,
    )  # fmt: skip
    with pytest.raises(AssertionError, match="check_forward_ad"):
        torch.autograd.gradcheck(torch.sin, x, check_batched_forward_grad=True)
    with pytest.raises(AssertionError, match="must be True"):
        torch.autograd.gradcheck(torch.sin, x, check_backward_ad=False)


def test_outputs_that_are_no_tensors_have_none_as_gradient():
    class Mixed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3, x * 2, None, x * 5, "text"

        @staticmethod
        def backward(ctx, *grads):
            assert len(grads) == 5 and [g is None for g in grads] == [
                True,
                False,
                True,
                False,
                True,
            ]
            return grads[1] * 2 + grads[3] * 5

    x = torch.ones(2, requires_grad=True)
    number, twice, nothing, five, text = Mixed.apply(x)
    assert (number, nothing, text) == (3, None, "text") and five.grad_fn is twice.grad_fn
    twice.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_vjp_is_another_name_of_backward():
    class Double(InplaceFunction):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vjp(ctx, g):
            return g * 2

    x = torch.ones(2, requires_grad=True)
    Double.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 2]

    class Both(Double):
        @staticmethod
        def vjp(ctx, g):
            return g

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="both 'backward' and 'vjp'"):
        Both.apply(x).sum().backward()


class Named(Function):
    """A Function with a default that takes its arguments by name."""

    @staticmethod
    def forward(ctx, x, k=3):
        ctx.k = k
        return x * k

    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, None


class NamedWithSetup(Function):
    @staticmethod
    def forward(x, k=3, shift=1):
        return x * k + shift

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.k, ctx.shift = inputs[1:]

    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, None, None


@pytest.mark.parametrize(
    "call, slope",
    [
        (lambda x: Named.apply(x, k=2), 2.0),
        (lambda x: Named.apply(k=4, x=x), 4.0),
        (lambda x: NamedWithSetup.apply(x), 3.0),
        (lambda x: NamedWithSetup.apply(x, shift=5), 3.0),
        (lambda x: NamedWithSetup.apply(shift=5, x=x, k=7), 7.0),
    ],
)
def test_arguments_by_name(call, slope):
    x = torch.ones(2, requires_grad=True)
    call(x).sum().backward()
    assert x.grad.tolist() == [slope, slope]


def test_arguments_by_name_leave_none_out():
    class Two(Function):
        @staticmethod
        def forward(ctx, x, k=1, n=1):
            return x * k * n

    with pytest.raises(TypeError, match="unexpected keyword argument 'n'"):
        Two.apply(torch.ones(2), n=2)
    with pytest.raises(TypeError, match="'x'"):
        Two.apply(k=2)


def test_gradient_of_a_number_is_refused():
    class Odd(Function):
        @staticmethod
        def forward(ctx, x, k):
            return x * k

        @staticmethod
        def backward(ctx, g):
            return g, g

    with pytest.raises(RuntimeError, match="different than None at position 2"):
        Odd.apply(torch.ones(2, requires_grad=True), 2.0).sum().backward()


def test_a_saved_output_that_is_returned_twice_keeps_its_history():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            out = a * 2
            ctx.save_for_backward(out)
            return out, out

        @staticmethod
        def backward(ctx, g, h):
            return ctx.saved_tensors[0] * h

    x = torch.ones(2, requires_grad=True)
    y, _ = Twice.apply(x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert slope.requires_grad


@pytest.mark.parametrize("recorded", [False, True])
def test_a_returned_input_keeps_its_class(recorded):
    """As in PyTorch, the result is another tensor, of the same subclass."""

    class Sub(torch.Tensor):
        pass

    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = torch.ones(2).as_subclass(Sub).requires_grad_(recorded)
    y = Same.apply(x)
    assert type(y) is Sub and y is not x and y.requires_grad == recorded
    if recorded:
        y.sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]
