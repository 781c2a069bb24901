"""Freed memory serves the next results."""

import os
import platform
import sys

import pytest

from tests import processes

COUNT = """
import resource
import rushlight as torch

x = torch.ones(1_000_000)
def several():
    return [x + x for _ in range(6)]
several()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    several()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment):
    """New pages that 20 rounds of six results of 4 MB take."""
    unset = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
    own = {k: v for k, v in os.environ.items() if k not in unset}
    found = processes.run(
        [sys.executable, "-c", COUNT], env=own | environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_results_get_pages_that_are_at_hand_unless_the_user_says_otherwise():
    kept = faults()
    assert kept < 1000
    assert faults(MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072") > 10 * kept
