"""What a DataLoader does to a DataPipe: seeds for its steps, and shares for workers.

All workers get one seed, so that they shuffle alike before each takes its share.
"""

import rushlight
from rushlight.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe

__all__ = ["seed", "seed_again", "share", "shuffled"]


def shuffled(dataset, shuffle):
    """The data set of a loader with this ``shuffle``: of pipes, steps shuffle or do not."""
    if shuffle is None or not isinstance(dataset, IterDataPipe):
        return dataset
    from rushlight.utils.data.graph_settings import apply_shuffle_settings

    return apply_shuffle_settings(dataset, shuffle)


def seed(dataset, generator):
    """Draw a seed for the steps of a pipe, before a pass; return it, or None for no pipe."""
    if not isinstance(dataset, IterDataPipe):
        return None
    drawn = rushlight.empty((), dtype=rushlight.int64).random_(generator=generator).item()
    seed_again(dataset, drawn)
    return drawn


def seed_again(dataset, drawn):
    """Seed the steps of a pipe by what ``seed`` returned."""
    if drawn is None:
        return
    from rushlight.utils.data.graph_settings import apply_random_seed

    apply_random_seed(dataset, rushlight.Generator().manual_seed(drawn))


def share(dataset, workers=None, worker_id=0):
    """Let a pipe take its share: of the only process, and there of one of ``workers``."""
    if not isinstance(dataset, (IterDataPipe, MapDataPipe)):
        return
    from rushlight.utils.data.graph_settings import SHARDING_PRIORITIES, apply_sharding

    apply_sharding(dataset, 1, 0, SHARDING_PRIORITIES.DISTRIBUTED)
    if workers is not None:
        apply_sharding(dataset, workers, worker_id, SHARDING_PRIORITIES.MULTIPROCESSING)
