"""A function of scores and their positions that the attention kernels compute for each score."""

from rushlight.compiler.codegen.frame import entry
from rushlight.compiler.codegen.loop import lift
from rushlight.compiler.codegen.memory import iota
from rushlight.compiler.codegen.nodes import Nodes
from rushlight.compiler.codegen.scope import Scope
from rushlight.compiler.codegen.value import INT, constant, select, splat
from rushlight.compiler.plan.kernel import Constant

__all__ = ["Change", "has_slope"]


def has_slope(d):
    """Whether the derivative of the new scores by the old ones is other than 1."""
    if d.changed is None:
        return False
    slope = d.changed.stores[1].node
    return not (type(slope) is Constant and slope.value == 1)


class Change:
    """Writes the code of ``d.changed``, a ``ScalarKernel``, for the queries from ``first`` on."""

    def __init__(self, b, d, cut, args, batch, first):
        self.b, self.d, self.cut, self.first = b, d, cut, first
        self.batch = [lift(b, i) for i in batch]
        own = len(d.strides)
        self.pointers = [entry(b, args, own + k) for k in range(len(d.changed.args))]

    def of(self, score, key, j, results):
        """The first ``results`` of (new score, its slope), for vector ``j`` of a key's scores."""
        b, d, lanes = self.b, self.d, self.cut.lanes
        # Idle lanes of the last block take the last query, so that they read what exists.
        query = splat(lift(b, self.first + j * lanes), lanes) + iota(b, lanes, INT)
        last = constant(b, d.queries - 1, INT, lanes)
        query = select(query < last, query, last)
        found = Nodes(self.pointers, [Scope(b)] * 3, _Lanes(lanes))
        inputs = score, *self.batch, query, lift(b, key)
        for root, value in zip(d.changed.roots, inputs, strict=True):
            found.results[id(root)] = value
        return [splat(found.value(store.node), lanes) for store in d.changed.stores[:results]]


class _Lanes:
    """What ``Nodes`` asks of loops: the lanes run along no variable of the addresses."""

    columns, vector, across = (), None, False

    def __init__(self, lanes):
        self.lanes = lanes
