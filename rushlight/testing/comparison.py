"""Compare two results: tensors, numbers, and lists and dicts of them.

First, all pairs of values to compare are collected, with their places in the lists and dicts. Then
the pairs are compared in order. The error message describes the first pair that differs: how many
elements differ, by how much at most, and where.
"""

import math
import warnings
from cmath import isclose as complex_isclose
from collections.abc import Mapping, Sequence

import numpy as np

from rushlight.dtype import promote_types
from rushlight.ops.create.from_data import as_tensor
from rushlight.ops.tensor.memory_format import strided

__all__ = ["assert_allclose", "assert_close"]

#: (rtol, atol) by dtype; values of all other dtypes must be equal.
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}
_PYTHON = {int: "int64", float: "float64", complex: "complex128"}
_NUMBERS = (int, float, complex, np.number)
_BOOLS = (bool, np.bool_)


def assert_close(
    actual, expected, *, allow_subclasses=True, rtol=None, atol=None, equal_nan=False,
    check_device=True, check_dtype=True, check_layout=True, check_stride=False, msg=None,
):  # fmt: skip
    """Raise unless |actual - expected| <= atol + rtol · |expected| everywhere.

    Args:
        actual: Tensor, array, number, bool or None, or a sequence or mapping of these.
        expected: The same, of the same shape.
        allow_subclasses: Let the types differ if both are tensors or numbers. Default: True.
        rtol: Tolerance relative to ``expected``. Default: by the dtypes.
        atol: Absolute tolerance. Default: by the dtypes.
        equal_nan: Let nan equal nan. Default: False.
        check_device: Compare the devices, too. Default: True.
        check_dtype: Compare the dtypes, too. Default: True.
        check_layout: Compare the layouts, too. Default: True.
        check_stride: Compare the strides, too. Default: False.
        msg: Text of the error, or a function of the text that returns a new one. Default: a text
            that names the differences.

    Raises:
        AssertionError: the two differ in their values, or in a checked attribute such as the shape
            or the dtype.
        TypeError: the types of the two cannot be compared.
        ValueError: only one of ``rtol`` and ``atol`` is given.

    >>> import rushlight as torch
    >>> torch.testing.assert_close(torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]))
    >>> torch.testing.assert_close(torch.tensor([1, 2]), torch.tensor([1, 3]))
    Traceback (most recent call last):
      ...
    AssertionError: Tensor-likes are not equal!
    <BLANKLINE>
    Mismatched elements: 1 / 2 (50.0%)
    Greatest absolute difference: 1 at index (1,)
    Greatest relative difference: 0.3333333333333333 at index (1,)
    """
    __tracebackhide__ = True
    if (rtol is None) != (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
            f"{'rtol' if rtol is None else 'atol'}."
        )
    check = _Comparison(
        rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride
    )  # fmt: skip
    try:
        for pair in _pairs(actual, expected, allow_subclasses, ""):
            check.compare(*pair)
    except _Different as found:
        text = str(found)
        if msg is not None:
            text = msg(text) if callable(msg) else msg
        raise AssertionError(text) from None


class _Different(Exception):
    """Raised where two values differ; its text becomes the error message."""


# Pairs --------------------------------------------------------------------------------------


def _pairs(actual, expected, subclasses, place):
    """List (actual, expected, kind, place) for each pair of values to compare."""
    kind = _kind(actual, expected, subclasses)
    if kind is not None:
        return [(actual, expected, kind, place)]
    if _both(actual, expected, Sequence) and not _both(actual, expected, str):
        if len(actual) != len(expected):
            raise _Different(
                f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
                + _where(place)
            )
        keys = range(len(actual))
    elif _both(actual, expected, Mapping):
        missing = sorted(set(expected) - set(actual), key=str)
        additional = sorted(set(actual) - set(expected), key=str)
        if missing or additional:
            raise _Different(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\n"
                f"Additional keys in the actual mapping: {additional}" + _where(place)
            )
        keys = expected
    else:
        raise TypeError(
            "No comparison pair was able to handle inputs of type "
            f"{type(actual)} and {type(expected)}." + _where(place)
        )
    found = []
    for key in keys:
        found += _pairs(actual[key], expected[key], subclasses, f"{place}[{key!r}]")
    return found


