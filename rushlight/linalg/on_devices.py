"""Factorizations on devices: a work-group for each matrix.

LAPACK cannot run there. The kernels keep to its formats, so that factors from either place fit
together. Matrices lie row by row. Where work-items take columns, they read neighbours in memory.

Source: Golub and Van Loan 2013, Matrix Computations, algorithms 3.2.1 (LU), 4.2.5 (Cholesky) and
5.2.1 (Householder QR). ``jacobi.py`` has eigenvalues and singular values.
"""

from math import prod, sqrt

from rushlight.dtype import int32, int64
from rushlight.ops.core.work_groups import groups, in_groups, items
from rushlight.ops.create.range import arange, eye
from rushlight.ops.linear.triangle import tril, triu
from rushlight.shapes import broadcast

__all__ = [
    "cholesky", "exponential", "from_side", "identities", "lead_of", "lu", "order_of", "pivots_of",
    "qr", "reflected", "reflections", "solution", "solved", "substituted", "symmetric",
]  # fmt: skip

#: The work of a matrix with more rows or columns is too much for one work-group. LAPACK does it.
MOST = 256


def lead_of(*matrices):
    """The leading dims to which ``matrices`` are broadcast; None if one of them is too large."""
    if any(max(x.shape[-2:]) > MOST for x in matrices):
        return None
    return broadcast("linalg", *[tuple(x.shape[:-2]) for x in matrices])


def _flat(x, lead):
    return x.expand(*lead, *x.shape[-2:])


def from_side(work, A, more, B, left, turned):
    """What ``work(A, more, B, turned)`` makes of B from the left; from the right by transposes."""
    found = work(A, more, B if left else B.mT, turned == left)
    return found if left or found is NotImplemented else found.mT


# LU -------------------------------------------------------------------------------------------


def _lu(x, count, n, m, out, pivots, info):
    for g in groups(count):
        a = g * n * m
        least = min(n, m)
        for i in items(n * m):
            out[a + i] = x[a + i]
        singular = 0
        for c in range(least):
            best = abs(out[a + c * m + c])
            at = c
            for r in range(c + 1, n):
                size = abs(out[a + r * m + c])
                if size > best or (size != size and best == best):
                    best = size
                    at = r
            for j in items(m):
                upper = out[a + c * m + j]
                out[a + c * m + j] = out[a + at * m + j]
                out[a + at * m + j] = upper
            pivots[g * least + c] = at + 1
            pivot = out[a + c * m + c]
            if pivot == 0:
                if singular == 0:
                    singular = c + 1
            else:
                for r in items(c + 1, n):
                    out[a + r * m + c] = out[a + r * m + c] / pivot
                for j in items(c + 1, m):
                    for r in range(c + 1, n):
                        out[a + r * m + j] -= out[a + r * m + c] * out[a + c * m + j]
        info[g] = singular


def lu(A):
    """(LU, pivots, info) of LAPACK's getrf; NotImplemented for large matrices."""
    (n, m), lead = A.shape[-2:], lead_of(A)
    if lead is None:
        return NotImplemented
    shapes = A.shape, (*lead, min(n, m)), lead
    LU, pivots, info = in_groups(_lu, [A], prod(lead), (n, m), shapes)
    return LU, pivots.to(int32), info.to(int32)


def _order(pivots, count, k, n, out):
    for g in groups(count):
        for i in items(n):
            row = i
            for s in range(k):  # from the end: where the row that ends up here came from
                c = k - 1 - s
                other = pivots[g * k + c] - 1
                if row == c:
                    row = other
                elif row == other:
                    row = c
            out[g * n + i] = row


def order_of(pivots, rows):
    """The order of A's rows in L·U."""
    lead = pivots.shape[:-1]
    shape = (*lead, rows)
    return in_groups(_order, [pivots.to(int64)], prod(lead), (pivots.shape[-1], rows), [shape])


# Triangles ------------------------------------------------------------------------------------


def _substituted(t, b, count, n, k, upper, unit, out):
    for g in groups(count):
        for j in items(k):
            for s in range(n):
                i = n - 1 - s if upper else s
                total = b[(g * n + i) * k + j]
                for q in range(i + 1 if upper else 0, n if upper else i):
                    total -= t[(g * n + i) * n + q] * out[(g * n + q) * k + j]
                out[(g * n + i) * k + j] = total if unit else total / t[(g * n + i) * n + i]


