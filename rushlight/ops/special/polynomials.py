"""Orthogonal polynomials of degree ``n``, element by element, without gradients.

Each family is its polynomial of degree 1 and its recurrence, which gives the polynomial of the next
degree from the two before it. Source: NIST Digital Library of Mathematical Functions, table 18.9.1;
for the four kinds of Chebyshev polynomials Mason and Handscomb 2003, Chebyshev Polynomials, ch. 1.
"""

import numpy as np

from rushlight.ops.core.kinds import elementwise
from rushlight.ops.elementwise.exponential import full_precision
from rushlight.ops.special.recurrences import by_recurrence

__all__ = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v",
    "chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he",
    "laguerre_polynomial_l", "legendre_polynomial_p", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
]  # fmt: skip

#: Above this degree the sines of Chebyshev polynomials are faster than their recurrence.
_HIGH = 8
_BLOCK = 1 << 13  # so many elements are computed together
#: After so many steps a recurrence looks whether there is still a finite number to go on with.
_LOOKS = 64
#: Above this degree the asymptotic formulas are right to 9 digits, and a recurrence takes a second.
_FAR = 1 << 17


def _typed(x, n):
    """``x`` as an array; a Python number gets the dtype of ``n``, which is an array then."""
    return x if hasattr(x, "dtype") else np.asarray(x, n.dtype)


def _degrees(n):
    """``n`` rounded towards 0; -1 stands for everything that no int64 can be, also nan and inf."""
    return np.where((n > -1) & (n < 2.0**63), np.trunc(n), -1)


def _by_recurrence(out, x, n, first, step, far=None):
    """Write the polynomials of the degrees ``n`` at ``x`` into ``out``; 0 for degrees below 0.

    ``first(x)`` has degree 1, and ``step(k, x, q, p)`` degree k + 1, if q and p have k and k - 1.
    ``far(n, x)``: a formula for degrees above ``_FAR``, which the recurrence would hardly reach.
    """
    np.copyto(out, n == 0)
    p, q = np.ones_like(x), first(x)
    degrees = {int(k) for k in np.unique(n) if k > 0}
    if far is not None and max(degrees, default=0) > _FAR:
        at = n > _FAR
        with np.errstate(all="ignore"):
            out[at] = far(n[at].astype(np.float64), x[at].astype(np.float64))
        np.copyto(out, np.nan, where=at & ~np.isfinite(out))  # as the recurrence's inf - inf
        degrees = {k for k in degrees if k <= _FAR}
        n = np.where(at, 0, n)
    for k in range(1, max(degrees, default=0) + 1):
        if k in degrees:
            np.copyto(out, q, where=n == k)
        if k % _LOOKS == 0 and not np.isfinite(q[n > k]).any():
            np.copyto(out, np.nan, where=n > k)  # as PyTorch's loop, which ends at nan
            break
        p, q = q, step(k, x, q, p)
    return out


def _of_degree(out, x, degree, first, step):
    """Write the polynomials of one degree at ``x`` into ``out``, block by block in the cache."""
    if degree < 1:
        out[...] = degree == 0
        return out
    flat, into, count = x, out, max(1, x.size)
    if x.flags.c_contiguous and out.flags.c_contiguous:
        flat, into, count = x.reshape(-1), out.reshape(-1), _BLOCK
    for start in range(0, x.size, count):
        block = slice(start, start + count) if flat.ndim else ...
        part = flat[block]
        p, q = np.ones_like(part), first(part)
        for k in range(1, degree):
            p, q = q, step(k, part, q, p)
        into[block] = q
    return out


def _at_ends(x, n, first):
    """Chebyshev polynomials where ``x`` is 1 or -1: the one of degree n is ±(1 + cn)."""
    signs = np.where((x < 0) & (n % 2 == 1), -1, 1)
    return signs * (1 + n * (x * first(x) - 1))


def _chebyshev_step(k, x, q, p):
    return 2 * x * q - p


def _polynomial(title, first, step, what, example, angle=None, shifted=False, far=None):
    """The operation ``torch.special.title``.

    ``first``, ``step`` and ``far`` are those of ``_by_recurrence``. ``angle(n, θ)`` is the
    polynomial at cos(θ), if there is such a formula. ``shifted``: the polynomial takes 2 · x - 1 in
    place of x.
    """

    def forward(xp, x, n):
        broadcast = xp.broadcast_arrays  # which kernels lack, so they refuse here
        if type(n) is int and n < _HIGH:
            x = 2 * x - 1 if shifted else x
            return _of_degree(np.empty_like(x), x, n, first, step)
        x = _typed(x, n)
        given, (x, n) = n, broadcast(x, n)
        out = np.empty_like(xp.logical_or(x, n), x.dtype)  # ``out`` lies as a ufunc's result does
        degree = int(_degrees(given)) if np.ndim(given) == 0 else _LOOKS
        x = 2 * x - 1 if shifted else x
        if degree <= _HIGH or (angle is None and degree < _LOOKS):
            return _of_degree(out, x, degree, first, step)
        n = _degrees(n)
        if angle is None:
            return _by_recurrence(out, x, n, first, step, far)
        inner = (abs(x) < 1) & (n > _HIGH)
        end = (abs(x) == 1) & (n > _HIGH)
        beyond = lambda n, x: angle(n, np.arccos(x.astype(complex))).real
        _by_recurrence(out, x, np.where(inner | end, 0, n), first, step, beyond)
        out[end] = _at_ends(x[end], n[end], first)
        # The angle is multiplied by n, so float32 would be too coarse for it.
        out[inner] = angle(n[inner], np.arccos(x[inner].astype(np.float64)))
        return out

    forward.__name__ = title
    forward.__doc__ = _text(title, what, *example)
    call = elementwise(forward, name=f"special_{title}", dtype=full_precision, public=False,
                       method=False, inplace=False, keeps_order=(0, 1))  # fmt: skip
    call.lower_on_devices(lambda x, n: by_recurrence(x, n, first, step, shifted))
    return call


