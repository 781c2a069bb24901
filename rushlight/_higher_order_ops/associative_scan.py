"""Running results of a function of two operands."""

from rushlight.ops.shape.join import cat
from rushlight.utils import _pytree as pytree

__all__ = ["associative_scan"]


def associative_scan(combine_fn, xs, dim, reverse=False, combine_mode="pointwise"):
    """Combine all elements along a dim up to each one, as ``cumsum`` does for the addition.

    Takes about ``2 * log2(n)`` calls of ``combine_fn`` on whole slices for n elements.

    Args:
        combine_fn: ``f(a, b)`` of two structures like ``xs``, which must be associative.
        xs: A tensor, or a structure of tensors with the same number of elements along ``dim``.
        dim: The dim to scan.
        reverse: Begin with the last element. Default: False.
        combine_mode: Accepted without effect.

    Returns:
        A structure like ``xs``.

    Raises:
        ValueError: ``xs`` has no tensors, or their sizes along ``dim`` differ.

    >>> import rushlight as torch
    >>> associative_scan(lambda a, b: a + b, torch.arange(5), 0)
    tensor([ 0,  1,  3,  6, 10])
    """
    leaves, spec = pytree.tree_flatten(xs)
    if not leaves or len({x.shape[dim] for x in leaves}) != 1:
        raise ValueError("associative_scan: xs must be tensors of the same size along dim")

    def combine(first, second):
        together = combine_fn(
            pytree.tree_unflatten(first, spec), pytree.tree_unflatten(second, spec)
        )
        return pytree.tree_leaves(together)

    leaves = [x.movedim(dim, 0) for x in leaves]
    if reverse:
        leaves = [x.flip(0) for x in leaves]
    found = _scan(combine, leaves)
    if reverse:
        found = [x.flip(0) for x in found]
    return pytree.tree_unflatten([x.movedim(0, dim) for x in found], spec)


def _scan(combine, leaves):
    """Scan dim 0: pairs of neighbours first, and then each element that ends no pair."""
    n = leaves[0].shape[0]
    if n < 2:
        return leaves
    pairs = combine([x[0 : n - 1 : 2] for x in leaves], [x[1::2] for x in leaves])
    odd = _scan(combine, pairs)  # the results at 1, 3, 5, …
    if n == 2:
        even = [x[:1] for x in leaves]
    else:
        m = (n - 1) // 2
        later = combine([x[:m] for x in odd], [x[2::2] for x in leaves])
        even = [cat([x[:1], y]) for x, y in zip(leaves, later, strict=True)]
    return [_interleave(a, b) for a, b in zip(even, odd, strict=True)]


def _interleave(even, odd):
    """The elements of ``even`` and ``odd`` in turn; ``even`` may have one more."""
    m = odd.shape[0]
    both = even[:m].unsqueeze(1), odd.unsqueeze(1)
    return cat([cat(both, 1).flatten(0, 1), even[m:]])
