"""Stores: maps from names to bytes, by which processes find each other."""

import atexit
import contextlib
import os
import time
import weakref
from datetime import timedelta

from rushlight import locks
from rushlight.distributed.errors import DistStoreError, QueueEmptyError

__all__ = ["FileStore", "HashStore", "PrefixStore", "Store"]

DEFAULT_TIMEOUT = timedelta(seconds=300)
_WAKE = 0.01  # seconds between two looks at a file that another process may have written


def as_bytes(value):
    """The bytes of a value of a store: a str or bytes."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise TypeError(f"a store's value must be a str or bytes, got {type(value).__name__}")


def as_key(key):
    """``key``, which must be a str."""
    if not isinstance(key, str):
        raise TypeError(f"a store's key must be a str, got {type(key).__name__}")
    return key


class Store:
    """The base of all stores. A class of the user's own defines ``set``, ``get``, ``add``, …

    >>> import rushlight as torch
    >>> store = torch.distributed.HashStore()
    >>> store.set("key", "value")
    >>> store.get("key"), store.add("count", 2)
    (b'value', 2)
    """

    _timeout = DEFAULT_TIMEOUT

    def __init__(self):
        pass

    @property
    def timeout(self):
        """How long ``get`` and ``wait`` wait for a key: a ``timedelta``."""
        return self._timeout

    def set_timeout(self, timeout):
        """Set how long ``get`` and ``wait`` wait for a key."""
        self._timeout = timeout

    def barrier(self, key, world_size, timeout=None):
        """Wait until ``world_size`` processes have called this with the same ``key``."""
        if self.add(f"{key}/count", 1) == world_size:
            self.set(f"{key}/done", b"1")
        self.wait([f"{key}/done"], timeout or self.timeout)

    def multi_set(self, keys, values):
        """Set several keys."""
        if len(keys) != len(values):
            raise ValueError("multi_set: as many values as keys are needed")
        for key, value in zip(keys, values, strict=True):
            self.set(key, value)

    def multi_get(self, keys):
        """The values of several keys, a list."""
        return [self.get(key) for key in keys]

    def has_extended_api(self):
        """Whether the store has append, multi_get and multi_set of its own."""
        return False

    def __getattr__(self, name):
        if name in _METHODS:
            raise NotImplementedError(f"{type(self).__name__} has no {name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


_METHODS = frozenset(
    [
        "set",
        "get",
        "add",
        "check",
        "wait",
        "compare_set",
        "delete_key",
        "num_keys",
        "list_keys",
        "append",
        "queue_push",
        "queue_pop",
        "queue_len",
        "clone",
    ]
)


class _MapStore(Store):
    """A store that keeps its items in a dict, which ``_look`` and ``_change`` open."""

    def _change(self, function):
        """Return ``function(items)`` and store what it changed in ``items``."""
        raise NotImplementedError

    def _look(self, function):
        """Return ``function(items)``, which changes nothing."""
        return self._change(function)

    def _pause(self, seconds):
        """Wait until the items may have changed, or for so long."""
        raise NotImplementedError

    def _late(self, key, timeout):
        return DistStoreError("Wait timeout")

    def set(self, key, value):
        """Set the value of ``key``: a str or bytes."""
        key, value = as_key(key), as_bytes(value)
        self._change(lambda items: items.__setitem__(key, value))

    def get(self, key):
        """The value of ``key`` in bytes; wait for it if it is not there yet."""
        self._await([as_key(key)], self.timeout, self._late)
        return self._look(lambda items: items[key])

    def add(self, key, value):
        """Add an integer to the number at ``key`` (0 if it is not there); return the sum."""
        if not hasattr(value, "__index__"):
            raise TypeError(f"add: the amount must be an int, got {type(value).__name__}")

        def change(items):
            items[key] = str(int(items.get(as_key(key), b"0")) + int(value)).encode()
            return int(items[key])

        return self._change(change)

    def append(self, key, value):
        """Append to the value of ``key``."""
        added = as_bytes(value)
        self._change(lambda items: items.__setitem__(key, items.get(key, b"") + added))

    def compare_set(self, key, expected_value, desired_value):
        """Set ``key`` if it has the expected value, or if it is missing and "" is expected.

        Returns:
            The value after that; the expected value if the key is missing.
        """
        expected, desired = as_bytes(expected_value), as_bytes(desired_value)

        def change(items):
            if items.get(key, b"") == expected:
                items[key] = desired
            return items.get(key, expected)

        return self._change(change)

    def check(self, keys):
        """Whether all keys are there."""
        return self._look(lambda items: all(key in items for key in keys))

    def wait(self, keys, timeout=None):
        """Wait for keys; raise an error after ``timeout``."""
        self._await(keys, self.timeout if timeout is None else timeout, None)

    def _await(self, keys, timeout, error):
        end = time.monotonic() + timeout.total_seconds()
        while not self.check(keys):
            left = end - time.monotonic()
            if left <= 0:
                raise error(keys[0], timeout) if error else self._waited()
            self._pause(left)

    def _waited(self):
        return DistStoreError("Wait timeout")

    def delete_key(self, key):
        """Delete a key; return whether it was there."""
        return self._change(lambda items: items.pop(key, None) is not None)

    def num_keys(self):
        """The number of keys."""
        return self._look(len)

    def list_keys(self):
        """The keys, a list."""
        return self._look(list)


class HashStore(_MapStore):
    """A store in the memory of one process, for all its threads.

    >>> import rushlight as torch
    >>> store = torch.distributed.HashStore()
    >>> store.set("first", "1")
    >>> store.num_keys()
    1
    """

    def __init__(self):
        self._items: dict = {}
        self._queues: dict = {}
        self._changed = locks.new_condition()

    def _change(self, function):
        with self._changed:
            found = function(self._items)
            self._changed.notify_all()
        return found

    def _pause(self, seconds):
        with self._changed:
            self._changed.wait(min(seconds, _WAKE))

    def has_extended_api(self):
        return True

    def clone(self):
        """Another object of the same items."""
        found = type(self).__new__(type(self))
        vars(found).update(vars(self))
        return found

    def queue_push(self, key, value):
        """Append to the queue ``key``."""
        with self._changed:
            self._queues.setdefault(as_key(key), []).append(as_bytes(value))
            self._changed.notify_all()

    def queue_pop(self, key, block=True):
        """Take the oldest value of the queue ``key``; wait for one if ``block``."""
        end = time.monotonic() + self.timeout.total_seconds()
        with self._changed:
            while not self._queues.get(key):
                if not block:
                    raise QueueEmptyError("queue is empty")
                if not self._changed.wait(max(end - time.monotonic(), 0)):
                    raise DistStoreError("Wait timeout")
            return self._queues[key].pop(0)

    def queue_len(self, key):
        """The number of values in the queue ``key``."""
        return len(self._queues.get(key, ()))


class FileStore(_MapStore):
    """A store in a file that several processes of one machine share.

    The file holds one line for each change: the key and the value in hexadecimal digits, or the key
    alone where it was deleted. Each object counts itself in the file while it exists, and the last
    one deletes the file, if ``world_size`` is known.

    Args:
        file_name: The path of the file. It is made if it does not exist.
        world_size: The number of processes that use it. Default: unknown.

    >>> import rushlight as torch, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = torch.distributed.FileStore(os.path.join(folder, "store"), 1)
    ...     store.set("first", "1")
    ...     print(store.get("first"))
    b'1'
    """

    def __init__(self, file_name, world_size=-1):
        self.path = os.fspath(file_name)
        self._world_size = world_size
        self._lock = locks.new_lock()
        self.add("efcount/", 1)
        self._is_counted = True
        _of_files.add(self)

    def _change(self, function):
        with self._lock, open(self.path, "ab+") as file, _locked(file):
            before = _read(file)
            items = dict(before)
            found = function(items)
            for key in [*before, *(k for k in items if k not in before)]:
                if items.get(key) != before.get(key):
                    file.write(_line(key, items.get(key)))
        return found

    def _pause(self, seconds):
        time.sleep(min(seconds, _WAKE))

    def _late(self, key, timeout):
        return RuntimeError(
            f"Timeout waiting for key: {key} after {round(timeout.total_seconds() * 1000)} ms"
        )

    def _waited(self):
        return RuntimeError("Wait timeout")

    def delete_key(self, key):
        super().delete_key(key)
        return True  # as PyTorch, also for a key that is not there

    def clone(self):
        """Another object of the same file."""
        return FileStore(self.path, self._world_size)

    def _leave(self):
        """Count this store out; the last one deletes the file."""
        if not vars(self).pop("_is_counted", False):  # its making failed, or it has left
            return
        with contextlib.suppress(OSError, ValueError):  # the folder may be gone
            if os.path.exists(self.path) and self.add("efcount/", -1) == 0 < self._world_size:
                os.unlink(self.path)

    __del__ = _leave


#: The stores of files. At exit they leave while Python still can open files.
_of_files: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _leave_files():
    for store in list(_of_files):
        store._leave()


class _locked:
    """A context in which no other process reads or writes the file."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        try:
            import fcntl
        except ImportError:  # Windows: one process writes at a time because lines are short
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self._file.flush()  # closing the file gives the lock back


