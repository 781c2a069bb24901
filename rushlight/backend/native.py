"""Run large eager operations as compiled kernels if a kernel is faster than NumPy.

The choice depends only on the sizes, dtypes and layouts of the operands, never on earlier calls,
so a program gives the same numbers in every run. The option ``least`` of an operation states from
how many elements on a kernel is faster. These limits are measured
(``python -m benchmarks.large``). Elementwise operations have kernels from ``LEAST_ELEMENTS`` on,
unless NumPy has one fast loop for them.
"""

import functools
import importlib
import os
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import late
from rushlight.backend.rows import repeats_row, with_row
from rushlight.backend.sizes import large_from
from rushlight.dtype import bfloat16, float16
from rushlight.threads import get_num_threads

__all__ = [
    "LEAST_ELEMENTS", "LEAST_LOOP", "MANY", "cast", "cast_into", "compiles", "compute", "drawn",
    "either", "grid", "llvm_works", "looped", "matrices", "of_halves", "recurrent", "replayed",
    "sampled", "sampler", "slope", "by_ufunc", "tapped", "turned", "update",
]  # fmt: skip

#: The option ``least`` of elementwise operations that state none.
LEAST_ELEMENTS = 1 << 16

#: The numbers of elements from which on ``by_ufunc`` is used, and from which on it uses kernels.
MANY, SHARED = large_from(1 << 12), large_from(1 << 18)
_SHARED = np.add, np.subtract, np.multiply
_FLOATS = np.dtype("f4"), np.dtype("f8")

#: The smallest number of random words that ``drawn`` makes. If the kernels are not loaded yet, it
#: loads them after as many words as NumPy makes in twice the time that loading takes.
LEAST_DRAWS, LOADING_DRAWS = large_from(1 << 7), large_from(1 << 25)
_draws_so_far = 0

#: The smallest number of elements for which ``matrices`` and ``update`` use a kernel. ``update``
#: counts the elements of parameters, gradients and optimizer state together.
LEAST_MATRIX, LEAST_UPDATE = large_from(1 << 13), large_from(1 << 19)

#: The smallest number of elements that ``tapped`` takes from images.
LEAST_TAPS = large_from(1 << 13)
# A product with few columns has a kernel if its first matrix has at least this many elements.
LEAST_NARROW = large_from(1 << 19)
#: The largest product of a step, in multiplications, for which ``recurrent`` is used.
MOST_RECURRENT = 1 << 24
#: From about so many steps on, a loop is faster as machine code than several calls of NumPy.
LEAST_LOOP = large_from(1 << 10)
#: The smallest number of elements that ``flipped`` copies.
LEAST_FLIP = large_from(1 << 13)
#: The smallest number of rows and of columns that ``turned`` copies.
_SQUARE = 16

#: The smallest number of elements that ``cast`` converts by a kernel, and the pairs of dtypes.
LEAST_CAST = large_from(1 << 13)
_SINGLE = np.dtype("f4")
_HALVES = (bfloat16.numpy, float16.numpy)
_CASTS = {pair for d in _HALVES for pair in ((_SINGLE, d), (d, _SINGLE))}

#: "native", or "numpy" for no kernels: what ``RUSHLIGHT_COMPILER`` was at the import. Each look at
#: ``os.environ`` would take a microsecond.
COMPILER = os.environ.get("RUSHLIGHT_COMPILER", "native")
_eager: Any = None


@functools.cache
def llvm_works():
    """Whether llvmlite is installed and finds its library."""
    try:
        importlib.import_module("llvmlite.binding")
    except (ImportError, OSError):
        return False
    return True


def _kernels():
    """The module with the kernels; None without LLVM, or if ``RUSHLIGHT_COMPILER`` forbids them."""
    global _eager
    if COMPILER != "native":
        return None
    if _eager is None:
        _eager = late.eager_kernels() if llvm_works() else False
    return _eager or None


def is_loaded():
    """Whether the kernels are loaded."""
    return bool(_eager)


def compiles():
    """Whether machine code may be compiled; see ``_kernels``."""
    return _kernels() is not None


