"""Tables that map the names in a ``.pt`` file to rushlight's objects, and back.

A file holds no code. Its pickle refers to functions that build tensors, to dtypes and to classes by
PyTorch's module and name. Rushlight writes the same names, so that PyTorch and rushlight read each
other's files.
"""

import codecs
import importlib
from collections import Counter, OrderedDict

import numpy as np

from rushlight.device import device
from rushlight.device_array import DeviceArray, DeviceMemory
from rushlight.dtype import DTYPES, TENSOR_TYPES, uint8
from rushlight.dtype import dtype as DType
from rushlight.meta import MetaArray, MetaMemory, is_meta
from rushlight.nn.modules import PARTS
from rushlight.nn.parameter import Parameter
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ops.tensor import memory_format
from rushlight.random import Generator
from rushlight.remote import Memory, RemoteStorage
from rushlight.serialization.guard import brief
from rushlight.storage import Storage, check_reach, reach, span, strided
from rushlight.tensor import Size, Tensor, from_array
from rushlight.typed_storage import NAMES as OLD_NAMES
from rushlight.typed_storage import TypedStorage

__all__ = [
    "CALLS", "CLASSES", "MISSING", "DimRange", "UNTYPED", "VALUES", "StorageType", "SavedStorage",
    "check_geometry", "encode", "get_layout", "make_bytearray", "marks", "rebuild_from_type",
    "rebuild_jagged", "rebuild_nested", "rebuild_sparse_tensor",
    "rebuild_parameter", "rebuild_parameter_with_state", "rebuild_tensor", "rebuild_tensor_v2",
    "rebuild_tensor_v3", "rebuild_wrapper", "refuse_missing", "resolve", "storage_type",
    "torch_name",
]  # fmt: skip


_MOST_DIMS = 64  # NumPy's limit


class StorageType:
    """Stands for one of PyTorch's storage classes, such as ``torch.FloatStorage`` for float32."""

    __slots__ = ("dtype", "name")

    def __init__(self, name, dtype):
        self.name = name
        self.dtype = dtype


class SavedStorage(Storage):
    """A storage together with the dtype that a file will give for it."""

    __slots__ = ("dtype",)

    def __init__(self, array, dtype):
        if isinstance(array, Memory):  # not on the CPU
            self._owner = array
        else:
            super().__init__(array)
        self.dtype = dtype

    @property
    def bytes(self):
        owner = self._owner
        return owner.bytes() if isinstance(owner, Memory) else super().bytes

    @property
    def device(self):
        owner = self._owner
        return owner.device if isinstance(owner, Memory) else super().device

    def nbytes(self):
        # An array with gaps has fewer bytes than the memory that it lies in.
        owner = self._owner
        return owner.nbytes if isinstance(owner, Memory) else super().nbytes()


def typed(memory, dtype):
    """Return a storage of ``dtype`` over an array, or over memory that is not on the CPU."""
    storage = RemoteStorage(memory) if isinstance(memory, Memory) else Storage(memory)
    return TypedStorage(wrap_storage=storage, dtype=dtype)


_TYPED = {d: StorageType(name, d) for d, name in OLD_NAMES.items()}
UNTYPED = StorageType("UntypedStorage", uint8)


def storage_type(dtype):
    """Return the storage class of ``dtype``; ``UNTYPED`` if PyTorch has no class for the dtype."""
    return _TYPED.get(dtype, UNTYPED)


# What a file may call ---------------------------------------------------------------------


def check_geometry(start, size, stride):
    """Refuse a storage offset, size and stride that no tensor can have, before using them.

    Raises:
        RuntimeError: a value is no int or outside [0, 2**63), there are more than 64 dims, or
            ``size`` and ``stride`` differ in length.
    """
    if not (
        isinstance(size, (tuple, list))
        and isinstance(stride, (tuple, list))
        and len(size) == len(stride) <= _MOST_DIMS
        and all(type(n) is int and 0 <= n < 1 << 63 for n in (start, *size, *stride))
    ):
        raise RuntimeError(
            f"load: a tensor cannot have size {brief(size)}, stride {brief(stride)} and storage "
            f"offset {brief(start)}"
        )


