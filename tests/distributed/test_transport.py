"""What stands above the transport works for several ranks: tried with ranks that are threads."""

import pytest

import rushlight as torch
import rushlight.distributed as dist
from rushlight.distributed import _functional_collectives as functions
from rushlight.distributed.transport import OneProcess, connect
from tests.distributed.threads import run


def test_collectives_of_two_ranks():
    def work(pg):
        mine = torch.tensor([1.0, 2.0]) + 10 * pg.rank()
        total, mean = mine.clone(), mine.clone()
        dist.all_reduce(total, group=pg)
        dist.all_reduce(mean, dist.ReduceOp.AVG, group=pg)
        first = mine.clone()
        dist.broadcast(first, group=pg, group_src=1)
        flat, part = torch.zeros(4), torch.zeros(1)
        dist.all_gather_into_tensor(flat, mine, group=pg)
        dist.reduce_scatter_tensor(part, mine, group=pg)
        swapped = torch.zeros(2)
        dist.all_to_all_single(swapped, mine, group=pg)
        piece = torch.zeros(2)
        given = [torch.zeros(2), torch.ones(2)] if pg.rank() == 0 else None
        dist.scatter(piece, given, group=pg, group_src=0)
        return [x.tolist() for x in (total, mean, first, flat, part, swapped, piece)]

    zero, one = run(work)
    assert zero[:4] == one[:4] == [[12, 14], [6, 7], [11, 12], [1, 2, 11, 12]]
    assert zero[4:] == [[12], [1, 11], [0, 0]] and one[4:] == [[14], [2, 12], [1, 1]]


def test_objects_and_messages_of_two_ranks():
    def work(pg):
        rank = pg.rank()
        everyone = [None, None]
        dist.all_gather_object(everyone, {"rank": rank, "text": "x" * rank}, group=pg)
        told = ["zero", 0] if rank == 0 else [None, None]
        dist.broadcast_object_list(told, group=pg, group_src=0)
        mine = [None]
        dist.scatter_object_list(mine, ["a", "bcd"] if rank == 0 else None, group=pg, group_src=0)
        collected = [None, None] if rank == 1 else None
        dist.gather_object(rank * 2, collected, group=pg, group_dst=1)
        x = torch.full((2,), 7.0) if rank == 0 else torch.zeros(2)
        if rank == 0:
            dist.send(x, group=pg, group_dst=1)
        else:
            dist.irecv(x, group=pg, group_src=0).wait()
        return everyone, told, mine, collected, x.tolist()

    zero, one = run(work)
    everyone = [{"rank": 0, "text": ""}, {"rank": 1, "text": "x"}]
    assert zero == (everyone, ["zero", 0], ["a"], None, [7, 7])
    assert one == (everyone, ["zero", 0], ["bcd"], [0, 2], [7, 7])


def test_gradients_go_through_collectives():
    def work(pg):
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        weight = 1.0 + pg.rank()
        (functions.all_gather_tensor(x, 0, pg) * weight).sum().backward()
        y = torch.tensor([1.0, 2.0], requires_grad=True)
        (functions.reduce_scatter_tensor(y, "sum", 0, pg) * weight).sum().backward()
        z = torch.tensor([1.0], requires_grad=True)
        (functions.all_reduce(z, "sum", pg) * weight).sum().backward()
        return x.grad.tolist(), y.grad.tolist(), z.grad.tolist()

    assert run(work) == [([3, 3], [1, 2], [3])] * 2


def test_ddp_on_two_halves_trains_as_one_process_on_the_whole():
    torch.manual_seed(0)
    x, y = torch.randn(8, 3), torch.randn(8, 2)
    start = torch.nn.Linear(3, 2).state_dict()

    def train(model, x, y, join=None):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
        return [p.tolist() for p in model.parameters()]

    def work(pg):
        model = torch.nn.Linear(3, 2)
        model.load_state_dict(start)
        if pg.rank():  # the first rank's parameters are given to all
            torch.nn.init.zeros_(model.weight)
        model = torch.nn.parallel.DistributedDataParallel(model, process_group=pg)
        half = slice(4 * pg.rank(), 4 * pg.rank() + 4)
        return train(model, x[half], y[half])

    alone = torch.nn.Linear(3, 2)
    alone.load_state_dict(start)
    wanted = train(alone, x, y)
    for found in run(work):
        assert torch.allclose(torch.tensor(found[0]), torch.tensor(wanted[0]), atol=1e-6)
        assert torch.allclose(torch.tensor(found[1]), torch.tensor(wanted[1]), atol=1e-6)


def test_gradients_add_up_under_no_sync_and_hooks_reduce_them():
    from rushlight.distributed.algorithms.ddp_comm_hooks import default_hooks

    def work(pg):
        model = torch.nn.Linear(1, 1, bias=False)
        model = torch.nn.parallel.DistributedDataParallel(model, process_group=pg)
        x = torch.full((1, 1), 1.0 + pg.rank())
        with model.no_sync():
            model(x).sum().backward()
        alone = model.module.weight.grad.item()
        model(x).sum().backward()
        hooked = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1), process_group=pg)
        hooked.register_comm_hook(pg, default_hooks.bf16_compress_hook)
        hooked(x).sum().backward()
        return alone, model.module.weight.grad.item(), hooked.module.weight.grad.item()

    assert run(work) == [(1.0, 3.0, 1.5), (2.0, 3.0, 1.5)]


def test_a_world_of_several_names_the_remedy(monkeypatch):
    with pytest.raises(RuntimeError, match=r"world_size is 2.*WORLD_SIZE=1"):
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=2)
    for options in {"init_method": "tcp://127.0.0.1:1?rank=1&world_size=2"}, {}:
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "1")
        with pytest.raises(RuntimeError, match="world_size is 2"):  # and waits for nobody
            dist.init_process_group("gloo", **options)
    assert not dist.is_initialized()
    assert isinstance(connect("nccl", None, 0, 1), OneProcess)