def _both(x, y, kind):
    return isinstance(x, kind) and isinstance(y, kind)


def _where(place):
    return f"\n\nThe failure occurred for item {place}" if place else ""


def _kind(x, y, subclasses):
    """The kind of both values: "None", "bool", "number" or "tensor"; None for any other pair."""
    if x is None or y is None:
        return "None"
    if isinstance(x, _BOOLS) and isinstance(y, _BOOLS):
        return "bool"
    if _both(x, y, _NUMBERS) and not isinstance(x, _BOOLS) and not isinstance(y, _BOOLS):
        return "number"
    if isinstance(x, (str, *_NUMBERS)) or isinstance(y, (str, *_NUMBERS)):
        return None
    related = isinstance(x, type(y)) or isinstance(y, type(x))
    comparable = type(x) is type(y) or (subclasses and related)
    return "tensor" if comparable and hasattr(x, "__array__") else None


# Comparison ---------------------------------------------------------------------------------


class _Comparison:
    """The tolerances and checks of one ``assert_close``."""

    def __init__(self, rtol, atol, equal_nan, device, dtype, layout, stride):
        self.given = None if rtol is None else (rtol, atol)
        self.equal_nan = equal_nan
        self.device, self.dtype, self.layout, self.stride = device, dtype, layout, stride

    def tolerances(self, *dtypes):
        """(rtol, atol): the caller's, or else the largest default of the dtypes."""
        if self.given is not None:
            return self.given
        found = [TOLERANCES.get(d, (0.0, 0.0)) for d in dtypes]
        return max(r for r, _ in found), max(a for _, a in found)

    def compare(self, x, y, kind, place):
        try:
            if kind == "None":
                if x is not None or y is not None:
                    raise _Different(f"None mismatch: {x} is not {y}")
            elif kind == "bool":
                if bool(x) is not bool(y):
                    raise _Different(f"Booleans mismatch: {x} is not {y}")
            elif kind == "number":
                self._numbers(x, y)
            else:
                self._tensors(as_tensor(x).detach(), as_tensor(y).detach())
        except _Different as found:
            raise _Different(f"{found}{_where(place)}") from None

    def _numbers(self, x, y):
        x, y = (v.item() if isinstance(v, np.number) else v for v in (x, y))
        if self.dtype and type(x) is not type(y):
            raise _Different(f"The (d)types do not match: {type(x)} != {type(y)}.")
        self._scalars(x, y, *self.tolerances(_PYTHON[type(x)], _PYTHON[type(y)]))

    def _scalars(self, x, y, rtol, atol):
        if self.equal_nan and x != x and y != y:
            return
        if complex_isclose(x, y, rel_tol=0, abs_tol=atol + rtol * abs(y)):
            return
        difference = abs(x - y)
        relative = difference / abs(y) if y else math.inf
        raise _Different(
            f"Scalars are not {'close' if rtol or atol else 'equal'}!\n\n"
            f"Expected {y} but got {x}.\n"
            f"Absolute difference: {difference}{_allowed(atol, rtol or atol)}\n"
            f"Relative difference: {relative}{_allowed(rtol, rtol or atol)}"
        )

    def _tensors(self, x, y):
        if x.is_nested or y.is_nested:
            self._nested(x, y)
            return
        checks = ["shape"]
        checks += ["device"] * self.device + ["dtype"] * self.dtype + ["layout"] * self.layout
        for name in checks:
            a, b = getattr(x, name), getattr(y, name)
            if a != b:
                raise _Different(f"The values for attribute '{name}' do not match: {a} != {b}.")
        if self.stride and x.stride() != y.stride():
            raise _Different(
                f"The values for attribute 'stride()' do not match: {x.stride()} != {y.stride()}."
            )
        if x.layout is not y.layout:  # without a check of layouts
            x, y = x.to_dense(), y.to_dense()
        if x.layout is not strided:
            self._sparse(x, y)
            return
        rtol, atol = self.tolerances(x.dtype.name, y.dtype.name)
        if x.dtype is not y.dtype:
            common = promote_types(x.dtype, y.dtype)
            x, y = x.to(common), y.to(common)
        matches = x.isclose(y, rtol=rtol, atol=atol, equal_nan=self.equal_nan)
        if matches.all():
            return
        if x.numel() == 1 and x.ndim == 0:
            self._scalars(x.item(), y.item(), rtol, atol)
        raise _Different(_differences(x.cpu(), y.cpu(), matches.cpu().numpy(), rtol, atol))

    def _nested(self, x, y):
        """Compare the parts of two nested tensors."""
        if not (x.is_nested and y.is_nested):
            raise _Different("Only one of the two tensors is a nested tensor.")
        if self.layout and x.layout is not y.layout:
            raise _Different(f"The layouts do not match: {x.layout} != {y.layout}.")
        a, b = x.unbind(), y.unbind()
        if len(a) != len(b):
            raise _Different(f"The number of nested parts does not match: {len(a)} != {len(b)}")
        for part, other in zip(a, b, strict=True):
            self._tensors(part.detach(), other.detach())

    def _sparse(self, x, y):
        """Compare the indices and the values of two tensors of one sparse layout."""
        if x.is_sparse and x.is_coalesced() != y.is_coalesced():
            x, y = x.coalesce(), y.coalesce()
        if x._nnz() != y._nnz():
            raise _Different(
                f"The number of specified values in tensors of layout {x.layout} does not match: "
                f"{x._nnz()} != {y._nnz()}"
            )
        for a, b in zip((*x.pattern, x.stored), (*y.pattern, y.stored), strict=True):
            self._tensors(a.detach(), b.detach())


