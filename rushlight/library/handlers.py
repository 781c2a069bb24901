"""Calls of ``__torch_dispatch__`` of tensor classes: the *handlers* that compute operations.

An operation on a tensor of such a class comes here below autograd (``ops/core/dispatch.py``).
Operations that PyTorch has under other names have a rule here, and so have functions that are no
single operation, such as ``zeros_like``.
"""

import copy
import inspect
import sys
from functools import cache

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.autograd.write import stamp, write
from rushlight.device import CPU, require
from rushlight.dtype import OF, from_python, get_default_dtype
from rushlight.handled import (
    HandledArray,
    attributes,
    classes_of,
    cover,
    is_handled,
    refuse_memory,
    twin,
)
from rushlight.library.aten import overload_of, packet
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.shaped import Shaped
from rushlight.tensor import Tensor, from_array

__all__ = ["beneath", "beneath_of", "described", "hand_over", "on_memory", "operation", "read"]


# Calling ----------------------------------------------------------------------------------


def hand_over(func, args, kwargs):
    """The result of the first handler, of the classes among the arguments, that takes ``func``.

    Autograd, autocast and the modes are off inside of the handler: they are above it.

    Raises:
        TypeError: All handlers returned NotImplemented.
    """
    mode.refuse_in_trace(f"{func} has an operand whose class has __torch_dispatch__")
    args, kwargs = _own(args), {k: _own(v) for k, v in kwargs.items()}
    kinds = classes_of((*args, *kwargs.values()))
    if not kinds:  # a handler gave a plain tensor for a part of an operation
        with mode.no_grad():
            return func(*args, **kwargs)
    grad = mode.set_grad(False)
    autocast = mode.exchange("autocast", None)
    in_rule, mode.state.in_rule = mode.state.in_rule, False
    above, mode.state.above = mode.state.above, grad
    declined, mode.state.declined = mode.state.declined, None
    modes = mode.exchange("dispatch_modes", declined)
    try:
        # A subclass is asked before its base class, then the first operand's class.
        for kind in sorted(kinds, key=lambda t: -len(t.__mro__)):
            found = kind.__torch_dispatch__(func, kinds, tuple(args), kwargs)
            if found is not NotImplemented:
                return _checked(found)
    finally:
        mode.exchange("dispatch_modes", modes)
        mode.state.in_rule, mode.state.above, mode.state.declined = in_rule, above, declined
        mode.exchange("autocast", autocast)
        mode.set_grad(grad)
    listed = "".join([f"\n  - tensor subclass {kind}" for kind in kinds])
    raise TypeError(
        f"Multiple dispatch failed for 'torch._ops.{func}'; all __torch_dispatch__ handlers "
        f"returned NotImplemented:\n{listed}"
    )


def _checked(found):
    if isinstance(found, str):
        raise RuntimeError(f"Unable to cast {found} to Tensor")
    return found


def _own(value):
    """``value`` with tensors of their own classes: the tape makes plain tensors of saved arrays."""
    if isinstance(value, Tensor):
        if type(value) is Tensor and is_handled(value):
            return value._array.tensor()
        return value
    if type(value) in (list, tuple):
        return type(value)([_own(v) for v in value])
    return value


def _tensors(values):
    for x in values:
        if isinstance(x, Tensor):
            yield x
        elif isinstance(x, (list, tuple)):
            yield from _tensors(x)


def ask(name, *args, **kwargs):
    """Hand the operator ``aten.<name>`` to the handlers."""
    return hand_over(packet(name).default, args, kwargs)


def operation(op, args, params):
    """The result of the operation ``op`` from a handler, without history."""
    rule = _RULES.get(op.name)
    if rule is not None:
        found = rule(*args, **{k: v for k, v in params.items() if k not in _HIDDEN})
    else:
        func, args, kwargs = _form(op, args, params)
        found = hand_over(func, args, kwargs)
    given = list(_tensors(args))
    if isinstance(found, (list, tuple)):
        return [_free(t, given) for t in found]
    return _free(found, given)


def _free(found, given):
    """``found`` as an object that may get a history: it has none yet, and is no operand."""
    if not isinstance(found, Tensor):
        return found
    if any(found is x for x in given) or found.node is not None or found.view_of is not None:
        return alias(found)
    return found


def alias(x):
    """Another tensor with the memory of ``x``, without history."""
    if is_handled(x):
        return twin(x._array.tensor())
    found = from_array(x._array)
    found.cell = x.cell
    return found


# What handlers see ------------------------------------------------------------------------


_HIDDEN = ("memo",)  # parameters that only gradient rules know


