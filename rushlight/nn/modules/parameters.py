"""Modules that hold parameters: ParameterList and ParameterDict."""

import operator
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.tensor import Tensor

__all__ = ["ParameterDict", "ParameterList", "pairs", "position"]


def position(idx, n):
    """Convert the index ``idx`` of a sequence of ``n`` items to one counted from the start."""
    i = operator.index(idx)
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of range of {n} items")
    return i % n


def pairs(given, owner):
    """List the pairs (key, value) of ``given``, a mapping or an iterable of pairs."""
    if not isinstance(given, Iterable):
        raise TypeError(
            f"{owner}.update: expected a mapping or an iterable of pairs, "
            f"got a {type(given).__name__}"
        )
    if hasattr(given, "items"):
        return list(given.items())
    found = []
    for i, pair in enumerate(given):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{owner}.update: item {i} is no pair but a {type(pair).__name__}")
        pair = tuple(pair)
        if len(pair) != 2:
            raise ValueError(f"{owner}.update: item {i} has length {len(pair)}; 2 is required")
        found.append(pair)
    return found


class _Values(Module):
    """Base of ParameterList and ParameterDict: turns tensors into parameters, and prints them."""

    def _set(self, name, value):
        if isinstance(value, Tensor) and not isinstance(value, Parameter):
            value = Parameter(value)
        setattr(self, name, value)

    def _lines(self, items, typename):
        for key, value in items:
            if isinstance(value, Tensor):
                kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
                size = "x".join(map(str, value.shape))
                yield f"  ({key}): {kind} containing: [{typename(value)} of size {size}]"
            else:
                yield f"  ({key}): Object of type: {type(value).__name__}"

    def __call__(self, *args, **kwargs):
        raise RuntimeError(f"{type(self).__name__} holds values and cannot be called")


