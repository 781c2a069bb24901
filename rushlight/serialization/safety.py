"""Load files that nobody vouches for: an unpickler that calls only functions on a list.

An ordinary pickle may call any function. This unpickler looks each name up in tables. Only the
functions and classes in the tables are called or given attributes. For any other name the unpickler
raises an error that says the name.
"""

import contextlib
import pickle
from collections import OrderedDict

from rushlight.serialization.calls import charge, charge_state
from rushlight.serialization.guard import GuardedUnpickler, brief
from rushlight.serialization.names import (
    CALLS,
    CLASSES,
    VALUES,
    DimRange,
    rebuild_from_type,
    refuse_missing,
    torch_name,
)

__all__ = [
    "WeightsUnpickler", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "is_safe",
    "safe_globals",
]  # fmt: skip

_STORAGE = 10  # steps that finding a storage costs
_LONGEST = 200  # characters of a name in an error message
_safe: dict = {}  # (module, name) → a class or function that the user allowed


def _name(entry):
    if isinstance(entry, tuple):
        value, path = entry
        module, _, name = path.rpartition(".")
        return (module, name), value
    return torch_name(entry) or (entry.__module__, entry.__qualname__), entry


def add_safe_globals(safe_globals):
    """Let ``load(weights_only=True)`` use more classes and functions.

    Args:
        safe_globals: A list. Each entry is a class, a function, or a pair of one and the name
            (``"module.name"``) under which files refer to it.

    >>> import collections, rushlight as torch
    >>> torch.serialization.add_safe_globals([collections.deque])
    >>> torch.serialization.get_safe_globals()
    [<class 'collections.deque'>]
    >>> torch.serialization.clear_safe_globals()
    """
    _safe.update([_name(entry) for entry in safe_globals])


def get_safe_globals():
    """Return the classes and functions that ``add_safe_globals`` was given.

    Returns:
        List of classes and functions.

    >>> import rushlight as torch
    >>> with torch.serialization.safe_globals([range]):
    ...     torch.serialization.get_safe_globals()
    [<class 'range'>]
    """
    return list(_safe.values())


def clear_safe_globals():
    """Forget all classes and functions that ``add_safe_globals`` was given.

    >>> import rushlight as torch
    >>> with torch.serialization.safe_globals([range]):
    ...     torch.serialization.clear_safe_globals()
    ...     torch.serialization.get_safe_globals()
    []
    """
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals):
    """Allow classes and functions as ``add_safe_globals`` does, but only inside the ``with`` block.

    Args:
        safe_globals: As for ``add_safe_globals``.

    Returns:
        Context manager.

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
    """True if ``load(weights_only=True)`` accepts the name in a file."""
    return any((module, name) in table for table in (_safe, CALLS, CLASSES, VALUES))


class WeightsUnpickler(GuardedUnpickler):
    """Reads tensors, containers and numbers; refuses every other name.

    Args:
        file: The pickle.
        storage: A function from a persistent id to a storage.
        budget: The ``Budget`` of bytes and steps that loading may still cost.
    """

    dispatch = dict(GuardedUnpickler.dispatch)

    def __init__(self, file, storage, budget, **options):
        super().__init__(file, budget, **options)
        self._storage = storage
        self.safe = dict(_safe)

    def load(self):
        """Read the pickle and return its object.

        Raises:
            pickle.UnpicklingError: the pickle names something that is not on the list, or it is
                damaged.
        """
        try:
            return super().load()
        except (pickle.UnpicklingError, RuntimeError):
            raise
        except Exception as error:  # a damaged stream may lead to any error
            raise pickle.UnpicklingError(
                f"load: Weights only load failed: a damaged pickle: {type(error).__name__}: {error}"
            ) from error

    def find_class(self, module, name):
        module, name = self.current_name(module, name)
        for table in (self.safe, CALLS, CLASSES, VALUES):
            if (module, name) in table:
                return table[module, name]
        refuse_missing(module, name)
        module, name = module[:_LONGEST], name[:_LONGEST]
        full = name if module == "builtins" else f"{module}.{name}"
        raise pickle.UnpicklingError(  # in words that programs look for in PyTorch's error
            f"load: Weights only load failed. Unsupported global: GLOBAL {full} was not an allowed "
            "global by default. If you trust where the file came from, allow it by "
            f"torch.serialization.add_safe_globals([{full}]), or load all of it by "
            "torch.load(..., weights_only=False)"
        )

    def persistent_load(self, pid):
        self.budget.take_steps(_STORAGE)
        return self._storage(pid)

    def may_fill(self, owner):
        return self._is_safe(type(owner))

    def _is_safe(self, value):
        return any(value is v for v in self.safe.values())

    def _may_call(self, value):
        return any(value is f for f in CALLS.values()) or self._is_safe(value)

    def load_reduce(self):
        function, args = self.stack[-2:]
        self._check_call(function, args)
        if function is rebuild_from_type:
            inner, cls, inner_args = args[:3]
            if inner is function:
                raise _refusal("calls", inner)
            self._check_call(inner, inner_args)
            if not any(cls is c for c in CLASSES.values()) and not self._is_safe(cls):
                raise _refusal("makes a tensor of", cls)
        super().load_reduce()

    dispatch[pickle.REDUCE[0]] = load_reduce

    def _check_call(self, function, args):
        if not self._may_call(function):
            raise _refusal("calls", function)
        if type(args) is not tuple:
            raise _refusal("gives a function", args)
        charge(self, function, args)

    def load_newobj(self):
        cls, args = self.stack[-2:]
        if not (self._is_safe(cls) or cls is DimRange) or type(args) is not tuple:
            raise _refusal("makes an object of", cls)
        super().load_newobj()

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_build(self):
        owner, state = self.stack[-2:]
        if type(owner) is OrderedDict and type(state) is dict:
            charge_state(self, state)
            owner.__dict__.update(state)
            self.stack.pop()
        elif self._is_safe(type(owner)) or type(owner) is DimRange:
            super().load_build()
        else:
            raise _refusal("sets attributes of", owner)

    dispatch[pickle.BUILD[0]] = load_build


def _refusal(action, value):
    name = getattr(value, "__qualname__", None) if callable(value) else None
    return pickle.UnpicklingError(
        f"load: Weights only load failed: the file {action} {name or brief(value)}, which is not "
        "safe"
    )
