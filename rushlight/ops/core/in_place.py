"""In-place methods of operations that can write into an array themselves.

Such an operation has a function ``into(out, ...)`` that writes into an array, and a kernel that
applies it to a copy. The in-place method calls ``into`` on the tensor's own memory. If gradients or
a trace must see the write, the method copies the kernel's result into the tensor instead.
"""

from numpy import ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import (
    check_overlap,
    check_write,
    read_only,
    stamp,
    tracked,
    warn_of_expanded,
    watched,
    write,
)
from rushlight.device_array import DeviceArray
from rushlight.errors import ShapeError
from rushlight.handled import takes_handler
from rushlight.ops.core.overlap import refuse_overlap, rule_in_place
from rushlight.tensor import Tensor

__all__ = ["computed_there", "overwrite"]


def computed_there(op, x, others, params):
    """Whether one kernel has computed ``op(x, *others)`` in the memory of ``x`` on a device.

    No element of the result may depend on other elements of ``x`` than its own.
    """
    if mode.intercept > mode.metas or type(x._array) is not DeviceArray or tracked(x, others):
        return False
    refresh(x)
    arrays: list = [x._array]
    for t in others:
        if isinstance(t, Tensor):
            refresh(t)
            if type(t._array) is not DeviceArray:
                return False
            t = t._array
        arrays.append(t)
    if op.prepare is not None:
        params = op.prepare(*arrays, **params)
    done = late.remote_calls().compute_into(op, arrays, params, x._array)
    if done:
        stamp(x)
    return done


def overwrite(x, call, others, params, into, uniform=False, shared=""):
    """``x[...] = call(x, *others, **params)``, by ``into`` if no gradient or trace sees the write.

    ``uniform``: all elements get the same value, so elements that share memory may be written.
    ``shared``: PyTorch's name of the method if elements that share memory may be written, because
    PyTorch allows it here and warns.
    """
    op = call.op
    name = op.name + "_"
    check_write(x, name)
    if mode.intercept and takes_handler(x, *others):
        found = late.handlers().in_place(name, call, x, others, params)
        if found is not NotImplemented:
            return found
    if others and (rule := rule_in_place(name)):
        refuse_overlap(x, others, name, rule)
    if shared:
        warn_of_expanded(x._array, shared)
    expanded = shared and 0 in x._array.strides and type(x._array) is ndarray
    # A copy of the kernel's result would put an old value over a new one in an expanded tensor.
    direct = expanded and mode.recorder() is None and not tracked(x, others)
    if not direct and watched(x, others):
        if uniform and computed_there(op, x, others, params):
            return x
        return write(x, call(x, *others, **params), name, uniform)
    refresh(x)
    arrays = []
    for t in others:
        if isinstance(t, Tensor):
            refresh(t)
            arrays.append(t._array)
        else:
            arrays.append(t)
    if op.prepare is not None:
        params = op.prepare(x._array, *arrays, **params)
    if op.check is not None:
        op.check(x._array, *arrays, **params)
    if 0 in x._array.strides and x._array.size and not (uniform or shared):
        check_overlap(x._array, name)
    if not x._array.flags.writeable:  # np.add.at would write nevertheless
        raise read_only(name, x._array)
    try:
        into(x._array, *arrays, **params)
    except (ValueError, IndexError) as error:
        if op.explain is not None:
            op.explain(x._array, *arrays, **params)
        raise ShapeError(f"{name}: {error}") from None
    stamp(x)
    return x
