"""torch.utils.data.datapipes.map.combinatorics: the step that shuffles."""

import random

from rushlight.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe
from rushlight.utils.data.datapipes.iter.combinatorics import Seeded

__all__ = ["ShufflerIterDataPipe"]


class ShufflerIterDataPipe(Seeded, IterDataPipe):
    """The samples of a data set in a random order, as a stream: ``pipe.shuffle()``.

    The order is PyTorch's for the same seed. ``torch.manual_seed`` decides it, or ``set_seed``.

    Args:
        datapipe: The source.
        indices: The indices or keys. Default: from 0 up to the source's length.

    >>> from rushlight.utils.data.datapipes.map import SequenceWrapper
    >>> list(SequenceWrapper(range(6)).shuffle().set_seed(0))
    [4, 2, 1, 0, 5, 3]
    """

    def __init__(self, datapipe, *, indices=None):
        super().__init__()
        self.datapipe = datapipe
        self.indices = list(range(len(datapipe))) if indices is None else indices
        self._enabled = True
        self._seed = None
        self._rng = random.Random()
        self._shuffled_indices = self.indices

    def __iter__(self):
        if not self._enabled:
            for index in self.indices:
                yield self.datapipe[index]
            return
        while self._shuffled_indices:
            yield self.datapipe[self._shuffled_indices.pop()]

    def reset(self):
        if self._enabled:
            self._restart()
        self._shuffled_indices = self._rng.sample(self.indices, len(self.indices))

    def __len__(self):
        return len(self.datapipe)


MapDataPipe.register_datapipe_as_function("shuffle", ShufflerIterDataPipe)
