"""The picture of an Explanation: a box for each kernel, a line for each value between kernels."""

from dataclasses import dataclass, field

from rushlight.compiler.explanation.drawing import Curve, Rectangle, Text, write
from rushlight.compiler.explanation.layers import Layout
from rushlight.compiler.explanation.report import duration

__all__ = ["draw"]

_WIDTH, _LINE, _PAD = 300, 14, 10
_HEAD, _FOOT = 24, 28
_MARGIN, _TOP = 30, 80
_MOST, _FEW, _MANY = 9, 4, 60  # a box shows 9 members, or 4 if there are more than 60 kernels
_LETTER = 5.9  # the width of a letter in a box
_INK, _MUTED, _PAPER = "#1d2430", "#69707d", "#fbfbf9"
#: kind → (fill, edge, bar)
_COLOURS = {
    "loops": ("#e6eefb", "#5b83c4", "#3f6fb8"),
    "contraction": ("#fdeedd", "#d98b3a", "#cf7a22"),
    "call": ("#f4e4ea", "#b8577b", "#a53f66"),
}
_LINES = ("#8093ad", "#a48a6c", "#7f9f84", "#a07f9f", "#6f9aa6")


@dataclass
class Box:
    """A kernel, or the kernels that together do one contraction."""

    name: str
    kind: str
    lines: list
    seconds: float
    reads: list
    writes: list
    width: float = _WIDTH
    out: list = field(default_factory=list)  # (value, targets)

    @property
    def height(self):
        return _HEAD + _LINE * len(self.lines) + _FOOT


def draw(explanation, path):
    """Write the picture to ``path``, an SVG or PNG file."""
    if explanation.refusal is not None:
        raise ValueError(f"picture: {explanation.name} runs eagerly, so there is no graph to draw")
    boxes = _boxes(explanation.kernels)
    kinds = {name: shape for k in explanation.kernels for name, shape in _made(k)}
    _connect(boxes)
    edges = [(i, targets) for i, box in enumerate(boxes) for _, targets in box.out]
    gaps = [34 + 13 * len(box.out) for box in boxes]
    layout = Layout([(b.width, b.height) for b in boxes], edges, gaps)
    shapes = [*_lines(boxes, layout, kinds), *_drawn(boxes, layout), *_title(explanation)]
    width = max(layout.width, 560) + 2 * _MARGIN
    write(path, width, layout.height + _TOP + _MARGIN, _PAPER, shapes)


# The graph --------------------------------------------------------------------------------


def _boxes(kernels):
    boxes: list = []
    before = None
    most = _MOST if len(kernels) <= _MANY else _FEW
    for k in kernels:
        if before is not None and k.kind == "contraction" and k.members == before.members:
            boxes[-1].seconds += k.seconds
            boxes[-1].name = min(boxes[-1].name, k.name, key=len)
        else:
            lines = [_shortened(m.replace(": ", ":", 1)) for m in k.members[:most]]
            if len(k.members) > most:
                lines.append(f"… and {len(k.members) - most} more")
            boxes.append(Box(k.name, k.kind, lines, k.seconds, k.reads, k.writes))
        before = k
    return boxes


def _shortened(text):
    """A member without its result's shape, cut to the width of a box."""
    name, rest = text.split(" = ", 1)
    text = f"{name.split(':')[0]} = {rest}"
    most = int((_WIDTH - 2 * _PAD) / _LETTER)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _made(kernel):
    """Yield (name, dtype and shape) of the values that a kernel's members make."""
    for member in kernel.members:
        for part in member.split(" = ", 1)[0].split(", %"):
            name, _, shape = part.partition(": ")
            yield (name if name.startswith("%") else f"%{name}"), shape


def _connect(boxes):
    """Note for each box which boxes read the values that it writes."""
    writers: dict = {}
    for i, box in enumerate(boxes):
        for name in box.reads:
            for w in writers.get(name, ()):
                _note(boxes[w], name, i)
        for name in dict.fromkeys(box.writes):
            # A new value of an input replaces the old one for all boxes after its writer.
            writers[name] = [*writers.get(name, []), i] if name.startswith("%") else [i]


def _note(box, name, target):
    for value, targets in box.out:
        if value == name:
            targets.append(target)
            return
    box.out.append((name, [target]))


# Shapes -----------------------------------------------------------------------------------


def _drawn(boxes, layout):
    total = sum(b.seconds for b in boxes) or 1.0
    for box, place in zip(boxes, layout.places, strict=True):
        x, y = place.x - box.width / 2 + _MARGIN, place.y + _TOP
        fill, edge, bar = _COLOURS[box.kind]
        share = box.seconds / total
        yield Rectangle(x, y, box.width, box.height, "#ffffff", edge, 7)
        yield Rectangle(x, y, box.width, _HEAD, fill, edge, 7)
        yield Text(x + _PAD, y + 16, box.name, 12, _INK, bold=True)
        yield Text(x + box.width - _PAD, y + 16, box.kind, 10, bar, anchor="end")
        for k, line in enumerate(box.lines):
            yield Text(x + _PAD, y + _HEAD + 13 + k * _LINE, line, 9.5, _INK, mono=True)
        foot = y + box.height - _FOOT
        room = box.width - 2 * _PAD
        yield Rectangle(x + _PAD, foot + 19, room, 4, "#ececea", None, 2)
        yield Rectangle(x + _PAD, foot + 19, max(2, room * share), 4, bar, None, 2)
        yield Text(x + _PAD, foot + 14, duration(box.seconds), 9.5, _MUTED)
        yield Text(x + box.width - _PAD, foot + 14, f"{share:.0%}", 9.5, _MUTED, anchor="end")


def _lines(boxes, layout, kinds):
    ways = iter(layout.lines)
    labels = []
    for i, box in enumerate(boxes):
        n = len(box.out)
        for k, (name, _) in enumerate(box.out):
            start = layout.places[i].x + box.width * ((k + 1) / (n + 1) - 0.5) + _MARGIN
            colour = _LINES[(i + k) % len(_LINES)]
            bottom = layout.places[i].y + box.height + _TOP
            drawn = 0
            for way in next(ways):
                points = _points(start, bottom, way)
                yield Curve(points[max(0, drawn - 1) :], colour)
                drawn = 2 * len(way) - 3  # the next way has these points in common, at least
            at = bottom + 14 + 13 * k
            label = f"{name} {kinds.get(name, '')}"
            labels.append(Text(start + 5, at, label, 9, _MUTED, halo=_PAPER))
    yield from labels


def _points(x, y, way):
    """The points of a line from a box's lower edge through the places of its way to a box's top."""
    points = [(x, y)]
    for place in way[1:]:
        points.append((place.x + _MARGIN, place.y + _TOP))
        if place.box is None:
            points.append((place.x + _MARGIN, place.y + _TOP + place.room))
    return points


def _title(explanation):
    yield Text(_MARGIN, 32, explanation.name, 18, _INK, bold=True)
    n = len(explanation.kernels)
    words = f"{n} step{'' if n == 1 else 's'}, {duration(explanation.seconds)} a run"
    yield Text(_MARGIN, 52, words, 11, _MUTED)
    x = _MARGIN + 260.0
    for kind, (fill, edge, _) in _COLOURS.items():
        label = "NumPy call" if kind == "call" else kind
        yield Rectangle(x, 42, 14, 12, fill, edge, 3)
        yield Text(x + 20, 52, label, 11, _MUTED)
        x += 40 + 6.2 * len(label)
