"""``Timer``: how long a statement takes."""

import timeit
from time import perf_counter as timer

from rushlight.threads import get_num_threads, set_num_threads
from rushlight.utils.benchmark.measurement import Measurement, TaskSpec

__all__ = ["Timer", "timer"]


class Timer:
    """Measures the time that a statement takes.

    Args:
        stmt: The statement, a string of Python.
        setup: Statement that runs once before each measurement. Default: ``"pass"``.
        global_setup: It must be empty, because only statements of C++ have one.
        timer: Function that returns the present time in seconds. Default: Python's best clock.
        globals: The variables of the statements. Default: none.
        label, sub_label, description, env: Words for the printed result.
        num_threads: Number of threads that operations use meanwhile. Default: 1.
        language: Only ``"python"``.

    Raises:
        ValueError: The language is another one, or ``global_setup`` is given.

    >>> import rushlight as torch
    >>> from rushlight.utils.benchmark import Timer
    >>> measured = Timer("x + x", globals={"x": torch.ones(3)}).timeit(100)
    >>> measured.number_per_run, measured.median > 0
    (100, True)
    """

    def __init__(
        self, stmt="pass", setup="pass", global_setup="", timer=timer, globals=None, label=None,
        sub_label=None, description=None, env=None, num_threads=1, language="python",
    ):  # fmt: skip
        if str(language).lower() not in ("py", "python") or global_setup:
            raise ValueError(f"Timer: only statements of Python can be measured, not {language}")
        self._task_spec = TaskSpec(
            stmt, setup, global_setup, label, sub_label, description, env, num_threads
        )
        self._timer = timeit.Timer(stmt, setup, timer, {} if globals is None else dict(globals))

    def _timed(self, number):
        """Return the seconds of ``number`` runs."""
        before = get_num_threads()
        set_num_threads(self._task_spec.num_threads)
        try:
            return max(self._timer.timeit(number), 1e-9)
        finally:
            set_num_threads(before)

    def timeit(self, number=1000000):
        """Measure once how long ``number`` runs take, after some runs that do not count.

        Args:
            number: Number of runs. Default: a million.

        Returns:
            A ``Measurement`` of one time.
        """
        self._timed(max(number // 100, 2))
        return Measurement(number, [self._timed(number)], self._task_spec)

    def _block(self, min_run_time):
        """Return a number of runs that lasts for at least a thousandth of ``min_run_time``."""
        number = 1
        while self._timed(number) < min_run_time / 1000:
            number *= 10
        return number

    def blocked_autorange(self, callback=None, min_run_time=0.2):
        """Measure blocks of runs, until ``min_run_time`` has passed.

        Args:
            callback: Function of the number of runs and the seconds of each block. Default: none.
            min_run_time: Seconds. Default: 0.2.

        Returns:
            A ``Measurement`` of one time for each block.
        """
        number = self._block(min_run_time)
        times: list[float] = []
        while not times or sum(times) < min_run_time:
            times.append(self._timed(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self._task_spec)

    def adaptive_autorange(
        self, threshold=0.1, *, min_run_time=0.01, max_run_time=10.0, callback=None
    ):
        """Measure blocks of runs, until their times differ little.

        Args:
            threshold: The largest distance of the quartiles, as a part of the median. Default: 0.1.
            min_run_time: Seconds that are measured at least. Default: 0.01.
            max_run_time: Seconds after which the measuring ends in any case. Default: 10.
            callback: Function of the number of runs and the seconds of each block. Default: none.

        Returns:
            A ``Measurement`` of one time for each block.
        """
        number = self._block(min_run_time)
        times: list[float] = []
        while sum(times) < max_run_time:
            times.append(self._timed(number))
            if callback is not None:
                callback(number, times[-1])
            found = Measurement(number, times, self._task_spec)
            enough = len(times) >= 4 and sum(times) >= min_run_time
            if enough and found.meets_confidence(threshold):
                break
        return found
