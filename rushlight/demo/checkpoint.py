"""What stays on disk: whole files or none, tensors in safetensors, everything else in JSON."""

import json
import os

import safetensors
import safetensors.numpy

import rushlight as torch
from rushlight.demo.options import DemoError

__all__ = ["load_tensors", "prepare", "save_tensors", "write"]

FACTS = "rushlight"  # one key only: safetensors writes several in no fixed order


def prepare(folder):
    """Create the output folder and make sure that it can be written.

    Raises:
        DemoError: It cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = _temporary(folder / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DemoError(f"--out {folder}: {error.strerror or error}") from error


def write(path, content):
    """Write bytes so that the file is, at every moment, the old one or the new one.

    Raises:
        DemoError: The file cannot be written; the old one is untouched.
    """
    temporary = _temporary(path)
    try:
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DemoError(f"{path} cannot be written: {error.strerror or error}") from error


def save_tensors(path, tensors, facts):
    """Write named tensors, and facts that JSON can hold, as one safetensors file."""
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    write(path, safetensors.numpy.save(arrays, metadata={FACTS: json.dumps(facts)}))


def load_tensors(path):
    """Read what ``save_tensors`` wrote: the tensors by name, and the facts.

    Raises:
        DemoError: The file is missing, damaged, or something else.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {})[FACTS])
            names = file.keys()
            tensors = {name: torch.from_numpy(file.get_tensor(name)) for name in names}
    except OSError as error:
        raise DemoError(f"{path} cannot be read: {error.strerror or error}") from error
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise DemoError(f"{path} is damaged, or is not a file of this demo: {error}") from error
    return tensors, facts


def _temporary(path):
    """A name beside ``path`` that no other process uses."""
    return path.with_name(f".{path.name}.{os.getpid()}")
