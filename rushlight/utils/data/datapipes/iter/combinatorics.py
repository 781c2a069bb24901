"""torch.utils.data.datapipes.iter.combinatorics: steps that change the order."""

import random

import rushlight
from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe, length
from rushlight.utils.data.sampler import SequentialSampler

__all__ = ["SamplerIterDataPipe", "ShufflerIterDataPipe"]


class SamplerIterDataPipe(IterDataPipe):
    """The indices that a sampler draws for a pipe.

    Args:
        datapipe: The source, which has a length.
        sampler: The sampler's class. Default: ``SequentialSampler``.
        sampler_args: Its positional arguments. Default: none.
        sampler_kwargs: Its other arguments; ``data_source`` is the pipe. Default: none.

    Raises:
        AssertionError: the source has no length.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper, Sampler
    >>> list(Sampler(IterableWrapper("abc")))
    [0, 1, 2]
    """

    def __init__(self, datapipe, sampler=SequentialSampler, sampler_args=None, sampler_kwargs=None):
        if not hasattr(type(datapipe), "__len__"):
            raise AssertionError("Sampler class requires input datapipe implemented `__len__`")
        super().__init__()
        self.datapipe = datapipe
        self.sampler_args = sampler_args or ()
        self.sampler_kwargs = {} if sampler_kwargs is None else sampler_kwargs
        self.sampler_kwargs["data_source"] = datapipe
        self.sampler = sampler(*self.sampler_args, **self.sampler_kwargs)

    def __iter__(self):
        return iter(self.sampler)

    def __len__(self):
        return length(self, self.sampler)


class Seeded:
    """A step with a generator of Python's, which each pass seeds from rushlight's generator."""

    _rng: random.Random
    _seed: int | None

    def set_shuffle(self, shuffle=True):
        """Turn the shuffling on or off; return this step."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed):
        """Set the seed of the next pass; return this step."""
        self._seed = seed
        return self

    def _restart(self):
        """Seed the generator for a pass."""
        if self._seed is None:
            self._seed = int(rushlight.empty((), dtype=rushlight.int64).random_().item())
        self._rng.seed(self._seed)
        self._seed = None


@functional_datapipe("shuffle")
class ShufflerIterDataPipe(Seeded, IterDataPipe):
    """Shuffle the samples in a buffer: ``pipe.shuffle()``.

    The order is PyTorch's for the same seed. ``torch.manual_seed`` decides it, or ``set_seed``.

    Args:
        datapipe: The source.
        buffer_size: Number of samples among which the next one is drawn. Default: 10000.
        unbatch_level: How many levels of batches are taken apart first. Default: 0.

    Raises:
        AssertionError: ``buffer_size`` is not positive.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(6)).shuffle().set_seed(0))
    [3, 4, 0, 2, 5, 1]
    """

    def __init__(self, datapipe, *, buffer_size=10000, unbatch_level=0):
        super().__init__()
        self._buffer = []
        if buffer_size <= 0:
            raise AssertionError("buffer_size should be larger than 0")
        self.datapipe = datapipe.unbatch(unbatch_level=unbatch_level) if unbatch_level else datapipe
        self.buffer_size = buffer_size
        self._enabled = True
        self._seed = None
        self._rng = random.Random()

    def __iter__(self):
        if not self._enabled:
            yield from self.datapipe
            return
        for sample in self.datapipe:
            if len(self._buffer) < self.buffer_size:
                self._buffer.append(sample)
                continue
            i = self._rng.randint(0, len(self._buffer) - 1)
            drawn, self._buffer[i] = self._buffer[i], sample
            yield drawn
        while self._buffer:
            yield self._buffer.pop(self._rng.randint(0, len(self._buffer) - 1))

    def __len__(self):
        return length(self, self.datapipe)

    def reset(self):
        self._buffer = []
        if self._enabled:
            self._restart()
