"""Draw docs/architecture.svg: the packages of rushlight in layers, and what each one imports.

    python tools/architecture_picture.py

Run it after a package came or went, or after a change of what packages import from each other.
``architecture_layers.py`` says which boxes there are. The script stops with a message if an arrow
would cross a box: then the boxes need another place.
"""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from architecture_layers import BOXES, GAP, ROOT, ROW, arrows
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

TARGET = ROOT / "docs" / "architecture.svg"
INK, PALE, LINE = "#1f2933", "#52606d", "#7b8794"

WIDTH, HEIGHT = 8.6, 8.52  # inches of the picture; boxes are measured in columns and rows
LEGEND = """An arrow points from a box
to what it imports.

Arrows that follow from
others are left out."""


def place(box, other):
    """Inches from the left where a vertical arrow from ``box`` down to ``other`` is drawn."""
    left, right = (f(box.sides[i], other.sides[i]) for i, f in enumerate((max, min)))
    x = (left + right) / 2
    crossed = [
        b.title
        for b in BOXES
        if b not in (box, other)
        and b.sides[0] - GAP < x < b.sides[1] + GAP
        and other.ends[1] < b.ends[1] < box.ends[0]
    ]
    if left >= right or crossed:
        raise SystemExit(f"no room for an arrow from {box.title!r} to {other.title!r}: {crossed}")
    return x


def draw():
    """The picture of all boxes and arrows."""
    figure = plt.figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.04, WIDTH - 0.04), ylim=(-0.1, HEIGHT - 0.1))
    axes.axis("off")
    for box in BOXES:
        (left, right), (low, high) = box.sides, box.ends
        shape = FancyBboxPatch(
            (left, low), right - left, high - low, boxstyle="round,pad=0,rounding_size=0.07"
        )
        shape.set(facecolor=box.colour, edgecolor=LINE, linewidth=0.8)
        axes.add_patch(shape)
        x, y = (left + right) / 2, (low + high) / 2
        middle = {"ha": "center", "va": "center"}
        above = 0.075 * (1 + box.text.count("\n"))
        axes.text(x, y + above, box.title, size=10.5, weight="bold", color=INK, **middle)
        axes.text(x, y - 0.1, box.text, size=9, linespacing=1.1, color=PALE, **middle)
    for box, other in arrows():
        x = place(box, other)
        arrow = FancyArrowPatch((x, box.ends[0]), (x, other.ends[1]), shrinkA=0, shrinkB=0)
        arrow.set(arrowstyle="-|>", mutation_scale=11, color=INK, linewidth=1.1)
        axes.add_patch(arrow)
    axes.text(GAP, 7.28 * ROW, LEGEND, size=9, color=PALE, va="center")
    return figure


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "rushlight"  # the same ids in every run
    draw().savefig(TARGET, metadata={"Date": None})
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size // 1024} KiB")
