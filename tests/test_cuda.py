"""torch.cuda, torch.backends and torch.accelerator on a machine that has the CPU only."""

import importlib
import sys
from pathlib import Path

import pytest

import rushlight
from tests import processes

ROOT = Path(__file__).resolve().parent.parent

CALLS = {
    "cuda": ("is_available", "device_count", "is_initialized", "is_bf16_supported", "empty_cache", "seed_all",
             "memory_allocated", "max_memory_allocated", "synchronize", "current_device", "get_device_name", "init",
             "memory_reserved", "max_memory_reserved", "get_arch_list", "seed", "get_rng_state_all", "get_rng_state",
             "get_device_properties", "get_device_capability", "mem_get_info", "current_stream"),
    "xpu": ("is_available", "device_count", "is_initialized", "empty_cache", "synchronize", "current_device"),
    "cpu": ("is_available", "device_count", "is_initialized", "synchronize", "current_device"),
    "mps": ("is_available", "device_count", "synchronize", "empty_cache"),
    "mtia": ("is_available",),
    "accelerator": ("is_available", "current_accelerator", "device_count"),
    "backends.cudnn": ("is_available", "version"),
    "backends.mps": ("is_available", "is_built"),
    "backends.cuda": ("is_built", "flash_sdp_enabled", "math_sdp_enabled", "mem_efficient_sdp_enabled"),
    "backends.mha": ("get_fastpath_enabled",),
}  # fmt: skip
SWITCHES = {
    "backends.cudnn": ("allow_tf32", "benchmark", "deterministic", "enabled"),
    "backends.cuda": ("matmul.allow_tf32", "matmul.allow_fp16_reduced_precision_reduction",
                      "matmul.allow_bf16_reduced_precision_reduction"),
}  # fmt: skip


def answer(package, module, name):
    try:
        return getattr(importlib.import_module(f"{package.__name__}.{module}"), name)()
    except (AssertionError, RuntimeError) as error:
        kind = next(c for c in type(error).__mro__ if c.__module__ == "builtins")
        return kind, str(error)[:15]


@pytest.mark.parity
def test_answers_are_those_of_pytorch_without_cuda():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available() or torch.version.cuda:
        pytest.skip("this PyTorch has CUDA")
    for module, names in CALLS.items():
        for name in names:
            if module != "backends.mps" or sys.platform != "darwin":
                assert answer(rushlight, module, name) == answer(torch, module, name), (
                    module,
                    name,
                )
    for module, names in SWITCHES.items():
        for name in names:
            values = []
            for package in (rushlight, torch):
                value = importlib.import_module(f"{package.__name__}.{module}")
                for part in name.split("."):
                    value = getattr(value, part)
                values.append(value)
            assert values[0] == values[1], (module, name)


def test_the_lines_that_programs_begin_with():
    code = """
import rushlight as torch
device = torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
torch.cuda.manual_seed_all(0); torch.cuda.manual_seed(0); torch.cuda.empty_cache()
torch.backends.cudnn.deterministic = True
torch.backends.cudnn.benchmark = False
torch.backends.cuda.matmul.allow_tf32 = True
print(device, torch.ones(1, device=device).item(), torch.backends.cudnn.deterministic)
"""
    done = processes.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "cpu 1.0 True\n"


def test_a_device_that_is_not_there():
    with pytest.raises(AssertionError, match="not compiled with CUDA"):
        rushlight.cuda.set_device(0)
    with pytest.raises(RuntimeError, match="not compiled with CUDA"):  # as PyTorch's of a number
        rushlight.ones(2, device=0)


def switched(torch):
    """What switches say after they are set for a while, for good, and put back."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.enabled
    found = []
    with cudnn.flags(enabled=False, benchmark=True):
        found.append((cudnn.enabled, cudnn.benchmark))
    found.append((cudnn.benchmark, cudnn.enabled) == before)
    cuda = torch.backends.cuda
    cuda.enable_flash_sdp(False)
    found.append(cuda.flash_sdp_enabled())
    cuda.enable_flash_sdp(True)
    torch.backends.mha.set_fastpath_enabled(False)
    found.append(torch.backends.mha.get_fastpath_enabled())
    torch.backends.mha.set_fastpath_enabled(True)
    with torch.backends.mkl.verbose(torch.backends.mkl.VERBOSE_OFF):
        found.append(cuda.math_sdp_enabled())
    with pytest.raises((AssertionError, RuntimeError)):
        torch.cuda.Stream()
    with torch.cuda.stream(None):
        pass
    found.append(
        [
            torch.cuda.device(None).idx,
            torch.cuda.default_generators,
            torch.cuda.set_rng_state_all([]),
        ]
    )
    found.append([torch.mps.manual_seed(1), torch.xpu.manual_seed(1), torch.xpu.memory_allocated()])
    found.append(torch.distributed.is_initialized())
    return found


def test_switches_are_set_and_put_back():
    found = switched(rushlight)
    assert found[:5] == [(False, True), True, False, False, True]
    with rushlight.backends.mkldnn.flags(enabled=True):
        assert rushlight.backends.mkldnn.enabled
    assert not rushlight.backends.mkldnn.enabled
    with pytest.raises(TypeError, match="unexpected keyword"):
        rushlight.backends.cudnn.set_flags(no_such=True)
    assert rushlight.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
    with rushlight.backends.cuda.sdp_kernel(enable_flash=False):
        assert not rushlight.backends.cuda.flash_sdp_enabled()
    assert rushlight.distributed.is_available()


@pytest.mark.parity
def test_switches_are_pytorchs():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available() or torch.version.cuda:
        pytest.skip("this PyTorch has CUDA")
    assert switched(rushlight) == switched(torch)


def test_what_pytorch_has_for_graphs_of_a_gpu():
    assert not rushlight.cuda.is_current_stream_capturing()
    if rushlight.cuda.is_available():
        pytest.skip("there is a GPU")
    for call, said in (
        (rushlight.cuda.CUDAGraph, "Tried to instantiate dummy base class CUDAGraph"),
        (lambda: rushlight.cuda.graph(None), "torch.cuda.Stream requires CUDA support"),
    ):
        with pytest.raises(RuntimeError, match=said):
            call()
