"""The page docs/libraries.md, made of the rows of a run."""

import json
import platform
from pathlib import Path

from own_suites import SUITES

FIGURES = Path(__file__).parent / "figures.json"
OWN_FIGURES = Path(__file__).parent / "own_figures.json"
PAGE = Path(__file__).parents[2] / "docs" / "libraries.md"

HEAD = """# Libraries

What these libraries give on rushlight, compared with what they give on PyTorch. Each case is a file
of `tools/libraries/cases`. "Equal" means that all values it returns agree: floats within 2e-4 of
themselves, texts and whole numbers exactly. The libraries are as PyPI has them. The environment was
made by `pip install` of rushlight, `rushlight adopt`, and `pip install` of the libraries.

`python tools/libraries/run.py --pytorch` made this page, with Python {python}, PyTorch {torch} and
one thread, on a machine that did other work as well. Seconds and memory are those of the whole
process: imports and the run. Rushlight's kernels come from its cache on disk where an earlier run
left them there. A ratio below 1 means that rushlight takes less.

**{equal} of {count} cases are equal.** Without the libraries, the environment takes {ours:.0f} MB
with rushlight, and {theirs:.0f} MB with PyTorch and torchvision.

| library | version | case | equal | PyTorch's seconds | ratio | its memory | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

OWN = """
## The libraries' own tests

`python tools/libraries/own_tests.py --pytorch` runs the test files of the libraries themselves, as
they are in the library's repository at the revision, in such an environment. Tests that fail run
once more on PyTorch. Those that pass there are in the column "fail here". "Fail on both" are tests
that fail on PyTorch, too: they ask for a file or a package that is not there, or for an older
PyTorch. A module that cannot be imported counts as one test. Each run has a limit of time, and
tests after it are not counted.

{passed:,} tests pass, and {faults} fail here alone.

| library | revision | files | pass | fail here | fail on both | skipped | left out |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def note(rows, file=FIGURES):
    """Keep the figures of a run's rows in a file; those of other cases stay."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept |= {row["case"]: row for row in rows}
    lines = [f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept)]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def write_page(cases):
    """Write the page from the figures that are kept of these cases."""
    kept = json.loads(FIGURES.read_text())
    pairs = [(case, kept[case.name]) for case in cases if case.name in kept]
    rows = [row for _, row in pairs]
    head = HEAD.format(
        python=platform.python_version(), torch=rows[0]["torch"],
        equal=sum(row["equal"] for row in rows), count=len(rows),
        ours=rows[0]["disk"][0], theirs=rows[0]["disk"][1],
    )  # fmt: skip
    PAGE.write_text(head + "".join([_line(*pair) for pair in pairs]) + _own(), encoding="utf-8")


def _line(case, row):
    title = f"`{case.name}`: {case.title}"
    cells = [case.requires[0], row["version"], title, "yes" if row["equal"] else "**no**"]
    for key, form in (("seconds", "{:.1f} s"), ("memory", "{:.0f} MB")):
        found, want = row[key]
        cells += [form.format(want), f"{found / want:.2f}" if found else "-"]
    return f"| {' | '.join(cells)} |\n"


def _own():
    """The part of the page about the libraries' own tests."""
    kept = json.loads(OWN_FIGURES.read_text()) if OWN_FIGURES.exists() else {}
    pairs = [(suite, kept[suite.library]) for suite in SUITES if suite.library in kept]
    passed = sum(row["passed"] for _, row in pairs)
    head = OWN.format(passed=passed, faults=sum(len(row["faults"]) for _, row in pairs))
    rows = [_own_line(*pair) for pair in pairs]
    reasons = [
        f"* {suite.library}: {', '.join(f'`{part}`' for part in parts)}: {reason}.\n"
        for suite, _ in pairs
        for reason, parts in _by_reason(suite.left_out).items()
    ]
    faults = [f"* {suite.library}: `{test}`\n" for suite, row in pairs for test in row["faults"]]
    parts = [head, *rows, "\n### Tests left out\n\n", *reasons]
    return "".join([*parts, "\n### Tests that fail here\n\n", *faults])


def _own_line(suite, row):
    files = ", ".join(f"`{name}`" for name in suite.tests.split())
    files += f" ({row['ended']})" if row["ended"] else ""
    numbers = [row["passed"], len(row["faults"]), row["failed"], row["skipped"], row["left out"]]
    cells = [suite.library, suite.revision, files, *[str(number) for number in numbers]]
    return f"| {' | '.join(cells)} |\n"


def _by_reason(left_out):
    found = {}
    for part, reason in left_out.items():
        found.setdefault(reason, []).append(part)
    return found
