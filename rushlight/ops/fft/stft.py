"""The short-time Fourier transform of signals, and its inverse."""

import warnings
from functools import cache

from rushlight.errors import DimError, DtypeError, ShapeError
from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.core.definition import function
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.filled import ones
from rushlight.ops.elementwise.complex import view_as_real
from rushlight.ops.fft.arguments import fitted
from rushlight.ops.fft.kernels import complex_to_complex, complex_to_real, real_to_complex
from rushlight.ops.shape.strided import overlap_add, unfold
from rushlight.ops.windows.pad import constant_pad, pad

_KINDS = {
    "n_fft": "int", "hop_length": "int", "win_length": "int", "window": "Tensor",
    "onesided": "bool", "return_complex": "bool", "align_to_window": "bool", "length": "int",
    "center": "any", "normalized": "bool", "pad_mode": "str",
}  # fmt: skip


@cache
def _warn_of_no_window(name):
    warnings.warn(
        "A window was not provided. A rectangular window will be applied, which is known "
        "to cause spectral leakage. Use torch.hann_window, for example; window=torch.ones(...) "
        "suppresses this warning.",
        stacklevel=4,
    )


def _checked(name, what, holds):
    if not holds:
        raise ShapeError(f"{name}: expected {what}")


def _full_window(window, win_length, n_fft, like):
    """Return the window, with zeros on both sides so that it has ``n_fft`` elements."""
    if window is None:
        window = ones(win_length, dtype=like.dtype.to_real())
    left = (n_fft - win_length) // 2
    right = n_fft - win_length - left
    return constant_pad(window, pad=(left, right)) if left or right else window


# Forward ----------------------------------------------------------------------------------


