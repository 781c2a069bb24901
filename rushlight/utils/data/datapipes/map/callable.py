"""torch.utils.data.datapipes.map.callable: the step that computes something of each sample."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import MapDataPipe
from rushlight.utils.data.datapipes.utils.common import check_function

__all__ = ["MapperMapDataPipe", "default_fn"]


def default_fn(data):
    """Return ``data``."""
    return data


@functional_datapipe("map")
class MapperMapDataPipe(MapDataPipe):
    """Apply a function to each sample that is read: ``pipe.map(fn)``.

    Args:
        datapipe: The source.
        fn: The function. Default: samples stay as they are.

    >>> from rushlight.utils.data.datapipes.map import SequenceWrapper
    >>> SequenceWrapper([1, 2]).map(str)[1]
    '2'
    """

    def __init__(self, datapipe, fn=default_fn):
        super().__init__()
        check_function(fn)
        self.datapipe = datapipe
        self.fn = fn

    def __len__(self):
        return len(self.datapipe)

    def __getitem__(self, index):
        return self.fn(self.datapipe[index])
