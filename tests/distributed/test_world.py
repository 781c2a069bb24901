"""The group of all processes, collectives and stores, with expected values."""

import datetime
import os
import socket
import sys

import pytest

import rushlight as torch
import rushlight.distributed as dist
from tests import processes


def test_collectives_of_one(group):
    x = torch.tensor([1.0, 2.0])
    found, flat = [torch.zeros(2)], torch.zeros(2)
    dist.all_reduce(x)
    dist.all_gather(found, x)
    dist.reduce_scatter_tensor(flat, x, dist.ReduceOp.AVG)
    assert x.tolist() == found[0].tolist() == flat.tolist() == [1, 2]
    dist.all_reduce(x, dist._make_nccl_premul_sum(3.0))
    assert x.tolist() == [3, 6]
    work = dist.broadcast(x, 0, async_op=True)
    assert work.wait() and work.is_success() and work.result()[0] is x
    with pytest.raises(RuntimeError, match="non-integral"):
        dist.all_reduce(x, dist.ReduceOp.BAND)
    with pytest.raises(RuntimeError, match="invalid root rank: 1"):
        dist.broadcast(x, 1)
    with pytest.raises(RuntimeError, match="nothing comes from rank 0"):
        dist.recv(x, 0)


def test_a_collective_leaves_gradients_right(group):
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    dist.all_reduce(y)  # the value that backward needs does not count as written
    y.sum().backward()
    assert torch.equal(x.grad, x.detach().exp())


def test_coalesced_collectives_are_one_work(group):
    x = torch.ones(2)
    with dist._coalescing_manager(async_ops=True) as manager:
        dist.all_reduce(x)
        dist.all_reduce(x)
    manager.wait()
    assert len(manager.works) == 1


def test_objects_are_copies(group):
    mine = {"a": [1, 2]}
    found = [None]
    dist.all_gather_object(found, mine)
    assert found == [mine] and found[0] is not mine


def test_groups(group):
    other = dist.new_group([0], group_desc="again")
    assert other is not group and dist.get_pg_count() == 2 and other.group_desc == "again"
    assert dist.get_process_group_ranks(other) == [0] and dist.get_global_rank(other, 0) == 0
    dist.destroy_process_group(other)
    with pytest.raises(ValueError, match="destroyed"):
        dist.get_rank(other)
    assert dist.new_group([]) == dist.GroupMember.NON_GROUP_MEMBER
    dist.destroy_process_group()
    assert dist.group.WORLD is None and not dist.is_initialized()


@pytest.mark.parametrize("backend", ["gloo", "nccl", "mpi", "cpu:gloo,cuda:nccl", None])
def test_each_way_to_begin(backend, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for options in (
        {"init_method": f"file://{tmp_path}/{backend}", "rank": 0, "world_size": 1},
        {},
    ):
        for name, value in ("RANK", 0), ("WORLD_SIZE", 1), ("MASTER_ADDR", "127.0.0.1"):
            monkeypatch.setenv(name, str(value))
        monkeypatch.setenv("MASTER_PORT", str(port))
        dist.init_process_group(backend, **options)
        try:
            assert dist.get_backend() == (backend or "undefined") and dist.get_rank() == 0
            dist.barrier()
        finally:
            dist.destroy_process_group()


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(ValueError, match="WORLD_SIZE expected"):
        dist.init_process_group("gloo")
    with pytest.raises(AssertionError, match="Unknown backend type nope"):
        dist.init_process_group("nope", store=dist.HashStore(), rank=0, world_size=1)
    with pytest.raises(NotImplementedError, match=r"torch\.distributed\.rpc\.rpc_sync"):
        dist.rpc.rpc_sync("worker", len)


def test_stores_are_shared(tmp_path):
    first = dist.FileStore(tmp_path / "store", 2)
    code = (
        "import sys, rushlight.distributed as d; s = d.FileStore(sys.argv[1], 2); "
        "print(s.add('n', 2)); s.set('k', 'v'); t = d.TCPStore('127.0.0.1', int(sys.argv[2])); "
        "print(t.get('k')); t.set('back', b'ok')"
    )
    server = dist.TCPStore("127.0.0.1", 0, is_master=True)
    server.set("k", "w")
    first.add("n", 1)
    done = processes.run(
        [sys.executable, "-c", code, str(tmp_path / "store"), str(server.port)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["3", "b'w'"]
    assert first.get("k") == b"v" and server.get("back") == b"ok"
    path = first.path
    del first
    assert not os.path.exists(path)  # the last one deletes the file


def test_a_store_gives_up_after_its_timeout():
    server = dist.TCPStore("127.0.0.1", 0, is_master=True)
    for store in dist.HashStore(), server:
        store.set_timeout(datetime.timedelta(milliseconds=30))
        with pytest.raises(dist.DistStoreError, match="timeout"):
            store.get("missing")
    with pytest.raises(dist.DistNetworkError, match="MASTER_PORT"):
        dist.TCPStore("127.0.0.1", server.port, is_master=True)


def test_a_store_refuses_pickles_that_run_code():
    import pickle

    from rushlight.distributed import tcp_store

    with pytest.raises(pickle.UnpicklingError, match="sends no"):
        tcp_store._Plain(pickle.dumps(os.getcwd)).load()


SCRIPT = """
import os, sys
import torch.distributed as dist
dist.init_process_group()
assert dist.is_torchelastic_launched() and dist.get_node_local_rank() == 0
print(dist.get_rank(), dist.get_world_size(), sys.argv[1:])
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    sys.exit(3)
"""


@pytest.mark.slow
def test_torchrun_starts_a_program_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "rushlight.distributed.run", "--max-restarts"]
    done = processes.run([*command, "1", str(script), "--lr", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["0 1 ['--lr', '3']"] * 2
    options = ["0", "--nproc-per-node", "2", str(script)]
    done = processes.run([*command, *options], capture_output=True, text=True)
    assert done.returncode and "Use --nnodes=1 --nproc-per-node=1" in done.stderr
