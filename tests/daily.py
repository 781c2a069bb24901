"""The part of a long list of cases that runs each day; the rest are long tests.

Each day draws another part, and CI runs the rest, too. ``RUSHLIGHT_TESTS_DAY=2026-11-29 pytest``
runs that day's part again.
"""

import datetime
import os
import random

import pytest

#: The day whose part runs. The workers of a run inherit it, so that midnight does not divide them.
DAY = os.environ.setdefault("RUSHLIGHT_TESTS_DAY", datetime.date.today().isoformat())


def drawn(cases, most, name):
    """The indices of ``most`` of the cases, drawn for the day; ``name`` tells lists apart."""
    count = len(cases)
    return set(random.Random(f"{DAY} {name}").sample(range(count), min(most, count)))


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
