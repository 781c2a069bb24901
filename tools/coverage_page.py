"""Write docs/coverage.md: which of PyTorch's public names rushlight has.

Run ``python tools/coverage_page.py`` after a public name was added, renamed or removed. With
``--check`` it writes nothing, and exits with 1 if the page is out of date. ``tests/test_house.py``
and ``.ci/run`` run it so.

``docs/surface.tsv`` lists PyTorch's names in four columns: namespace, name, kind, area.
"""

import argparse
import csv
import importlib
import sys
from collections import defaultdict
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
AREAS = {
    "first": "the core: tensors, gradients, the networks and optimizers most people use",
    "layers": "every layer, optimizer, loader and checkpoint",
    "operations": "the rest of the tensor operations",
    "graphs": "operators of users, graphs that Python edits, quantized layers",
}
#: Names that rushlight will not have, with the reason.
_TEXTS = "a table of the phrases that PyTorch's docstrings are made of, not a part of its API"
LEFT_OUT = {
    ("torch.fft", "common_args"): _TEXTS,
    ("torch.fft", "factory_common_args"): _TEXTS,
    ("torch.Tensor", "index"): "the way into `functorch.dim`, a package of named dims beside "
    "`torch`: it takes no tensors but that package's objects; `x[...]` indexes, and `torch.einsum` "
    "and `torch.vmap` do what named dims are for",
}


def rows():
    """(namespace, name, kind, area) of each public name."""
    with open(DOCS / "surface.tsv", newline="", encoding="utf-8") as file:
        reader = csv.reader(file, delimiter="\t")
        next(reader)
        return [tuple(row) for row in reader]


def namespace(path):
    """What stands for ``torch.x.y`` in rushlight; None where it is missing."""
    found = importlib.import_module("rushlight")
    for part in path.split(".")[1:]:
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except (ImportError, AttributeError):
                return None
    return found


def page():
    """The text of coverage.md."""
    groups: dict = defaultdict(lambda: ([], [], []))
    counts: dict = defaultdict(lambda: [0, 0, 0])
    homes: dict = {}
    for space, name, _, area in rows():
        home = homes.setdefault(space, namespace(space))
        exists = home is not None and hasattr(home, name)
        left_out = not exists and (space, name) in LEFT_OUT
        groups[space][0 if exists else 1 + left_out].append(name)
        counts[area][0] += exists
        counts[area][1] += 1
        counts[area][2] += left_out
    lines = [
        "# Coverage",
        "",
        "PyTorch's public names and which of them exist here. Made by `python "
        "tools/coverage_page.py` from",
        "`docs/surface.tsv`; a test fails when it is stale. What exists but differs is in "
        "`differences.md`.",
        "",
        "| area | names | exist | left out |",
        "|---|---|---|---|",
    ]
    for area, (have, total, left_out) in sorted(
        counts.items(), key=lambda item: -item[1][0] / item[1][1]
    ):
        lines.append(
            f"| {area}: {AREAS.get(area, area)} | {total} | {have} ({100 * have // total} %) | "
            f"{left_out} |"
        )
    for space, (have, missing, refused) in groups.items():
        lines += ["", f"## {space}", ""]
        if have:
            lines.append("Exist: " + ", ".join(f"`{n}`" for n in have) + ".")
        if missing:
            lines += [""] * bool(have) + ["Missing: " + ", ".join(missing) + "."]
        lines += [line for n in refused for line in ("", f"Left out: `{n}`. {_sentence(space, n)}")]
    return "\n".join(lines) + "\n"


def _sentence(space, name):
    reason = LEFT_OUT[space, name]
    return f"{reason[0].upper()}{reason[1:]}."


def main():
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="only say whether the page is up to date"
    )
    options = parser.parse_args()
    target = DOCS / "coverage.md"
    text = page()
    if options.check:
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            sys.exit("docs/coverage.md is stale; run python tools/coverage_page.py")
        return
    target.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
