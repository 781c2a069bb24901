"""The programs in examples/ print on a device what they print on the CPU: the losses are the same."""

import json

import pytest

import rushlight as torch
from rushlight.cli import main
from tests.programs.test_examples import RUSHLIGHT, SHORT, assert_same, output

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.opencl.is_available(), reason="no OpenCL device"),
]


@pytest.mark.parametrize("program", SHORT)
def test_prints_the_same(program):
    assert_same(output(RUSHLIGHT, program, "--device", "opencl"), output(RUSHLIGHT, program))


def test_demo(tmp_path):
    found = []
    for name in ("cpu", "opencl"):
        assert main(["demo", "--epochs", "1", "--device", name, "--out", str(tmp_path / name)]) == 0
        found.append(json.loads((tmp_path / name / "results.json").read_text()))
    near, far = found
    assert far["history"][0] == pytest.approx(near["history"][0], rel=1e-4)
    assert far["test_accuracy"] == near["test_accuracy"]
