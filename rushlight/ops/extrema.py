"""The larger and the smaller of two, and values held between bounds."""

import numpy as np

from rushlight.ops.definition import function
from rushlight.ops.kinds import elementwise
from rushlight.ops.promotion import real_only
from rushlight.ops.rules import where
from rushlight.tensor import Tensor


@elementwise(dtype=real_only, inplace=False)
def maximum(xp, x, y):
    """The larger of ``input`` and ``other``; nan where one of them is.

    >>> import rushlight as torch
    >>> torch.maximum(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    return xp.maximum(x, y)


@elementwise(dtype=real_only, inplace=False)
def minimum(xp, x, y):
    """The smaller of ``input`` and ``other``; nan where one of them is.

    >>> import rushlight as torch
    >>> torch.minimum(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return xp.minimum(x, y)


# Equal elements share the gradient.
maximum.grad(
    x=lambda g, x, y: where(x < y, 0, where(x == y, g / 2, g)),
    y=lambda g, x, y: where(x > y, 0, where(x == y, g / 2, g)),
)
minimum.grad(
    x=lambda g, x, y: where(x > y, 0, where(x == y, g / 2, g)),
    y=lambda g, x, y: where(x < y, 0, where(x == y, g / 2, g)),
)
_ = np, function, Tensor
