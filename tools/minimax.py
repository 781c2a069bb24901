"""Compute the compiler's polynomials for exp, log, sin, …, by Remez' exchange algorithm.

Run ``python tools/minimax.py`` after a change of a row below (a function, an interval, a number of
terms). It writes the compiler's ``coefficients.py`` (``TARGET`` below), and prints how far each
polynomial is from its function, in bits. It needs mpmath, which is in the ``test`` extra.

Each row approximates its ``goal`` by a polynomial P. The row's ``weight`` turns the error of P into
the relative error of the whole function. Example: sin(r) is evaluated as r + r³ P(z) with z = r²,
so the goal is (sin(r) - r) / r³ and the weight is r³ / sin(r). Where that weight would be 0 within
the interval, the row gives its largest value as the weight of the whole interval.
"""

import pathlib
from itertools import pairwise
from typing import NamedTuple

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.prec = 300
ROOT = pathlib.Path(__file__).parents[1]
TARGET = ROOT / "rushlight/compiler/codegen/math/coefficients.py"


# Remez -----------------------------------------------------------------------------------


def remez(goal, weight, low, high, terms):
    """The coefficients, lowest first, of the polynomial nearest to ``goal``; and its error.

    The error of the best polynomial swings between +E and -E at ``terms + 1`` places. From a
    guess of the places follow the coefficients and E; the swings of that polynomial are a better
    guess.
    """
    places = [
        (low + high) / 2 - mp.cos(mp.pi * i / terms) * (high - low) / 2 for i in range(terms + 1)
    ]
    for _ in range(12):
        powers = [[x**k for k in range(terms)] for x in places]
        rows = [[*row, (-1) ** i / weight(places[i])] for i, row in enumerate(powers)]
        *found, even = mp.lu_solve(mp.matrix(rows), mp.matrix([goal(x) for x in places]))
        error = lambda x, c=found: (_value(c, x) - goal(x)) * weight(x)
        places = _swings(error, places, low, high)
        worst = max(abs(error(x)) for x in places)
        if worst < abs(even) * mpf("1.01"):
            return found, worst
    raise ValueError(f"{terms} terms: no convergence; try another number of them")


def _value(coefficients, x):
    """Σ coefficients[k] x^k."""
    found = mpf(0)
    for c in reversed(coefficients):
        found = found * x + c
    return found


def _swings(error, places, low, high):
    """Where ``error`` is largest between each two of its zeros."""
    zeros = [low]
    for a, b in pairwise(places):
        zeros.append(_zero(error, a, b))
    zeros.append(high)
    return [_peak(error, a, b) for a, b in pairwise(zeros)]


def _zero(f, a, b):
    sign = mp.sign(f(a))
    if sign == mp.sign(f(b)):
        return (a + b) / 2
    for _ in range(40):
        middle = (a + b) / 2
        a, b = (middle, b) if mp.sign(f(middle)) == sign else (a, middle)
    return a


def _peak(f, a, b):
    """The largest |f| between a and b, by golden section."""
    ratio = (mp.sqrt(5) - 1) / 2
    start, end = a, b
    for _ in range(30):
        left, right = b - ratio * (b - a), a + ratio * (b - a)
        a, b = (left, b) if abs(f(left)) < abs(f(right)) else (a, right)
    return max((start, (a + b) / 2, end), key=lambda x: abs(f(x)))


# The polynomials -------------------------------------------------------------------------


class Row(NamedTuple):
    """One polynomial: its name, what it stands for, and how many terms each precision takes."""

    name: str
    meaning: str
    goal: object
    weight: object
    low: object
    high: object
    single: int
    double: int


def odd(f):
    """Goal and weight of P where f(x) = x + x³ P(x²), as functions of z = x²."""

    def goal(z):
        with mp.workprec(600):
            x = mp.sqrt(z)
            return (f(x) - x) / (x * z)

    return goal, lambda z: z * mp.sqrt(z) / f(mp.sqrt(z))


