"""The tests here run on each type of device that is there.

OpenCL: ``pip install intel-opencl-rt intel-cmplr-lib-rt`` brings a device that runs on the CPU.
CUDA: without a GPU, an interpreter of PTX behind a stand-in for NVIDIA's driver.
"""

import pytest

import rushlight as torch
from rushlight.backend import cuda
from tests.device.ptx.driver import StandIn


@pytest.fixture(scope="session")
def stand_in():
    """The stand-in for NVIDIA's driver; None where there is a GPU."""
    if cuda.devices():
        return None
    found, before = StandIn(), cuda.open_library
    cuda.open_library = lambda: found
    for cached in (cuda._library, cuda.devices):
        cached.cache_clear()
    yield found
    cuda.open_library = before
    for cached in (cuda._library, cuda.devices):
        cached.cache_clear()


@pytest.fixture(params=["opencl", "cuda"])
def device(request):
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
