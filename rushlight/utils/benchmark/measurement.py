"""The times that ``Timer`` measured, with their statistics."""

import math
from dataclasses import dataclass, field

__all__ = ["Measurement", "TaskSpec", "select_unit"]

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
#: The spread of times, as a part of their median, from which on a warning is printed.
_WIDE = 0.1


#: The half width of a median's confidence interval is taken to be at least this, in seconds.
_CLOCK = 25e-9
_MOST_DIGITS = 4


def select_unit(t):
    """Return the unit in which a time is printed.

    Args:
        t: The time in seconds.

    Returns:
        Tuple: ``"ns"``, ``"us"``, ``"ms"`` or ``"s"``, and the unit in seconds.

    >>> from rushlight.utils.benchmark import select_unit
    >>> select_unit(0.02)
    ('ms', 0.001)
    """
    scale, unit = next((u for u in _UNITS if t >= u[0]), _UNITS[-1])
    return unit, 1 if unit == "s" else scale


@dataclass(frozen=True)
class TaskSpec:
    """What was measured.

    Args:
        stmt: The statement.
        setup: The statement that ran once before.
        global_setup: Accepted without effect.
        label, sub_label, description, env: Words for the printed result.
        num_threads: Number of threads that operations could use.

    >>> from rushlight.utils.benchmark import TaskSpec
    >>> TaskSpec("x + y", "").title
    'x + y'
    """

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self):
        """The label and the sub-label, or else the statement."""
        if self.label is None:
            return self.stmt
        return self.label + (f": {self.sub_label}" if self.sub_label else "")


def _quantile(values, q):
    """The ``q``-quantile, interpolated between neighbours."""
    place = q * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


@dataclass
class Measurement:
    """Times of a statement, in seconds.

    Args:
        number_per_run: How often the statement ran for each time.
        raw_times: The times of so many runs.
        task_spec: What was measured.
        metadata: Anything that is to be kept with the times. Default: None.

    Attributes:
        times: The times of one run each.
        mean, median: Their mean and median.
        iqr: The distance between their first and third quartile.

    >>> from rushlight.utils.benchmark import Measurement, TaskSpec
    >>> print(Measurement(10, [2e-5, 3e-5, 4e-5], TaskSpec("f()", "")))
    <rushlight.utils.benchmark.Measurement>
    f()
      Median: 3.00 us
      IQR:    1.00 us (2.50 to 3.50)
      3 measurements, 10 runs per measurement, 1 thread
      WARNING: Interquartile range is 33.3% of the median measurement.
    """

    number_per_run: int
    raw_times: list
    task_spec: TaskSpec
    metadata: dict | None = None
    _sorted: list = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        self._sorted = sorted(self.times)

    @property
    def times(self):
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self):
        return sum(self.times) / len(self.raw_times)

    @property
    def median(self):
        return _quantile(self._sorted, 0.5)

    @property
    def iqr(self):
        return _quantile(self._sorted, 0.75) - _quantile(self._sorted, 0.25)

    @property
    def has_warnings(self):
        """True if the times differ so much that the median says little."""
        return self.iqr / self.median > _WIDE if self.median else False

    @property
    def title(self):
        """The title of the task."""
        return self.task_spec.title

    def meets_confidence(self, threshold=_WIDE):
        """Tell whether the times differ little.

        Args:
            threshold: The largest ``iqr`` as a part of the median. Default: 0.1.

        Returns:
            A bool.
        """
        return self.iqr <= threshold * self.median

    @staticmethod
    def merge(measurements):
        """Join measurements of the same task.

        Args:
            measurements: Iterable of measurements.

        Returns:
            List of one ``Measurement`` for each task, with the times of one run each.
        """
        groups: dict = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).extend(m.times)
        return [Measurement(1, times, spec) for spec, times in groups.items()]

    @property
    def significant_figures(self):
        """How many digits of the median are certain, estimated from the middle half of the times.

        A median is certain within 1.645 standard errors, which is a confidence of 90 %.
        """
        n = len(self._sorted)
        middle = self._sorted[n // 4 : math.ceil(3 * n / 4)]
        mean = sum(middle) / len(middle)
        deviation = math.sqrt(sum([(t - mean) ** 2 for t in middle]) / len(middle))
        width = max(1.645 * deviation / math.sqrt(len(middle)), _CLOCK)
        digits = math.floor(math.log10(self.median / width))
        return min(max(digits, 1), _MOST_DIGITS)

    @property
    def as_row_name(self):
        """The name of the measurement's row in a table of ``Compare``."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __getattr__(self, name):
        if name in TaskSpec.__dataclass_fields__:  # the words of the task are the measurement's
            return getattr(self.task_spec, name)
        raise AttributeError(f"'Measurement' object has no attribute {name!r}")

    def __repr__(self):
        spec, runs = self.task_spec, self.number_per_run
        unit, scale = select_unit(self.median)
        threads = f"{spec.num_threads} thread{'s' * (spec.num_threads > 1)}"
        lines = ["<rushlight.utils.benchmark.Measurement>", self.title]
        lines += [text for text in (spec.description,) if text]
        if len(self.raw_times) == 1:
            lines.append(f"  {self.median / scale:.2f} {unit}")
            lines.append(f"  1 measurement, {runs} runs , {threads}")
            return "\n".join(lines)
        low, high = (_quantile(self._sorted, q) / scale for q in (0.25, 0.75))
        lines.append(f"  Median: {self.median / scale:.2f} {unit}")
        lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low:.2f} to {high:.2f})")
        count = len(self.raw_times)
        lines.append(f"  {count} measurements, {runs} runs per measurement, {threads}")
        if self.has_warnings:
            part = self.iqr / self.median
            lines.append(f"  WARNING: Interquartile range is {part:.1%} of the median measurement.")
        return "\n".join(lines)

    __str__ = __repr__