def _form(op, args, params):
    """The operator, and the arguments, by which PyTorch shows a call of ``op``."""
    defaults = op.defaults
    named = {
        k: v for k, v in params.items()
        if k not in _HIDDEN and (k not in defaults or v is not defaults[k])
    }  # fmt: skip
    func = overload_of(op)
    if not (func._opname in FUNCTIONS or hasattr(Tensor, func._opname)):  # it is rushlight's own
        return func, tuple(args), named
    listed = _parameters(func._call)
    names = _public_names(op, func._call)
    given = {**dict(zip(names, args, strict=False)), **named}
    operands = [k for k in listed if k in names]
    if not given.keys() <= listed.keys() or len(names) != len(args):
        return func, tuple(args), named
    by_place = [k for k, p in listed.items() if p.kind is not p.KEYWORD_ONLY]
    last = max([i for i, k in enumerate(by_place) if given.get(k) is not None], default=-1)
    shown = by_place[: last + 1]
    if not all(k in names or k in op.params for k in shown):  # the public function does more
        return func, tuple(args), named
    placed = [given.pop(k) if k in given else listed[k].default for k in shown]
    if any(v is inspect.Parameter.empty for v in placed):
        return func, tuple(args), named
    if len(placed) == len(args) and operands != names:  # the overload would take them for operands
        return func, tuple(args), named
    placed = [list(v) if type(v) is tuple else v for v in placed]
    return func, tuple(placed), {k: v for k, v in given.items() if k in named or v is not None}


@cache
def _parameters(call):
    """The named parameters of a public function."""
    found = inspect.signature(call).parameters.values()
    return {p.name: p for p in found if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}


def _public_names(op, call):
    """The names that the operands of ``op`` have in the public function."""
    listed = _parameters(call)
    names = {"x": "self" if "self" in listed else "input", "y": "other"}
    return [names.get(k, k) for k in op.inputs]


# Operations that PyTorch has by other names --------------------------------------------------


def _at(x, index):
    """``x[index]`` for a basic index, as PyTorch's steps along each dim."""
    dim = 0
    before = x
    for i, k in enumerate(index):
        if k is ...:
            dim = x.ndim - sum([type(later) is not type(None) for later in index[i + 1 :]])
        elif k is None:
            x, dim = ask("unsqueeze", x, dim), dim + 1
        elif isinstance(k, slice):
            if k != slice(None):
                stop = sys.maxsize if k.stop is None else k.stop
                step = () if k.step in (None, 1) else (k.step,)
                x = ask("slice", x, dim, k.start or 0, stop, *step)
            dim += 1
        else:
            x = ask("select", x, dim, int(k))
    return ask("alias", x) if x is before else x


def _parts(name):
    """The operation that takes a tensor apart, as PyTorch's operator ``name`` does."""

    def split(x, *, shape, places):
        dim = next((d for d, k in enumerate(places[0]) if k not in (slice(None), ...)), None)
        if dim is None or ... in places[0][:dim]:
            return [_at(x, place) for place in places]
        along = [dim] if dim else []
        if name == "unbind":
            return ask("unbind", x, *along)
        sizes = [place[dim].stop - place[dim].start for place in places]
        return ask(name, x, sizes if name == "split_with_sizes" else sizes[0], *along)

    return split


def _index(x, *keys, dims):
    return ask("index", x, _keys(keys, dims))


def _keys(keys, dims):
    """PyTorch's list of an index for each dim."""
    listed: list = [None] * (max(dims) + 1)
    for dim, key in zip(dims, keys, strict=False):
        listed[dim] = key
    return listed


def _linear(bias, x, weight):
    rows = x if x.ndim == 2 else ask("view", x, [-1, x.shape[-1]])
    turned = ask("t", weight)
    found = ask("mm", rows, turned) if bias is None else ask("addmm", bias, rows, turned)
    return found if x.ndim == 2 else ask("view", found, [*x.shape[:-1], weight.shape[0]])


def _cast(x, *, dtype, memory_format=None):
    named = {} if memory_format is None else {"memory_format": memory_format}
    return ask("_to_copy", x, dtype=OF[np.dtype(dtype)], **named)


def _sort(x, *, dim, descending=False, stable=False):
    if stable:
        return ask("sort", x, stable=True, dim=dim, descending=descending)
    return ask("sort", x, dim, descending)


def _along(name):
    return lambda x, *, dim, keepdim=False: ask(name, x, dim, *([True] if keepdim else []))


