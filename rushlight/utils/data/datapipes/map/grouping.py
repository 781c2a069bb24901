"""torch.utils.data.datapipes.map.grouping: the step that makes batches."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import MapDataPipe
from rushlight.utils.data.datapipes.iter.grouping import Batching

__all__ = ["BatcherMapDataPipe"]


@functional_datapipe("batch")
class BatcherMapDataPipe(Batching, MapDataPipe):
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

    def __getitem__(self, index):
        batch: list = []
        try:
            places = range(index * self.batch_size, (index + 1) * self.batch_size)
            batch.extend(self.datapipe[i] for i in places)
        except IndexError as error:
            if self.drop_last or not batch:
                raise IndexError(f"Index {index} is out of bound.") from error
        return self.wrapper_class(batch)
