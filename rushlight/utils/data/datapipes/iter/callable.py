"""torch.utils.data.datapipes.iter.callable: steps that compute something of each sample."""

from rushlight.utils.data.collate import default_collate
from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe, length
from rushlight.utils.data.datapipes.utils.common import check_function, validate_input_col

__all__ = ["CollatorIterDataPipe", "MapperIterDataPipe"]


def applied(fn, data, input_col):
    """``fn`` of a sample, or of the parts ``input_col`` of it."""
    if input_col is None:
        return fn(data)
    if isinstance(input_col, (list, tuple)):
        return fn(*[data[col] for col in input_col])
    return fn(data[input_col])


@functional_datapipe("map")
class MapperIterDataPipe(IterDataPipe):
    """Apply a function to each sample: ``pipe.map(fn)``.

    Args:
        datapipe: The source.
        fn: The function.
        input_col: The index or key of the part that ``fn`` gets, or a list of them for several
            arguments. Default: ``fn`` gets the whole sample.
        output_col: Where the result goes: an index, a key, or -1 for the end of the sample.
            Default: in place of the (first) part that ``fn`` got; the others go.

    Raises:
        ValueError: ``fn`` takes another number of arguments, or ``output_col`` is given without
            ``input_col``.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([(1, 2), (3, 4)]).map(str, input_col=1))
    [(1, '2'), (3, '4')]
    """

    def __init__(self, datapipe, fn, input_col=None, output_col=None):
        super().__init__()
        check_function(fn)
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, (list, tuple)):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        validate_input_col(fn, input_col)
        self.datapipe = datapipe
        self.fn = fn
        self.input_col = input_col
        self.output_col = output_col

    def _apply_fn(self, data):
        found = applied(self.fn, data, self.input_col)
        if self.input_col is None:
            return found
        changed = list(data) if isinstance(data, tuple) else data
        if self.output_col == -1:
            changed.append(found)
        elif self.output_col is not None:
            changed[self.output_col] = found
        elif isinstance(self.input_col, (list, tuple)):
            changed[self.input_col[0]] = found
            for col in sorted(self.input_col[1:], reverse=True):
                del changed[col]
        else:
            changed[self.input_col] = found
        return tuple(changed) if isinstance(data, tuple) else changed

    def __iter__(self):
        for data in self.datapipe:
            yield self._apply_fn(data)

    def __len__(self):
        return length(self, self.datapipe)


@functional_datapipe("collate")
class CollatorIterDataPipe(MapperIterDataPipe):
    """Make one batch of tensors of each list of samples: ``pipe.collate()``.

    Args:
        datapipe: The source, a stream of lists.
        conversion: The function that makes the batch. Default: ``default_collate``.
        collate_fn: The same, under the name that DataLoader has for it.

    Raises:
        NotImplementedError: ``conversion`` is a dict, for tables.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([1, 2, 3]).batch(2).collate())
    [tensor([1, 2]), tensor([3])]
    """

    def __init__(self, datapipe, conversion=default_collate, collate_fn=None):
        if collate_fn is None and not callable(conversion):
            raise NotImplementedError(
                "collate: a conversion for each column needs the tables of torcharrow, which are "
                "not there; pass a function"
            )
        super().__init__(datapipe, fn=conversion if collate_fn is None else collate_fn)
