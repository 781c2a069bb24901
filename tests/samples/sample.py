"""What a sample of an operation is: a call under any framework, and its inputs as NumPy arrays."""

import zlib

import numpy as np

__all__ = ["SAMPLES", "Sample", "bools", "floats", "ints", "sample"]

SAMPLES: dict = {}


class Sample:
    """``call(torch, *tensors)`` on inputs, and what is expected of it.

    Attributes:
        grad: It has gradients, checked against numeric ones in float64 and against PyTorch.
        second: So do these.
        trace: It runs inside ``torch.compile``.
        dtypes: Dtypes besides float32 in which its floating inputs are compared with PyTorch.
        tolerance: Relative and absolute, for float32.
        numeric: Its gradient is the derivative (padding rows, say, are left out on purpose).
    """

    def __init__(self, name, call, inputs, *, grad=True, second=True, trace=True,
                 dtypes=("float64",), tolerance=1e-5, draws=False, numeric=True):  # fmt: skip
        self.name, self.call, self.inputs = name, call, inputs
        self.grad = grad and any(a.dtype.kind in "fc" for a in inputs)
        self.numeric = self.grad and numeric and not draws
        self.second = self.numeric and second
        self.trace, self.dtypes, self.tolerance, self.draws = trace, dtypes, tolerance, draws


def sample(name, call, *inputs, **options):
    """Add a sample; its name is made unique by a number."""
    key, k = name, 1
    while key in SAMPLES:
        k += 1
        key = f"{name}-{k}"
    SAMPLES[key] = Sample(key, call, list(inputs), **options)


def _rng(*what):
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def floats(*shape, low=-2.0, high=2.0, t=False, seed=0, dtype=np.float32):
    """Distinct numbers between ``low`` and ``high``, in no order; ``t``: with its dims reversed in memory."""
    n = int(np.prod(shape))
    rng = _rng("floats", shape, low, high, seed)
    values = low + (high - low) * (rng.permutation(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1)
    a = values.reshape(shape[::-1]).T if t else values.reshape(shape)
    return np.asarray(a, dtype)


def ints(*shape, low=-5, high=6, seed=0, dtype=np.int64):
    """Integers from ``low`` up to ``high`` (excluded)."""
    return _rng("ints", shape, low, high, seed).integers(low, high, shape).astype(dtype)


def bools(*shape, seed=0):
    """Truth values."""
    return _rng("bools", shape, seed).random(shape) < 0.5
