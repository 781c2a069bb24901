"""Machine code on disk, so that a program's next start needn't compile again.

An entry is a file. It is trusted only if its checksum is right and no other user could have written
it. If anything is wrong with the folder or an entry, ``get`` returns None and the caller compiles.
"""

import contextlib
import functools
import hashlib
import os
import stat
import sys
from pathlib import Path

import rushlight
from rushlight.compiler.cpu.target import host

__all__ = ["folder", "get", "object_code", "put"]

_MAGIC = b"rushlight code 2\n"
_DIGEST = hashlib.sha256().digest_size
_LIMIT = 256 << 20  # bytes of all entries together
_BETWEEN = 16 << 20  # after about this many new bytes the sizes of all entries are added up again


def folder():
    """The cache's folder; None if caching is off.

    ``RUSHLIGHT_CACHE_DIR`` names the folder; an empty value turns caching off. By default the
    folder is where the platform keeps caches.
    """
    named = os.environ.get("RUSHLIGHT_CACHE_DIR")
    if named is not None:
        return Path(named) if named else None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base) / "rushlight" / "Cache" if base else None
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "rushlight"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "rushlight"


def get(key):
    """The bytes that were put under ``key``; None if there is no entry that can be trusted."""
    try:
        path = _path(key)
        return None if path is None else _read(path)
    except OSError:
        return None


def object_code(key, module):
    """The machine code kept under ``key``. If there is none, compile ``module()`` and keep it."""
    code = get(key)
    if code is None:
        code = host().object_code(module())
        put(key, code)
    return code


def put(key, payload):
    """Keep ``payload`` under ``key`` for this and later processes."""
    with contextlib.suppress(OSError):
        path = _path(key, create=True)
        if path is None:
            return
        _write(path, payload)
        if _is_time(path, len(payload)):
            _evict(path.parent)


def _path(key, create=False):
    place = folder()
    if place is None:
        return None
    if create:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _private(place.stat()):
        return None
    name = "\0".join((rushlight.__version__, _sources(place), host().key, key))
    return place / (hashlib.sha256(name.encode()).hexdigest() + ".o")


@functools.cache
def _sources(place):
    """A digest of the source files that machine code depends on, so that edits take effect.

    Their contents count, so a new installation of the same version finds its code again. To read
    them all takes a while; so the digest is kept in the cache, by the files' sizes and times.
    """
    files = sorted(_source_files())
    state = repr([(path, status.st_size, status.st_mtime_ns) for path, status in files])
    path = place / (hashlib.sha256(state.encode()).hexdigest() + ".sources")
    found = None
    with contextlib.suppress(OSError):
        found = _read(path)
    if found is None:
        digest = hashlib.sha256()
        for source, _ in files:
            digest.update(os.path.basename(source).encode() + Path(source).read_bytes())
        found = digest.digest()
        with contextlib.suppress(OSError):
            _write(path, found)
    return found.hex()


def _source_files():
    """(path, status) of each of them."""
    todo = [os.path.join(os.path.dirname(rushlight.__file__), part) for part in ("compiler", "ops")]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    todo.append(entry.path)
                elif entry.name.endswith(".py"):
                    yield entry.path, entry.stat()


def _private(status):
    """Whether only this user could have written a file or folder."""
    if not hasattr(os, "geteuid"):
        return True  # Windows: the user's folders are private by their access lists
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(path):
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # follow no link; don't wait for a pipe
        flags |= getattr(os, name, 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not _private(status):
            return None
        content = file.read()
    start = len(_MAGIC) + _DIGEST
    payload = content[start:]
    if content[:start] != _head(path, payload):
        return None
    os.utime(path)  # the time of the last use: _evict deletes the least recently used entries
    return payload


def _head(path, payload):
    """The first bytes of an entry: a checksum of its payload and name.

    The name is included so that a renamed entry, for other code, is not trusted.
    """
    return _MAGIC + hashlib.sha256(path.name.encode() + payload).digest()


def _write(path, payload):
    """Write an entry. It appears under its name only when it is complete.

    It need not be on the disk yet: to wait for the disk takes 10 ms, and after a loss of power the
    checksum tells half an entry.

    Unfinished entries are in a folder of their own, so that the remains of killed processes are
    found without a scan of all entries.
    """
    # Only a process that compiles needs it, and its import takes 10 ms.
    from rushlight.serialization.atomic import sweep, temporary

    unfinished = path.parent / "new"
    unfinished.mkdir(mode=0o700, exist_ok=True)
    sweep(unfinished)
    with temporary(unfinished, path, 0o600, forced=False) as file:
        file.write(_head(path, payload) + payload)


def _is_time(path, size):
    """Whether to scan all entries now: True about once for every ``_BETWEEN`` bytes put.

    A scan of many entries takes long. Names are hashes, so they serve as random numbers: each entry
    decides by its name and size whether a scan follows it. So processes need not know how much
    others have put.
    """
    return int(path.name[:8], 16) * _BETWEEN < (size << 32)


def _evict(place):
    """Delete the least recently used entries until the others are below the limit.

    Another process may delete a file at the same time, so errors are ignored.
    """
    entries = []
    with os.scandir(place) as found:
        for entry in found:
            with contextlib.suppress(OSError):
                if entry.name.endswith((".o", ".sources", ".new")):  # older versions left .new
                    status = entry.stat(follow_symlinks=False)
                    entries.append((status.st_mtime, status.st_size, entry.path))
    excess = sum(size for _, size, _ in entries) - _LIMIT
    for _, size, path in sorted(entries):
        if excess <= 0:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            excess -= size
