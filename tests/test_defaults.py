"""What a process has one of, as PyTorch answers on a machine with a CPU."""

import pytest

import rushlight


def answers(torch):
    """What is asked of either."""
    torch.set_default_device("cpu")
    with torch.device("cpu") as device:
        made = torch.ones(1)
    found = [
        device.type,
        made.device.type,
        torch.get_default_device().type,
        torch.set_flush_denormal(False),
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
