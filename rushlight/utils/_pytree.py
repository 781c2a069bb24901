"""torch.utils._pytree: flatten nested tuples, lists and dicts to leaves, and build them again."""

from types import UnionType
from typing import Any

from rushlight.utils._pytree_classes import (  # noqa: F401 - PyTorch has them here
    arg_tree_leaves,
    is_constant_class,
    is_namedtuple_class,
    is_structseq,
    is_structseq_class,
    key_get,
    register_constant,
    register_dataclass,
    treespec_pprint,
)
from rushlight.utils._pytree_json import (
    name_kind,
    register_namedtuple,
    treespec_dumps,
    treespec_loads,
)  # fmt: skip
from rushlight.utils._pytree_kinds import is_namedtuple_instance, is_structseq_instance
from rushlight.utils._pytree_nodes import (
    SUPPORTED_NODES,
    GetAttrKey,
    LeafSpec,
    MappingKey,
    NodeDef,
    SequenceKey,
    TreeSpec,
    _dict_flatten,
    _dict_flatten_with_keys,
    _dict_unflatten,
    _list_flatten,
    _list_flatten_with_keys,
    _list_unflatten,
    _tuple_flatten,
    _tuple_flatten_with_keys,
    _tuple_unflatten,
    node_type,
)  # fmt: skip

__all__ = [
    "SUPPORTED_NODES", "Context", "GetAttrKey", "LeafSpec", "MappingKey", "NodeDef", "PyTree",
    "SequenceKey", "TreeSpec", "_dict_flatten", "_dict_flatten_with_keys", "_dict_unflatten",
    "_list_flatten", "_list_flatten_with_keys", "_list_unflatten", "_register_namedtuple",
    "_register_pytree_node",
    "_tuple_flatten", "_tuple_flatten_with_keys", "_tuple_unflatten", "is_namedtuple_instance",
    "is_structseq_instance", "keystr",
    "register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only",
    "tree_flatten", "tree_flatten_with_path", "tree_is_leaf", "tree_iter", "tree_leaves",
    "tree_leaves_with_path", "tree_map", "tree_map_", "tree_map_only", "tree_map_only_",
    "tree_map_with_path", "tree_structure", "tree_unflatten", "treespec_dumps", "treespec_loads",
]  # fmt: skip

#: Types for annotations: what a container keeps beside its parts, and a tree.
Context = PyTree = Any


