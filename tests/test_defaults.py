"""What a process has one of, as PyTorch answers on a machine with a CPU."""

import pytest

import rushlight


def flushed(torch):
    """What becomes of denormal numbers, in either mode, and what setting it returns."""
    found = []
    for on in (True, False):
        try:
            found.append(torch.set_flush_denormal(on))
            double, single = torch.tensor([1e-323], dtype=torch.float64), torch.tensor([1e-40])
            for x in (double, double * 1, single, torch.tensor([2e-38]) * 0.25):
                found += [repr(x), x.view(torch.uint8).tolist()]
        finally:
            found.append(torch.set_flush_denormal(False))
    for mode in (1, None):
        with pytest.raises(RuntimeError, match="expects a bool, but got"):
            torch.set_flush_denormal(mode)
    return found


def answers(torch):
    """What is asked of either."""
    torch.set_default_device("cpu")
    with torch.device("cpu") as device:
        made = torch.ones(1)
    found = [
        device.type,
        made.device.type,
        torch.get_default_device().type,
        *flushed(torch),
    ]
    found += [torch.typename(x) for x in (3, "a", int, torch.ones(1), torch.ones(1).long())]
    with pytest.raises(RuntimeError, match="positive"):
        torch.set_num_interop_threads(0)
    with pytest.raises(AssertionError, match="so"):
        torch._assert(False, "so")
    torch._assert(True, "so")
    torch.set_default_device(None)
    return found


def test_defaults():
    assert answers(rushlight)[:3] == ["cpu"] * 3
    with pytest.raises(AssertionError, match="CUDA"):
        rushlight.set_default_device("cuda")
    with pytest.raises(AssertionError, match="CUDA"), rushlight.device("cuda"):
        pass
    rushlight.set_num_interop_threads(3)
    assert rushlight.get_num_interop_threads() == 3


@pytest.mark.parity
def test_as_pytorch():
    assert answers(rushlight) == answers(pytest.importorskip("torch"))


def test_arguments_that_are_no_device_or_switch():
    for wrong in ((-1,), ("cpu", -1)):
        with pytest.raises(RuntimeError, match="non-negative"):
            rushlight.device(*wrong)
    with pytest.raises(TypeError, match="expected a bool"):
        rushlight.use_deterministic_algorithms(1)


def test_the_module_of_a_device():
    assert (
        rushlight.get_device_module("cpu")
        is rushlight.get_device_module(rushlight.device("cpu"))
        is rushlight.cpu
    )
    assert rushlight.get_device_module("cuda:1") is rushlight.cuda
    for wrong in ("nothing", 3, "ve", "meta"):
        with pytest.raises(RuntimeError):
            rushlight.get_device_module(wrong)
