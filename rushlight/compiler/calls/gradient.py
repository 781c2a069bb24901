"""The gradient of a compiled forward for a backward outside: it is a program, too."""

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rushlight.autograd import engine, mode
from rushlight.autograd.tape import Leaf, Node, output, tick
from rushlight.compiler.calls.forward_again import (
    INNER,
    ONCE,
    compute_again,
    numbered,
    numbers_of_nodes,
    written_quietly,
)
from rushlight.compiler.capture.simplify import alive, operands, without
from rushlight.compiler.capture.tracked_memory import LateWrite
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.run.handlers import handlers_apart
from rushlight.compiler.run.program import make_program
from rushlight.errors import GraphError, TraceError
from rushlight.remote import Crossing, at, place_of
from rushlight.tensor import from_array

__all__ = ["gradients"]


class CompiledNode(Node):
    """The tape node of a compiled forward."""

    __slots__ = ("crossing", "gradient", "reason")
    is_plain = False
    if TYPE_CHECKING:
        gradient: Any  # the ``Gradient``, or None
        reason: RuntimeError | None
        crossing: Any  # a ``Crossing`` if gradients go from one device to another

    def name(self):
        return "CompiledFunctionBackward"

    def check(self, symbolic=True, read=None):
        """As ``Node.check``. ``read``: positions of the values to check; None: all of ``saved``."""
        if self.reason is not None:
            raise type(self.reason)(*self.reason.args)
        if self.saved is None and self.gradient.saved:
            super().check(symbolic)
        for i in range(len(self.gradient.saved)) if read is None else read:
            cell = self.cells[i]
            if cell is not None and cell[0] > self.clock:
                raise GraphError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: {self.name()} saved a value of shape "
                    f"{tuple(self.saved[i].shape)}, which was written after the call and is now "
                    f"at version {cell[1]}. Write to a clone()."
                )

    def backward(self, g, symbolic, leads=None):
        gs = g if type(g) is list else [g]
        given = tuple([i for i, g in enumerate(gs) if g is not None])
        self.check(read=())
        if symbolic and mode.records():
            if self.saved is None:
                super().check(symbolic)
            self.check(read=range(len(self.cells)))
            return self.gradient.recorded(self.saved, self.parents, gs)
        program, read = self.gradient.program(given)
        self.check(read=read)
        saved = (self.saved or ())[: len(self.gradient.saved)]
        # The gradient of a sum is often an expanded array; programs need contiguous ones.
        if symbolic:  # tensors, because the graph has values on devices
            found = program.run([*saved, *[gs[i].contiguous()._array for i in given]])
            return [None if a is None else from_array(a) for a in found]
        seeds = [gs[i] if gs[i].flags.c_contiguous else gs[i].copy() for i in given]
        return program.run([*saved, *seeds])


