"""Data sets and random_split."""

import pytest

import rushlight as torch
from rushlight.utils import data


class Stream(data.IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


class Doubles:
    """Reads many samples at once, and says so."""

    def __getitem__(self, index):
        return 2 * index

    def __getitems__(self, indices):
        return [("together", 2 * i) for i in indices][: self.most]

    def __len__(self):
        return 4

    most = None


def stream(package, n):
    return type("Stream", (package.utils.data.IterableDataset,), dict(vars(Stream)))(n)


def tensors(package):
    return package.utils.data.TensorDataset(package.arange(4), package.ones(4, 2))


SCENARIOS = {
    "tensors": lambda t: [tensors(t)[1], tensors(t)[-1], tensors(t)[1:3], len(tensors(t))],
    "tensors, unequal": lambda t: t.utils.data.TensorDataset(t.ones(2), t.ones(3)),
    "tensors, 0-dim": lambda t: t.utils.data.TensorDataset(t.ones(())),
    "tensors, beyond": lambda t: tensors(t)[4],
    "tensors, none": lambda t: len(t.utils.data.TensorDataset()),
    "bare": lambda t: t.utils.data.Dataset()[0],
    "bare length": lambda t: len(t.utils.data.Dataset()),
    "bare stream": lambda t: t.utils.data.IterableDataset(),
    "sum": lambda t: [len(tensors(t) + [1, 2]), (tensors(t) + [1, 2])[5]],
    "concat": lambda t: [t.utils.data.ConcatDataset([[1, 2], [], [3]])[i] for i in (0, 2, -1, -3)],
    "concat sizes": lambda t: t.utils.data.ConcatDataset([[1, 2], [], [3]]).cumulative_sizes,
    "concat below": lambda t: t.utils.data.ConcatDataset([[1, 2]])[-3],
    "concat beyond": lambda t: t.utils.data.ConcatDataset([[1, 2]])[2],
    "concat none": lambda t: t.utils.data.ConcatDataset([]),
    "concat stream": lambda t: t.utils.data.ConcatDataset([stream(t, 2)]),
    "chain": lambda t: list(stream(t, 2) + stream(t, 3)),
    "chain length": lambda t: len(stream(t, 2) + stream(t, 3)),
    "chain of lists": lambda t: list(t.utils.data.ChainDataset([stream(t, 2), [1]])),
    "chain of lists, length": lambda t: len(t.utils.data.ChainDataset([stream(t, 2), [1]])),
    "stack": lambda t: [t.utils.data.StackDataset("abc", [1, 2, 3])[i] for i in (0, -1)],
    "stack named": lambda t: t.utils.data.StackDataset(a="abc", b=[1, 2, 3])[1],
    "stack together": lambda t: t.utils.data.StackDataset(Doubles(), "abcd").__getitems__([3, 0]),
    "stack named together": lambda t: t.utils.data.StackDataset(a=Doubles(), b="abcd").__getitems__(
        [3, 0]
    ),
    "stack short": lambda t: t.utils.data.StackDataset(
        type("Short", (Doubles,), {"most": 1})()
    ).__getitems__([3, 0]),
    "stack none": lambda t: t.utils.data.StackDataset(),
    "stack both": lambda t: t.utils.data.StackDataset([1], a=[1]),
    "stack unequal": lambda t: t.utils.data.StackDataset([1], [1, 2]),
    "subset": lambda t: [t.utils.data.Subset(tensors(t), [3, 1])[i] for i in (0, -1)],
    "subset of a list": lambda t: t.utils.data.Subset(tensors(t), [3, 1])[[0, 1]],
    "subset together": lambda t: t.utils.data.Subset(Doubles(), [3, 1]).__getitems__([1, 0]),
    "subset one by one": lambda t: t.utils.data.Subset("abcd", [3, 1]).__getitems__([1, 0]),
    "subset beyond": lambda t: t.utils.data.Subset("abcd", [3, 1])[2],
    "subset half overridden": lambda t: type(
        "Half", (t.utils.data.Subset,), {"__getitem__": lambda self, i: 0}
    )("abcd", [1]),
}


@pytest.mark.parity
@pytest.mark.parametrize("name", SCENARIOS)
def test_reads_as_pytorch(agree, name):
    agree(SCENARIOS[name])


LENGTHS = [
    [3, 7],
    [10],
    [0, 10],
    [0.5, 0.5],
    [0.3, 0.3, 0.4],
    [1 / 3, 1 / 3, 1 / 3],
    [0.99, 0.01, 0.0],
    [1],
    [3, 8],
    [0.5, 0.6],
    [0.4, 0.5],
    [-0.5, 1.5],
    [1.5, -0.5],
    [],
]


@pytest.mark.parity
@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_random_split_as_pytorch(agree, lengths, seeded):
    def split(package):
        more = [package.Generator().manual_seed(3)] if seeded else []
        return [s.indices for s in package.utils.data.random_split(range(10), lengths, *more)]

    agree(split)


def test_random_split_is_a_partition_by_the_generator():
    generator = torch.Generator().manual_seed(42)
    parts = data.random_split(range(10), [0.25, 0.75], generator)
    assert [list(part) for part in parts] == [[2, 6, 1], [8, 4, 5, 0, 9, 3, 7]]


def test_an_empty_split_warns_where_it_was_asked_for():
    with pytest.warns(UserWarning, match=r"split 1 is empty: fraction 0\.0 of 3") as caught:
        data.random_split(range(3), [1.0, 0.0])
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: data.TensorDataset(torch.ones(2), torch.ones(3, 1)),
            AssertionError,
            r"Size mismatch between tensors: lengths \[2, 3\]",
        ),
        (lambda: data.random_split(range(5), [1, 2]), ValueError, r"\[1, 2\] sum to 3.* 5 samples"),
        (lambda: data.ConcatDataset([[1], Stream(2)]), AssertionError, r"data set 1 \(Stream\)"),
        (lambda: data.ConcatDataset([[1, 2]])[-3], ValueError, r"index -3 is below -2"),
        (lambda: data.Dataset()[0], NotImplementedError, r"without __getitem__"),
    ],
)
def test_errors_name_the_numbers(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_bases_take_a_type_parameter():
    assert data.Dataset[int] and data.Sampler[int] and data.DataLoader[int]
