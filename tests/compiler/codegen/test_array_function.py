"""Python functions of arrays as machine code: they compute what Python computes."""

import math
import operator

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import native
from rushlight.backend.half_sums import _columns, _rows
from rushlight.ops.index.scatter import _added, _written
from rushlight.ops.reduce.scan import _running_max, _running_min, _running_products, _running_sums
from rushlight.ops.reduce.sorted_rows import _largest, _smallest
from rushlight.tensor import from_array

needs_llvm = pytest.mark.skipif(not native.llvm_works(), reason="there is no LLVM")
_RNG = np.random.default_rng(0)
_I8, _F8 = np.dtype("i8"), np.dtype("f8")


def _both(function, given, results):
    """The results of the machine code, and of Python on the same flat arrays."""
    found = native.looped(function, given, results)
    assert found is not None
    flat = [x.reshape(-1) if isinstance(x, np.ndarray) else x for x in given]
    wanted = [np.zeros(shape, dtype) for shape, dtype in results]
    with np.errstate(all="ignore"):
        function(*flat, *[w.reshape(-1) for w in wanted])
    return found, wanted


def _check(function, given, results):
    for found, wanted in zip(*_both(function, given, results), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def _numbers(shape, dtype):
    """A few numbers, of which many are equal, and nan."""
    found = _RNG.integers(-3, 4, shape).astype(dtype)
    if dtype.kind == "f":
        found[_RNG.random(shape) < 0.1] = np.nan
    return found


@needs_llvm
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i4", "i1", "u1"])
@pytest.mark.parametrize("shape", [(1, 7, 1), (2, 5, 3), (1, 1, 1), (3, 40, 1), (1, 9, 40)])
def test_scans(dtype, shape):
    x = _numbers(shape, np.dtype(dtype))
    for loop in (_running_max, _running_min):
        _check(loop, (x, *shape), [(shape, x.dtype), (shape, _I8)])
    x = np.nan_to_num(x)  # Python's sums of the rows' bytes would overflow into other numbers
    if x.dtype.itemsize >= 4:
        first = 1.0 if x.dtype.kind == "f" else 1
        for loop in (_running_sums, _running_products):
            totals = (shape[2],), np.dtype(type(first))
            given = np.clip(x, -1, 1), first, *shape
            found, wanted = _both(loop, given, [(shape, x.dtype), totals])
            np.testing.assert_array_equal(found[0], wanted[0])


@needs_llvm
@pytest.mark.parametrize("loop", [_largest, _smallest])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i2"])
@pytest.mark.parametrize(("n", "k"), [(50, 1), (50, 7), (9, 9), (1, 1)])
def test_leading_elements(loop, dtype, n, k):
    x = _numbers((3, n), np.dtype(dtype))
    results = [((3, k), x.dtype), ((3, k), _I8)]
    _check(loop, (x, 3, n, k), results)
    index = native.looped(loop, (x, 3, n, k), results)[1]
    keys = x.astype("f8") if loop is _smallest else -np.where(np.isnan(x), np.inf, x)
    np.testing.assert_array_equal(index, np.argsort(keys, 1, kind="stable")[:, :k])


@needs_llvm
@pytest.mark.parametrize("loop", [_written, _added])
def test_scatters(loop):
    x, src = _RNG.standard_normal((2, 5, 3)), _RNG.standard_normal((2, 9, 3))
    index = _RNG.integers(0, 5, src.shape)
    _check(loop, (x, index, src, 2, 5, 9, 3), [(x.shape, _F8)])


def _everything(x, index, scale, n, out, whole, flags):
    total = 0.0
    for i in range(n - 1, -1, -1):
        value = x[i] * scale if index[i] % 3 == 1 else -x[i]
        if value < 0.0 or not index[i] < 3:
            value = abs(value)
        elif index[i] > 2 and value > 1.0:
            total += math.sqrt(value)
            continue
        out[i] = max(value, 0.5) + _twice(index, i, operator.add)
        whole[i] = (index[i] << 2 | 1) // 3 - min(index[i], 2)
        flags[i] = value > total
        total += float(index[i]) if index[i] >= 3 else 1.0
        if total > 1e6:
            break


def _twice(index, i, joined):
    found = joined(index[i], index[i])
    return found


@needs_llvm
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_statements_and_expressions(dtype):
    n = 200
    x = _RNG.standard_normal(n).astype(dtype)
    index = _RNG.integers(0, 5, n)
    shapes = [((n,), x.dtype), ((n,), _I8), ((n,), np.dtype(bool))]
    found, wanted = _both(_everything, (x, index, 3.0, n), shapes)
    at = wanted[1] + wanted[0].astype(int) != 0  # ``continue`` leaves an element as it was
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one[at], other[at], 1e-6)


@needs_llvm
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_exponentials(dtype):
    x = _RNG.standard_normal(100).astype(dtype)
    found, wanted = _both(_soft, (x, 100), [((100,), x.dtype)])
    rounded = np.finfo(dtype).eps  # of exp(x) + 1, which is near 1 for some x
    np.testing.assert_allclose(found[0], wanted[0], 1e-6, rounded)


def _soft(x, n, out):
    for i in range(n):
        out[i] = math.log(math.exp(x[i]) + 1.0)


def _lossy(x, n, out):
    for i in range(n):
        place = 0
        place = x[i]
        out[i] = place


def test_what_has_no_translation_is_left_to_numpy():
    x = np.ones(3)
    assert native.looped(_lossy, (x, 3), [((3,), _F8)]) is None


@needs_llvm
def test_operands_with_gaps_are_copied():
    x = np.arange(40.0).reshape(4, 10)[:, ::2]
    found, _ = native.looped(_running_sums, (x, 0.0, 1, 4, 5), [(x.shape, _F8), ((5,), _F8)])
    np.testing.assert_array_equal(found, x.cumsum(0))


@needs_llvm
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(1, 700, 1), (3, 129, 1), (2, 300, 7), (1, 64, 3)])
def test_sums_of_halves(dtype, shape):
    x = torch.randn(shape).to(getattr(torch, dtype))
    for loop, parts in ((_rows, 64), (_columns, 2 * shape[2])):
        if (loop is _rows) is not (shape[2] == 1):
            continue
        given = x._array, 1.0, *shape
        results = [((shape[0], shape[2]), x._array.dtype), ((parts,), np.dtype("f4"))]
        found = from_array(native.looped(loop, given, results)[0])
        torch.testing.assert_close(found, x.float().sum(1).to(x.dtype))