@function(kinds=_KINDS, in_python=True)
@autocasts(SINGLE)
def stft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect",
    normalized=False, onesided=None, return_complex=None, align_to_window=None,
):  # fmt: skip
    """Compute the short-time Fourier transform: ``fft`` of windows along a signal.

    Window t begins at the element ``t * hop_length``, and is multiplied by ``window``.

    Args:
        input: Tensor ``(L,)`` or ``(B, L)``, floating point or complex.
        n_fft: Elements of a window that is transformed.
        hop_length: Elements from window to window. Default: ``n_fft // 4``.
        win_length: Number of elements of ``window``, at most ``n_fft``. Default: ``n_fft``.
        window: Tensor ``(win_length,)``, to which zeros are added on both sides. Default: ones.
        center: Add ``n_fft // 2`` elements on both sides of the signal first, so that window t lies
            around the element ``t * hop_length``. Default: True.
        pad_mode: What the added elements are: the ``mode`` of ``nn.functional.pad``. Default:
            ``"reflect"``.
        normalized: Divide the result by √``n_fft``. Default: False.
        onesided: Return only the first ``n_fft // 2 + 1`` frequencies; the others are their
            conjugates. Default: True for a real signal and a real window.
        return_complex: Return complex numbers. False (deprecated): pairs of real numbers in a new
            last dim. It must be given for a real signal and a real window.
        align_to_window: Let the first element of ``window``, not of the zeros before it, lie at the
            first element of the signal. Only for ``center=False``. Default: False.

    Returns:
        Complex tensor ``(F, T)`` or ``(B, F, T)`` of F frequencies at T times.

    Raises:
        RuntimeError: The shapes or numbers do not fit, or ``return_complex`` must be given.

    >>> import rushlight as torch
    >>> x = torch.ones(8)
    >>> torch.stft(x, 4, window=torch.hann_window(4), return_complex=True).shape
    torch.Size([3, 9])
    """
    is_complex = input.dtype.is_complex or (window is not None and window.dtype.is_complex)
    if window is None:
        _warn_of_no_window("stft")
    if return_complex is None and not is_complex:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs: "
            "return_complex=True"
        )
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    x = _centered(input, n_fft // 2, pad_mode) if center else input
    _check_signal(x, n_fft, hop_length, win_length, window)
    if onesided and is_complex:
        raise RuntimeError("stft: Cannot have onesided output if window or input is complex")
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if align_to_window and win_length < n_fft:
        left = (n_fft - win_length) // 2
        x = constant_pad(x, pad=(left, n_fft - win_length - left))
    frames = unfold(x, -1, n_fft, hop_length)
    if window is not None or win_length < n_fft:
        frames = frames * _full_window(window, win_length, n_fft, x)
    found = _transformed(frames, normalized, not is_complex and onesided is not False)
    found = found.transpose(-1, -2)
    return view_as_real(found) if return_complex is False else found


def _centered(x, n, pad_mode):
    """Return the signal with ``n`` elements added on both sides."""
    shape = tuple(x.shape)
    wide = pad(x.reshape((1,) * (3 - len(shape)) + shape), (n, n), pad_mode)
    return wide.reshape((*shape[:-1], wide.shape[-1])) if len(shape) < 3 else wide


def _check_signal(x, n_fft, hop_length, win_length, window):
    if x.dtype.category < 2:
        raise DtypeError(f"stft: expected a tensor of floating point or complex values: {x.dtype}")
    shape = tuple(x.shape)
    _checked("stft", f"a 1D or 2D tensor, but got {shape}", len(shape) in (1, 2))
    _checked("stft", f"0 < n_fft <= {shape[-1]}, but got n_fft={n_fft}", 0 < n_fft <= shape[-1])
    _checked("stft", f"hop_length > 0, but got hop_length={hop_length}", hop_length > 0)
    _checked(
        "stft", f"0 < win_length <= n_fft, but got win_length={win_length}", 0 < win_length <= n_fft
    )
    size = None if window is None else tuple(window.shape)
    _checked(
        "stft",
        f"a 1D window tensor of size equal to win_length={win_length}, but got window with size "
        f"{size}",
        size in (None, (win_length,)),
    )


def _transformed(frames, normalized, onesided):
    dim, norm = (len(frames.shape) - 1,), "ortho" if normalized else "backward"
    if frames.dtype.is_complex:
        return complex_to_complex(frames, dim=dim, norm=norm, inverse=False)
    return real_to_complex(frames, dim=dim, norm=norm, inverse=False, onesided=onesided)


# Back -------------------------------------------------------------------------------------


@function(kinds=_KINDS)
def istft(
    input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False,
    onesided=None, length=None, return_complex=False,
):  # fmt: skip
    """Compute the signal whose short-time Fourier transform is nearest to ``input``.

    The windows of the signal are multiplied by ``window`` again and added. Their sum is divided by
    the sum of the squares of ``window`` at the same places.

    Args:
        input: Complex tensor ``(F, T)`` or ``(B, F, T)``, as ``stft`` returns it.
        n_fft: As for ``stft``.
        hop_length: As for ``stft``. Default: ``n_fft // 4``.
        win_length: As for ``stft``. Default: ``n_fft``.
        window: As for ``stft``.
        center: Cut off the ``n_fft // 2`` elements that ``stft`` added. Default: True.
        normalized: ``stft`` divided by √``n_fft``. Default: False.
        onesided: F is ``n_fft // 2 + 1``, not ``n_fft``. Default: it is, if F is not ``n_fft``.
        length: Number of elements of the result. The end is cut off or filled up with zeros.
            Default: what the windows cover.
        return_complex: Return a complex signal. Default: False.

    Returns:
        Tensor ``(L,)`` or ``(B, L)``, the signal.

    Raises:
        RuntimeError: The shapes or numbers do not fit, or the windows leave a part of the signal
            uncovered.

    Source: Griffin and Lim 1984, Signal estimation from modified short-time Fourier transform.

    >>> import rushlight as torch
    >>> x, w = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.hann_window(4)
    >>> y = torch.stft(x, 4, window=w, return_complex=True)
    >>> torch.istft(y, 4, window=w)
    tensor([1., 2., 3., 4.])
    """
    if window is None:
        _warn_of_no_window("istft")
    hop_length = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    onesided = _check_spectrum(input, n_fft, hop_length, win_length, window, onesided)
    _check_complex(window, onesided, return_complex)
    x = (input if len(input.shape) == 3 else input.unsqueeze(0)).transpose(1, 2)
    window = _full_window(window, win_length, n_fft, x)
    dim, norm = (2,), "ortho" if normalized else "backward"
    if return_complex:
        frames = complex_to_complex(x, dim=dim, norm=norm, inverse=True)
    else:  # the frequencies after the first half count as conjugates, whatever they are
        half = x.narrow(2, 0, n_fft // 2 + 1)
        frames = complex_to_real(half, dim=dim, norm=norm, inverse=True, n=n_fft)
    found = _joined(frames, window, hop_length, center, length)
    return found if len(input.shape) == 3 else found.squeeze(0)


def _check_spectrum(x, n_fft, hop_length, win_length, window, onesided):
    """Raise unless the arguments of ``istft`` fit; return whether ``x`` is one-sided."""
    shape = tuple(x.shape)
    if not x.dtype.is_complex:
        raise DtypeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            f"return_complex=True, not {x.dtype}"
        )
    if len(shape) < 2:
        raise DimError(f"istft: Dimension out of range: expected (F, T) or (B, F, T), got {shape}")
    _checked("istft", f"a tensor (F, T) or (B, F, T), but got {shape}", len(shape) < 4)
    _checked("istft", f"input tensor cannot be empty, but it is {shape}", 0 not in shape)
    onesided = shape[-2] != n_fft if onesided is None else onesided
    wanted = n_fft // 2 + 1 if onesided else n_fft
    _checked(
        "istft",
        f"the frequency dimension of the input tensor to match n_fft: {wanted} frequencies when "
        f"onesided={onesided}, but got {shape[-2]}",
        shape[-2] == wanted,
    )
    _checked("istft", f"0 < hop_length <= win_length, but got hop_length={hop_length}",
             0 < hop_length <= win_length)  # fmt: skip
    _checked("istft", f"0 < win_length <= n_fft, but got win_length={win_length}",
             0 < win_length <= n_fft)  # fmt: skip
    size = None if window is None else tuple(window.shape)
    _checked("istft", f"a window of 1D and length of win_length={win_length}, but got {size}",
             size in (None, (win_length,)))  # fmt: skip
    return onesided


def _check_complex(window, onesided, return_complex):
    if return_complex:
        if onesided:
            raise RuntimeError("istft: Cannot have onesided output if window or input is complex")
    elif window is not None and window.dtype.is_complex:
        raise RuntimeError("istft: Complex windows are incompatible with return_complex=False")


def _joined(frames, window, hop_length, center, length):
    """Add the windows ``frames`` ``(B, T, n_fft)``, and divide by the squares of ``window``."""
    batch, count, n_fft = frames.shape
    whole = n_fft + hop_length * (count - 1)
    weights = (window * window).expand((1, count, n_fft))
    found = overlap_add(frames * window, shape=(batch, whole), dimension=1, step=hop_length)
    weights = overlap_add(weights, shape=(1, whole), dimension=1, step=hop_length)
    first = n_fft // 2 if center else 0
    last = whole - first if length is None else first + length
    kept = min(last, whole) - first
    _checked("istft", f"a signal that is not empty, but it has {kept} elements", kept > 0)
    found, weights = found.narrow(1, first, kept), weights.narrow(1, first, kept)
    check_range(
        (weights.abs() > 1e-11).logical_not(), low=False, high=False, error=RuntimeError,
        message="istft: window overlap add min: 1e-11 or less is the sum of the windows' squares "
        "for a part of the signal",
    )  # fmt: skip
    found = found / weights
    if last > whole:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            stacklevel=3,
        )
        found = fitted(found, (1,), (length,))
    return found