def _allowed(tolerance, close):
    return f" (up to {tolerance} allowed)" if close else ""


def _differences(x, y, matches, rtol, atol):
    """The message that says how much two tensors differ, and where."""
    integral = x.dtype.category < 2
    wide = [t.to(promote_types(t.dtype, as_tensor(0).dtype)) for t in (x, y)]
    a, b = (t.numpy(force=True) for t in wide)
    with np.errstate(all="ignore"):
        difference = abs(a - b)
        relative = difference / abs(b)
    difference = np.where(matches, 0, difference)
    relative = np.where(matches, 0, relative)
    close = rtol or atol
    count, total = int(np.count_nonzero(~matches)), matches.size
    lines = [
        f"Tensor-likes are not {'close' if close else 'equal'}!\n",
        f"Mismatched elements: {count} / {total} ({count / total:.1%})",
    ]
    for name, values, tolerance in (("absolute", difference, atol), ("relative", relative, rtol)):
        index = np.unravel_index(int(np.argmax(values)), values.shape)
        most = values[index].item()
        most = int(most) if integral and name == "absolute" else most
        lines.append(
            f"Greatest {name} difference: {most} at index {tuple(int(i) for i in index)}"
            + _allowed(tolerance, close)
        )
    return "\n".join(lines)


def assert_allclose(actual, expected, rtol=None, atol=None, equal_nan=True, msg=""):
    """Raise unless two values are close, by the tolerances of older versions of PyTorch.

    This is the deprecated forerunner of ``assert_close``, without a check of dtypes.

    Args:
        actual: Tensor, or anything that ``as_tensor`` takes.
        expected: The same, of the same shape.
        rtol: Tolerance relative to ``expected``. Default: by the dtypes; 1e-4 for float32.
        atol: Absolute tolerance. Default: by the dtypes; 1e-5 for float32.
        equal_nan: Let nan equal nan. Default: True.
        msg: Text of the error. Default: a text that names the differences.

    Raises:
        AssertionError: The two differ.

    >>> import warnings, rushlight as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.testing.assert_allclose(torch.tensor([1.0]), [1.00001])
    """
    __tracebackhide__ = True
    warnings.warn(
        "torch.testing.assert_allclose is deprecated; use torch.testing.assert_close",
        FutureWarning, stacklevel=2,
    )  # fmt: skip
    x, y = as_tensor(actual), as_tensor(expected)
    if rtol is None and atol is None:
        looser = {"float32": (1e-4, 1e-5), "float64": (1e-5, 1e-8)}
        found = [looser.get(d, TOLERANCES.get(d, (0.0, 0.0))) for d in (x.dtype.name, y.dtype.name)]
        rtol, atol = max(r for r, _ in found), max(a for _, a in found)
    assert_close(
        x, y, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False,
        check_stride=False, msg=msg or None,
    )  # fmt: skip
