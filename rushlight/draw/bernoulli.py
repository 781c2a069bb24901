"""Random zeros and ones, and the factors that dropout multiplies its input by.

``continuous.py`` defines the uniform numbers u32 and u64. With one p for all elements, an element
is 1 if u64 < p. With a p for each element, the element is 1 if u64 < p (for float64 p) or
u32 < float32(p) (for other dtypes). Dropout multiplies by bernoulli(1 - p) / (1 - p).

Source: ATen/native/cpu/DistributionTemplates.h of PyTorch 2.13; live PyTorch.
"""

import math

import numpy as np

from rushlight.draw.words import (
    BOOL,
    DIGITS,
    F64,
    INTEGERS,
    doubles,
    floats,
    in_chunks,
    refuse,
)
from rushlight.dtype import COMPLEX_KINDS
from rushlight.dtype import of as torch_dtype
from rushlight.strides import empty_like, fill, visit_order

__all__ = ["bernoulli", "bernoulli_like", "dropout_noise"]

_LARGE = 1e-3  # a number above it has a finite inverse in every dtype
KNOWN = {BOOL, *INTEGERS, *DIGITS}


def bernoulli(generator, count, dtype, p):
    """Draw ``count`` numbers: each is 1 with probability ``p``, else 0.

    Raises:
        RuntimeError: p is not inside [0, 1].
        NotImplementedError: ``dtype`` is complex, uint16, uint32 or uint64.
    """
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"bernoulli_: expects p in [0, 1], but got p={p}")
    if count and dtype not in KNOWN:
        refuse("bernoulli_", dtype)
    # An element is 1 if d mod 2^53 < p 2^53, for the 64-bit draw d. The high word of d decides;
    # the low word matters only where the high word ties.
    high, low = divmod(math.ceil(p * 2.0**53), 1 << 32)

    def make(n):
        words = generator.words(2 * n)
        top = words[0::2] & 0x1FFFFF
        hits = top < high
        if low:
            ties = top == high
            if generator.noted or ties.any():
                hits |= ties & (words[1::2] < low)
        return hits.astype(dtype, copy=False)

    with generator.lock:
        return in_chunks(make, count, dtype)


def bernoulli_like(generator, out, p):
    """Fill ``out`` with zeros and ones; the array ``p``, broadcast, holds the probabilities of 1.

    Raises:
        RuntimeError: a probability is outside [0, 1], or ``p`` does not broadcast to ``out``.
        NotImplementedError: ``p`` is not floating point, or ``out`` is complex, uint16, uint32 or
            uint64.
    """
    if out.size == 0:
        return out
    for dtype, known in ((out.dtype, KNOWN), (p.dtype, DIGITS)):
        if dtype not in known:
            refuse("bernoulli", dtype)
    try:
        p = np.broadcast_to(p, out.shape)
    except ValueError:
        raise RuntimeError(
            f"bernoulli_: p of shape {p.shape} does not expand to {out.shape}"
        ) from None
    p = p.transpose(visit_order(out.shape, out.strides)).reshape(-1)
    if p.dtype != F64:
        p = p.astype(np.float32, copy=False)
    inside = (p >= 0.0) & (p <= 1.0)
    draw = doubles if p.dtype == F64 else floats
    if not inside.all():
        first = int(inside.argmin())
        with generator.lock:
            draw(generator, first)  # PyTorch draws for the elements before it
        raise RuntimeError(f"bernoulli: expects p in [0, 1], but got p={p[first]}")
    with generator.lock:
        return fill(out, draw(generator, out.size) < p)


def dropout_noise(generator, x, p, draw=bernoulli):
    """Draw the factors that dropout multiplies ``x`` by: 0 with probability p, else 1 / (1 - p).

    If p is 0 or 1, no random number is drawn. The result has the memory layout of ``x``. ``draw``
    has the arguments of ``bernoulli``.

    Raises:
        RuntimeError: p is not inside [0, 1], or ``x`` is not floating point.
    """
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout: expects p in [0, 1], but got p={p}")
    if p in (0.0, 1.0):
        noise = empty_like(x)
        noise[...] = 1.0 - p
        return noise
    if x.dtype not in DIGITS:
        if x.dtype.kind in COMPLEX_KINDS:
            refuse("dropout", x.dtype)
        raise RuntimeError(f"dropout: x is {torch_dtype(x.dtype)}; it must be floating point")
    keep = 1.0 - p
    real = np.float64 if x.dtype == F64 else np.float32
    noise = draw(generator, x.size, x.dtype, keep)
    if x.flags.c_contiguous:
        noise = noise.reshape(x.shape)
    else:
        noise = fill(empty_like(x), noise)
    if keep > _LARGE:
        noise *= x.dtype.type(real(1.0) / real(keep))
        return noise
    with np.errstate(over="ignore"):
        scale = x.dtype.type(real(1.0) / real(keep))
    if np.isinf(scale):
        noise[noise != 0] = scale
    else:
        noise *= scale
    return noise
