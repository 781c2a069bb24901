"""The part of a long list of cases that runs each day; the rest are long tests.

Each day draws another part. CI also runs the long tests, and a third of the cases of tests that have
many. ``RUSHLIGHT_TESTS_DAY=2026-11-29 pytest`` runs that day's part again.
"""

import datetime
import os
import random

import pytest

#: A test of more cases runs an eighth of them each day, but not fewer than these.
MANY = 2
#: ``RUSHLIGHT_TESTS_SHARE=3`` runs a third of the cases of such tests, drawn anew at each run.
SHARE = int(os.environ.get("RUSHLIGHT_TESTS_SHARE", "1"))
DRAW = os.environ.setdefault("RUSHLIGHT_TESTS_DRAW", str(random.randrange(10**9)))
#: The day whose part runs. The workers of a run inherit it, so that midnight does not divide them.
DAY = os.environ.setdefault("RUSHLIGHT_TESTS_DAY", datetime.date.today().isoformat())


def drawn(cases, most, name, key=DAY):
    """The indices of ``most`` of the cases, drawn for the day; ``name`` tells lists apart."""
    count = len(cases)
    return set(random.Random(f"{key} {name}").sample(range(count), min(most, count)))


def rested(items):
    """The tests among ``items`` that rest today: of many cases of one test, a part runs each day.

    ``items`` are pytest's. Cases that are slow, or searches, are not counted.
    """
    short = [x for x in items if not any(m.name in ("slow", "search") for m in x.iter_markers())]
    return _but(short, lambda count: count // 8, DAY)


def unshared(items):
    """The tests among ``items`` that are left out of this run; see ``SHARE``."""
    return _but(items, lambda count: -(-count // SHARE), DRAW)


def _but(items, most, key):
    """All but ``most`` of the cases of each test that has many."""
    cases: dict = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    found = set()
    for name, alike in cases.items():
        if len(alike) > MANY:
            chosen = drawn(alike, max(MANY, most(len(alike))), name, key)
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
