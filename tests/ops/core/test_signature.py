"""What ``help`` shows of operations is how they are called, not their forwards on arrays."""

import inspect

import pytest

import rushlight as torch
from rushlight.ops.core.definition import OPS


@pytest.mark.parametrize(
    "function, text",
    [
        (torch.exp, "(input, *, out=None)"),
        (torch.add, "(input, other, *, alpha=1, out=None)"),
        (torch.sum, "(input, dim=None, keepdim=False, *, out=None)"),
        (torch.permute, "(input, dims)"),
    ],
)
def test_signature(function, text):
    assert str(inspect.signature(function)) == text


def test_every_operation_has_one():
    for op in OPS.values():
        names = list(inspect.signature(op.call).parameters)
        assert "xp" not in names and len(names) >= len(op.inputs), op.name


@pytest.mark.parametrize("call", [
    lambda: torch.zeros(2, dtype=float), lambda: torch.ones(2).to(float),
    lambda: torch.tensor([1, 2], dtype=float), lambda: torch.ones(2).sum(dtype=float),
    lambda: torch.nn.Linear(2, 2, dtype=float).weight, lambda: torch.ones(2).softmax(0, dtype=float),
    lambda: torch.nn.Linear(2, 2).to(float).weight, lambda: torch.linalg.norm(torch.ones(2), dtype=float),
    lambda: torch.compile(lambda x: x.to(float) * torch.ones(2, dtype=float))(torch.ones(2)),
])  # fmt: skip
def test_pythons_types_stand_for_dtypes(call):
    assert call().dtype is torch.float64
    assert torch.zeros(1, dtype=int).dtype is torch.int64
    assert torch.zeros(1, dtype=bool).dtype is torch.bool
    assert torch.iinfo(int).bits == torch.finfo(float).bits == 64
    with pytest.raises(TypeError, match="dtype"):
        torch.zeros(1, dtype=str)
