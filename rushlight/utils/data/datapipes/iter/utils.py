"""torch.utils.data.datapipes.iter.utils: a stream of what an iterable holds."""

import copy
import warnings

from rushlight.utils.data.datapipes.datapipe import IterDataPipe, length

__all__ = ["IterableWrapperIterDataPipe"]


class IterableWrapperIterDataPipe(IterDataPipe):
    """A stream of the elements of an iterable.

    Args:
        iterable: The iterable.
        deepcopy: Copy the iterable at the beginning of each pass, so that steps that write to
            samples do not change it. Default: True.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(3)))
    [0, 1, 2]
    """

    def __init__(self, iterable, deepcopy=True):
        self.iterable = iterable
        self.deepcopy = deepcopy

    def __iter__(self):
        source = self.iterable
        if self.deepcopy:
            try:
                source = copy.deepcopy(source)
            except TypeError:
                warnings.warn(
                    "The input iterable can not be deepcopied, please be aware of in-place "
                    "modification would affect source data.",
                    stacklevel=2,
                )
        yield from source

    def __len__(self):
        return length(self, self.iterable)