def _line(key, value):
    rest = b"-" if value is None else b"+" + value.hex().encode()
    return key.encode().hex().encode() + b" " + rest + b"\n"


def _read(file):
    file.seek(0)
    items: dict = {}
    for line in file:
        key, _, value = line.strip().partition(b" ")
        name = bytes.fromhex(key.decode()).decode()
        if value == b"-":
            items.pop(name, None)
        else:
            items[name] = bytes.fromhex(value[1:].decode())
    return items


class PrefixStore(Store):
    """A store whose keys begin with a prefix in another store.

    Args:
        prefix: The prefix. A key is ``prefix/key`` in ``store``.
        store: The other store.

    >>> import rushlight as torch
    >>> inner = torch.distributed.HashStore()
    >>> torch.distributed.PrefixStore("a", inner).set("k", "v")
    >>> inner.get("a/k")
    b'v'
    """

    def __init__(self, prefix, store):
        self._prefix = as_key(prefix)
        self._store = store

    @property
    def underlying_store(self):
        """The other store."""
        return self._store

    @property
    def _underlying_non_prefix_store(self):
        found = self._store
        while isinstance(found, PrefixStore):
            found = found._store
        return found

    @property
    def timeout(self):
        return self._store.timeout

    def set_timeout(self, timeout):
        self._store.set_timeout(timeout)

    def has_extended_api(self):
        return self._store.has_extended_api()

    def _name(self, key):
        return f"{self._prefix}/{as_key(key)}"

    def check(self, keys):
        return self._store.check([self._name(key) for key in keys])

    def wait(self, keys, timeout=None):
        self._store.wait([self._name(key) for key in keys], timeout or self.timeout)

    def num_keys(self):
        return self._store.num_keys()

    def list_keys(self):
        start = f"{self._prefix}/"
        return [k.removeprefix(start) for k in self._store.list_keys() if k.startswith(start)]

    def clone(self):
        return PrefixStore(self._prefix, self._store.clone())


def _forward(name):
    def method(self, key, *values):
        return getattr(self._store, name)(self._name(key), *values)

    method.__name__ = name
    method.__doc__ = f"``{name}`` of the other store, with the prefix before the key."
    return method


for _name in [
    "set",
    "get",
    "add",
    "append",
    "compare_set",
    "delete_key",
    "queue_push",
    "queue_pop",
    "queue_len",
]:
    setattr(PrefixStore, _name, _forward(_name))