class Gradient:
    """The program of the gradient of a traced call whose results require grad.

    Attributes:
        start: The number of equations of the forward.
        outs: Positions of the results that require grad.
        seeds: The abstract gradients of these results.
        parents: (node, argument or None): the nodes of the outer graph at which the traced graph
            ends, and the arguments that they belong to.
        grads: The abstract gradient that arrives at each parent.
        crosses: Whether gradients go from one device to another.
        equations: The equations that compute ``grads`` from ``saved`` and ``seeds``, each as
            (equation, results whose gradients pass the equation's node). Results are numbered by
            their position in ``outs``.
        saved: The values of the forward that the gradient needs.
        forward: The equations that compute the results from saved values and inputs, for gradients
            that are differentiated in turn. None: not all of these values are there later.
        inputs: What only ``forward`` needs: inputs, random numbers. Nodes hold it after ``saved``.
        values: The results, as values of the recording.
        histories: For each equation of ``forward`` the numbers of its operands' nodes and of its
            results' nodes in the trace; None: not known. See ``numbered``.
        ends: For each parent the number of its node in the trace.
        roots: For each result the number of its node in the trace.
        graph: What the traced graph consists of, as ``_graph_of`` counts it.
        sources: For each parent the id of the input whose node it is, or None.
        reach: For each parent, the results whose gradients arrive there.
    """

    def __init__(self, recorder, outs, wanted):
        """``wanted``: position of a result → (traced nodes that lead to it, parents).

        ``outs`` are the results, each (name, node, array).
        """
        self.outs = [*wanted]
        roots = [outs[k][1] for k in self.outs]
        ends = [*dict.fromkeys(end for _, found in wanted.values() for end in found)]
        passing: dict = {}  # node → the results whose gradients pass it
        for i, (inner, found) in enumerate(wanted.values()):
            for node in (*inner, *found):
                passing.setdefault(node, set()).add(i)
        self.start = len(recorder.equations)
        arrays = [outs[k][2] for k in self.outs]
        self.seeds = [Abstract(a.shape, a.dtype, None, place_of(a)) for a in arrays]
        self.reach = [passing[end] for end in ends]
        self.parents = [(node, _owner(recorder, node)) for node in ends]
        seeds = [from_array(s) for s in self.seeds]
        for seed in seeds:
            recorder.note(seed)  # a hook may keep it
        recorder.passed = []
        was = mode.set_grad(False)
        recorder.sealed = self.seeds[0].id
        try:
            # One end may be an ancestor of another. The path between them belongs to the outer
            # graph, so this run stops at every end.
            with at(self.seeds[0].device), recorder.observer:  # hooks run
                arrived = engine.run(
                    roots, seeds, True, True, {*map(id, ends)}, False, beyond=False
                )
        finally:
            recorder.observer.__exit__()  # again, for an interrupt at its beginning
            recorder.sealed = 0
            mode.set_grad(was)
        self.grads = [recorder.value(arrived[id(n)]) if id(n) in arrived else None for n in ends]
        self._programs: dict = {}  # results with a gradient → (program, positions it reads)
        self._take_apart(recorder, passing)
        self.values = [recorder.value(from_array(outs[k][2])) for k in self.outs]
        self.sources = [_source(recorder, node) for node in ends]
        nodes = {node for inner, _ in wanted.values() for node in inner}
        self.graph = _graph_of(nodes)
        self._find_forward(recorder, nodes)
        number = numbers_of_nodes(ends, self.sources)
        self.ends, self.roots = number(ends), number(roots)
        self.histories = [
            numbered(recorder.histories.get(id(e)), number) for e in self.forward or ()
        ]
        passed_on = [*self.seeds, *[g for g in self.grads if g is not None]]
        self.crosses = len({v.device for v in passed_on}) > 1

    def _take_apart(self, recorder, passing):
        """Set ``equations`` and ``saved``: the backward's equations, and the values they need.

        The gradient does not save views of the forward: it saves the viewed value and repeats the
        view, which costs nothing, so that the forward need not copy views.
        """
        equations, everything = recorder.equations[self.start :], {*range(len(self.outs))}
        # A tensor may be two results: then its gradients are added before any node is passed.
        marks = [(self.start, None), *recorder.passed, (len(recorder.equations), None)]
        passed = []
        for (begin, node), (end, _) in pairwise(marks):
            passed += [passing.get(node, everything)] * (end - begin)
        made = {v.id for e in equations for v in e.outs} | {s.id for s in self.seeds}
        saved = {v.id: v for v in _read(equations, self.grads) if v.id not in made}
        for e in reversed(recorder.equations[: self.start]):
            if e.op.kind == "view" and e.outs[0].id in saved:
                del saved[e.outs[0].id]
                saved.update({v.id: v for v in _read([e], ())})
                equations.insert(0, e)
                passed.insert(0, everything)
        self.equations = [*zip(equations, passed, strict=True)]
        self.saved = list(saved.values())

    def _find_forward(self, recorder, nodes):
        """Set ``forward`` and ``inputs``. Random numbers are not drawn again but held, too."""
        forward = alive(recorder.equations[: self.start], self.values, drawing=False)
        self.forward: list | None = [e for e in forward if not e.op.draws]
        known = {v.id for v in self.saved} | {v.id for e in self.forward for v in e.outs}
        needed = {v.id: v for v in _read(self.forward, ()) if v.id not in known}
        self.inputs = list(needed.values())
        draws = any(e.op.draws and any(e.op.rules) for e in forward)
        hooked = any(node.hooks for node in nodes)
        if draws or hooked or written_quietly(recorder.histories.values()):
            self.forward, self.inputs = None, []

    def kept(self, changed):
        """The values that a node holds. ``changed``: ids of the inputs that the call writes."""
        if any(v.id in changed for v in self.inputs):
            self.forward, self.inputs = None, []
        return [*self.saved, *self.inputs]

    def recorded(self, arrays, parents, gs):
        """The gradients for ``parents`` with a graph, for the results' gradients ``gs``.

        The forward is computed again, operation by operation, so that each has a node. An operand
        without a node in the trace, as after ``detach()``, has none here either. If the graph is
        not that of the trace, for example because a function gave its result a gradient of its own,
        that is an error. ``arrays`` are those of ``kept``.
        """
        if self.forward is None:
            raise GraphError(ONCE)
        kept = zip([*self.saved, *self.inputs], arrays, strict=True)
        found = {v.id: from_array(a) for v, a in kept}
        nodes: dict = {}  # number of a node in the trace → the node here
        for source, parent, end in zip(self.sources, parents, self.ends, strict=True):
            if source in found:
                found[source].node = nodes[end] = parent
        began, was = tick(), mode.exchange("autocast", None)
        try:
            for e, history in zip(self.forward, self.histories, strict=True):
                compute_again(e, found, history, nodes)
        finally:
            mode.exchange("autocast", was)
        made = [
            nodes.get(n, found[v.id].node) for n, v in zip(self.roots, self.values, strict=True)
        ]
        behind = {n for node in made if node is not None for n in _behind(node, began)[0]}
        if None in made or INNER in self.roots or _graph_of(behind) != self.graph:
            raise GraphError(ONCE)
        roots, seeds = zip(
            *[pair for pair in zip(made, gs, strict=True) if pair[1] is not None], strict=True
        )
        targets = {*map(id, parents)}
        arrived = engine.run(roots, seeds, True, True, targets, False, beyond=False)
        return [arrived.get(id(p)) for p in parents]

    @property
    def recording(self):
        """(equations, inputs, outputs, writes) of the program for the gradients of all results."""
        return [e for e, _ in self.equations], [*self.saved, *self.seeds], self.grads, ()

    def program(self, given):
        """The program if only the results ``given`` have gradients, and which ``saved`` it reads.

        It is made when first needed. Nodes that only absent gradients would pass take no part, as
        in eager mode: a gradient of zeros would become nan at an infinite derivative.
        """
        if given not in self._programs:
            seeds = [self.seeds[i] for i in given]
            equations, _, grads, _ = self.recording
            if len(given) < len(self.seeds):
                runs = [(e, not passed.isdisjoint(given)) for e, passed in self.equations]
                grads = [g if not reach.isdisjoint(given) else None
                         for g, reach in zip(grads, self.reach, strict=True)]  # fmt: skip
                absent = {s.id for i, s in enumerate(self.seeds) if i not in given}
                equations, grads = without(runs, grads, absent, {s.id for s in seeds})
            before = mode.snapshot()
            try:
                with handlers_apart():
                    made = make_program(equations, [*self.saved, *seeds], grads)
            finally:
                mode.give_back(before)
            used = {v.id for e in alive(equations, grads, checking=True) for v in operands(e)}
            used |= {g.id for g in grads if isinstance(g, Abstract)}
            self._programs[given] = made, [i for i, v in enumerate(self.saved) if v.id in used]
        return self._programs[given]

    def attach(self, outs, saved, cells, parents):
        """Give the results of one run a node that runs the gradient.

        Args:
            outs: The results that require grad.
            saved: The arrays that the gradient needs.
            cells: For each of ``saved`` the ``cell`` that tells when it was written; None for an
                array that only this node holds.
            parents: The nodes of the outer graph.
        """
        node = _node(outs[0], tuple(parents), tuple(saved), tuple(cells))
        node.gradient = self
        node.crossing = Crossing() if self.crosses else None
        if len(outs) == 1:
            outs[0].node = node
            return
        for i, out in enumerate(outs):
            out.node = output(node, i, len(outs), out._array)


