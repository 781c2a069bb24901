"""The checks of ``Graph.lint``."""

__all__ = ["lint"]


def lint(graph):
    """Raise RuntimeError if a graph cannot run."""
    seen: set = set()
    names: set = set()
    for node in graph.nodes:
        if node.graph is not graph:
            raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
        if node.name in names:
            raise RuntimeError(f"Node redefined name {node.name}!")
        for given in node.all_input_nodes:
            _check_input(graph, node, given, seen)
        seen.add(node)
        names.add(node.name)
        if graph.owning_module is not None and node.op in ("get_attr", "call_module"):
            _check_target(graph.owning_module, node)


def _check_input(graph, node, given, seen):
    if given.graph is not graph:
        raise RuntimeError(
            f"Argument '{given}' of Node '{node}' does not belong to this Graph, but was used as "
            "an argument! If you are copying nodes from another graph, make sure to use "
            f"``arg_transform`` on node_copy() to remap values\n{graph}"
        )
    if given not in seen:
        raise RuntimeError(
            f"Argument '{given}' of Node '{node}' was used before it has been defined! Please "
            f"check that Nodes in the graph are topologically ordered\n{graph}"
        )


def _check_target(module, node):
    from rushlight.nn import Module

    found = module
    for i, part in enumerate(node.target.split(".")):
        if not hasattr(found, part):
            raise RuntimeError(
                f"Node {node} target {node.target} references nonexistent attribute {part} of "
                f"{'.'.join(node.target.split('.')[:i]) or 'the root'}"
            )
        found = getattr(found, part)
    if node.op == "call_module" and not isinstance(found, Module):
        raise RuntimeError(
            f"Node {node} target {node.target} {node.target} of {type(found).__name__} does not "
            "reference an nn.Module"
        )
