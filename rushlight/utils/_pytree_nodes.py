"""The containers of a tree: how each class is taken apart and built, and its parts' places."""

from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any, NamedTuple

from rushlight.tensor import Size

__all__ = [
    "SUPPORTED_NODES",
    "GetAttrKey",
    "LeafSpec",
    "MappingKey",
    "NodeDef",
    "SequenceKey",
    "TreeSpec",
    "node_type",
]


class NodeDef(NamedTuple):
    """A class of containers, and the functions that take an object apart and build one.

    >>> SUPPORTED_NODES[list].flatten_fn([1, 2])
    ([1, 2], None)
    """

    type: Any
    flatten_fn: Any
    unflatten_fn: Any
    flatten_with_keys_fn: Any


class _Key:
    """A part's place in its container. Its only slot has PyTorch's name."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *value, **named):
        (name,) = self.__slots__
        if len(value) + len(named) != 1 or named.keys() - {name}:
            raise TypeError(f"{type(self).__name__} takes one argument, {name!r}")
        setattr(self, name, value[0] if value else named[name])

    @property
    def _value(self):
        return getattr(self, self.__slots__[0])

    def __eq__(self, other):
        return type(self) is type(other) and self._value == other._value

    def __hash__(self):
        return hash((type(self), self._value))

    def __repr__(self):
        return f"{type(self).__name__}({self.__slots__[0]}={self._value!r})"

    def __str__(self):
        return f"[{self._value!r}]"

    def get(self, container):
        """The part of ``container`` at this place."""
        return container[self._value]


class SequenceKey(_Key):
    """The place ``[idx]`` of a list or tuple.

    >>> str(SequenceKey(2)), SequenceKey(0).get([5])
    ('[2]', 5)
    """

    __slots__ = ("idx",)


class MappingKey(_Key):
    """The place ``[key]`` of a dict.

    >>> str(MappingKey("a")), MappingKey("a").get({"a": 5})
    ("['a']", 5)
    """

    __slots__ = ("key",)


class GetAttrKey(_Key):
    """The place ``.name`` of an object.

    >>> str(GetAttrKey("real")), GetAttrKey("real").get(1j)
    ('.real', 0.0)
    """

    __slots__ = ("name",)

    def __str__(self):
        return f".{self._value}"

    def get(self, container):
        """The attribute of ``container``."""
        return getattr(container, self._value)


def _list_flatten(d):
    return d, None


def _list_unflatten(values, context):
    return list(values)


def _tuple_flatten(d):
    return list(d), None


def _tuple_unflatten(values, context):
    return tuple(values)


def _dict_flatten(d):
    return list(d.values()), list(d)


def _dict_unflatten(values, context):
    return dict(zip(context, values, strict=True))


def _deque_flatten(d):
    return list(d), d.maxlen


def _namedtuple_flatten(d):
    return list(d), type(d)


def _defaultdict_flatten(d):
    return list(d.values()), [d.default_factory, list(d)]


def _defaultdict_unflatten(values, context):
    return defaultdict(context[0], _dict_unflatten(values, context[1]))


def _list_flatten_with_keys(d):
    return [(SequenceKey(i), value) for i, value in enumerate(d)], None


_tuple_flatten_with_keys = _list_flatten_with_keys


def _dict_flatten_with_keys(d):
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


def _namedtuple_flatten_with_keys(d):
    return [(GetAttrKey(name), getattr(d, name)) for name in d._fields], type(d)


def _with(keyed, flatten):
    """``keyed``'s parts with the context that ``flatten`` gives."""
    return lambda d: (keyed(d)[0], flatten(d)[1])


#: Class of a container → its ``NodeDef``. Named tuples stand under ``collections.namedtuple``.
SUPPORTED_NODES: dict = {
    kind: NodeDef(kind, *functions)
    for kind, *functions in [
        (tuple, _tuple_flatten, _tuple_unflatten, _tuple_flatten_with_keys),
        (list, _list_flatten, _list_unflatten, _list_flatten_with_keys),
        (Size, _tuple_flatten, _tuple_unflatten, _tuple_flatten_with_keys),
        (dict, _dict_flatten, _dict_unflatten, _dict_flatten_with_keys),
        (
            namedtuple, _namedtuple_flatten, lambda values, cls: cls(*values),
            _namedtuple_flatten_with_keys,
        ),
        (
            OrderedDict, _dict_flatten,
            lambda values, keys: OrderedDict(zip(keys, values, strict=True)),
            _dict_flatten_with_keys,
        ),
        (
            defaultdict, _defaultdict_flatten, _defaultdict_unflatten,
            _with(_dict_flatten_with_keys, _defaultdict_flatten),
        ),
        (
            deque, _deque_flatten, lambda values, maxlen: deque(values, maxlen),
            _with(_list_flatten_with_keys, _deque_flatten),
        ),
    ]
}  # fmt: skip


