"""The frequencies to which the results of Fourier transforms belong, and their order."""

import math

from rushlight import shapes
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.create.filled import dtype_of, finished, options
from rushlight.ops.create.range import arange
from rushlight.ops.shape.join import cat
from rushlight.ops.shape.repeat import roll

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def _dtype(name, dtype, layout, device, out):
    given = dtype_of(out, name)
    if given is not None and dtype not in (None, given):
        raise DtypeError(f"{name}: dtype {dtype} does not match dtype of out parameter ({given})")
    d = options(given or dtype, layout, device, name)
    if d.is_complex:
        raise UnsupportedDtypeError(f"{name} is not implemented for {d}")
    if d.category < 2:
        raise DtypeError(f"{name} requires a floating point or complex dtype, not {d}")
    return d


def _divided(indices, n, d, dtype):
    """Return the frequencies of the integers in ``indices``: divide them by ``n`` and ``d``."""
    scale = n * float(d)
    return indices.to(dtype) * (1.0 / scale if scale else math.copysign(math.inf, scale))


def fftfreq(
    n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return the frequencies of the elements that ``fft`` gives: 0, 1, …, -2, -1 divided by n·d.

    Args:
        n: Number of elements of the transformed signal.

    Returns:
        Tensor ``(n,)``: the frequencies from 0 up, and then the negative ones.

    Raises:
        RuntimeError: ``n`` is negative, or ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    dtype = _dtype("fftfreq", dtype, layout, device, out)
    shapes.sizes((n,), "fftfreq")
    found = cat([arange((n + 1) // 2), arange(-(n // 2), 0)])
    return finished(_divided(found, n, d, dtype), requires_grad, out, "fftfreq")


def rfftfreq(
    n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """Return the frequencies of the elements that ``rfft`` gives: 0, 1, …, n // 2 divided by n·d.

    Args:
        n: Number of elements of the transformed signal.

    Returns:
        Tensor ``(n // 2 + 1,)``.

    Raises:
        RuntimeError: ``dtype`` is not floating point.

    >>> import rushlight as torch
    >>> torch.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    dtype = _dtype("rfftfreq", dtype, layout, device, out)
    return finished(_divided(arange(int(n / 2) + 1), n, d, dtype), requires_grad, out, "rfftfreq")


def fftshift(input, dim=None):
    """Put the element of frequency 0 into the middle, and the negative frequencies before it.

    Args:
        dim: The dim or dims (tuple) to shift. Negative dims count from the end. Default: all.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: There is no dim to shift.

    >>> import rushlight as torch
    >>> torch.fft.fftshift(torch.fft.fftfreq(4))
    tensor([-0.5000, -0.2500,  0.0000,  0.2500])
    """
    return _rolled(input, dim, "fftshift", lambda n: n // 2)


def ifftshift(input, dim=None):
    """Undo ``fftshift``: put the element in the middle first.

    Args:
        dim: The dim or dims (tuple) to shift. Negative dims count from the end. Default: all.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: There is no dim to shift.

    >>> import rushlight as torch
    >>> torch.fft.ifftshift(torch.tensor([-1, 0, 1]))
    tensor([ 0,  1, -1])
    """
    return _rolled(input, dim, "ifftshift", lambda n: (n + 1) // 2)


def _rolled(x, dim, name, places):
    if dim is None:
        dim = range(x.ndim)
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims:
        raise RuntimeError(f"{name}: `shifts` required: there is no dim to shift")
    return roll(x, tuple([places(x.shape[shapes.dim(d, x.ndim, name)]) for d in dims]), dims)
