"""torch.utils.data.datapipes: names of PyTorch's DataPipes, which rushlight does not have.

Libraries ask whether a data set is a DataPipe. No data set is, because none can be made.
"""

from rushlight.utils.data.dataset import Dataset, IterableDataset

__all__ = ["IterDataPipe", "MapDataPipe"]


def _lack(cls):
    """The error of a class that exists for its name only."""
    return NotImplementedError(
        f"torch.utils.data.datapipes: rushlight has no {cls.__name__}; use an IterableDataset or "
        "a Dataset"
    )


class IterDataPipe(IterableDataset):
    """PyTorch's data set that is built of steps; an iterable data set does the same in rushlight.

    Raises:
        NotImplementedError: an object is made.

    >>> import rushlight as torch
    >>> isinstance([1, 2], torch.utils.data.IterDataPipe)
    False
    """

    def __new__(cls, *args, **kwargs):
        raise _lack(cls)


class MapDataPipe(Dataset):
    """PyTorch's data set with indices that is built of steps; a ``Dataset`` does the same.

    Raises:
        NotImplementedError: an object is made.

    >>> import rushlight as torch
    >>> isinstance([1, 2], torch.utils.data.MapDataPipe)
    False
    """

    def __new__(cls, *args, **kwargs):
        raise _lack(cls)
