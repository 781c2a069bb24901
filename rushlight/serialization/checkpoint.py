"""save and load: objects with tensors in PyTorch's ``.pt`` files."""

import io
import os
import pickle
import warnings

from rushlight.autograd import mode
from rushlight.device import device
from rushlight.serialization import archive, legacy, options
from rushlight.serialization.atomic import replacing
from rushlight.serialization.budget import Budget, file_name
from rushlight.serialization.pickling import FullUnpickler, Storages, pickled
from rushlight.serialization.safety import WeightsUnpickler

__all__ = ["load", "save"]

_HEAD = 512  # bytes at the beginning of a file that tell its format


def _is_path(f):
    return isinstance(f, (str, os.PathLike))


def _refuse_in_a_trace(name):
    if mode.recorder() is not None:
        from rushlight.compiler.ir.abstract import ValueNeeded, user_line

        raise ValueNeeded(
            f"{user_line()}: torch.{name} needs the values of tensors, which a trace does not "
            "have. Move it out of the compiled function"
        )


def save(
    obj,
    f,
    pickle_module=pickle,
    pickle_protocol=2,
    _use_new_zipfile_serialization=True,
    _disable_byteorder_record=False,
):
    """Write an object with all its tensors to a file, in PyTorch's format.

    PyTorch can read the file. Tensors that share memory also share memory after loading. If ``f``
    is a path and the save fails, the file keeps its old content.

    Args:
        obj: The object: tensors, containers, or anything that can be pickled.
        f: The path of the file, or a binary file object.
        pickle_module: The module with the ``Pickler``, for example cloudpickle. Of other modules
            than ``pickle``, only rushlight reads the file.
        pickle_protocol: The version of pickle's format, 1 or more. Default: 2.
        _use_new_zipfile_serialization, _disable_byteorder_record: Accepted for PyTorch's sake; the
            first must be True.

    Raises:
        RuntimeError: the folder does not exist, or tensors of two dtypes share memory.
        pickle.PicklingError: ``obj`` holds an object that cannot be pickled.

    >>> import io, rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.save({"weight": torch.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    if not hasattr(pickle_module, "Pickler"):
        raise ValueError(f"save: pickle_module must have a Pickler, got {pickle_module!r}")
    if not _use_new_zipfile_serialization:
        raise ValueError("save: the format from before PyTorch 1.6 is not written")
    if not _is_path(f) and not hasattr(f, "write"):
        raise AttributeError(
            "save: expected 'f' to be string, path, or a file-like object with a 'write' "
            f"attribute, not {type(f).__name__}"
        )
    if pickle_protocol == 0:
        raise ValueError("save: pickle_protocol must be 1 or more: 0 spells storages as text")
    _refuse_in_a_trace("save")
    pickle_bytes, storages = pickled(obj, pickle_protocol, pickle_module)
    if not _is_path(f):
        archive.write(f, "archive", pickle_bytes, storages)
        return
    path = os.fspath(f)
    stem = os.path.splitext(os.path.basename(path))[0]
    with replacing(path) as file:
        archive.write(file, stem if stem and stem.isascii() else "archive", pickle_bytes, storages)


def load(
    f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args
):
    """Read an object that ``save`` of rushlight or PyTorch wrote to a file.

    Args:
        f: The path of the file, or a binary file object.
        map_location: The place of the loaded storages: ``"cpu"``, a device, a dict from saved
            locations to new locations, or a function of (storage, location). Default: the CPU for
            storages that were there.
        pickle_module: A module whose ``Unpickler`` is that of ``pickle``. Default: ``pickle``.
        weights_only: True loads tensors, containers, numbers and the classes that
            ``serialization.add_safe_globals`` allows, and runs no other code that the file names.
            False imports and calls everything that the file names: use it only for files that you
            trust. Default: True, or False if ``pickle_module`` is given. The environment variable
            ``TORCH_FORCE_WEIGHTS_ONLY_LOAD=1`` makes it True in every call, and
            ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` makes the default False, with a warning.
        mmap: Map the storages to memory, so that the system reads their bytes when they are used.
            ``f`` must be a path. Default: False.
        **pickle_load_args: Options of the unpickler, such as ``encoding``.

    Returns:
        The object.

    Raises:
        pickle.UnpicklingError: the file names something that is not allowed, or ``save`` did not
            write it.
        RuntimeError: the file is damaged or incomplete, its tensors lie on a device that does not
            exist here, or reading it takes far more memory or time than an honest file of its size
            needs.
        EOFError: the file is empty.

    >>> import rushlight as torch
    >>> import io
    >>> file = io.BytesIO()
    >>> torch.save({"weight": torch.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    {'weight': tensor([1., 1.])}
    """
    weights_only = _only_weights(weights_only, pickle_module)
    mapped = options.load.mmap if mmap is None else bool(mmap)
    if weights_only and pickle_module is not None:
        raise RuntimeError("load: weights_only=True has its own unpickler: leave pickle_module out")
    if getattr(pickle_module, "Unpickler", pickle.Unpickler) is not pickle.Unpickler:
        raise ValueError(f"load: pickle_module must have pickle's Unpickler, got {pickle_module!r}")
    if not (map_location is None or callable(map_location)
            or isinstance(map_location, (str, dict, device))):  # fmt: skip
        raise TypeError(
            "load: map_location must be str, device, dict or a function; "
            f"{type(map_location).__name__!r} object is not callable"
        )
    if mapped and not _is_path(f):
        raise ValueError("load: f must be a file path in order to use the mmap argument")
    if options.skipping:
        raise NotImplementedError("load: not inside torch.serialization.skip_data()")
    _refuse_in_a_trace("load")
    pickle_load_args.setdefault("encoding", "utf-8")  # for texts in pickles of Python 2
    unpickler = WeightsUnpickler if weights_only else FullUnpickler
    if _is_path(f):
        with open(f, "r+b" if mapped and archive.maps_are_shared() else "rb") as file:
            return _read(file, map_location, unpickler, mapped, pickle_load_args)
    return _read(_sought(f), map_location, unpickler, False, pickle_load_args)


def _only_weights(given, pickle_module):
    """Return whether ``load`` reads weights only, as its argument and the environment say."""
    force, force_not = _is_set("WEIGHTS_ONLY"), _is_set("NO_WEIGHTS_ONLY")
    if force and force_not:
        raise RuntimeError(
            "load: only one of TORCH_FORCE_WEIGHTS_ONLY_LOAD and TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD "
            "should be set, but both were set"
        )
    if force:
        return True
    if given is not None:
        return given
    if force_not:
        warnings.warn(
            "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected, since the "
            "`weights_only` argument was not explicitly passed to `torch.load`, forcing "
            "weights_only=False.",
            stacklevel=3,
        )
        return False
    return pickle_module is None


def _is_set(switch):
    return os.getenv(f"TORCH_FORCE_{switch}_LOAD", "0").lower() in ("1", "y", "yes", "true")


class _Seekable:
    """A file-like object that can seek but has no method ``seekable``, which zipfile asks for."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def seekable(self):
        return True


def _sought(f):
    """Return the file ``f`` if it is seekable, else raise an error."""
    try:
        f.seek(f.tell())
    except (AttributeError, io.UnsupportedOperation) as error:
        raise type(error)(
            f"load: {error}. You can only torch.load from a file that is seekable: read it into an "
            "io.BytesIO and load from that"
        ) from None
    return f if hasattr(f, "seekable") else _Seekable(f)


def _read(file, map_location, unpickler, mapped, load_args):
    start = file.tell()
    head = file.read(_HEAD)
    size = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    name = file_name(file)
    guarded = unpickler is WeightsUnpickler
    budget = Budget(name, size) if guarded else Budget.unlimited(name)
    if not head:
        raise EOFError("load: the file is empty")
    if head.startswith(archive.MAGIC):
        source = archive.Archive(file, budget, mapped)
        storages = Storages(source, map_location)
        return unpickler(io.BytesIO(source.pickle()), storages, budget, **load_args).load()
    if not (legacy.is_stream(head) or legacy.is_tar(head)):
        raise pickle.UnpicklingError(
            f"load: not a file of torch.save: it begins with {head[:16]!r}"
        )
    if mapped:
        raise RuntimeError(
            "load: mmap=True cannot map the format of PyTorch before 1.6: load the file without it "
            "and save it again"
        )
    read = legacy.read_stream if legacy.is_stream(head) else legacy.read_tar
    return read(file, map_location, unpickler, budget, load_args)
