"""Evenly spaced numbers and the identity: arange, linspace, logspace, eye."""

import math

import numpy as np

import rushlight.dtype as dtypes
from rushlight import shapes
from rushlight.autograd import mode
from rushlight.errors import ShapeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import source
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.ops.create.filled import dtype_of, finished, options
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.storage import settled
from rushlight.tensor import Tensor, from_array


def number(value, name, what):
    """Return a Python number from a number or a tensor of one element."""
    if isinstance(value, Tensor):
        value = value.item()
    if scalar_dtype(value) is None or (isinstance(value, bool) and what == "steps"):
        raise TypeError(f"{name}(): argument '{what}' must be Number, not {type(value).__name__}")
    return value


@source(public=False, name="arange_", primitive="constant",
        shape=lambda size, dtype, **_: ((size,), dtype))  # fmt: skip
def arange_(xp, *, start, step, size, dtype):
    """Return ``size`` numbers from ``start`` on, ``step`` apart."""
    if dtype.kind in "iu" or (isinstance(start, int) and isinstance(step, int)):
        return (int(start) + int(step) * xp.arange(size)).astype(dtype)
    found = start + step * xp.arange(size, dtype=xp.float64)
    if dtype.itemsize == 2:
        found = found.astype(xp.float32)  # rounded twice, as in PyTorch
    return found.astype(dtype)


_OPTIONS = "out?=, dtype?=, layout?=, device?=, requires_grad?=, pin_memory?="


_WIDE, _FEW = (dtypes.float32, dtypes.float64), 1 << 24


@function(method=False)
@takes(f"end: Number, *, {_OPTIONS}", f"start: Number, end: Number, step: Number=, *, {_OPTIONS}")
def arange(
    start=0, end=None, step=1, *, out=None, dtype=None, layout=None, device=None,
    requires_grad=False, pin_memory=False,
):  # fmt: skip
    """Return the numbers from ``start`` to before ``end``, ``step`` apart.

    The forms are ``arange(end)`` and ``arange(start, end, step)``.

    Args:
        start: The first number. Default: 0.
        end: The limit, which the result does not contain.
        step: Number by which each element exceeds the one before; it may be negative. Default: 1.
        dtype: The dtype of the result. Default: ``out``'s, else int64 if all numbers are integers,
            else ``torch.get_default_dtype()``.

    Returns:
        Tensor of shape (n,), where n is ``(end - start) / step``, rounded up.

    Raises:
        RuntimeError: ``step`` is 0 or has the wrong sign, or a number is not finite.

    >>> import rushlight as torch
    >>> torch.arange(3), torch.arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))
    """
    if end is None:
        start, end = 0, start
    whole = type(start) is type(end) is type(step) is int and step and (end - start) * step >= 0
    usual = out is layout is device is None and not requires_grad and not mode.intercept
    if whole and usual and (dtype is None or (dtype in _WIDE and abs(end - start) < _FEW)):
        found = np.arange(start, end, step)
        return from_array(settled(found if dtype is None else found.astype(dtype.numpy)))
    bounds = [number(v, "arange", n) for v, n in ((start, "start"), (end, "end"), (step, "step"))]
    start, end, step = bounds
    if dtype is None and out is None:
        kinds = [scalar_dtype(v) for v in bounds]
        dtype = dtypes.int64 if all(k.category < 2 for k in kinds) else None
    dtype = dtype_of(out, "arange") if dtype is None else dtype
    d = options(dtype, layout, device, "arange")
    if d.is_complex or d is dtypes.bool or d in dtypes.FLOAT8:
        raise UnsupportedDtypeError(f"arange: not implemented for {d}")
    if step == 0 or (d.category < 2 and not int(step)):
        raise (ValueError if step and d.category < 2 else RuntimeError)(
            f"arange: step must be nonzero, not {step} in {d}"
        )
    if not all(map(math.isfinite, bounds)):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"arange: upper bound and lower bound inconsistent with step sign: from {start} to "
            f"{end} by {step}"
        )
    if d is dtypes.int64:
        start, end, step = int(start), int(end), int(step)
    size = math.ceil((end - start) / step)
    if d.category < 2:  # for narrow integers, PyTorch counts the size before it cuts fractions
        start, step = int(start), int(step)
    if size >= 2**48:
        raise RuntimeError(f"arange: {size} elements do not fit into memory")
    made = arange_(start=start, step=step, size=size, dtype=d.numpy)
    return finished(in_shape(made, out), requires_grad, out, "arange", silent=False)


