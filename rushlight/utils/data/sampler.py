"""Samplers: the order in which a data set is read.

The random ones draw from the generator exactly as PyTorch's do, call by call, so that the same
seed gives the same order.
"""

import itertools
import math
from typing import Generic, TypeVar

import rushlight as torch

__all__ = [
    "BatchSampler",
    "DistributedSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)

# The number of indices per draw with replacement. It must be PyTorch's, because other code may draw
# from the same generator between two draws.
DRAWS_AT_ONCE = 32


class Sampler(Generic[T_co]):
    """An order of indices: the base of every sampler.

    A subclass defines ``__iter__`` and, where it is known, ``__len__``.

    Raises:
        NotImplementedError: The sampler is read, and the subclass has no ``__iter__``.

    >>> import rushlight as torch
    >>> class Backwards(torch.utils.data.Sampler):
    ...     def __iter__(self):
    ...         return iter([2, 1, 0])
    >>> [x.tolist() for x in torch.utils.data.DataLoader([5, 6, 7], sampler=Backwards())]
    [[7], [6], [5]]
    """

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} is a sampler without __iter__; define it")


class SequentialSampler(Sampler[int]):
    """The indices 0, 1, 2, … up to the length of the data.

    Args:
        data_source: The data set, or any sized object; only its length is used.

    >>> import rushlight as torch
    >>> list(torch.utils.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random order: a new permutation on each pass, or draws with replacement.

    Args:
        data_source: The data set, or any sized object; only its length is used.
        replacement: Draw each index from all indices, so that it may come again. Default: False.
        num_samples: Number of indices of a pass. Beyond the data's length another permutation
            starts. Default: the data's length.
        generator: Source of the random numbers. Default: a new generator on each pass, with a seed
            from the default generator.

    Raises:
        TypeError: ``replacement`` is not a bool.
        ValueError: ``num_samples`` is not a positive int.

    >>> import rushlight as torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> list(torch.utils.data.RandomSampler(range(5), generator=generator))
    [4, 0, 1, 3, 2]
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(
                f"RandomSampler: replacement should be a boolean value, got {replacement!r}"
            )
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                "RandomSampler: num_samples should be a positive integer value, got "
                f"{self.num_samples!r}"
                + (" from the length of the data" if num_samples is None else "")
            )

    @property
    def num_samples(self):
        # Read anew each time: the data may grow between passes.
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self):
        n = len(self.data_source)
        generator = self.generator
        if generator is None:
            seed = torch.empty((), dtype=torch.int64).random_().item()
            generator = torch.Generator().manual_seed(seed)
        draw = self._draws if self.replacement else self._permutations
        yield from draw(n, generator)

    def _draws(self, n, generator):
        # Nobody else draws from a generator of this pass, so many indices are drawn at a time.
        most = DRAWS_AT_ONCE if generator is self.generator else 1 << 12
        full, rest = divmod(self.num_samples, most)
        for size in itertools.chain(itertools.repeat(most, full), [rest]):
            yield from torch.randint(n, (size,), generator=generator).tolist()

    def _permutations(self, n, generator):
        full, rest = divmod(self.num_samples, n)
        for _ in range(full):
            yield from torch.randperm(n, generator=generator).tolist()
        # This permutation is drawn even if rest is 0, so that the generator is left in the same
        # state as by PyTorch.
        yield from torch.randperm(n, generator=generator).tolist()[:rest]

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in a new random order on each pass.

    Args:
        indices: A sequence of indices.

    >>> import rushlight as torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> list(torch.utils.data.SubsetRandomSampler([10, 20, 30], generator))
    [30, 10, 20]
    """

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        for i in torch.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with probability in proportion to their weight.

    Args:
        weights: Sequence or tensor ``(N,)`` of numbers that are not negative. They need not sum to
            1.
        num_samples: Number of indices of a pass, each from 0 to N - 1.
        replacement: Let an index be drawn more than once. Default: True.

    Raises:
        ValueError: ``num_samples`` is not a positive int, ``replacement`` is not a bool, or the
            weights are not one-dimensional.
        RuntimeError: The weights are negative, not finite or all zero. The error comes when the
            sampler is read.

    >>> import rushlight as torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> list(torch.utils.data.WeightedRandomSampler([0.0, 1.0, 0.0], 2, generator=generator))
    [1, 1]
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        if not _is_positive_int(num_samples):
            raise ValueError(
                "WeightedRandomSampler: num_samples should be a positive integer value, got "
                f"{num_samples!r}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(
                f"WeightedRandomSampler: replacement should be a boolean value, got {replacement!r}"
            )
        self.weights = torch.as_tensor(weights, dtype=torch.float64)
        if self.weights.dim() != 1:
            raise ValueError(
                "WeightedRandomSampler: weights should be a 1d sequence but given "
                f"weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self):
        drawn = torch.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        yield from drawn.tolist()

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` indices of another sampler.

    Args:
        sampler: An iterable of indices; ``len`` of the batches also needs its length.
        batch_size: Number of indices in a batch.
        drop_last: Leave out the last batch if it has fewer than ``batch_size`` indices.

    Raises:
        ValueError: ``batch_size`` is not a positive int, or ``drop_last`` is not a bool.

    >>> import rushlight as torch
    >>> list(torch.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not _is_positive_int(batch_size):
            raise ValueError(f"batch_size should be a positive integer value, got {batch_size!r}")
        if not isinstance(drop_last, bool):
            raise ValueError(
                f"BatchSampler: drop_last should be a boolean value, got {drop_last!r}"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self):
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full if self.drop_last or not rest else full + 1


class DistributedSampler(Sampler[int]):
    """The indices of one process when ``num_replicas`` processes read a data set together.

    The process reads every ``num_replicas``-th index. Without ``drop_last`` the first samples
    repeat at the end so that all processes read as many. Call ``set_epoch`` for a new order.

    Args:
        dataset: The data set; only its length is used.
        num_replicas: Number of processes. Default: that of ``torch.distributed``'s group.
        rank: The index of this process, from 0 to ``num_replicas - 1``. Default: that in the group.
        shuffle: Put the samples in a random order. Default: True.
        seed: An int that decides the order, together with the epoch. It must be the same in all
            processes. Default: 0.
        drop_last: Leave out the samples at the end that not all processes would get.
            Default: False.

    Raises:
        ValueError: ``rank`` is not in [0, num_replicas), or one of both is missing, and there is no
            process group.

    >>> import rushlight as torch
    >>> list(torch.utils.data.DistributedSampler("abcde", 2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False
    ):
        if num_replicas is None:
            num_replicas = torch.distributed.get_world_size()
        if rank is None:
            rank = torch.distributed.get_rank()
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"DistributedSampler: Invalid rank {rank}, rank should be in the interval "
                f"[0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last else math.ceil(n / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        n = len(self.dataset)
        indices = list(range(n))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            indices = torch.randperm(n, generator=generator).tolist()
        repeated = itertools.islice(itertools.cycle(indices), self.total_size)
        return itertools.islice(repeated, self.rank, None, self.num_replicas)

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Shuffle by ``seed + epoch`` from the next pass on.

        Args:
            epoch: An int, the same in all processes.
        """
        self.epoch = epoch


def _is_positive_int(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
