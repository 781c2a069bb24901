"""Windows for signals: ``torch.signal.windows``.

A window has ``M`` elements, at the positions n = 0, 1, …, M - 1. N is M - 1 for a symmetric window.
With ``sym=False`` N is M, so that copies of the window can follow each other.
"""

import math
import operator

from rushlight.device import require
from rushlight.docstrings import document
from rushlight.dtype import float32, float64
from rushlight.ops.create.filled import finished, ones, options
from rushlight.ops.create.range import arange
from rushlight.ops.create.windows import cosines, triangle
from rushlight.ops.create.windows import kaiser as kaiser_formula
from rushlight.ops.tensor.memory_format import strided
from rushlight.remote import at, default_device

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine",
    "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip


def _window(name, M, sym, formula, dtype, layout, device, requires_grad):
    """Return the window of M elements that ``formula(n, N)`` gives."""
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    M = operator.index(M)
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if device is not None and require(device) is not default_device():
        with at(require(device)):
            return _window(name, M, sym, formula, dtype, layout, None, requires_grad)
    d = options(dtype, layout, device, name)
    if d not in (float32, float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {d}")
    if M < 2:
        found = ones((M,), dtype=d)
    else:
        found = formula(arange(M, dtype=d), M - 1 if sym else M)
    return finished(found, requires_grad)


def bartlett(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a Bartlett window, a triangle: 1 - abs(2·n/N - 1).

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M is negative, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window("bartlett", M, sym, triangle, dtype, layout, device, requires_grad)


def cosine(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a cosine window: sin(π·(n + 0.5) / (N + 1)).

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M is negative, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    return _window(
        "cosine",
        M,
        sym,
        lambda n, N: ((n + 0.5) * (math.pi / (N + 1))).sin(),
        dtype,
        layout,
        device,
        requires_grad,
    )


def exponential(
    M,
    *,
    center=None,
    tau=1.0,
    sym=True,
    dtype=None,
    layout=strided,
    device=None,
    requires_grad=False,
):
    """Return an exponential window: exp(-abs(n - center) / τ).

    Args:
        center: The position of the largest element. It must be None for a symmetric window.
            Default: N / 2.
        tau: The number τ: the larger it is, the wider is the window. Default: 1.

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M or a parameter is out of range, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")

    def formula(n, N):
        return (-(n - (N / 2 if center is None else center)).abs() / tau).exp()

    return _window("exponential", M, sym, formula, dtype, layout, device, requires_grad)


def gaussian(M, *, std=1.0, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a Gaussian window: exp(-((n - N / 2) / std)² / 2).

    Args:
        std: The standard deviation. Default: 1.

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M or a parameter is out of range, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")

    def formula(n, N):
        return (((n - N / 2) / std) ** 2 * -0.5).exp()

    return _window("gaussian", M, sym, formula, dtype, layout, device, requires_grad)


def general_cosine(M, *, a, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a sum of cosines: Σ_k (-1)^k · a_k · cos(2π·k·n/N).

    Args:
        a: List of the coefficients a_0, a_1, ….

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M or a parameter is out of range, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.general_cosine(5, a=[0.5, 0.4, 0.1])
    tensor([0.2000, 0.4000, 1.0000, 0.4000, 0.2000])
    """
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    return _window(
        "general_cosine",
        M,
        sym,
        lambda n, N: cosines(n, N, a),
        dtype,
        layout,
        device,
        requires_grad,
    )


def kaiser(M, *, beta=12.0, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a Kaiser window: I₀(β·√(1 - (2·n/N - 1)²)) / I₀(β).

    I₀ is the modified Bessel function of order 0.

    Args:
        beta: The number β: the larger it is, the narrower is the window. Default: 12.

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M or a parameter is out of range, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.kaiser(5, beta=5.0)
    tensor([0.0367, 0.5529, 1.0000, 0.5529, 0.0367])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _window(
        "kaiser",
        M,
        sym,
        lambda n, N: kaiser_formula(n, N, beta),
        dtype,
        layout,
        device,
        requires_grad,
    )


def general_hamming(
    M, *, alpha=0.54, sym=True, dtype=None, layout=strided, device=None, requires_grad=False
):
    """Return a Hamming window with a free number: α - (1 - α)·cos(2π·n/N).

    Args:
        alpha: The number α. Default: 0.54.

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M is negative, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.general_hamming(5)
    tensor([0.0800, 0.5400, 1.0000, 0.5400, 0.0800])
    """
    return general_cosine(
        M, a=[alpha, 1.0 - alpha], sym=sym, dtype=dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def hamming(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a Hamming window: 0.54 - 0.46·cos(2π·n/N).

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M is negative, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.hamming(5)
    tensor([0.0800, 0.5400, 1.0000, 0.5400, 0.0800])
    """
    return general_cosine(
        M, a=[0.54, 0.46], sym=sym, dtype=dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def hann(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a Hann window: 0.5 - 0.5·cos(2π·n/N).

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M is negative, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return general_cosine(
        M, a=[0.5, 0.5], sym=sym, dtype=dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def blackman(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return a Blackman window: 0.42 - 0.5·cos(2π·n/N) + 0.08·cos(4π·n/N).

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M is negative, or ``dtype`` is not float32 or float64.

    >>> import rushlight as torch
    >>> torch.signal.windows.blackman(5)[1:4]
    tensor([0.3400, 1.0000, 0.3400])
    """
    return general_cosine(
        M, a=[0.42, 0.5, 0.08], sym=sym, dtype=dtype, layout=layout, device=device,
        requires_grad=requires_grad,
    )  # fmt: skip


def nuttall(M, *, sym=True, dtype=None, layout=strided, device=None, requires_grad=False):
    """Return Nuttall's window with four terms, whose side lobes are small.

    Returns:
        Tensor ``(M,)``.

    Raises:
        ValueError: M is negative, or ``dtype`` is not float32 or float64.

    Source: Nuttall 1981, Some windows with very good sidelobe behavior.

    >>> import rushlight as torch
    >>> torch.signal.windows.nuttall(5)[1:4]
    tensor([0.2270, 1.0000, 0.2270])
    """
    return general_cosine(
        M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, dtype=dtype, layout=layout,
        device=device, requires_grad=requires_grad,
    )  # fmt: skip


for _name in __all__:
    document(globals()[_name], "window")