def compute(op, inputs, params, outs=None):
    """The result of ``op`` on raw ``inputs``, or None if NumPy should compute the result.

    ``outs``: a list of the array to write the result to, which may be an input.
    """
    least = op.least
    for x in inputs:
        if type(x) is ndarray:
            if x.size >= least:
                kernels = _kernels()
                return None if kernels is None else kernels.compute(op, inputs, params, outs)
        elif hasattr(x, "noted") and x.size >= least:  # a call that will be replayed
            kernels = None if outs else _kernels()
            return kernels and kernels.noted(kernels.compute, (op,), inputs, params)
    return None


def either(op):
    """The forward of ``op``, which has two operands: a kernel on large arrays, NumPy on others."""
    forward, least = op.forward, op.least
    if least is None:
        return forward

    def large_or_small(xp, x, y):
        if x.size >= least or y.size >= least:
            found = compute(op, (x, y), {})
            if found is not None:
                return found
        return forward(xp, x, y)

    return large_or_small


def by_ufunc(op, ufunc, x, y):
    """The result of an operation that is one ufunc of NumPy; x has many elements.

    The results are those of ``ufunc`` itself. If x is very large, threads share sums and products.
    One thread computes no faster than NumPy does, unless y is a short row.
    """
    found = None
    shared = x.size >= SHARED and ufunc in _SHARED and x.dtype in _FLOATS
    if shared and get_num_threads() > 1:
        kernels = _kernels()
        found = kernels and kernels.compute(op, (x, y), {})
    if found is None and repeats_row(x, y):
        found = with_row(ufunc, x, y)
    return ufunc(x, y) if found is None else found


def slope(op, name, rule):
    """A gradient rule that runs as a kernel on large arrays, and as ``rule`` on small ones.

    ``rule`` is the gradient rule of ``op`` for the input ``name``.
    """
    least = op.least

    def of_kernel(g, *values):
        sizes = [g.size] if g.ndim else [getattr(v, "size", 0) for v in values]
        if max(sizes) < least or (kernels := _kernels()) is None:
            return None
        if type(g) is not ndarray:  # a call that will be replayed
            return kernels.noted(kernels.slope, (op, name, rule), (g, *values))
        return kernels.slope(op, name, rule, (g, *values))

    def large_or_small(g, *values):
        if (type(g) is ndarray or hasattr(g, "noted")) and (g.size >= least or not g.ndim):
            found = of_kernel(g, *values)
            if found is not None:
                return found
        return rule(g, *values)

    def large_or_small_of_one(g, value):  # to unpack ``*values`` would take longer than the rest
        if (type(g) is ndarray or hasattr(g, "noted")) and (g.size >= least or not g.ndim):
            found = of_kernel(g, value)
            if found is not None:
                return found
        return rule(g, value)

    return large_or_small_of_one if rule.__code__.co_argcount == 2 else large_or_small


def matrices(key, function, *values, outs=None, least=None):
    """Run ``function``, written for tensors, as a kernel on the arrays ``values``.

    The kernel serves any number of rows. An array has rows (its first dim) if it has as many dims
    as the first array of ``values``; other arrays have none. A None in ``values`` is passed on.
    ``key`` identifies the function among the stored kernels. ``outs`` are the results' arrays, if
    the caller has them. ``least`` replaces the limit ``LEAST_MATRIX``.

    Returns:
        The list of results, or None if NumPy should compute them.
    """
    if values[0].size < (LEAST_MATRIX if least is None else least):
        return None
    kernels = _kernels()
    if kernels is None:
        return None
    for x in values:
        if type(x) is not ndarray and hasattr(x, "noted"):  # a call that will be replayed
            first = key, function
            return None if outs else kernels.noted(kernels.matrices, first, values)
    return kernels.matrices(key, function, values, outs)


def product(a, b):
    """a (M, K) times b (K, N), if ``a`` is large and has a few vectors of columns; None: use BLAS.

    BLAS copies ``a`` to read it faster, which so few columns do not repay.
    """
    columns = b.shape[1]
    if (
        columns not in range(16, 65, 16)
        or a.size < LEAST_NARROW
        or not (a.dtype == b.dtype == _SINGLE)
    ):
        return None
    kernels = _kernels()
    return None if kernels is None else kernels.product(a, b)


def of_halves(op, inputs, params):
    """The result of the elementwise ``op`` on arrays of one half dtype and shape, or None.

    The arrays have at least ``LEAST_CAST`` elements. A number would become a constant of its
    kernel, so NumPy computes operations with numbers.
    """
    x = inputs[0]
    if x.dtype not in _HALVES:
        return None
    for y in inputs:
        if type(y) is not ndarray or y.dtype != x.dtype or y.shape != x.shape:
            return None
    kernels = _kernels()
    return None if kernels is None else kernels.compute(op, inputs, params)


