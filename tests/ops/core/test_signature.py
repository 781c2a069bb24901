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
