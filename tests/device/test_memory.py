"""Counts of memory, which are PyTorch's, and limits."""

import pytest

import rushlight as T
from rushlight.backend.native import llvm_works
from rushlight.backend.tallies import Tallies, counted

pytestmark = pytest.mark.skipif(not llvm_works(), reason="kernels need llvmlite")

#: What PyTorch's ``memory_stats`` has for a device.
GROUPS = (
    "active", "active_bytes", "allocated", "allocated_bytes", "inactive_split",
    "inactive_split_bytes", "requested_bytes", "reserved_bytes", "segment",
)  # fmt: skip
EVENTS = (
    "max_split_size", "num_alloc_retries", "num_device_alloc", "num_device_free",
    "num_oom_rejections", "num_ooms", "num_sync_all_streams",
)  # fmt: skip


def test_names_of_counts():
    metrics = "current", "peak", "allocated", "freed"
    pools = "all", "large_pool", "small_pool"
    want = [f"{g}.{p}.{m}" for g in GROUPS for p in pools for m in metrics]
    want += [f"oversize_{g}.{m}" for g in ("allocations", "segments") for m in metrics]
    assert [*Tallies().stats()] == sorted([*want, *EVENTS])


@pytest.mark.parametrize(
    ("nbytes", "size"),
    [(0, 0), (1, 512), (512, 512), (100_000, 100_352), (5 << 20, 5 << 20),
     ((10 << 20) + 1, 10_486_272), ((11 << 20) + 512, 12 << 20)],
)  # fmt: skip
def test_sizes_are_rounded_as_in_pytorch(nbytes, size):
    assert counted(nbytes) == size


def test_counts(device):
    module = getattr(T, device.type)
    module.reset_peak_memory_stats()
    module.reset_accumulated_memory_stats()
    before = module.memory_stats()
    x = T.empty(25_000, device=device)
    y = T.empty(3_000_000, dtype=T.uint8, device=device)
    del y
    after = module.memory_stats()
    grown = lambda name: after[name] - before[name]
    assert grown("allocated_bytes.all.current") == 100_352
    assert grown("requested_bytes.all.current") == 100_000
    assert grown("allocated.all.current") == grown("active.small_pool.current") == 1
    assert grown("allocated.large_pool.allocated") == grown("allocated.large_pool.freed") == 1
    assert grown("allocated_bytes.large_pool.freed") == 3_000_320
    assert module.max_memory_allocated() - module.memory_allocated() >= 3_000_000
    assert after["reserved_bytes.all.current"] == module.memory_reserved()
    taken = module.memory_snapshot()
    assert sum(s["total_size"] for s in taken) == module.memory_reserved()
    assert {b["state"] for s in taken for b in s["blocks"]} >= {"active_allocated"}
    assert len(taken) == after["segment.all.current"]
    del x


def test_a_share_of_the_memory(fresh):
    fresh(memory=1 << 22)
    for wrong, kind in ((1, TypeError), (1.5, ValueError)):
        with pytest.raises(kind, match="fraction"):
            T.cuda.set_per_process_memory_fraction(wrong)
    T.cuda.set_per_process_memory_fraction(0.25)
    assert T.cuda.get_per_process_memory_fraction() == 0.25
    x = T.empty(1 << 19, dtype=T.uint8, device="cuda")
    with pytest.raises(T.cuda.OutOfMemoryError, match=r"0.00 GiB allowed; Of the allocated memory"):
        T.empty(1 << 20, dtype=T.uint8, device="cuda")
    assert T.cuda.memory_stats()["num_ooms"] == T.cuda.memory_stats()["num_alloc_retries"] == 1
    T.cuda.set_per_process_memory_fraction(1.0)
    assert T.empty(1 << 20, dtype=T.uint8, device="cuda").numel() == 1 << 20
    assert x.numel()


def test_what_needs_another_package(fresh):
    fresh()
    try:
        import pynvml  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(ModuleNotFoundError, match="nvidia-ml-py"):
            T.cuda.utilization()
        assert "install nvidia-ml-py" in T.cuda.list_gpu_processes()