def marks(metadata):
    """Return (conj, neg): True for each lazy operation that a tensor's metadata marks as pending.

    Returns () if neither is marked.
    """
    if type(metadata) is not dict:
        return ()
    found = metadata.get("conj") is True, metadata.get("neg") is True
    return found if any(found) else ()


def _tensor(storage, dtype, start, size, stride, requires_grad, metadata):
    if isinstance(storage, TypedStorage):
        storage = storage.untyped()
    if not isinstance(storage, Storage) or not isinstance(dtype, DType):
        raise TypeError(f"load: a tensor needs a storage and a dtype, not {brief(storage)}")
    check_geometry(start, size, stride)
    if type(storage._owner) is MetaMemory:
        return rebuild_meta_tensor(dtype, size, stride, requires_grad, storage._owner, start)
    if isinstance(storage._owner, DeviceMemory):
        check_reach(storage._owner.nbytes, dtype.itemsize, size, stride, start, "load")
        steps = tuple([s * dtype.itemsize for s in stride])
        at = start * dtype.itemsize
        t = from_array(DeviceArray(tuple(size), dtype.numpy, steps, storage._owner, at))
        return t.requires_grad_(True) if requires_grad is True else t
    memory = storage.bytes
    memory = memory[: memory.size // dtype.itemsize * dtype.itemsize].view(dtype.numpy)
    array = reach(memory, tuple(size), tuple(stride), start, "load")
    if marks(metadata):
        array = _resolved(memory[start : start + span(size, stride)], array, *marks(metadata))
    t = from_array(array)
    return t.requires_grad_(True) if requires_grad is True else t


def rebuild_meta_tensor(dtype, size, stride, requires_grad, memory=None, start=0):
    """Build a tensor on the device ``meta``, in ``memory`` if that is given."""
    if not isinstance(dtype, DType):
        raise TypeError(f"load: a tensor needs a dtype, not {brief(dtype)}")
    check_geometry(start, size, stride)
    steps = tuple([s * dtype.itemsize for s in stride])
    t = from_array(MetaArray(size, dtype.numpy, steps, memory, start * dtype.itemsize))
    return t.requires_grad_(True) if requires_grad is True else t


def rebuild_wrapper(cls, dtype, size, stride, start, layout, device, requires_grad):
    """Build an object of ``cls``, a class with ``__torch_dispatch__``, without attributes."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor) and isinstance(dtype, DType)):
        raise TypeError(f"load: a tensor needs a class and a dtype, not {brief((cls, dtype))}")
    check_geometry(start, size, stride)
    return Tensor._make_wrapper_subclass(
        cls, size, strides=stride, storage_offset=start, dtype=dtype, device=device,
        requires_grad=requires_grad is True,
    )  # fmt: skip


def _resolved(spanned, array, conj, neg):
    """Apply the pending conjugation and negation to a copy of the memory.

    ``spanned`` is the memory from the first element of ``array`` to the last. The operations run on
    it, not on ``array``, so that elements which share a place in memory are computed once.
    """
    copy = np.conj(spanned) if conj else spanned
    copy = np.negative(copy) if neg else copy
    return strided(copy, array.shape, array.strides)


def rebuild_tensor(storage, storage_offset, size, stride):
    """Build a tensor that is a view of a storage."""
    return _tensor(storage, storage.dtype, storage_offset, size, stride, False, None)


def rebuild_tensor_v2(
    storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None
):
    """Build a tensor that is a view of a storage, with its ``requires_grad``."""
    return _tensor(storage, storage.dtype, storage_offset, size, stride, requires_grad, metadata)


def rebuild_tensor_v3(
    storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype, metadata=None
):
    """Build a tensor of ``dtype`` that is a view of an untyped storage."""
    return _tensor(storage, dtype, storage_offset, size, stride, requires_grad, metadata)


def rebuild_parameter(data, requires_grad, backward_hooks):
    """Build a Parameter that holds ``data``."""
    return Parameter(data, requires_grad is True)


def rebuild_parameter_with_state(data, requires_grad, backward_hooks, state):
    """Build a Parameter that holds ``data`` and has the attributes in ``state``."""
    return _with_state(Parameter(data, requires_grad is True), state)


def rebuild_from_type(function, cls, args, state):
    """Turn the tensor ``function(*args)`` into a ``cls`` that has the attributes in ``state``."""
    t = function(*args)
    if not isinstance(t, cls):
        t = Tensor._make_subclass(cls, t, t.requires_grad)
    return _with_state(t, state)


def _with_state(t, state):
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    t.__dict__.update(attributes or {})
    for name, value in (slots or {}).items():
        if hasattr(Tensor, name):
            raise RuntimeError(f"load: a tensor's state cannot hold {brief(name)}")
        setattr(t, name, value)
    return t


def get_layout(name):
    """Return the layout that PyTorch calls ``name``."""
    prefix, _, short = name.partition(".")
    found = getattr(memory_format, short, None)
    if prefix != "torch" or not isinstance(found, memory_format.layout):
        raise RuntimeError(f"load: there is no layout {brief(name)}")
    return found


def rebuild_sparse_tensor(layout, data):
    """Build a sparse tensor from its parts: indices, values, size, and whether it is coalesced."""
    from rushlight.sparse.construction import sparse_compressed_tensor, sparse_coo_tensor
    from rushlight.sparse.container import compressed, coo

    merged = None
    if layout is _COO and len(data) == 4:
        *data, merged = data
    *tensors, size = data
    if not all(isinstance(t, Tensor) for t in tensors) or not isinstance(size, tuple):
        raise TypeError(f"load: a sparse tensor needs tensors and a size, not {brief(data)}")
    if len(tensors) != (2 if layout is _COO else 3):
        raise TypeError(f"load: {layout} does not have {len(tensors)} tensors")
    parts = [t.detach() for t in tensors]
    if is_meta(parts[-1]):  # there are no indices that could be checked
        *pattern, values = parts
        if layout is _COO:
            return coo(pattern[0], values, size, merged is True)
        return compressed(layout, tuple(pattern), values, size)
    if layout is _COO:
        indices, values = parts
        return sparse_coo_tensor(indices, values, size, is_coalesced=merged is True)
    starts, plain, values = parts
    return sparse_compressed_tensor(starts, plain, values, size, layout=layout)


def rebuild_jagged(parts):
    """Build a jagged nested tensor from its parts: values, offsets, lengths, and what is known."""
    from rushlight.nested.construction import nested_tensor_from_jagged

    values, offsets, lengths = (parts[name] for name in ("values", "offsets", "lengths"))
    known = parts["_metadata_cache"] or {}
    ends = [known.get(name) for name in ("min_seqlen", "max_seqlen")]
    for t in (values, offsets, *[t for t in (lengths, *ends) if t is not None]):
        if not isinstance(t, Tensor):
            raise TypeError(f"load: a nested tensor is made of tensors, not of {brief(t)}")
    found = nested_tensor_from_jagged(
        values.detach(), offsets, lengths, parts["_ragged_idx"],
        *[None if t is None else t.shape[0] for t in ends],
    )  # fmt: skip
    return found.requires_grad_(parts["requires_grad"])


def rebuild_nested(buffer, sizes, strides, offsets):
    """Build a strided nested tensor: each part has a shape, strides and a place in the buffer."""
    from rushlight.nested.strided import from_list

    for t in (buffer, sizes, strides, offsets):
        if not isinstance(t, Tensor):
            raise TypeError(f"load: a nested tensor is made of tensors, not of {brief(t)}")
    geometry = list(zip(sizes.tolist(), strides.tolist(), offsets.tolist(), strict=True))
    for size, stride, offset in geometry:
        check_geometry(offset, size, stride)
    parts = [buffer.detach().as_strided(*part) for part in geometry]
    return from_list(parts, buffer.dtype, None).requires_grad_(buffer.requires_grad)


class DimRange:
    """Stands for a note of PyTorch's compiler on a nested tensor. It has no effect here."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


_COO = memory_format.sparse_coo
_LATIN1 = ("latin1", "latin-1")


def encode(text, encoding):
    """Return the bytes that pickle protocols below 3 write as Latin-1 text."""
    if encoding not in _LATIN1:
        raise ValueError(f"load: bytes are spelt in latin1, not in {brief(encoding)}")
    return codecs.latin_1_encode(text)[0]


def make_bytearray(content=b"", encoding=None):
    """Build a bytearray from bytes, or from a text and its encoding (Latin-1)."""
    if isinstance(content, int):
        raise ValueError("load: a bytearray is made of its bytes, not of a size")
    return bytearray(content if encoding is None else encode(content, encoding))


# The tables -------------------------------------------------------------------------------

#: PyTorch's functions and classes, by module and name, that rushlight replaces by its own.
_FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): rebuild_tensor_v3,
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): rebuild_meta_tensor,
    ("torch._utils", "_rebuild_wrapper_subclass"): rebuild_wrapper,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch._utils", "_rebuild_sparse_tensor"): rebuild_sparse_tensor,
    ("torch._utils", "_rebuild_nested_tensor"): rebuild_nested,
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): rebuild_jagged,
    ("torch._dynamo.decorators", "_DimRange"): DimRange,
    ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter_with_state,
    ("torch._tensor", "_rebuild_from_type_v2"): rebuild_from_type,
    ("torch.serialization", "_get_layout"): get_layout,
    ("torch", "Size"): Size,
    ("torch", "device"): device,
}
#: The functions and classes that a file may call under ``weights_only``.
CALLS = {
    **_FUNCTIONS,
    ("_codecs", "encode"): encode,
    ("builtins", "bytearray"): make_bytearray,
    ("builtins", "complex"): complex,
    ("builtins", "set"): set,
    ("collections", "Counter"): Counter,
    ("collections", "OrderedDict"): OrderedDict,
}
#: Classes that a file may name but not call.
CLASSES = {
    # ``rebuild_jagged`` makes tensors of the right class; the name comes first, because the last
    # name of a class is the one that files get.
    ("torch.nested._internal.nested_tensor", "NestedTensor"): Tensor,
    ("torch", "Tensor"): Tensor,
    ("torch.nn.parameter", "Parameter"): Parameter,
}
#: Objects that a file may name and that are neither called nor filled: dtypes, storage classes.
VALUES = {
    **{("torch", d.name): d for d in DTYPES},
    **{("torch", kind.name): kind for kind in _TYPED.values()},
    **{
        ("torch", n.removeprefix("torch.")): FUNCTIONS[n.removeprefix("torch.")]
        for n in TENSOR_TYPES
    },
    ("torch", "UntypedStorage"): UNTYPED,
    ("torch.storage", "UntypedStorage"): UNTYPED,
}
_MISSING_TYPES = """
    bits16 bits1x8 bits2x4 bits4x2 bits8 complex32 float4_e2m1fn_x2
    int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3
    uint4 uint5 uint6 uint7 qint32 qint8 quint2x4 quint4x2 quint8 per_channel_affine
    per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine per_tensor_symmetric
    QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage"""
