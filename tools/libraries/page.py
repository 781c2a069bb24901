"""The page docs/libraries.md, made of the rows of a run."""

import json
import platform
from pathlib import Path

FIGURES = Path(__file__).parent / "figures.json"
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


def note(rows):
    """Keep the figures of a run's rows; those of other cases stay."""
    kept = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    kept |= {row["case"]: row for row in rows}
    lines = [f"{json.dumps(name)}: {json.dumps(kept[name])}" for name in sorted(kept)]
    FIGURES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


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
    PAGE.write_text(head + "".join([_line(*pair) for pair in pairs]), encoding="utf-8")


def _line(case, row):
    title = f"`{case.name}`: {case.title}"
    cells = [case.requires[0], row["version"], title, "yes" if row["equal"] else "**no**"]
    for key, form in (("seconds", "{:.1f} s"), ("memory", "{:.0f} MB")):
        found, want = row[key]
        cells += [form.format(want), f"{found / want:.2f}" if found else "-"]
    return f"| {' | '.join(cells)} |\n"
