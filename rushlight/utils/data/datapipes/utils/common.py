"""What the steps of DataPipes share: checks of functions, files, and streams that close."""

import fnmatch
import functools
import importlib.util
import inspect
import os
import warnings
from collections.abc import Iterable
from inspect import Parameter
from io import IOBase
from typing import Any, ClassVar

__all__ = [
    "StreamWrapper", "get_file_binaries_from_pathnames", "get_file_pathnames_from_root",
    "match_masks", "validate_input_col", "validate_pathname_binary_tuple",
]  # fmt: skip


def validate_input_col(fn, input_col):
    """Raise ValueError unless ``fn`` can be called with the parts ``input_col`` of a sample.

    ``input_col`` is an index or a key, a list or tuple of them, or None for the whole sample.
    """
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:  # a function in C that does not tell
        return
    n = len(input_col) if isinstance(input_col, (list, tuple)) else 1
    name = getattr(getattr(fn, "func", fn), "__name__", repr(fn))
    named = [p for p in parameters if p.kind is Parameter.KEYWORD_ONLY and p.default is p.empty]
    if named:
        raise ValueError(
            f"The function {name} takes {len(named)} non-default keyword-only parameters, which is "
            "not allowed."
        )
    places = [
        p
        for p in parameters
        if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    required = sum([p.default is p.empty for p in places])
    open_ended = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    if required > n or (len(places) < n and not open_ended):
        raise ValueError(
            f"The function {name} takes {len(places)} positional parameters, but {n} are required."
        )


@functools.cache
def _has_dill():
    return importlib.util.find_spec("dill") is not None


def check_function(fn):
    """Raise TypeError if ``fn`` is not callable; warn if pickle cannot take it to workers."""
    if not callable(fn):
        raise TypeError(f"A callable function is expected, but {type(fn)} is provided.")
    if isinstance(fn, functools.partial):
        fn = fn.func
    where = str(getattr(fn, "__qualname__", type(fn).__qualname__))
    kind = "Local" if "<locals>" in where else "Lambda" if where.endswith("<lambda>") else ""
    if kind and not _has_dill():
        warnings.warn(
            f"{kind} function is not supported by pickle, please use regular python function or "
            "functools.partial instead.",
            stacklevel=3,
        )


_check_unpickable_fn = check_function  # PyTorch's name, which libraries import


def match_masks(name, masks):
    """Whether the file name ``name`` matches one of ``masks``, as in a shell; none: True."""
    given = [masks] if isinstance(masks, str) else masks
    return not masks or any(fnmatch.fnmatch(name, mask) for mask in given)


def get_file_pathnames_from_root(
    root, masks, recursive=False, abspath=False, non_deterministic=False
):
    """Yield the paths of the files in the folder ``root``, or ``root`` itself if it is a file."""

    def failed(error):
        warnings.warn(f"{error.filename} : {error.strerror}", stacklevel=2)
        raise error

    if os.path.isfile(root):
        if match_masks(os.path.basename(root), masks):
            yield os.path.abspath(root) if abspath else root
        return
    for folder, folders, files in os.walk(root, onerror=failed):
        if not non_deterministic:
            files.sort()
            folders.sort()
        place = os.path.abspath(folder) if abspath else folder
        yield from [os.path.join(place, file) for file in files if match_masks(file, masks)]
        if not recursive:
            return


def get_file_binaries_from_pathnames(pathnames, mode, encoding=None):
    """Yield each path with its opened file."""
    if not isinstance(pathnames, Iterable):
        pathnames = [pathnames]
    mode = "r" + mode if mode in ("b", "t") else mode
    for path in pathnames:
        if not isinstance(path, str):
            raise TypeError(f"Expected string type for pathname, but got {type(path)}")
        yield path, StreamWrapper(open(path, mode, encoding=encoding))  # noqa: SIM115 - it closes


def validate_pathname_binary_tuple(data):
    """Raise TypeError unless ``data`` is a tuple of a path and a file."""
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(f"pathname binary data should be a tuple of 2, but it is {type(data)}")
    if not isinstance(data[0], str):
        raise TypeError(f"pathname within the tuple should be a str, but it is {type(data[0])}")
    if not isinstance(data[1], (IOBase, StreamWrapper)):
        raise TypeError(
            f"binary stream within the tuple should be an IOBase, but it is {type(data[1])}"
        )


class StreamWrapper:
    """A file that is closed as soon as nobody holds the wrapper.

    Args:
        file_obj: The file.
        parent_stream: The wrapper of the file that this one reads from, such as an archive.
        name: A name for the text of the wrapper.

    >>> import io
    >>> from rushlight.utils.data.datapipes.utils.common import StreamWrapper
    >>> stream = StreamWrapper(io.StringIO("abc"))
    >>> stream.read(), stream.close(), stream.closed
    ('abc', None, True)
    """

    session_streams: ClassVar[dict[Any, int]] = {}
    debug_unclosed_streams = False

    def __init__(self, file_obj, parent_stream=None, name=None):
        self.file_obj = file_obj
        self.child_counter = 0
        self.parent_stream = parent_stream
        self.close_on_last_child = False
        self.name = name
        self.closed = False
        if parent_stream is not None:
            if not isinstance(parent_stream, StreamWrapper):
                raise RuntimeError(
                    f"Parent stream should be StreamWrapper, {type(parent_stream)} was given"
                )
            parent_stream.child_counter += 1
        if StreamWrapper.debug_unclosed_streams:
            StreamWrapper.session_streams[self] = 1

    @classmethod
    def close_streams(cls, v, depth=0):
        """Close all wrappers in dicts, lists and tuples, down to a depth of 10."""
        if depth > 10:
            return
        if isinstance(v, StreamWrapper):
            v.close()
        elif isinstance(v, (dict, list, tuple)):
            for item in v.values() if isinstance(v, dict) else v:
                cls.close_streams(item, depth + 1)

    def __getattr__(self, name):
        if name == "file_obj":  # while pickle makes the object
            raise AttributeError(name)
        return getattr(self.file_obj, name)

    def close(self, *args, **kwargs):
        """Close the file, and the parent's if this was its last one."""
        if self.closed:
            return
        StreamWrapper.session_streams.pop(self, None)
        parent = self.parent_stream
        if parent is not None:
            parent.child_counter -= 1
            if not parent.child_counter and parent.close_on_last_child:
                parent.close()
        if hasattr(self.file_obj, "close"):
            self.file_obj.close(*args, **kwargs)
        self.closed = True

    def autoclose(self):
        """Close when the last child is closed, or now if there is none."""
        self.close_on_last_child = True
        if self.child_counter == 0:
            self.close()

    def __del__(self):
        if not self.__dict__.get("closed", True):
            self.close()

    def __iter__(self):
        yield from self.file_obj

    def __next__(self):
        return next(self.file_obj)

    def __repr__(self):
        name = "" if self.name is None else f"{self.name},"
        return f"StreamWrapper<{name}{self.file_obj!r}>"

    def __getstate__(self):
        return self.file_obj

    def __setstate__(self, file_obj):
        self.__init__(file_obj)  # type: ignore[misc]
