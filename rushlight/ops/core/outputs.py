"""Write results into given tensors: ``out=`` and in-place methods."""

import warnings
from functools import wraps

from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh, refuse, watch
from rushlight.autograd.write import (
    assign,
    check_inference,
    check_overlap,
    check_write,
    detached,
    stamp,
    write,
)
from rushlight.dtype import OF, from_python
from rushlight.errors import DtypeError, GraphError, LayoutError
from rushlight.handled import is_handled, takes_handler
from rushlight.meta import is_meta
from rushlight.ops.core.destination import Destination
from rushlight.ops.core.overlap import refuse_overlap, rule_in_place
from rushlight.ops.core.replays import Replays
from rushlight.remote import device_of
from rushlight.return_types import NamedResult
from rushlight.strides import is_dense
from rushlight.tensor import Tensor, from_array

__all__ = ["in_place", "own_method", "refuse_gradients", "store"]


def store(out, result, name, casts=False, silent=False, error=DtypeError):
    """Write ``result`` into ``out``, the argument of the operation ``name``, and return ``out``.

    If ``out`` has another shape, it is resized, and gets the result's strides if the result is
    dense.

    Args:
        out: The tensor to write into; a tuple of tensors for several results.
        result: The result, or a tuple of results.
        name: The name of the operation, for messages.
        casts: The dtypes that ``out`` may have besides the result's. True allows all dtypes to
            which the result can be cast. Default: none.
        silent: Resize ``out`` without a warning.
        error: The error if ``casts`` is True and the result cannot be cast.

    Raises:
        TypeError: ``out`` is no tensor, or has another number of tensors than there are results.
        RuntimeError: The dtype of ``out`` is not allowed, ``out`` or an input requires grad, or
            several elements of ``out`` share one place in memory.
    """
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(
                f"{name}(): argument 'out' must be tuple of {len(result)} Tensors, not "
                f"{type(out).__name__}"
            )
        for o, r in zip(out, result, strict=True):
            store(o, r, name, casts, silent, error)
        if type(out) is type(result):
            return out
        if isinstance(result, NamedResult):
            return type(result)(out)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if type(out) is not Tensor or type(result) is not Tensor:
        for x in (out, result):
            if hasattr(x, "write_out"):  # a sparse or nested tensor, which has no array
                return x.write_out(out, result, name)
    if 0 in out._array.strides and out._array.size:
        check_overlap(out._array, name)
    check_inference(out, name)
    refuse_gradients(name, (out, result))
    if mode.intercept and mode.recorder() is None and device_of(out) is not device_of(result):
        raise RuntimeError(
            f"{name}(): Expected out tensor to have device {device_of(result)}, but got "
            f"{device_of(out)} instead"
        )
    if out._array.dtype != result._array.dtype:
        _check_dtype(OF[out._array.dtype], OF[result._array.dtype], name, casts, error)
    written = out.cell[1]
    if out._array.shape != result._array.shape:
        if out._array.size and not silent:
            _warn_of_size(out, result, name)
        out.resize_(result._array.shape)
        array = result._array
        if result.stride() != out.stride() and is_dense(array.shape, array.strides, array.itemsize):
            out.as_strided_(array.shape, result.stride())
        out.cell[1] = written  # a change of the size does not count as another write
    return assign(out, result)


def refuse_gradients(name, tensors):
    """Raise if one of ``tensors`` requires grad, because ``out=`` records no history."""
    if mode.records() and any(isinstance(t, Tensor) and t.requires_grad for t in tensors):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )


def _check_dtype(given, wanted, name, casts, error):
    """Raise unless results of the dtype ``wanted`` may be written into the dtype ``given``."""
    if casts is not True and not (casts and given in casts):
        raise DtypeError(
            f"{name}(): Expected out tensor to have dtype {wanted}, but got {given} instead"
        )
    if casts is True and wanted.category > given.category:
        raise error(
            f"{name}(): result type {wanted.name} can't be cast to the desired output type "
            f"{given.name}"
        )


def _warn_of_size(out, result, name):
    warnings.warn(
        f"An output with one or more elements was resized since it had shape "
        f"{list(out._array.shape)}, which does not match the required output shape "
        f"{list(result._array.shape)} of {name}; reuse an out tensor by resizing it to zero "
        "elements first: t.resize_(0)",
        stacklevel=4,
    )


def _copied(x):
    """A copy of ``x`` with its history. Hooks that pack must not keep memory to be written."""
    refresh(x)
    if type(x._array) is not ndarray:
        return x
    copy = from_array(x._array.copy("K"))
    copy.node = x.node
    return copy


