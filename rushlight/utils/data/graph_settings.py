"""torch.utils.data.graph_settings: what DataLoader tells the steps of a DataPipe."""

import inspect
import warnings

import rushlight
from rushlight.utils.data.datapipes.iter.sharding import (
    SHARDING_PRIORITIES,
    _ShardingIterDataPipe,
)
from rushlight.utils.data.graph import traverse_dps

__all__ = [
    "apply_random_seed", "apply_sharding", "apply_shuffle_seed", "apply_shuffle_settings",
    "get_all_graph_pipes",
]  # fmt: skip


def get_all_graph_pipes(graph):
    """Return the pipes of a graph of ``traverse_dps``, each once.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> from rushlight.utils.data import graph, graph_settings
    >>> graph_settings.get_all_graph_pipes(graph.traverse_dps(IterableWrapper([1]).batch(2)))
    [BatcherIterDataPipe, IterableWrapperIterDataPipe]
    """
    found: dict = {}
    _collect(graph, found)
    return [*found.values()]


def _collect(graph, found):
    for number, (pipe, behind) in graph.items():
        if number not in found:
            found[number] = pipe
            _collect(behind, found)


def _has(pipe, *names):
    """Whether a pipe's own class has these methods."""
    return all(inspect.ismethod(getattr(pipe, name, None)) for name in names)


def apply_sharding(
    datapipe, num_of_instances, instance_id, sharding_group=SHARDING_PRIORITIES.DEFAULT
):
    """Let the steps that share samples out take the share ``instance_id`` of ``num_of_instances``.

    Raises:
        RuntimeError: There are two such steps, one behind the other.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> from rushlight.utils.data.graph_settings import apply_sharding
    >>> list(apply_sharding(IterableWrapper(range(5)).sharding_filter(), 2, 0))
    [0, 2, 4]
    """
    _share(traverse_dps(datapipe), (num_of_instances, instance_id), sharding_group, None)
    return datapipe


def _share(graph, share, group, before):
    for pipe, behind in graph.values():
        applied = before
        if isinstance(pipe, _ShardingIterDataPipe) or _has(pipe, "apply_sharding"):
            if before is not None:
                raise RuntimeError(
                    "Sharding twice on a single pipeline is likely unintended and will cause data "
                    f"loss. Sharding already applied to {before} while trying to apply to {pipe}"
                )
            if len(inspect.signature(pipe.apply_sharding).parameters) < 3:
                pipe.apply_sharding(*share)
            else:
                pipe.apply_sharding(*share, sharding_group=group)
            applied = pipe
        _share(behind, share, group, applied)


def apply_shuffle_settings(datapipe, shuffle=None):
    """Turn all shuffling steps on or off; return the pipe, behind a new such step if it has none.

    Args:
        datapipe: The last pipe.
        shuffle: True, False, or None to change nothing.

    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> from rushlight.utils.data.graph_settings import apply_shuffle_settings
    >>> list(apply_shuffle_settings(IterableWrapper(range(4)).shuffle(), shuffle=False))
    [0, 1, 2, 3]
    """
    if shuffle is None:
        return datapipe
    pipes = get_all_graph_pipes(traverse_dps(datapipe))
    shufflers = [pipe for pipe in pipes if _has(pipe, "set_shuffle", "set_seed")]
    if not shufflers and shuffle:
        warnings.warn(
            "`shuffle=True` was set, but the datapipe does not contain a `Shuffler`. Adding one at "
            "the end. Be aware that the default buffer size might not be sufficient for your task.",
            stacklevel=2,
        )
        datapipe = datapipe.shuffle()
        shufflers = [datapipe]
    for pipe in shufflers:
        pipe.set_shuffle(shuffle)
    return datapipe


def apply_random_seed(datapipe, rng):
    """Give each step that has ``set_seed`` a seed, drawn from the generator ``rng``.

    >>> import rushlight as torch
    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> from rushlight.utils.data.graph_settings import apply_random_seed
    >>> pipe = IterableWrapper(range(4)).shuffle()
    >>> list(apply_random_seed(pipe, torch.Generator().manual_seed(0)))
    [1, 2, 0, 3]
    """
    for pipe in get_all_graph_pipes(traverse_dps(datapipe)):
        if _has(pipe, "set_seed"):
            seed = rushlight.empty((), dtype=rushlight.int64).random_(generator=rng)
            pipe.set_seed(int(seed.item()))
    return datapipe


def apply_shuffle_seed(datapipe, rng):
    """Deprecated: use ``apply_random_seed``, which this calls.

    Args:
        datapipe: The last pipe.
        rng: A generator.

    Returns:
        The pipe.
    """
    warnings.warn(
        "`apply_shuffle_seed` is deprecated since 1.12 and will be removed in the future releases. "
        "Please use `apply_random_seed` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return apply_random_seed(datapipe, rng)
