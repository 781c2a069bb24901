"""torch.utils.data.datapipes.iter.combining: steps that join several pipes."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe, length
from rushlight.utils.data.datapipes.iter.dividing import (
    DemultiplexerIterDataPipe,
    ForkerIterDataPipe,
    _ChildDataPipe,
    _DemultiplexerIterDataPipe,
    _ForkerIterDataPipe,
)

__all__ = [
    "ConcaterIterDataPipe", "DemultiplexerIterDataPipe", "ForkerIterDataPipe",
    "MultiplexerIterDataPipe", "ZipperIterDataPipe", "_ChildDataPipe", "_DemultiplexerIterDataPipe",
    "_ForkerIterDataPipe",
]  # fmt: skip


@functional_datapipe("concat")
class ConcaterIterDataPipe(IterDataPipe):
    """Read pipes one after the other: ``pipe.concat(other)``.

    Args:
        *datapipes: The pipes.

    Raises:
        ValueError: There is none.
        TypeError: One is no ``IterDataPipe``.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([1, 2]).concat(IterableWrapper([3])))
    [1, 2, 3]
    """

    def __init__(self, *datapipes):
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError("Expected all inputs to be `IterDataPipe`")
        self.datapipes = datapipes

    def __iter__(self):
        for pipe in self.datapipes:
            yield from pipe

    def __len__(self):
        return length(self, *self.datapipes)


@functional_datapipe("mux")
class MultiplexerIterDataPipe(IterDataPipe):
    """Take a sample of each pipe in turn, until one ends: ``pipe.mux(other)``.

    The samples of an incomplete turn are left out.

    Args:
        *datapipes: The pipes.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([1, 2, 3]).mux(IterableWrapper([7, 8])))
    [1, 7, 2, 8]
    """

    def __init__(self, *datapipes):
        self.datapipes = datapipes

    def __iter__(self):
        for turn in zip(*self.datapipes, strict=False) if self.datapipes else ():
            yield from turn

    def __len__(self):
        return length(self, *self.datapipes, of=min) * len(self.datapipes)


@functional_datapipe("zip")
class ZipperIterDataPipe(IterDataPipe):
    """Make tuples of a sample of each pipe, until one ends: ``pipe.zip(other)``.

    Args:
        *datapipes: The pipes.

    Raises:
        TypeError: One is no ``IterDataPipe``.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([1, 2, 3]).zip(IterableWrapper("ab")))
    [(1, 'a'), (2, 'b')]
    """

    def __init__(self, *datapipes):
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError("All inputs are required to be `IterDataPipe` for `ZipIterDataPipe`.")
        super().__init__()
        self.datapipes = datapipes

    def __iter__(self):
        yield from zip(*self.datapipes, strict=False)

    def __len__(self):
        return length(self, *self.datapipes, of=min)
