"""torch.utils.data.graph: the DataPipes behind a DataPipe."""

import warnings

from rushlight.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe

__all__ = ["traverse", "traverse_dps"]

DataPipe = IterDataPipe | MapDataPipe
DataPipeGraph = dict[int, tuple[DataPipe, "DataPipeGraph"]]


def _connected(value, found):
    """Put the pipes in a pipe's state into ``found``: in its attributes and their collections."""
    if isinstance(value, (IterDataPipe, MapDataPipe)):
        found.append(value)
    elif isinstance(value, dict):
        for item in [*value, *value.values()]:
            _connected(item, found)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            _connected(item, found)
    return found


def traverse_dps(datapipe):
    """Find the pipes that a pipe reads from.

    They are looked for in the state that pickle would take: in attributes, and in dicts, lists,
    tuples and sets.

    Args:
        datapipe: The last pipe.

    Returns:
        Dict from the pipe's id to a tuple of the pipe and the dict of those it reads from.

    Raises:
        RuntimeError: ``datapipe`` is no DataPipe.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> from rushlight.utils.data.graph import traverse_dps
    >>> traverse_dps(IterableWrapper([1]).batch(2)).popitem()[1]
    (BatcherIterDataPipe, {...: (IterableWrapperIterDataPipe, {})})
    """
    return _graph(datapipe, frozenset())


def traverse(datapipe, only_datapipe=None):
    """Deprecated: use ``traverse_dps``, which this calls.

    Args:
        datapipe: The last pipe.
        only_datapipe: Accepted without effect.

    Returns:
        Dict, as ``traverse_dps``.
    """
    warnings.warn(
        "`traverse` function is deprecated and will be removed. Please use `traverse_dps` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return traverse_dps(datapipe)


def _graph(datapipe, passed):
    if not isinstance(datapipe, (IterDataPipe, MapDataPipe)):
        raise RuntimeError(
            f"Expected `IterDataPipe` or `MapDataPipe`, but {type(datapipe)} is found"
        )
    if id(datapipe) in passed:
        return {}
    passed = passed | {id(datapipe)}
    found = {}
    for pipe in _connected(datapipe.__getstate__(), []):
        found.update(_graph(pipe, passed))
    return {id(datapipe): (datapipe, found)}
