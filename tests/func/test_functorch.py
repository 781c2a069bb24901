"""The package functorch: modules as functions of their parameters."""

import pytest

import rushlight as torch
from rushlight.func import functorch


def test_a_module_as_a_function():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).eval()
    function, params, buffers = functorch.make_functional_with_buffers(model)
    x = torch.randn(4, 2)
    assert torch.equal(function(params, buffers, x), model(x))
    with pytest.raises(ValueError, match="has buffers"):
        functorch.make_functional(model)
    function, params = functorch.make_functional(model[0], disable_autograd_tracking=True)
    assert not params[0].requires_grad
    zero = tuple(torch.zeros_like(p) for p in params)
    assert not function(zero, x).any()


def test_an_ensemble():
    models = [torch.nn.Linear(2, 1) for _ in range(3)]
    function, params, buffers = functorch.combine_state_for_ensemble(models)
    x = torch.randn(2)
    found = torch.vmap(function, (0, 0, None))(params, buffers, x)
    assert torch.allclose(found, torch.stack([m(x) for m in models]))
