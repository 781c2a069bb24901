"""nn.init: the same draws as PyTorch's, and its errors and warnings."""

import numpy as np
import pytest

import rushlight
from rushlight.nn import init

#: name → expression on ``t``, an empty tensor of each shape
FILLS = {
    "constant_": "init.constant_(t, 0.3)",
    "ones_": "init.ones_(t)",
    "zeros_": "init.zeros_(t)",
    "uniform_": "init.uniform_(t, -2, 3)",
    "normal_": "init.normal_(t, 1.5, 2)",
    "trunc_normal_": "init.trunc_normal_(t)",
    "trunc_normal_ narrow": "init.trunc_normal_(t, 0.5, 0.2, 0.3, 0.9)",
    "trunc_normal_ tail": "init.trunc_normal_(t, 0, 1, 1.5, 3)",
    "trunc_normal_ far": "init.trunc_normal_(t, 9, 1, -2, 2)",
    "xavier_uniform_": "init.xavier_uniform_(t, 1.4)",
    "xavier_normal_": "init.xavier_normal_(t)",
    "kaiming_uniform_": "init.kaiming_uniform_(t)",
    "kaiming_uniform_ relu": "init.kaiming_uniform_(t, mode='fan_out', nonlinearity='relu')",
    "kaiming_normal_": "init.kaiming_normal_(t, a=0.2)",
    "kaiming_normal_ tanh": "init.kaiming_normal_(t, 0, 'fan_out', 'tanh')",
    "kaiming mode": "init.kaiming_normal_(t, mode='fan')",
    "kaiming nonlinearity": "init.kaiming_uniform_(t, nonlinearity='gelu')",
    "orthogonal_": "init.orthogonal_(t, 1.5)",
    "eye_": "init.eye_(t)",
    "dirac_": "init.dirac_(t)",
    "dirac_ groups": "init.dirac_(t, 2)",
    "sparse_": "init.sparse_(t, 0.45, 0.1)",
    "uniform": "init.uniform(t)",
    "normal": "init.normal(t)",
    "constant": "init.constant(t, 2)",
    "eye": "init.eye(t)",
    "dirac": "init.dirac(t)",
    "xavier_uniform": "init.xavier_uniform(t)",
    "xavier_normal": "init.xavier_normal(t)",
    "kaiming_uniform": "init.kaiming_uniform(t)",
    "kaiming_normal": "init.kaiming_normal(t)",
    "orthogonal": "init.orthogonal(t)",
    "sparse": "init.sparse(t, sparsity=0.2)",
    "generator": "init.kaiming_normal_(t, generator=torch.Generator().manual_seed(9))",
    "generator orthogonal": "init.orthogonal_(t, generator=torch.Generator().manual_seed(9))",
}
SHAPES = [(3,), (3, 5), (20, 10), (6, 4, 3), (4, 2, 3, 5), (2, 2, 3, 2, 2), (0, 3), (2, 0, 3)]


def fill(torch, expression, shape, **options):
    torch.manual_seed(4)
    t = torch.zeros(shape, **options)
    out = eval(expression, {"init": torch.nn.init, "t": t, "torch": torch})
    return [out is t, out, torch.rand(2)]


@pytest.mark.parity
@pytest.mark.parametrize("name", FILLS)
def test_fills_are_pytorchs(parity, name):
    for shape in SHAPES:
        parity(lambda torch, shape=shape: fill(torch, FILLS[name], shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["normal_", "trunc_normal_", "kaiming_uniform_", "eye_"])
def test_fills_in_other_dtypes_are_pytorchs(parity, name):
    def script(torch):
        return [
            fill(torch, FILLS[name], (4, 5), dtype=getattr(torch, dtype))[1].double()
            for dtype in ("float64", "float16", "bfloat16")
        ]

    parity(script, rtol=1e-2, atol=1e-3)


@pytest.mark.parity
@pytest.mark.parametrize(
    "args",
    [
        ("linear",), ("conv2d",), ("sigmoid",), ("tanh",), ("relu",), ("selu",), ("leaky_relu",),
        ("leaky_relu", 0.3), ("leaky_relu", 2), ("leaky_relu", True), ("leaky_relu", "x"),
        ("gelu",), ("conv_transpose1d", 3),
    ],
    ids=str,
)  # fmt: skip
def test_gains_are_pytorchs(parity, args):
    parity(lambda torch: torch.nn.init.calculate_gain(*args))


@pytest.mark.parity
def test_fans_are_pytorchs(parity):
    for shape in SHAPES:
        parity(
            lambda torch, shape=shape: list(
                torch.nn.init._calculate_fan_in_and_fan_out(torch.ones(shape))
            )
        )


def test_a_parameter_can_be_filled_and_stays_a_leaf():
    w = rushlight.nn.Parameter(rushlight.empty(3, 3))
    for name in ("uniform_", "orthogonal_", "eye_", "trunc_normal_", "zeros_"):
        assert getattr(init, name)(w) is w
    assert w.is_leaf and w.requires_grad and w.grad_fn is None


def test_orthogonal_is_orthogonal():
    for shape in ((3, 7), (7, 3), (4, 2, 2)):
        w = init.orthogonal_(rushlight.empty(shape)).reshape(shape[0], -1).numpy()
        w = w if w.shape[0] <= w.shape[1] else w.T
        np.testing.assert_allclose(w @ w.T, np.eye(w.shape[0]), atol=1e-6)


def test_truncation_holds():
    w = init.trunc_normal_(rushlight.empty(5000), mean=1.0, std=2.0, a=0.0, b=1.5)
    assert w.min() >= 0 and w.max() <= 1.5


def test_old_names_and_empty_tensors_warn():
    with pytest.warns(FutureWarning, match="use nn.init.uniform_"):
        init.uniform(rushlight.empty(2))
    with pytest.warns(UserWarning, match=r"no-op: the shape is \(0, 3\)"):
        init.kaiming_uniform_(rushlight.empty(0, 3))
    assert len(init.__all__) == 26
