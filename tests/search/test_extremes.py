"""Numbers at the ends of their dtypes damage no memory; see ``extremes.py``."""

import ctypes.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import processes

ROOT = Path(__file__).parents[2]


@pytest.mark.search
def test_extreme_numbers_damage_no_memory():
    seed = int(np.random.default_rng().integers(1 << 31))
    checks = {"GLIBC_TUNABLES": "glibc.malloc.check=3", "MALLOC_PERTURB_": "85"}
    library = ctypes.util.find_library("c_malloc_debug")
    found = processes.run(
        [sys.executable, "-m", "tests.search.extremes", "--seed", str(seed), "--share", "0.5"],
        env={**os.environ, **checks, **({"LD_PRELOAD": library} if library else {})},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, (seed, found.stderr[-3000:])
