"""torch.utils._pytree: flatten nested tuples, lists and dicts to leaves, and build them again."""

from typing import Any

__all__ = [
    "TreeSpec", "register_pytree_node", "tree_all", "tree_any", "tree_flatten", "tree_leaves",
    "tree_map", "tree_map_", "tree_map_only", "tree_structure", "tree_unflatten",
]  # fmt: skip


class TreeSpec:
    """The structure of a tree, without its leaves.

    Attributes:
        type: The class of the container; None for a leaf.
        context: The keys of a dict; None for other containers and leaves.
        children: The structures of the container's parts.

    Args:
        type, context, children: As the attributes.

    >>> tree_structure([1, 2]).num_leaves
    2
    """

    def __init__(self, type, context, children):
        self.type, self.context, self.children = type, context, children

    @property
    def num_leaves(self):
        """The number of leaves."""
        return sum([c.num_leaves for c in self.children]) if self.type is not None else 1

    def is_leaf(self):
        """True if the structure is a single leaf."""
        return self.type is None

    def __eq__(self, other):
        if not isinstance(other, TreeSpec):
            return NotImplemented
        mine = self.type, self.context, self.children
        return mine == (other.type, other.context, other.children)

    __hash__ = object.__hash__

    def __repr__(self):
        if self.type is None:
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self.children})"


#: Class of a container → (function that takes it apart, function that builds it).
_REGISTERED: dict = {}


def register_pytree_node(
    cls, flatten_fn, unflatten_fn, *, serialized_type_name=None, to_dumpable_context=None,
    from_dumpable_context=None, flatten_with_keys_fn=None,
):  # fmt: skip
    """Let trees contain objects of a class as containers.

    Args:
        cls: The class. Its subclasses are not registered.
        flatten_fn: Function of an object that returns a list of its parts, and a context.
        unflatten_fn: Function of an iterable of parts and the context that returns an object.
        serialized_type_name, to_dumpable_context, from_dumpable_context, flatten_with_keys_fn:
            Accepted without effect.

    Raises:
        ValueError: The class is registered already.

    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda parts, _: Pair(*parts))
    >>> tree_leaves([Pair(1, 2), 3])
    [1, 2, 3]
    """
    if cls in _REGISTERED:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _REGISTERED[cls] = flatten_fn, unflatten_fn


def _parts(tree, is_leaf):
    """Return (context, parts) of a container, or None for a leaf."""
    if is_leaf is not None and is_leaf(tree):
        return None
    if type(tree) in _REGISTERED:
        parts, context = _REGISTERED[type(tree)][0](tree)
        return context, list(parts)
    if isinstance(tree, dict):
        return list(tree), list(tree.values())
    named = hasattr(tree, "_fields") or type(tree).__module__ == "torch.return_types"
    if type(tree) in (tuple, list) or named:
        return None if isinstance(tree, str) else (None, list(tree))
    return None


def tree_flatten(tree, is_leaf=None):
    """Return the leaves of a tree and its structure.

    Args:
        tree: The tree: lists, tuples, dicts, and leaves.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Tuple of a list of the leaves and a ``TreeSpec``.

    >>> tree_flatten({"a": [1, 2], "b": 3})[0]
    [1, 2, 3]
    """
    leaves: list = []
    structure = _visit(tree, leaves, is_leaf)
    return leaves, structure


def _visit(part, leaves, is_leaf):
    """Append the leaves of ``part`` to ``leaves``; returns its structure."""
    found = _parts(part, is_leaf)
    if found is None:
        leaves.append(part)
        return TreeSpec(None, None, [])
    context, parts = found
    return TreeSpec(type(part), context, [_visit(p, leaves, is_leaf) for p in parts])


def tree_unflatten(leaves, treespec):
    """Build a tree from its leaves and its structure.

    Args:
        leaves: An iterable of the leaves.
        treespec: The structure, a ``TreeSpec``.

    Returns:
        The tree.

    Raises:
        ValueError: the structure has another number of leaves.

    >>> leaves, structure = tree_flatten((1, [2, 3]))
    >>> tree_unflatten([x * 2 for x in leaves], structure)
    (2, [4, 6])
    """
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten: a structure of {treespec.num_leaves} leaves was given {len(leaves)}"
        )
    return _build(treespec, iter(leaves))


def _build(spec, leaves) -> Any:
    """The tree of the structure ``spec`` with the next of ``leaves``."""
    if spec.type is None:
        return next(leaves)
    parts = [_build(child, leaves) for child in spec.children]
    if spec.type in _REGISTERED:
        return _REGISTERED[spec.type][1](parts, spec.context)
    if issubclass(spec.type, dict):
        items = zip(spec.context, parts, strict=True)
        return dict(items) if spec.type is dict else _filled(spec.type, items)
    return spec.type(*parts) if hasattr(spec.type, "_fields") else spec.type(parts)


def _filled(cls, items):
    made = cls()
    made.update(items)
    return made


def tree_leaves(tree, is_leaf=None):
    """Return the leaves of a tree.

    Args:
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        List of the leaves.

    >>> tree_leaves([1, (2, {"a": 3})])
    [1, 2, 3]
    """
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree, is_leaf=None):
    """Return the structure of a tree.

    Args:
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        ``TreeSpec``.

    >>> tree_structure([1, (2,)]) == tree_structure([3, (4,)])
    True
    """
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """Return a tree of the results of a function that is called on each leaf.

    Args:
        func: The function. It gets a leaf, and the leaves at the same place in each tree of
            ``rests``.
        tree: The tree.
        *rests: Trees of the same structure.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Tree of the structure of ``tree``.

    >>> tree_map(lambda x, y: x + y, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    leaves, structure = tree_flatten(tree, is_leaf)
    others = [tree_leaves(rest, is_leaf) for rest in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], structure)


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call a function on each leaf, and ignore the results.

    Args:
        func: The function. It gets a leaf, and the leaves at the same place in each tree of
            ``rests``.
        tree: The tree.
        *rests: Trees of the same structure.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        ``tree`` itself.

    >>> tree_map_(print, [1, (2,)])
    1
    2
    [1, (2,)]
    """
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kind, func, tree, is_leaf=None):
    """Apply ``tree_map`` to the leaves of some classes, and keep other leaves.

    Args:
        kind: A class, or a tuple of classes.
        func: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Tree of the structure of ``tree``.

    >>> tree_map_only(int, lambda x: x + 1, [1, "a"])
    [2, 'a']
    """
    return tree_map(lambda x: func(x) if isinstance(x, kind) else x, tree, is_leaf=is_leaf)


def tree_all(predicate, tree, is_leaf=None):
    """Return whether a predicate holds for all leaves.

    Args:
        predicate: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        True or False.

    >>> tree_all(lambda x: x > 0, [1, (2,)])
    True
    """
    return all(map(predicate, tree_leaves(tree, is_leaf)))


def tree_any(predicate, tree, is_leaf=None):
    """Return whether a predicate holds for at least one leaf.

    Args:
        predicate: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        True or False.

    >>> tree_any(lambda x: x > 1, [1, (2,)])
    True
    """
    return any(map(predicate, tree_leaves(tree, is_leaf)))
