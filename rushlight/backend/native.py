"""Large operations leave NumPy for the compiler's kernels, where those are faster.

Whether one does follows from its sizes, dtypes and layouts alone, never from what ran before, so a
program's numbers are the same in every run. An operation says by ``least`` from how many elements
on a kernel takes less time than NumPy; the numbers are measured (``python -m benchmarks.large``).
"""

import functools
import importlib
import os
from typing import Any

from numpy import ndarray

from rushlight import late
from rushlight.backend.sizes import large_from

__all__ = ["compute", "llvm_works", "matrices", "slope", "update"]

#: As many for normalisation, and for the step of an optimizer, its state included.
LEAST_MATRIX, LEAST_UPDATE = large_from(1 << 16), large_from(1 << 19)

_eager: Any = None


@functools.cache
def llvm_works():
    """Whether llvmlite is there and finds its library."""
    try:
        importlib.import_module("llvmlite.binding")
    except (ImportError, OSError):
        return False
    return True


def _kernels():
    """The module that has the kernels; None where there are none, or nobody wants them."""
    global _eager
    if os.environ.get("RUSHLIGHT_COMPILER", "native") != "native":
        return None
    if _eager is None:
        _eager = late.eager_kernels() if llvm_works() else False
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
    """``function`` of tensors as a kernel on arrays, or None where NumPy should compute it.

    The kernel is for any length of the first dim, which those of ``values`` have that have as many
    dims as the first of them; None among them stays None. ``key`` tells functions apart. The
    results are a list.
    """
    if values[0].size < LEAST_MATRIX:
        return None
    kernels = _kernels()
    return None if kernels is None else kernels.matrices(key, function, values)


def update(rule, p, g, buffers, scalars, group):
    """The step of an optimizer on flat arrays, as a kernel; False where NumPy should take it."""
    if p.size * (2 + len(buffers)) < LEAST_UPDATE:
        return False
    kernels = _kernels()
    if kernels is None:
        return False
    n = 2 + len(buffers)
    # What a rule asks of its options is whether they are there.
    options = [(k, type(v), bool(v)) for k, v in group.items() if isinstance(v, (int, float))]

    def function(*given):
        changed = [given[0], *given[2:n]]
        rule(late.framework, given[0], given[1], changed[1:], given[n:], group)
        return tuple(changed)

    key = (rule.__qualname__, n, tuple(options))
    return kernels.update(key, function, [p, g, *buffers], scalars)
