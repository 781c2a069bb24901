"""torch.__future__: how a module's parameters are replaced when it is converted or loaded."""

import pytest

import rushlight as torch


@pytest.fixture(autouse=True)
def _restored():
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)
    torch.__future__.set_overwrite_module_params_on_conversion(False)


def converted():
    """(the layer's weight before, the one after a conversion, the gradient before, after)."""
    layer = torch.nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    before, grad = layer.weight, layer.weight.grad
    layer.double()
    return before, layer.weight, grad, layer.weight.grad


def test_a_conversion_writes_into_parameters():
    before, after, _, grad_after = converted()
    assert after is before and after.dtype is torch.float64
    assert grad_after.dtype is torch.float64


def test_a_conversion_gives_other_parameters():
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    assert torch.__future__.get_overwrite_module_params_on_conversion() is True
    before, after, grad, grad_after = converted()
    assert after is not before and before.dtype is torch.float32
    assert (after.dtype, grad.dtype, grad_after.dtype) == (
        torch.float64, torch.float32, torch.float64,
    )  # fmt: skip


def test_a_conversion_swaps_parameters():
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # comes second
    before, after, grad, grad_after = converted()
    assert after is before and after.dtype is torch.float64
    assert grad_after is grad and grad.dtype is torch.float64


def test_a_parameter_with_a_view_is_not_swapped():
    torch.__future__.set_swap_module_params_on_conversion(True)
    layer = torch.nn.Linear(2, 1)
    view = layer.weight[0]
    layer.bias.grad = torch.ones(1)
    with pytest.raises(RuntimeError, match=r"Couldn't swap Linear.weight"):
        layer.double()
    assert view.dtype is layer.weight.dtype is torch.float32


def test_load_state_dict_swaps_what_module_load_returns():
    class Scaled(torch.Tensor):
        def module_load(self, other, assign=False):
            return (other * 10).detach()

    class Same(torch.Tensor):
        def module_load(self, other, assign=False):
            return other

    torch.__future__.set_swap_module_params_on_conversion(True)
    layer = torch.nn.Linear(2, 1, bias=False)
    before, given = layer.weight, torch.ones(1, 2)
    for assign in (False, True):
        layer.load_state_dict({"weight": given}, assign=assign)
        assert layer.weight is before and layer.weight.tolist() == [[1, 1]]
        assert isinstance(layer.weight, torch.nn.Parameter) and layer.weight.requires_grad
    layer.weight = torch.nn.Parameter(torch.zeros(1, 2).as_subclass(Scaled))
    layer.load_state_dict({"weight": given})
    assert layer.weight.tolist() == [[10, 10]]
    layer.weight = torch.nn.Parameter(torch.zeros(1, 2).as_subclass(Same))
    with pytest.raises(RuntimeError, match="module_load returned one of self or other"):
        layer.load_state_dict({"weight": given})
