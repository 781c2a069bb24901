"""Directions and distances of vectors, and indices as vectors."""

from rushlight.autograd.mode import no_grad
from rushlight.dtype import int64
from rushlight.ops.embedding import one_hot as _one_hot
from rushlight.ops.result import store
from rushlight.ops.stride import broadcast_tensors
from rushlight.ops.vector_norm import norm
from rushlight.tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "one_hot"]


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) over ``dim``.

    Raises:
        RuntimeError: the shapes do not broadcast.

    >>> import rushlight as torch
    >>> x = torch.tensor([[3.0, 4.0]])
    >>> torch.nn.functional.cosine_similarity(x, x.flip(1))
    tensor([0.9600])
    """
    x1, x2 = broadcast_tensors(x1, x2)
    # PyTorch's gradient takes no notice of eps.
    lengths = [x.norm(2, dim, keepdim=True).clone() for x in (x1, x2)]
    with no_grad():
        for length in lengths:
            length.clamp_min_(eps)
    return ((x1 / lengths[0]) * (x2 / lengths[1])).sum(dim)


def normalize(input, p=2.0, dim=1, eps=1e-12, out=None):
    """``input`` divided by its p-norm over ``dim``, or by ``eps`` where that is larger.

    >>> import rushlight as torch
    >>> torch.nn.functional.normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    found = input / norm(input, p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return found if out is None else store(out, found, "normalize")


def one_hot(tensor, num_classes=-1):
    """For each class index a vector of zeros with a 1 at the index.

    Shape: (…) → (…, num_classes); -1 takes as many classes as the largest index asks for.

    Raises:
        RuntimeError: indices that are negative, too large, or not int64.

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
    if tensor.array.size == 0:
        if num_classes <= 0:
            raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor.")
        return tensor.new_zeros((*tensor.shape, num_classes))
    if num_classes == -1:
        num_classes = int(tensor.max().item()) + 1
    return _one_hot(tensor, num_classes=num_classes)
