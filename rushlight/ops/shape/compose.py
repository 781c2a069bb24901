"""Tensors composed of others: Kronecker products, blocks, pairs and rotations."""

from itertools import chain, combinations_with_replacement
from itertools import combinations as subsets
from math import comb, prod

import numpy as np

from rushlight.autograd.tape import renamed, watch
from rushlight.errors import ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import store
from rushlight.ops.core.promotion import promote
from rushlight.ops.create.filled import zeros
from rushlight.ops.index.slice import placed
from rushlight.ops.linear.triangle import diag
from rushlight.ops.shape.join import stack
from rushlight.ops.shape.repeat import meshgrid
from rushlight.ops.shape.strided import pick
from rushlight.ops.tensor.memory_format import contiguous_format
from rushlight.tensor import Tensor

_FEW = 1 << 12  # up to so many combinations are written into one array

# Products and blocks ----------------------------------------------------------------------


@function(kinds={"other": "Tensor"})
def kron(input, other, *, out=None):
    """Compute the Kronecker product: each element of ``input`` times the whole of ``other``.

    Args:
        other: Tensor of any shape. The one with fewer dims gets leading dims of size 1.

    Returns:
        Tensor whose size in each dim is the product of the sizes.

    >>> import rushlight as torch
    >>> torch.kron(torch.tensor([[1, 2]]), torch.tensor([[1, 1], [0, 1]]))
    tensor([[1, 1, 2, 2],
            [0, 1, 0, 2]])
    """
    ndim = max(input.ndim, other.ndim)
    shapes = [(1,) * (ndim - t.ndim) + tuple(t.shape) for t in (input, other)]
    apart = [k for n in shapes[0] for k in (n, 1)], [k for n in shapes[1] for k in (1, n)]
    shape = [n * m for n, m in zip(*shapes, strict=True)]
    product = lambda x, y: (x.reshape(apart[0]) * y.reshape(apart[1])).reshape(shape)
    found = on_arrays(product, input, other) if out is None else None
    if found is None:
        found = product(input, other)
    return found if out is None else store(out, found, "kron", casts=True)


def _check_tensors(tensors):
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}"
            )


def _corners(shapes):
    """The slices (rows, columns) where matrices of ``shapes`` lie along the diagonal."""
    row = column = 0
    for n, m in shapes:
        yield slice(row, row + n), slice(column, column + m)
        row, column = row + n, column + m


def _size(tensors):
    """The shape of the matrix with ``tensors`` along its diagonal."""
    return sum([t.shape[0] for t in tensors]), sum([t.shape[1] for t in tensors])


@kernel(public=False, method=False, name="block_diag", widen=False, moves=True)
def _block_diag(xp, tensors):
    """Zeros with the matrices, which have one dtype, along the diagonal."""
    found = xp.zeros(_size(tensors), tensors[0].dtype)
    for t, corner in zip(tensors, _corners([t.shape for t in tensors]), strict=True):
        found[corner] = t
    return found


@_block_diag.lower
def _block_diag_of_patches(tensors):
    found = tensors[0].new_zeros(_size(tensors))
    for t, corner in zip(tensors, _corners([t.shape for t in tensors]), strict=True):
        found = placed(found, t, corner)
    return found


_block_diag.grad(tensors=lambda g, tensors_shape: [g[c] for c in _corners(tensors_shape)])


