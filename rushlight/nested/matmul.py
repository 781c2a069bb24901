"""Products of jagged nested tensors with matrices and with each other."""

import rushlight
from rushlight.errors import ShapeError
from rushlight.nested.jagged import NestedTensor, rule
from rushlight.nested.padding import from_padded, padded

__all__: list[str] = []  # the rules are found by name


@rule
def matmul(input, other):
    found = None
    if isinstance(input, NestedTensor) and isinstance(other, NestedTensor):
        found = _of_two(input, other)
    elif isinstance(input, NestedTensor):
        found = _by_dense(input, other)
    elif isinstance(other, NestedTensor):
        # x @ y = (yᵀ @ xᵀ)ᵀ
        found = _by_dense(other.mT, input.mT) if input.ndim > 1 and other.ndim > 2 else None
        found = found if found is None else found.mT
    if found is None:
        raise ShapeError(
            f"matmul(): not supported between inputs of shapes {tuple(input.shape)} and "
            f"{tuple(other.shape)}; multiply the parts of unbind()"
        )
    return found


def _by_dense(x, y):
    """A nested tensor times a matrix, or times a matrix for each sequence (B, …, n, m)."""
    if x.ragged >= x.ndim - 1:
        return None  # the sum would run along the ragged dim
    if y.ndim == 2:
        if x.ndim == 2:
            return None
        return x.with_values(x.stored @ y)
    if y.ndim == x.ndim and y.shape[0] == len(x.pattern):
        if x.ragged < x.ndim - 2 and y.shape[x.ragged] != 1:
            return None  # the ragged dim is one of those that broadcast
        product = padded(x, 0) @ y
        total = x.stored.shape[x.ragged - 1]
        return x.with_values(from_padded(product, x.pattern, x.ragged, total))
    return None


def _of_two(x, y):
    same = x.pattern.same_as(y.pattern)
    if x.ndim == y.ndim and x.ndim > 3 and same and x.ragged == y.ragged < x.ndim - 2:
        return x.with_values(x.stored @ y.stored)
    if x.ndim != y.ndim or x.ndim < 3:
        return None
    if x.ragged == x.ndim - 1 and y.ragged == y.ndim - 2 and same:
        pairs = zip(x.unbind(), y.unbind(), strict=True)
        return rushlight.stack([a @ b for a, b in pairs])
    return None


@rule
def bmm(input, mat2):
    for name, t in (("input", input), ("mat2", mat2)):
        if t.ndim != 3:
            raise ValueError(f"bmm(): {name} must be 3D")
    return matmul(input, mat2)


NestedTensor.__matmul__ = lambda self, other: matmul(self, other)
NestedTensor.__rmatmul__ = lambda self, other: matmul(other, self)
