"""Lists and dicts of a node's arguments, which only the node itself may change."""

from typing import Any

from rushlight.utils._pytree import SUPPORTED_NODES, MappingKey, NodeDef, SequenceKey

__all__ = ["immutable_dict", "immutable_list"]

_ADVICE = (
    "object does not support mutation. If you are attempting to modify the kwargs or args of a "
    "torch.fx.Node object, instead create a new copy of it and assign the copy to the node: "
    "new_args = ...; node.args = new_args"
)


def _refuse(self, *args, **kwargs):
    raise NotImplementedError(f"{type(self).__name__!r} {_ADVICE}")


class immutable_list(list):
    """A list that refuses changes.

    >>> immutable_list([1, 2])
    [1, 2]
    """

    __delitem__: Any = _refuse
    __iadd__: Any = _refuse
    __imul__: Any = _refuse
    __setitem__: Any = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __hash__(self):  # type: ignore[override]
        return hash(tuple(self))

    def __reduce__(self):
        return immutable_list, (tuple(self),)

    def __deepcopy__(self, memo):
        from copy import deepcopy

        return immutable_list([deepcopy(x, memo) for x in self])


class immutable_dict(dict):
    """A dict that refuses changes.

    >>> immutable_dict(a=1)
    {'a': 1}
    """

    __delitem__: Any = _refuse
    __ior__: Any = _refuse
    __setitem__: Any = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self):  # type: ignore[override]
        return hash(tuple(self.items()))

    def __reduce__(self):
        return immutable_dict, (tuple(self.items()),)

    def __deepcopy__(self, memo):
        from copy import deepcopy

        return immutable_dict([(k, deepcopy(v, memo)) for k, v in self.items()])


def _register(cls, entries):
    """Let trees contain objects of ``cls`` as containers, as those of its base class are."""

    def flatten(x):
        pairs = entries(x)
        return [part for _, part in pairs], [key for key, _ in pairs]

    def unflatten(parts, keys):
        return cls(zip(keys, parts, strict=True) if cls is immutable_dict else parts)

    def flatten_with_keys(x):
        kind = MappingKey if cls is immutable_dict else SequenceKey
        return [(kind(key), part) for key, part in entries(x)], [key for key, _ in entries(x)]

    # Not by register_pytree_node: a compiled call that imports this module would observe it.
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten, unflatten, flatten_with_keys)


_register(immutable_list, lambda x: [*enumerate(x)])
_register(immutable_dict, lambda x: [*x.items()])
