"""Files of data sets: checks of their existence and MD5 sums, and the unpacking of archives."""

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

__all__ = [
    "absent", "calculate_md5", "check_integrity", "check_md5", "download_and_extract_archive",
    "download_url", "extract_archive", "list_dir", "list_files", "verify_str_arg",
]  # fmt: skip


def calculate_md5(fpath):
    """The MD5 sum of a file, in hexadecimal digits."""
    with open(fpath, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_md5(fpath, md5):
    """Whether the file has this MD5 sum."""
    return calculate_md5(fpath) == md5


def check_integrity(fpath, md5=None):
    """Whether the file exists and, if ``md5`` is given, has this MD5 sum."""
    return Path(fpath).is_file() and (md5 is None or check_md5(fpath, md5))


def verify_str_arg(value, arg=None, valid_values=None, custom_msg=None):
    """Return ``value`` if it is one of ``valid_values``.

    Raises:
        ValueError: it is no string, or is none of them.
    """
    if not isinstance(value, str):
        raise ValueError(f"Expected type str for argument {arg}, but got type {type(value)}.")
    if valid_values is not None and value not in valid_values:
        raise ValueError(
            custom_msg
            or f"Unknown value {value!r} for argument {arg}. Valid values are {set(valid_values)}."
        )
    return value


def absent(name, folder, files, source):
    """The error for a missing data set. It says which files to put into which folder."""
    listed = "\n    ".join(files)
    return RuntimeError(
        f"{name}: Dataset not found or corrupted, and rushlight downloads nothing. Put into\n"
        f"    {folder}\nthese files, from {source}:\n    {listed}"
    )


def download_url(url, root, filename=None, md5=None):
    """Check that the file exists; nothing is downloaded.

    Raises:
        RuntimeError: the file is missing or has another MD5 sum.
    """
    name = filename or url.rpartition("/")[2]
    folder = os.path.expanduser(root)
    if not check_integrity(os.path.join(folder, name), md5):
        raise absent("download_url", folder, [name if md5 is None else f"{name}  (MD5 {md5})"], url)


def download_and_extract_archive(
    url, download_root, extract_root=None, filename=None, md5=None, remove_finished=False
):
    """Unpack an archive that exists already; nothing is downloaded.

    Raises:
        RuntimeError: the archive is missing or has another MD5 sum.
    """
    folder = os.path.expanduser(download_root)
    download_url(url, folder, filename, md5)
    archive = os.path.join(folder, filename or url.rpartition("/")[2])
    extract_archive(archive, extract_root or folder, remove_finished)


def extract_archive(from_path, to_path=None, remove_finished=False):
    """Unpack a tar or zip archive, or a gzipped file; returns the path of the result.

    The default target is the folder of the archive. No file is ever written outside of the target.

    Raises:
        RuntimeError: the file is neither a tar or zip archive nor gzipped.
    """
    source = Path(from_path)
    folder = source.parent if to_path is None else Path(to_path)
    if tarfile.is_tarfile(source):
        with tarfile.open(source) as tar:
            tar.extractall(folder, filter="data")
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
    elif source.suffix == ".gz":
        folder = source.with_suffix("") if to_path is None else folder / source.stem
        with gzip.open(source) as packed, open(folder, "wb") as file:
            shutil.copyfileobj(packed, file)
    else:
        raise RuntimeError(f"extract_archive: {source} is no tar, zip or gzip file")
    if remove_finished:
        source.unlink()
    return str(folder)


def list_dir(root, prefix=False):
    """The names of the folders in ``root``; with ``prefix``, their paths."""
    return _listed(root, prefix, Path.is_dir)


def list_files(root, suffix, prefix=False):
    """The names of files in ``root`` that end in ``suffix``; with ``prefix``, their paths."""
    return _listed(root, prefix, lambda p: p.is_file() and p.name.endswith(suffix))


def _listed(root, prefix, wanted):
    paths = [path for path in Path(root).expanduser().iterdir() if wanted(path)]
    return [str(path) if prefix else path.name for path in paths]