def substituted(T, B, upper, unit=False):
    """The X of T·X = B with triangular T; NotImplemented for large matrices."""
    lead = lead_of(T, B[..., :1])
    if lead is None:
        return NotImplemented
    T, B = _flat(T, lead), _flat(B, lead)
    n, k = B.shape[-2:]
    numbers = n, k, int(upper), int(unit)
    return in_groups(_substituted, [T, B], prod(lead), numbers, [B.shape])


def solved(LU, pivots, B, adjoint=False):
    """The X of A·X = B, or of Aᵀ·X = B, from the factors of A; NotImplemented for large ones."""
    if lead_of(LU) is None:
        return NotImplemented
    order = order_of(pivots, LU.shape[-1])
    lead = lead_of(LU, B[..., :1])
    order, B = order.expand(*lead, order.shape[-1]), _flat(B, lead)
    if not adjoint:
        B = B.gather(-2, order.unsqueeze(-1).expand(B.shape))
        return substituted(LU, substituted(LU, B, False, unit=True), True)
    half = substituted(LU.mT, B, False)
    X = substituted(LU.mT, half, True, unit=True)
    return X.gather(-2, order.argsort(-1).unsqueeze(-1).expand(B.shape))


# Cholesky -------------------------------------------------------------------------------------


def _cholesky(x, count, n, out, info):
    for g in groups(count):
        a = g * n * n
        for j in items(n):
            for r in range(n):
                out[a + r * n + j] = x[a + r * n + j] if r >= j else 0.0
        failed = 0
        for c in range(n):
            pivot = out[a + c * n + c]
            if not pivot > 0:
                failed = c + 1
                break
            root = sqrt(pivot)
            for r in items(c, n):
                out[a + r * n + c] = root if r == c else out[a + r * n + c] / root
            for j in items(c + 1, n):
                for r in range(j, n):
                    out[a + r * n + j] -= out[a + r * n + c] * out[a + j * n + c]
        info[g] = failed


def cholesky(A):
    """(L, info) from the lower triangles of A; NotImplemented for large matrices."""
    lead = lead_of(A)
    if lead is None:
        return NotImplemented
    L, info = in_groups(_cholesky, [A], prod(lead), (A.shape[-1],), [A.shape, lead])
    return L, info.to(int32)


# QR -------------------------------------------------------------------------------------------


def _reflections(x, count, n, m, out, tau):
    for g in groups(count):
        a = g * n * m
        least = min(n, m)
        for i in items(n * m):
            out[a + i] = x[a + i]
        for c in range(least):
            first = out[a + c * m + c]
            largest = abs(first)
            for r in range(c + 1, n):
                largest = max(largest, abs(out[a + r * m + c]))
            rest = 0.0
            if largest > 0:  # scaled, so that squares neither overflow nor vanish
                for r in range(c + 1, n):
                    part = out[a + r * m + c] / largest
                    rest += part * part
            if rest == 0:
                tau[g * least + c] = rest
            else:
                part = first / largest
                size = largest * sqrt(rest + part * part)
                beta = -size if first >= 0 else size
                scale = (beta - first) / beta
                tau[g * least + c] = scale
                for r in items(c, n):
                    out[a + r * m + c] = beta if r == c else out[a + r * m + c] / (first - beta)
                for j in items(c + 1, m):
                    total = out[a + c * m + j]
                    for r in range(c + 1, n):
                        total += out[a + r * m + c] * out[a + r * m + j]
                    total = total * scale
                    out[a + c * m + j] -= total
                    for r in range(c + 1, n):
                        out[a + r * m + j] -= total * out[a + r * m + c]


def reflections(A):
    """(a, tau) of LAPACK's geqrf; NotImplemented for large matrices."""
    (n, m), lead = A.shape[-2:], lead_of(A)
    if lead is None:
        return NotImplemented
    shapes = A.shape, (*lead, min(n, m))
    return in_groups(_reflections, [A], prod(lead), (n, m), shapes)


