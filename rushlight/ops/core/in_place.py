"""In-place writes by operations that know how to write into an array.

Such an operation is a function ``into(out, ...)`` that writes into an array, and a kernel that
writes into a copy. The in-place method writes into the tensor's own memory unless gradients or a
trace have to see the write.
"""

from rushlight.autograd.tape import refresh
from rushlight.autograd.write import check_overlap, check_write, stamp, write
from rushlight.errors import ShapeError
from rushlight.ops.tensor.cast import watched
from rushlight.tensor import Tensor

__all__ = ["overwrite"]


def overwrite(x, call, others, params, into, uniform=False, shared=False):
    """``x[...] = call(x, *others, **params)``, straight into x's memory where nothing watches.

    ``uniform``: all elements get one value, so those that share memory may be written; ``shared``:
    PyTorch lets ``into`` write into such memory.
    """
    op = call.op
    check_write(x, op.name + "_")
    if watched(x, others):
        return write(x, call(x, *others, **params), op.name + "_", uniform)
    refresh(x)
    arrays = []
    for t in others:
        if isinstance(t, Tensor):
            refresh(t)
            arrays.append(t.array)
        else:
            arrays.append(t)
    if op.prepare is not None:
        params = op.prepare(x.array, *arrays, **params)
    if op.check is not None:
        op.check(x.array, *arrays, **params)
    if 0 in x.array.strides and x.array.size and not (uniform or shared):
        check_overlap(x.array, op.name + "_")
    try:
        into(x.array, *arrays, **params)
    except (ValueError, IndexError) as error:
        if op.explain is not None:
            op.explain(x.array, *arrays, **params)
        raise ShapeError(f"{op.name}_: {error}") from None
    stamp(x)
    return x
