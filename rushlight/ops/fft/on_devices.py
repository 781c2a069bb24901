"""Fourier transforms as products of matrices, for devices.

A transform of n = a·b numbers is one of a numbers for each of b columns, a rotation, and one of b
numbers for each of a rows (Cooley and Tukey). A transform of few numbers is a product with the
matrix of its factors. One of a large prime is a convolution with a chirp (Bluestein), by transforms
of a power of two. The angles are computed from integers, which are reduced first, so that they are
as exact for large transforms as for small ones.
"""

from math import isqrt, pi, prod

from rushlight.ops.create.range import arange
from rushlight.ops.elementwise.complex import complex_, polar_
from rushlight.ops.fft.kernels import complex_to_complex, complex_to_real, real_to_complex
from rushlight.ops.shape.join import cat
from rushlight.ops.windows.pad import constant_pad

#: Transforms of at most so many numbers are one product of matrices, and larger primes a chirp's.
_MATRIX, _PRIME = 32, 128


def _turns(counts, n, x, inverse):
    """exp(∓2πi·count/n) for a tensor of integers, in the dtype of the complex ``x``."""
    counts = counts % n
    counts = (counts - n).where(counts * 2 > n, counts)
    angles = counts.to(x.dtype.to_real()) * ((2 if inverse else -2) * pi / n)
    return polar_(angles.new_ones(()), angles)


def _factors(n, x, inverse):
    places = arange(n)
    return _turns(places.unsqueeze(1) * places, n, x, inverse)


def _along_last(x, inverse):
    n = x.shape[-1]
    if n == 1:
        return x
    least = next((a for a in range(isqrt(n), 1, -1) if n % a == 0), 1)
    if n <= _MATRIX or (least == 1 and n <= _PRIME):
        return x @ _factors(n, x, inverse)
    if least == 1:
        return _by_chirp(x, inverse)
    a, b = least, n // least
    parts = x.reshape((*x.shape[:-1], a, b))
    columns = _along_last(parts.transpose(-1, -2), inverse).transpose(-1, -2)
    turned = columns * _turns(arange(a).unsqueeze(1) * arange(b), n, x, inverse)
    return _along_last(turned, inverse).transpose(-1, -2).reshape(x.shape)


def _by_chirp(x, inverse):
    """2jk = j² + k² - (k-j)², so the sum over j is a convolution."""
    n = x.shape[-1]
    m = 1 << (2 * n - 2).bit_length()
    places = arange(n)
    chirp = _turns(places * places, 2 * n, x, inverse)
    back = chirp.conj_physical()
    pulse = cat([back, back.new_zeros(m - 2 * n + 1), back[1:].flip(0)])
    spread = constant_pad(x * chirp, pad=(0, m - n))
    found = _along_last(spread, False) * _along_last(pulse, False)
    return (_along_last(found, True) / m)[..., :n] * chirp


def _over(x, dims, inverse):
    for d in dims:
        x = _along_last(x.movedim(d, -1), inverse).movedim(-1, d)
    return x


def _scaled(x, n, norm, inverse):
    if norm == "ortho":
        return x * n**-0.5
    return x * (1 / n) if (norm == "backward") == inverse else x


@complex_to_complex.lower_on_devices
def _whole(x, dim, norm, inverse):
    return _scaled(_over(x, dim, inverse), prod([x.shape[d] for d in dim]), norm, inverse)


@real_to_complex.lower_on_devices
def _of_reals(x, dim, norm, inverse, onesided):
    found = _over(complex_(x, x.new_zeros(())), dim, inverse)
    if onesided:
        found = found.narrow(dim[-1], 0, x.shape[dim[-1]] // 2 + 1)
    return _scaled(found, prod([x.shape[d] for d in dim]), norm, inverse)


@complex_to_real.lower_on_devices
def _to_reals(x, dim, norm, inverse, n):
    *others, last = dim
    x = _over(x, others, inverse)
    if n > 2:  # the others are their own conjugates
        rest = x.narrow(last, 1, (n + 1) // 2 - 1).flip(last).conj_physical()
        x = cat([x, rest], last)
    found = _over(x, (last,), inverse).real
    return _scaled(found, n * prod([x.shape[d] for d in others]), norm, inverse)
