"""torch.utils.data.datapipes.map.grouping: the step that makes batches."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import DataChunk, MapDataPipe, length
from rushlight.utils.data.datapipes.iter.grouping import batches

__all__ = ["BatcherMapDataPipe"]


@functional_datapipe("batch")
class BatcherMapDataPipe(MapDataPipe):
    """Make lists of consecutive samples: ``pipe.batch(size)``.

    Args:
        datapipe: The source.
        batch_size: Number of samples in a list.
        drop_last: Leave out a last list of fewer samples. Default: False.
        wrapper_class: The class of the lists. Default: ``DataChunk``.

    Raises:
        AssertionError: ``batch_size`` is not positive.

    >>> from rushlight.utils.data.datapipes.map import SequenceWrapper
    >>> SequenceWrapper(range(5)).batch(2)[2]
    [4]
    """

    def __init__(self, datapipe, batch_size, drop_last=False, wrapper_class=DataChunk):
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        super().__init__()
        self.datapipe = datapipe
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.wrapper_class = wrapper_class

    def __getitem__(self, index):
        batch: list = []
        try:
            places = range(index * self.batch_size, (index + 1) * self.batch_size)
            batch.extend(self.datapipe[i] for i in places)
        except IndexError as error:
            if self.drop_last or not batch:
                raise IndexError(f"Index {index} is out of bound.") from error
        return self.wrapper_class(batch)

    def __len__(self):
        return batches(length(self, self.datapipe), self.batch_size, self.drop_last)