def _text(title, what, degree, printed):
    """The docstring; the example has the polynomial of ``degree`` at 0.5 and 2."""
    return f"""Compute the {what} of degree ``n``.

    There is no gradient, as in PyTorch.

    Args:
        input: Tensor of any shape ``(*)``, real, not half precision; or a number if ``n``
            is a tensor.
        n: The degree: a tensor or a number. Fractions are rounded towards 0; degrees below 0 give
            0. The tensors are broadcast to one shape.

    Returns:
        Floating-point tensor of the shape to which ``input`` and ``n`` are broadcast.

    Raises:
        NotImplementedError: An operand is complex or has half precision.

    >>> import rushlight as torch
    >>> torch.special.{title}(torch.tensor([0.5, 2.0]), {degree})
    tensor({printed})
    """


# Chebyshev polynomials --------------------------------------------------------------------


def _kind(letter, first, angle, kind, plain, shifted):
    """A kind of Chebyshev polynomials, and its shifted twin."""
    name, what = f"chebyshev_polynomial_{letter}", f"Chebyshev polynomial of the {kind} kind"
    step = _chebyshev_step
    return (
        _polynomial(name, first, step, what, plain, angle),
        _polynomial(f"shifted_{name}", first, step, f"shifted {what}", shifted, angle, True),
    )


chebyshev_polynomial_t, shifted_chebyshev_polynomial_t = _kind(
    "t", lambda x: x, lambda n, a: np.cos(n * a),
    "first", (3, "[-1., 26.]"), (3, "[-0., 99.]"),
)  # fmt: skip
chebyshev_polynomial_u, shifted_chebyshev_polynomial_u = _kind(
    "u", lambda x: 2 * x, lambda n, a: np.sin((n + 1) * a) / np.sin(a),
    "second", (3, "[-1., 56.]"), (3, "[ -0., 204.]"),
)  # fmt: skip
chebyshev_polynomial_v, shifted_chebyshev_polynomial_v = _kind(
    "v", lambda x: 2 * x - 1, lambda n, a: np.cos((n + 0.5) * a) / np.cos(a / 2),
    "third", (3, "[-1., 41.]"), (3, "[  1., 169.]"),
)  # fmt: skip
chebyshev_polynomial_w, shifted_chebyshev_polynomial_w = _kind(
    "w", lambda x: 2 * x + 1, lambda n, a: np.sin((n + 0.5) * a) / np.sin(a / 2),
    "fourth", (3, "[-1., 71.]"), (3, "[ -1., 239.]"),
)  # fmt: skip

# Other families ---------------------------------------------------------------------------


def _laguerre_far(n, x):
    """The Laguerre polynomials of large degrees; an x so large that t is above 1 overflows.

    Source: NIST Digital Library of Mathematical Functions, 18.15.19, and its like for x below 0.
    """
    from scipy.special import i0e, j0

    nu = 4 * n + 2
    t = x / nu
    size = np.abs(t)
    root = np.sqrt(size * (1 - t))
    phase = (root + np.where(t > 0, np.arcsin(np.sqrt(size)), np.arcsinh(np.sqrt(size)))) / 2
    wave = np.where(t > 0, j0(nu * phase), i0e(nu * phase) * np.exp(nu * phase))
    return np.where(x == 0, 1, np.exp(x / 2) * np.sqrt(phase / root) * wave)


def _legendre_far(n, x):
    """The Legendre polynomials of large degrees.

    Source: NIST Digital Library of Mathematical Functions, 18.15.6 with two terms; beyond 1, where
    the angle is imaginary, with one.
    """
    from scipy.special import i0e, j0, j1

    size, high = np.abs(x), n + 0.5
    inside = size < 1
    angle = np.where(inside, np.arccos(np.minimum(size, 1)), np.arccosh(np.maximum(size, 1)))
    wave = np.where(
        inside,
        j0(high * angle) + (1 / np.tan(angle) - 1 / angle) / (8 * high) * j1(high * angle),
        i0e(high * angle) * np.exp(high * angle),
    )
    found = np.sqrt(angle / np.where(inside, np.sin(angle), np.sinh(angle))) * wave
    found = np.where(size == 1, 1, found)
    return np.where(n % 2 == 1, np.sign(x) * found, found)


hermite_polynomial_h = _polynomial(
    "hermite_polynomial_h", lambda x: 2 * x, lambda k, x, q, p: 2 * x * q - 2 * k * p,
    "physicist's Hermite polynomial", (3, "[-5., 40.]"),
)  # fmt: skip
hermite_polynomial_he = _polynomial(
    "hermite_polynomial_he", lambda x: x, lambda k, x, q, p: x * q - k * p,
    "probabilist's Hermite polynomial", (3, "[-1.3750,  2.0000]"),
)  # fmt: skip
laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l", lambda x: 1 - x,
    lambda k, x, q, p: ((2 * k + 1 - x) * q - k * p) / (k + 1),
    "Laguerre polynomial", (3, "[-0.1458, -0.3333]"), far=_laguerre_far,
)  # fmt: skip
legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p", lambda x: x,
    lambda k, x, q, p: ((2 * k + 1) * x * q - k * p) / (k + 1),
    "Legendre polynomial", (3, "[-0.4375, 17.0000]"), far=_legendre_far,
)  # fmt: skip