def register_pytree_node(
    cls, flatten_fn, unflatten_fn, *, serialized_type_name=None, to_dumpable_context=None,
    from_dumpable_context=None, flatten_with_keys_fn=None,
):  # fmt: skip
    """Let trees contain objects of a class as containers.

    Args:
        cls: The class. Its subclasses are not registered.
        flatten_fn: Function of an object that returns a list of its parts, and a context.
        unflatten_fn: Function of an iterable of parts and the context that returns an object.
        serialized_type_name: The name of the class in the text of ``treespec_dumps``. Default:
            None, which that function refuses.
        to_dumpable_context, from_dumpable_context: Functions that make of a context what JSON
            takes, and a context of that. Default: the context is written as JSON.
        flatten_with_keys_fn: Function of an object that returns a list of tuples (key, part), and
            a context, for ``tree_flatten_with_path``. Default: paths cannot be asked for.

    Raises:
        ValueError: The class is registered already, or one of the functions for contexts is
            missing.

    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda parts, _: Pair(*parts))
    >>> tree_leaves([Pair(1, 2), 3])
    [1, 2, 3]
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    name_kind(cls, serialized_type_name, to_dumpable_context, from_dumpable_context)
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)


#: The name that PyTorch gave the function before 2.2.
_register_pytree_node = register_pytree_node
_register_namedtuple = register_namedtuple


def tree_is_leaf(tree, is_leaf=None):
    """Return whether a tree is a single leaf.

    Args:
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        True or False.

    >>> tree_is_leaf(1), tree_is_leaf([1])
    (True, False)
    """
    return bool(is_leaf and is_leaf(tree)) or node_type(tree) is None


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


_LEAF = LeafSpec()


def _visit(part, leaves, is_leaf):
    """Append the leaves of ``part`` to ``leaves``; returns its structure."""
    kind = node_type(part)
    if kind is None or (is_leaf is not None and is_leaf(part)):
        leaves.append(part)
        return _LEAF
    parts, context = SUPPORTED_NODES[kind].flatten_fn(part)
    return TreeSpec(kind, context, [_visit(p, leaves, is_leaf) for p in parts])


def tree_iter(tree, is_leaf=None):
    """Return an iterator of the leaves of a tree.

    Args:
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Iterator.

    >>> list(tree_iter([1, (2, 3)]))
    [1, 2, 3]
    """
    return iter(tree_leaves(tree, is_leaf))


def tree_flatten_with_path(tree, is_leaf=None):
    """Return the leaves of a tree with their places, and its structure.

    Args:
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Tuple of a list of tuples (tuple of keys, leaf), and a ``TreeSpec``.

    Raises:
        ValueError: a container was registered without ``flatten_with_keys_fn``.

    >>> tree_flatten_with_path({"a": [5]})[0]
    [((MappingKey(key='a'), SequenceKey(idx=0)), 5)]
    """
    return list(_paths((), tree, is_leaf)), tree_structure(tree, is_leaf)


def _paths(path, part, is_leaf):
    """Yield tuples (path, leaf) for the leaves of ``part``, whose own path is ``path``."""
    if tree_is_leaf(part, is_leaf):
        yield path, part
        return
    kind = node_type(part)
    with_keys = SUPPORTED_NODES[kind].flatten_with_keys_fn
    if with_keys is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {kind}. "
            "Please pass a flatten_with_keys_fn argument to register_pytree_node."
        )
    for key, child in with_keys(part)[0]:
        yield from _paths((*path, key), child, is_leaf)


def tree_leaves_with_path(tree, is_leaf=None):
    """Return the leaves of a tree with their places.

    Args:
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        List of tuples (tuple of keys, leaf).

    >>> tree_leaves_with_path((5,))
    [((SequenceKey(idx=0),), 5)]
    """
    return tree_flatten_with_path(tree, is_leaf)[0]


def keystr(kp):
    """Return a place in a tree as Python writes it.

    Args:
        kp: Tuple of keys, as ``tree_flatten_with_path`` gives them.

    Returns:
        str.

    >>> keystr((MappingKey("a"), SequenceKey(0)))
    "['a'][0]"
    """
    return "".join([str(key) for key in kp])


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
    return treespec.unflatten(leaves)


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
        *rests: Trees of the same structure. Where ``tree`` has a leaf they may have a container.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Tree of the structure of ``tree``.

    >>> tree_map(lambda x, y: x + y, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    leaves, structure = tree_flatten(tree, is_leaf)
    others = [structure.flatten_up_to(rest) for rest in rests]
    return tree_unflatten([func(*row) for row in zip(leaves, *others, strict=True)], structure)


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call a function on each leaf, and ignore the results.

    Args:
        func: The function. It gets a leaf, and the leaves at the same place in each tree of
            ``rests``.
        tree: The tree.
        *rests: Trees of the same structure. Where ``tree`` has a leaf they may have a container.
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


def tree_map_with_path(func, tree, *rests, is_leaf=None):
    """Return a tree of the results of a function that is called on each place and leaf.

    Args:
        func: The function. It gets a tuple of keys, the leaf, and the part at the same place in
            each tree of ``rests``.
        tree: The tree.
        *rests: Trees of the same structure. Where ``tree`` has a leaf they may have a container.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Tree of the structure of ``tree``.

    >>> tree_map_with_path(lambda path, x: f"{keystr(path)}={x}", {"a": 1})
    {'a': "['a']=1"}
    """
    placed, structure = tree_flatten_with_path(tree, is_leaf)
    others = [structure.flatten_up_to(rest) for rest in rests]
    results = [func(*row, *more) for row, *more in zip(placed, *others, strict=True)]
    return tree_unflatten(results, structure)


def tree_map_only(type_or_types_or_pred, /, func, tree, is_leaf=None):
    """Apply ``tree_map`` to the leaves of some classes, and keep other leaves.

    Args:
        type_or_types_or_pred: A class, a tuple or a union of classes, or a function that returns
            True for the leaves to apply ``func`` to.
        func: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        Tree of the structure of ``tree``.

    >>> tree_map_only(int, lambda x: x + 1, [1, "a"])
    [2, 'a']
    """
    chosen = _chooses(type_or_types_or_pred)
    return tree_map(lambda x: func(x) if chosen(x) else x, tree, is_leaf=is_leaf)


def tree_map_only_(type_or_types_or_pred, /, func, tree, is_leaf=None):
    """Call a function on each leaf of some classes, and ignore the results.

    Args:
        type_or_types_or_pred, func, tree, is_leaf: As for ``tree_map_only``.

    Returns:
        ``tree`` itself.

    >>> tree_map_only_(int, print, [1, "a"])
    1
    [1, 'a']
    """
    tree_map_only(type_or_types_or_pred, func, tree, is_leaf)
    return tree


def _chooses(kinds):
    """Return a function that tells whether a leaf is of ``kinds``, or ``kinds`` if it is one."""
    if isinstance(kinds, type | tuple | UnionType):
        return lambda x: isinstance(x, kinds)
    if callable(kinds):
        return kinds
    raise TypeError(
        f"Argument must be a type, a tuple of types, or a callable, but got {type(kinds).__name__}"
    )


def tree_all(pred, tree, is_leaf=None):
    """Return whether a predicate holds for all leaves.

    Args:
        pred: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        True or False.

    >>> tree_all(lambda x: x > 0, [1, (2,)])
    True
    """
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred, tree, is_leaf=None):
    """Return whether a predicate holds for at least one leaf.

    Args:
        pred: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        True or False.

    >>> tree_any(lambda x: x > 1, [1, (2,)])
    True
    """
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(type_or_types, /, pred, tree, is_leaf=None):
    """Return whether a predicate holds for all leaves of some classes.

    Args:
        type_or_types: A class, or a tuple or a union of classes.
        pred: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        True or False.

    >>> tree_all_only(int, lambda x: x > 0, [1, "a"])
    True
    """
    return all(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, type_or_types))


def tree_any_only(type_or_types, /, pred, tree, is_leaf=None):
    """Return whether a predicate holds for at least one leaf of some classes.

    Args:
        type_or_types: A class, or a tuple or a union of classes.
        pred: A function of a leaf.
        tree: The tree.
        is_leaf: A function that returns True for containers to treat as leaves. Default: None.

    Returns:
        True or False.

    >>> tree_any_only(int, lambda x: x > 1, [1, "a"])
    False
    """
    return any(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, type_or_types))


_get_node_type = node_type  # PyTorch's name
PyTreeSpec = TreeSpec


def is_namedtuple(obj):
    """Tell whether ``obj`` is a named tuple, or a class of named tuples."""
    cls = obj if isinstance(obj, type) else type(obj)
    fields = getattr(cls, "_fields", None)
    if not issubclass(cls, tuple) or not isinstance(fields, tuple):
        return False
    makes = callable(getattr(cls, "_make", None)) and callable(getattr(cls, "_asdict", None))
    return makes and all(type(field) is str for field in fields)