class Refused:
    """A result, at position ``out``, through which no gradient can go; the same in eager mode.

    For example, the traced call already ran backward through its graph, or wrote to a value that
    the gradient needs. A backward from outside raises ``reason``. ``parents`` are as in
    ``Gradient``.
    """

    def __init__(self, out, reason, parents):
        self.out, self.reason, self.parents = out, type(reason)(*reason.args), parents
        self.node: Any = None  # of all runs, if the parents are fixed: one node is faster

    @property
    def is_fixed(self):
        """True if no parent belongs to an argument: then all runs have the same parents."""
        return all(t is None for _, t in self.parents)

    def attach(self, out, parents):
        """Give the result of one run a node that raises ``reason`` in a backward."""
        out.node = _node(out, tuple(parents), (), ())
        out.node.reason = self.reason

    def first_node(self, out):
        """Make the node of the results of all runs from the first result; the parents are fixed."""
        self.attach(out, [node for node, _ in self.parents])
        self.node = out.node
        return self.node


def gradients(recorder, outs):
    """(Gradient or None, list of Refused) for the results ``outs``, each (name, node, array)."""
    wanted: dict = {}
    refused: list = []
    ran = {node for _, node in recorder.passed}  # a backward in the call has passed these
    refuse = lambda k, error, ends: refused.append(
        Refused(k, error, [(end, _owner(recorder, end)) for end in ends])
    )
    for k, (_, node, _) in enumerate(outs):
        if node is None:
            continue
        inner, ends = _behind(node, mode.state.recorder.began)
        error = _error_of(inner)
        if error is None:
            wanted[k] = inner, ends
        else:
            refuse(k, error, ends)
    found = _recorded(recorder, outs, wanted, ran)
    if isinstance(found, RuntimeError):  # an operation has no derivative: find the results it is in
        for k, behind in [*wanted.items()]:
            error = _recorded(recorder, outs, {k: behind}, ran)
            if isinstance(error, RuntimeError):
                refuse(k, error, wanted.pop(k)[1])
        found = _recorded(recorder, outs, wanted, ran)
    return found, refused


