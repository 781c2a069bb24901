"""All tests here need an OpenCL device: ``pip install intel-opencl-rt intel-cmplr-lib-rt``."""

import pytest

import rushlight as torch


@pytest.fixture(autouse=True)
def device():
    if not torch.opencl.is_available():
        pytest.skip("no OpenCL device")
    return torch.device("opencl", 0)
