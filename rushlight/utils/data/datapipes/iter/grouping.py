"""torch.utils.data.datapipes.iter.grouping: steps that make batches, and take them apart."""

from collections import defaultdict

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import DataChunk, IterDataPipe, length
from rushlight.utils.data.datapipes.utils.common import check_function

__all__ = ["BatcherIterDataPipe", "GrouperIterDataPipe", "UnBatcherIterDataPipe"]


class Batching:
    """What both steps that make batches share: their arguments and their length."""

    def __init__(self, datapipe, batch_size, drop_last=False, wrapper_class=DataChunk):
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        super().__init__()
        self.datapipe = datapipe
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.wrapper_class = wrapper_class

    def __len__(self):
        n = length(self, self.datapipe)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


@functional_datapipe("batch")
class BatcherIterDataPipe(Batching, IterDataPipe):
    """Make lists of consecutive samples: ``pipe.batch(size)``.

    Args:
        datapipe: The source.
        batch_size: Number of samples in a list.
        drop_last: Leave out a last list of fewer samples. Default: False.
        wrapper_class: The class of the lists. Default: ``DataChunk``.

    Raises:
        AssertionError: ``batch_size`` is not positive.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(5)).batch(2))
    [[0, 1], [2, 3], [4]]
    """

    def __iter__(self):
        batch = []
        for sample in self.datapipe:
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield self.wrapper_class(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.wrapper_class(batch)


@functional_datapipe("unbatch")
class UnBatcherIterDataPipe(IterDataPipe):
    """Take batches apart: ``pipe.unbatch()``.

    Args:
        datapipe: The source, a stream of lists.
        unbatch_level: How many levels of lists; -1 for all. Default: 1.

    Raises:
        ValueError: ``unbatch_level`` is below -1.
        IndexError: a sample has fewer levels.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([[[0, 1]], [[2]]]).unbatch(2))
    [0, 1, 2]
    """

    def __init__(self, datapipe, unbatch_level=1):
        self.datapipe = datapipe
        self.unbatch_level = unbatch_level

    def __iter__(self):
        for element in self.datapipe:
            yield from self._dive(element, self.unbatch_level)

    def _dive(self, element, unbatch_level):
        if unbatch_level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        if unbatch_level != 0 and isinstance(element, list):
            for item in element:
                yield from self._dive(item, max(unbatch_level - 1, -1))
        elif unbatch_level > 0:
            raise IndexError(
                f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe"
            )
        else:
            yield element


@functional_datapipe("groupby")
class GrouperIterDataPipe(IterDataPipe):
    """Collect samples that have one key: ``pipe.groupby(key)``.

    A group is given as soon as it has ``group_size`` samples, the largest one when the buffer is
    full, and the rest at the end.

    Args:
        datapipe: The source.
        group_key_fn: The function that gives a sample's key.
        keep_key: Give tuples (key, group). Default: False.
        buffer_size: Number of samples that may wait. Default: 10000.
        group_size: Number of samples in a full group. Default: no limit.
        guaranteed_group_size: The least number of samples in a group that is given because the
            buffer is full. Default: ``group_size``.
        drop_remaining: Drop a smaller group then, instead of raising. Default: False.

    Raises:
        AssertionError: sizes are out of range.
        RuntimeError: the buffer is full of groups that are too small.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(["a1", "b1", "a2"]).groupby(min))
    [['a1', 'b1'], ['a2']]
    """

    def __init__(
        self, datapipe, group_key_fn, *, keep_key=False, buffer_size=10000, group_size=None,
        guaranteed_group_size=None, drop_remaining=False,
    ):  # fmt: skip
        check_function(group_key_fn)
        least = None
        if group_size is not None and buffer_size is not None:
            if not 0 < group_size <= buffer_size:
                raise AssertionError("group_size must be > 0 and <= buffer_size")
            least = group_size
        if guaranteed_group_size is not None:
            if group_size is None or not 0 < guaranteed_group_size <= group_size:
                raise AssertionError(
                    "guaranteed_group_size must be > 0 and <= group_size and group_size must be set"
                )
            least = guaranteed_group_size
        self.datapipe = datapipe
        self.group_key_fn = group_key_fn
        self.keep_key = keep_key
        self.max_buffer_size = buffer_size
        self.group_size = group_size
        self.guaranteed_group_size = least
        self.drop_remaining = drop_remaining
        self.wrapper_class = DataChunk
        self.reset()

    def _given(self, key, samples):
        group = self.wrapper_class(samples)
        return (key, group) if self.keep_key else group

    def _taken(self, key):
        samples = self.buffer_elements.pop(key)
        self.curr_buffer_size -= len(samples)
        return samples

    def _remove_biggest_key(self):
        """Take the largest group out of the full buffer; return it, or None if it is dropped."""
        key = max(self.buffer_elements, key=lambda k: len(self.buffer_elements[k]))
        size, least = len(self.buffer_elements[key]), self.guaranteed_group_size
        if least is not None and size < least and not self.drop_remaining:
            raise RuntimeError("Failed to group items", str(self.buffer_elements[key]))
        samples = self._taken(key)
        return samples if least is None or size >= least else None

    def __iter__(self):
        for sample in self.datapipe:
            key = self.group_key_fn(sample)
            self.buffer_elements[key].append(sample)
            self.curr_buffer_size += 1
            if len(self.buffer_elements[key]) == self.group_size:
                yield self._given(key, self._taken(key))
            if self.curr_buffer_size == self.max_buffer_size:
                found = self._remove_biggest_key()
                if found is not None:
                    yield self._given(key, found)  # with the last sample's key, as in PyTorch
        for key in [*self.buffer_elements]:
            yield self._given(key, self._taken(key))

    def reset(self):
        self.curr_buffer_size = 0
        self.buffer_elements = defaultdict(list)
