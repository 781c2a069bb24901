"""Write files so that a file holds, at every moment, all of the old or all of the new content.

New content is written to a temporary file beside the target, forced to the disk and renamed. The
writer holds a lock on its temporary file. The system drops the lock when the process ends in any
way. So the next writer in the folder recognises the files that killed processes left, because
nobody locks them, and deletes them.
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
_LONG_AGO = 24 * 60 * 60  # seconds; a file untouched for longer has no living writer


@contextlib.contextmanager
def replacing(path, name="save") -> Iterator:
    """Open a binary file that replaces ``path`` at the end of the ``with`` block.

    Until then ``path`` keeps its old content. Neither a full disk, nor the end of the process, nor
    a loss of power leaves half a file. From the start the file has the permissions of the old
    ``path``; a new file has those of the process's umask. Errors begin with ``name``.

    If ``path`` is a device or a pipe, the content is written to it directly.

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
        # A device or a pipe is written directly. For a file without write permission open() raises.
        with open(target, "wb") as file:
            yield file
        return
    sweep(folder)
    mode = stat.S_IMODE(os.stat(target).st_mode) if exists else None
    with temporary(folder, target, mode) as file:
        yield file
    _keep_name(folder)


@contextlib.contextmanager
def temporary(folder, target, mode=None, forced=True) -> Iterator:
    """Open a new file in ``folder`` that becomes ``target``, or is deleted after an error.

    Args:
        mode: The permissions of the file. None: the permissions that the process's umask gives.
        forced: Whether to wait until the content is on the disk. Otherwise ``target`` may be half
            a file after a loss of power.
    """
    file, path = _locked(folder, mode)
    try:
        with file:
            yield file
            file.flush()
            if forced:
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
    """Keep a locked file with ``content`` in ``folder`` during the ``with`` block.

    The file notes what the block is doing in the folder. If the process ends inside the block, a
    later ``sweep`` with the same ``suffix`` finds the file.
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
    """Delete the temporary files with ``suffix`` in ``folder`` whose writers have ended.

    Args:
        finish: A function that is called with each file's content before the file is deleted. If
            it returns False, the file is kept.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.name.endswith(suffix):
                with contextlib.suppress(OSError):
                    _delete_if_left(entry.path, finish)


def _locked(folder, mode, suffix=_SUFFIX):
    """Create and lock a temporary file; return the open file and its path."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        path = os.path.join(folder, f"{_PREFIX}{_system()}-{secrets.token_hex(8)}{suffix}")
        descriptor = os.open(path, flags, 0o666 if mode is None else mode & 0o777)
        file = open(descriptor, "wb")  # noqa: SIM115  # it stays open
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(path, descriptor):  # else a sweep deleted the file before it was locked
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)  # the umask may have removed permissions
            return file, path
        file.close()


def _delete_if_left(path, finish):
    """Delete a temporary file of this user unless its writer may be alive.

    In a folder that several systems share, the locks of other systems may be invisible here. So a
    file of another system is deleted only if it has not been written to for a day.
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
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError if its writer is alive
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
    """Return a text that differs between the running systems that may share a folder."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            facts: Any = file.read()
    except OSError:
        import uuid

        facts = f"{sys.platform} {uuid.getnode()}".encode()
    return hashlib.sha256(facts).hexdigest()[:12]


def _keep_name(folder):
    """Force the folder's entry to the disk, too, if the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
