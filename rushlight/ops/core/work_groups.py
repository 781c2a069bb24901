"""Loops that the work-groups of a device share: Python functions for which NumPy has no function.

``in_groups`` runs a function of flat arrays in C order. Each step of its loop over ``groups`` is
the work of one work-group, and the work-items of the group take turns at the steps of each loop
over ``items``::

    def norms(x, count, n, out):
        for k in groups(count):
            for i in items(n):
                ...

All work-items run what stands outside the loops over ``items``, so they have the same numbers
there. They wait for each other before and after such a loop, and at each element that is written
outside of one. What a function may be made of: ``compiler/codegen/array_function.py``.

Lowerings for devices use it. On the host one thread takes all steps.
"""

import numpy as np

from rushlight import late
from rushlight.ops.core.kinds import kernel

__all__ = ["groups", "in_groups", "items"]

groups = items = range  # their names tell ``compiler/device/work_groups.py`` who takes which steps


@kernel(public=False, method=False, name="in_groups", primitive="looped", widen=False,
        shape=lambda tensors, shapes, **_: list(shapes))  # fmt: skip
def _in_groups(xp, tensors, *, function, count, numbers, shapes):
    given = [*map(np.ascontiguousarray, tensors), count, *numbers]
    outs = [(shape, tensors[0].dtype) for shape in shapes]
    results = None if xp.dry else late.looped(function, given, outs)
    if results is None:
        results = [np.zeros(*out) for out in outs]
        if not xp.dry:
            flat = [x.reshape(-1) if isinstance(x, np.ndarray) else x for x in (*given, *results)]
            with np.errstate(all="ignore"):
                function(*flat)
    return tuple(results) if len(results) > 1 else results[0]


def in_groups(function, tensors, count, numbers, shapes):
    """The results of a function whose loops run on a device.

    Args:
        function: ``function(*tensors, count, *numbers, *results)`` fills the results.
        tensors: What it reads, as flat arrays in C order.
        count: The number of groups.
        numbers: Ints that stand in the code as they are, such as the sizes of matrices.
        shapes: The shapes of the results. They have the dtype of the first tensor.

    Returns:
        A tuple of the results; the result itself if there is one.
    """
    return _in_groups(list(tensors), function=function, count=count, numbers=tuple(numbers),
                      shapes=tuple(map(tuple, shapes)))  # fmt: skip
