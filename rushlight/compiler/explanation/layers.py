"""A graph drawn in layers: where boxes and the lines between them go.

A box stands below all boxes that it depends on. A line that passes a layer has a place of its own
there, so that it goes around the boxes. Within a layer, places are sorted by the positions of their
neighbours in other layers.
"""

from itertools import pairwise

__all__ = ["Layout"]

_SWEEPS = 12
_GAP, _LANE = 36, 10  # pixels between boxes, and between passing lines


class Place:
    """A box, or the place where a line passes a layer (``box`` is None then); x is its middle."""

    def __init__(self, layer, width, height, box=None):
        self.layer, self.width, self.height, self.box = layer, width, height, box
        self.x = self.y = 0.0
        self.room = 0.0  # the height of its layer
        self.above: list = []
        self.below: list = []


class Layout:
    """Places of the boxes of a graph.

    Attributes:
        places: The place of each box, in order.
        lines: For each edge (source, targets), a list for each target: the places on the way to the
            target, with both ends.
        width, height: The size of the whole picture.
    """

    def __init__(self, sizes, edges, gaps):
        """Place all boxes.

        Args:
            sizes: The (width, height) of each box.
            edges: (source, targets) of each edge, as positions in ``sizes``.
            gaps: The room below each box.
        """
        depth = _depths(len(sizes), edges)
        self.layers: list = [[] for _ in range(1 + max(depth, default=0))]
        self.places = []
        for i, (w, h) in enumerate(sizes):
            self.places.append(self._place(depth[i], w, h, i))
        self.lines = [self._route(source, targets) for source, targets in edges]
        self._sort()
        self._spread()
        self._stack(gaps)

    def _place(self, layer, width, height, box=None):
        place = Place(layer, width, height, box)
        self.layers[layer].append(place)
        return place

    def _route(self, source, targets):
        """The ways of one edge to its targets, which share the places of their common part."""
        way = [self.places[source]]
        found = []
        for target in sorted(targets, key=lambda t: self.places[t].layer):
            end = self.places[target]
            while way[-1].layer < end.layer - 1:
                way.append(self._follow(way[-1], self._place(way[-1].layer + 1, _LANE, 0)))
            found.append([*way, self._follow(way[-1], end)])
        return found

    @staticmethod
    def _follow(before, after):
        before.below.append(after)
        after.above.append(before)
        return after

    def _sort(self):
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for layer in self.layers if down else self.layers[::-1]:
                for k, place in enumerate(layer):
                    near = place.above if down else place.below
                    place.x = sum(p.x for p in near) / len(near) if near else place.x or k
                layer.sort(key=lambda p: p.x)
                for k, place in enumerate(layer):
                    place.x = k

    def _spread(self):
        """Give every place its x: near its neighbours in other layers, and apart from its own."""
        for layer in self.layers:
            _apart(layer, [0.0] * len(layer))
        for sweep in range(2 * _SWEEPS):
            for layer in self.layers if sweep % 2 == 0 else self.layers[::-1]:
                wanted = []
                for p in layer:
                    near = [*p.above, *p.below]
                    # Boxes are pulled more by boxes, and lines more by lines, to be straight.
                    weights = [4 if (q.box is None) == (p.box is None) else 1 for q in near]
                    pulls = sum(w * q.x for w, q in zip(weights, near, strict=True))
                    wanted.append(pulls / sum(weights) if near else p.x)
                _apart(layer, wanted)
        left = min((p.x - p.width / 2 for layer in self.layers for p in layer), default=0)
        for layer in self.layers:
            for p in layer:
                p.x -= left
        self.width = max((p.x + p.width / 2 for layer in self.layers for p in layer), default=0)

    def _stack(self, gaps):
        y = 0.0
        for layer in self.layers:
            room = max((p.height for p in layer), default=0)
            for p in layer:
                p.y, p.room = y, room
            y += room
            y += max((gaps[p.box] for p in layer if p.box is not None), default=_GAP)
        self.height = y


def _depths(count, edges):
    """The layer of each box; sources come before targets."""
    depth = [0] * count
    for i in range(count):
        for source, targets in edges:
            if source == i:
                for t in targets:
                    depth[t] = max(depth[t], depth[i] + 1)
    fed = {t for _, targets in edges for t in targets}
    for i in set(range(count)) - fed:  # a box without sources stands just above its first reader
        readers = [depth[t] for source, targets in edges if source == i for t in targets]
        depth[i] = min(readers, default=1) - 1
    return depth


def _apart(layer, wanted):
    """Set each place's x as near to the wanted x as the widths allow; touching blocks merge."""
    blocks: list = []  # (places with what they want, the x of the first)
    for place, x in zip(layer, wanted, strict=True):
        blocks.append(([(place, x)], x))
        while len(blocks) > 1 and _touch(*blocks[-2:]):
            items = blocks[-2][0] + blocks[-1][0]
            blocks[-2:] = [(items, _middle(items))]
    for items, start in blocks:
        for (place, _), offset in zip(items, _offsets(items), strict=True):
            place.x = start + offset


def _touch(left, right):
    items, start = left
    return start + _offsets(items)[-1] + _distance(items[-1][0], right[0][0][0]) > right[1]


def _distance(p, q):
    """The distance from the middle of a place to the middle of the next."""
    return (p.width + q.width) / 2 + (_LANE if p.box is None and q.box is None else _GAP)


def _offsets(items):
    """The distances of places that stand side by side from the first place."""
    found = [0.0]
    for (p, _), (q, _) in pairwise(items):
        found.append(found[-1] + _distance(p, q))
    return found


def _middle(items):
    """The x of the first place for which all places are, on average, where they are wanted."""
    shifts = [x - o for (_, x), o in zip(items, _offsets(items), strict=True)]
    weights = [4 if p.box is None else 1 for p, _ in items]
    return sum(w * s for w, s in zip(weights, shifts, strict=True)) / sum(weights)
