"""Check the calls that a file makes under ``weights_only``, and take their cost from the budget.

A function that iterates over its argument accepts plain containers only, because their length tells
the cost. The memory matters, too: a file of 600 bytes can hold a tensor of 2⁴⁰ elements if all
elements are one number in memory.
"""

import pickle
from collections import Counter, OrderedDict
from math import prod

from rushlight.device import device
from rushlight.serialization import names
from rushlight.serialization.guard import brief
from rushlight.storage import span
from rushlight.tensor import Size, Tensor

__all__ = ["charge"]

_CALL = 5  # steps that any call costs
_CONTAINER = 10  # steps that a new container costs, even an empty one
_TENSOR = 40  # steps that a new tensor costs
_PARAMETER = 20  # steps that a new Parameter costs
_ELEMENT = 4  # steps for each element that is put into a new container
_SCALARS = (bool, int, float, complex, str, bytes, type(None), device)
_CONTAINERS = (list, tuple, dict, set, frozenset, Size)


def charge(unpickler, function, args):
    """Check the arguments of a call, and take the cost of the call from the budget.

    The arguments of functions that the user allowed are not checked.

    Raises:
        pickle.UnpicklingError: ``save`` never writes such arguments.
        RuntimeError: the budget is exceeded.
    """
    unpickler.budget.take_steps(_CALL)
    rule = _RULES.get(id(function))
    if rule is not None:
        rule(unpickler, function, args)


def _refuse(function, value):
    raise pickle.UnpicklingError(
        f"load: Weights only load failed: the file gives {function.__name__} {brief(value)}, "
        "which is not safe"
    )


def _scalars(unpickler, function, args):
    for arg in args:
        if type(arg) not in _SCALARS:
            _refuse(function, arg)
        if isinstance(arg, (str, bytes)):
            unpickler.budget.take_steps(len(arg))


def _copied(unpickler, function, args):
    """Take the cost of a function that copies its argument: new bytes or a new bytearray."""
    for arg in args:
        if type(arg) not in (str, bytes, list, tuple):
            _refuse(function, arg)
        unpickler.budget.take_bytes(len(arg), f"what {function.__name__} gives")
        unpickler.budget.take_steps(len(arg) >> 6 if type(arg) in (str, bytes) else len(arg))


def _collected(unpickler, function, args):
    """Take the cost of a new container, made from the elements or pairs of another container."""
    unpickler.budget.take_steps(_CONTAINER)
    for given in args:
        if type(given) not in _CONTAINERS:
            _refuse(function, given)
        unpickler.budget.take_steps(_ELEMENT * len(given))
        if function is OrderedDict and not isinstance(given, dict):
            for pair in given:
                if type(pair) not in (list, tuple) or len(pair) != 2:
                    _refuse(function, pair)
            given = [key for key, _ in given]
        if function is not Size:
            unpickler.check_keys(given)


def _tensor(unpickler, function, args):
    unpickler.budget.take_steps(_TENSOR)
    # A tensor marked conj or neg is resolved in a copy of the memory that the tensor spans.
    if args and function is not names.rebuild_meta_tensor and names.marks(args[-1]):
        storage, _, size, stride = args[:4]
        names.check_geometry(0, size, stride)
        most = storage.nbytes() if isinstance(storage, (names.Storage, names.TypedStorage)) else 0
        needed = span(size, stride) * 16  # bytes of the widest dtype
        unpickler.budget.take_bytes(min(most, needed), "a tensor marked conj or neg")


def _parameter(unpickler, function, args):
    unpickler.budget.take_steps(_PARAMETER)
    if not args or not isinstance(args[0], Tensor):
        _refuse(function, args[0] if args else None)
    for state in args[3:]:
        charge_state(unpickler, state)


def _sparse(unpickler, function, args):
    """Take the cost of the check of all indices, which copies them a few times."""
    unpickler.budget.take_steps(_TENSOR)
    if len(args) != 2 or type(args[1]) is not tuple or len(args[1]) not in (3, 4):
        _refuse(function, args[1] if len(args) > 1 else None)
    for part in args[1]:
        if isinstance(part, Tensor):
            unpickler.budget.take_bytes(part.numel() * 40, "a sparse tensor")


def _jagged(unpickler, function, args):
    """Take the cost of the check of the offsets and lengths, which copies them a few times."""
    unpickler.budget.take_steps(_TENSOR)
    names_of_parts = {"values", "offsets", "lengths", "_ragged_idx", "_metadata_cache",
                      "requires_grad"}  # fmt: skip
    if len(args) != 1 or type(args[0]) is not dict or args[0].keys() != names_of_parts:
        _refuse(function, args[0] if args else None)
    parts = args[0]
    if type(parts["_ragged_idx"]) is not int or type(parts["_metadata_cache"]) is not dict:
        _refuse(function, parts["_ragged_idx"])
    for t in (parts["offsets"], parts["lengths"]):
        if isinstance(t, Tensor):
            unpickler.budget.take_bytes(t.numel() * 40, "a nested tensor")


def _nested(unpickler, function, args):
    """Take the cost of copying the parts, which may lie on top of each other in the buffer."""
    unpickler.budget.take_steps(_TENSOR)
    if len(args) != 4 or not all(isinstance(t, Tensor) for t in args) or args[1].ndim != 2:
        _refuse(function, args[0] if args else None)
    buffer, sizes = args[:2]
    unpickler.budget.take_bytes(sizes.numel() * 200, "a nested tensor")
    for size in sizes.tolist():
        names.check_geometry(0, size, size)
        unpickler.budget.take_steps(_TENSOR)
        unpickler.budget.take_bytes(prod(size) * buffer.itemsize, "a nested tensor")


def _typed(unpickler, function, args):
    unpickler.budget.take_steps(_PARAMETER)
    for state in args[3:]:
        charge_state(unpickler, state)


def charge_state(unpickler, state):
    """Check the attributes that an object is given, and take their cost from the budget."""
    for part in state if type(state) is tuple else (state,):
        if part is None:
            continue
        if type(part) is not dict or not all(type(key) is str for key in part):
            raise pickle.UnpicklingError(
                f"load: Weights only load failed: attributes are a dict of texts, not {brief(part)}"
            )
        unpickler.budget.take_steps(_ELEMENT * len(part))
        unpickler.check_keys(part)


_RULES = {
    id(function): rule
    for rule, functions in {
        _scalars: (complex, device, names.DimRange, names.get_layout),
        _copied: (names.encode, names.make_bytearray),
        _collected: (set, Counter, OrderedDict, Size),
        _tensor: (
            names.rebuild_tensor,
            names.rebuild_tensor_v2,
            names.rebuild_tensor_v3,
            names.rebuild_meta_tensor,
        ),
        _parameter: (names.rebuild_parameter, names.rebuild_parameter_with_state),
        _sparse: (names.rebuild_sparse_tensor,),
        _jagged: (names.rebuild_jagged,),
        _nested: (names.rebuild_nested,),
        _typed: (names.rebuild_from_type,),
    }.items()
    for function in functions
}
