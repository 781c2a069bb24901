"""What tensors say of their history after no_grad, detach and in-place draws."""

import pytest

import rushlight as torch


@pytest.mark.parametrize("look", [lambda x: x.view(3), lambda x: x[:2], lambda x: x.view(3)[1:]])
@pytest.mark.parametrize("computed", [False, True])
def test_a_view_made_under_no_grad_requires_what_its_base_does(look, computed):
    x = torch.ones(3, requires_grad=True)
    base = x * 2 if computed else x
    with torch.no_grad():
        view = look(base)
        assert not look(base.detach()).requires_grad
        assert not (view * 2).requires_grad
    assert view.requires_grad and view.is_leaf and view.grad_fn is None


def test_detach_keeps_a_subclass_but_not_a_parameter():
    class Marked(torch.Tensor):
        pass

    assert type(Marked(torch.ones(2)).detach()) is Marked
    assert type(torch.nn.Parameter(torch.ones(2)).detach()) is torch.Tensor


DRAWS = {
    "normal_": "NormalBackward0", "uniform_": "UniformBackward0",
    "exponential_": "ExponentialBackward0", "bernoulli_": "BernoulliBackward2",
    "random_": "RandomBackward1",
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_into_a_computed_tensor_passes_zeros_on(name):
    x = torch.ones(3, requires_grad=True)
    y = x * 1
    getattr(y, name)(*[3] * (name == "random_"))
    assert y.requires_grad and y.grad_fn.name() == DRAWS[name]
    (y * 2).sum().backward()
    assert torch.equal(x.grad, torch.zeros(3))


def test_a_draw_into_part_of_a_computed_tensor_takes_that_part_s_gradient():
    x = torch.ones(3, requires_grad=True)
    y = x * 1
    y[:2].normal_()
    y.sum().backward()
    assert torch.equal(x.grad, torch.tensor([0.0, 0.0, 1.0]))


def test_switches_that_change_nothing_are_remembered():
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="highest"):
        torch.set_float32_matmul_precision("low")
    assert torch.get_float32_matmul_precision() == "highest"
