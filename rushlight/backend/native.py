"""Large operations leave NumPy for the compiler's kernels, where those are faster.

Whether one does follows from its sizes, dtypes and layouts alone, never from what ran before, so a
program's numbers are the same in every run. ``LEAST`` says from how many elements on; the numbers
are measured (``python -m benchmarks.eager``).
"""

import os
from importlib.util import find_spec
from typing import Any

from numpy import ndarray

__all__ = ["LEAST", "compute", "matrices", "slope"]

#: From how many elements on a kernel takes less time than NumPy, by operation.
LEAST = {
    **dict.fromkeys(
        ("acosh", "asinh", "atanh", "elu", "erf", "gelu", "leaky_relu", "logsigmoid", "mish",
         "softplus"), 1 << 16,
    ),
    **dict.fromkeys(("hardshrink", "hardsigmoid", "hardswish", "sigmoid", "silu", "softshrink"),
                    1 << 17),
    **dict.fromkeys(("softmax", "log_softmax"), 1 << 16),
    "exp": 1 << 19,
}  # fmt: skip
#: The same for normalisation of the rows of matrices.
LEAST_MATRIX = 1 << 16

_eager: Any = None


def _kernels():
    """The module that has the kernels; None where there are none, or nobody wants them."""
    global _eager
    if os.environ.get("RUSHLIGHT_COMPILER", "native") != "native":
        return None
    if _eager is None:
        if find_spec("llvmlite") is None:
            _eager = False
        else:
            from rushlight.compiler import eager

            _eager = eager
    return _eager or None


def compute(op, inputs, params):
    """The result of ``op`` on raw ``inputs``, or None where NumPy should compute it."""
    if max([x.size for x in inputs if type(x) is ndarray], default=0) < op.least:
        return None
    kernels = _kernels()
    return None if kernels is None else kernels.compute(op, inputs, params)


def slope(op, name, rule):
    """The gradient rule ``rule`` of the input ``name``; as a kernel for large arrays."""
    least = op.least

    def large_or_small(g, *values):
        if type(g) is ndarray and g.size >= least:
            kernels = _kernels()
            found = None if kernels is None else kernels.slope(op, name, rule, (g, *values))
            if found is not None:
                return found
        return rule(g, *values)

    return large_or_small


def matrices(key, function, *values):
    """``function`` of tensors as a kernel on matrices, or None where NumPy should compute it.

    ``values`` are a matrix and others as large, columns (R, 1), rows (C,) or None; ``key`` tells
    functions apart. The results are a list.
    """
    if values[0].size < LEAST_MATRIX:
        return None
    kernels = _kernels()
    return None if kernels is None else kernels.matrices(key, function, values)