def _keep_overwritten(node, x):
    """Give ``node`` a copy of its first input ``x``, whose memory is about to be overwritten."""
    recorder = mode.recorder()
    for i, origin in enumerate(node.op.origins):
        own = node.saved[i] is x._array or is_handled(x)
        if origin == 0 and (recorder is not None or own):
            if recorder is not None:
                copy = recorder.snapshot(x)
            else:
                copy = x._array if is_meta(x) else x._array.copy()
            node.saved = (*node.saved[:i], copy, *node.saved[i + 1 :])
            node.cells = (*node.cells[:i], None, *node.cells[i + 1 :])
    known = len(node.saved)
    node.cells = (*node.cells[:known], *[c for c in node.cells[known:] if c is not x.cell])


def _refuse_negative(node, name):
    """Refuse the gradient of an in-place activation that turns negative numbers into positive ones.

    PyTorch computes this gradient from the result, which does not tell the sign of the operand.
    """
    for factor, kind in (("negative_slope", "leakyReLu"), ("alpha", "elu")):
        saves = () if node is None else node.op.saves
        if factor in saves and node.saved[saves.index(factor)] < 0:
            refuse(
                node,
                f"In-place {kind} backward calculation is triggered with a negative slope: {name} "
                f"was called with {factor} < 0. Call the out-of-place version instead",
            )


def _refuse_types(call, x, args, kwargs):
    """Raise the TypeError if ``call`` never takes these arguments; PyTorch checks this first."""
    try:
        call(detached(x), *args, **kwargs)
    except TypeError:
        raise
    except Exception:  # the caller raises its own error
        return


def _demand_dtype(x, dtype, name):
    """Refuse a ``dtype=`` that the results of a write to ``x`` could not have."""
    if x.dtype is not dtype:
        raise RuntimeError(
            f"{name}: Bad in-place call: input tensor dtype {x.dtype} and output tensor dtype "
            f"{dtype} should match; leave dtype out, or use {name[:-1]}()"
        )


def own_method(x, name):
    """The in-place method of a composite tensor, which writes into its values; else None."""
    kind = type(x)
    if kind is Tensor or not hasattr(kind, "asked_again"):
        return None
    found = getattr(kind, name)
    return None if found is getattr(Tensor, name) else found


def in_place(call, name, saves_result=False, direct=None):
    """The method ``name`` that writes the result of ``call`` back into its tensor.

    ``saves_result``: PyTorch's gradient of the method needs the result: a write to it is refused.
    ``direct``: ``call`` takes a ``Destination`` as ``out``. Default: if it is an elementwise
    operation.
    """
    if direct is None:
        direct = hasattr(call, "op") and call.op.kind == "elementwise"

    replays = Replays(writes=True)
    rule = rule_in_place(name)

    @wraps(call)
    def written(self, *args, **kwargs):
        if (replay := replays.run) is not None:
            found = replay(self, *args, **kwargs)
            if found is not None:
                return found
        is_tensor = isinstance(self, Tensor)
        if mode.intercept > mode.metas or not is_tensor:
            found = late.overridden(written, (self, *args), kwargs)
            if found is not NotImplemented:
                return found
        if not is_tensor:
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not {type(self).__name__}"
            )
        if (own := own_method(self, name)) is not None:
            return own(self, *args, **kwargs)
        if kwargs and "out" in kwargs:
            raise TypeError(f"{name}() got an unexpected keyword argument 'out'")
        if kwargs and kwargs.get("dtype") is not None:
            _demand_dtype(self, from_python(kwargs["dtype"]), name)
        try:
            check_write(self, name)
        except GraphError:
            _refuse_types(call, self, args, kwargs)
            raise
        if mode.intercept and takes_handler(self, *args, *kwargs.values()):
            found = late.handlers().in_place(name, call, self, args, kwargs)
            if found is not NotImplemented:
                return found
        if rule:
            refuse_overlap(self, (*args, *kwargs.values()) if kwargs else args, name, rule)
        if direct and Destination.suits(self, (*args, *kwargs.values())):
            value = call(self, *args, **kwargs, out=Destination(self))
            if type(value) is Destination:
                stamp(self)
                return self
        else:
            packing = mode.intercept and mode.state.packing is not None
            value = call(_copied(self) if packing else self, *args, **kwargs)
        if value.node is not None and value.node.saved is not None:
            _keep_overwritten(value.node, self)
        if saves_result:
            watch(value, value)
            _refuse_negative(value.node, name)
        try:
            return write(self, value, name)
        except LayoutError:  # the product of a dense and a sparse tensor is sparse
            return write(self, value.to_dense(), name)

    replays.function = written
    vars(written).update(is_in_place=True, is_direct=direct, composes=False)
    written.__name__ = written.__qualname__ = name
    written.__doc__ = f"In-place version of ``{name[:-1]}``."
    return written
