"""Size limits from which on another way to compute the same result is faster.

With ``RUSHLIGHT_CHECK=large`` every array counts as large, so that tests on small arrays run the
code for large ones.
"""

import os

__all__ = ["CHECKS", "large_from"]

#: The checks named in the environment variable ``RUSHLIGHT_CHECK``, separated by commas.
CHECKS = os.environ.get("RUSHLIGHT_CHECK", "").split(",")


def large_from(elements):
    """``elements``, or 1 if all arrays count as large."""
    return 1 if "large" in CHECKS else elements
