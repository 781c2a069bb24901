"""Layers that change only the shape."""

from rushlight.nn.modules.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Merges the dims from ``start_dim`` to ``end_dim`` into one dim.

    Shape: x: (N, *) → (N, ∏*) by default.

    Args:
        start_dim: The first dim to merge. Default: 1, so that the batch dim stays.
        end_dim: The last dim to merge. Default: the last dim.

    >>> import rushlight as torch
    >>> torch.nn.Flatten()(torch.ones(32, 1, 5, 5)).shape
    torch.Size([32, 25])
    """

    __constants__ = ["start_dim", "end_dim"]

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one dim into several dims.

    Shape: x: (*, S, *) → (*, *unflattened_size, *), where S is the size of ``dim``.

    Args:
        dim: The dim to split. Negative dims count from the end.
        unflattened_size: The new sizes, whose product is S: a tuple or list of ints. One size may
            be -1: it is computed from the others.

    Raises:
        TypeError: ``unflattened_size`` is no tuple or list of ints.

    >>> import rushlight as torch
    >>> torch.nn.Unflatten(1, (2, 5, 5))(torch.ones(2, 50)).shape
    torch.Size([2, 2, 5, 5])
    """

    __constants__ = ["dim", "unflattened_size"]

    def __init__(self, dim, unflattened_size):
        super().__init__()
        if not isinstance(unflattened_size, tuple | list):
            raise TypeError(
                f"Unflatten: unflattened_size must be a tuple of ints, "
                f"got {type(unflattened_size).__name__}"
            )
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"Unflatten: unflattened_size must be a tuple of ints, "
                    f"but item {i} is a {type(size).__name__}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input):
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
