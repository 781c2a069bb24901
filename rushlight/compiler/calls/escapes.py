"""Tensors of a trace that the function left somewhere outside: in an attribute, a dict, a closure.

Each run repeats such an assignment after the program. A call is refused if it leaves a tensor in a
way that cannot be repeated, such as appending to a list.
"""

import gc
import types
from collections import Counter
from sys import getrefcount

from rushlight.autograd.engine import ancestors
from rushlight.autograd.tape import Node
from rushlight.errors import TraceError
from rushlight.tensor import ViewOf

__all__ = ["assignments", "kept_outside"]


def assignments(made, results, collect=gc.collect):
    """(object, template of the assignment, tensor) for each place outside with a traced tensor.

    Args:
        made: Weak references to the traced tensors.
        results: The list of the traced tensors that are results.
        collect: A function that frees unreachable reference cycles.
    """
    held = _held(made, results)
    if held:
        collect()
        held = _held(made, results)
    nodes = ancestors([t.node for t in (*held, *results) if t.node is not None]) if held else ()
    ours = {id(held), id(results), *[id(n.__dict__) for n in nodes if hasattr(n, "__dict__")]}
    found: list = []
    asked = tuple(held)
    ours.add(id(asked))
    # No comprehension here: it would put t into a cell, which would count as another holder of t.
    for owner in gc.get_referrers(*asked) if held else ():
        if id(owner) in ours or isinstance(owner, (types.FrameType, ViewOf, Node)):
            continue
        parts = {*map(id, gc.get_referents(owner))}
        for t in held:
            if id(t) in parts:
                found.append((owner, _target(owner, t), t))  # noqa: PERF401
    return found


def _held(made, results):
    """The traced tensors that are referred to by other objects than ``results`` and their views."""
    ids = {id(t) for t in results}
    views = {}  # id of a ViewOf → id of its root tensor
    for reference in made:
        t = reference()
        if t is not None and t.view_of is not None:
            views[id(t.view_of)] = id(t.view_of.root)
        del t
    known = Counter(views.values())
    held = []
    for reference in made:
        t = reference()
        # References: t, the argument of getrefcount, the list of results, and views.
        if t is not None and getrefcount(t) > 2 + (id(t) in ids) + known[id(t)]:
            held.append(t)
        del t
    return held


def _target(owner, t):
    """The place of ``t`` in ``owner``, as a template: an attribute, an entry or a cell."""
    if type(owner) is types.CellType:
        return "{0}.cell_contents"
    named = owner if type(owner) is dict else getattr(owner, "__dict__", None)
    for key, value in named.items() if named is not None else ():
        if value is t and isinstance(key, str):
            return f"{{0}}[{key!r}]" if owner is named else f"{{0}}.{key}"
    raise kept_outside(owner, t)


def kept_outside(owner, t):
    """The error for a tensor of the trace in an object from which no run can remove it."""
    return TraceError(
        f"a tensor of shape {list(t._array.shape)} that was made inside torch.compile is kept "
        f"outside, by a {type(owner).__name__}; return it, and keep it there"
    )
