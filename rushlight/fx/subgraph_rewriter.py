"""``replace_pattern``: the parts of a graph that look like a pattern become something else."""

from typing import Any, NamedTuple

from rushlight.fx._symbolic_trace import symbolic_trace
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule, _copy_attr
from rushlight.fx.node import Node, map_arg

__all__ = [
    "Match", "ReplacedPatterns", "replace_pattern", "replace_pattern_with_filters",
]  # fmt: skip


class Match(NamedTuple):
    """A part of a graph that looks like a pattern.

    Args:
        anchor: The node of the graph whose result is the pattern's.
        nodes_map: Dict: node of the pattern → node of the graph.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> torch.fx.replace_pattern(traced, torch.relu, torch.neg)[0].anchor
    relu
    """

    anchor: Node
    nodes_map: dict


class ReplacedPatterns(NamedTuple):
    """A part of a graph that was replaced.

    Args:
        anchor: The node of the graph whose result was the pattern's.
        nodes_map: Dict: node of the pattern → node of the graph.
        replacements: List of the nodes that were added.

    >>> import rushlight as torch
    >>> from rushlight.fx.subgraph_rewriter import replace_pattern_with_filters
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> replace_pattern_with_filters(traced, torch.relu, torch.neg)[0].replacements
    [neg]
    """

    anchor: Node
    nodes_map: dict
    replacements: list


def replace_pattern(gm, pattern, replacement):
    """Replace each part of a graph that computes what a pattern does.

    Args:
        gm: The GraphModule, which is changed.
        pattern: A function or GraphModule. Its arguments match anything.
        replacement: A function or GraphModule of the same arguments.

    Returns:
        List of Matches.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(lambda x, w: torch.add(torch.mul(x, 2), w))
    >>> matches = torch.fx.replace_pattern(
    ...     traced, lambda a, b: torch.add(torch.mul(a, 2), b), lambda a, b: torch.sub(a, b))
    >>> print(traced.code.strip())
    def forward(self, x, w):
        sub = torch.sub(x, w);  x = w = None
        return sub
    """
    found = replace_pattern_with_filters(gm, pattern, replacement)
    return [Match(m.anchor, m.nodes_map) for m in found]


def replace_pattern_with_filters(
    gm, pattern, replacement=None, match_filters=None, ignore_literals=False,
    replacement_callback=None, node_name_match="",
):  # fmt: skip
    """Replace the parts of a graph that look like a pattern and pass all filters.

    Args:
        gm: The GraphModule, which is changed.
        pattern: A function, Graph or GraphModule. Its arguments match anything.
        replacement: A function, Graph or GraphModule of the same arguments.
        match_filters: Functions of (match, graph, graph of the pattern) that say whether to
            replace. Default: none.
        ignore_literals: Let numbers in the pattern match any number.
        replacement_callback: A function of (match, graph, graph of the pattern) that returns the
            Graph to put there, in the place of ``replacement``. Default: none.
        node_name_match: Must be "".

    Returns:
        List of ReplacedPatterns.

    Raises:
        NotImplementedError: ``node_name_match`` is not "".

    >>> import rushlight as torch
    >>> from rushlight.fx.subgraph_rewriter import replace_pattern_with_filters
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> found = replace_pattern_with_filters(traced, torch.relu, torch.neg, [lambda *seen: False])
    >>> len(found)
    0
    """
    if node_name_match:
        raise NotImplementedError("replace_pattern_with_filters: node_name_match")
    wanted = _graph_of(pattern)
    modules = pattern if isinstance(pattern, GraphModule) else wanted.owning_module
    matcher = _Matcher(wanted, modules, gm, ignore_literals)
    found, replaced = matcher.matches(), []
    given = None if replacement is None else _graph_of(replacement)
    moved: dict = {}
    for match in found:
        if not all(keep(match, gm.graph, wanted) for keep in match_filters or ()):
            continue
        graph = given if replacement_callback is None else replacement_callback(
            match, gm.graph, wanted
        )  # fmt: skip
        replaced.append(_replace(gm, wanted, graph, match, moved))
    gm.recompile()
    if isinstance(replacement, GraphModule):
        _add_submodules(gm, replacement)
    return replaced


def _graph_of(pattern) -> Graph:
    if isinstance(pattern, GraphModule):
        return pattern.graph
    return pattern if isinstance(pattern, Graph) else symbolic_trace(pattern).graph


def _nodes_in(value):
    """The nodes inside of containers, in order."""
    found: list[Node] = []
    map_arg(value, found.append)
    return found


def _add_submodules(gm, replacement):
    """Give ``gm`` what the replacement's nodes read."""
    for node in gm.graph.nodes:
        if node.op in ("call_module", "get_attr"):
            try:
                gm.graph.owning_module.get_submodule(node.target.rpartition(".")[0])
                found = hasattr(gm.get_submodule(node.target.rpartition(".")[0]),
                                node.target.rpartition(".")[2])  # fmt: skip
            except AttributeError:
                found = False
            if not found:
                _copy_attr(replacement, gm, node.target)
    gm.graph.lint()


