"""The forward of a compiled call, computed again with tensors, for gradients of its gradients.

Each operation gets a node again, as in the trace. The trace's nodes are told apart by numbers, so
that a program keeps none of them alive.
"""

from contextlib import nullcontext

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf, Output
from rushlight.compiler.ir.abstract import Abstract
from rushlight.errors import GraphError
from rushlight.ops.core.dispatch import repeat
from rushlight.tensor import Tensor, from_array

__all__ = ["INNER", "ONCE", "compute_again", "numbered", "numbers_of_nodes", "written_quietly"]

ONCE = (
    "CompiledFunctionBackward: a gradient of this compiled function cannot be differentiated in "
    "turn, because the function has hooks, an autograd.Function or leaves of its own, writes to an "
    "argument, or has an operation that draws random numbers; put the gradient inside the compiled "
    "function, or run it eagerly"
)
INNER = -1  # the number of leaves that the function made itself


def numbers_of_nodes(ends, sources):
    """A function that gives the numbers of nodes; None has none.

    Leaves that the function made itself have the number ``INNER``: a graph that is made again has
    no such leaf.
    """
    numbers: dict = {
        node: INNER if source is None and type(node) is Leaf else k
        for k, (node, source) in enumerate(zip(ends, sources, strict=True))
    }

    def number(nodes):
        for node in nodes:
            if node is not None and node not in numbers:
                numbers[node] = INNER if type(node) is Leaf else len(numbers)
        return [None if node is None else numbers[node] for node in nodes]

    return number


def numbered(history, number):
    """A history of ``Recorder.histories`` with numbers in place of nodes."""
    if history is None:
        return None
    given = history.given
    return None if given is None else number(given), number(history.made)


def written_quietly(histories):
    """Whether memory was written unseen, as through ``.data``, after a node had saved it.

    In the trace the node's rule reads the new contents. A node that is made again would save the
    old ones.
    """
    for history in histories:
        written = {
            look for look, (memory, version) in history.seen.items() if memory.version != version
        }
        for node in history.made if written else ():
            node = node.source if type(node) is Output else node
            for value in () if node is None else node.saved or ():
                parts = value if type(value) in (tuple, list) else (value,)
                if any(getattr(v, "id", None) in written for v in parts):
                    return True
    return False


def compute_again(e, found, history, nodes):
    """Compute an equation with tensors, each with a node exactly if it had one in the trace.

    ``found``: id of a value → its tensor. ``nodes``: number of a node → the node here.
    """
    look = lambda v: found[v.id] if isinstance(v, Abstract) else v
    ins = [look(v) for v in (e.ins[0] if e.op.variadic else e.ins)]
    given, made = history or (None, None)
    if given is not None:
        ins = [_with_history(x, n, nodes) for x, n in zip(ins, given, strict=True)]
    with nullcontext() if history is None or given is not None else mode.no_grad():
        params = {k: look(v) for k, v in e.params.items()}
        results = repeat(e.op, (ins,) if e.op.variadic else tuple(ins), params)
    results = results if isinstance(results, (tuple, list)) else (results,)
    found.update(zip([v.id for v in e.outs], results, strict=True))
    for n, result in zip(made or (), results, strict=False):
        if (n is None) is not (result.node is None):
            raise GraphError(ONCE)
        nodes[n] = result.node


def _with_history(x, n, nodes):
    """The tensor ``x`` with the node that its operand had in the trace, number ``n``."""
    if not isinstance(x, Tensor):
        return x
    if n is None:
        return x if x.node is None else from_array(x._array)
    node = nodes.get(n, x.node)
    if node is None or n == INNER:
        raise GraphError(ONCE)
    if x.node is not node:  # the value was written where gradients were off
        x = from_array(x._array)
        x.node = node
    return x