def node_type(tree):
    """Return the key of ``SUPPORTED_NODES`` for a container, or None for a leaf."""
    kind = type(tree)
    if kind in SUPPORTED_NODES:
        return kind
    if not isinstance(tree, tuple):
        return None
    if kind.__module__ == "torch.return_types":
        SUPPORTED_NODES[kind] = NodeDef(
            kind, _tuple_flatten, lambda values, _: kind(values), _tuple_flatten_with_keys
        )
        return kind
    fields = getattr(kind, "_fields", None)
    return namedtuple if isinstance(fields, tuple) else None


_DICTS = (dict, OrderedDict, defaultdict)


class TreeSpec:
    """The structure of a tree, without its leaves.

    Attributes:
        type: The class of the container; None for a leaf.
        context: The keys of a dict; None for other containers and leaves.
        children: The structures of the container's parts.

    Args:
        type, context, children: As the attributes.

    >>> TreeSpec(list, None, [LeafSpec(), LeafSpec()]).num_leaves
    2
    """

    def __init__(self, type, context, children):
        self.type, self.context, self.children = type, context, children

    @property
    def num_leaves(self):
        """The number of leaves."""
        return sum([c.num_leaves for c in self.children]) if self.type is not None else 1

    @property
    def num_nodes(self):
        """The number of containers and leaves."""
        return 1 + sum([c.num_nodes for c in self.children])

    @property
    def num_children(self):
        """The number of the container's parts."""
        return len(self.children)

    def is_leaf(self):
        """True if the structure is a single leaf."""
        return self.type is None

    def child(self, index):
        """The structure of the part at ``index``."""
        return self.children[index]

    def flatten_up_to(self, tree):
        """Return the parts of ``tree`` that stand where this structure has its leaves.

        Raises:
            ValueError: ``tree`` has another container, or another number of parts.
        """
        found: list = []
        self._parts_of(tree, found)
        return found

    def _parts_of(self, tree, found):
        if self.type is None:
            found.append(tree)
            return
        kind = node_type(tree)
        dicts = self.type in _DICTS and kind in _DICTS  # they may be of several classes
        if kind is not self.type and not dicts:
            raise ValueError(f"Node type mismatch; expected {self.type}, but got {kind}")
        if dicts:
            keys = self.context[1] if self.type is defaultdict else self.context
            if keys is None or set(keys) != set(tree):
                raise ValueError(f"Node keys mismatch; expected {keys}, but got {list(tree)}")
            parts = [tree[key] for key in keys]
        else:
            parts, context = SUPPORTED_NODES[kind].flatten_fn(tree)
            if kind is not deque and context != self.context:
                raise ValueError(f"Node context mismatch: {context} and {self.context}")
        if len(parts) != len(self.children):
            raise ValueError(
                f"Node arity mismatch; expected {len(self.children)}, but got {len(parts)}"
            )
        for child, part in zip(self.children, parts, strict=True):
            child._parts_of(part, found)

    def unflatten(self, leaves):
        """Return a tree of this structure.

        Raises:
            ValueError: the structure has another number of leaves.
        """
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"tree_unflatten: a structure of {self.num_leaves} leaves was given {len(leaves)}"
            )
        return self._build(iter(leaves))

    def _build(self, leaves) -> Any:
        if self.type is None:
            return next(leaves)
        parts = [child._build(leaves) for child in self.children]
        return SUPPORTED_NODES[self.type].unflatten_fn(parts, self.context)

    def __eq__(self, other):
        if not isinstance(other, TreeSpec):
            return NotImplemented
        mine = self.type, self.context, self.children
        return mine == (other.type, other.context, other.children)

    def __hash__(self):
        return hash((self.type, repr(self.context), tuple(self.children)))

    def __repr__(self):
        if self.type is None:
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self.children})"


class LeafSpec(TreeSpec):
    """The structure of a single leaf.

    >>> LeafSpec().unflatten([1])
    1
    """

    def __init__(self):
        super().__init__(None, None, [])
