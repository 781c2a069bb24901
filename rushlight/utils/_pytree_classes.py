"""What torch.utils._pytree asks of classes, and ways to let trees contain a class's objects."""

import dataclasses

from rushlight.utils._pytree_nodes import GetAttrKey

__all__ = [
    "arg_tree_leaves", "is_constant_class", "is_namedtuple_class", "is_structseq",
    "is_structseq_class", "key_get", "register_constant", "register_dataclass", "treespec_pprint",
]  # fmt: skip

_SUBCLASSED = 1 << 10  # CPython's flag of classes that may have subclasses
_constants: set = set()


def is_structseq_class(cls):
    """Tell whether ``cls`` is a class of results with named parts, such as ``time.struct_time``.

    >>> import time
    >>> is_structseq_class(time.struct_time), is_structseq_class(tuple)
    (True, False)
    """
    if not isinstance(cls, type) or not issubclass(cls, tuple):
        return False
    if cls.__module__ == "torch.return_types":
        return True
    counts = [getattr(cls, f"n_{name}", None) for name in ("fields", "sequence_fields")]
    numbers = all(isinstance(n, int) for n in [*counts, getattr(cls, "n_unnamed_fields", None)])
    return cls.__bases__ == (tuple,) and numbers and not cls.__flags__ & _SUBCLASSED


def is_structseq(obj):
    """Tell whether ``obj`` is a result with named parts, or a class of these."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def is_namedtuple_class(cls):
    """Tell whether ``cls`` is a class of named tuples."""
    from rushlight.utils._pytree import is_namedtuple

    return isinstance(cls, type) and is_namedtuple(cls)


def key_get(obj, kp):
    """Return the part of ``obj`` at the path ``kp``, which ``tree_flatten_with_path`` gave.

    >>> from rushlight.utils._pytree import MappingKey, SequenceKey
    >>> key_get({"a": [1, 2]}, (MappingKey("a"), SequenceKey(1)))
    2
    """
    for key in kp:
        obj = key.get(obj)
    return obj


def arg_tree_leaves(*args, **kwargs):
    """Return the leaves of all arguments as a list.

    >>> arg_tree_leaves(1, (2, 3), k=[4])
    [1, 2, 3, 4]
    """
    from rushlight.utils._pytree import tree_leaves

    return [x for value in (*args, *kwargs.values()) for x in tree_leaves(value)]


class _Star:
    """What stands for a leaf in the text of a structure."""

    def __repr__(self):
        return "*"


def treespec_pprint(treespec):
    """Return the text of a tree of this structure, with a star for each leaf.

    >>> from rushlight.utils._pytree import tree_structure
    >>> treespec_pprint(tree_structure({"a": (1, [2])}))
    "{'a': (*, [*])}"
    """
    from rushlight.utils._pytree import tree_unflatten

    return repr(tree_unflatten([_Star()] * treespec.num_leaves, treespec))


def register_dataclass(cls, *, field_names=None, drop_field_names=None, serialized_type_name=None):
    """Let trees contain objects of a dataclass, whose fields are their parts.

    A field that is None belongs to the structure.

    Args:
        cls: The dataclass, or a class that is made of its fields.
        field_names: The names of the fields. Default: those of a dataclass's ``__init__``.
        drop_field_names: Fields that are left out, and have their defaults afterwards.
        serialized_type_name: The class's name in ``treespec_dumps``.

    Raises:
        ValueError: ``field_names`` is missing, or does not name the dataclass's fields.

    >>> import dataclasses
    >>> from rushlight.utils import _pytree
    >>> @dataclasses.dataclass
    ... class Point:
    ...     x: int
    ...     y: int
    >>> _pytree.register_dataclass(Point)
    >>> _pytree.tree_map(lambda v: v + 1, Point(1, 2))
    Point(x=2, y=3)
    """
    from rushlight.utils._pytree import register_pytree_node

    names = _fields_of(cls, field_names, drop_field_names or ())

    def flatten(obj):
        values = {name: getattr(obj, name) for name in names}
        some = [name for name in names if values[name] is not None]
        return [values[name] for name in some], [some, [n for n in names if n not in some]]

    def flatten_with_keys(obj):
        parts, context = flatten(obj)
        keys = [GetAttrKey(name) for name in context[0]]
        return list(zip(keys, parts, strict=True)), context

    def unflatten(parts, context):
        some, none = context
        return cls(**dict(zip(some, parts, strict=True)), **dict.fromkeys(none))

    register_pytree_node(
        cls, flatten, unflatten, serialized_type_name=serialized_type_name,
        flatten_with_keys_fn=flatten_with_keys,
    )  # fmt: skip


def _fields_of(cls, given, dropped):
    if not dataclasses.is_dataclass(cls):
        if given is None:
            raise ValueError(
                "field_names must be specified with a list of all fields used to initialize "
                f"{cls}, as it is not a dataclass."
            )
        return [*given]
    own = [f.name for f in dataclasses.fields(cls) if f.init]
    if given is None:
        return own
    missing = {*own} - {*dropped} - {*given}
    others = {*given} - ({*own} - {*dropped})
    if missing or others:
        raise ValueError(
            "field_names does not include all dataclass fields.\n"
            + (f"Missing fields in `field_names`: {missing}.\n" if missing else "")
            + (f"Unexpected fields in `field_names`: {others}.\n" if others else "")
        )
    return [*given]


def register_constant(cls):
    """Let trees contain objects of a class as parts of the structure, without leaves.

    Args:
        cls: The class, which defines ``__eq__`` and ``__hash__``.

    Raises:
        TypeError: it does not.

    >>> from rushlight.utils import _pytree
    >>> class Name(str):
    ...     __slots__ = ()
    >>> _pytree.register_constant(Name)
    >>> _pytree.tree_leaves([Name("a"), 1])
    [1]
    """
    from rushlight.utils._pytree import register_pytree_node

    for name in ("__eq__", "__hash__"):
        if getattr(cls, name) in (None, getattr(object, name)):
            raise TypeError(
                f"register_constant(cls) expects `cls` to have a non-default `{name}` "
                "implementation."
            )
    register_pytree_node(
        cls, lambda x: ([], x), lambda _, x: x, flatten_with_keys_fn=lambda x: ([], x)
    )
    _constants.add(cls)


def is_constant_class(cls):
    """Tell whether ``register_constant`` was called with the class.

    >>> is_constant_class(int)
    False
    """
    return isinstance(cls, type) and cls in _constants
