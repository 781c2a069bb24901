"""Rarer functions that create tensors: range, scalar_tensor, empty_permuted."""

import math
import warnings

import rushlight.dtype as dtypes
from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.create.filled import dtype_of, empty_strided, finished, full, options, sized
from rushlight.ops.create.range import arange_, in_shape, number
from rushlight.storage import contiguous_strides
from rushlight.tensor import method

_OPTIONS = "out?=, dtype?=, layout?=, device?=, requires_grad?=, pin_memory?="


@function(method=False)
@takes(f"start: Number, end: Number, step: Number=, *, {_OPTIONS}")
def range(
    start, end, step=1, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return the numbers from ``start`` to ``end``, both included, ``step`` apart.

    Deprecated: ``arange`` does the same without ``end``, as Python's ``range`` does.

    Args:
        start: The first number.
        end: The limit, which the result contains if it is a whole number of steps away.
        step: Number by which each element exceeds the one before; it may be negative. Default: 1.
        dtype: The dtype of the result. Default: ``out``'s, else ``torch.get_default_dtype()``.

    Returns:
        Tensor of shape (n,), where n is ``(end - start) / step``, rounded down, plus 1.

    Raises:
        RuntimeError: ``step`` is 0 or has the wrong sign, or a number is not finite.

    >>> import warnings
    >>> import rushlight as torch
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.range(1, 3)
    tensor([1., 2., 3.])
    """
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        stacklevel=3,
    )
    if out is not None and dtype not in (None, out.dtype):
        raise DtypeError(f"dtype {dtype} does not match dtype of out parameter ({out.dtype})")
    d = options(dtype_of(out, "range") if dtype is None else dtype, layout, device, "range")
    if d is bool_ or d.is_complex or (d.category == 1 and not d.is_signed and d.itemsize > 1):
        raise UnsupportedDtypeError(f"range: not implemented for {d}")
    given = (start, "start"), (end, "end"), (step, "step")
    start, end, step = [number(value, "range", name) for value, name in given]
    if any(isinstance(value, complex) for value in (start, end, step)):
        raise RuntimeError("range: value cannot be converted to type double without overflow")
    if not step or (d.category == 1 and not int(step)):
        raise RuntimeError(f"step must be nonzero, not {step} in {d}")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if d.category == 1:
        start, step = int(start), int(step)
    size = math.floor((end - start) / step) + 1
    made = arange_(start=start, step=step, size=size, dtype=d.numpy)
    return finished(in_shape(made, out), requires_grad, out, "range")


@function(method=False)
@takes("s: Number, *, dtype?=, layout?=, device?=, requires_grad?=, pin_memory?=")
def scalar_tensor(
    s, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Return a tensor without dims that holds a number.

    Args:
        s: The number.
        dtype: The dtype of the result. Default: ``torch.get_default_dtype()``, for integers, too.

    Returns:
        Tensor ``()``.

    Raises:
        RuntimeError: ``dtype`` cannot hold the number.

    >>> import rushlight as torch
    >>> torch.scalar_tensor(3)
    tensor(3.)
    """
    dtype = dtypes.get_default_dtype() if dtype is None else dtype
    return full((), s, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


@function(method=False, kinds={"size": "shape", "physical_layout": "shape"})
def empty_permuted(
    size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return an uninitialised tensor whose dims lie in memory in a given order.

    Args:
        size: The shape of the result: a tuple of ints.
        physical_layout: All dims, from the outermost in memory to the innermost: a tuple of ints.
        dtype: The dtype of the result. Default: ``torch.get_default_dtype()``.

    Returns:
        Tensor of shape ``size``.

    Raises:
        RuntimeError: ``physical_layout`` does not have each dim once.

    >>> import rushlight as torch
    >>> torch.empty_permuted((2, 3, 4), (2, 0, 1)).stride()
    (3, 1, 6)
    """
    shape, order = sized((size,), "empty_permuted"), tuple(physical_layout)
    if len(order) != len(shape):
        raise ShapeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    for i, d in enumerate(order):
        if not 0 <= d < len(shape):
            raise ShapeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got "
                f"{d} at index {i}). Negative dims are not supported."
            )
        if d in order[:i]:
            raise ShapeError("Duplicate dim not allowed")
    in_memory = contiguous_strides([shape[d] for d in order])
    stride = [step for _, step in sorted(zip(order, in_memory, strict=True))]
    return empty_strided(
        shape, stride, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


@method
@takes("input, size: shape, stride: shape, *, dtype?=, layout?=, device?=, requires_grad?=, "
       "pin_memory?=")  # fmt: skip
def new_empty_strided(
    self, size, stride, *, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return an uninitialised tensor of the given size and strides, in this tensor's dtype.

    Args:
        size: The shape of the result: a tuple of ints.
        stride: For each dim, the elements from one position to the next: a tuple of ints.
        dtype: The dtype of the result. Default: that of this tensor.

    Returns:
        Tensor of shape ``size``.

    Raises:
        RuntimeError: ``size`` and ``stride`` differ in length.

    >>> import rushlight as torch
    >>> torch.tensor([1]).new_empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    return empty_strided(
        size, stride, dtype=dtype or self.dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip
