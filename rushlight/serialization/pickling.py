"""Write and read the pickle of a ``.pt`` file.

In the pickle each tensor refers to a storage, and each storage refers to a record of the archive.
"""

import pickle
import sys
from collections import OrderedDict
from functools import cache, reduce
from io import BytesIO
from types import FunctionType

from rushlight.autograd.tape import refresh
from rushlight.dtype import dtype
from rushlight.handled import is_handled
from rushlight.meta import MetaMemory, is_meta
from rushlight.nn.parameter import Parameter
from rushlight.ops.tensor.copying import state_of
from rushlight.ops.tensor.memory_format import layout
from rushlight.remote import RemoteStorage, is_remote
from rushlight.serialization import names
from rushlight.serialization.guard import brief
from rushlight.serialization.locations import location_tag, on_meta, placement
from rushlight.serialization.nesting import DeepPickler
from rushlight.storage import Storage, offset, strides_of
from rushlight.tensor import Tensor, from_array
from rushlight.typed_storage import TypedStorage

__all__ = ["FullUnpickler", "Storages", "TensorPickler", "pickled"]


def pickled(value, protocol, module=pickle):
    """Pickle ``value``.

    Returns the bytes of the pickle, and a list of the storages' bytes as arrays. A storage's index
    in the list is its key in the pickle. ``module`` has another ``Pickler``, such as cloudpickle's.
    """
    stream = BytesIO()
    pickler = (TensorPickler if module is pickle else _pickler_of(module))(stream, protocol)
    pickler.dump(value)
    return stream.getvalue(), [storage.bytes for storage in pickler.storages]


class _Tensors:
    """The part of a pickler that writes tensors and their storages."""

    def __init__(self, file, protocol):
        super().__init__(file, protocol)  # type: ignore[call-arg]
        self.storages: list = []
        self._keys: dict = {}  # address of the storage's owner → (key, dtype)

    def persistent_id(self, value):
        if isinstance(value, TypedStorage):
            value = names.SavedStorage(value.untyped()._owner, value.dtype)
        if not isinstance(value, Storage):
            return None
        kind = names.storage_type(getattr(value, "dtype", None))
        key = self._key(value, kind)
        return "storage", kind, str(key), location_tag(value), value.nbytes() // kind.dtype.itemsize

    def _key(self, storage, kind):
        owner = id(storage._owner)  # the id stays unique because self.storages keeps it alive
        key, known = self._keys.setdefault(owner, (len(self.storages), kind))
        if key == len(self.storages):
            self.storages.append(storage)
        if known is not kind and storage.nbytes():  # PyTorch tells storages by their addresses
            raise RuntimeError(
                "save: Cannot save multiple tensors or storages that view the same data as "
                f"different types: torch.{known.name} and torch.{kind.name}; clone() one of them"
            )
        return key

    def reducer_override(self, value):
        if isinstance(value, Tensor):
            return self._reduce_tensor(value)
        if isinstance(value, (dtype, names.StorageType)):
            return value.name
        if isinstance(value, layout):
            return names.get_layout, (repr(value),)
        return NotImplemented

    def _reduce_tensor(self, t):
        cls = type(t)
        if cls.__reduce_ex__ not in (Tensor.__reduce_ex__, Parameter.__reduce_ex__):
            return NotImplemented  # a subclass that defines its own __reduce_ex__
        state = state_of(t)
        if isinstance(t, Parameter) and cls.__reduce_ex__ is Parameter.__reduce_ex__:
            args: tuple = (t.data, t.requires_grad, OrderedDict())
            if state:
                return names.rebuild_parameter_with_state, (*args, state)
            return names.rebuild_parameter, args
        function, args = _rebuilt(t)
        if cls is Tensor and not state:
            return function, args
        return names.rebuild_from_type, (function, cls, args, state)


class TensorPickler(_Tensors, DeepPickler):
    """Pickles tensors and rushlight's classes and functions under PyTorch's names."""

    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self._texts = {}

    def save_str(self, value):
        """Write a text; a text that equals an earlier one is written as a reference to it.

        So equal objects give equal files, whether or not their texts are the same Python objects.
        """
        known = self._texts.setdefault(value, value)
        if known is value:
            super().save_str(value)
        else:
            self.write(self.get(self.memo[id(known)][0]))

    def save_global(self, value, name=None):
        found = names.torch_name(value)
        if found is None:
            super().save_global(value, name)
        elif "<locals>" in found[1]:
            raise pickle.PicklingError(f"Can't pickle local object {found[1]!r}")
        elif "." in found[1] and self.proto < 4:  # these protocols know no dotted names
            *path, last = found[1].split(".")
            owner = reduce(getattr, path, sys.modules[value.__module__])
            self.save_reduce(getattr, (owner, last), obj=value)
        else:
            self.write(pickle.GLOBAL + "{}\n{}\n".format(*found).encode())
            self.memoize(value)

    dispatch = {**DeepPickler.dispatch, str: save_str, FunctionType: save_global}


@cache
def _pickler_of(module):
    """The class of picklers that write tensors, and all else as the Pickler of ``module`` does.

    The class may be written in C, so it cannot write rushlight's names as PyTorch's. What has no
    module of its own is found by the function ``names.resolve``.
    """
    base = module.Pickler

    class ForeignPickler(_Tensors, base):  # type: ignore[misc, valid-type]
        def reducer_override(self, value):
            if isinstance(value, (dtype, names.StorageType)):
                return names.resolve, names.torch_name(value)
            found = super().reducer_override(value)
            if found is NotImplemented and hasattr(base, "reducer_override"):
                return base.reducer_override(self, value)
            return found

    return ForeignPickler


def _rebuilt(t):
    """Return the function, and its arguments, that builds the tensor from its storage."""
    refresh(t)
    array = t._array
    if is_handled(t):
        if array.data is None:
            look = t.dtype, tuple(t.shape), t.stride(), t.storage_offset(), t.layout, t.device
            return names.rebuild_wrapper, (type(t), *look, t.requires_grad)
        return _rebuilt(from_array(array.data).requires_grad_(t.requires_grad))
    if is_meta(t):
        return names.rebuild_meta_tensor, (t.dtype, array.shape, t.stride(), t.requires_grad)
    size = array.itemsize
    kind = names.storage_type(t.dtype)
    memory = array.memory if is_remote(t) else array
    storage = names.SavedStorage(memory, t.dtype if kind.dtype is t.dtype else None)
    strides = tuple([s // size for s in strides_of(array)])
    args: tuple = (storage, offset(array), array.shape, strides, t.requires_grad, OrderedDict())
    if kind.dtype is t.dtype:
        return names.rebuild_tensor_v2, args
    return names.rebuild_tensor_v3, (*args, t.dtype)


class FullUnpickler(pickle.Unpickler):
    """Reads any pickle, as Python does, with PyTorch's names mapped to rushlight's."""

    def __init__(self, file, storage, budget, **options):
        super().__init__(file, **options)  # no budget, because the caller trusts the file
        self._storage = storage

    def persistent_load(self, pid):
        return self._storage(pid)

    def find_class(self, module, name):
        if module.partition(".")[0] in ("torch", "torchvision"):
            return names.resolve(module, name)
        return super().find_class(module, name)


class Storages:
    """A function from a persistent id to the storage that the archive holds under that id."""

    def __init__(self, archive, map_location):
        self._archive = archive
        self._place = placement(map_location)
        self._is_meta = on_meta(map_location)
        self._memory = {}  # key → (storage, its record's length)

    def __call__(self, pid):
        if not (isinstance(pid, tuple) and len(pid) == 5
                and type(pid[0]) is str and pid[0] == "storage"):  # fmt: skip
            raise RuntimeError(f"load: Unknown typename for persistent_load: {brief(pid)}")
        _, kind, key, location, numel = pid
        named = isinstance(key, str) and isinstance(location, str) and type(numel) is int
        if not (isinstance(kind, names.StorageType) and named and numel >= 0):
            raise RuntimeError(f"load: not the id of a storage: {brief(pid)}")
        nbytes = numel * kind.dtype.itemsize
        if key not in self._memory and self._is_meta:
            self._memory[key] = RemoteStorage(MetaMemory(nbytes))
        if key not in self._memory:
            memory = self._archive.memory(key, nbytes)
            if self._archive.foreign_order:
                _swap(memory, kind.dtype)
            self._memory[key] = self._place(Storage(memory), location)
        storage = self._memory[key]
        if kind is names.UNTYPED:
            return storage
        return names.typed(storage._owner, kind.dtype)


def _swap(memory, dtype):
    """Reverse the order of bytes in each number, in place."""
    size = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
    memory.view(f"u{size}").byteswap(inplace=True)
