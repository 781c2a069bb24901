"""Whose code is observed how far."""

import gc
import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

import rushlight as torch


def test_numpy_outside_of_site_packages(tmp_path):
    """As of ``pip install --target``, or of another environment: its frames are still known."""
    for name in ("numpy", "scipy", "llvmlite"):
        spec = find_spec(name)
        for place in spec.submodule_search_locations if spec is not None else []:
            for folder in (Path(place), Path(f"{place}.libs")):
                if folder.exists():
                    try:
                        (tmp_path / folder.name).symlink_to(folder)
                    except OSError:
                        pytest.skip("symbolic links need a privilege here")
    program = f"""
        import numpy, rushlight as torch
        f = torch.compile(lambda x: (x.sin() * 2).sum(1))
        assert numpy.__file__.startswith({str(tmp_path)!r}) and f(torch.ones(2, 3)).shape == (2,)
    """
    path = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env=os.environ | {"PYTHONPATH": path}, check=True, timeout=120,
    )  # fmt: skip


def test_nothing_is_kept_of_functions_that_are_gone():
    def compile_some(start, count):
        for k in range(start, start + count):
            scope = {}
            exec(f"def f(x):\n    return (x * {k}).sum()", scope)
            torch.compile(scope["f"])(torch.ones(3))
        gc.collect()
        return len(gc.get_objects())

    before = compile_some(0, 5)
    assert compile_some(5, 20) - before < 200  # the instructions of one function are 40 objects
