"""Calls that repeat are replayed with the results of the function itself; see ``cases.py``."""

import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")  # replays are machine code

from tests.compiler.replay.cases import PARTS
from tests.daily import daily

CASES = Path(__file__).with_name("cases.py")


@pytest.mark.parametrize("part", daily(range(PARTS), 1, "replays"))
def test_cases(part):
    library = ctypes.util.find_library("c_malloc_debug")  # writes beyond an array are errors then
    checks = {"LD_PRELOAD": library} if library else {}
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", CASES],
        env={**os.environ, "RUSHLIGHT_REPLAY": "1", "RUSHLIGHT_CHECK": "replay",
             "RUSHLIGHT_PART": str(part), "GLIBC_TUNABLES": "glibc.malloc.check=3", **checks},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-6000:]
