"""The tests here run on each type of device that is there.

OpenCL: ``pip install intel-opencl-rt intel-cmplr-lib-rt`` brings a device that runs on the CPU, and
so does PoCL (``apt install pocl-opencl-icd``). If both are there, Intel's is the first one.
CUDA: without a GPU, an interpreter of PTX behind a stand-in for NVIDIA's driver.
"""

import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest

import rushlight as torch
from rushlight import device_array, precision
from rushlight.backend import cuda
from rushlight.compiler.capture import tracked_memory
from rushlight.ops.core import remote_calls
from tests import processes
from tests.daily import drawn
from tests.device.ptx.driver import StandIn


@cache
def _interpreted():
    """The stand-in for NVIDIA's driver, and its devices, which all tests share with its kernels."""
    found, before = StandIn(), cuda.open_library
    cuda.open_library = lambda: found
    try:
        return found, cuda.devices.__wrapped__()
    finally:
        cuda.open_library = before
        cuda._library.cache_clear()


@pytest.fixture
def stand_in(monkeypatch):
    """The stand-in for NVIDIA's driver, which is there in this test; None where there is a GPU."""
    if cuda.devices():
        return None
    cuda._library.cache_clear()
    found, devices = _interpreted()
    monkeypatch.setitem(device_array._finders, "cuda", lambda: devices)
    return found


def _kernels():
    from rushlight.compiler.device import program

    return program._kernels


@pytest.fixture
def fresh(monkeypatch):
    """``fresh(...)`` puts a new stand-in in the driver's place, for one test."""
    made = []

    def make(**options):
        found = StandIn(**options)
        made.append(found)
        monkeypatch.setattr(cuda, "open_library", lambda: found)
        clear()
        return found

    def clear():
        for cached in (cuda._library, cuda.devices):
            cached.cache_clear()
        _kernels().clear()
        remote_calls._programs.clear()

    yield make
    monkeypatch.undo()
    clear()
    for driver in made:  # 512 MB, and something may keep the driver
        for arena in driver.arenas:
            del arena.races


def _assembler():
    """NVIDIA's assembler, which ``pip install --no-deps nvidia-cuda-nvcc`` brings."""
    found = sorted(Path(sys.prefix).glob("lib/python*/site-packages/nvidia/*/bin/ptxas"))
    return str(found[0]) if found else shutil.which("ptxas")


ASSEMBLER = _assembler()


@pytest.fixture
def assembled(tmp_path):
    """``assembled(text)`` assembles PTX for its architecture; the kernels may not spill."""

    def assemble(text):
        source = tmp_path / "kernel.ptx"
        source.write_text(text)
        architecture = re.search(r"\.target (\w+)", text)[1]
        command = [ASSEMBLER, "-v", f"-arch={architecture}", str(source), "-o", os.devnull]
        done = processes.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        used = re.findall(r"(\d+) bytes (?:stack frame|spill)", done.stderr)
        assert used and not any(map(int, used)), done.stderr

    return assemble


@pytest.fixture(autouse=True)
def all_bits():
    """Convolutions compute in float32, so that results can be compared with the CPU's."""
    precision.allow("convolution", False)
    yield
    precision.allow("convolution", True)


@pytest.fixture
def numbers_of_the_cpu(monkeypatch):
    """Random numbers for devices are the CPU's, so that results can be compared with the CPU's."""
    for module in (remote_calls, tracked_memory):
        monkeypatch.setattr(module, "generator_of", lambda d: torch.default_generator)


@pytest.fixture(params=["opencl", "cuda"])
def device(request, numbers_of_the_cpu):
    """A device of each type."""
    if request.param == "opencl":
        if not torch.opencl.is_available():
            pytest.skip("no OpenCL device")
        yield torch.device("opencl", 0)
        return
    stand_in = request.getfixturevalue("stand_in")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device, and no llvmlite")
    yield torch.device("cuda", 0)
    if stand_in is not None:
        said, stand_in.said = stand_in.said, ""
        assert not said


#: They take the interpreter half a minute each.
_LONG = ("lbfgs", "training, sequences", "training, images")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Without a GPU, tests of CUDA run on an interpreter: a few each day, and a sixth in CI.

    RUSHLIGHT_TESTS_PTX=all runs all of them.
    """
    if os.environ.get("RUSHLIGHT_TESTS_PTX") == "all":
        return
    ours = [item for item in items if _is_interpreted(item)]
    quick = [item for item in ours if not item.get_closest_marker("slow")]
    quick = [item for item in quick if not any(name in item.name for name in _LONG)]
    few = {id(quick[i]) for i in drawn(quick, 12, "CUDA, each day")}
    more = {id(ours[i]) for i in drawn(ours, len(ours) // 6, "CUDA, in CI")}
    for item in ours:
        if id(item) not in few:
            item.add_marker(pytest.mark.slow)
    left_out = {id(item) for item in ours} - few - more
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
    items[:] = [item for item in items if id(item) not in left_out]


def _is_interpreted(item):
    given = getattr(getattr(item, "callspec", None), "params", {}).get("device")
    return given == "cuda" and "tests/device" in item.path.as_posix()
