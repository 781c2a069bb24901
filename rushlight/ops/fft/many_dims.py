"""Discrete Fourier transforms over two and over several dims."""

from rushlight.ops.core.autocast import SINGLE, autocasts
from rushlight.ops.fft.transforms import first_half, from_half, whole

__all__ = [
    "fft2", "fftn", "hfft2", "hfftn", "ifft2", "ifftn", "ihfft2", "ihfftn", "irfft2", "irfftn",
    "rfft2", "rfftn",
]  # fmt: skip


@autocasts(SINGLE)
def fft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """Compute the discrete Fourier transform over two dims: ``fft`` along each of them.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.fft2(torch.eye(2))
    tensor([[2.+0.j, 0.+0.j],
            [0.+0.j, 2.+0.j]])
    """
    return whole("fft2", input, s, dim, norm, False, out)


@autocasts(SINGLE)
def ifft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """Compute the inverse of ``fft2`` over two dims: ``ifft`` along each of them.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.ifft2(2 * torch.eye(2))
    tensor([[1.+0.j, 0.+0.j],
            [0.+0.j, 1.+0.j]])
    """
    return whole("ifft2", input, s, dim, norm, True, out)


@autocasts(SINGLE)
def rfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """Compute the first half of ``fft2`` of real numbers.

    The half is that of the last dim in ``dim``: ``rfft`` along this dim, then ``fft`` along the
    others.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``. The last of these
        dims has n // 2 + 1 elements instead of n.

    Raises:
        RuntimeError: ``input`` is complex, float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.rfft2(torch.ones(2, 4))
    tensor([[8.+0.j, 0.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j, 0.+0.j]])
    """
    return first_half("rfft2", input, s, dim, norm, False, out)


@autocasts(SINGLE)
def irfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """Compute the inverse of ``rfft2``: ``ifft`` along all but the last dim, then ``irfft``.

    Args:
        s: Sizes of the result along ``dim``. Give the last one if it is odd. Default: those of
            ``input``, but 2·(m - 1) for the last dim, where m is its size.

    Returns:
        Real tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> x = torch.ones(2, 4)
    >>> torch.fft.irfft2(torch.fft.rfft2(x))
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    return from_half("irfft2", input, s, dim, norm, True, out)


@autocasts(SINGLE)
def hfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """Compute ``fft2`` of numbers whose transform is real.

    ``input`` is the first half of such numbers along the last dim in ``dim``; the other half
    follows from it, because X at -j is the conjugate of X at j.

    Args:
        s: Sizes of the result along ``dim``. Give the last one if it is odd. Default: those of
            ``input``, but 2·(m - 1) for the last dim, where m is its size.

    Returns:
        Real tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> x = torch.ones(2, 4)
    >>> torch.fft.hfft2(torch.fft.ihfft2(x))
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    return from_half("hfft2", input, s, dim, norm, False, out)


@autocasts(SINGLE)
def ihfft2(input, s=None, dim=(-2, -1), norm=None, *, out=None):
    """Compute the inverse of ``hfft2``: the first half of the inverse transform.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``. The last of these
        dims has n // 2 + 1 elements instead of n.

    Raises:
        RuntimeError: ``input`` is complex, float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.ihfft2(torch.ones(2, 4)).real
    tensor([[1., 0., 0.],
            [0., 0., 0.]])
    """
    return first_half("ihfft2", input, s, dim, norm, True, out)


@autocasts(SINGLE)
def fftn(input, s=None, dim=None, norm=None, *, out=None):
    """Compute the discrete Fourier transform over several dims: ``fft`` along each of them.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.fftn(torch.eye(2))
    tensor([[2.+0.j, 0.+0.j],
            [0.+0.j, 2.+0.j]])
    """
    return whole("fftn", input, s, dim, norm, False, out)


@autocasts(SINGLE)
def ifftn(input, s=None, dim=None, norm=None, *, out=None):
    """Compute the inverse of ``fftn`` over several dims: ``ifft`` along each of them.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.ifftn(2 * torch.eye(2))
    tensor([[1.+0.j, 0.+0.j],
            [0.+0.j, 1.+0.j]])
    """
    return whole("ifftn", input, s, dim, norm, True, out)


@autocasts(SINGLE)
def rfftn(input, s=None, dim=None, norm=None, *, out=None):
    """Compute the first half of ``fftn`` of real numbers.

    The half is that of the last dim in ``dim``: ``rfft`` along this dim, then ``fft`` along the
    others.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``. The last of these
        dims has n // 2 + 1 elements instead of n.

    Raises:
        RuntimeError: ``input`` is complex, float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.rfftn(torch.ones(2, 4))
    tensor([[8.+0.j, 0.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j, 0.+0.j]])
    """
    return first_half("rfftn", input, s, dim, norm, False, out)


@autocasts(SINGLE)
def irfftn(input, s=None, dim=None, norm=None, *, out=None):
    """Compute the inverse of ``rfftn``: ``ifft`` along all but the last dim, then ``irfft``.

    Args:
        s: Sizes of the result along ``dim``. Give the last one if it is odd. Default: those of
            ``input``, but 2·(m - 1) for the last dim, where m is its size.

    Returns:
        Real tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> x = torch.ones(2, 4)
    >>> torch.fft.irfftn(torch.fft.rfftn(x))
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    return from_half("irfftn", input, s, dim, norm, True, out)


@autocasts(SINGLE)
def hfftn(input, s=None, dim=None, norm=None, *, out=None):
    """Compute ``fftn`` of numbers whose transform is real.

    ``input`` is the first half of such numbers along the last dim in ``dim``; the other half
    follows from it, because X at -j is the conjugate of X at j.

    Args:
        s: Sizes of the result along ``dim``. Give the last one if it is odd. Default: those of
            ``input``, but 2·(m - 1) for the last dim, where m is its size.

    Returns:
        Real tensor of ``input``'s shape, with the sizes ``s`` along ``dim``.

    Raises:
        RuntimeError: ``input`` is float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> x = torch.ones(2, 4)
    >>> torch.fft.hfftn(torch.fft.ihfftn(x))
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    return from_half("hfftn", input, s, dim, norm, False, out)


@autocasts(SINGLE)
def ihfftn(input, s=None, dim=None, norm=None, *, out=None):
    """Compute the inverse of ``hfftn``: the first half of the inverse transform.

    Args:
        input: Tensor of any shape ``(*)``, real.

    Returns:
        Complex tensor of ``input``'s shape, with the sizes ``s`` along ``dim``. The last of these
        dims has n // 2 + 1 elements instead of n.

    Raises:
        RuntimeError: ``input`` is complex, float16 or bfloat16, or a size is less than 1.

    >>> import rushlight as torch
    >>> torch.fft.ihfftn(torch.ones(2, 4)).real
    tensor([[1., 0., 0.],
            [0., 0., 0.]])
    """
    return first_half("ihfftn", input, s, dim, norm, True, out)
