"""Data sets and questions about processes, for the tests of workers."""

import contextlib
import os
import pathlib
import time

from rushlight.utils import data


def loader(dataset, num_workers=2, **options):
    options = {"batch_size": None, "multiprocessing_context": "fork", **options}
    return data.DataLoader(dataset, num_workers=num_workers, **options)


class Calls:
    """A data set that calls a function."""

    def __init__(self, function, n=6):
        self.function = function
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.function(index)


def pids(batches):
    return [process.pid for process in batches._workers]


def is_running(pid):
    """Whether a process runs; one that has ended and waits for its parent does not."""
    stat = pathlib.Path(f"/proc/{pid}/stat")
    if pathlib.Path("/proc/self/stat").exists():
        with contextlib.suppress(OSError):
            return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