_MISSING_TENSORS = """
    device_tensor_from_cpu_tensor device_tensor_from_numpy qtensor"""
#: Names that PyTorch's files may hold and for which rushlight has no counterpart.
MISSING = frozenset(
    [("torch", name) for name in _MISSING_TYPES.split()]
    + [("torch._utils", f"_rebuild_{name}") for name in _MISSING_TENSORS.split()]
).difference(VALUES)
#: From the id of each object above to PyTorch's (module, name).
_NAMES = {
    id(v): k
    for k, v in {
        **_FUNCTIONS, **CLASSES, **VALUES, ("torch._C", "Generator"): Generator,
    }.items()
}  # fmt: skip
#: From rushlight's module (or class) to PyTorch's module, where the two paths differ.
_MOVED = {
    **{
        f"rushlight.nn.modules.{part}": f"torch.nn.modules.{home}"
        for home, parts in PARTS.items()
        for part in parts
    },
    "rushlight.autograd.hooks": "torch.utils.hooks",
    "rushlight.nested.jagged": "torch.nested._internal.nested_tensor",
    "rushlight.nn.functional": "torch.nn.functional",
    "rushlight.nn.modules.hooks": "torch.nn.modules.module",
    "rushlight.nn.modules.shuffle.ChannelShuffle": "torch.nn.modules.channelshuffle",
    "rushlight.nn.modules.shuffle": "torch.nn.modules.pixelshuffle",
    "rushlight.nn.uninitialized": "torch.nn.parameter",
    "rushlight.nn.utils.pruning_methods": "torch.nn.utils.prune",
    "rushlight.optim.adafactor": "torch.optim",
    "rushlight.optim.lr_scheduler": "torch.optim.lr_scheduler",
    "rushlight.optim.muon": "torch.optim",
}
#: From rushlight's module to torchvision's module, where the two paths differ.
_VISION = {
    **{
        f"rushlight.vision.transforms.{part}": "torchvision.transforms.transforms"
        for part in ("color", "compose", "convert", "crop", "warp")
    },
    "rushlight.vision.transforms.auto": "torchvision.transforms.autoaugment",
    **{
        f"rushlight.vision.transforms.functional.{part}": "torchvision.transforms.functional"
        for part in ("color", "convert", "filters", "interpolation", "size", "warp")
    },
    "rushlight.vision.transforms.presets": "torchvision.transforms._presets",
}