#: The name of an operation → a function of its operands and parameters.
_RULES: dict = {
    **dict.fromkeys(("select_index", "slice_index", "unsqueeze_index", "alias_index", "split_part",
                     "split_sizes_part", "unbind_part"), lambda x, *, index: _at(x, index)),
    "split_parts": _parts("split"), "unsafe_split_parts": _parts("split"),
    "split_sizes_parts": _parts("split_with_sizes"), "unbind_parts": _parts("unbind"),
    "unsafe_split_sizes_parts": _parts("split_with_sizes"),
    "view": lambda x, *, shape: ask("view", x, list(shape)),
    "index": _index,
    **dict.fromkeys(("linear", "linear_nd"), _linear),
    **dict.fromkeys(("linear_unbiased", "linear_unbiased_nd"),
                    lambda x, weight: _linear(None, x, weight)),
    "to_copy": _cast,
    "max_all": lambda x, **_: ask("max", x), "min_all": lambda x, **_: ask("min", x),
    "sort": _sort,
    "max": _along("max"), "min": _along("min"),
}  # fmt: skip


# Beneath ----------------------------------------------------------------------------------


def beneath(func, args, kwargs):
    """``func`` on the memory of its operands, as ``super().__torch_dispatch__`` computes it."""
    was, mode.state.handlers = mode.state.handlers, False
    grad = mode.set_grad(False)
    try:
        return func(*args, **kwargs)
    finally:
        mode.set_grad(grad)
        mode.state.handlers = was


def on_memory(func, args, kwargs):
    """``func`` on plain tensors with the memory of its operands, inside of ``no_dispatch``."""
    plain: dict = {}

    def open_(value):
        if is_handled(value):
            if value._array.data is None:
                return value
            return plain.setdefault(id(value), (value, _plain(value)))[1]
        if type(value) in (list, tuple):
            return type(value)([open_(v) for v in value])
        return value

    found = func(*open_(args), **{k: open_(v) for k, v in kwargs.items()})
    for x, t in plain.values():
        if t._array is not x._array.data:  # set_ or resize_ gave it other memory
            x._array, x.cell = t._array, t.cell
            cover(x)
        if found is t:
            return x
    return found


def beneath_of(arrays, params):
    """The arrays with the elements of operands and parameters."""
    arrays = [_data(a) if type(a) is HandledArray else a for a in arrays]
    params = {k: _plain(v) if is_handled(v) else v for k, v in params.items()}
    return arrays, params


def _data(array):
    if array.data is None:
        refuse_memory()
    return array.data


def _plain(x):
    """A plain tensor with the memory of ``x``."""
    found = from_array(_data(x._array))
    found.cell = x.cell
    return found


# Objects without memory -------------------------------------------------------------------


def described(
    size,
    *,
    strides=None,
    storage_offset=None,
    memory_format=None,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    dispatch_sizes_strides_policy=None,
    dispatch_device=False,
    dispatch_layout=False,
    storage_size=None,
):
    """What ``_make_wrapper_subclass`` was told: (array, device, first byte, requires_grad)."""
    if dispatch_sizes_strides_policy or dispatch_layout or dispatch_device:
        raise NotImplementedError(
            "_make_wrapper_subclass: the handler is not asked for sizes, strides, layout or "
            "device; give them to _make_wrapper_subclass, and leave dispatch_... out"
        )
    numbers = (from_python(dtype) or get_default_dtype()).numpy
    shape = tuple([int(n) for n in size])
    if strides is not None:
        strides = tuple([int(s) * numbers.itemsize for s in strides])
    elif memory_format is not None:
        model = rushlight.empty(shape, device="meta").contiguous(memory_format=memory_format)
        strides = tuple([s * numbers.itemsize for s in model.stride()])
    d = CPU if device is None else require(device)
    return (
        Shaped(shape, numbers, strides),
        d,
        (storage_offset or 0) * numbers.itemsize,
        requires_grad,
    )


# What is no single operation ------------------------------------------------------------------


def detached(x):
    """``x`` without its history: what the handler gives for ``detach``."""
    found = ask("detach", x)
    return alias(found) if found is x or found.node is not None else found


def like(name, x, dtype, form, device, **named):
    """The new tensor of the function ``name``, such as ``zeros_like``, as ``x``."""
    if dtype is not x.dtype:
        named["dtype"] = dtype
    if device is not None:
        named["device"] = device
    if form is not None and form is not rushlight.preserve_format:
        named["memory_format"] = form
    placed = [named.pop("fill_value")] if "fill_value" in named else []
    return ask(name, x, *placed, **named)


