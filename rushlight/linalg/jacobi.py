"""Eigenvalues and singular values on devices, by Jacobi's rotations: a work-group for each matrix.

A round has disjoint pairs of rows or columns, so that work-items rotate all pairs at the same time.
In a sweep each pair comes once: row ``m - 1`` stays, the others move on in a circle. Sweeps go on
until all rotations are by angles below the precision.

Source: Golub and Van Loan 2013, Matrix Computations, 8.5 (eigenvalues, parallel order) and 8.6.3
(one-sided rotations for singular values).
"""

from math import prod, sqrt

from rushlight.errors import DtypeError
from rushlight.linalg.on_devices import lead_of, symmetric
from rushlight.ops.core.work_groups import groups, in_groups, items

__all__ = ["eigen", "singular"]

#: The work of a larger matrix is too much for one work-group. LAPACK does it.
MOST = 64
_SWEEPS = 30  # at most; six to ten are enough, since the convergence is quadratic
_EPS = {"float32": 6e-8, "float64": 1e-16}


def _first(k, step, m):
    """The first row of pair ``k`` in round ``step``; ``m`` is even."""
    return m - 1 if k == 0 else (step + k) % (m - 1)


def _second(k, step, m):
    return step if k == 0 else (step - k + m - 1) % (m - 1)


def _tangent(p, q, between):
    """The tangent of the rotation after which ``between`` is 0 in [[p, between], [between, q]]."""
    theta = (q - p) / (2 * between)
    size = 1 / (abs(theta) + sqrt(theta * theta + 1))
    return size if theta >= 0 else -size


def _rotate(x, p, q, t):
    """Turn the elements p and q of ``x`` by the angle of tangent ``t``.

    The changes are small next to the elements, so that lengths hardly drift.
    """
    cosine = 1 / sqrt(t * t + 1)
    sine = t * cosine
    half = sine / (1 + cosine)
    first = x[p]
    second = x[q]
    x[p] = first - sine * (second + half * first)
    x[q] = second + sine * (first - half * second)


