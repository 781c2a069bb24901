"""Read and write safetensors files: a JSON header with each tensor's place, and the bytes.

The functions have the names of those in the package ``safetensors.torch``. (That package also runs
on rushlight.) A file holds only tensors and text, so that no file can do harm.

Source: https://github.com/huggingface/safetensors#format.
"""

import json
import math
import mmap as maps
import os
import struct
from collections import defaultdict

import numpy as np

import rushlight as torch
from rushlight.device import META, require
from rushlight.serialization.atomic import replacing
from rushlight.serialization.guard import brief
from rushlight.storage import foreign
from rushlight.tensor import Tensor, from_array

__all__ = ["load", "load_file", "load_model", "metadata", "save", "save_file", "save_model"]

# In reverse order of a file: a file stores the tensors of the last dtype first. The widest dtypes
# come first, so that each tensor begins at a multiple of its itemsize.
_DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu,
    "U16": torch.uint16, "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32,
    "U32": torch.uint32, "F32": torch.float32, "C64": torch.complex64, "F64": torch.float64,
    "I64": torch.int64, "U64": torch.uint64,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ORDER = {dtype: -place for place, dtype in enumerate(_DTYPES.values())}
_MOST = 100_000_000  # largest allowed header, in bytes
_MOST_DIMS = 64  # NumPy's limit


# Writing ----------------------------------------------------------------------------------


def save(tensors, metadata=None):
    """Return the bytes of a safetensors file.

    Args:
        tensors: Dict of contiguous tensors by name.
        metadata: Dict of texts by name. Default: none.

    Returns:
        Bytes.

    Raises:
        ValueError: ``tensors`` is not a dict of contiguous tensors, or the format lacks a dtype.
        RuntimeError: two of the tensors share memory.

    >>> import rushlight as torch
    >>> from rushlight.serialization.safetensors import load, save
    >>> load(save({"x": torch.tensor([1, 2])}))
    {'x': tensor([1, 2])}
    """
    return b"".join(_pieces(tensors, metadata, "save"))


def save_file(tensors, filename, metadata=None):
    """Write tensors to a safetensors file.

    At every moment the file holds all of its old or all of its new content.

    Args:
        tensors: Dict of contiguous tensors by name.
        filename: Name of the file.
        metadata: Dict of texts by name. Default: none.

    Raises:
        ValueError: ``tensors`` is not a dict of contiguous tensors, or the format lacks a dtype.
        RuntimeError: Two of the tensors share memory.

    >>> import os, tempfile, rushlight as torch
    >>> from rushlight.serialization.safetensors import load_file, save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     save_file({"x": torch.ones(2)}, path)
    ...     load_file(path)
    {'x': tensor([1., 1.])}
    """
    pieces = _pieces(tensors, metadata, "save_file")
    with replacing(filename, "save_file") as file:
        for piece in pieces:
            file.write(piece)


