"""Products, blocks, combinations and rotations of tensors, and what a tensor is."""

import itertools

import numpy as np
import pytest

import rushlight as torch
from rushlight.ops.shape import compose
from tests.ops.parity import ALL, check, check_gradients

CALLS = """torch.kron(x, y)|x.kron(y[0])|torch.kron(x[0, 0], y)|torch.kron(x[:0], y)|torch.kron(x, torch.tensor([1, 2]))|torch.kron(x, 2)
    torch.kron(x, y, out=torch.zeros(1))|torch.kron(x, y, out=torch.zeros(9, 16, dtype=torch.int8))|torch.block_diag(x, y[0], x[0, 0])|torch.block_diag(x, torch.ones(1, 2))
    torch.block_diag(x[0, 0], torch.ones(2))|torch.block_diag(x[0, 0].double(), torch.ones(2, 1))|torch.block_diag(x[None])|torch.block_diag()|torch.block_diag([x])|torch.block_diag(x, 1.0)
    torch.block_diag(x[:0], x)|torch.diagflat(x[:2])|x[0].diagflat(-1)|torch.diagflat(x[0, 0], offset=2)|torch.diagflat(x[0, :0], 1)|torch.diagflat(x, 1.5)
    torch.cartesian_prod(x[0], y[0])|torch.cartesian_prod(x[0], y[0], x[1, :1])|torch.cartesian_prod(x[0])|torch.cartesian_prod(x)|torch.cartesian_prod()|torch.cartesian_prod([x[0]])
    torch.cartesian_prod(x[0], y[0, :0])|torch.cartesian_prod(x[0, 0])|torch.cartesian_prod(x[0], torch.tensor([1], dtype=torch.int16))
    torch.combinations(x[0])|torch.combinations(x[0], 3)|torch.combinations(x[0], 2, True)|torch.combinations(x[0], r=0)|torch.combinations(x[0], 9)|torch.combinations(x[0], -1)
    torch.combinations(x)|torch.combinations(x[0, :0])|torch.combinations(x[0, :1], 1)|torch.combinations(x[0], 1.5)|torch.combinations(x[0, :0], 2, True)|torch.combinations(x[0, 0])
    torch.rot90(x)|x.rot90(-1)|torch.rot90(x, 2)|torch.rot90(x, 4)|torch.rot90(x[None], 1, (2, 0))|torch.rot90(x, 1, [-1, 0])|torch.rot90(x[0])|torch.rot90(x, 1, (0, 0))
    torch.rot90(x, 1, (1, -1))|torch.rot90(x, 1, (0, 4))|torch.rot90(x, 0, (0, 4))|torch.rot90(x, 1, (0, 1, 2))|torch.rot90(x, 1, 0)|torch.rot90(x, 0.5)
    torch.is_nonzero(x[0, 0])|x[0, :1].is_nonzero()|torch.is_nonzero(x)|torch.is_nonzero(x[:0])|torch.is_nonzero(1)|torch.is_same_size(x, y)|x.is_same_size(y[0])|torch.is_same_size(x, 2)
    torch.get_device(x)|torch.get_device(1)|torch.is_inference(x)|torch.is_inference(1)|x.const_data_ptr() == x.data_ptr()"""
CALLS = [e.strip() for line in CALLS.splitlines() for e in line.split("|")]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ALL)
def test_values_dtypes_and_refusals(dtype):
    for call in CALLS:
        check(call, dtype)


@pytest.mark.parity
def test_gradients():
    x, y = np.arange(6.0).reshape(2, 3), np.ones((2, 2))
    check_gradients("torch.block_diag(x, y)", x=x, y=y)
    check_gradients("torch.diagflat(x, 1)", x=x)
    check_gradients("torch.kron(x, y) * 1", x=x, y=y)
    check_gradients("torch.cartesian_prod(x[0], y[0])", x=x, y=y)


def test_combinations_are_those_of_itertools():
    x = torch.tensor([4, 7, 1, 9])
    for r in range(1, 6):
        for repeated in (False, True):
            listed = itertools.combinations_with_replacement if repeated else itertools.combinations
            want = [list(c) for c in listed(x.tolist(), r)]
            assert torch.combinations(x, r, repeated).tolist() == want


def test_results_have_memory_of_their_own():
    x = torch.zeros(2, 3)
    for found in (torch.rot90(x, 0), torch.rot90(x), torch.diff(x, 0), torch.diagflat(x)):
        found.fill_(1)
    assert not x.any()


@pytest.mark.parity
def test_dim_order():
    check("torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last).dim_order()", "int8")
    for tensor in ("torch.zeros(2, 3)", "torch.zeros(1, 3)", "torch.zeros(1, 3).t()", "torch.zeros(3, 2).t()", "torch.zeros(2, 1).expand(2, 3)", "torch.zeros(())",
                   "torch.zeros(0, 3).t()", "torch.zeros(2, 3, 4, 5).permute(3, 1, 0, 2)", "torch.zeros(1, 3, 1, 1)", "torch.zeros(3, 1, 1).expand(3, 4, 5)",
                   "torch.empty_strided((2, 2, 2), (4, 4, 1))"):  # fmt: skip
        for argument in (
            "",
            "True",
            "[]",
            "[torch.contiguous_format, torch.channels_last]",
            "[torch.channels_last]",
            "3",
            "[3]",
        ):
            check(f"{tensor}.dim_order({'ambiguity_check=' * bool(argument)}{argument})", "int8")
    check("torch.zeros(2, 3).dim_order(True)", "int8")


def test_inference_tensors():
    with torch.inference_mode():
        assert torch.is_inference(torch.ones(2))


@pytest.mark.parametrize("again", [False, True])
def test_pairs_are_not_listed_in_python(again, monkeypatch):
    subsets = itertools.combinations_with_replacement if again else itertools.combinations
    wanted = list(subsets(range(7), 2))
    monkeypatch.delattr(compose, "subsets")
    monkeypatch.delattr(compose, "combinations_with_replacement")
    found = torch.combinations(torch.arange(7), 2, with_replacement=again)
    assert [tuple(pair) for pair in found.tolist()] == wanted
    assert torch.combinations(torch.arange(0), 2, with_replacement=again).shape == (0, 2)
