"""torch.nn.parallel's modules, as libraries import them, and copies to devices."""

import importlib

import pytest

import rushlight as torch
from rushlight.nn.parallel import comm

HOMES = {
    "comm": "broadcast broadcast_coalesced gather reduce_add reduce_add_coalesced scatter",
    "data_parallel": "DataParallel data_parallel",
    "distributed": "DistributedDataParallel",
    "parallel_apply": "parallel_apply",
    "replicate": "replicate",
    "scatter_gather": "gather scatter scatter_kwargs",
}


@pytest.mark.parametrize("framework", ["rushlight", "torch"])
@pytest.mark.parametrize("home", HOMES)
def test_names(framework, home):
    pytest.importorskip(framework)
    module = importlib.import_module(f"{framework}.nn.parallel.{home}")
    assert all(callable(getattr(module, name)) for name in HOMES[home].split())
    package = importlib.import_module(f"{framework}.nn.parallel")
    assert callable(package.replicate) and callable(package.parallel_apply)


def test_copies_and_parts_carry_gradients():
    x = torch.arange(5.0, requires_grad=True)
    parts = comm.scatter(x, ["cpu", "cpu"], [2, 3])
    assert [p.tolist() for p in parts] == [[0, 1], [2, 3, 4]]
    assert comm.scatter(x, ["cpu", "cpu"])[0].tolist() == [0, 1, 2]
    joined = comm.gather([p * (i + 1) for i, p in enumerate(parts)], destination="cpu")
    (joined.sum() + comm.reduce_add([x, x]).sum()).backward()
    assert x.grad.tolist() == [3, 3, 4, 4, 4]


def test_results_are_written_to_out():
    x, out = torch.arange(4.0), [torch.zeros(1), torch.zeros(3)]
    found = comm.scatter(x, out=out)
    assert found[1] is out[1] and out[1].tolist() == [1, 2, 3]
    whole = torch.zeros(4)
    assert comm.gather(out, out=whole) is whole and whole.tolist() == [0, 1, 2, 3]
    copies = [torch.zeros(4), torch.zeros(4)]
    assert comm.broadcast(x, out=copies)[1] is copies[1] and copies[0].tolist() == x.tolist()
    (sums,) = comm.reduce_add_coalesced(comm.broadcast_coalesced([x], ["cpu"] * 3))
    assert sums.tolist() == [0, 3, 6, 9]


def test_refusals():
    x = torch.ones(2)
    with pytest.raises(RuntimeError, match="Exactly one"):
        comm.broadcast(x)
    with pytest.raises(RuntimeError, match="Exactly one"):
        comm.scatter(x, ["cpu"], out=[x])
    with pytest.raises(RuntimeError, match="must not be specified"):
        comm.gather([x], destination="cpu", out=x)
    with pytest.raises(ValueError, match="input 1 has invalid size"):
        comm.reduce_add([x, torch.ones(3)])