def torch_name(value):
    """Return PyTorch's (module, name) for rushlight's object ``value``.

    Returns None if ``value`` does not belong to rushlight.
    """
    if id(value) in _NAMES:
        return _NAMES[id(value)]
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or name is None or module.partition(".")[0] != "rushlight":
        return None
    if module.startswith("rushlight.ops."):
        return ("torch" if name in FUNCTIONS else "torch.nn.functional"), name
    for ours, theirs in _MOVED.items():
        if f"{module}.{name}.".startswith(ours + "."):
            return theirs, name
    if module in _VISION:
        return _VISION[module], name
    if module.startswith("rushlight.vision"):
        return "torchvision" + module.removeprefix("rushlight.vision"), name
    return "torch" + module.removeprefix("rushlight"), name


def refuse_missing(module, name):
    """Raise an error if ``module.name`` is a feature of PyTorch that rushlight does not have.

    Raises:
        RuntimeError: (module, name) is in ``MISSING``.
    """
    if (module, name) in MISSING:
        raise RuntimeError(
            f"load: the file holds {module}.{name}, which rushlight does not have: convert it with "
            "PyTorch to a dense tensor of another type and save it again"
        )


def resolve(module, name):
    """Return rushlight's object for PyTorch's ``module.name``.

    The name is looked up in the tables, then in rushlight's module of the same path, then in each
    package around that module.

    Raises:
        AttributeError: rushlight does not have the name.
        RuntimeError: the name stands for a kind of tensor that rushlight does not have.
    """
    refuse_missing(module, name)
    for table in (CALLS, CLASSES, VALUES):
        if (module, name) in table:
            return table[module, name]
    ours = "rushlight.vision" if module.partition(".")[0] == "torchvision" else "rushlight"
    place = ours + module[len(module.partition(".")[0]) :]
    while place:
        try:
            found = importlib.import_module(place)
            for part in name.split("."):
                found = getattr(found, part)
            return found
        except (ModuleNotFoundError, AttributeError):
            place = place.rpartition(".")[0]
    raise AttributeError(f"load: the file names {module}.{name}, which rushlight does not have")
