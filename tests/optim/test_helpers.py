"""What ``torch.optim.optimizer`` has for other libraries' optimizers is PyTorch's."""

import importlib
import inspect

import pytest

import rushlight

try:
    import torch as pytorch
except ImportError:
    pytorch = None

FRAMEWORKS = [rushlight] + ([pytorch] if pytorch else [])
both = pytest.mark.parametrize("torch", FRAMEWORKS, ids=lambda t: t.__name__)


def helpers_of(torch):
    name = "rushlight.optim.helpers" if torch is rushlight else "torch.optim.optimizer"
    return importlib.import_module(name)


@pytest.mark.skipif(pytorch is None, reason="compares with PyTorch")
def test_functions_take_what_pytorch_takes():
    ours, theirs = helpers_of(rushlight), helpers_of(pytorch)
    names = [n for n, x in vars(ours).items() if n[:1] == "_" and inspect.isfunction(x)]
    assert len(names) > 8
    for name in names:
        wanted = inspect.signature(getattr(theirs, name)).parameters
        assert list(inspect.signature(getattr(ours, name)).parameters) == list(wanted), name


@both
def test_complex_parameters_become_real(torch):
    complexes = [torch.tensor([1 + 2j]), torch.ones(2)]
    grads = [torch.tensor([3 - 1j]), torch.zeros(2)]
    helpers_of(torch)._view_as_real(complexes, grads)
    assert [t.tolist() for t in complexes] == [[[1, 2]], [1, 1]]
    assert [t.tolist() for t in grads] == [[[3, -1]], [0, 0]]


@both
def test_values(torch):
    helpers = helpers_of(torch)
    assert helpers._to_scalar(torch.ones(1)).shape == () and helpers._to_scalar(0.5) == 0.5
    assert helpers._get_value(torch.tensor(2)) == 2
    assert helpers._disable_dynamo_if_unsupported()(lambda state_steps: 3)([]) == 3
    helpers._device_dtype_check_for_fused(torch.ones(1))
    with pytest.raises(RuntimeError, match="fused=True"):
        helpers._device_dtype_check_for_fused(torch.ones(1, dtype=torch.int64))
    for name in ("foreach", "fused"):
        assert "cuda" in getattr(helpers, f"_get_{name}_kernels_supported_devices")()
