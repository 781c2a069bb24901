"""Every public operation called with many small arguments, most of which leave its input as it is.

The arguments are tried on PyTorch: where it takes them, rushlight has to give the same answer.
"""

import itertools
import warnings

import numpy as np

__all__ = ["INPUTS", "REST", "calls", "flat", "names", "run"]

#: Names that change global state, ask for memory of any size, print, or need other arguments.
_LEFT_OUT = {
    "backward", "requires_grad_", "share_memory_", "retain_grad", "register_hook", "set_", "resize_",
    "resize", "resize_as_", "register_post_accumulate_grad_hook", "storage", "untyped_storage",
    "data_ptr", "share_memory", "pin_memory", "from_file", "empty", "empty_like", "empty_strided",
    "empty_permuted", "new_empty", "new_empty_strided", "initial_seed", "seed", "manual_seed",
    "save", "load", "compile", "set_grad_enabled", "numpy", "__array__", "__dlpack__", "to_dlpack",
    "from_dlpack", "apply_", "map_", "set_num_threads", "set_num_interop_threads", "new",
    "set_default_dtype", "set_default_device", "set_flush_denormal", "set_printoptions", "cuda",
    "use_deterministic_algorithms", "__reduce_ex__", "__deepcopy__", "__setstate__", "record_stream",
    "set_anomaly_enabled", "set_warn_always", "set_float32_matmul_precision", "__dir__", "__hash__",
    "set_deterministic_debug_mode", "rename_", "rename", "xpu", "range", "typename", "is_tensor",
    "fill_uninitialized_memory", "tolist", "item", "set_default_tensor_type", "einsum", "_dynamo",
    "__format__", "__repr__", "__str__", "vmap", "cond", "while_loop", "get_device_module",
}  # fmt: skip


def _array(*shape, dtype="f4"):
    count = int(np.prod(shape))
    values = (np.arange(count) * 7 % 5 + 1).reshape(shape) / (4 if dtype == "f4" else 1)
    return np.asarray(values.astype(dtype))


#: The first arguments: images, matrices, a vector, a number; floats, integers, bools, complex.
INPUTS = {
    "batch": _array(1, 4, 3, 3), "image": _array(4, 3, 3), "matrix": _array(3, 3),
    "sequence": _array(2, 4, 3), "vector": _array(4), "number": _array(), "single": _array(1),
    "volume": _array(1, 1, 2, 2, 2), "integers": _array(2, 2, dtype="i8"),
    "bools": np.array([[True, False], [True, True]]), "complex": _array(2, 2).astype("c8"),
    "transposed": _array(3, 4).T,
}  # fmt: skip

REST = [
    (), (0,), (1,), (-1,), (2,), (0, 0), (0, 1), (1, 0), (1, 1), (0, 0, 1), (1, 1, 1), (1, 0, 1),
    (1.0,), (0.0,), (0.0, 1.0), (0.5, False), (True,), (False,), ((0,),), ((1,),), ((1, 1),),
    ((0, 1),), ((0, 0),), ((0, 0, 0, 0),), ((0, 0), (0, 1)), ((0, 0), "reflect"),
    ((0, 0), "replicate"), ((0, 0), "circular"), ((0, 0, 0, 0), "reflect"),
    ((0, 0, 0, 0), "replicate"), ((0, 0, 0, 0), "circular"), ("same",), ("x",), ("x", 0),
    ("x", "x"), (0, "indices", "x"), (0, "indices"), ("mask",), ("mask", "x"), ("mask", 1.0),
    ("dtype",), ("shape",), ("x shape",), (3,), ((3, 3),), (4,), ((None, None),), (1, 1, 0),
    (2, 2), (("x",),), (0, 3), (0, 0, 3), (None,), (None, None), (1, None),
]  # fmt: skip


def _argument(torch, x, a):
    if type(a) is tuple:
        return tuple(_argument(torch, x, b) for b in a)
    named = {
        "x": lambda: x, "same": lambda: x.clone(), "dtype": lambda: x.dtype,
        "indices": lambda: torch.arange(x.shape[0] if x.ndim else 1),
        "mask": lambda: torch.ones(tuple(x.shape), dtype=torch.bool),
        "shape": lambda: tuple(x.shape), "x shape": lambda: torch.Size(x.shape),
    }  # fmt: skip
    return named[a]() if type(a) is str and a in named else a


def names(torch, peer):
    """(where, name) of each function of both frameworks that may be called here."""
    places = {"torch": (torch, peer), "F": (torch.nn.functional, peer.nn.functional)}
    places["Tensor"] = (torch.Tensor, peer.Tensor)
    for where, (ours, theirs) in places.items():
        for name in sorted(set(dir(ours)) & set(dir(theirs))):
            dunder = name.startswith("__") and where != "Tensor"
            private = name.startswith("_") and not name.startswith("__")
            if name in _LEFT_OUT or dunder or private or isinstance(getattr(theirs, name), type):
                continue
            if callable(getattr(theirs, name)):
                yield where, name


def run(torch, where, name, given, rest, prepare=lambda x: x):
    """(input, outcome of the call); the outcome may be an exception."""
    x = prepare(torch.from_numpy(np.array(given, order="K")).clone())
    place = {"torch": torch, "F": torch.nn.functional, "Tensor": torch.Tensor}[where]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.manual_seed(0)
            return x, getattr(place, name)(x, *_argument(torch, x, rest))
        except Exception as error:
            return x, error


def flat(found, kind):
    """The tensors in a result."""
    if isinstance(found, kind):
        return [found]
    if isinstance(found, (tuple, list)):
        return [t for f in found for t in flat(f, kind)]
    return []


def calls(torch, peer):
    """(label, where, name, array, arguments) of all that PyTorch may take."""
    for where, name in names(torch, peer):
        for (label, given), rest in itertools.product(INPUTS.items(), REST):
            yield f"{where}.{name}({label}, {rest})", where, name, given, rest
