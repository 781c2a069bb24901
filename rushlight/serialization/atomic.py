"""Files that are whole at every moment: the old content, or all of the new."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(path, name="save") -> Iterator:
    """A binary file that becomes ``path`` when it is complete; until then ``path`` stays as it was.

    It is written beside ``path``, forced to the disk and renamed, so that neither a full disk, nor
    the end of the process, nor a loss of power leaves half a file. ``name`` is what errors begin
    with.

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
    temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if exists:
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _keep_name(folder)


def _keep_name(folder):
    """Force the folder's entry to the disk too, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