def in_shape(made, out):
    """The numbers ``made`` in the shape of ``out``, if that has as many elements, as in PyTorch."""
    same = isinstance(out, Tensor) and out.ndim != 1 and out.numel() == made.numel()
    return made.reshape(out.shape) if same else made


def _fused(x, y, z):
    """Return x·y + z, rounded once. Source: Dekker 1971, exact products and sums."""
    head = lambda v: v * (2.0**27 + 1) - (v * (2.0**27 + 1) - v)
    product, x_head, y_head = x * y, head(x), head(y)
    x_tail, y_tail = x - x_head, y - y_head
    rest = (x_head * y_head - product) + x_head * y_tail + x_tail * y_head + x_tail * y_tail
    total = product + z
    back = total - product
    with np.errstate(invalid="ignore"):
        found = total + ((product - (total - back)) + (z - back) + rest)
    return np.where(np.isfinite(found), found, total)  # the parts of huge numbers overflow


def spaced(xp, start, end, steps, dtype):
    """Return ``steps`` numbers from ``start`` to ``end``.

    As in PyTorch, the first half is counted up from ``start``, and the rest down from ``end``.
    """
    work = dtype if dtype.kind in "fc" and dtype.itemsize >= 4 else np.dtype("f4")
    if dtype.kind in dtypes.COMPLEX_KINDS:
        work = np.dtype("c16" if dtype.itemsize == 16 else "c8")
    elif dtypes.OF[dtype] in dtypes.FLOAT8:
        raise UnsupportedDtypeError(f"linspace: not implemented for {dtypes.OF[dtype]}")
    if dtype.kind in "iu":
        work = np.dtype("f8")
        start = as_scalar(start, dtype) if steps else 0
        end = as_scalar(end, dtype) if steps > 1 else start
    low, high = work.type(start), work.type(end)
    if steps == 1:
        return np.full(1, low)
    step = work.type((high - low) / work.type(steps - 1)) if steps else work.type(0)
    i = xp.arange(steps)
    # Product and sum are rounded to ``work`` only once, as by a fused multiply-add: float32 is
    # computed in float64, which holds the product exactly.
    wide = np.result_type(work, "f8")
    low, high, step = low.astype(wide), high.astype(wide), step.astype(wide)
    fused = _fused if work == np.float64 else lambda x, y, z: x * y + z
    up, down = fused(step, i, low), fused(-step, steps - 1 - i, high)
    return xp.where(i < steps // 2, up, down).astype(work)


@source(public=False, name="linspace_", shape=lambda steps, dtype, **_: ((steps,), dtype))
def _linspace(xp, *, start, end, steps, dtype):
    """Return ``steps`` evenly spaced numbers from ``start`` to ``end``."""
    return spaced(xp, start, end, steps, dtype).astype(dtype)


@source(public=False, name="logspace_", shape=lambda steps, dtype, **_: ((steps,), dtype))
def _logspace(xp, *, start, end, steps, base, dtype):
    """Return ``base`` to the power of ``steps`` evenly spaced numbers."""
    if dtype.kind in "iu" and steps == 1:
        return as_scalar(float(xp.power(base, float(start))), dtype).reshape(1)
    if dtype.kind in "iu" and steps:  # exponents are whole at both ends, and float32 between
        first, last = [np.float32(as_scalar(v, dtype)) for v in (start, end)]
        step, i = (last - first) / np.float32(steps - 1), xp.arange(steps, dtype=xp.float32)
        exponents = xp.where(i < steps // 2, first + step * i, last - step * (steps - 1 - i))
        return xp.power(np.float32(base), exponents).astype(dtype)
    work = np.dtype("c16" if dtype.kind in dtypes.COMPLEX_KINDS else "f8")
    return xp.power(work.type(base), spaced(xp, start, end, steps, work)).astype(dtype)


def _steps(start, end, steps, name):
    if any(isinstance(x, Tensor) and x.ndim for x in (start, end)):
        raise RuntimeError(f"{name} only supports 0-dimensional start and end tensors")
    start, end = number(start, name, "start"), number(end, name, "end")
    try:
        steps = steps.__index__()
    except AttributeError:
        raise TypeError(
            f"{name}(): argument 'steps' must be int, not {type(steps).__name__}"
        ) from None
    if steps < 0:
        raise RuntimeError(f"{name}: number of steps must be non-negative, not {steps}")
    return start, end, steps


def _require_fit(start, end, steps, dtype):
    """Raise RuntimeError if ``dtype`` cannot hold a bound. A lone bound may overflow."""
    if steps > 1:
        as_scalar(start, dtype.numpy)
        as_scalar(end, dtype.numpy)


def _spaced_dtype(dtype, out, start, end, name):
    if dtype is None and out is not None:
        dtype = dtype_of(out, name)
    if isinstance(start, complex) or isinstance(end, complex):
        if dtype is None:
            return dtypes.get_default_dtype().to_complex()
        if not dtype.is_complex:
            raise RuntimeError(f"{name}: complex start or end, but the dtype is {dtype}")
    return dtype


@function(method=False, kinds={"start": "operand", "end": "operand"})
def linspace(
    start, end, steps, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return ``steps`` evenly spaced numbers from ``start`` to ``end``, both included.

    Args:
        start, end: Number or 0-dim tensor.
        steps: Number of elements.
        dtype: The dtype of the result. Default: ``out``'s, else ``torch.get_default_dtype()``, or
            its complex counterpart for complex numbers.

    Returns:
        Tensor of shape (steps,).

    Raises:
        RuntimeError: ``steps`` is negative, a bound is complex and ``dtype`` is not, or ``dtype``
            cannot hold a bound.

    >>> import rushlight as torch
    >>> torch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    start, end, steps = _steps(start, end, steps, "linspace")
    d = options(_spaced_dtype(dtype, out, start, end, "linspace"), layout, device, "linspace")
    _require_fit(start, end, steps, d)
    made = _linspace(start=start, end=end, steps=steps, dtype=d.numpy)
    return finished(in_shape(made, out), requires_grad, out, "linspace")


@function(method=False, kinds={"start": "operand", "end": "operand"})
def logspace(
    start, end, steps, base=10.0, *, out=None, dtype=None, layout=None, device=None,
    requires_grad=False, pin_memory=False,
):  # fmt: skip
    """Return ``base`` to the power of ``steps`` evenly spaced numbers from ``start`` to ``end``.

    Args:
        start, end: The first and the last exponent: number or 0-dim tensor.
        steps: Number of elements.
        base: The base of the powers, a real number. Default: 10.
        dtype: The dtype of the result. Default: ``out``'s, else ``torch.get_default_dtype()``, or
            its complex counterpart for complex exponents.

    Returns:
        Tensor of shape (steps,).

    Raises:
        RuntimeError: ``steps`` is negative, an exponent is complex and ``dtype`` is not, or
            ``dtype`` cannot hold an exponent.
        TypeError: ``base`` is complex.

    >>> import rushlight as torch
    >>> torch.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    start, end, steps = _steps(start, end, steps, "logspace")
    if isinstance(base, complex):
        raise TypeError("logspace(): argument 'base' must be float, not complex")
    d = options(_spaced_dtype(dtype, out, start, end, "logspace"), layout, device, "logspace")
    _require_fit(start, end, steps, d)
    made = _logspace(start=start, end=end, steps=steps, base=base, dtype=d.numpy)
    return finished(in_shape(made, out), requires_grad, out, "logspace")


@source(public=False, name="eye_", shape=lambda n, m, dtype: ((n, m), dtype))
def _eye(xp, *, n, m, dtype):
    """Return an ``n`` by ``m`` matrix of zeros with ones on the diagonal."""
    out = xp.zeros((n, m), dtype)
    out[:m].reshape(-1)[:: m + 1] = 1
    return out


_eye.lower(lambda n, m, dtype: (arange(m) == arange(n).unsqueeze(1)).to(dtypes.OF[dtype]))


@function(method=False)
@takes(f"n, *, {_OPTIONS}", f"n, m: int, *, {_OPTIONS}")
def eye(
    n, m=None, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return the identity matrix of ``n`` rows and ``m`` columns.

    Args:
        n: Number of rows.
        m: Number of columns. Default: ``n``.
        dtype: The dtype of the result. Default: ``out``'s, else ``torch.get_default_dtype()``.

    Returns:
        Tensor of shape (n, m).

    >>> import rushlight as torch
    >>> torch.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    m = n if m is None else m
    for name, size in (("n", n), ("m", m)):
        if isinstance(size, int) and size < 0:
            raise ShapeError(f"eye: {name} must be greater or equal to 0, got {size}")
    n, m = shapes.sizes((n, m), "eye")
    dtype = dtype_of(out, "eye") if dtype is None else dtype
    d = options(dtype, layout, device, "eye")
    return finished(_eye(n=n, m=m, dtype=d.numpy), requires_grad, out, "eye")
