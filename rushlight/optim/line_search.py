"""The line search of LBFGS: it looks for a step at which the strong Wolfe conditions hold."""

from typing import Any, NamedTuple

__all__ = ["Point", "strong_wolfe"]


class Point(NamedTuple):
    """The step ``t``, and the objective's value, gradient and slope along the line at that step."""

    t: Any
    value: Any
    g: Any
    slope: Any


def strong_wolfe(
    evaluate, start, t, *, length, most, tolerance_change=1e-9, descent=1e-4, curvature=0.9
):
    """Search along a line from ``start``; return (the best Point, the number of evaluations).

    First a bracket is grown until it contains a step at which the strong Wolfe conditions hold.
    Then the bracket is made smaller. Source: Nocedal & Wright, Numerical optimization, 2nd edition,
    algorithms 3.5 and 3.6.

    Args:
        evaluate: A function that returns the Point at a step.
        t: The first step to try.
        length: The largest change of a parameter at step 1.
        most: The largest number of evaluations after the first.
        descent, curvature: The constants c₁ and c₂ of the conditions.
    """
    low_enough = lambda point: point.value <= start.value + descent * point.t * start.slope
    flat_enough = lambda point: abs(point.slope) <= -curvature * start.slope
    before, point, count = start, evaluate(t), 0
    bracket = None
    while count < most and bracket is None:
        if not low_enough(point) or (count > 1 and point.value >= before.value):
            bracket = [before, point]
        elif flat_enough(point):
            return point, count + 1
        elif point.slope >= 0:
            bracket = [before, point]
        else:
            bounds = point.t + 0.01 * (point.t - before.t), point.t * 10
            t = _cubic_minimum(before, point, bounds)
            before, point, count = point, evaluate(t), count + 1
    if bracket is None:
        bracket = [start, point]
    return _zoom(
        evaluate, bracket, low_enough, flat_enough, length, most, tolerance_change, count
    )  # fmt: skip


def _zoom(evaluate, bracket, low_enough, flat_enough, length, most, tolerance_change, count):
    """Make ``bracket`` smaller; return (the best Point, the number of evaluations)."""
    low = _lowest(bracket)
    near_end = False
    while count < most:
        if abs(bracket[1].t - bracket[0].t) * length < tolerance_change:
            break
        t, near_end = _inside(_cubic_minimum(*bracket), bracket, near_end)
        point, count = evaluate(t), count + 1
        if not low_enough(point) or point.value >= bracket[low].value:
            bracket[1 - low] = point
            low = _lowest(bracket)
            continue
        done = flat_enough(point)
        if not done and point.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = point
        if done:
            break
    return bracket[low], count + 1


def _lowest(bracket):
    return 0 if bracket[0].value <= bracket[1].value else 1


def _inside(t, bracket, again):
    """Return ``t``, and True if it is near an end of the bracket, which means within a tenth.

    If ``t`` is near an end for the second time, or not inside, it is moved a tenth inwards.
    """
    ends = [point.t for point in bracket]
    first, last = min(ends), max(ends)
    margin = 0.1 * (last - first)
    if min(last - t, t - first) >= margin:
        return t, False
    if not (again or t >= last or t <= first):
        return t, True
    return (last - margin if abs(t - last) < abs(t - first) else first + margin), False


def _cubic_minimum(a, b, bounds=None):
    """Return the step, within ``bounds``, at which a cubic is least.

    The cubic has the values and slopes of ``a`` and ``b``. Without ``bounds`` the step lies between
    the two points.
    """
    if a.t > b.t:
        a, b = b, a
    least, most = (a.t, b.t) if bounds is None else bounds
    d = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d**2 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2.0
    root = square.sqrt()
    t = b.t - (b.t - a.t) * ((b.slope + root - d) / (b.slope - a.slope + 2 * root))
    return min(max(t, least), most)
