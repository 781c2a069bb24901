"""A graph drawn in layers: where boxes and the lines between them go.

Boxes stand below all that they depend on. A line that passes a layer has a place of its own there,
so that it goes around the boxes. Within a layer things are sorted by where their neighbours are.
"""

from itertools import pairwise

__all__ = ["Layout"]

_SWEEPS = 12
_GAP, _LANE = 36, 10  # between boxes; between passing lines


class Place:
    """A box, or where a line passes a layer: ``box`` is None there. ``x`` is its middle."""

    def __init__(self, layer, width, height, box=None):
        self.layer, self.width, self.height, self.box = layer, width, height, box
        self.x = self.y = 0.0
        self.room = 0.0  # the height of its layer
        self.above: list = []
        self.below: list = []


class Layout:
    """Places of the boxes of a graph.

    Attributes:
        places: One for each box, in order.
        lines: For each edge (source, targets), the list of places that it passes for each target,
            both ends included.
        width, height: Of everything.
    """

    def __init__(self, sizes, edges, gaps):
        """``sizes``: (width, height) of boxes; ``edges``: (source, targets), by position;
        ``gaps``: the room below each box."""
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
        """The ways of one edge; they share their places as far as they go together."""
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
        """Give everything its x: near its neighbours, and apart from who stands beside it."""
        for layer in self.layers:
            _apart(layer, [0.0] * len(layer))
        for sweep in range(2 * _SWEEPS):
            for layer in self.layers if sweep % 2 == 0 else self.layers[::-1]:
                wanted = []
                for p in layer:
                    near = [*p.above, *p.below]
                    # Boxes keep to boxes, and lines go straight.
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
    for i in set(range(count)) - fed:  # what depends on nothing stands where it is wanted
        readers = [depth[t] for source, targets in edges if source == i for t in targets]
        depth[i] = min(readers, default=1) - 1
    return depth


def _apart(layer, wanted):
    """Set x to what is wanted, moved as little as the widths ask for: blocks that touch, merge."""
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
    """From the middle of a place to that of the next."""
    return (p.width + q.width) / 2 + (_LANE if p.box is None and q.box is None else _GAP)


def _offsets(items):
    """The distances of places that stand side by side from the first of them."""
    found = [0.0]
    for (p, _), (q, _) in pairwise(items):
        found.append(found[-1] + _distance(p, q))
    return found


def _middle(items):
    """Where the first place stands so that all are on average where they are wanted."""
    shifts = [x - o for (_, x), o in zip(items, _offsets(items), strict=True)]
    weights = [4 if p.box is None else 1 for p, _ in items]
    return sum(w * s for w, s in zip(weights, shifts, strict=True)) / sum(weights)
