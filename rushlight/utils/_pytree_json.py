"""Structures of trees as text in JSON: ``treespec_dumps`` and ``treespec_loads``."""

import collections
import importlib
import json

from rushlight.tensor import Size
from rushlight.utils._pytree_nodes import SUPPORTED_NODES, LeafSpec, TreeSpec

__all__ = ["name_kind", "register_namedtuple", "treespec_dumps", "treespec_loads"]

#: The first number of each text; PyTorch counts its forms of text by it.
PROTOCOL = 1
#: Class of a container → (its name in a text, the context as JSON takes it, the context again).
_NAMED: dict = {}
_KINDS: dict = {}  # name in a text → class
_NAMED_TUPLES: dict = {}  # the same for named tuples, whose class is the context


def name_kind(kind, name, dump=None, load=None):
    """Let texts hold containers of the class ``kind`` under ``name``.

    ``dump`` makes of a context what JSON takes, and ``load`` makes the context of that. Default:
    a context is written as JSON.
    """
    if (dump is None) != (load is None):
        raise ValueError(
            f"Both to_dumpable_context and from_dumpable_context for {kind} must be None or "
            "registered."
        )
    if name is not None:
        _NAMED[kind] = name, dump or _dumped, load or json.loads
        _KINDS[name] = kind


def register_namedtuple(cls, *, serialized_type_name):
    """Let texts hold named tuples of one class.

    Args:
        cls: The class.
        serialized_type_name: Its name in a text.

    >>> Point = collections.namedtuple("Point", "x y")
    >>> register_namedtuple(Point, serialized_type_name="example.Point")
    >>> treespec_loads(treespec_dumps(TreeSpec(collections.namedtuple, Point, []))).context is Point
    True
    """
    _NAMED_TUPLES[serialized_type_name] = cls


def _dumped(context):
    try:
        return json.dumps(context)
    except TypeError as error:
        raise TypeError(
            "Unable to serialize context. Please make the context json dump-able, or register a "
            "custom serializer using _register_pytree_node."
        ) from error


def _dump_namedtuple(cls):
    found = [name for name, known in _NAMED_TUPLES.items() if known is cls]
    if not found:
        raise NotImplementedError(
            f"Can't serialize TreeSpec of namedtuple class {cls} because its name is not "
            "registered. Please register it using `_register_namedtuple`."
        )
    return found[-1]


def _load_namedtuple(name):
    if name not in _NAMED_TUPLES:
        raise NotImplementedError(f"no named tuple is registered under the name {name!r}")
    return _NAMED_TUPLES[name]


def _dump_defaultdict(context):
    factory, keys = context
    module, name = (None, None) if factory is None else (factory.__module__, factory.__qualname__)
    return {
        "default_factory_module": module, "default_factory_name": name, "dict_context": keys,
    }  # fmt: skip


def _load_defaultdict(found):
    module, name = found["default_factory_module"], found["default_factory_name"]
    if module is None:
        return [None, found["dict_context"]]
    return [getattr(importlib.import_module(module), name), found["dict_context"]]


for _kind in (tuple, list, dict):
    name_kind(_kind, f"builtins.{_kind.__name__}")
name_kind(collections.OrderedDict, "collections.OrderedDict")
name_kind(collections.deque, "collections.deque")
name_kind(Size, "torch.Size")
name_kind(collections.defaultdict, "collections.defaultdict", _dump_defaultdict, _load_defaultdict)
name_kind(collections.namedtuple, "collections.namedtuple", _dump_namedtuple, _load_namedtuple)


def treespec_dumps(treespec, protocol=None):
    """Return the structure of a tree as text in JSON.

    Args:
        treespec: The structure, a ``TreeSpec``.
        protocol: The form of the text; there is the form 1. Default: None, which means 1.

    Returns:
        A string.

    Raises:
        TypeError: ``treespec`` is no structure, or a context cannot be written as JSON.
        ValueError: There is no such protocol.
        NotImplementedError: A class of containers was registered without a name.

    >>> treespec_dumps(TreeSpec(list, None, []))
    '[1, {"type": "builtins.list", "context": "null", "children_spec": []}]'
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "Expected `treespec` to be an instance of PyTreeSpec but got item of type "
            f"{type(treespec)}."
        )
    _check_protocol(PROTOCOL if protocol is None else protocol)
    return json.dumps([PROTOCOL, _described(treespec)])


def _check_protocol(protocol):
    if protocol != PROTOCOL:
        raise ValueError(f"Unknown protocol {protocol}. Available protocols: [{PROTOCOL}]")


def _described(spec):
    kind, name, context = spec.type, None, None
    if kind is not None:
        if kind not in _NAMED:
            raise NotImplementedError(
                f"No registered serialization name for {kind} found. Please update your "
                "_register_pytree_node call with a `serialized_type_name` kwarg."
            )
        name, dump, _ = _NAMED[kind]
        context = dump(spec.context)
    children = [_described(child) for child in spec.children]
    return {"type": name, "context": context, "children_spec": children}


def treespec_loads(serialized):
    """Return the structure of a tree from the text that ``treespec_dumps`` made of it.

    Args:
        serialized: The text.

    Returns:
        ``TreeSpec``.

    Raises:
        ValueError: The text has another protocol.
        NotImplementedError: A class of containers is not registered.

    >>> treespec_loads(treespec_dumps(TreeSpec(list, None, [LeafSpec()]))).num_leaves
    1
    """
    protocol, found = json.loads(serialized)
    _check_protocol(protocol)
    return _structure(found)


def _structure(found):
    name = found["type"]
    if name is None:
        return LeafSpec()
    if name not in _KINDS or _KINDS[name] not in SUPPORTED_NODES:
        raise NotImplementedError(f"Deserializing {name} in pytree is not registered.")
    kind = _KINDS[name]
    children = [_structure(child) for child in found["children_spec"]]
    return TreeSpec(kind, _NAMED[kind][2](found["context"]), children)
