"""Data sets: map-style (read by index) and iterable-style (read in order, as a stream)."""

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import rushlight as torch
from rushlight.tensor import Tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """A map from an index to a sample: the base of every map-style data set.

    A subclass defines ``__getitem__`` and usually ``__len__``. If reading many samples at once is
    faster, it also defines ``__getitems__``, from a list of indices to a list of samples.

    Raises:
        NotImplementedError: A sample is read, and the subclass has no ``__getitem__``.

    >>> import rushlight as torch
    >>> class Squares(torch.utils.data.Dataset):
    ...     def __getitem__(self, index):
    ...         return index**2
    ...
    ...     def __len__(self):
    ...         return 4
    >>> [batch.tolist() for batch in torch.utils.data.DataLoader(Squares(), batch_size=3)]
    [[0, 1, 4], [9]]
    """

    # There is no default __len__: one that raised would break list() and length hints.

    def __getitem__(self, index) -> T_co:
        name = type(self).__name__
        raise NotImplementedError(f"{name} is a map-style data set without __getitem__; define it")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """A stream of samples: the base of every iterable-style data set.

    A subclass defines ``__iter__``. Under ``num_workers > 0`` every worker iterates over its own
    copy, so ``__iter__`` takes its share by ``get_worker_info()``.

    Raises:
        TypeError: The subclass has no ``__iter__``.

    >>> import rushlight as torch
    >>> class Countdown(torch.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(3, 0, -1))
    >>> [batch.tolist() for batch in torch.utils.data.DataLoader(Countdown(), batch_size=2)]
    [[3, 2], [1]]
    """

    def __add__(self, other):
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of equal length, read together along dim 0.

    A sample is a tuple of tensors, each of shape ``(...)``.

    Args:
        *tensors: Tensors ``(N, ...)`` of the same N, the number of samples.

    Raises:
        AssertionError: The tensors differ in length.

    >>> import rushlight as torch
    >>> dataset = torch.utils.data.TensorDataset(torch.arange(3), torch.tensor([5, 6, 7]))
    >>> len(dataset), dataset[2]
    (3, (tensor(2), tensor(7)))
    """

    def __init__(self, *tensors):
        lengths = [tensor.size(0) for tensor in tensors]
        if len(set(lengths)) > 1:
            raise AssertionError(
                f"TensorDataset: Size mismatch between tensors: lengths {lengths} in dim 0"
            )
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self):
        return self.tensors[0].size(0)


class StackDataset(Dataset):
    """Data sets of equal length, read together.

    A sample has one sample of each data set. It is a tuple if the data sets are positional
    arguments, a dict if they are keywords.

    Args:
        *args: The data sets; samples are tuples.
        **kwargs: The data sets by name; samples are dicts.

    Raises:
        ValueError: There is no data set, both kinds are given, or the lengths differ.

    >>> import rushlight as torch
    >>> torch.utils.data.StackDataset(image=["a", "b"], label=[0, 1])[1]
    {'image': 'b', 'label': 1}
    """

    datasets: tuple | dict

    def __init__(self, *args, **kwargs):
        if args and kwargs:
            raise ValueError(
                f"StackDataset: got {len(args)} positional and {len(kwargs)} named data sets; "
                "use one kind"
            )
        self.datasets = args or kwargs
        if not self.datasets:
            raise ValueError("StackDataset: expected at least one data set, got none")
        lengths = [len(dataset) for dataset in self._columns()]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: Size mismatch between datasets: lengths {lengths}")
        self._length = lengths[0]

    def _columns(self):
        datasets = self.datasets
        return datasets.values() if isinstance(datasets, dict) else datasets

    def _sample(self, values) -> Any:
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, values, strict=True))
        return tuple(values)

    def __getitem__(self, index):
        return self._sample([dataset[index] for dataset in self._columns()])

    def __getitems__(self, indices):
        columns = [self._read(dataset, indices) for dataset in self._columns()]
        return [self._sample(row) for row in zip(*columns, strict=True)]

    @staticmethod
    def _read(dataset, indices):
        if not callable(getattr(dataset, "__getitems__", None)):
            return [dataset[index] for index in indices]
        items = dataset.__getitems__(indices)
        if len(items) != len(indices):
            raise ValueError(
                f"StackDataset: {type(dataset).__name__}.__getitems__ got {len(indices)} indices "
                f"and returned {len(items)} samples"
            )
        return items

    def __len__(self):
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Map-style data sets one after another, also written ``a + b``.

    Args:
        datasets: An iterable of map-style data sets, at least one.

    Raises:
        AssertionError: There are no data sets, or one is iterable-style.
        ValueError: A negative index is below ``-len(dataset)``.

    >>> import rushlight as torch
    >>> dataset = torch.utils.data.ConcatDataset([["a", "b"], ["c"]])
    >>> len(dataset), dataset[2], dataset[-3]
    (3, 'c', 'a')
    """

    datasets: list
    cumulative_sizes: list[int]

    @staticmethod
    def cumsum(sequence):
        return list(itertools.accumulate(len(dataset) for dataset in sequence))

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: datasets should not be an empty iterable")
        for i, dataset in enumerate(self.datasets):
            if isinstance(dataset, IterableDataset):
                raise AssertionError(
                    f"ConcatDataset does not support IterableDataset: data set {i} "
                    f"({type(dataset).__name__}) is iterable-style and "
                    "cannot be read by index; use ChainDataset"
                )
        self.cumulative_sizes = self.cumsum(self.datasets)

    @property
    def cummulative_sizes(self):
        """The older spelling of ``cumulative_sizes``, which warns."""
        warnings.warn(
            "`cummulative_sizes` attribute is renamed to `cumulative_sizes`",
            FutureWarning,
            stacklevel=2,
        )
        return self.cumulative_sizes

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx):
        if idx < 0:
            if -idx > len(self):
                raise ValueError(f"ConcatDataset: index {idx} is below -{len(self)}, the length")
            idx += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][idx - start]


