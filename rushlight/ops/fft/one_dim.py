"""Discrete Fourier transforms along one dim."""

from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.fft.arguments import sizes_of
from rushlight.ops.fft.transforms import first_half, from_half, whole

__all__ = ["fft", "hfft", "ifft", "ihfft", "irfft", "rfft"]


@autocasts(SINGLE)
def fft(input, n=None, dim=-1, norm=None, *, out=None):
    """Compute the discrete Fourier transform along a dim: Y_k = Σ_j X_j·exp(-2πi·jk/n).

    Returns:
        Complex tensor of ``input``'s shape, with ``n`` elements along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or ``n`` is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.fft(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j, -2.-2.j])
    """
    return whole("fft", input, sizes_of("fft", n), dim, norm, False, out)


@autocasts(SINGLE)
def ifft(input, n=None, dim=-1, norm=None, *, out=None):
    """Compute the inverse of ``fft`` along a dim: X_j = 1/n · Σ_k Y_k·exp(2πi·jk/n).

    Returns:
        Complex tensor of ``input``'s shape, with ``n`` elements along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or ``n`` is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.ifft(torch.tensor([10 + 0j, -2 + 2j, -2 + 0j, -2 - 2j])).real
    tensor([1., 2., 3., 4.])
    """
    return whole("ifft", input, sizes_of("ifft", n), dim, norm, True, out)


@autocasts(SINGLE)
def rfft(input, n=None, dim=-1, norm=None, *, out=None):
    """Compute the first half of ``fft`` of real numbers; the other half holds its conjugates.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Complex tensor of ``input``'s shape, with ``n // 2 + 1`` elements along ``dim``.

    Raises:
        RuntimeError: ``input`` is complex, float16 or bfloat16, or ``n`` is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.rfft(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j])
    """
    return first_half("rfft", input, sizes_of("rfft", n), dim, norm, False, out)


@autocasts(SINGLE)
def irfft(input, n=None, dim=-1, norm=None, *, out=None):
    """Compute the inverse of ``rfft``.

    The imaginary parts of the first element and, if ``n`` is even, of the last do not count.

    Args:
        n: Size of the result along ``dim``. Give it if it is odd. Default: 2·(m - 1), where m is
            the size of ``input``.

    Returns:
        Real tensor of ``input``'s shape, with ``n`` elements along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or ``n`` is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.irfft(torch.tensor([10 + 0j, -2 + 2j, -2 + 0j]))
    tensor([1., 2., 3., 4.])
    """
    return from_half("irfft", input, sizes_of("irfft", n), dim, norm, True, out)


@autocasts(SINGLE)
def hfft(input, n=None, dim=-1, norm=None, *, out=None):
    """Compute ``fft`` of numbers whose second half holds the conjugates of the first half.

    ``input`` is the first half. The transform of such numbers is real.

    Args:
        n: Size of the result along ``dim``. Give it if it is odd. Default: 2·(m - 1), where m is
            the size of ``input``.

    Returns:
        Real tensor of ``input``'s shape, with ``n`` elements along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or ``n`` is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.hfft(torch.tensor([2.5 + 0j, -0.5 - 0.5j, -0.5 + 0j]))
    tensor([1., 2., 3., 4.])
    """
    return from_half("hfft", input, sizes_of("hfft", n), dim, norm, False, out)


@autocasts(SINGLE)
def ihfft(input, n=None, dim=-1, norm=None, *, out=None):
    """Compute the inverse of ``hfft``: the first half of ``ifft`` of real numbers.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Complex tensor of ``input``'s shape, with ``n // 2 + 1`` elements along ``dim``.

    Raises:
        RuntimeError: ``input`` is complex, float16 or bfloat16, or ``n`` is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.ihfft(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([ 2.5000+0.0000j, -0.5000-0.5000j, -0.5000+0.0000j])
    """
    return first_half("ihfft", input, sizes_of("ihfft", n), dim, norm, True, out)
