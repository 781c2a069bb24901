"""Read and write the files of a run. A file is always complete: it is never half written."""

import json
import pickle
import stat
import tempfile

import rushlight as torch
from rushlight.demo.options import DemoError
from rushlight.serialization import safetensors
from rushlight.serialization.atomic import replacing

__all__ = ["load_state", "load_tensors", "prepare", "save_state", "save_tensors", "write"]

FACTS = "rushlight"  # the name of the only text in a model's file; the text is JSON


def prepare(folder):
    """Create the output folder and make sure that files can be written there.

    Raises:
        DemoError: The folder cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DemoError(f"--out {folder}: {error.strerror or error}") from error


def write(path, content):
    """Write bytes so that the file holds, at every moment, all of its old or new content.

    Raises:
        DemoError: The file cannot be written; the old one is untouched.
    """
    with _writing(path), replacing(path) as file:
        file.write(content)


class _writing:
    """A context that turns the errors of writing ``path`` into DemoErrors."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        if _is_other(self.path):
            raise DemoError(f"{self.path} cannot be written: it is not a file")

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise DemoError(f"{self.path} cannot be written: {reason}") from error


def save_state(path, state):
    """Write a TrainingState."""
    with _writing(path):
        state.save(path)


def load_state(path):
    """Read the state that ``save_state`` wrote to a file.

    Raises:
        DemoError: The file is missing, damaged, or something else.
    """
    return _read(path, torch.load)


def save_tensors(path, tensors, facts):
    """Write named tensors, and facts that JSON can hold, as one safetensors file."""
    with _writing(path):
        safetensors.save_file(tensors, path, {FACTS: json.dumps(facts)})


def load_tensors(path):
    """Read what ``save_tensors`` wrote: the tensors by name, and the facts.

    Raises:
        DemoError: The file is missing, damaged, or something else.
    """
    tensors = _read(path, safetensors.load_file)
    return tensors, _read(path, lambda path: json.loads(safetensors.metadata(path)[FACTS]))


def _read(path, read):
    if _is_other(path):
        raise DemoError(f"{path} cannot be read: it is not a file")
    try:
        return read(path)
    except OSError as error:
        raise DemoError(f"{path} cannot be read: {error.strerror or error}") from error
    except (EOFError, KeyError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise DemoError(f"{path} is damaged, or is not a file of this demo: {error}") from error


def _is_other(path):
    """True for a folder, a device or a pipe, which could keep its reader or writer waiting."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # the file does not exist, or opening it will raise the proper error
        return False