def in_place(name, call, x, args, kwargs):
    """The method ``name``, which writes the result of ``call`` into ``x``; returns ``x``.

    NotImplemented if the write belongs to the history. Then the handler sees the operation that
    computes the result, and ``copy_``.
    """
    given = _tensors((x, *args, *kwargs.values()))
    if mode.records() and any(t.node is not None for t in given):
        return NotImplemented
    rule, count = _WRITES.get(name), x.cell[1]
    if rule is not None:
        rule(x, *args, **kwargs)
    elif (given := _placed(name, (x, *args), kwargs)) is not None:
        hand_over(packet(name).default, *given)
    else:  # PyTorch has no such operator
        return write(x, call(x, *args, **kwargs), name)
    if x.cell[1] == count:  # otherwise the handler wrote into the memory
        stamp(x)
    return x


def _placed(name, operands, named):
    """The arguments of the method ``name`` in PyTorch's order; None if it has other parameters."""
    if not hasattr(Tensor, name):
        return None
    listed = _parameters(packet(name)._call)
    if not named.keys() <= listed.keys():
        return None
    left, placed, named = [*operands], [], dict(named)
    for k, p in listed.items():
        if p.kind is p.KEYWORD_ONLY or not (left or k in named):
            break
        placed.append(named.pop(k) if k in named else left.pop(0))
    return (*placed, *left), named


def _put(x, value, *keys, dims, accumulate=False):
    ask("index_put_", x, _keys(keys, dims), value, *([True] if accumulate else []))


#: The name of an in-place operation of rushlight's → what PyTorch has in its place.
_WRITES = {"put_": _put}


def moved(x, d, dtype, form):
    """``x`` on the device ``d``, without history."""
    named: dict = {} if dtype is None or dtype is x.dtype else {"dtype": dtype}
    if form is not None and form is not rushlight.preserve_format:
        named["memory_format"] = form
    return ask("_to_copy", x, **named, device=d)


def read(x, name, function, args, kwargs):
    """The methods that read elements: the handler gives a number, and other methods raise."""
    if not mode.state.handlers and x._array.data is not None:
        return function(_plain(x), *args, **kwargs)
    if name in ("item", "bool", "int", "float", "complex", "index"):
        if x._array.size != 1:
            kind = "bool" if name == "bool" else "Scalar"
            raise RuntimeError(
                f"a Tensor with {x._array.size} elements cannot be converted to {kind}"
            )
        found = ask("_local_scalar_dense", x)
        if name == "item":
            return found
        return function(rushlight.tensor(found, dtype=x.dtype))
    if name == "deepcopy":
        return _deep_copy(x, *args)
    if name == "reduce_ex":
        return _reduced(x, *args)
    if name in ("repr", "format"):
        return function(x, *args, **kwargs)
    if name in ("numpy", "array"):
        raise RuntimeError(".numpy() is not supported for tensor subclasses.")
    raise RuntimeError(f".{name}() is not supported for tensor subclasses, got {type(x).__name__}")


def _deep_copy(x, memo):
    if id(x) in memo:
        return memo[id(x)]
    if not x.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment: detach() the tensor, or deepcopy before computing with it."
        )
    if x._array.data is None:
        with mode.no_grad():
            found = x.clone()
        if type(found) is not type(x):
            raise RuntimeError(
                "The default implementation of __deepcopy__() for wrapper subclasses only works "
                "for subclass types that properly implement clone() and for which cloning returns "
                "another instance of the same subclass. You should either properly implement "
                "clone() for your subclass or override __deepcopy__() if it is intended behavior "
                "for clone() to return an instance of a different type."
            )
    else:
        found = Tensor._make_subclass(type(x), copy.deepcopy(_plain(x), memo))
    memo[id(x)] = found
    for name, value in attributes(x).items():
        setattr(found, name, copy.deepcopy(value, memo))
    found.requires_grad = x.requires_grad
    if x._grad is not None:
        found._grad = copy.deepcopy(x._grad, memo)
    return found


def _reduced(x, protocol):
    a, step = x._array, x.itemsize
    if a.data is None:
        look = tuple(x.shape), tuple(x.stride()), a.start // step, x.dtype, str(x.device)
        return rebuilt, (type(x), look, None, x.requires_grad, attributes(x))
    return rebuilt, (type(x), None, _plain(x), x.requires_grad, attributes(x))


def rebuilt(cls, look, data, requires_grad, state):
    """Make the object of ``cls`` that a pickle describes."""
    if data is not None:
        found = Tensor._make_subclass(cls, data)
    else:
        shape, strides, offset, dtype, device = look
        found = Tensor._make_wrapper_subclass(
            cls, shape, strides=strides, storage_offset=offset, dtype=dtype, device=device
        )
    for name, value in state.items():
        setattr(found, name, value)
    return found.requires_grad_(requires_grad)
