"""Orthogonal polynomials on devices: a work-item for each element goes through the degrees.

As in PyTorch's loops, a degree of many millions takes long.
"""

from fractions import Fraction

from rushlight.dtype import get_default_dtype
from rushlight.ops.core.work_groups import groups, in_groups, items
from rushlight.tensor import Tensor

__all__ = ["by_recurrence"]


def _polynomial(given, degrees, count, size, shifted, f1, f0, a1, a0, b1, b0, c1, c0, d1, out):
    """The first polynomial is f1 x + f0, the next one of q and p

    ((a1 k + a0) x q + (b1 k + b0) q - (c1 k + c0) p) / (d1 k + 1).
    """
    for g in groups(count):
        for item in items(128):
            i = g * 128 + item
            if i < size:
                x = 2 * given[i] - 1 if shifted else given[i]
                n = degrees[i]
                degree = int(n) if n > -1 and n < 9e18 else -1
                before = 1.0
                found = float(f1) * x + float(f0)
                for k in range(1, degree):
                    if found != found:
                        break
                    at = float(k)
                    after = (float(a1) * at + float(a0)) * x * found
                    after += (float(b1) * at + float(b0)) * found
                    after -= (float(c1) * at + float(c0)) * before
                    before = found
                    found = after / (float(d1) * at + 1.0)
                if degree < 1:
                    found = 1.0 if degree == 0 else 0.0
                out[i] = found


def _numbers(first, step):
    """The integers of ``_polynomial`` for a family; ``step`` is linear in q and in p."""
    one = Fraction(1)
    d1 = 1 if step(1, 0, 0, one).denominator > 1 else 0
    line = lambda f: (f(1) - f(0), f(0))
    scaled = lambda k, x, q, p: (d1 * k + 1) * step(k, x, q, p)
    numbers = (
        *line(first), *line(lambda k: scaled(k, 1, one, 0) - scaled(k, 0, one, 0)),
        *line(lambda k: scaled(k, 0, one, 0)), *line(lambda k: -scaled(k, 0, 0, one)), d1,
    )  # fmt: skip
    return tuple(map(int, numbers))


def by_recurrence(x, n, first, step, shifted):
    """The polynomials of the degrees ``n`` at ``x``; one of them may be a number.

    ``first`` and ``step`` are those of ``polynomials.py``.
    """
    both = x + n
    both = both if both.is_floating_point() else both.to(get_default_dtype())
    shape, size = both.shape, both.numel()
    given = [
        v.to(both.dtype).expand(shape) if isinstance(v, Tensor) else both.new_full(shape, float(v))
        for v in (x, n)
    ]
    numbers = size, int(shifted), *_numbers(first, step)
    return in_groups(_polynomial, given, -(-size // 128), numbers, [shape])
