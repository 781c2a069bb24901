"""Numbers that a dtype cannot hold: they are refused, or infinite, and never wrapped in silence."""

import pytest

import rushlight as torch

SMALL = torch.tensor([1, 2], dtype=torch.uint8)
HALF = torch.tensor([1.0, 2.0], dtype=torch.float16)
MASK = torch.tensor([True, False])


@pytest.mark.parametrize("call", [
    lambda: torch.where(MASK, SMALL, 300), lambda: torch.where(MASK, 300, SMALL),
    lambda: SMALL.clamp(300), lambda: SMALL.clone().clamp_(0, 300), lambda: SMALL.clamp_min(256),
    lambda: torch.add(SMALL, SMALL, alpha=torch.tensor(300)),
    lambda: torch.add(HALF, HALF, alpha=torch.tensor(1e300, dtype=torch.float64)),
    lambda: torch.addcmul(SMALL, SMALL, SMALL, value=torch.tensor(300)),
    lambda: torch.addmm(SMALL[None], SMALL[None], SMALL.expand(2, 2), beta=torch.tensor(300)),
])  # fmt: skip
def test_a_number_that_does_not_fit(call):
    with pytest.raises(RuntimeError, match="without overflow"):
        call()


@pytest.mark.parametrize("value", [300, -200, 1e9, 1j, float("nan"), float("inf")])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("fill", [
    lambda x, value: x.masked_fill(MASK, value),
    lambda x, value: x.index_fill(0, torch.tensor([0]), value),
])  # fmt: skip
def test_filling_with_a_tensor(fill, compiled, value):
    fill = torch.compile(fill) if compiled else fill
    bytes_ = torch.tensor([1, 2], dtype=torch.int8)
    assert fill(bytes_, torch.tensor(5.7)).tolist() == [5, 2]
    with pytest.raises(RuntimeError, match=r"without overflow|complex Scalar to non-complex"):
        fill(bytes_, torch.tensor(value))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("value, want", [(-1, 255), (-255, 1), (255, 255), (5.9, 5), (True, 1)])
def test_negative_ints_wrap_in_unsigned_dtypes(compiled, value, want):
    fill = torch.compile(torch.masked_fill) if compiled else torch.masked_fill
    assert fill(SMALL, MASK, torch.tensor(value)).tolist() == [want, 2]
    for outside in (-256, -0.5 - 1, 256):
        with pytest.raises(RuntimeError, match="without overflow"):
            fill(SMALL, MASK, torch.tensor(outside))


@pytest.mark.parametrize("compiled", [False, True])
def test_filling_halves_with_a_tensor(compiled):
    fill = torch.compile(torch.masked_fill) if compiled else torch.masked_fill
    assert fill(HALF, MASK, torch.tensor(float("-inf"))).tolist() == [float("-inf"), 2]
    with pytest.raises(RuntimeError, match="without overflow"):
        fill(HALF, MASK, torch.tensor(70000))


@pytest.mark.parametrize("index", [0, slice(1), MASK, torch.tensor([0])])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_large_number_assigned_to_halves_is_infinite(index, dtype):
    x = torch.ones(2, dtype=dtype)
    x[index] = -1e39
    assert x.tolist() == [float("-inf"), 1]
    with pytest.raises(RuntimeError, match="without overflow"):
        x.fill_(-1e39)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("make", [
    lambda value, dtype: torch.full((), value, dtype=dtype).expand(2),
    lambda value, dtype: torch.scalar_tensor(value, dtype=dtype).expand(2),
])  # fmt: skip
def test_halves_that_are_made_of_a_large_number_are_infinite(make, compiled):
    make = torch.compile(make) if compiled else make
    assert make(-1e9, torch.float16).tolist() == [float("-inf")] * 2
    assert make(1e39, torch.bfloat16).tolist() == [float("inf")] * 2
    assert make(1e9, torch.float8_e4m3fn).float().tolist() == [448.0] * 2
    with pytest.raises(RuntimeError, match="without overflow"):
        make(1e39, torch.float32)
