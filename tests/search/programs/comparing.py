"""When two numbers are the same but for rounding."""

from dataclasses import dataclass

import numpy as np

from tests.search.programs.scopes import eps, is_exact, wide

ERRORS = (RuntimeError, IndexError, ValueError, TypeError, ZeroDivisionError, AttributeError)


@dataclass
class Difference:
    """``kind`` tells one fault from another while a program is made smaller."""

    kind: str
    text: str

    def __str__(self):
        return f"{self.kind}: {self.text}"


def same_numbers(x, y):
    """Whether two arrays have the same numbers, nan included."""
    if x.tobytes() == y.tobytes():
        return True
    return bool(np.all((x == y) | ((x != x) & (y != y))))


def spread_of(want, noisy):
    """How far noise moves each number; inf where it makes or takes away nan and infinity."""
    x = wide(want)
    spread = np.zeros(x.shape)
    with np.errstate(all="ignore"):
        for other in noisy:
            if other.shape != want.shape:
                return np.full(x.shape, np.inf)
            y = wide(other)
            apart = np.abs(y - x)
            same = (x == y) | (np.isnan(x) & np.isnan(y))
            spread = np.maximum(spread, np.where(same, 0, np.where(np.isnan(apart), np.inf, apart)))
    return spread


def mismatch(found, want, noisy, floor=0.0, digits=8):
    """What is wrong with ``found``, in words, or None.

    ``floor``, ``digits``: the errors that are allowed, in eps and in eps of each number.
    """
    if found.dtype != want.dtype:
        return f"dtype {found.dtype} instead of {want.dtype}"
    if found.shape != want.shape:
        return f"shape {found.shape} instead of {want.shape}"
    if not want.size or found.tobytes() == want.tobytes():
        return None
    if is_exact(want.dtype):
        bad = found != want
        for other in noisy:
            if other.shape == want.shape:
                bad &= other == want
    else:
        bad = _apart(found, want, noisy, floor, digits)
    if not bad.any():
        return None
    at = tuple(int(i[0]) for i in np.nonzero(bad)) if bad.ndim else ()
    return f"{found[at]} instead of {want[at]} at {at}, {np.count_nonzero(bad)} of {bad.size} wrong"


def _apart(found, want, noisy, floor, digits):
    x, y, spread = wide(found), wide(want), spread_of(want, noisy)
    real = want.real.dtype if want.dtype.kind == "c" else want.dtype
    digit = eps(real)
    finite = spread[np.isfinite(spread)]
    usual = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    with np.errstate(all="ignore"):
        slack = 10 * spread + 4 * usual + digit * (digits * np.abs(y) + floor)
        slack += SMALLEST[np.dtype(real).name]
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        if want.dtype.kind == "c":  # infinities of complex numbers depend on how products are made
            same |= ~np.isfinite(x) & ~np.isfinite(y)
        return ~same & ~(np.abs(x - y) <= slack)


SMALLEST = {"float64": 1e-300, "float32": 1e-36, "float16": 3e-7, "bfloat16": 1e-36}


def unstable(want, noisy):
    """Whether noise makes so much of a value that a comparison would say little."""
    if not want.size:
        return False
    if is_exact(want.dtype):
        return any(other.shape != want.shape or (other != want).any() for other in noisy)
    spread = spread_of(want, noisy)
    x = np.abs(wide(want))
    most = np.max(x, where=np.isfinite(x), initial=0.0)
    real = want.real.dtype if want.dtype.kind == "c" else want.dtype
    return bool(np.max(spread) > min(3000 * eps(real), 0.2) * most)


def errors_agree(ours, theirs):
    """Whether two exceptions are of one type, as those who catch them see it."""
    if type(ours) is type(theirs):
        return True
    return any(isinstance(ours, e) and isinstance(theirs, e) for e in ERRORS)
