"""Find how the numbers of a recording depend on the dims that may change.

A call is recorded at several sizes, and the numbers of the recordings are compared. A polynomial of
degree one in each size (such as N, 2·L, N·L + 1) is determined by its values at the corners of a
box of sizes. One more recording, inside the box, tests whether the number is such a polynomial.
"""

import itertools
from math import prod
from typing import Any

from rushlight.errors import TraceError

__all__ = ["Size", "Unknown", "corners", "same", "solve"]


class Size:
    """A polynomial in the sizes of named dims.

    ``terms`` maps the names of one product, as a tuple, to the product's factor.

    >>> size = Size({("n",): 2, (): 1})
    >>> size, size.at({"n": 4})
    (2*n + 1, 9)
    """

    __slots__ = ("terms",)

    def __init__(self, terms):
        self.terms = terms

    def at(self, sizes):
        """Compute the number for ``sizes``, a dict from dim names to sizes."""
        return sum(c * prod([sizes[n] for n in names]) for names, c in self.terms.items())

    def __eq__(self, other):
        return isinstance(other, Size) and self.terms == other.terms

    def __hash__(self):
        return hash(frozenset(self.terms.items()))

    def __repr__(self):
        terms = sorted(self.terms.items(), key=lambda t: (-len(t[0]), t[0]))
        return " + ".join([_term(names, c) for names, c in terms]).replace("+ -", "- ")


def _term(names, factor):
    return "*".join([*([str(factor)] if factor != 1 or not names else []), *names])


class Unknown:
    """A number that depends on the sizes in an unknown way; it equals only itself."""

    def at(self, sizes):
        """Raise TraceError, because the number for other sizes is not known."""
        raise TraceError(
            f"torch.export: a number of the graph follows from the sizes {sizes} in a way that is "
            "not a sum of products; export with a fixed size"
        )

    def __repr__(self):
        return "?"


def corners(names):
    """List the sizes to record at, as {name: size}: the corners of a box, then one point inside."""
    low = {name: 3 + 2 * i for i, name in enumerate(names)}
    high = {name: 2 * n + 5 for name, n in low.items()}
    box = [dict(zip(names, at, strict=True)) for at in itertools.product(*zip(
        low.values(), high.values(), strict=True))]  # fmt: skip
    return [*box, {name: n + 2 for name, n in low.items()}] if names else box


def solve(numbers, points, names):
    """Find the number that is ``numbers[k]`` at ``points[k]``.

    The result is an int if all numbers are equal, a Size if a polynomial fits, else an Unknown.
    """
    if len(set(numbers)) == 1:
        return numbers[0]
    low = points[0]
    known = {tuple(n for n in names if p[n] != low[n]): v for p, v in zip(
        points[:-1], numbers[:-1], strict=True)}  # fmt: skip
    size = Size(_polynomial(known, low, points[-2], names))
    fits = all(size.at(p) == v for p, v in zip(points, numbers, strict=True))
    return size if fits else Unknown()


def _polynomial(known, low, high, names):
    """Compute the terms of the polynomial that takes the given values at the corners of a box.

    ``known[moved]`` is the value at the corner where the sizes named in ``moved`` are those of
    ``high`` and the others those of ``low``. The result is {} if a factor is not a whole number.
    """
    terms: dict = {}
    for moved in known:
        # The factor of ∏ (n - low) is the mixed difference divided by the product of the steps.
        signs = [(-1) ** (len(moved) - k) for k in range(len(moved) + 1)]
        difference = sum(signs[len(part)] * known[part] for part in _parts(moved))
        step = prod([high[n] - low[n] for n in moved])
        if difference % step:
            return {}
        for part in _parts(moved):  # multiply ∏ (n - low) out into terms of ∏ n
            rest = prod([-low[n] for n in moved if n not in part])
            terms[part] = terms.get(part, 0) + difference // step * rest
    return {names: factor for names, factor in terms.items() if factor}


def _parts(names):
    return [p for k in range(len(names) + 1) for p in itertools.combinations(names, k)]


def same(values, points, names, what) -> Any:
    """Merge the values recorded at all points into one of the same structure.

    Whole numbers may differ between points: they become Sizes. All other leaves must be equal.
    """
    first = values[0]
    if isinstance(first, (tuple, list)):
        if len({len(v) for v in values}) > 1:
            raise TraceError(f"torch.export: {what} has another length for another size")
        parts = [same(v, points, names, what) for v in zip(*values, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, dict):
        return {k: same([v[k] for v in values], points, names, what) for k in first}
    if isinstance(first, slice):
        ends = [(v.start, v.stop, v.step) for v in values]
        return slice(*same(ends, points, names, what))
    if all(type(v) is int for v in values):
        return solve(values, points, names)
    if all(v is first or (type(v) is type(first) and v == first) for v in values):
        return first
    raise TraceError(
        f"torch.export: {what} is {first!r} for one size and {values[-1]!r} for another: only "
        "whole numbers may follow from a size that changes"
    )
