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


def test_a_generator_is_closed_in_its_mode():
    log = []

    @torch.no_grad()
    def numbers():
        try:
            yield 1
        finally:
            log.append(torch.is_grad_enabled())

    running = numbers()
    next(running)
    running.close()
    assert log == [False] and torch.is_grad_enabled()


def test_an_inference_tensor_is_no_out_elsewhere():
    with torch.inference_mode():
        out = torch.zeros(2)
        torch.add(torch.ones(2), 1, out=out)
    for write in (lambda: torch.add(torch.ones(2), 1, out=out), lambda: out.resize_(1)):
        with pytest.raises(RuntimeError, match="inference tensor"):
            write()
    assert out.tolist() == [2, 2]


def test_a_gradient_made_in_inference_mode_is_added_to_there_alone():
    x = torch.ones(2, requires_grad=True)
    y = (x * 2).sum()
    with torch.inference_mode():
        x.grad = torch.full((2,), 5.0)
        y.backward(retain_graph=True)
    assert x.grad.tolist() == [7, 7] and x.grad.is_inference()
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        y.backward()
    assert x.grad.tolist() == [7, 7]
