"""How a tensor prints: aligned elements, line breaks, summaries and suffixes, as in PyTorch.

A tensor's text is made in three steps: choose the elements to show, format them as texts of equal
width (``_align``), and lay the texts out in brackets (``_layout``). The suffixes come last.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rushlight.dtype import bool as bool_dtype
from rushlight.dtype import complex64, complex128, float64, int64
from rushlight.dtype import dtype as dtype_type

__all__ = [
    "OPTIONS", "PrintOptions", "append", "contents", "format_tensor", "format_with", "must_name",
    "printoptions", "set_printoptions",
]  # fmt: skip


@dataclass(slots=True)
class PrintOptions:
    """The options that ``set_printoptions`` sets.

    Attributes:
        precision: Digits after the decimal point.
        threshold: A tensor with more elements than this is summarised.
        edgeitems: Number of elements that a summary shows at each end of a dim.
        linewidth: Number of characters after which a line is broken.
        sci_mode: Use scientific notation always (True), never (False), or (None) if the elements'
            magnitudes differ by more than 1000 times, exceed 1e8 or are below 1e-4.
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


OPTIONS = PrintOptions()
_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
):
    """Set how tensors print.

    An option that is not given keeps its value, except ``sci_mode``, which returns to None.

    Args:
        precision: Digits after the decimal point. At first: 4.
        threshold: A tensor with more elements than this is summarised. At first: 1000.
        edgeitems: Number of elements that a summary shows at each end of a dim. At first: 3.
        linewidth: Number of characters after which a line is broken. At first: 80.
        profile: ``"default"``, ``"short"`` or ``"full"`` (never summarise) sets the options above
            together. Options that are given beside it win. Default: None.
        sci_mode: Use scientific notation always (True) or never (False). Default: None, use it if
            the magnitudes differ by more than 1000 times, exceed 1e8 or are below 1e-4.

    >>> import rushlight as torch
    >>> torch.set_printoptions(precision=2, threshold=4, edgeitems=1)
    >>> torch.arange(5) / 3
    tensor([0.00,  ..., 1.33])
    >>> torch.set_printoptions(profile="default")
    """
    preset = _PROFILES.get(profile)
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    for name, value in given.items():
        if value is None and preset is not None:
            value = getattr(preset, name)
        if value is not None:
            setattr(OPTIONS, name, value)
    OPTIONS.sci_mode = sci_mode


@contextlib.contextmanager
def printoptions(**options):
    """Context in which tensors print as with ``set_printoptions(**options)``.

    Args:
        **options: The arguments of ``set_printoptions``.

    Returns:
        Context manager, which restores the options.

    >>> import rushlight as torch
    >>> from rushlight.printing import printoptions
    >>> with printoptions(precision=2):
    ...     print(torch.tensor([0.5]))
    tensor([0.50])
    """
    before = dataclasses.asdict(OPTIONS)
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


def format_tensor(
    array: np.ndarray,
    dtype: dtype_type,
    *,
    default_dtype: dtype_type,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    device_suffix: str | None = None,
    tangent: str | None = None,
    class_name: str = "tensor",
    indent: int = 0,
    given: str | None = None,
) -> str:
    """Return the text of a tensor whose elements are ``array``, of any shape.

    An array without elements is printed as dots, with its size.

    Args:
        device_suffix: The device's name (``"cuda:0"``) if the text must show it, else None.
        tangent: The text of a dual tensor's tangent; None for other tensors.
        class_name: ``"tensor"``, also for a Parameter; a subclass gives its own name.
        indent: The column in which the text will begin. All lines but the first are indented.
        given: The text of the elements. Default: that of ``array``.

    >>> import numpy as np
    >>> import rushlight as torch
    >>> x = np.array([[1.5, -2.0], [np.inf, 0.0]])
    >>> print(format_tensor(x, torch.float64, default_dtype=torch.float32, requires_grad=True))
    tensor([[ 1.5000, -2.0000],
            [    inf,  0.0000]], dtype=torch.float64, requires_grad=True)
    """
    start = " " * indent + class_name + "("
    outline = not isinstance(array, np.ndarray) and given is None
    text = (
        start + given
        if given is not None
        else start + ("..." if outline else contents(array, dtype, len(start)))
    )
    suffixes = []
    if device_suffix is not None:
        suffixes.append(f"device='{device_suffix}'")
    if outline or (array.size == 0 and array.ndim != 1) or (array.size and not OPTIONS.edgeitems):
        suffixes.append(f"size={array.shape}")
    if must_name(dtype, default_dtype, empty=outline or array.size == 0):
        suffixes.append(f"dtype={dtype}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    return append(text, suffixes, len(start))[indent:] + ")"


