"""Where two summaries of values differ."""

import math

RELATIVE, OF_LARGEST = 2e-4, 2e-5
ARRAY = {"dtype", "shape", "largest", "kept"}  # what ``one.of_array`` keeps of an array


def differences(found, want, tolerance=None, path=""):
    """Lines that say where ``found`` is not ``want``.

    Floats may differ by 2e-4 of themselves and 2e-5 of the largest of their array; with a
    ``tolerance``, by this share of the largest.
    """
    if isinstance(want, dict) and want.keys() == ARRAY and isinstance(found, dict):
        return _of_array(found, want, tolerance, path)
    if isinstance(want, dict) and isinstance(found, dict) and found.keys() == want.keys():
        pairs = [(f"{path}/{key}", found[key], want[key]) for key in want]
    elif isinstance(want, list) and isinstance(found, list) and len(found) == len(want):
        pairs = [(f"{path}[{i}]", a, b) for i, (a, b) in enumerate(zip(found, want, strict=True))]
    elif isinstance(want, float) and isinstance(found, float | int):
        same = _near(found, want, abs(want), tolerance)
        return [] if same else [f"{path}: {found!r} instead of {want!r}"]
    else:
        return [] if found == want else [f"{path}: {_short(found)} instead of {_short(want)}"]
    return [line for at, a, b in pairs for line in differences(a, b, tolerance, at)]


def _of_array(found, want, tolerance, path):
    for part in ("dtype", "shape"):
        if found.get(part) != want[part]:
            return [f"{path}: {part} {found.get(part)} instead of {want[part]}"]
    pairs = list(zip(_flat(found["kept"]), _flat(want["kept"]), strict=True))
    wrong = [(a, b) for a, b in pairs if not _same(a, b, want["largest"], tolerance)]
    if not wrong:
        return []
    a, b = wrong[0]
    return [f"{path}: {len(wrong)} of {len(pairs)} elements differ, {a!r} instead of {b!r}"]


def _flat(items):
    return [x for item in items for x in _flat(item)] if isinstance(items, list) else [items]


def _same(a, b, largest, tolerance):
    return _near(a, b, largest, tolerance) if isinstance(b, float) else a == b


def _near(a, b, largest, tolerance):
    if math.isnan(b) or math.isinf(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    if tolerance is not None:
        return abs(a - b) <= tolerance * max(largest, abs(b))
    return abs(a - b) <= RELATIVE * abs(b) + OF_LARGEST * largest


def _short(value):
    text = repr(value)
    return text if len(text) < 80 else f"{text[:80]}…"
