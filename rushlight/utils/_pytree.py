"""torch.utils._pytree: flatten nested tuples, lists and dicts to leaves, and build them again."""

from typing import Any

__all__ = [
    "TreeSpec", "tree_all", "tree_any", "tree_flatten", "tree_leaves", "tree_map", "tree_map_",
    "tree_map_only", "tree_structure", "tree_unflatten",
]  # fmt: skip


class TreeSpec:
    """The structure of a tree, without its leaves.

    Attributes:
        type: The class of the container; None for a leaf.
        context: The keys of a dict; None for other containers and leaves.
        children: The structures of the container's parts.
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


def _parts(tree, is_leaf):
    """Return (context, parts) of a container, or None for a leaf."""
    if is_leaf is not None and is_leaf(tree):
        return None
    if isinstance(tree, dict):
        return list(tree), list(tree.values())
    if type(tree) in (tuple, list) or hasattr(tree, "_fields"):
        return None if isinstance(tree, str) else (None, list(tree))
    return None


def tree_flatten(tree, is_leaf=None):
    """Return the leaves of a tree as a list, and the structure of the tree.

    >>> tree_flatten({"a": [1, 2], "b": 3})[0]
    [1, 2, 3]
    """
    leaves: list = []

    def visit(part):
        found = _parts(part, is_leaf)
        if found is None:
            leaves.append(part)
            return TreeSpec(None, None, [])
        context, parts = found
        return TreeSpec(type(part), context, [visit(p) for p in parts])

    return leaves, visit(tree)


def tree_unflatten(leaves, treespec):
    """Build the tree with a structure and a list of leaves.

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
    rest = iter(leaves)

    def build(spec) -> Any:
        if spec.type is None:
            return next(rest)
        parts = [build(child) for child in spec.children]
        if issubclass(spec.type, dict):
            items = zip(spec.context, parts, strict=True)
            return dict(items) if spec.type is dict else _filled(spec.type, items)
        return spec.type(*parts) if hasattr(spec.type, "_fields") else spec.type(parts)

    return build(treespec)


def _filled(cls, items):
    made = cls()
    made.update(items)
    return made


def tree_leaves(tree, is_leaf=None):
    """The leaves of a tree."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree, is_leaf=None):
    """The structure of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """Return a tree of the results of ``func``, called on each leaf of ``tree``.

    ``func`` also gets the leaves at the same place in each tree of ``rests``.

    >>> tree_map(lambda x, y: x + y, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    leaves, structure = tree_flatten(tree, is_leaf)
    others = [tree_leaves(rest, is_leaf) for rest in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], structure)


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call ``func`` on each leaf, ignore the results, and return ``tree`` itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kind, func, tree, is_leaf=None):
    """Apply ``tree_map`` to the leaves of a class or of a tuple of classes; keep other leaves."""
    return tree_map(lambda x: func(x) if isinstance(x, kind) else x, tree, is_leaf=is_leaf)


def tree_all(predicate, tree, is_leaf=None):
    """True if the predicate holds for all leaves."""
    return all(map(predicate, tree_leaves(tree, is_leaf)))


def tree_any(predicate, tree, is_leaf=None):
    """True if the predicate holds for at least one leaf."""
    return any(map(predicate, tree_leaves(tree, is_leaf)))
