"""Contractions: sums of products over chosen dims of two tensors."""

from contextlib import nullcontext

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.errors import ArgumentError, ShapeError
from rushlight.ops.core.autocast import suspended
from rushlight.ops.core.definition import function
from rushlight.ops.core.outputs import store
from rushlight.ops.linear.matmul import check_tensors, dot, mm
from rushlight.tensor import Tensor


@function
def inner(input, other, *, out=None):
    """Sum the products of two tensors over the last dim of both.

    Args:
        input: Tensor ``(*a, k)``, with any leading dims a.
        other: Tensor ``(*b, k)``, with any leading dims b. If one operand is 0-dim, the operands
            are multiplied.

    Returns:
        Tensor ``(*a, *b)``.

    Raises:
        RuntimeError: The sizes of the last dims differ.

    >>> import rushlight as torch
    >>> torch.inner(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor(11.)
    """
    check_tensors("inner", input=input, other=other)
    if not input._array.ndim or not other._array.ndim:
        found = input * other
        return found if out is None else store(out, found, "inner")
    if input._array.shape[-1] != other._array.shape[-1]:
        raise ShapeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}: {input._array.shape[-1]} and "
            f"{other._array.shape[-1]}"
        )
    if input._array.ndim == 1 == other._array.ndim and out is None:
        return dot(input, other)
    return tensordot(input, other, ([-1], [-1]), out=out)


@function(method=False, kinds={"a": "Tensor", "b": "Tensor", "dims": "any"}, refusal=ArgumentError,
          in_python=True)  # fmt: skip
def tensordot(a, b, dims=2, out=None):
    """Sum the products of two tensors over some dims of both.

    Args:
        a: Tensor of any shape.
        b: Tensor of any shape.
        dims: Which dims are summed: a pair of lists, with dims of ``a`` and as many of ``b``. A
            number n stands for the last n dims of ``a`` and the first n of ``b``. Paired dims have
            the same size; if one has size 1, the other tensor is summed along its dim. Default: 2.

    Returns:
        Tensor with the remaining dims of ``a``, and then those of ``b``.

    Raises:
        RuntimeError: The sizes of paired dims differ, or the lists differ in length.

    >>> import rushlight as torch
    >>> torch.tensordot(torch.ones(2, 3), torch.ones(3, 4), dims=1).shape
    torch.Size([2, 4])
    """
    check_tensors("tensordot", a=a, b=b)
    dims_a, dims_b = _contracted(a, b, dims)
    for i, j in zip(dims_a, dims_b, strict=True):
        if b._array.shape[j] == 1:
            a = a.sum(i, keepdim=True, dtype=a.dtype)
        elif a._array.shape[i] == 1:
            b = b.sum(j, keepdim=True, dtype=b.dtype)
    keep_a = [i for i in range(a._array.ndim) if i not in dims_a]
    keep_b = [i for i in range(b._array.ndim) if i not in dims_b]
    shape = [a._array.shape[i] for i in keep_a] + [b._array.shape[i] for i in keep_b]
    k = shapes.numel(a._array.shape[i] for i in dims_a)
    rows = _matrix(a, [*keep_a, *dims_a], (shapes.numel(shape[: len(keep_a)]), k))
    columns = _matrix(b, [*dims_b, *keep_b], (k, shapes.numel(shape[len(keep_a) :])))
    # Autocast does not lower a sum over all dims; PyTorch computes it as a sum of products.
    with nullcontext() if shape or not mode.intercept else suspended():
        found = mm(rows, columns).reshape(shape)
    return found if out is None else store(out, found, "tensordot")


def _matrix(x, order, shape):
    """``x``, with its dims in another order, as a matrix of the shape ``shape``."""
    x = x if order == [*range(len(order))] else x.permute(order)
    return x if x._array.shape == shape else x.reshape(shape)


def _contracted(a, b, dims):
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a._array.ndim, b._array.ndim):
            raise RuntimeError(
                f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims} for "
                f"{tuple(a.shape)} and {tuple(b.shape)}"
            )
        dims = range(a._array.ndim - dims, a._array.ndim), range(dims)
    first, second = dims
    first = [first] if isinstance(first, int) else list(first)
    second = [second] if isinstance(second, int) else list(second)
    if len(first) != len(second):
        raise RuntimeError(
            f"tensordot: both dimension lists should have same length, got {first} and {second}"
        )
    first = [shapes.dim(d, a._array.ndim, "tensordot") for d in first]
    second = [shapes.dim(d, b._array.ndim, "tensordot") for d in second]
    for i, j in zip(first, second, strict=True):
        if a._array.shape[i] != b._array.shape[j] and 1 not in (
            a._array.shape[i],
            b._array.shape[j],
        ):
            raise ShapeError(
                "tensordot: contracted dimensions need to match, but first has size "
                f"{a._array.shape[i]} in dim {i} and second has size {b._array.shape[j]} in dim "
                f"{j}: {tuple(a.shape)} and {tuple(b.shape)}"
            )
    return first, second