def _recorded(recorder, outs, wanted, ran):
    """The Gradient of the results in ``wanted``, or its error; None if ``wanted`` is empty.

    A ``LateWrite`` is raised, but not for a result through which a backward ``ran`` in the call:
    another backward outside is unlikely.
    """
    if not wanted:
        return None
    start = len(recorder.equations)
    try:
        return Gradient(recorder, outs, wanted)
    except TraceError as error:
        if not isinstance(error, LateWrite) or ran.isdisjoint([outs[k][1] for k in wanted]):
            raise
        del recorder.equations[start:]
        return error
    except RuntimeError as error:
        del recorder.equations[start:]
        return error


def _node(out, parents, saved, cells):
    node = object.__new__(CompiledNode)
    node.parents, node.saved, node.cells = parents, saved, cells
    node.clock = tick()
    node.hooks = node.reason = node.gradient = None
    node.shape, node.dtype = out._array.shape, out._array.dtype
    return node


def _ids(values):
    return [v.id for v in values]


def _source(recorder, node):
    """The id of the input whose node ``node`` is, or None."""
    for captured in recorder.captured.values():
        if captured.tensor.node is node or _of(node) is captured.tensor:
            return captured.value.id
    return None


def _read(equations, outputs):
    """The abstract values that ``equations`` read, and the abstract values in ``outputs``."""
    read = list(outputs)
    for e in equations:
        read += [*(e.ins[0] if e.op.variadic else e.ins), *e.params.values()]
    return [v for v in read if isinstance(v, Abstract)]


def _passed(node):
    """The parents of ``node``, with None for those to which no gradient goes."""
    rules = () if node.op is None else node.op.rules
    if len(rules) != len(node.parents):
        return node.parents
    return [p if r is not None else None for p, r in zip(node.parents, rules, strict=True)]


def _graph_of(nodes):
    """How many nodes there are of each operation, and of each pattern of missing parents."""
    kind = lambda node: node.name() if node.op is None else node.op.name
    return Counter([(kind(node), tuple([p is None for p in _passed(node)])) for node in nodes])


def _behind(root, began):
    """The nodes that a gradient from ``root`` passes: (newer ones than ``began``, ends)."""
    found, stack, inner, ends = {root}, [root], [], []
    while stack:
        node = stack.pop()
        if type(node) is Leaf or node.clock < began:
            ends.append(node)
            continue
        inner.append(node)
        for p in _passed(node):
            if p is not None and p not in found:
                found.add(p)
                stack.append(p)
    return inner, ends


def _error_of(nodes):
    """The error if a gradient cannot pass one of ``nodes``, or None.

    It cannot if a saved value was freed, or was written later.
    """
    for node in nodes:
        try:
            node.check()
        except GraphError as error:
            return error
    return None


def _owner(recorder, node):
    """The argument that ``node`` belongs to; None if it belongs to other outer tensors.

    Each run takes the node of its own argument.
    """
    for captured in recorder.captured.values():
        tensor = captured.tensor
        if isinstance(captured.get, int) and (tensor.node is node or _of(node) is tensor):
            return tensor
    return None


def _of(node):
    """The tensor of a leaf's node, even if it did not require grad before the call; else None."""
    return node.variable if type(node) is Leaf else None
