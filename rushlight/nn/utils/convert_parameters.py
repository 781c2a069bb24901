"""Conversion of parameters to one vector, and back."""

import rushlight
from rushlight.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters):
    """Return all elements of several parameters, one parameter after the other, as one vector.

    Args:
        parameters: Iterable of tensors of any shapes.

    Returns:
        Tensor ``(n,)`` with the n elements of all parameters.

    >>> import rushlight as torch
    >>> torch.nn.utils.parameters_to_vector([torch.ones(2), torch.zeros(1, 1)])
    tensor([1., 1., 0.])
    """
    return rushlight.cat([p.view(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Make parameters views of consecutive parts of a vector.

    Args:
        vec: Tensor ``(n,)`` with at least as many elements as the parameters.
        parameters: Iterable of tensors of any shapes, whose ``data`` is replaced.

    Raises:
        TypeError: ``vec`` is not a Tensor.
        RuntimeError: ``vec`` has too few elements.

    >>> import rushlight as torch
    >>> layer = torch.nn.Linear(2, 1)
    >>> torch.nn.utils.vector_to_parameters(torch.arange(3.0), layer.parameters())
    >>> layer.bias
    Parameter containing:
    tensor([2.], requires_grad=True)
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: vec must be a Tensor, got {type(vec)}")
    start = 0
    for p in parameters:
        p.data = vec.narrow(0, start, p.numel()).view_as(p).data
        start += p.numel()
