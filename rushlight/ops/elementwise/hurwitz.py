"""The Hurwitz zeta function on devices: a work-item for each element.

Terms are added until their base is above 9. The Euler-Maclaurin formula gives the rest.

Source: NIST Digital Library of Mathematical Functions, 25.11.5 and 25.11.28; what is given where
the sum has no limit is SciPy's and PyTorch's.
"""

from math import floor, inf, nan, pow

from rushlight.dtype import get_default_dtype
from rushlight.ops.core.work_groups import groups, in_groups, items
from rushlight.tensor import Tensor

__all__ = ["hurwitz"]

#: (2k)! over the Bernoulli numbers B₂ₖ, for k from 1 on.
_FACTORS = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10,
    -2.950130727918164224e12, 1.1646782814350067249e14, -4.5979787224074726105e15,
    1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip


def _power(base, s):
    """base^-s; s is an integer if base is below 0."""
    size = pow(abs(base), -s)
    half = s / 2
    return -size if base < 0 and half != floor(half) else size


def _value(s, q):
    found = _power(q, s)
    base = q
    steps = 0
    term = found
    while steps < 9 or base <= 9:
        steps += 1
        base += 1.0
        term = _power(base, s)
        found += term
    found += term * base / (s - 1)
    found -= term / 2
    factor = 1.0
    shift = 0.0
    for f in _FACTORS:
        factor = factor * (s + shift)
        term = term / base
        found += factor * term / f
        factor = factor * (s + shift + 1)
        term = term / base
        shift += 2.0
    return found


def _reflected(s, q):
    """The sum for an integer s and q below 0, whose terms below 0 belong to a sum above 0."""
    f = q - floor(q)
    half = s / 2
    if half == floor(half):
        found = _value(s, f) + _value(s, 1 - f) - _value(s, 1 - q)
    else:
        found = _value(s, f) - _value(s, 1 - f) + _value(s, 1 - q)
    return found


def _hurwitz(s, q, count, size, out):
    for g in groups(count):
        for k in items(128):
            i = g * 128 + k
            if i < size:
                x = s[i]
                a = q[i]
                out[i] = nan
                if x == 1 or (x > 1 and a <= 0 and a == floor(a)):
                    out[i] = inf
                elif x > 1 and a > 1e8:  # the sum would not change the first terms
                    out[i] = (1 / (x - 1) + 1 / (2 * a)) * pow(a, 1 - x)
                elif x > 1 and x == floor(x) and a < -9:  # q - floor(q) is exact from here on
                    out[i] = _reflected(x, a)
                elif x > 1 and (a > 0 or x == floor(x)):
                    out[i] = _value(x, a)


def hurwitz(x, y):
    """The sum over k ≥ 0 of (k + y)^-x; the operands are tensors, or one is a number."""
    both = x + y
    both = both if both.is_floating_point() else both.to(get_default_dtype())
    shape, n = both.shape, both.numel()
    given = [
        v.to(both.dtype).expand(shape) if isinstance(v, Tensor) else both.new_full(shape, v)
        for v in (x, y)
    ]
    return in_groups(_hurwitz, given, -(-n // 128), (n,), [shape])
