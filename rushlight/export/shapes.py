"""``dims`` and ``ShapesCollection``: ways to write down which dims may change."""

import inspect

from rushlight.export.exporting import Dim
from rushlight.tensor import Tensor

__all__ = ["ShapesCollection", "dims"]


def dims(*names, min=None, max=None):
    """Return a ``Dim`` for each name.

    Args:
        names: The names of the dims.
        min, max: The sizes that each dim may have, as for ``Dim``.

    Returns:
        A tuple of as many ``Dim``.

    >>> import rushlight as torch
    >>> torch.export.dims("batch", "time", max=8)
    (Dim('batch', min=0, max=8), Dim('time', min=0, max=8))
    """
    return tuple(Dim(name, min=min, max=max) for name in names)


class ShapesCollection:
    """The dims that may change, by tensor and not by place; ``export`` takes it as dynamic_shapes.

    Raises:
        AssertionError: The key is no tensor, or a tensor gets two different entries.

    >>> import rushlight as torch
    >>> x, y = torch.ones(2, 3), torch.ones(2, 3)
    >>> shapes = torch.export.ShapesCollection()
    >>> shapes[x] = {0: torch.export.Dim("batch")}
    >>> shapes.dynamic_shapes(torch.nn.Bilinear(3, 3, 1), (x, y))
    {'input1': {0: Dim('batch', min=0, max=None)}, 'input2': None}
    """

    def __init__(self):
        self._shapes: dict = {}  # id → entry
        self._tensors: list = []  # alive, so that no other object gets their ids

    def __setitem__(self, t, shape):
        if not isinstance(t, Tensor):
            raise AssertionError(
                f"ShapesCollection: cannot assign a shape to {type(t)}; the key must be a tensor"
            )
        if self._shapes.setdefault(id(t), shape) != shape:
            raise AssertionError(
                "Shapes assigned to input do not match: expected "
                f"{self._shapes[id(t)]}, got {shape}"
            )
        self._tensors.append(t)

    def __getitem__(self, t):
        if id(t) not in self._shapes:
            self[t] = {}
        return self._shapes[id(t)]

    def __len__(self):
        return len(self._shapes)

    def dynamic_shapes(self, m, args, kwargs=None):
        """Return the entries as a dict from the names of ``m``'s arguments, as ``export`` takes.

        Raises:
            ValueError: A tensor with an entry is not among the arguments.
        """
        bound = inspect.signature(getattr(m, "forward", m)).bind(*args, **(kwargs or {}))
        found: set = set()
        tree = {name: self._entries(value, found) for name, value in bound.arguments.items()}
        if len(found) < len(self._shapes):
            raise ValueError(
                "Some tensors that were assigned shapes were not found in args. Maybe such tensors "
                "were copied when passing them as args?"
            )
        return tree

    def _entries(self, value, found):
        if isinstance(value, dict):
            return {key: self._entries(part, found) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._entries(part, found) for part in value]
        if id(value) not in self._shapes:
            return None
        found.add(id(value))
        return self._shapes[id(value)]
