"""Tables of measurements: statements in rows, descriptions in columns."""

import enum
import math

from rushlight.utils.benchmark.measurement import Measurement, select_unit

__all__ = ["Colorize", "Compare"]

_WORDS = {"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds"}
_END = "\033[0m"
#: The colours of times that are the best, up to a tenth slower, and twice and five times as slow.
_BEST, _GOOD = "\033[92m\033[1m", "\033[34m\033[1m"
_BAD, _VERY_BAD = "\033[2m\033[91m", "\033[31m\033[1m"


class Colorize(enum.Enum):
    """What the colours of a table compare: the times of a column, or those of a row.

    >>> from rushlight.utils.benchmark import Colorize
    >>> Colorize.ROWWISE.value
    'rowwise'
    """

    NONE = "none"
    COLUMNWISE = "columnwise"
    ROWWISE = "rowwise"


class Compare:
    """Measurements in a table: a row for each statement, a column for each description.

    Measurements of different ``label`` are in different tables; within a table, those of the same
    number of threads stand together. Rows are named by their ``sub_label``, or else the statement.

    Args:
        results: Iterable of measurements.

    Raises:
        ValueError: a result is not a ``Measurement``.

    >>> from rushlight.utils.benchmark import Compare, Measurement, TaskSpec
    >>> results = [
    ...     Measurement(1, [1e-6], TaskSpec("f()", "", label="call", description="small")),
    ...     Measurement(1, [2e-5], TaskSpec("f()", "", label="call", description="large")),
    ... ]
    >>> print(Compare(results))
    [----------- call ----------]
               |  small  |  large
    1 threads: ------------------
          f()  |   1.0   |   20.0
    <BLANKLINE>
    Times are in microseconds (us).
    <BLANKLINE>
    """

    def __init__(self, results):
        self._results = []
        self._trim, self._colors, self._warn = False, Colorize.NONE, False
        self.extend_results(results)

    def extend_results(self, results):
        """Add more measurements."""
        for r in results:
            if not isinstance(r, Measurement):
                raise ValueError(f"Compare: expected a Measurement, got {type(r).__name__}")
            self._results.append(r)

    def trim_significant_figures(self):
        """Print only those digits of each time that are certain."""
        self._trim = True

    def colorize(self, rowwise=False):
        """Colour the times by how they compare with the best of their column, or of their row."""
        self._colors = Colorize.ROWWISE if rowwise else Colorize.COLUMNWISE

    def highlight_warnings(self):
        """Print how much the times vary where they vary by more than a tenth."""
        self._warn = True

    def print(self):
        """Print the tables."""
        print(str(self))

    def __str__(self):
        tables: dict = {}
        for r in Measurement.merge(self._results):
            tables.setdefault(r.label, []).append(r)
        options = self._trim, self._colors, self._warn
        return "\n".join([_Table(results, *options).text() for results in tables.values()])


class _Table:
    """The measurements of one label."""

    def __init__(self, results, trim, colors, warn):
        self.results, self.trim, self.colors, self.warn = results, trim, colors, warn
        self.unit, self.scale = select_unit(min([r.median for r in results]))
        keys = dict.fromkeys([(r.num_threads, r.env or "", r.as_row_name) for r in results])
        self.rows = sorted(keys, key=lambda key: key[:2])  # the statements keep their order
        self.columns = list(dict.fromkeys([r.description for r in results]))
        self.cells = {
            (r.num_threads, r.env or "", r.as_row_name, r.description): r for r in results
        }

    def text(self):
        """The table, as PyTorch prints it."""
        columns = [self._column(c) for c in self.columns]
        lines = [[""] + [str(c or "") for c in self.columns]]
        lines += [
            [name, *[column[row] for column in columns]]
            for name, row in zip(self._names(), self.rows, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        printed = ["  |  ".join([t.center(w) for t, w in zip(lines[0], widths, strict=True)])]
        whole, threads = len(printed[0]), None
        for row, line in zip(self.rows, lines[1:], strict=True):
            if row[0] != threads:
                threads = row[0]
                printed.append(f"{threads} threads: ".ljust(whole, "-"))
            cells = [t.center(w) for t, w in zip(line[1:], widths[1:], strict=True)]
            cells = [self._colored(t, row, c) for t, c in zip(cells, self.columns, strict=True)]
            printed.append("  |  ".join([line[0].ljust(widths[0]), *cells]))
        title = f" {self.results[0].label or ''} ".center(whole - 2, "-")
        notes = f"\nTimes are in {_WORDS[self.unit]} ({self.unit}).\n"
        if self.warn and any(r.has_warnings for r in self.results):
            notes += "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
        return "\n".join([f"[{title}]", *printed, notes])

    def _names(self):
        """The first cell of each row: the environment where it changes, and the row's name."""
        several = len({row[1] for row in self.rows}) > 1
        room = max([len(row[1]) for row in self.rows]) if several else 0
        names, last = [], None
        for threads, env, name in self.rows:
            shown = f"({env})" if several and (threads, env) != last else ""
            names.append("  " + shown.ljust(room + 4) + name)
            last = threads, env
        return names

    def _column(self, description):
        """The texts of one column, by row."""
        found = {row: self.cells[*row, description] for row in self.rows
                 if (*row, description) in self.cells}  # fmt: skip
        marks = self.warn and any(r.has_warnings for r in found.values())
        before = {row: math.ceil(math.log10(r.median / self.scale)) for row, r in found.items()}
        digits = 1
        if self.trim:
            digits = min(max(r.significant_figures - before[row], 0) for row, r in found.items())
        width = max(before.values()) + digits + bool(digits)
        texts = {}
        for row in self.rows:
            r = found.get(row)
            text = "" if r is None else f"{self._rounded(r):{width}.{digits}f}"
            mark = f" (! {r.iqr / r.median:.0%})" if r is not None and r.has_warnings else ""
            texts[row] = text + mark.rjust(7) if marks and r is not None else text
        blank = " " * (len(f"{1:{max(width, 0)}.{digits}f}") + 7 * marks)
        return {row: text or blank for row, text in texts.items()}

    def _rounded(self, r):
        value = r.median / self.scale
        if not self.trim:
            return value
        step = 10.0 ** (math.ceil(math.log10(value)) - r.significant_figures)
        return round(value / step) * step

    def _colored(self, text, row, description):
        r = self.cells.get((*row, description))
        if self.colors is Colorize.NONE or r is None:
            return text
        if self.colors is Colorize.ROWWISE:  # the best of the whole row
            rivals = [self.cells.get((*row, c)) for c in self.columns]
        else:  # the best of the column's rows with as many threads
            rivals = [self.cells.get((*k, description)) for k in self.rows if k[0] == row[0]]
        best = min([m.median for m in rivals if m is not None])
        if r.median <= best * 1.01 or r.median <= best + 100e-9:  # equal within the noise
            color = _BEST
        elif r.median <= best * 1.1:
            color = _GOOD
        elif r.median >= best * 2:
            color = _VERY_BAD if r.median >= best * 5 else _BAD
        else:
            return text
        return color + text + _END * 2