def _pieces(tensors, metadata, name):
    """Return a list: the header's bytes, then each tensor's memory in the order of the file."""
    if not isinstance(tensors, dict):
        raise ValueError(f"{name}: expected a dict of tensors, got {type(tensors).__name__}")
    for key, t in tensors.items():
        _check(key, t, name)
    shared = [names for names in _sharing(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            f"{name}: tensors that share memory would be written twice: {shared}. Write a model by "
            "save_model, or clone() all but one"
        )
    ordered = sorted(tensors.items(), key=lambda item: (_ORDER[item[1].dtype], item[0]))
    header: dict = {} if metadata is None else {"__metadata__": _texts(metadata, name)}
    start = 0
    for key, t in ordered:
        end = start + t.nbytes
        header[key] = {
            "dtype": _NAMES[t.dtype],
            "shape": list(t.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    arrays = [t.detach().cpu()._array.reshape(-1).view(np.uint8) for _, t in ordered]
    return [struct.pack("<Q", len(text)) + text, *[memoryview(a) for a in arrays]]


def _check(key, t, name):
    if not isinstance(key, str) or not isinstance(t, Tensor):
        raise ValueError(f"{name}: {key!r} is not a tensor by its name, but {type(t).__name__}")
    if t.dtype not in _NAMES:
        raise ValueError(f"{name}: {key} has type {t.dtype}, which safetensors does not have")
    if not t.is_contiguous():
        raise ValueError(f"{name}: {key} is not contiguous: contiguous() it")


def _texts(metadata, name):
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"{name}: metadata must be texts by name, got {key!r}: {value!r}")
    return dict(metadata)


def _sharing(tensors):
    """Yield lists of names; the tensors of each list overlap in memory."""
    storages = defaultdict(list)
    for name, t in tensors.items():
        if t.numel():
            last = sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
            start = t.data_ptr()
            end = start + (last + 1) * t.element_size()
            storages[t.untyped_storage().data_ptr()].append((start, end, name))
    for places in storages.values():
        group: list[str] = []
        reached = 0
        for start, end, name in sorted(places):
            if group and start >= reached:
                yield sorted(group)
                group = []
            group.append(name)
            reached = max(reached, end)
        yield sorted(group)


# Reading ----------------------------------------------------------------------------------


def load(data):
    """Return the tensors in the bytes of a safetensors file.

    Args:
        data: Bytes.

    Returns:
        Dict of tensors by name.

    Raises:
        RuntimeError: ``data`` is damaged or no safetensors file.

    >>> import rushlight as torch
    >>> from rushlight.serialization.safetensors import load, save
    >>> load(save({"x": torch.ones(1, 2)}))["x"].shape
    torch.Size([1, 2])
    """
    data = memoryview(data)
    begin, _, entries = _header(data[: _MOST + 8], len(data), "load")
    return {
        name: _tensor(bytearray(data[begin + a : begin + b]), *of) for name, a, b, *of in entries
    }


def load_file(filename, device="cpu", *, mmap=False):
    """Return the tensors in a safetensors file.

    Args:
        filename: Name of the file.
        device: The CPU, the only device. Default: ``"cpu"``.
        mmap: Map the file to memory, so that the system reads a tensor when it is used. Writes to
            mapped tensors stay in memory. Default: False.

    Returns:
        Dict of tensors by name.

    Raises:
        RuntimeError: The file is damaged or no safetensors file.

    >>> import os, tempfile, rushlight as torch
    >>> from rushlight.serialization.safetensors import load_file, save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     save_file({"x": torch.ones(2)}, path)
    ...     load_file(path)["x"]
    tensor([1., 1.])
    """
    if require(device) is META:
        return {name: t.to(META) for name, t in load_file(filename, mmap=True).items()}
    with open(filename, "rb") as file:
        begin, _, entries = _header_of(file, "load_file")
        if not mmap:
            return {name: _read(file, begin + a, b - a, *of) for name, a, b, *of in entries}
        mapped = maps.mmap(file.fileno(), 0, access=maps.ACCESS_COPY)
        memory = np.frombuffer(mapped, np.uint8)[begin:]
    return {name: _tensor(foreign(memory[a:b]), *of) for name, a, b, *of in entries}


def metadata(filename):
    """Return the texts that a safetensors file holds beside its tensors.

    Args:
        filename: Name of the file.

    Returns:
        Dict of texts by name.

    >>> import os, tempfile
    >>> from rushlight.serialization.safetensors import metadata, save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     save_file({}, path, {"author": "me"})
    ...     metadata(path)
    {'author': 'me'}
    """
    with open(filename, "rb") as file:
        return _header_of(file, "metadata")[1]


def _read(file, start, nbytes, dtype, shape):
    memory = np.empty(nbytes, np.uint8)
    file.seek(start)
    if file.readinto(memory) != nbytes:
        raise RuntimeError("load_file: the file became shorter while it was read")
    return _tensor(memory, dtype, shape)


def _tensor(memory, dtype, shape):
    return from_array(np.frombuffer(memory, np.uint8).view(dtype.numpy).reshape(shape))


def _header_of(file, name):
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    return _header(head + file.read(min(length, _MOST)), size, name)


def _header(head, size, name):
    """Parse and check the header; ``size`` is the size of the file in bytes.

    Returns the offset of the tensors in the file, the texts by name, and a list of
    (name, start, end, dtype, shape). ``start`` and ``end`` count from the tensors' offset.
    """
    try:
        (length,) = struct.unpack("<Q", bytes(head[:8]))
        if length > min(_MOST, size - 8):
            raise ValueError(f"a header of {length} bytes")
        facts = json.loads(bytes(head[8 : 8 + length]), object_pairs_hook=_unique)
        texts = facts.pop("__metadata__", {})
        entries = sorted([_entry(key, **fact) for key, fact in facts.items()], key=lambda e: e[1:3])
        reached = 0
        for key, start, end, dtype, shape in entries:
            if start != reached or end - start != math.prod(shape) * dtype.itemsize:
                raise ValueError(
                    f"{key} of shape {shape}, {dtype} cannot lie from {start} to {end}"
                )
            reached = end
        if reached != size - 8 - length:
            raise ValueError(f"{size - 8 - length} bytes of tensors where {reached} are described")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, struct.error) as error:
        raise RuntimeError(
            f"{name}: damaged, or not safetensors: {type(error).__name__}: {str(error)[:500]}"
        ) from error
    return 8 + length, texts, entries


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _entry(name, *, dtype, shape, data_offsets):
    start, end = data_offsets
    if dtype not in _DTYPES:
        raise ValueError(f"{name} has type {dtype}, which rushlight does not have")
    if len(shape) > _MOST_DIMS or any(
        type(n) is not int or not 0 <= n < 1 << 63 for n in (*shape, start, end)
    ):
        raise ValueError(f"{name} has shape {brief(shape)}, and lies from {start} to {end}")
    return name, start, end, _DTYPES[dtype], tuple(shape)


# Models -----------------------------------------------------------------------------------


def save_model(model, filename, metadata=None, force_contiguous=True):
    """Write a model's state dict to a safetensors file.

    Of several tensors that share memory, one is written. The names of the others are written as
    texts that refer to its name.

    Args:
        model: The Module.
        filename: Name of the file.
        metadata: Dict of further texts by name. Default: none.
        force_contiguous: Write tensors that are not contiguous, as contiguous copies.
            Default: True.

    Raises:
        RuntimeError: several tensors share memory, and none of them covers all of that memory.

    >>> import os, tempfile, rushlight as torch
    >>> from rushlight.serialization.safetensors import load_file, metadata, save_model
    >>> layer = torch.nn.Linear(2, 2, bias=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     save_model(torch.nn.Sequential(layer, layer), path)
    ...     list(load_file(path)), metadata(path)
    (['0.weight'], {'1.weight': '0.weight'})
    """
    state = model.state_dict()
    texts = dict(metadata or {})
    for kept, others in _doubles(state).items():
        for name in others:
            texts.setdefault(name, kept)
            del state[name]
    if force_contiguous:
        state = {name: t.contiguous() for name, t in state.items()}
    save_file(dict(state), filename, texts or None)


def load_model(model, filename, strict=True, device="cpu"):
    """Load a file of ``save_model`` into a model.

    Args:
        model: The Module, whose parameters and buffers are written.
        filename: Name of the file.
        strict: Refuse missing and unexpected names. Default: True.
        device: The CPU, the only device. Default: ``"cpu"``.

    Returns:
        Tuple of the set of missing names and the list of unexpected names.

    Raises:
        RuntimeError: Shapes differ; or, with ``strict``, names are missing or unexpected.

    >>> import os, tempfile, rushlight as torch
    >>> from rushlight.serialization.safetensors import load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     save_model(torch.nn.Linear(2, 1), path)
    ...     load_model(torch.nn.Linear(2, 1), path)
    (set(), [])
    """
    state = load_file(filename, device)
    doubles = _doubles(model.state_dict(), preferred=state)
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = set(missing)
    for name in [name for others in doubles.values() for name in others]:
        if name in missing:
            missing.remove(name)
        else:
            unexpected.append(name)
    if strict and (missing or unexpected):
        raise RuntimeError(
            f"load_model: Error(s) in loading state_dict for {type(model).__name__}: missing "
            f"{sorted(missing)}, unexpected {sorted(unexpected)}"
        )
    return missing, unexpected


def _doubles(state, preferred=()):
    """Group the names of tensors that share memory.

    Returns a dict from the name whose tensor is kept to the other names of the same memory. Names
    in ``preferred`` are kept rather than others.
    """
    found = {}
    for names in _sharing(state):
        if len(names) == 1:
            continue
        whole = [n for n in names if state[n].nbytes == state[n].untyped_storage().nbytes()]
        if not whole:
            raise RuntimeError(
                f"save_model: {names} share memory, and none of them is all of it: clone() them"
            )
        kept = next((name for name in whole if name in preferred), whole[0])
        found[kept] = [name for name in names if name != kept]
    return found