class ChainDataset(IterableDataset):
    """Iterable-style data sets one after another, also written ``a + b``.

    Args:
        datasets: An iterable of iterable-style data sets.

    Raises:
        AssertionError: A data set is not iterable-style. The error comes when the data is read.

    >>> import rushlight as torch
    >>> class Letters(torch.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter("ab")
    >>> list(torch.utils.data.ChainDataset([Letters(), Letters()]))
    ['a', 'b', 'a', 'b']
    """

    def __init__(self, datasets):
        self.datasets = datasets

    def _parts(self):
        for i, dataset in enumerate(self.datasets):
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(
                    f"ChainDataset: data set {i} is a {type(dataset).__name__}, "
                    "but ChainDataset only supports IterableDataset"
                )
            yield dataset

    def __iter__(self):
        return itertools.chain.from_iterable(self._parts())

    def __len__(self):
        return sum(len(dataset) for dataset in self._parts())


class Subset(Dataset[T_co]):
    """The samples of a data set at the given indices, in their order.

    Args:
        dataset: A map-style data set.
        indices: A sequence of indices into ``dataset``.

    Raises:
        NotImplementedError: A subclass overrides ``__getitem__`` but not ``__getitems__``. A
            DataLoader would call ``__getitems__`` and never the new ``__getitem__``.

    >>> import rushlight as torch
    >>> list(torch.utils.data.Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices
        cls = type(self)
        if cls.__getitem__ is not Subset.__getitem__ and cls.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{cls.__name__} overrides __getitem__ but not __getitems__, which DataLoader "
                "reads batches by; define it too, for example as\n"
                "    def __getitems__(self, indices):\n"
                "        return [self[i] for i in indices]"
            )

    def __getitem__(self, idx):
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices):
        inner = [self.indices[i] for i in indices]
        if callable(getattr(self.dataset, "__getitems__", None)):
            return self.dataset.__getitems__(inner)
        return [self.dataset[i] for i in inner]

    def __len__(self):
        return len(self.indices)


def random_split(dataset: Any, lengths, generator=None) -> list[Subset]:
    """Split a data set at random into disjoint subsets of the given lengths or fractions.

    Lengths computed from fractions are rounded down. The remaining samples are given one by one to
    the first subsets. A split that a fraction leaves empty causes a UserWarning.

    Args:
        dataset: A map-style data set.
        lengths: The numbers of samples, which sum to the data set's length, or fractions that sum
            to 1.

    Returns:
        List of one ``Subset`` for each length.

    Raises:
        ValueError: The lengths do not sum to the data set's length, or a fraction lies outside [0,
            1].

    >>> import rushlight as torch
    >>> generator = torch.Generator().manual_seed(0)
    >>> parts = torch.utils.data.random_split(range(10), [0.7, 0.3], generator)
    >>> [list(part) for part in parts]
    [[4, 1, 7, 5, 3, 9, 0], [8, 6, 2]]
    """
    size = len(dataset)
    total = sum(lengths)
    if total <= 1 and math.isclose(total, 1):
        lengths = _lengths_of_fractions(lengths, size)
    if sum(lengths) != size:
        raise ValueError(
            "random_split: Sum of input lengths does not equal the length of the input dataset: "
            f"{list(lengths)} sum to {sum(lengths)}, and the data set has {size} samples"
        )
    indices = torch.randperm(size, generator=generator).tolist()
    ends = list(itertools.accumulate(lengths))
    return [
        Subset(dataset, indices[end - length : end])
        for end, length in zip(ends, lengths, strict=True)
    ]


def _lengths_of_fractions(fractions, size):
    lengths = []
    for i, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"random_split: fraction {fraction} at {i} is not between 0 and 1")
        lengths.append(math.floor(size * fraction))
    for i in range(size - sum(lengths)):
        lengths[i % len(lengths)] += 1
    for i, length in enumerate(lengths):
        if length == 0:
            warnings.warn(
                f"random_split: split {i} is empty: fraction {fractions[i]} of {size} samples",
                stacklevel=3,
            )
    return lengths