def must_name(dtype, default_dtype, empty):
    """True if the text must name the dtype: the elements and the default dtype do not tell it."""
    if dtype is default_dtype:
        return False
    told = complex128 if default_dtype is float64 else complex64
    return empty or dtype not in (int64, bool_dtype, told)


def format_with(array, dtype, suffixes):
    """Return the text of an array as a tensor's, with these suffixes."""
    start = "tensor("
    return append(start + contents(array, dtype, len(start)), suffixes, len(start)) + ")"


def append(text, suffixes, indent):
    """Add the suffixes, each on a new line where the last one has no room for it."""
    # PyTorch counts the first line two columns longer than it is, so it breaks a little early.
    column = len(text) - (text.rfind("\n") + 1) + 2
    for suffix in suffixes:
        if column + len(suffix) + 2 > OPTIONS.linewidth:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    return text


def contents(array, dtype, indent):
    """Return the elements in brackets, for a line on which ``indent`` columns are taken."""
    if array.size == 0:
        return "[]"
    edge = OPTIONS.edgeitems
    summarise = array.ndim > 0 and array.size > OPTIONS.threshold
    if not summarise:
        texts, width = _align(array.ravel().tolist(), dtype)
        return _layout(iter(texts), array.shape, indent, width, edge=None)
    if not edge:
        return "[...]"
    # Only the elements shown decide the widths, and only they are copied.
    kept = ([*range(edge), *range(n - edge, n)] if n > 2 * edge else range(n) for n in array.shape)
    shown = array[np.ix_(*kept)]
    texts, width = _align(shown.ravel().tolist(), dtype)
    return _layout(iter(texts), array.shape, indent, width, edge)


def _layout(texts: Iterator[str], shape, indent, width, edge):
    """The texts in nested brackets of ``shape``, with dots in dims longer than ``2 * edge``."""
    if not shape:
        return next(texts)
    cut = edge is not None and shape[0] > 2 * edge
    shown = range(2 * edge if cut else shape[0])
    newline = "\n" + " " * (indent + 1)
    if len(shape) > 1:
        parts = [_layout(texts, shape[1:], indent + 1, width, edge) for _ in shown]
        if cut:
            parts.insert(edge, "...")
        return "[" + ("," + "\n" * (len(shape) - 2) + newline).join(parts) + "]"
    row = [next(texts) for _ in shown]
    if cut:
        row.insert(edge, " ...")
    per_line = max(1, math.floor((OPTIONS.linewidth - indent) / (width + len(", "))))
    lines = [", ".join(row[i : i + per_line]) for i in range(0, len(row), per_line)]
    return "[" + ("," + newline).join(lines) + "]"


def _align(values, dtype):
    """Return the values as texts of equal width, and the width."""
    if dtype.is_complex:
        real, real_width = _align_floats([v.real for v in values])
        imag, imag_width = _align_floats([v.imag for v in values])
        width = real_width + imag_width + len("j")
        return [_join(*parts) for parts in zip(real, imag, strict=True)], width
    if dtype.is_floating_point:
        return _align_floats(values)
    texts = [str(v) for v in values]
    width = max(map(len, texts))
    return [t.rjust(width) for t in texts], width


def _join(real, imag):
    imag = imag.lstrip()
    return f"{real}{imag}j" if imag[0] == "-" else f"{real}+{imag}j"


def _align_floats(values):
    precision = OPTIONS.precision
    notation = _notation(values)
    if notation == "integer":
        texts = [f"{v:.0f}." if math.isfinite(v) else str(v) for v in values]
    else:
        texts = [format(v, f".{precision}{notation}") for v in values]
    # Only finite values other than 0 decide the width, as in PyTorch: zeros print "[0., -0., 0.]".
    counted = (len(t) for t, v in zip(texts, values, strict=True) if v and math.isfinite(v))
    width = max(counted, default=1)
    return [t.rjust(width) for t in texts], width


def _notation(values):
    """Choose the notation for all values: ``"integer"`` ("2."), ``"f"`` or ``"e"``.

    Only finite values other than 0 count.
    """
    magnitudes = [abs(v) for v in values if v and math.isfinite(v)]
    if not magnitudes:
        return "integer"
    scientific = OPTIONS.sci_mode
    if scientific is None:
        low, high = min(magnitudes), max(magnitudes)
        scientific = high / low > 1000.0 or high > 1e8 or low < 1e-4
    if scientific:
        return "e"
    return "integer" if all(map(float.is_integer, magnitudes)) else "f"