def _reflected(v, tau, x, count, n, m, k, width, backwards, out):
    for g in groups(count):
        for j in items(width):
            for r in range(n):
                out[(g * n + r) * width + j] = x[(g * n + r) * width + j]
            for s in range(k):
                c = k - 1 - s if backwards else s
                total = out[(g * n + c) * width + j]
                for r in range(c + 1, n):
                    total += v[(g * n + r) * m + c] * out[(g * n + r) * width + j]
                total = total * tau[g * k + c]
                out[(g * n + c) * width + j] -= total
                for r in range(c + 1, n):
                    out[(g * n + r) * width + j] -= total * v[(g * n + r) * m + c]


def reflected(V, tau, X, transpose=False):
    """Q·X, or Qᵀ·X, for the product Q of the reflections; NotImplemented for large matrices.

    V ``(*, n, m)``, tau ``(*, k)`` and X ``(*, n, width)`` have the same leading dims.
    """
    (n, m), (_, width), lead = V.shape[-2:], X.shape[-2:], lead_of(V)
    if lead is None:
        return NotImplemented
    numbers = n, m, tau.shape[-1], width, int(not transpose)
    return in_groups(_reflected, [V, tau, X], prod(lead), numbers, [X.shape])


def qr(A, mode):
    """(Q, R) of matrices with at least as many rows as columns; NotImplemented for large ones."""
    found = reflections(A)
    if found is NotImplemented or mode == "r":
        return NotImplemented
    h, tau = found
    n, m = A.shape[-2:]
    k = n if mode == "complete" else min(n, m)
    return reflected(h, tau, identities(A, k)), triu(h[..., :k, :])


# What follows from factors ----------------------------------------------------------------


def identities(A, k):
    """Identity matrices with k columns, as many as A has matrices, and with as many rows."""
    return eye(A.shape[-2], k, dtype=A.dtype).expand(*A.shape[:-1], k)


def solution(A, B):
    """(X, info) with A·X = B, as ``linalg.solve_ex``; NotImplemented for large matrices."""
    found = lu(A)
    if found is NotImplemented:
        return found
    LU, pivots, info = found
    X = solved(LU, pivots, B)
    singular = (info > 0)[..., None, None].expand(*X.shape[:-2], 1, 1)
    return X.where(~singular, float("nan")), info


def pivots_of(A):
    """(sign of the row exchanges, the pivots: U's diagonal); NotImplemented for large matrices."""
    found = lu(A)
    if found is NotImplemented:
        return found
    LU, pivots, _ = found
    swaps = (pivots != arange(1, LU.shape[-1] + 1)).sum(-1)
    return 1 - 2 * (swaps % 2).to(LU.dtype), LU.diagonal(0, -2, -1)


def symmetric(A, upper):
    """A with the elements of one triangle in both."""
    half = triu(A, 1) if upper else tril(A, -1)
    return half + half.mT + triu(tril(A))


# The exponential ------------------------------------------------------------------------------


def _exponential(x, count, n, out, scaled, product):
    for g in groups(count):
        a = g * n * n
        norm = 0.0
        for j in range(n):
            total = 0.0
            for r in range(n):
                total += abs(x[a + r * n + j])
            norm = max(norm, total)
        halvings = 0
        scale = 1.0
        while norm * scale > 1 and halvings < 200:
            scale = scale / 2
            halvings += 1
        for i in items(n * n):
            scaled[a + i] = x[a + i] * scale
            out[a + i] = 1.0 if i // n == i % n else 0.0
        for k in range(18, 0, -1):  # the Taylor polynomial, by Horner's rule
            for j in items(n):
                for r in range(n):
                    total = 0.0
                    for q in range(n):
                        total += scaled[a + r * n + q] * out[a + q * n + j]
                    product[a + r * n + j] = total / float(k)
            for i in items(n * n):
                out[a + i] = product[a + i] + 1.0 if i // n == i % n else product[a + i]
        for _ in range(halvings):
            for j in items(n):
                for r in range(n):
                    total = 0.0
                    for q in range(n):
                        total += out[a + r * n + q] * out[a + q * n + j]
                    product[a + r * n + j] = total
            for i in items(n * n):
                out[a + i] = product[a + i]


def exponential(A):
    """The matrix exponentials, as ``linalg.matrix_exp``; NotImplemented for large matrices."""
    lead = lead_of(A)
    if lead is None:
        return NotImplemented
    shapes = A.shape, A.shape, A.shape
    return in_groups(_exponential, [A], prod(lead), (A.shape[-1],), shapes)[0]
