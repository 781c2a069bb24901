"""The input of a pool is written through ``.data`` before the backward."""

import numpy as np
import pytest

import rushlight as torch
import rushlight.nn.functional as F
from rushlight.ops.core.definition import OPS
from rushlight.ops.windows.max_pool import pool_geometry


def _by_positions(x, w, g):
    """The gradient of max pooling by NumPy: ``g`` added at the positions of the maxima of ``x``."""
    n = len(w.places)
    at = OPS["max_pool_positions"].forward(np, x, windows=w).reshape(-1, np.prod(w.places))
    found = np.zeros((len(at), np.prod(x.shape[-n:])), g.dtype)
    for row, places, values in zip(found, at, g.reshape(at.shape), strict=True):
        np.add.at(row, places, values)
    return found.reshape(x.shape)


@pytest.mark.parametrize("lead", [(1, 2), (3, 12)])
@pytest.mark.parametrize(
    ("size", "given"),
    [((6, 7), (2,)), ((40, 31), (2,)), ((40, 31), (3, 2, 1)), ((33, 40), (3, 1, 1)),
     ((20, 40), (2, 3, 0, 2)), ((30, 41), (3, 2, 1, 1, True)), ((300,), (3, 2)),
     ((12, 9, 14), (3, 2, 1))],
)  # fmt: skip
def test_the_gradient_goes_to_the_positions_of_the_forward(lead, size, given):
    """Nobody sees a write through ``.data``. Small calls and calls with kernels, nan and ties."""
    rng = np.random.default_rng(0)
    array = np.round(rng.standard_normal((*lead, *size)) * 3).astype("f4")
    array[rng.random(array.shape) < 0.02] = np.nan
    array[..., :4] = -np.inf
    n = len(size)
    pool = getattr(F, f"max_pool{n}d")
    how = dict(
        zip(("kernel_size", "stride", "padding", "dilation", "ceil_mode"), given, strict=False)
    )
    whole = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, **how}
    w = pool_geometry("pool", n, array, *[whole[k] for k in (
        "kernel_size", "stride", "padding", "dilation", "ceil_mode")])  # fmt: skip
    for _ in range(4):
        x = torch.tensor(array, requires_grad=True)
        out = pool(x, **how)
        np.testing.assert_array_equal(out.detach(), OPS["max_pool2d"].forward(np, array, windows=w))
        g = np.round(rng.standard_normal(out.shape) * 4).astype("f4")
        x.data.zero_()
        out.data.zero_()
        (found,) = torch.autograd.grad(out, x, torch.tensor(g))
        np.testing.assert_array_equal(found, _by_positions(array, w, g))


@pytest.mark.parametrize("places", [1, 3, 5])
def test_adaptive_gradients_go_to_the_positions_of_the_forward(places):
    array = np.random.default_rng(0).standard_normal((2, 3, 10, 13)).astype("f4")
    gradients = []
    for write in (False, True):
        x = torch.tensor(array, requires_grad=True)
        out = F.adaptive_max_pool2d(x, places)
        if write:
            x.data.zero_()
        (found,) = torch.autograd.grad(
            (out * torch.arange(1.0, out.numel() + 1).reshape(out.shape)).sum(), x
        )
        gradients.append(found.numpy())
    assert np.count_nonzero(gradients[0]) >= 6 * places
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_second_gradients_of_traces_are_those_of_noted_positions(n):
    """A trace notes no positions: its rules are ``max_pool_backward`` and ``max_pool_pick``."""
    x = torch.from_numpy(np.random.default_rng(n).standard_normal((1, 2, *[4] * n)))
    cubes = lambda x: (getattr(F, f"max_pool{n}d")(x, 3, 2, 1) ** 3).sum()
    noted = torch.autograd.functional.hessian(cubes, x)
    torch.testing.assert_close(torch.func.jacrev(torch.func.jacrev(cubes))(x), noted)

    def second(x):
        (slope,) = torch.autograd.grad(cubes(x), x, create_graph=True)
        return torch.autograd.grad((slope * slope).sum(), x)[0]

    y = x.clone().requires_grad_()
    torch.testing.assert_close(torch.compile(second, fullgraph=True)(y), second(y))
