"""Windows for signals: hann_window and others, and the formulas that ``torch.signal`` shares.

A formula gives the elements at the positions n = 0, 1, … of a window whose last element, at N,
would be equal to its first. A periodic window ends before N, a symmetric one at N.
"""

import math

import numpy as np

from rushlight.backend import numpy as xp
from rushlight.docstrings import document
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.create.filled import finished, ones, options
from rushlight.ops.create.range import arange
from rushlight.ops.elementwise.special import i0
from rushlight.ops.elementwise.trigonometry import cos

__all__ = ["cosines", "kaiser", "triangle"]


def triangle(n, N):
    """1 - |2·n/N - 1|, which rises from 0 to 1 and falls again."""
    return 1 - (n * (2 / N) - 1).abs()


def cosines(n, N, a):
    """Σ_k (-1)^k · a_k · cos(2π·k·n/N)."""
    angle = n * (2 * math.pi / N)
    found = a[0] * cos(angle * 0)
    for k, factor in enumerate(a[1:], 1):
        found = found + (-1) ** k * factor * cos(angle * k)
    return found


def kaiser(n, N, beta):
    """I₀(β·√(1 - (2·n/N - 1)²)) / I₀(β), where I₀ is the modified Bessel function of order 0."""
    found = on_arrays(lambda n: _kaiser_of_array(n, N, beta), n)
    if found is not None:
        return found
    wide = n if n.dtype.itemsize > 2 else n.float()  # half precision is rounded once
    place = wide * (2 / N) - 1
    height = (1 - place * place).clamp_min(0).sqrt()
    return (i0(height * beta) / i0(wide.new_full((), beta))).to(n.dtype)


def _kaiser_of_array(n, N, beta):
    place = n * (2 / N) - 1
    height = np.sqrt(np.maximum(1 - place * place, 0))
    bessel = i0.op.forward
    return bessel(xp, height * beta) / bessel(xp, np.full((), beta, n.dtype))


def _window(name, length, periodic, formula, dtype, layout, device, requires_grad, **parameters):
    """Return the window of the given length that ``formula`` describes."""
    if length < 0:
        raise ShapeError(f"{name} requires non-negative window_length, got window_length={length}")
    d = options(dtype, layout, device, name)
    if d.is_complex:
        raise UnsupportedDtypeError(f"{name} is not implemented for {d}")
    if d.category < 2:
        raise DtypeError(f"{name} expects floating point dtypes, got: {d}")
    if length < 2:
        found = ones(length, dtype=d)
    else:
        found = formula(arange(length, dtype=d), length - (not periodic), **parameters)
    return finished(found, requires_grad)


@function(method=False, kinds={"window_length": "int"})
def hann_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Return a Hann window: 0.5 - 0.5·cos(2π·n/N).

    Returns:
        Tensor ``(window_length,)``.

    Raises:
        RuntimeError: ``window_length`` is negative, or ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("hann_window", window_length, periodic, cosines, dtype, layout, device,
                   requires_grad, a=(0.5, 0.5))  # fmt: skip


@function(method=False, kinds={"window_length": "int", "alpha": "float", "beta": "float"})
def hamming_window(
    window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None, device=None,
    pin_memory=False, requires_grad=False,
):  # fmt: skip
    """Return a Hamming window: α - β·cos(2π·n/N).

    Args:
        alpha: The number α. Default: 0.54.
        beta: The number β. Default: 0.46.

    Returns:
        Tensor ``(window_length,)``.

    Raises:
        RuntimeError: ``window_length`` is negative, or ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _window("hamming_window", window_length, periodic, cosines, dtype, layout, device,
                   requires_grad, a=(alpha, beta))  # fmt: skip


@function(method=False, kinds={"window_length": "int"})
def blackman_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Return a Blackman window: 0.42 - 0.5·cos(2π·n/N) + 0.08·cos(4π·n/N).

    Returns:
        Tensor ``(window_length,)``.

    Raises:
        RuntimeError: ``window_length`` is negative, or ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.blackman_window(5, periodic=False)[1:4]
    tensor([0.3400, 1.0000, 0.3400])
    """
    return _window("blackman_window", window_length, periodic, cosines, dtype, layout, device,
                   requires_grad, a=(0.42, 0.5, 0.08))  # fmt: skip


@function(method=False, kinds={"window_length": "int"})
def bartlett_window(
    window_length, periodic=True, *, dtype=None, layout=None, device=None, pin_memory=False,
    requires_grad=False,
):  # fmt: skip
    """Return a Bartlett window, a triangle: 1 - abs(2·n/N - 1).

    Returns:
        Tensor ``(window_length,)``.

    Raises:
        RuntimeError: ``window_length`` is negative, or ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("bartlett_window", window_length, periodic, triangle, dtype, layout, device,
                   requires_grad)  # fmt: skip


@function(method=False, kinds={"window_length": "int", "beta": "float"})
def kaiser_window(
    window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None,
    pin_memory=False, requires_grad=False,
):  # fmt: skip
    """Return a Kaiser window: I₀(β·√(1 - (2·n/N - 1)²)) / I₀(β).

    I₀ is the modified Bessel function of order 0.

    Args:
        beta: The number β: the larger it is, the narrower is the window. Default: 12.

    Returns:
        Tensor ``(window_length,)``.

    Raises:
        RuntimeError: ``window_length`` is negative, or ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.kaiser_window(4, beta=5.0)
    tensor([0.0367, 0.5529, 1.0000, 0.5529])
    """
    return _window("kaiser_window", window_length, periodic, kaiser, dtype, layout, device,
                   requires_grad, beta=beta)  # fmt: skip


for _call in (bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window):
    document(_call, "window")
