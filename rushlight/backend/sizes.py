"""From how many elements on another way to compute the same is the faster one.

With ``RUSHLIGHT_CHECK=large`` every array counts as large, so that tests of a few numbers take the
ways that only large arrays take otherwise.
"""

import os

__all__ = ["CHECKS", "large_from"]

#: What ``RUSHLIGHT_CHECK`` names.
CHECKS = os.environ.get("RUSHLIGHT_CHECK", "").split(",")


def large_from(elements):
    """``elements``, or 1 where all arrays count as large."""
    return 1 if "large" in CHECKS else elements