def cast(x, dtype):
    """``x.astype(dtype)`` for an array in C order.

    NumPy converts half precision number by number, so a kernel converts large arrays.
    """
    if x.size >= LEAST_CAST and type(x) is ndarray and (x.dtype, dtype) in _CASTS:
        found = np.empty(x.shape, dtype)
        cast_into(found, x)
        return found
    return x.astype(dtype)


def cast_into(out, x):
    """``np.copyto(out, x, casting="unsafe")``, by the kernel of ``cast`` if there is one."""
    known = x.size >= LEAST_CAST and type(x) is ndarray and (x.dtype, out.dtype) in _CASTS
    kernels = _kernels() if known and x.shape == out.shape else None
    if kernels is None or not kernels.cast(out, x):
        np.copyto(out, x, casting="unsafe")


def grid(work, size, options, values, points, *more):
    """The result of a kernel of ``compiler/run/grid_kernels.py`` on arrays, or None for NumPy.

    ``values`` are (N, C, …), ``points`` (N, P, dims).
    """
    if hasattr(values, "noted"):  # a call that will be replayed
        known = work == "sampled" and (kernels := _kernels()) is not None
        return kernels.noted_grid(size, options, values, points) if known else None
    taps = values.shape[1] * points.shape[0] * points.shape[1] << len(size)
    if taps < LEAST_TAPS or (kernels := _kernels()) is None:
        return None
    return kernels.grid(work, size, options, values, points, *more)


def drawn(engine, count, dtype, low=0.0, high=1.0):
    """``count`` numbers of NumPy's ``engine`` by a kernel; None: NumPy makes them.

    They are uint32 words, or float32 numbers of [low, high). The kernels make the same numbers as
    NumPy, only faster, so it may depend on earlier calls whether there are any.
    """
    global _draws_so_far
    if count < LEAST_DRAWS:
        return None
    if not is_loaded():
        _draws_so_far += count
        if _draws_so_far < LOADING_DRAWS:
            return None
    if (kernels := _kernels()) is None:
        return None
    out = np.empty(count, dtype)
    return out if kernels.drawn(engine.ctypes.state_address, out, low, high) else None


def tapped(work, images, points, weight, index):
    """Fill one of the arrays by a kernel of ``compiler/run/tap_kernels.py``, and tell whether."""
    if images.shape[1] * index.size < LEAST_TAPS or images.dtype.char not in "fd":
        return False
    last = [a.shape[-1] == 1 or a.strides[-1] == a.itemsize for a in (weight, index)]
    lie = images.flags.c_contiguous and points.flags.c_contiguous and all(last)
    same = images.dtype == points.dtype == weight.dtype and index.dtype == np.int64
    if not (lie and same) or (kernels := _kernels()) is None:
        return False
    kernels.tapped(work, images, points, weight, index)
    return True


def flipped(rows):
    """A copy of ``rows``, which run backwards in memory, by a kernel; None: NumPy copies them.

    ``rows`` is an array of at most 3 dims whose last dim has the stride -itemsize.
    """
    plain = rows.dtype.itemsize in (1, 2, 4, 8) and rows.ndim <= 3
    if not plain or rows.size < LEAST_FLIP or (kernels := _kernels()) is None:
        return None
    out = np.empty(rows.shape, rows.dtype)
    form, shape = f"u{rows.dtype.itemsize}", (*(1,) * (3 - rows.ndim), *rows.shape)
    kernels.flipped(rows.view(form).reshape(shape), out)
    return out


def short_flipped(x, within):
    """A copy of the contiguous array ``x`` (matrices, rows, width), with short rows, or None.

    With ``within``, the elements of each row are in reversed order, else each matrix's rows are.
    """
    size = x.dtype.itemsize
    if size not in (1, 2, 4, 8) or x.size < LEAST_FLIP or (kernels := _kernels()) is None:
        return None
    out = np.empty(x.shape, x.dtype)
    kernels.short_flipped(x.view(f"u{size}"), out.view(f"u{size}"), within)
    return out


