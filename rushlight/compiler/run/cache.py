"""Machine code on disk, so that a program's next start needn't compile again.

An entry is a file that is believed only if its checksum holds and nobody else could have written
it. Whatever is wrong with the folder or an entry, the answer is None and the caller compiles.
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
from rushlight.serialization.atomic import sweep, temporary

__all__ = ["folder", "get", "object_code", "put"]

_MAGIC = b"rushlight code 2\n"
_DIGEST = hashlib.sha256().digest_size
_LIMIT = 256 << 20  # bytes of all entries together
_BETWEEN = 16 << 20  # bytes that are put between two looks at whether they are more


def folder():
    """The cache's folder; None where caching is off.

    ``RUSHLIGHT_CACHE_DIR`` names it, and turns caching off if it is empty. Otherwise it is in the
    place that the platform has for such files.
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
    """The bytes that were put under ``key``; None if there are none that can be trusted."""
    try:
        path = _path(key)
        return None if path is None else _read(path)
    except OSError:
        return None


def object_code(key, module):
    """The machine code kept under ``key``, or else that of ``module()``, which is kept then."""
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
    name = "\0".join((rushlight.__version__, _sources(), host().key, key))
    return place / (hashlib.sha256(name.encode()).hexdigest() + ".o")


@functools.cache
def _sources():
    """The state of the files that machine code depends on: who edits them wants theirs to run."""
    package = Path(rushlight.__file__).parent
    files = [*package.glob("compiler/**/*.py"), *package.glob("ops/**/*.py")]
    return repr(sorted([(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]))


def _private(status):
    """Whether nobody but this user could have written a file or folder."""
    if not hasattr(os, "geteuid"):
        return True  # Windows: the user's folders are private by their access lists
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(path):
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # no links; don't wait at a pipe
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
    os.utime(path)  # the least recently used go first
    return payload


def _head(path, payload):
    """What an entry begins with; of its name too, so that one for other code is not believed."""
    return _MAGIC + hashlib.sha256(path.name.encode() + payload).digest()


def _write(path, payload):
    """All or nothing: the entry appears under its name when it is complete on disk.

    Unfinished entries are in a folder of their own, so that those of killed processes are found
    without a look at all entries.
    """
    unfinished = path.parent / "new"
    unfinished.mkdir(mode=0o700, exist_ok=True)
    sweep(unfinished)
    with temporary(unfinished, path, 0o600) as file:
        file.write(_head(path, payload) + payload)


def _is_time(path, size):
    """True about once in ``_BETWEEN`` bytes that all processes put together.

    To look at all entries takes long where there are many. Names are hashes, so that they can
    decide which entries are followed by a look: no process need know what others have put.
    """
    return int(path.name[:8], 16) * _BETWEEN < (size << 32)


def _evict(place):
    """Delete what was used least recently, beyond the limit. A file may vanish meanwhile."""
    entries = []
    with os.scandir(place) as found:
        for entry in found:
            with contextlib.suppress(OSError):
                if entry.name.endswith((".o", ".new")):  # older versions left .new
                    status = entry.stat(follow_symlinks=False)
                    entries.append((status.st_mtime, status.st_size, entry.path))
    excess = sum(size for _, size, _ in entries) - _LIMIT
    for _, size, path in sorted(entries):
        if excess <= 0:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
            excess -= size
