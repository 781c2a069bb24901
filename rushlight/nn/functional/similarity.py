"""Cosine similarity, normalization and distances of vectors, and one-hot vectors."""

import numpy as np

from rushlight.autograd.mode import no_grad
from rushlight.backend import numpy as xp
from rushlight.backend.summation import summed
from rushlight.dtype import int64
from rushlight.errors import DtypeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.handlers import in_c
from rushlight.ops.core.outputs import store
from rushlight.ops.core.promotion import as_number
from rushlight.ops.index.embedding import one_hot as _one_hot
from rushlight.ops.loss.regression import in_one_dtype
from rushlight.ops.reduce.distance import pdist
from rushlight.ops.reduce.vector_norm import norm, vector_norm
from rushlight.ops.shape.strided import broadcast_tensors
from rushlight.tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "one_hot", "pairwise_distance", "pdist"]


@in_c
@takes(strict=True)
def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """Compute x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) over ``dim``.

    Args:
        x1, x2: Tensors that broadcast to one shape; at least one is floating point.
        dim: The dim of the vectors. Default: 1.
        eps: Smallest norm by which a vector is divided. Default: 1e-8.

    Returns:
        Tensor of the shape of the broadcast, without ``dim``.

    Raises:
        RuntimeError: The shapes do not broadcast, or both tensors are integers.

    >>> import rushlight as torch
    >>> x = torch.tensor([[3.0, 4.0]])
    >>> torch.nn.functional.cosine_similarity(x, x.flip(1))
    tensor([0.9600])
    """
    same = isinstance(x1, Tensor) and isinstance(x2, Tensor) and x1.shape == x2.shape
    x1, x2 = in_one_dtype(*((x1, x2) if same else broadcast_tensors(x1, x2)))
    if not x1.is_floating_point():
        raise DtypeError(f"cosine_similarity: expected floating point numbers, but got {x1.dtype}")
    if type(dim) is int and -x1.ndim <= dim < x1.ndim:
        found = on_arrays(lambda x, y: _cosines(x, y, dim % x.ndim, eps), x1, x2)
        if found is not None:
            return found
    # As in PyTorch, the gradient is computed as if there were no eps.
    lengths = [x.norm(2, dim, keepdim=True) for x in (x1, x2)]
    lengths = [length.clone() if length.requires_grad else length for length in lengths]
    with no_grad():
        for length in lengths:
            length.clamp_min_(eps)
    return ((x1 / lengths[0]) * (x2 / lengths[1])).sum(dim)


def _cosines(x, y, dim, eps):
    """``cosine_similarity`` of arrays of one shape."""
    parts = []
    for a in (x, y):
        length = vector_norm.op.forward(xp, a, dim=(dim,), keepdim=True)
        parts.append(a / np.maximum(length, eps))
    return summed(parts[0] * parts[1], (dim,))


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """Divide ``input`` by its p-norm over ``dim``, or by ``eps`` if the norm is smaller.

    Args:
        p: The p of the p-norm. Default: 2.
        dim: The dim of the vectors, or a tuple of dims. Default: 1.
        eps: Smallest norm by which a vector is divided. Default: 1e-12.

    >>> import rushlight as torch
    >>> torch.nn.functional.normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    found = input / norm(input, p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return found if out is None else store(out, found, "normalize", casts=True)


@in_c
@takes(strict=True, kinds={"x1": "Tensor", "x2": "Tensor"})
def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """Compute the p-norm of ``x1 - x2 + eps`` over the last dim.

    Args:
        x1, x2: Tensors ``(N, D)`` or ``(D)``, which are broadcast.
        p: The p of the p-norm. Default: 2.
        eps: Number added to each difference. Default: 1e-6.
        keepdim: Keep the last dim, with size 1. Default: False.

    Returns:
        Tensor ``(N)`` or ``()``; with ``keepdim`` ``(N, 1)`` or ``(1)``.

    Raises:
        RuntimeError: The shapes do not broadcast.

    >>> import rushlight as torch
    >>> torch.nn.functional.pairwise_distance(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return norm(x1 - x2 + float(as_number(eps)), p, max(x1.ndim, x2.ndim) - 1, keepdim)


@in_c
def one_hot(tensor, num_classes=-1):
    """Return, for each class index, a vector of zeros with a 1 at that index.

    Args:
        tensor: Class indices ``(*)``, int64.
        num_classes: Length of the vectors. Default (-1): the largest index plus 1.

    Returns:
        Tensor ``(*, num_classes)``, int64.

    Raises:
        RuntimeError: An index is negative or too large, or the dtype is not int64.

    >>> import rushlight as torch
    >>> torch.nn.functional.one_hot(torch.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"one_hot(): argument 'tensor' (position 1) must be Tensor, not {type(tensor).__name__}"
        )
    if tensor.dtype is not int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, not {tensor.dtype}"
        )
    if tensor._array.size == 0:
        if num_classes <= 0:
            raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor.")
        return tensor.new_zeros((*tensor.shape, num_classes))
    if num_classes == -1:
        num_classes = int(tensor.max().item()) + 1
    return _one_hot(tensor, num_classes=num_classes)
