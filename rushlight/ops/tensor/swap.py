"""``swap_tensors``: two tensors change places, for whoever holds them."""

import gc
import weakref
from sys import getrefcount

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf
from rushlight.handled import cover, is_handled, own_slots
from rushlight.tensor import Tensor, ViewOf

__all__ = ["swap_tensors"]

_SLOTS = ("_array", "_cell", "_grad", "node", "turned", "view_of", "_leaf")


def swap_tensors(t1, t2):
    """Exchange two tensors: whoever held one then holds the other.

    Class, elements, gradient, history, hooks and attributes are exchanged. Graphs that were made
    of one tensor send their gradients where its elements are then.

    Args:
        t1, t2: Tensors of any shapes, which may be of different subclasses.

    Raises:
        TypeError: One is no tensor, or the objects of the two classes differ in their fields.
        RuntimeError: A view of one tensor exists.

    >>> import rushlight as torch
    >>> x, y = torch.ones(2), torch.nn.Parameter(torch.zeros(1))
    >>> torch.utils.swap_tensors(x, y)
    >>> y, type(x).__name__
    (tensor([1., 1.]), 'Parameter')
    """
    for position, t in enumerate((t1, t2), 1):
        if not isinstance(t, Tensor):
            raise TypeError(f"swap_tensors: t{position} is a {type(t).__name__}, not a Tensor")
    if t1 is t2:
        return
    mode.refuse_in_trace("two tensors are exchanged, which a program would not do again")
    for position, t in enumerate((t1, t2), 1):
        if _has_views(t):
            raise RuntimeError(f"swap_tensors: a view of t{position} exists, which would lose it")
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
    own = set(own_slots(type(t1))) if type(t1) is type(t2) else ()
    for name in (*_SLOTS, *own):
        _exchange(t1, t2, name)
    for t in (t1, t2):
        if is_handled(t):
            cover(t)
        for node in (getattr(t, "node", None), getattr(t, "_leaf", None)):
            if type(node) is Leaf:
                node.ref = weakref.ref(t)


def _has_views(t):
    cell = getattr(t, "_cell", None)
    if cell is None or getrefcount(cell) <= 3:  # the tensor, ``cell``, and the call's argument
        return False
    return any(isinstance(r, ViewOf) and r.root is t for r in gc.get_referrers(t))


def _exchange(t1, t2, name):
    """Exchange a field, which one tensor may lack."""
    values = [(t, getattr(other, name, _exchange)) for t, other in ((t1, t2), (t2, t1))]
    for t, value in values:
        if value is not _exchange:
            setattr(t, name, value)
        elif hasattr(t, name):
            delattr(t, name)