class ParameterList(_Values):
    """A list whose tensors are parameters.

    Args:
        values: Iterable of values. Tensors become Parameters. Default: none.

    >>> import rushlight as torch
    >>> torch.nn.ParameterList([torch.ones(2, 3), 7])
    ParameterList(
        (0): Parameter containing: [torch.float32 of size 2x3]
        (1): Object of type: int
    )
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __len__(self):
        return self._size

    def __iter__(self):
        return (getattr(self, str(i)) for i in range(len(self)))

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(self[i] for i in range(len(self))[idx])
        return getattr(self, str(position(idx, len(self))))

    def __setitem__(self, idx, value):
        self._set(str(position(idx, len(self))), value)

    def append(self, value):
        """Add a value at the end.

        Args:
            value: The value. A tensor becomes a Parameter.

        Returns:
            The list itself.

        >>> import rushlight as torch
        >>> len(torch.nn.ParameterList([torch.ones(2)]).append(torch.ones(3)))
        2
        """
        self._size += 1
        self[len(self) - 1] = value
        return self

    def extend(self, values):
        """Add values at the end.

        Args:
            values: Iterable of values. Tensors become Parameters.

        Returns:
            The list itself.

        Raises:
            TypeError: ``values`` cannot be iterated, or is a tensor.

        >>> import rushlight as torch
        >>> len(torch.nn.ParameterList().extend([torch.ones(2), torch.ones(3)]))
        2
        """
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                f"ParameterList.extend: expected an iterable of values, got {type(values).__name__}"
            )
        for value in values:
            self.append(value)
        return self

    def __iadd__(self, values):
        return self.extend(values)

    def extra_repr(self):
        return "\n".join(self._lines(enumerate(self), lambda value: value.dtype))


class ParameterDict(_Values):
    """A dict whose tensors are parameters.

    Args:
        parameters: Mapping, or iterable of pairs. Tensors become Parameters. Default: none.

    >>> import rushlight as torch
    >>> list(torch.nn.ParameterDict({"w": torch.ones(2)}).named_parameters())
    [('w', Parameter containing:
    tensor([1., 1.], requires_grad=True))]
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._keys = {}
        if parameters is not None:
            self.update(parameters)

    def _key_to_attr(self, key):
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: a key must be a str, got a {type(key).__name__}")
        return key

    def __getitem__(self, key):
        return getattr(self, self._key_to_attr(key))

    def __setitem__(self, key, value):
        self._set(self._key_to_attr(key), value)
        self._keys[key] = None

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, self._key_to_attr(key))

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(self._keys)

    def __contains__(self, key):
        return key in self._keys

    def copy(self):
        """Make a new ParameterDict with the same values.

        Returns:
            The new ParameterDict; the values are not copied.

        >>> import rushlight as torch
        >>> list(torch.nn.ParameterDict({"a": 1, "b": 2}).copy())
        ['a', 'b']
        """
        return ParameterDict(OrderedDict(self.items()))

    def get(self, key, default=None):
        """Return the value at a key, or a default.

        Args:
            key: The key.
            default: The result if there is no such key. Default: None.

        Returns:
            The value.

        >>> import rushlight as torch
        >>> torch.nn.ParameterDict({"a": 1, "b": 2}).get("c", 7)
        7
        """
        return self[key] if key in self else default  # noqa: SIM401

    def setdefault(self, key, default=None):
        """Return the value at a key, and put a default there first if there is none.

        Args:
            key: The key.
            default: The value to put there. Default: None.

        Returns:
            The value at the key.

        >>> import rushlight as torch
        >>> torch.nn.ParameterDict({"a": 1, "b": 2}).setdefault("a", 7)
        1
        """
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self):
        """Remove all values.

        >>> import rushlight as torch
        >>> values = torch.nn.ParameterDict({"a": 1, "b": 2})
        >>> values.clear()
        >>> len(values)
        0
        """
        for key in list(self._keys):
            del self[key]

    def pop(self, key):
        """Remove and return a value.

        Args:
            key: The key of the value.

        Returns:
            The value.

        Raises:
            AttributeError: There is no such key.

        >>> import rushlight as torch
        >>> torch.nn.ParameterDict({"a": 1, "b": 2}).pop("a")
        1
        """
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Remove and return the last pair.

        Returns:
            Pair (key, value).

        Raises:
            KeyError: The dict is empty.

        >>> import rushlight as torch
        >>> torch.nn.ParameterDict({"a": 1, "b": 2}).popitem()
        ('b', 2)
        """
        if not self._keys:
            raise KeyError("popitem: the ParameterDict is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def fromkeys(self, keys, default=None):
        """Make a new ParameterDict with the same value at each key.

        Args:
            keys: Iterable of the keys.
            default: The value. Default: None.

        Returns:
            The new ParameterDict.

        >>> import rushlight as torch
        >>> list(torch.nn.ParameterDict().fromkeys(["a", "b"], 1).items())
        [('a', 1), ('b', 1)]
        """
        return ParameterDict((key, default) for key in keys)

    def keys(self):
        """Iterate over the keys.

        Returns:
            View of the keys.

        >>> import rushlight as torch
        >>> list(torch.nn.ParameterDict({"a": 1, "b": 2}).keys())
        ['a', 'b']
        """
        return self._keys.keys()

    def items(self):
        """Iterate over the keys and values.

        Returns:
            Iterator of pairs (key, value).

        >>> import rushlight as torch
        >>> list(torch.nn.ParameterDict({"a": 1, "b": 2}).items())
        [('a', 1), ('b', 2)]
        """
        return ((key, self[key]) for key in self._keys)

    def values(self):
        """Iterate over the values.

        Returns:
            Iterator of the values.

        >>> import rushlight as torch
        >>> list(torch.nn.ParameterDict({"a": 1, "b": 2}).values())
        [1, 2]
        """
        return (self[key] for key in self._keys)

    def update(self, parameters):
        """Add values, which replace those of the same keys.

        A plain dict is added in the sorted order of its keys.

        Args:
            parameters: Mapping, or iterable of pairs (key, value). Tensors become Parameters.

        Raises:
            TypeError, ValueError: ``parameters`` is neither.

        >>> import rushlight as torch
        >>> values = torch.nn.ParameterDict({"a": 1, "b": 2})
        >>> values.update({"a": 7})
        >>> values["a"]
        7
        """
        found = pairs(parameters, "ParameterDict")
        if isinstance(parameters, Mapping) and not isinstance(parameters, OrderedDict):
            found.sort()
        for key, value in found:
            self[key] = value

    def extra_repr(self):
        return "\n".join(self._lines(self.items(), lambda value: value.type()))

    def __or__(self, other):
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other):
        merged = other.copy()
        merged.update(self)
        return merged

    def __ior__(self, other):
        self.update(other)
        return self