def _eigen(x, eps, count, n, m, values, vectors, a, v, turns):
    for g in groups(count):
        at = g * n * n
        for i in items(n * n):
            a[at + i] = x[at + i]
            v[at + i] = 1.0 if i // n == i % n else 0.0
        for _ in range(_SWEEPS):
            largest = 0.0
            for step in range(m - 1):
                for k in items(m // 2):
                    p = _first(k, step, m)
                    q = _second(k, step, m)
                    tangent = 0.0
                    if p < n and q < n:
                        between = a[at + p * n + q]
                        if abs(between) > eps[0]:
                            tangent = _tangent(a[at + p * n + p], a[at + q * n + q], between)
                    turns[g * m + k] = tangent
                for k in range(m // 2):
                    largest = max(largest, abs(turns[g * m + k]))
                for j in items(n):
                    for k in range(m // 2):
                        t = turns[g * m + k]
                        if t != 0:
                            p = at + _first(k, step, m) * n + j
                            q = at + _second(k, step, m) * n + j
                            _rotate(a, p, q, t)
                for j in items(n):
                    for k in range(m // 2):
                        t = turns[g * m + k]
                        if t != 0:
                            p = at + j * n + _first(k, step, m)
                            q = at + j * n + _second(k, step, m)
                            _rotate(a, p, q, t)
                            _rotate(v, p, q, t)
            if largest == 0:
                break
        for i in items(n):
            own = a[at + i * n + i]
            rank = 0
            for j in range(n):
                other = a[at + j * n + j]
                if other < own or (j < i and not other > own):
                    rank += 1
            values[g * n + rank] = own
            for j in range(n):
                vectors[at + j * n + rank] = v[at + j * n + i]


def eigen(A, upper):
    """(eigenvalues in ascending order, eigenvectors as columns); NotImplemented for large ones."""
    n, lead = A.shape[-1], lead_of(A)
    if lead is None or n > MOST:
        return NotImplemented
    m = n + n % 2
    shapes = A.shape[:-1], A.shape, A.shape, A.shape, (*lead, m)
    A, scale, eps = _scaled(symmetric(A, upper))
    w, V = in_groups(_eigen, [A, eps], prod(lead), (n, m), shapes)[:2]
    return w * scale.squeeze(-1), V


def _scaled(A):
    """(A with elements of at most 1, what they were divided by, the precision)."""
    if A.is_complex():
        raise DtypeError("Jacobi's rotations are those of real matrices")
    scale = A.abs().amax((-2, -1), keepdim=True)
    scale = scale.where(scale > 0, 1)
    return A / scale, scale, A.new_full((1,), _EPS[A.dtype.name])


# Singular values --------------------------------------------------------------------------------


def _singular(x, eps, count, rows, n, m, k, left, values, right, a, v, order, sizes):
    """``x`` has n rows of ``rows`` elements: the columns of a matrix. ``left`` has k columns."""
    for g in groups(count):
        at = g * n * rows
        own = g * n * n
        for i in items(n * rows):
            a[at + i] = x[at + i]
        for i in items(n * n):
            v[own + i] = 1.0 if i // n == i % n else 0.0
        for _ in range(_SWEEPS):
            for step in range(m - 1):
                for pair in items(m // 2):
                    p = _first(pair, step, m)
                    q = _second(pair, step, m)
                    sizes[g * m + pair] = 0.0 if step == 0 else sizes[g * m + pair]
                    if p < n and q < n:
                        up = 0.0
                        down = 0.0
                        between = 0.0
                        for r in range(rows):
                            up += a[at + p * rows + r] * a[at + p * rows + r]
                            down += a[at + q * rows + r] * a[at + q * rows + r]
                            between += a[at + p * rows + r] * a[at + q * rows + r]
                        up = sqrt(up)
                        down = sqrt(down)
                        noise = 8 * eps[0] * float(rows)
                        if min(up, down) > noise and abs(between) > eps[0] * up * down:
                            t = _tangent(up * up, down * down, between)
                            sizes[g * m + pair] = 1.0
                            for r in range(rows):
                                _rotate(a, at + p * rows + r, at + q * rows + r, t)
                            for r in range(n):
                                _rotate(v, own + p * n + r, own + q * n + r, t)
            turned = 0.0
            for pair in range(m // 2):
                turned = max(turned, sizes[g * m + pair])
            if turned == 0:
                break
        for i in items(n):
            total = 0.0
            for r in range(rows):
                total += a[at + i * rows + r] * a[at + i * rows + r]
            sizes[g * m + i] = sqrt(total)
        for i in items(n):
            size = sizes[g * m + i]
            rank = 0
            for j in range(n):
                other = sizes[g * m + j]
                if other > size or (j < i and not other < size):
                    rank += 1
            values[g * n + rank] = size
            for r in range(rows):
                part = a[at + i * rows + r]
                left[(g * rows + r) * k + rank] = part / size if size > 0 else part
            for r in range(n):
                right[own + rank * n + r] = v[own + i * n + r]
        for c in range(k):  # columns without a value above 0: orthogonal to all before
            lacking = 1
            if c < n:
                lacking = 0 if values[g * n + c] > 8 * eps[0] * float(rows) else 1
            if lacking == 1:
                for r in items(rows):
                    rest = 1.0
                    for j in range(c):
                        rest -= left[(g * rows + r) * k + j] * left[(g * rows + r) * k + j]
                    order[g * rows + r] = rest
                best = 0
                for r in range(rows):
                    if order[g * rows + r] > order[g * rows + best]:
                        best = r
                for r in items(rows):
                    left[(g * rows + r) * k + c] = 1.0 if r == best else 0.0
                for _ in range(2):
                    for j in range(c):
                        along = 0.0
                        for r in range(rows):
                            along += left[(g * rows + r) * k + j] * left[(g * rows + r) * k + c]
                        for r in items(rows):
                            at2 = (g * rows + r) * k
                            left[at2 + c] -= along * left[at2 + j]
                total = 0.0
                for r in range(rows):
                    total += left[(g * rows + r) * k + c] * left[(g * rows + r) * k + c]
                for r in items(rows):
                    left[(g * rows + r) * k + c] = left[(g * rows + r) * k + c] / sqrt(total)


def singular(A, full):
    """(U, S, Vᵀ), with S in descending order; NotImplemented for large matrices."""
    rows, n = A.shape[-2:]
    if rows < n:
        found = singular(A.mT, full)
        return found if found is NotImplemented else (found[2].mT, found[1], found[0].mT)
    lead = lead_of(A)
    if lead is None or rows > MOST:
        return NotImplemented
    m, k = n + n % 2, rows if full else n
    shapes = [(*lead, *s) for s in ((rows, k), (n,), (n, n), (n, rows), (n, n), (rows,), (m,))]
    A, scale, eps = _scaled(A)
    numbers = rows, n, m, k
    U, S, Vh = in_groups(_singular, [A.mT, eps], prod(lead), numbers, shapes)[:3]
    return U, S * scale.squeeze(-1), Vh
