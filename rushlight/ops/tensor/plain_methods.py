"""Methods of Tensor that are no functions of ``torch``: sum_to_size, to_dense, storage, …"""

import warnings

from rushlight import shapes
from rushlight.errors import ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.tensor import Tensor, method


@method
@takes("input, size: shape")
def sum_to_size(self, size):
    """Sum the tensor over the dims that would be repeated to expand ``size`` to its shape.

    Args:
        size: The shape of the result: ints, or one tuple of ints. It must be expandable to the
            tensor's shape.

    Returns:
        Tensor of shape ``size``; this tensor itself if that is its shape.

    Raises:
        RuntimeError: ``size`` is not expandable to the tensor's shape.

    >>> import rushlight as torch
    >>> torch.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    size, have = shapes.sizes((size,), "sum_to_size"), tuple(self.shape)
    lead = len(have) - len(size)
    if lead < 0 or any(n not in (1, h) for n, h in zip(size, have[lead:], strict=True)):
        raise ShapeError(f"size {{{list(size)}}} is not expandable to size {{{list(have)}}}.")
    if not size:
        return self.sum()
    if size == have:
        return self
    ones = [d + lead for d, n in enumerate(size) if n == 1 != have[d + lead]]
    found = self.sum((*range(lead), *ones), keepdim=True)
    return found.reshape(size) if lead else found


@method
@takes("input, dtype?=, *, masked_grad: bool?=")
def to_dense(self, dtype=None, *, masked_grad=None):
    """Return this tensor, because every tensor is dense.

    Args:
        dtype: Convert the elements to this dtype. Default: keep their dtype.
        masked_grad: Accepted without effect, because it is about sparse tensors.

    Returns:
        This tensor, or a converted copy.

    >>> import rushlight as torch
    >>> torch.ones(2).to_dense()
    tensor([1., 1.])
    """
    return self if dtype is None else self.to(dtype)


@method
@takes("input, tensor: Tensor")
def resize_as(self, tensor):
    """Return the elements in the shape of another tensor. Deprecated: use ``view_as``.

    Args:
        tensor: Tensor with this tensor's number of elements.

    Returns:
        Tensor of the other tensor's shape.

    Raises:
        RuntimeError: The number of elements differs.

    >>> import rushlight as torch
    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.zeros(6).resize_as(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    warnings.warn("non-inplace resize_as is deprecated", stacklevel=2)
    return self.contiguous().view(tensor.shape)


@method
def storage(self):
    """Return the memory behind the tensor as numbers. Deprecated: use ``untyped_storage``.

    Returns:
        A ``TypedStorage``. A tensor and its views share one storage.

    >>> import rushlight as torch
    >>> torch.tensor([1.0, 2.0])[1:].storage().tolist()
    [1.0, 2.0]
    """
    from rushlight.typed_storage import TypedStorage, warn_of_typed

    warn_of_typed()
    return TypedStorage(wrap_storage=self.untyped_storage(), dtype=self.dtype)


#: As in PyTorch, a tensor has no name; a program may give it one.
Tensor.name = None