def rows():
    tiny = mpf(2) ** -60
    half_ln2 = mp.ln2 / 2 * mpf("1.001")
    root = mp.sqrt(2)
    quarter = (mp.pi / 4 * mpf("1.01")) ** 2
    log_tail = lambda f: (mp.log1p(f) - f + f * f / 2) / f**3
    return [
        Row(
            "EXPM1",
            "expm1(r) = r + r² P(r), |r| ≤ ln 2 / 2",
            lambda r: (mp.expm1(r) - r) / r**2,
            lambda r: half_ln2,
            -half_ln2,
            half_ln2,
            5,
            11,
        ),
        Row(
            "EXP2",
            "2^r = 1 + r P(r), |r| ≤ 1/2",
            lambda r: (mpf(2) ** r - 1) / r if r else mp.ln2,
            lambda r: mpf("0.5"),
            mpf("-0.5"),
            mpf("0.5"),
            6,
            11,
        ),
        Row(
            "LOG1P",
            "log1p(f) = f - f²/2 + f³ P(f), √½ ≤ 1 + f ≤ √2",
            log_tail,
            lambda f: mpf("0.17"),
            1 / root - 1,
            root - 1,
            9,
            20,
        ),
        Row(
            "ATANH",
            "atanh(s) = s + s³/3 + s⁵ P(s²), |s| ≤ (√2 - 1) / (√2 + 1)",
            lambda z: (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1 - z / 3) / z**2,
            lambda z: z**2,
            tiny,
            mpf("0.02945"),
            3,
            8,
        ),
        Row("SIN", "sin(r) = r + r³ P(r²), |r| ≤ π/4", *odd(mp.sin), tiny, quarter, 3, 6),
        Row(
            "COS",
            "cos(r) = 1 - r²/2 + r⁴ P(r²), |r| ≤ π/4",
            lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
            lambda z: z**2 / mp.cos(mp.sqrt(z)),
            tiny,
            quarter,
            3,
            6,
        ),
        Row("TAN", "tan(r) = r + r³ P(r²), |r| ≤ π/4", *odd(mp.tan), tiny, quarter, 7, 15),
        Row(
            "ASIN",
            "asin(x) = x + x³ P(x²), |x| ≤ 0.5405",
            *odd(mp.asin),
            tiny,
            mpf("0.2925"),
            5,
            13,
        ),
        Row("ATAN", "atan(t) = t + t³ P(t²), |t| ≤ 1/2", *odd(mp.atan), tiny, mpf("0.2501"), 6, 13),
        Row("SINH", "sinh(x) = x + x³ P(x²), |x| ≤ 1", *odd(mp.sinh), tiny, mpf(1), 4, 7),
        Row("TANH", "tanh(x) = x + x³ P(x²), |x| ≤ 0.6", *odd(mp.tanh), tiny, mpf("0.36"), 5, 11),
        Row(
            "ERF",
            "erf(x) = x + x P(x²), |x| ≤ 1¼",
            lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
            lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
            tiny,
            mpf("1.5625"),
            8,
            14,
        ),
        Row(
            "ERFC",
            "erfc(1¼ + t) = P(t)⁸, 0 ≤ t ≤ 4¾, as precise as 1 - erfc must be",
            lambda t: mp.erfc(mpf("1.25") + t) ** (mpf(1) / 8),
            lambda t: 8 * mp.erfc(mpf("1.25") + t) ** (mpf(7) / 8),
            mpf(0),
            mpf("4.75"),
            9,
            16,
        ),
    ]


def _written(coefficients, digits):
    words = [mpmath.nstr(c, digits, min_fixed=-4, max_fixed=3) for c in coefficients]
    lines, line = [], "       "
    for word in words:
        if len(line) + len(word) > 96:
            lines.append(line)
            line = "       "
        line += f" {word},"
    return "\n".join([*lines, line])


HEAD = '''"""Constants, and coefficients of polynomials with the lowest power first.

Written by tools/minimax.py, which says how they were found.
"""

# fmt: off

import numpy as np

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)

# Constants in parts that add up to them.'''


# Constants -------------------------------------------------------------------------------


def constants():
    """Name, value and number of parts of the constants whose rounding would show."""
    return [
        ("LN2", mp.ln2, 2),
        ("THIRD", mpf(1) / 3, 2),
        ("LOG2_E", 1 / mp.ln2, 2),
        ("LOG10_E", 1 / mp.ln10, 2),
        ("LOG10_2", mp.ln2 / mp.ln10, 2),
        ("HALF_PI", mp.pi / 2, 3),
    ]


def parts(value, count, dtype):
    """Numbers of ``dtype`` that add up to ``value``, each the rest of it rounded."""
    found = []
    for _ in range(count):
        found.append(float(dtype(float(value))))
        value -= mpf(found[-1])
    return ", ".join(map(repr, found))


def _two_over_pi(bits):
    with mp.workprec(bits + 64):
        text = f"{int(mp.floor(2 / mp.pi * mpf(2) ** bits)):x}"
    lines = [f'    "{text[i : i + 80]}"' for i in range(0, len(text), 80)]
    return "\n".join(lines)


def main():
    text = [HEAD]
    for name, value, count in constants():
        text.append(f"{name} = {{")
        for word, dtype in (("SINGLE", np.float32), ("DOUBLE", np.float64)):
            text.append(f"    {word}: ({parts(value, count, dtype)}),")
        text.append("}")
    text.append("\n#: The first 1168 bits of 2 / π.")
    text.append(f"TWO_OVER_PI = int(\n{_two_over_pi(1168)}, 16\n)")
    for row in rows():
        text.append(f"\n#: {row.meaning}.\n{row.name} = {{")
        for dtype, terms, digits in (("SINGLE", row.single, 11), ("DOUBLE", row.double, 19)):
            found, error = remez(row.goal, row.weight, row.low, row.high, terms)
            print(f"{row.name:6} {dtype}: {terms:2} terms, error 2^{float(mp.log(error, 2)):.1f}")
            text.append(f"    {dtype}: (\n{_written(found, digits)}\n    ),")
        text.append("}")
    TARGET.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
