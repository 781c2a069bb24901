"""Rectangles, texts and curves, written as SVG, or as PNG by matplotlib."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

__all__ = ["Curve", "Rectangle", "Text", "write"]

_FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
_MONO = "'JetBrains Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"

_LARGEST = 30_000  # the most pixels of a PNG's side


@dataclass
class Rectangle:
    """A box. ``edge`` is the colour of its outline, or None; ``radius`` is that of its corners."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    edge: str | None
    radius: float

    def svg(self):
        edge = f' stroke="{self.edge}"' if self.edge else ""
        return (
            f'<rect x="{self.x:.1f}" y="{self.y:.1f}" width="{self.width:.1f}" '
            f'height="{self.height:.1f}" rx="{self.radius}" fill="{self.fill}"{edge}/>'
        )

    def paint(self, axes):
        from matplotlib.patches import FancyBboxPatch

        style = f"round,pad=0,rounding_size={min(self.radius, self.width / 2)}"
        box = FancyBboxPatch((self.x, self.y), self.width, self.height, boxstyle=style)
        box.set(facecolor=self.fill, edgecolor=self.edge or "none", linewidth=0.8)
        axes.add_patch(box)


@dataclass
class Text:
    """A line of text whose baseline is at ``y``.

    ``x`` is where the text begins if ``anchor`` is start, or ends if it is end. ``halo`` is the
    colour around letters that stand on lines, or None.
    """

    x: float
    y: float
    text: str
    size: float
    colour: str
    bold: bool = False
    mono: bool = False
    anchor: str = "start"
    halo: str | None = None

    def svg(self):
        weight = ' font-weight="600"' if self.bold else ""
        family = f' font-family="{_MONO}"' if self.mono else ""
        anchor = ' text-anchor="end"' if self.anchor == "end" else ""
        if self.halo:
            anchor += f' stroke="{self.halo}" stroke-width="3" paint-order="stroke"'
        return (
            f'<text x="{self.x:.1f}" y="{self.y:.1f}" font-size="{self.size}" '
            f'fill="{self.colour}"{weight}{family}{anchor}>{escape(self.text)}</text>'
        )

    def paint(self, axes):
        from matplotlib.patheffects import withStroke

        halo = [withStroke(linewidth=2.2, foreground=self.halo)] if self.halo else None
        axes.text(
            self.x, self.y, self.text, color=self.colour, va="baseline", parse_math=False,
            fontsize=self.size * 0.72 * (0.93 if self.mono else 1), zorder=3,
            ha="right" if self.anchor == "end" else "left",
            weight="bold" if self.bold else "normal",
            family="DejaVu Sans Mono" if self.mono else "DejaVu Sans", path_effects=halo,
        )  # fmt: skip


@dataclass
class Curve:
    """A smooth line through points; at each point its direction is straight down."""

    points: list
    colour: str

    def svg(self):
        (x, y), *rest = self.points
        d = f"M{x:.1f},{y:.1f}"
        for nx, ny in rest:
            half = (ny - y) / 2
            d += f" C{x:.1f},{y + half:.1f} {nx:.1f},{ny - half:.1f} {nx:.1f},{ny:.1f}"
            x, y = nx, ny
        return f'<path d="{d}" fill="none" stroke="{self.colour}" stroke-width="1.4"/>'

    def paint(self, axes):
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Outline

        (x, y), *rest = self.points
        points, codes = [(x, y)], [Outline.MOVETO]
        for nx, ny in rest:
            half = (ny - y) / 2
            points += [(x, y + half), (nx, ny - half), (nx, ny)]
            codes += [Outline.CURVE4] * 3
            x, y = nx, ny
        patch = PathPatch(Outline(points, codes), facecolor="none", edgecolor=self.colour)
        patch.set(linewidth=1.0, zorder=0.5)
        axes.add_patch(patch)


def write(path, width, height, paper, shapes):
    """Write ``shapes`` to an SVG or PNG file of this size.

    Raises:
        ValueError: the file's name ends in neither.
    """
    path = Path(path)
    if path.suffix.lower() == ".svg":
        path.write_text(_svg(width, height, paper, shapes), encoding="utf-8")
    elif path.suffix.lower() == ".png":
        _png(path, width, height, paper, shapes)
    else:
        raise ValueError(f"picture: the file's name must end in .svg or .png: {str(path)!r}")


def _svg(width, height, paper, shapes):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{_FONT}">'
    )
    ground = f'<rect width="100%" height="100%" fill="{paper}"/>'
    return "\n".join([head, ground, *[s.svg() for s in shapes], "</svg>\n"])


def _png(path, width, height, paper, shapes):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 100, height / 100), facecolor=paper)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for shape in shapes:
        shape.paint(axes)
    dpi = min(160, 100 * _LARGEST / max(width, height))
    figure.savefig(path, dpi=dpi, facecolor=paper)
