"""What a thread does, and the counts that operations look at, while kernels are compiled."""

import sys

import pytest

import rushlight as torch

MODES = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "hooks": lambda: torch.autograd.graph.saved_tensors_hooks(lambda t: t * 1, lambda t: t),
    "anomaly": torch.autograd.detect_anomaly,
    "profiler": torch.profiler.profile,
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
}


def _large():
    """An operation on a large array, whose kernel is compiled anew where there are kernels."""
    eager = sys.modules.get("rushlight.compiler.run.eager_kernels")
    if eager is not None:
        eager._kernels.clear()
    return torch.sigmoid(torch.linspace(-1, 1, 1 << 19, requires_grad=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODES)
def test_a_kernel_compiled_in_a_mode_leaves_it_on(name):
    weight = torch.ones(3, 3, requires_grad=True)
    with MODES[name]():
        before = weight @ weight
        _large()
        after = weight @ weight
    assert after.dtype == before.dtype
    assert after.requires_grad == before.requires_grad
    assert (weight @ weight).dtype == torch.float32


def test_hooks_pack_what_is_saved_after_a_kernel_was_compiled():
    packed = []
    keep = lambda t: packed.append(tuple(t.shape)) or t
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        _large()
        torch.ones(2, requires_grad=True).exp()
    assert packed[-1] == (2,)
