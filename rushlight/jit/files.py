"""Files of scripted modules.

A file is a pickle of the module. It can be loaded wherever the module's class can be imported.
"""

import os
import zipfile

import rushlight

__all__ = ["load", "save"]

_MARK = "rushlight.jit"


def save(m, f, _extra_files=None):
    """Write a scripted module to a file, by ``torch.save``.

    The file holds the module's state and the name of its class, but not the code of the class. The
    program that loads the file must be able to import the class.

    Args:
        m: The module.
        f: Name of the file, or a file object.
        _extra_files: Dict of further strings or bytes to store in the file, by name. Default: none.

    >>> import io
    >>> import rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.jit.save(torch.jit.script(torch.nn.ReLU()), file)
    >>> _ = file.seek(0)
    >>> torch.jit.load(file)
    ReLU()
    """
    extra = {k: v if isinstance(v, str) else bytes(v) for k, v in (_extra_files or {}).items()}
    rushlight.save({_MARK: m, "extra": extra}, f)


def load(f, map_location=None, _extra_files=None, _restore_shapes=False):
    """Read a scripted module from a file that ``save`` wrote.

    Unpickling can run arbitrary code, so read only files that you trust.

    Args:
        f: Name of the file, or a file object.
        map_location: As for ``torch.load``. Default: None.
        _extra_files: Dict whose keys name further strings in the file. Its values are replaced with
            the bytes of these strings, or with none where the file lacks the name. Default: none.
        _restore_shapes: Accepted without effect.

    Returns:
        The module.

    Raises:
        ValueError: the file does not exist or is a directory.
        RuntimeError: ``save`` did not write the file; for instance, PyTorch's TorchScript files
            hold bytecode for PyTorch's interpreter.

    >>> import io, rushlight as torch
    >>> file = io.BytesIO()
    >>> torch.jit.save(torch.jit.script(torch.nn.ReLU()), file)
    >>> _ = file.seek(0)
    >>> torch.jit.load(file)
    ReLU()
    """
    if isinstance(f, (str, os.PathLike)):
        if not os.path.exists(f):
            raise ValueError(f"The provided filename {os.fspath(f)} does not exist")
        if os.path.isdir(f):
            raise ValueError(f"The provided filename {os.fspath(f)} is a directory")
    if _is_torchscript(f):
        raise RuntimeError(
            "torch.jit.load: the file is PyTorch's TorchScript, compiled for its interpreter, "
            "which rushlight has not. Where the model's Python is at hand, save its state_dict() "
            "with PyTorch and load that"
        )
    found = rushlight.load(f, map_location=map_location, weights_only=False)
    if not isinstance(found, dict) or _MARK not in found:
        raise RuntimeError("torch.jit.load: the file was not written by torch.jit.save")
    for name in _extra_files or ():
        held = found["extra"].get(name, b"")
        _extra_files[name] = held.encode() if isinstance(held, str) else held
    return found[_MARK]


def _is_torchscript(f):
    begin = f.tell() if hasattr(f, "tell") else None
    try:
        with zipfile.ZipFile(f) as archive:
            return any(n.endswith("/constants.pkl") for n in archive.namelist())
    except (zipfile.BadZipFile, OSError, AttributeError):
        return False
    finally:
        if begin is not None:
            f.seek(begin)
