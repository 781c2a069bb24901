"""Loading without trust: a pickle machine that calls only what is on a list.

An ordinary pickle may call any function there is. Here each name is looked up in a table, only
what the tables list is called or given attributes, and all else is refused, by name.
"""

import contextlib
import pickle
from collections import Counter, OrderedDict

from rushlight.serialization.guard import GuardedUnpickler, check_keys
from rushlight.serialization.names import (
    CALLS,
    CLASSES,
    VALUES,
    rebuild_from_type,
    refuse_missing,
    torch_name,
)

__all__ = [
    "WeightsUnpickler", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "is_safe",
    "safe_globals",
]  # fmt: skip

_safe: dict = {}  # (module, name) → a class or function that the user vouched for


def _name(entry):
    if isinstance(entry, tuple):
        value, path = entry
        module, _, name = path.rpartition(".")
        return (module, name), value
    return torch_name(entry) or (entry.__module__, entry.__qualname__), entry


def add_safe_globals(safe_globals):
    """Let ``load(weights_only=True)`` use these: classes, functions, pairs of one and its name.

    >>> import collections, rushlight as torch
    >>> torch.serialization.add_safe_globals([collections.deque])
    >>> torch.serialization.get_safe_globals()
    [<class 'collections.deque'>]
    >>> torch.serialization.clear_safe_globals()
    """
    _safe.update([_name(entry) for entry in safe_globals])


def get_safe_globals():
    """What ``add_safe_globals`` was given."""
    return list(_safe.values())


def clear_safe_globals():
    """Forget what ``add_safe_globals`` was given."""
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals):
    """``add_safe_globals`` inside a ``with``.

    >>> import io, rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.save(range(3), file)
    >>> _ = file.seek(0)
    >>> with torch.serialization.safe_globals([range]):
    ...     torch.load(file)
    range(0, 3)
    """
    before = dict(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe.clear()
        _safe.update(before)


def is_safe(module, name):
    """True for a name that ``load(weights_only=True)`` may meet in a file."""
    return any((module, name) in table for table in (_safe, CALLS, CLASSES, VALUES))


class WeightsUnpickler(GuardedUnpickler):
    """Reads tensors, containers and numbers; refuses every other name.

    Args:
        file: The pickle.
        storage: From a persistent id to a storage.
    """

    dispatch = dict(GuardedUnpickler.dispatch)

    def __init__(self, file, storage, **options):
        super().__init__(file, **options)
        self.persistent_load = storage
        self.safe = dict(_safe)

    def load(self):
        """The object.

        Raises:
            pickle.UnpicklingError: it names something that is not on the list, or is damaged.
        """
        try:
            return super().load()
        except (pickle.UnpicklingError, RuntimeError):
            raise
        except Exception as error:  # whatever a damaged stream may lead to
            raise pickle.UnpicklingError(
                f"load: Weights only load failed: a damaged pickle: {type(error).__name__}: {error}"
            ) from error

    def find_class(self, module, name):
        module, name = self.current_name(module, name)
        for table in (self.safe, CALLS, CLASSES, VALUES):
            if (module, name) in table:
                return table[module, name]
        refuse_missing(module, name)
        raise pickle.UnpicklingError(
            f"load: Weights only load failed: the file names {module}.{name}, which is not on the "
            "list of what is safe to load. If you trust where the file came from, allow it by "
            f"torch.serialization.add_safe_globals([{name}]), or load all of it by "
            "torch.load(..., weights_only=False)"
        )

    def _is_safe(self, value):
        return any(value is v for v in self.safe.values())

    def _may_call(self, value):
        return any(value is f for f in CALLS.values()) or self._is_safe(value)

    def load_reduce(self):
        function, args = self.stack[-2:]
        if not self._may_call(function):
            raise _refusal("calls", function)
        if function is rebuild_from_type:
            inner, cls = args[:2]
            if inner is function or not self._may_call(inner):
                raise _refusal("calls", inner)
            if not any(cls is c for c in CLASSES.values()) and not self._is_safe(cls):
                raise _refusal("makes a tensor of", cls)
        if function in (set, Counter, OrderedDict):
            check_keys(_hashed(function, args))
        super().load_reduce()

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self):
        if not self._is_safe(self.stack[-2]):
            raise _refusal("makes an object of", self.stack[-2])
        super().load_newobj()

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_build(self):
        owner, state = self.stack[-2:]
        if type(owner) is OrderedDict and type(state) is dict:
            owner.__dict__.update(state)
            self.stack.pop()
        elif self._is_safe(type(owner)):
            super().load_build()
        else:
            raise _refusal("sets attributes of", owner)

    dispatch[pickle.BUILD[0]] = load_build


def _hashed(function, args):
    """What a set or mapping that is made of ``args`` would hash."""
    members = [m for given in args if isinstance(given, (list, tuple)) for m in given]
    if function is not OrderedDict:
        return members
    return [pair[0] for pair in members if isinstance(pair, (list, tuple)) and pair]


def _refusal(action, value):
    name = getattr(value, "__qualname__", None) or f"a {type(value).__name__}"
    return pickle.UnpicklingError(
        f"load: Weights only load failed: the file {action} {name}, which is not safe"
    )
