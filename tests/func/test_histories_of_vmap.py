"""What ``vmap`` keeps of gradients, of ``detach()`` and of draws; each is as in PyTorch."""

import pytest

import rushlight as torch
from rushlight.func import batching
from rushlight.func.parts import parts_of


def test_a_part_that_no_grad_reads_first_has_its_gradient():
    def f(x):
        z = x * 1
        part = z[0]
        z.mul_(2)
        with torch.no_grad():
            part + 1
        return part.sum()

    x = torch.ones(2, 3, 2, requires_grad=True)
    (found,) = torch.autograd.grad(torch.vmap(f)(x).sum(), x)
    assert found[:, 0].eq(2).all()
    assert found[:, 1:].eq(0).all()


def test_a_custom_function_under_no_grad_has_no_gradient():
    class Square(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    def f(x):
        with torch.no_grad():
            y = Square.apply(x)
        return x.sum() + y.sum()

    x = torch.ones(2, 3, requires_grad=True)
    (found,) = torch.autograd.grad(torch.vmap(f)(x).sum(), x)
    assert found.eq(1).all()


def test_operations_under_no_grad_have_no_gradient():
    w = torch.tensor([3.0], requires_grad=True)

    def f(x):
        y = x * w
        with torch.no_grad():
            z = (y * w).sin()
        return (y + z).sum()

    (found,) = torch.autograd.grad(torch.vmap(f)(torch.ones(4, 1)).sum(), w)
    assert found.tolist() == [4.0]


def test_a_detached_tensor_without_history_is_written():
    found = torch.vmap(lambda r: r.detach().mul_(2) + r)(torch.ones(2, 3))
    assert found.eq(4).all()
    x = torch.ones(3, 2)
    torch.vmap(lambda r: r[0].detach().mul_(2))(x)
    assert x.tolist() == [[2.0, 1.0]] * 3


def test_a_detached_tensor_with_history_is_refused_by_its_name():
    with pytest.raises(RuntimeError, match=r"vmap: .*there is a detach") as caught:
        torch.vmap(lambda r: r.detach().mul_(2) + r)(torch.ones(2, 3, requires_grad=True))
    assert "dynamic shape" not in str(caught.value)


@pytest.mark.parametrize("of", [lambda x: torch.normal(x, 1.0), lambda x: torch.normal(x * 0, x)])
def test_normal_draws_no_same_numbers_for_several_means(of):
    with pytest.raises(RuntimeError, match="same randomness with a batched tensor input"):
        torch.vmap(of, randomness="same")(torch.ones(2, 3))
    assert torch.vmap(of, randomness="different")(torch.ones(2, 3)).shape == (2, 3)


def test_clamp_by_a_number_and_a_sample_asks_for_its_value():
    with pytest.raises(RuntimeError, match=r"calling \.item\(\) on a Tensor"):
        torch.vmap(lambda x, high: torch.clamp(x, 0, high))(torch.ones(2, 3), torch.ones(2))


def test_what_nobody_reads_is_still_checked():
    weight = torch.ones(3, 2)
    loss = lambda x, label: torch.nn.functional.cross_entropy((weight @ x)[None], label[None])
    slope = torch.vmap(torch.func.grad(loss))
    assert slope(torch.ones(2, 2), torch.tensor([0, 2])).shape == (2, 2)
    with pytest.raises(IndexError):
        slope(torch.ones(2, 2), torch.tensor([0, 3]))


def test_what_nobody_reads_is_not_computed(monkeypatch):
    names = []
    compute = batching.Batch._compute
    monkeypatch.setattr(
        batching.Batch, "_compute", lambda self, e: names.append(e.op.name) or compute(self, e)
    )
    torch.vmap(torch.func.grad(lambda x: (x.exp() * 2).sum()))(torch.ones(2, 3))
    assert "sum" not in names
    assert "exp" in names


def test_parts_are_those_of_a_call_that_looks_alike(monkeypatch):
    asked = []
    monkeypatch.setattr(batching, "parts_of", lambda e: asked.append(parts_of(e)) or asked[-1])
    layer = torch.vmap(torch.nn.functional.linear, in_dims=(0, None))
    x, w = torch.ones(3, 1, 4), torch.ones(2, 4)
    assert layer(x, w).eq(4).all()
    assert layer(x * 2, w).eq(8).all()
    assert layer(x.double(), w.double()).dtype is torch.float64
    assert asked[0] is asked[1]
    assert asked[2] is not asked[1]


def test_logits_of_zero_have_their_gradient():
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    x, y = torch.zeros(3, 2, requires_grad=True), torch.ones(3, 2)
    for reduction in ("mean", "sum", "none"):
        mapped = torch.vmap(lambda a, b, r=reduction: loss(a, b, reduction=r))(x, y).sum()
        (found,) = torch.autograd.grad(mapped, x)
        assert found.eq(-0.25 if reduction == "mean" else -0.5).all()


def test_linearize_gives_several_products():
    value, product = torch.func.linearize(lambda x: x.sin() * x, torch.ones(3))
    assert value.shape == (3,)
    one = product(torch.ones(3))
    assert torch.allclose(product(torch.full((3,), 2.0)), 2 * one)
    assert torch.allclose(one, torch.full((3,), 1.3817732))
