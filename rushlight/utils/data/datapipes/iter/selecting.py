"""torch.utils.data.datapipes.iter.selecting: the step that leaves samples out."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe
from rushlight.utils.data.datapipes.iter.callable import applied
from rushlight.utils.data.datapipes.utils.common import (
    StreamWrapper,
    check_function,
    validate_input_col,
)

__all__ = ["FilterIterDataPipe"]


@functional_datapipe("filter")
class FilterIterDataPipe(IterDataPipe):
    """Keep the samples for which a function is True: ``pipe.filter(fn)``.

    Args:
        datapipe: The source.
        filter_fn: The function, which returns a bool.
        input_col: The index or key of the part that the function gets, or a list of them.
            Default: the whole sample.

    Raises:
        ValueError: the function takes another number of arguments, or returns no bool.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(4)).filter(bool))
    [1, 2, 3]
    """

    def __init__(self, datapipe, filter_fn, input_col=None):
        super().__init__()
        check_function(filter_fn)
        validate_input_col(filter_fn, input_col)
        self.datapipe = datapipe
        self.filter_fn = filter_fn
        self.input_col = input_col

    def _apply_filter_fn(self, data):
        return applied(self.filter_fn, data, self.input_col)

    def __iter__(self):
        for data in self.datapipe:
            keeps = self._apply_filter_fn(data)
            if not isinstance(keeps, bool):
                raise ValueError(
                    "Boolean output is required for `filter_fn` of FilterIterDataPipe, got",
                    type(keeps),
                )
            if keeps:
                yield data
            else:
                StreamWrapper.close_streams(data)
