"""Samplers: the same indices for the same seed."""

import itertools

import pytest

import rushlight as torch
from rushlight.utils import data

SAMPLERS = {
    "sequential": lambda d, g: d.SequentialSampler(range(5)),
    "random": lambda d, g: d.RandomSampler(range(37), generator=g),
    "random, one": lambda d, g: d.RandomSampler(range(1), generator=g),
    "random, fewer": lambda d, g: d.RandomSampler(range(9), num_samples=4, generator=g),
    "random, more": lambda d, g: d.RandomSampler(range(9), num_samples=22, generator=g),
    "drawn": lambda d, g: d.RandomSampler(range(9), True, generator=g),
    "drawn, 32": lambda d, g: d.RandomSampler(range(9), True, 32, generator=g),
    "drawn, more": lambda d, g: d.RandomSampler(range(9), True, 75, generator=g),
    "subset": lambda d, g: d.SubsetRandomSampler([5, 3, 8, 13], g),
    "weighted": lambda d, g: d.WeightedRandomSampler([0.1, 3, 0, 2.5], 20, generator=g),
    "weighted, without": lambda d, g: d.WeightedRandomSampler(
        [0.1, 3, 1, 2.5], 3, replacement=False, generator=g
    ),
    "weighted, too many": lambda d, g: d.WeightedRandomSampler([1, 1], 3, False, generator=g),
    "weighted, zeros": lambda d, g: d.WeightedRandomSampler([0, 0], 3, generator=g),
    "weighted, negative": lambda d, g: d.WeightedRandomSampler([1, -1], 3, generator=g),
    "weighted, 2-d": lambda d, g: d.WeightedRandomSampler([[1, 1]], 3, generator=g),
    "weighted, no number": lambda d, g: d.WeightedRandomSampler([1, 1], True, generator=g),
    "weighted, replacement": lambda d, g: d.WeightedRandomSampler([1, 1], 2, 1, generator=g),
    "batches": lambda d, g: d.BatchSampler(d.RandomSampler(range(10), generator=g), 4, False),
    "batches, dropped": lambda d, g: d.BatchSampler(range(10), 4, True),
    "batches, even": lambda d, g: d.BatchSampler(range(8), 4, True),
    "batches, large": lambda d, g: d.BatchSampler(range(3), 4, True),
    "batches of 0": lambda d, g: d.BatchSampler(range(3), 0, False),
    "batches of True": lambda d, g: d.BatchSampler(range(3), True, False),
    "batches of 2.0": lambda d, g: d.BatchSampler(range(3), 2.0, False),
    "batches, drop 1": lambda d, g: d.BatchSampler(range(3), 2, 1),
    "empty": lambda d, g: d.RandomSampler([], generator=g),
    "replacement 1": lambda d, g: d.RandomSampler(range(3), 1),
    "replacement 1 and none": lambda d, g: d.RandomSampler([], 1),
    "no samples": lambda d, g: d.RandomSampler(range(3), num_samples=0),
    "half a sample": lambda d, g: d.RandomSampler(range(3), num_samples=0.5),
    "bare": lambda d, g: d.Sampler(),
    "bare, given data": lambda d, g: d.Sampler([1]),
}


@pytest.mark.parity
@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_as_pytorch(agree, name, seeded):
    def passes(package):
        generator = package.Generator().manual_seed(11) if seeded else None
        sampler = SAMPLERS[name](package.utils.data, generator)
        drawn = [next(iter(sampler)), package.rand(2, generator=generator).tolist()]
        drawn += [list(sampler), len(sampler), list(sampler)]
        return drawn, generator and generator.get_state().tolist()

    agree(passes)


@pytest.mark.parity
def test_a_distributed_share_is_pytorchs(agree):
    def shares(package):
        drawn = []
        for n, of, drop, shuffle in itertools.product((5, 6, 2), (1, 2, 5), (0, 1), (0, 1)):
            for rank in range(of):
                sampler = package.utils.data.DistributedSampler(
                    range(n), of, rank, shuffle=bool(shuffle), seed=3, drop_last=bool(drop)
                )
                sampler.set_epoch(2)
                drawn.append((len(sampler), list(sampler)))
        return drawn

    agree(shares)
    for rank in (-1, 2):
        agree(lambda package, rank=rank: package.utils.data.DistributedSampler(range(3), 2, rank))


def test_the_stream_is_pytorchs_without_pytorch():
    torch.manual_seed(7)
    shuffled = data.RandomSampler(range(6))
    assert [list(shuffled), list(shuffled)] == [[1, 0, 3, 2, 4, 5], [5, 1, 3, 0, 4, 2]]
    generator = torch.Generator().manual_seed(7)
    drawn = data.RandomSampler(range(100), True, 34, generator)
    assert list(drawn)[-4:] == [51, 40, 16, 63]
    weighted = data.WeightedRandomSampler([1.0, 2.0, 3.0], 8, generator=generator)
    assert list(weighted) == [2, 0, 2, 2, 2, 2, 1, 2]


def test_a_sampler_follows_data_that_grows():
    source = [1, 2]
    sampler = data.RandomSampler(source)
    source.append(3)
    assert len(sampler) == 3 and sorted(sampler) == [0, 1, 2]


def test_a_share_needs_the_world():
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        data.DistributedSampler(range(3), 2)
    torch.distributed.init_process_group(store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        assert list(data.DistributedSampler(range(3), shuffle=False)) == [0, 1, 2]
    finally:
        torch.distributed.destroy_process_group()


def test_a_generator_of_its_own_draws_many_indices_at_a_time(monkeypatch):
    calls, randint = [], torch.randint
    monkeypatch.setattr(
        torch, "randint", lambda *args, **how: calls.append(args) or randint(*args, **how)
    )
    torch.manual_seed(3)
    found = list(torch.utils.data.RandomSampler(range(9), True, 5000))
    assert len(calls) <= 2
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(torch.empty((), dtype=torch.int64).random_().item())
    sampler = torch.utils.data.RandomSampler(range(9), True, 5000, generator)
    assert list(sampler) == found  # 32 at a time, because others may draw between
    assert len(calls) > 100
