"""Nested dicts and lists as one dict, whose names are paths."""

from collections.abc import Mapping
from itertools import pairwise

from rushlight.tensor import Tensor

__all__ = ["flatten_state_dict", "unflatten_state_dict"]


def _is_whole(value):
    """Whether a value is stored as one: no dict, and no list that holds dicts or tensors."""
    if isinstance(value, Mapping):
        return False
    if not isinstance(value, list):
        return True
    return not any(
        isinstance(v, Tensor) or (isinstance(v, (Mapping, list)) and not _is_whole(v))
        for v in value
    )


def _walk(value, path):
    if path and _is_whole(value):
        yield path, value
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, part in items:
        yield from _walk(part, (*path, key))


def flatten_state_dict(state_dict):
    """Return a dict of one level, and the path of each of its names.

    >>> flatten_state_dict({"a": {"b": 1}})
    ({'a.b': 1}, {'a.b': ('a', 'b')})
    """
    flat: dict = {}
    paths: dict = {}
    for path, value in _walk(state_dict, ()):
        name = ".".join(map(str, path))
        if name in flat:
            raise ValueError(f"duplicated flatten key {name}")
        flat[name], paths[name] = value, path
    return flat, paths


def set_element(root, path, value):
    """Set the element of nested dicts and lists at a path; make what is missing."""
    for key, following in pairwise(path):
        root = _child(root, key, list if type(following) is int else dict)
    if isinstance(root, list):
        root.extend([None] * (path[-1] + 1 - len(root)))
    root[path[-1]] = value


def _child(root, key, kind):
    if isinstance(root, list):
        root.extend([None] * (key + 1 - len(root)))
        if root[key] is None:
            root[key] = kind()
    elif key not in root:
        root[key] = kind()
    return root[key]


def unflatten_state_dict(state_dict, mapping):
    """Return the nested dicts of a dict of one level.

    >>> unflatten_state_dict({"a.b": 1}, {"a.b": ("a", "b")})
    {'a': {'b': 1}}
    """
    nested: dict = {}
    for name, value in state_dict.items():
        set_element(nested, mapping[name], value)
    return nested