class _Matcher:
    """Finds the parts of a graph that look like a pattern."""

    def __init__(self, pattern, modules, gm, ignore_literals):
        self.pattern, self.modules, self.gm = pattern, modules, gm
        self.ignore_literals = ignore_literals
        out = pattern.output_node().args[0]
        self.outs = _nodes_in(out)
        inner = [n for n in pattern.nodes if n.op not in ("placeholder", "output")]
        self.anchors = [n for n in self.outs if n.op != "placeholder"] or inner[-1:]

    def matches(self):
        """List of Matches that have no node in common, in the graph's order."""
        found: list = []
        taken: set = set()
        if not self.anchors:
            return found
        for node in self.gm.graph.nodes:
            binding: Any = self._match_anchors(node)
            if binding is None:
                continue
            own = {n for p, n in binding.items() if p.op != "placeholder" and isinstance(n, Node)}
            if own & taken or not self._contained(binding):
                continue
            taken |= own
            found.append(Match(binding[self.anchors[0]], binding))
        return found

    def _match_anchors(self, node):
        """The binding of the pattern whose first result is ``node``, or None."""
        binding: dict = {}
        if not self._match(self.anchors[0], node, binding):
            return None
        for anchor in self.anchors[1:]:
            if anchor in binding:
                continue
            for other in self.gm.graph.nodes:
                attempt = dict(binding)
                if other not in attempt.values() and self._match(anchor, other, attempt):
                    binding = attempt
                    break
            else:
                return None
        return binding

    def _match(self, wanted, node, binding):
        if wanted in binding:
            return binding[wanted] is node
        if not isinstance(node, Node):
            return False
        if wanted.op == "placeholder":
            binding[wanted] = node
            return True
        if node in binding.values() or not self._same_call(wanted, node):
            return False
        binding[wanted] = node
        return self._match_operands(wanted, node, binding)

    def _same_call(self, wanted, node):
        if wanted.op != node.op:
            return False
        if wanted.op in ("call_module", "get_attr"):
            if wanted.target == node.target:
                return True
            mine, theirs = _value(self.modules, wanted.target), _value(self.gm, node.target)
            return mine is not None and type(mine) is type(theirs)
        return wanted.target == node.target

    def _match_operands(self, wanted, node, binding):
        if len(wanted.args) != len(node.args) or {*wanted.kwargs} != {*node.kwargs}:
            mine, theirs = _bound(wanted), _bound(node)
            if mine is None or theirs is None:
                return False
            return self._match_value(mine, theirs, binding)
        return self._match_value(wanted.args, node.args, binding) and self._match_value(
            dict(wanted.kwargs), dict(node.kwargs), binding
        )

    def _match_value(self, wanted, value, binding):
        if isinstance(wanted, Node):
            if wanted.op == "placeholder" and not isinstance(value, Node):
                if wanted in binding:
                    return not isinstance(binding[wanted], Node) and binding[wanted] == value
                binding[wanted] = value
                return True
            return self._match(wanted, value, binding)
        if isinstance(wanted, (list, tuple)):
            if not isinstance(value, (list, tuple)) or len(wanted) != len(value):
                return False
            return all(self._match_value(a, b, binding) for a, b in zip(wanted, value, strict=True))
        if isinstance(wanted, dict):
            if not isinstance(value, dict) or {*wanted} != {*value}:
                return False
            return all(self._match_value(v, value[k], binding) for k, v in wanted.items())
        if isinstance(value, Node):
            return False
        return self.ignore_literals or (type(wanted) is type(value) and wanted == value)

    def _contained(self, binding):
        """Whether nothing outside reads values inside of the match."""
        inside = {n for p, n in binding.items() if p.op != "placeholder"}
        for wanted, node in binding.items():
            if wanted.op == "placeholder" or wanted in self.outs:
                continue
            if any(user not in inside for user in node.users):
                return False
        return True


def _bound(node):
    """The operands of a call of a function by their names, or None."""
    import inspect

    if node.op != "call_function":
        return None
    try:
        bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)
    except (TypeError, ValueError):
        return None
    bound.apply_defaults()
    return dict(bound.arguments)


def _value(root, path):
    found = root
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _replace(gm, pattern, replacement, match, moved):
    """Put the nodes of ``replacement`` in the place of a match."""
    graph, binding = gm.graph, match.nodes_map
    places = [n for n in pattern.nodes if n.op == "placeholder"]
    slots = [n for n in replacement.nodes if n.op == "placeholder"]
    if len(places) != len(slots):
        raise AssertionError(
            f"the pattern has {len(places)} arguments, and the replacement {len(slots)}"
        )
    values: dict = {}
    for place, slot in zip(places, slots, strict=True):
        given = binding.get(place)
        values[slot] = moved.get(given, given) if isinstance(given, Node) else given
    inner = {n for p, n in binding.items() if p.op != "placeholder"}
    made: list = []
    with graph.inserting_before(_place(graph, pattern, binding, inner)):
        for node in replacement.nodes:
            if node.op in ("placeholder", "output"):
                continue
            values[node] = graph.node_copy(node, lambda n: values[n])
            made.append(values[node])
        result = map_arg(replacement.output_node().args[0], lambda n: values[n])
    _hand_over(pattern, result, binding, moved)
    for node in [n for n in reversed(graph.nodes) if n in inner]:
        if not node.users:
            graph.erase_node(node)
    return ReplacedPatterns(match.anchor, binding, made)


def _place(graph, pattern, binding, inner):
    """The node before which a replacement goes: the first that reads a result of the match."""
    outs = _nodes_in(pattern.output_node().args[0])
    users = {u for n in outs if isinstance(binding.get(n), Node) for u in binding[n].users} - inner
    missing = {*inner}
    after = None  # the node behind the match
    for node in graph.nodes:
        if not missing:
            after = after or node
            if node in users:
                return node
        missing.discard(node)
    return after


def _hand_over(pattern, result, binding, moved):
    """Let the users of the pattern's results read the replacement's."""
    olds, news = _nodes_in(pattern.output_node().args[0]), _nodes_in(result)
    if not olds:  # the pattern returns nothing
        return
    if len(olds) != len(news):
        raise AssertionError(f"the pattern has {len(olds)} results, the replacement {len(news)}")
    for old, new in zip(olds, news, strict=True):
        before = binding[old]
        if before is not new:
            before.replace_all_uses_with(new, lambda user: user not in news)
            moved[before] = new
