"""The page docs/libraries.md, made of the rows of a run."""

import platform
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "libraries.md"

HEAD = """# Libraries

What these libraries give on rushlight, compared with what they give on PyTorch. Each case is a file
of `tools/libraries/cases`. "Equal" means that all values it returns agree: floats within 2e-4 of
themselves, texts and whole numbers exactly. The libraries are as PyPI has them. The environment was
made by `pip install` of rushlight, `rushlight adopt`, and `pip install` of the libraries.

`python tools/libraries/run.py --pytorch --page` made this page, with Python {python}, PyTorch
{torch} and one thread. Seconds and memory are those of the whole process: imports, the first use of
kernels, and the run. A ratio below 1 means that rushlight takes less.

**{equal} of {count} cases are equal.** Without the libraries, the environment takes {ours:.0f} MB
with rushlight, and {theirs:.0f} MB with PyTorch and torchvision.

| library | version | case | equal | PyTorch's seconds | ratio | its memory | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def write_page(rows):
    """Write the page of these rows, from a run in both environments."""
    head = HEAD.format(
        python=platform.python_version(), torch=rows[0]["torch"],
        equal=sum(row["equal"] for row in rows), count=len(rows),
        ours=rows[0]["disk"][0], theirs=rows[0]["disk"][1],
    )  # fmt: skip
    PAGE.write_text(head + "".join(map(_line, rows)), encoding="utf-8")


def _line(row):
    case = row["case"]
    title = f"`{case.name}`: {case.title}"
    cells = [case.requires[0], row["version"], title, "yes" if row["equal"] else "**no**"]
    for key, form in (("seconds", "{:.1f} s"), ("memory", "{:.0f} MB")):
        found, want = row[key]
        cells += [form.format(want), f"{found / want:.2f}" if found else "-"]
    return f"| {' | '.join(cells)} |\n"
