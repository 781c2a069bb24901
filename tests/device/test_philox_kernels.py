"""Kernels that draw CUDA's random numbers, on OpenCL: the numbers of ``draw/philox.py``."""

import ml_dtypes
import numpy as np
import pytest

import rushlight as T
from rushlight.compiler.capture import tracked_memory
from rushlight.device_array import driver_of
from rushlight.draw import philox
from rushlight.locks import new_lock
from rushlight.ops.core import remote_calls
from rushlight.ops.random.sampling import drawn_
from rushlight.random import PhiloxGenerator
from rushlight.strides import fill

HALF, BFLOAT, SINGLE, DOUBLE = map(np.dtype, (np.float16, ml_dtypes.bfloat16, "f4", "f8"))
BYTE, INT, LONG, BOOL = map(np.dtype, ("u1", "i4", "i8", "?"))
DRAWS = [
    *[(name, numbers, dtype) for dtype in (SINGLE, DOUBLE) for name, numbers in (
        ("uniform", (-2.5, 7.3)), ("normal", (1.5, 0.3)), ("log_normal", (0.3, 0.7)),
        ("exponential", (1.7,)), ("cauchy", (1.0, 0.3)), ("geometric", (0.3,)),
        ("dropout", (0.3,)), ("bernoulli", (0.3,)), ("full_range", ()), ("integers", (-9, 99)),
    )],
    ("uniform", (0.0, 0.1), HALF), ("uniform", (), SINGLE), ("normal", (), BFLOAT),
    ("dropout", (1 - 1e-6,), HALF), ("full_range", (), BOOL), ("full_range", (), LONG),
    ("integers", (0, 7), BYTE), ("integers", (5, None), INT), ("geometric", (0.1,), LONG),
    ("integers", (-(2**40), 2**50), LONG), ("integers", (-(2**63), None), LONG),
    ("integers", (-(2**63), 2**63 - 1), LONG),
    ("four_by_four", (), SINGLE), ("one_by_one", (13,), SINGLE),
]  # fmt: skip


@pytest.fixture
def device(monkeypatch):
    """An OpenCL device whose generator is CUDA's."""
    if not T.opencl.is_available():
        pytest.skip("no OpenCL device")
    d = T.device("opencl", 0)
    if not driver_of(d).doubles:
        pytest.skip("no float64")
    own = PhiloxGenerator(d).manual_seed(0)
    for module in (remote_calls, tracked_memory):
        monkeypatch.setattr(module, "generator_of", lambda d: own)
    return d


@pytest.fixture
def generator(device):
    """Its generator."""
    return remote_calls.generator_of(device)


class Stream:
    """A generator at the same place, for the host."""

    def __init__(self, generator):
        self.seed, self.blocks = generator.initial_seed(), generator.blocks
        self.offset, self.lock = generator.get_offset(), new_lock()

    def initial_seed(self):
        return self.seed

    def take(self, count):
        self.offset += count
        return self.offset - count


def _on_host(stream, name, numbers, out):
    if name == "dropout":
        return philox.dropout_noise(stream, out, *numbers)
    return fill(out, getattr(philox, name)(stream, out.size, out.dtype, *numbers))


@pytest.mark.parametrize(("name", "numbers", "dtype"), DRAWS)
def test_kernels_make_the_numbers_of_the_host(device, generator, name, numbers, dtype):
    """With one step of all threads and with several, neighbours together, and in any layout."""
    generator.manual_seed(2**63 + 12345)
    generator.set_offset(2**34 - 8)  # the step's upper half changes
    moved = driver_of(device).moved
    for blocks, shape, order in ((16, (13,), None), (1, (26, 4, 13), (2, 0, 1))):
        generator.blocks = blocks
        stream = Stream(generator)
        out = np.empty(shape, dtype)
        if order is not None:
            out = np.empty([shape[i] for i in order], dtype).transpose(np.argsort(order))
        want = _on_host(stream, name, numbers, out)
        with device:
            found = drawn_(shape=shape, dtype=dtype, distribution=name, parameters=numbers,
                           generator=generator, order=order)  # fmt: skip
        assert driver_of(device).moved - moved <= 56 * 2  # the seed, the step and the parameters
        got, moved = found.cpu()._array, driver_of(device).moved
        assert got.strides == want.strides
        assert generator.get_offset() == stream.offset
        got, want = got.astype(np.float64), want.astype(np.float64)
        exact = name not in ("normal", "log_normal", "exponential", "cauchy")
        ulp = {8: 1e-13, 4: 3e-6, 2: 1e-2}.get(dtype.itemsize, 0)
        np.testing.assert_allclose(got, want, 0 if exact else ulp, 0 if exact else ulp)


def test_permutations(device):
    found = [T.randperm(n, device=device) for n in (1, 7, 100, 100)]
    for p in found:
        assert p.sort()[0].tolist() == [*range(len(p))]
    assert not T.equal(found[-1], found[-2])
    firsts = T.stack([T.randperm(3, device=device) for _ in range(60)]).cpu()
    assert firsts.unique(dim=0).shape == (6, 3)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("from=2.0 > to=1.0", lambda x: x.uniform_(2, 1)),
        ("std >= 0", lambda x: x.normal_(0, -1)),
        ("lambda > 0", lambda x: x.exponential_(0)),
        ("expects from < to", lambda x: x.random_(3, 3)),
        ("negative", lambda x: T.randperm(-1, device=x.device)),
        ("floating point", lambda x: x.long().cauchy_()),
    ],
)
def test_errors_are_those_of_the_host(device, message, call):
    with pytest.raises((RuntimeError, NotImplementedError), match=message):
        call(T.ones(3, device=device))
