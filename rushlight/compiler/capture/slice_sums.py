"""Sums of parts: gradients of slices are written into one memory, not added as whole tensors.

The gradient of ``x[0:2]`` is zeros of x's shape with one part filled in (the operation ``embed``).
If x is sliced several times, such gradients are added. An addition ``whole + embed(part)`` changes
only the part, so it is replaced by a write::

    whole[index] = whole[index] + part

If the whole is a sum of other parts that do not overlap this one, it is zero there. Then the write
is ``whole[index] = part``. A part that makes up much of the whole is added after all: its zeros
need no memory, as kernels read it as a padded value.
"""

from collections import Counter
from typing import NamedTuple

from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.abstract import Abstract
from rushlight.ops.core.definition import OPS
from rushlight.ops.index.slice import box, solid

__all__ = ["Sum", "sums"]

_EMBED, _ADD = OPS["embed"], OPS["add"]
#: From a _FEW-th of the whole on, a part is padded with zeros and added.
_FEW = 4


class Sum(NamedTuple):
    """``whole + embed(part, place)``; ``fresh``: the whole is known to be zero at ``place``."""

    whole: Abstract
    part: Abstract
    place: tuple
    fresh: bool


def sums(equations):
    """id(equation) → Sum, for those ``equations`` that add an embedded part."""
    uses = Counter([v.id for e in equations for v in operands(e)])
    embeds: dict = {}  # value id → the equation that embeds it
    filled: dict = {}  # value id → the boxes outside which it is zero
    found: dict = {}
    for e in equations:
        if e.op is _EMBED:
            places = box(e.outs[0].shape, e.params["index"])
            if places is not None and not (solid(places) and _is_large(e)):
                embeds[e.outs[0].id] = e
                filled[e.outs[0].id] = [places]
        elif e.op is _ADD:
            terms = _sum_of(e, embeds, uses)
            if terms is None:
                continue
            whole, embed = terms
            (places,) = filled[embed.outs[0].id]
            boxes = filled.get(whole.id)
            fresh = boxes is not None and all(_apart(places, b) for b in boxes)
            if boxes is not None:
                filled[e.outs[0].id] = [*boxes, places]
            found[id(e)] = Sum(whole, embed.ins[0], embed.params["index"], fresh)
    return found


def _sum_of(e, embeds, uses):
    """(whole, embed equation) of the addition ``e``; None if ``e`` adds no embedded part."""
    x, y = e.ins
    out = e.outs[0]
    for whole, part in ((x, y), (y, x)):
        if not isinstance(whole, Abstract) or not isinstance(part, Abstract):
            return None
        alike = whole.shape == part.shape and whole.dtype == part.dtype == out.dtype
        # The whole is written in place, so no other equation may read it.
        if alike and part.id in embeds and uses[whole.id] == uses[part.id] == 1:
            return whole, embeds[part.id]
    return None


def _is_large(e):
    return e.ins[0].size * _FEW >= e.outs[0].size


def _apart(x, y):
    """Whether two boxes share no element."""
    return any(not _meet(a, b) for a, b in zip(x, y, strict=True))


def _meet(a, b):
    if not a or not b or a[-1] < b[0] or b[-1] < a[0]:
        return False
    return a.step != b.step or (a[0] - b[0]) % a.step == 0
