"""Files of data sets: where they should be, and whether they are what was published."""

import hashlib
import tarfile
from pathlib import Path

__all__ = ["absent", "extract", "has", "md5_of"]


def md5_of(path):
    """The MD5 sum of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def has(path, md5=None):
    """Whether the file is there, and is the one that has this sum."""
    return Path(path).is_file() and (md5 is None or md5_of(path) == md5)


def absent(name, folder, files, source):
    """The error for a data set that is not there: which files to put where."""
    listed = "\n    ".join(files)
    return RuntimeError(
        f"{name}: Dataset not found or corrupted, and rushlight downloads nothing. Put into\n"
        f"    {folder}\nthese files, from {source}:\n    {listed}"
    )


def extract(archive, folder):
    """Unpack a tar archive; what would be written outside of ``folder`` is refused."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
