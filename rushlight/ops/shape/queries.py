"""What a tensor is: its size, device and memory, and whether its one element is zero."""

from itertools import pairwise

from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.tensor.memory_format import contiguous_format, memory_format, preserve_format
from rushlight.strides import visit_order
from rushlight.tensor import method


@function
def is_nonzero(input):
    """Tell whether the one element of ``input`` is not zero.

    Args:
        input: Tensor of one element.

    Returns:
        A bool; True for nan.

    Raises:
        RuntimeError: ``input`` does not have one element.

    >>> import rushlight as torch
    >>> torch.is_nonzero(torch.tensor([0.5]))
    True
    """
    n = input.numel()
    if n != 1:
        which = "no values" if n == 0 else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {which} is ambiguous")
    return bool(input)


@function(kinds={"other": "Tensor"})
def is_same_size(input, other):
    """Tell whether two tensors have the same shape.

    Args:
        other: Tensor of any shape.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.is_same_size(torch.zeros(2, 3), torch.zeros(3, 2))
    False
    """
    return input.shape == other.shape


@function(method=False)
def get_device(input):
    """Return the number of the device on which ``input`` lies.

    Returns:
        An int; -1 on the CPU and on the device ``meta``.

    >>> import rushlight as torch
    >>> torch.get_device(torch.zeros(2))
    -1
    """
    return input.get_device()


@function(method=False)
def is_inference(input):
    """Tell whether ``input`` was made in inference mode.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> with torch.inference_mode():
    ...     x = torch.zeros(2)
    >>> torch.is_inference(x)
    True
    """
    return input.is_inference()


@method
def const_data_ptr(self):
    """Return the memory address of the first element, which is only read.

    Returns:
        An int, in bytes; 0 for an empty tensor.

    >>> import rushlight as torch
    >>> x = torch.zeros(4)
    >>> x.const_data_ptr() == x.data_ptr()
    True
    """
    return self.data_ptr()


def _formats(check):
    """The memory formats of the argument ``ambiguity_check``; none for a bool."""
    if isinstance(check, bool):
        return ()
    if isinstance(check, (tuple, list)) and all(isinstance(f, memory_format) for f in check):
        return check
    raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")


def _lies_in(tensor, form):
    return tensor.is_contiguous(
        memory_format=contiguous_format if form is preserve_format else form
    )


@method
@takes("input, *, ambiguity_check: any=")
def dim_order(self, *, ambiguity_check=False):
    """Return the dims in their order in memory, from the outermost to the innermost.

    Args:
        ambiguity_check: Raise an error if several orders describe the memory. This is so for dims
            of size 1, and for strides that are equal. A list of memory formats: raise no error if
            the tensor lies in exactly one of them. Default: False.

    Returns:
        Tuple of ints.

    Raises:
        RuntimeError: The order is ambiguous, and ``ambiguity_check`` forbids it.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last).dim_order()
    (0, 2, 3, 1)
    """
    formats, shape, strides = _formats(ambiguity_check), tuple(self.shape), self.stride()
    if self.is_contiguous() or not self.numel():
        order = tuple(range(len(shape)))
    else:
        order = tuple(visit_order(shape, strides))
    if ambiguity_check is False:
        return order
    several = 1 in shape or any(a == b for a, b in pairwise(strides))
    if several and sum([_lies_in(self, form) for form in formats]) != 1:
        raise RuntimeError(
            "The tensor does not have unique dim order, or cannot map to exact one of the given "
            "memory formats."
        )
    if ambiguity_check and any(
        (strides[a] == strides[b] and shape[a] == shape[b]) or not strides[a] or not strides[b]
        for a, b in pairwise(order)
    ):
        raise RuntimeError("The tensor does not have unique dim order.")
    return order
