"""Functions of one tensor at infinities, nan, zeros, poles and far out: PyTorch's values and slopes."""

import warnings

import numpy as np
import pytest

import rushlight

NUMBERS = [
    np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, -1.5, 3.0, 1e-10, 1e30, -1e30,
    88.8, -110.0, 171.0, 100.5, -100.5,
]  # fmt: skip
SPACES = ["", "special", "nn.functional"]
#: Random ones, and one that has a gradient here only.
_OTHERWISE = {
    "alpha_dropout", "bernoulli", "dropout", "feature_alpha_dropout", "feature_dropout", "normal",
    "gumbel_softmax", "poisson", "rrelu", "rand_like", "randn_like", "empty_like", "dropout1d",
    "dropout2d", "dropout3d", "detach_copy",
}  # fmt: skip
#: PyTorch's own error there: an overflow, a vector's nan, the noise next to a pole.
_SLOPES = {"digamma", "psi", "erfcx", "i0", "i0e", "i1", "i1e", "log_ndtr", "logit", "celu", "elu",
           "selu", "hardswish"}  # fmt: skip
#: At nan their slope is 1 in PyTorch's scalar code and 0 in its vectors, so it depends on the place.
_BUT_AT_NAN = {"hardshrink", "hardtanh", "relu6", "softshrink"}
#: There PyTorch's slope is the difference of two rounded numbers, which is 0.
_BUT_NEAR_0 = {"sinc"}
_VALUES = {"i0", "i1", "gelu", "modified_bessel_i0", "modified_bessel_i1", "airy_ai"}


def space(torch, path):
    for name in filter(None, path.split(".")):
        torch = getattr(torch, name)
    return torch


def told(torch, path, name, dtype):
    """(values, slopes) at ``NUMBERS``; None where it is no function of each element."""
    x = torch.tensor(NUMBERS, dtype=getattr(torch, dtype), requires_grad=True)
    try:
        y = getattr(space(torch, path), name)(x * 1)
        assert isinstance(y, torch.Tensor) and y.shape == x.shape and not y.is_complex()
    except Exception:
        return None
    if not y.requires_grad:
        return y.double().numpy(), None
    try:
        y.sum().backward()
    except RuntimeError:  # PyTorch's dequantize has no derivative
        return y.detach().double().numpy(), None
    return y.detach().double().numpy(), x.grad.double().numpy(force=True)


def differs(a, b):
    return a is not None and b is not None and not np.allclose(a, b, 1e-3, 1e-30, equal_nan=True)


def names(peer, path):
    """The functions that both have, but for classes and those that make or change something.

    PyTorch's own PyTorchFileWriter ends the process when it is called with a tensor.
    """
    ours, theirs = space(rushlight, path), space(peer, path)
    for name in dir(theirs):
        other = name.startswith(("_", "set_", "manual", "get_", "is_", "use_")) or name[-1] == "_"
        value = getattr(theirs, name)
        if not other and callable(value) and not isinstance(value, type) and hasattr(ours, name):
            yield name


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", SPACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_slopes(path, dtype):
    peer = pytest.importorskip("torch")
    found, faults = 0, []
    for name in names(peer, path):
        if name in _OTHERWISE:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got, want = told(rushlight, path, name, dtype), told(peer, path, name, dtype)
        if got is None or want is None:
            continue
        found += 1
        if name not in _VALUES and differs(got[0], want[0]):
            faults.append(("value", name))
        slopes = [got[1], want[1]]
        if name in _BUT_AT_NAN:
            slopes = [None if s is None else s[~np.isnan(NUMBERS)] for s in slopes]
        if name in _BUT_NEAR_0:
            slopes = [None if s is None else s[np.array(NUMBERS) != 1e-10] for s in slopes]
        if name not in _SLOPES and differs(*slopes):
            faults.append(("slope", name))
    assert found > 15 and not faults