def turned(out, x):
    """Copy the large array ``x`` to ``out`` by a kernel, and tell whether it did.

    ``out`` is in C order and has the shape and the dtype of ``x``. Some dim of ``x`` must have the
    stride ``itemsize``, or its opposite, with no dim behind it but one that can be taken as one.
    """
    size = x.itemsize
    if size not in (4, 8) or not x.size or (kernels := _kernels()) is None:
        return False
    sizes: list[int] = []
    steps: list[int] = []
    for n, step in zip(x.shape, x.strides, strict=True):
        if n == 1:
            continue
        if sizes and steps[-1] == n * step:
            sizes[-1], steps[-1] = sizes[-1] * n, step
        else:
            sizes.append(n)
            steps.append(step)
    if not 2 <= len(sizes) <= 3 or abs(steps[-2]) != size or min(sizes[-2:]) < _SQUARE:
        return False
    shape, form = (*(1,) * (3 - len(sizes)), *sizes), f"u{size}"
    kernels.turned(x.view(form).reshape(shape), out.view(form).reshape(shape))
    return True


def recurrent(name, sizes, reverse, arrays):
    """Take the steps of a small recurrent layer by a kernel, and tell whether it did.

    ``arrays`` are those of the pass ``name`` in ``compiler/run/recurrent_kernels.py``; the kernel
    writes its results to some of them. ``sizes`` are the numbers of sequences in the steps.
    """
    first = next(iter(arrays.values()))
    width = max([a.shape[-1] for a in arrays.values() if a.ndim])
    if sizes[0] * width * width > MOST_RECURRENT or sizes[-1] < sizes[0] or not first.size:
        return False
    is_noted = any(hasattr(a, "noted") for a in arrays.values())  # a call that will be replayed
    for a in arrays.values():
        if (
            not (is_noted or type(a) is ndarray)
            or a.dtype != first.dtype
            or a.dtype.char not in "fd"
        ):
            return False
    kernels = _kernels()
    if kernels is None:
        return False
    if is_noted:
        return kernels.noted_recurrent(name, len(sizes), reverse, arrays)
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    return kernels.recurrent(name, len(sizes), reverse, arrays)


def looped(function, given, results):
    """The results of a Python loop over arrays, run as machine code; None: use NumPy.

    The call of a loop takes 5 µs, so callers ask from about ``LEAST_LOOP`` steps on.

    Args:
        function: Takes ``given`` and then an array for each result, and fills these arrays;
            ``compiler/codegen/array_function.py`` says what it may be made of.
        given: Arrays, which the function reads as flat arrays in C order, ints and floats. No
            number may depend on elements of arrays.
        results: (shape, dtype) of each result, or a contiguous array, which the function changes.
    """
    kernels = _kernels()
    return None if kernels is None else kernels.looped(function, given, results)


def update(rule, p, g, buffers, scalars, group):
    """Run the step of an optimizer on flat arrays as a kernel; the arrays are changed in place.

    Returns False if NumPy should take the step.
    """
    if p.size * (2 + len(buffers)) < LEAST_UPDATE:
        return False
    kernels = _kernels()
    if kernels is None:
        return False
    n = 2 + len(buffers)
    # The key has no values of options, because a rule only tests whether an option is zero or not.
    options = [(k, type(v), bool(v)) for k, v in group.items() if isinstance(v, (int, float))]

    def function(*given):
        changed = [given[0], *given[2:n]]
        rule(late.framework, given[0], given[1], changed[1:], given[n:], group)
        return tuple(changed)

    key = (rule.__qualname__, n, tuple(options))
    return kernels.update(key, function, [p, g, *buffers], scalars)


def replayed(replays, waits):
    """A builtin function that replays calls of a function; see ``compiler/replay/calls.py``."""
    if COMPILER != "native" or not llvm_works():
        return None
    return late.replayed(replays, waits)


def sampled(function, stream, engine, state, columns):
    """Draw a number for each row of ``columns`` by machine code; see ``draw/singles.py``.

    ``state`` has the values of the slots of the class ``stream``, and a free element. Returns None
    if Python should draw the numbers.
    """
    kernels = _kernels()
    return None if kernels is None else kernels.sampled(function, stream, engine, state, columns)


def sampler(function, stream, engine, columns):
    """The compiled ``function`` of ``sampled``, for a call that will be replayed, or None."""
    kernels = _kernels()
    return None if kernels is None else kernels.sampler(function, stream, engine, columns)


late.drawn, late.sampled, late.looped = drawn, sampled, looped
late.cast, late.cast_into, late.turned = cast, cast_into, turned
