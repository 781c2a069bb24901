"""Files that are whole at every moment: the old content, or all of the new.

New content is written to a temporary file beside the target, forced to the disk and renamed. The
writer holds a lock on its temporary file; the system drops the lock when the process ends, however
it ends. So the next writer in the folder can tell what a killed process left, and deletes it.
"""

import contextlib
import hashlib
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted
    fcntl = None  # type: ignore[assignment]

__all__ = ["noted", "replacing", "sweep", "temporary"]

_PREFIX, _SUFFIX = ".rushlight-", ".tmp"
_LONG_AGO = 24 * 60 * 60  # seconds: no writer pauses for so long


@contextlib.contextmanager
def replacing(path, name="save") -> Iterator:
    """A binary file that becomes ``path`` when it is complete; until then ``path`` stays as it was.

    Neither a full disk, nor the end of the process, nor a loss of power leaves half a file. The
    file has the permissions of ``path`` from the start, or those of the process's umask.
    ``name`` is what errors begin with.

    Raises:
        RuntimeError: the folder does not exist; ``path`` is a folder.
        OSError: the file cannot be written; ``path`` stays as it was.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise RuntimeError(f"{name}: Parent directory {folder} does not exist.")
    if os.path.isdir(target):
        raise RuntimeError(f"{name}: {target}: Is a directory")
    exists = os.path.exists(target)
    if exists and (not os.path.isfile(target) or not os.access(target, os.W_OK)):
        with open(target, "wb") as file:  # a device or a pipe; or refused, as it should be
            yield file
        return
    sweep(folder)
    mode = stat.S_IMODE(os.stat(target).st_mode) if exists else None
    with temporary(folder, target, mode) as file:
        yield file
    _keep_name(folder)


@contextlib.contextmanager
def temporary(folder, target, mode=None) -> Iterator:
    """A new file in ``folder`` that becomes ``target`` at the end, or is deleted after an error.

    Args:
        mode: Its permissions; None for those that the process's umask gives.
    """
    file, path = _locked(folder, mode)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                os.replace(path, target)  # before the lock is dropped
        if fcntl is None:
            os.replace(path, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


@contextlib.contextmanager
def noted(folder, content, suffix) -> Iterator:
    """While entered, a locked file in ``folder`` says in ``content`` what is being done there.

    If the process ends meanwhile, ``sweep`` of that suffix finds it.
    """
    file, path = _locked(folder, None, suffix)
    try:
        file.write(content)
        file.flush()
        yield
    finally:
        if fcntl is None:
            file.close()  # Windows deletes no open file
        with contextlib.suppress(OSError):
            os.unlink(path)
        file.close()


def sweep(folder, suffix=_SUFFIX, finish=None):
    """Delete the files of this kind in ``folder`` whose writers have ended.

    Args:
        finish: Is given the content of each first; False keeps the file.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(suffix):
                with contextlib.suppress(OSError):
                    _delete_if_left(entry.path, finish)


def _locked(folder, mode, suffix=_SUFFIX):
    """A new temporary file that this process has locked, and its path."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = os.path.join(folder, f"{_PREFIX}{_system()}-{secrets.token_hex(8)}{suffix}")
        descriptor = os.open(path, flags, 0o666 if mode is None else mode & 0o777)
        file = open(descriptor, "wb")  # noqa: SIM115  # it stays open
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(path, descriptor):  # else a sweep came between the two steps
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)  # the umask may have taken some
            return file, path
        file.close()


def _delete_if_left(path, finish):
    """Delete a file of this user unless its writer may be alive.

    Where a folder is shared, a lock need not reach other systems: their files must also be a day
    old.
    """
    here = os.path.basename(path).startswith(f"{_PREFIX}{_system()}-")
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or (fcntl and status.st_uid != os.geteuid()):
            return
        if (fcntl is None or not here) and time.time() - status.st_mtime < _LONG_AGO:
            return
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or an OSError
        if not _is_at(path, file.fileno()) or (finish and not finish(file.read())):
            return
        if fcntl is not None:
            os.unlink(path)
    if fcntl is None:
        os.unlink(path)


def _is_at(path, descriptor):
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@cache
def _system():
    """What tells this running system from others that share a folder with it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            facts: Any = file.read()
    except OSError:
        import uuid

        facts = f"{sys.platform} {uuid.getnode()}".encode()
    return hashlib.sha256(facts).hexdigest()[:12]


def _keep_name(folder):
    """Force the folder's entry to the disk too, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
