"""Files of scripted modules: pickles of the module, which load where its class can be imported."""

import os
import zipfile

import rushlight

__all__ = ["load", "save"]

_MARK = "rushlight.jit"


def save(m, f, _extra_files=None):
    """Write a scripted module to a file: ``torch.save`` of it, with strings to go along.

    The file holds the module's state and the name of its class, not its code, which must be
    importable where it is loaded.

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
    """Read a file of ``save``; the dict ``_extra_files`` gets the strings that it names.

    As any unpickling of classes this runs their code: read only files that you trust.

    Raises:
        ValueError: there is no such file.
        RuntimeError: it is no such file; for instance one of TorchScript, which holds PyTorch's
            bytecode.
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
        if name in found["extra"]:
            _extra_files[name] = found["extra"][name]
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
