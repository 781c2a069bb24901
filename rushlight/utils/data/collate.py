"""Collation: make one batch of a list of samples that have the same structure."""

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

TEXT_OR_OBJECT = "SUO"  # NumPy's kinds of elements that no tensor holds
np_str_obj_array_pattern = re.compile("[SaUO]")  # the same, to search in ``dtype.str``


def default_collate(batch):
    """Make one batch of a list of samples.

    Tensors and arrays are stacked. Numbers become one tensor; Python floats become float64. Strings
    and bytes stay a list. Mappings, named tuples and sequences are collated entry by entry; plain
    tuples become a list.

    Args:
        batch: A list of N samples of the same form.

    Returns:
        A batch of the samples' form. It has a tensor ``(N, ...)`` where each sample has a tensor
        ``(...)``.

    Raises:
        TypeError: A sample has an object that no tensor can hold.
        RuntimeError: The shapes or lengths of the samples differ.

    >>> import rushlight as torch
    >>> torch.utils.data.default_collate([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}])
    {'x': tensor([1, 2]), 'y': ['a', 'b']}
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def default_convert(data):
    """Turn the NumPy arrays and scalars in a sample into tensors; leave other values as they are.

    Args:
        data: A sample: an array, a tensor, a container of these, or any other object.

    Returns:
        The sample, with tensors that share the arrays' memory.

    >>> import numpy as np
    >>> import rushlight as torch
    >>> torch.utils.data.default_convert({"x": np.array([1, 2]), "y": "a"})
    {'x': tensor([1, 2]), 'y': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if type(data).__module__ == "numpy":  # a user's subclass of ndarray stays what it is
        return _tensor_of_numpy(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, (str, bytes)) or not isinstance(data, Sequence):
        return data
    return _like_sequence(data, [default_convert(entry) for entry in data])


def collate(batch, *, collate_fn_map=None):
    """Collate with the functions of ``collate_fn_map``, a dict from element type to function.

    The first sample's type is looked up exactly; then the first entry of the dict that fits by
    ``isinstance`` is taken. If no entry fits, mappings and sequences are collated entry by entry.
    The functions are called as ``f(batch, collate_fn_map=...)``.

    >>> from rushlight.utils.data.collate import collate
    >>> total = lambda batch, *, collate_fn_map: sum(batch)
    >>> collate([(1, 2), (3, 4)], collate_fn_map={int: total})
    [4, 6]
    """
    first = batch[0]
    function = _find(first, collate_fn_map or {})
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        columns = {
            key: collate([sample[key] for sample in batch], collate_fn_map=collate_fn_map)
            for key in first
        }
        return _like_mapping(first, columns)
    if isinstance(first, Sequence):
        lengths = {len(sample) for sample in batch}
        # The type of a named tuple fixes its length. If types are mixed, zip cuts all samples to
        # the shortest.
        if len(lengths) > 1 and not _is_named_tuple(first):
            raise RuntimeError(
                "default_collate: each element in list of batch should be of equal size, but their "
                f"lengths are {sorted(lengths)}"
            )
        rows = [
            collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=False)
        ]
        return _like_sequence(first, rows)
    raise TypeError(_unfit(type(first)))


def _find(element, table):
    function = table.get(type(element))
    if function is not None:
        return function
    return next((f for kind, f in table.items() if isinstance(element, kind)), None)


def _like_mapping(example, entries):
    """Return ``entries`` as a mapping of the example's type, or as a dict if that fails."""
    try:
        if isinstance(example, MutableMapping):
            # The copy keeps the mapping's other attributes, such as a default factory.
            clone = copy.copy(example)
            clone.update(entries)
            return clone
        return type(example)(entries)
    except TypeError:
        return entries


def _like_sequence(example, entries):
    """Return ``entries`` as a sequence of the example's type; a plain tuple becomes a list."""
    if _is_named_tuple(example):
        return type(example)(*entries)
    if isinstance(example, tuple):
        return entries
    try:
        if isinstance(example, MutableSequence):
            clone = copy.copy(example)
            for i, entry in enumerate(entries):
                clone[i] = entry
            return clone
        return type(example)(entries)
    except TypeError:
        return entries


def _is_named_tuple(value):
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _tensor_of_numpy(data):
    if isinstance(data, np.str_) or (
        type(data) is np.ndarray and data.dtype.kind in TEXT_OR_OBJECT
    ):
        return data
    return torch.as_tensor(data)


def _unfit(found):
    return (
        "default_collate: expected tensors, arrays, numbers, strings, or mappings and sequences "
        f"of them; found {found}. Pass a collate_fn that knows it"
    )


def collate_tensor_fn(batch, *, collate_fn_map=None):
    return torch.stack(batch, 0)


def collate_numpy_array_fn(batch, *, collate_fn_map=None):
    if batch[0].dtype.kind in TEXT_OR_OBJECT:
        raise TypeError(_unfit(f"an array of {batch[0].dtype}"))
    return collate([torch.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch, *, collate_fn_map=None):
    return torch.as_tensor(batch)


def collate_float_fn(batch, *, collate_fn_map=None):
    return torch.as_tensor(batch, dtype=torch.float64)


def collate_int_fn(batch, *, collate_fn_map=None):
    return torch.as_tensor(batch)


def collate_str_fn(batch, *, collate_fn_map=None):
    return batch


default_collate_fn_map: dict[Any, Callable] = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