@function(method=False, in_python=True)
def block_diag(*tensors):
    """Return a matrix of zeros with the given matrices along its diagonal.

    Args:
        *tensors: Tensors of at most two dims: (n, m), one row (m), or one element.

    Returns:
        Tensor ``(Σ n, Σ m)`` of the tensors' common dtype.

    Raises:
        RuntimeError: A tensor has more than two dims.

    >>> import rushlight as torch
    >>> torch.block_diag(torch.tensor([[1, 2]]), torch.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    _check_tensors(tensors)
    for i, t in enumerate(tensors):
        if t.ndim > 2:
            raise ShapeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {t.ndim} dimensions"
            )
    if not tensors:
        return zeros(1, 0)
    common = promote(tensors)  # a tensor without dims counts little, so it is asked as it is
    return _block_diag([(t if t.ndim == 2 else t.reshape(1, -1)).to(common) for t in tensors])


@function
def diagflat(input, offset=0):
    """Return a square matrix of zeros with the elements of ``input`` on a diagonal.

    Args:
        offset: Which diagonal: 0 is the main one, k > 0 is k above it, k < 0 is -k below it.
            Default: 0.

    Returns:
        Tensor ``(n, n)``, where n is the number of elements plus abs(offset).

    >>> import rushlight as torch
    >>> torch.diagflat(torch.tensor([[1, 2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag(input.reshape(-1), offset)


# Pairs and subsets ------------------------------------------------------------------------


def _check_vector(x):
    if x.ndim != 1:
        raise ShapeError(f"Expect a 1D vector, but got shape {list(x.shape)}")


def _pairs(*arrays):
    """``cartesian_prod`` of arrays."""
    n, shape = len(arrays), [len(a) for a in arrays]
    found = np.empty((*shape, n), arrays[0].dtype)
    for i, a in enumerate(arrays):
        found[..., i] = a.reshape([-1 if d == i else 1 for d in range(n)])
    return found.reshape(prod(shape), n)


@function(method=False, in_python=True)
def cartesian_prod(*tensors):
    """Return all combinations of an element of each tensor.

    Args:
        *tensors: Tensors ``(n)`` of one dtype.

    Returns:
        Tensor with a row for each combination and a column for each tensor. For a single tensor,
        that tensor.

    Raises:
        RuntimeError: A tensor does not have one dim, or there is no tensor.

    >>> import rushlight as torch
    >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    _check_tensors(tensors)
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for t in tensors:
        _check_vector(t)
    if len(tensors) == 1:
        return tensors[0]
    if prod([t._array.size for t in tensors]) <= _FEW:
        found = on_arrays(_pairs, *tensors)
        if found is not None:
            return found
    return stack([t.flatten() for t in meshgrid(*tensors, indexing="ij")], 1)


@function(kinds={"r": "int"}, method=False)
def combinations(input, r=2, with_replacement=False):
    """Return all subsets of ``r`` elements of a vector, as ``itertools.combinations`` does.

    Args:
        input: Tensor ``(n)``.
        r: Number of elements of a subset. Default: 2.
        with_replacement: An element may occur several times in a subset. Default: False.

    Returns:
        Tensor with a row of ``r`` elements for each subset; an empty vector for ``r=0``.

    Raises:
        RuntimeError: ``input`` does not have one dim, or ``r`` is negative.

    >>> import rushlight as torch
    >>> torch.combinations(torch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    _check_vector(input)
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if not r:
        return input.new_empty((0,))
    n = input.shape[0]
    if r == 2:
        index = np.stack(np.triu_indices(n, 0 if with_replacement else 1), 1)
        return watch(pick(input, index=index, shape=index.shape), input)
    listed = (combinations_with_replacement if with_replacement else subsets)(range(n), r)
    count = comb(n + r - 1, r) if with_replacement and n else comb(n, r)
    index = np.fromiter(chain.from_iterable(listed), np.int64, count * r).reshape(count, r)
    return watch(pick(input, index=index, shape=index.shape), input)


# Rotations --------------------------------------------------------------------------------


@function
@takes("input, k: int=, dims: shape=")
def rot90(input, k=1, dims=(0, 1)):
    """Rotate a tensor by ``k`` times 90 degrees in the plane of two dims.

    Args:
        k: How many quarter turns, from the first of ``dims`` towards the second one. Negative
            numbers turn the other way. Default: 1.
        dims: The two dims of the plane. Default: (0, 1).

    Returns:
        Tensor of ``input``'s shape; for odd ``k`` the sizes of the two dims change places.

    Raises:
        RuntimeError: ``dims`` are not two different dims.
        IndexError: ``input`` has no such dim.

    >>> import rushlight as torch
    >>> torch.rot90(torch.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise ShapeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise ShapeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    first, second = dims
    _ = input.size(first), input.size(second)  # refuses dims that do not exist
    if first == second or abs(first - second) == input.ndim:
        raise ShapeError(
            f"expected rotation dims to be different, but got dim0 = {first} and dim1 = {second}"
        )
    turns = k % 4
    if turns == 2:
        found = input.flip((first, second))
    elif turns:
        found = input.flip(second if turns == 1 else first).transpose(first, second)
    else:
        found = input.clone(memory_format=contiguous_format)
    return renamed(found, "Rot90Backward0")
