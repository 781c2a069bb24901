"""Indices, ranges and uninitialised tensors: values, dtypes, strides and errors."""

import pytest

import rushlight as torch
from tests.ops.parity import ALL, check

CALLS = """torch.{0}(3, 4)|torch.{0}(3, 3, 1)|torch.{0}(4, 2, -2)|torch.{0}(2, 2, 9)|torch.{0}(2, 2, -9)|torch.{0}(0, 0)|torch.{0}(-1, 2)|torch.{0}(2, -1)
    torch.{0}(2, 2, dtype=torch.int32)|torch.{0}(2, 2, dtype=torch.int16)|torch.{0}(2, 2, dtype=torch.float32)|torch.{0}(row=2, col=2, offset=1, device="cpu")
    torch.{0}(2)|torch.{0}(2, 2.5)|torch.{0}(2, 2, requires_grad=True)|torch.{0}(2, 2, out=torch.zeros(1))"""
RANGES = """torch.range(1, 4)|torch.range(1, 4, 0.5)|torch.range(4, 1, -1)|torch.range(2, 2)|torch.range(0, 1, 0.1)|torch.range(4)|torch.range(1, 4, 0)|torch.range(1, 4, -1)
    torch.range(1, float("inf"))|torch.range(0, float("nan"))|torch.range(1, 3, out=torch.zeros(1, dtype=torch.int64))|torch.range(1, 3, dtype=torch.int64, out=torch.zeros(1))
    torch.range(0, 1, requires_grad=True)|torch.range(torch.tensor(0), torch.tensor(2))|torch.range(start=0, end=2, step=1)|torch.range(end=2)|torch.range(1j, 3)
    torch.scalar_tensor(3)|torch.scalar_tensor(True)|torch.scalar_tensor(1j)|torch.scalar_tensor(2.7, dtype=torch.int64)|torch.scalar_tensor(300, dtype=torch.uint8)
    torch.scalar_tensor(-1, dtype=torch.uint8)|torch.scalar_tensor("a")|torch.scalar_tensor(torch.tensor(3))|torch.scalar_tensor(torch.tensor([3.0]))|torch.scalar_tensor(s=2, requires_grad=True)
    torch.empty_permuted((2, 3, 4), (2, 0, 1)).stride()|torch.empty_permuted((2, 0, 3), (1, 0, 2)).stride()|torch.empty_permuted((), ()).stride()
    torch.empty_permuted((2, 3), (-1, 0))|torch.empty_permuted((2, 3), (0, 0))|torch.empty_permuted((2, 3), (0,))|torch.empty_permuted((2, 3), (0, 2))|torch.empty_permuted((-2,), (0,))
    torch.empty_permuted((2,), (0,), dtype=torch.int32).dtype == torch.int32|torch.empty_permuted((2,), (0,), out=torch.zeros(2))"""
GIVEN = """x.new_empty_strided((2, 3), (1, 2)).stride()|x.new_empty_strided((2, 3), (1, 2)).fill_(1)|x.new_empty_strided((2, 3), (1,))|x.new_empty_strided(size=(2,), stride=(1,), dtype=torch.int8).fill_(1)
    torch.unravel_index(x, (3, 4))|torch.unravel_index(x.t(), [2, 1, 5])|torch.unravel_index(x[0, 0], 7)|torch.unravel_index(x, ())|torch.unravel_index(x, torch.Size((2, 3)))|torch.unravel_index(x, (2, -1))
    torch.unravel_index(x, (2, 1.5))|torch.unravel_index(x, "a")|torch.unravel_index(x, 1.5)|torch.unravel_index(x[:0], (2, 3))|torch.unravel_index(5, (2, 3))
    torch.nonzero_static(x, size=4)|x.nonzero_static(size=20, fill_value=7)|torch.nonzero_static(x, size=0)|torch.nonzero_static(x, size=-1)|torch.nonzero_static(x[0, 0], size=2)|x.nonzero_static(3)
    torch.nonzero_static(x, size=2, fill_value=0.5)|torch.nonzero_static(x, size=2, out=torch.zeros(2, 2))|torch.nonzero_static(x, size=2, out=torch.zeros(1, dtype=torch.int64))|torch.nonzero_static(x)"""


def listed(text):
    return [e.strip() for line in text.splitlines() for e in line.split("|")]


@pytest.mark.parity
@pytest.mark.parametrize("name", ["tril_indices", "triu_indices"])
def test_triangles(name):
    for call in listed(CALLS):
        check(call.replace("{0}", name), "int64")


@pytest.mark.parity
def test_ranges_and_the_like():
    for call in listed(RANGES):
        check(call, "int64")
    for dtype in ALL:
        check(f"torch.range(1, 4, dtype=torch.{dtype})", "int64")


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ALL)
def test_of_tensors(dtype):
    for call in listed(GIVEN):
        check(call, dtype)


def test_range_is_deprecated_and_includes_its_end():
    with pytest.warns(UserWarning, match="deprecated"):
        assert torch.range(1, 3).tolist() == [1, 2, 3]


def test_triangles_index_matrices():
    x = torch.arange(12).reshape(3, 4)
    rows, columns = torch.tril_indices(3, 4, -1)
    assert x[rows, columns].tolist() == [4, 8, 9]
    assert x[tuple(torch.triu_indices(3, 4, 1))].tolist() == [1, 2, 3, 6, 7, 11]


def test_a_size_of_zero_has_no_flat_positions():
    with pytest.raises(RuntimeError):
        torch.unravel_index(torch.tensor(0), (2, 0))
