"""The part of a long list of cases that runs each day; the rest are long tests.

Each day draws another part, and CI runs the rest, too. ``RUSHLIGHT_TESTS_DAY=2026-11-29 pytest``
runs that day's part again.
"""

import datetime
import os
import random

import pytest

#: A test of more cases runs a fifth of them each day, but not fewer than these.
MANY = 4
#: The day whose part runs. The workers of a run inherit it, so that midnight does not divide them.
DAY = os.environ.setdefault("RUSHLIGHT_TESTS_DAY", datetime.date.today().isoformat())


def drawn(cases, most, name):
    """The indices of ``most`` of the cases, drawn for the day; ``name`` tells lists apart."""
    count = len(cases)
    return set(random.Random(f"{DAY} {name}").sample(range(count), min(most, count)))


def rested(items):
    """The tests among ``items`` that rest today: of many cases of one test, a part runs each day.

    ``items`` are pytest's. Cases that are slow, or searches, are not counted.
    """
    cases: dict = {}
    for item in items:
        if not any(item.iter_markers("slow")) and not any(item.iter_markers("search")):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    found = set()
    for name, alike in cases.items():
        if len(alike) > MANY:
            chosen = drawn(alike, max(MANY, len(alike) // 5), name)
            found |= {item for i, item in enumerate(alike) if i not in chosen}
    return found


def daily(cases, most, name):
    """``cases`` as parameters, in order: all but ``most`` of them are marked as slow.

    A tuple among the cases is one case of several parameters.
    """
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    chosen = drawn(cases, most, name)
    return [
        pytest.param(*case, marks=() if i in chosen else pytest.mark.slow)
        for i, case in enumerate(cases)
    ]
