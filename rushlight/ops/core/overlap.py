"""Writes to memory that overlaps an operand's: which functions refuse them, as PyTorch does.

A function that reads and writes the same memory element by element may write the tensor that it
reads, but no shifted or turned view of it: an element could be overwritten before it is read. A
function that reads the elements in another order, such as ``gather``, may not write its operand at
all. Matrix products and most reductions compute all elements before they write, and accept any out.

Source: ``MemoryOverlap.cpp`` of ATen. Views with gaps between their elements are not checked there,
so they are not checked here. Which function has which rule is the observable behaviour of
PyTorch, recorded in ``tests/golden/overlaps.json.gz``.
"""

from numpy import broadcast_shapes, ndarray

from rushlight import late
from rushlight.autograd import mode
from rushlight.meta import is_meta
from rushlight.strides import is_dense
from rushlight.tensor import Tensor

__all__ = [
    "ANY", "FREE", "PARTIAL", "refuse_out", "refuse_overlap", "refuse_overlaps", "rule_in_place",
    "rule_of_out", "shares",
]  # fmt: skip

#: The rules. FREE: nothing is checked. PARTIAL: an operand may be the written tensor itself, but
#: must not overlap it in part. ANY: an operand must not overlap it at all. OTHERS: PARTIAL for the
#: first operand, ANY for the others. FIRST: PARTIAL for the first operand, FREE for the others.
FREE, PARTIAL, ANY, OTHERS, FIRST = range(5)


def _by_name(rules):
    return {name: rule for rule, names in rules.items() for name in names.split()}


#: The methods in place whose rule is not PARTIAL.
_IN_PLACE = _by_name({
    FREE: """
        addbmm_ addmm_ addmv_ baddbmm_ fill_ index_fill_ ldexp_ masked_fill_ masked_scatter_ zero_
    """,
    ANY: """
        index_add_ index_copy_ index_put_ index_reduce_ put_ put_flat_ scatter_ scatter_add_
        scatter_reduce_
    """,
})  # fmt: skip

#: The functions with ``out=`` whose rule is not that of their kind: PARTIAL for elementwise
#: operations, FREE for others.
_OUT = _by_name({
    FREE: "logsigmoid mvlgamma special_ndtr threshold",
    PARTIAL: """
        addr bernoulli cumprod cumsum float_power frexp kron logcumsumexp mode nextafter
        normal normalize renorm sort topk
    """,
    ANY: """
        cat cross gather index_select kthvalue linalg_cross masked_select nonzero nonzero_static
        stack take
    """,
    OTHERS: "index_add index_copy index_reduce scatter scatter_add scatter_reduce",
    FIRST: "ldexp",
})  # fmt: skip


def rule_in_place(name):
    """The rule of the method ``name``, which ends in ``_``."""
    return _IN_PLACE.get(name, PARTIAL)


def rule_of_out(name, elementwise=False):
    """The rule of the argument ``out=`` of the function ``name``."""
    return _OUT.get(name, PARTIAL if elementwise else FREE)


def refuse_out(op, out, operands):
    """Raise if ``out``, a tensor or several, overlaps an operand of the operation ``op``."""
    elementwise = op.kind == "elementwise"
    if rule := rule_of_out(op.name, elementwise):
        refuse_overlaps(out, operands, op.name, rule)
    if elementwise and any(y is out for y in operands):
        _refuse_growth(out, operands, op.name)


def _refuse_growth(out, operands, name):
    """Raise if ``out`` is an operand that is smaller than the result: it would be read resized."""
    shapes = [y._array.shape for y in operands if hasattr(y, "_array")]
    try:
        shape = broadcast_shapes(*shapes)
    except ValueError:  # the operation has the better words
        return
    if shape != out._array.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(out._array.shape)} doesn't match the broadcast shape "
            f"{list(shape)}"
        )


def refuse_overlaps(out, operands, name, rule):
    """``refuse`` for ``out``, which is a tensor or a tuple of tensors."""
    for x in out if type(out) in (tuple, list) else (out,):
        if not hasattr(x, "_cell"):
            continue
        refuse_overlap(x, operands[:1], name, PARTIAL if rule >= OTHERS else rule)
        if rule != FIRST:
            refuse_overlap(x, operands[1:], name, ANY if rule == OTHERS else rule)


def refuse_overlap(x, operands, name, rule=PARTIAL):
    """Raise RuntimeError if one of ``operands`` overlaps ``x``, which is written, against ``rule``.

    Operands that are no tensors are skipped. Operands with memory of their own are found by a
    comparison or two of objects, because this runs at every write.
    """
    a = getattr(x, "_array", None)
    if a is None:  # a sparse or nested tensor
        return
    for y in operands:
        if type(y) is Tensor and not mode.intercept:  # the common case of ``shares``
            b = y._array
            apart = (a if a.base is None else a.base) is not (b if b.base is None else b.base)
            if apart and (y._cell is not x._cell or y._cell is None):
                continue
        if y is x:
            if rule == ANY and a.size:
                raise _error(name)
        elif type(y) is tuple or type(y) is list:
            refuse_overlap(x, y, name, rule)
        elif isinstance(y, Tensor) and shares(x, y) and _overlaps(x, y, rule):
            raise _error(name)


def shares(x, y):
    """True if the tensors ``x`` and ``y`` have the same storage, maybe different parts of it.

    Views share their clock. ``.data`` has a clock of its own, but its array has the same owner.
    """
    a, b = getattr(x, "_array", None), getattr(y, "_array", None)
    if a is None or b is None:  # a sparse or nested tensor
        return False
    if y._cell is x._cell and x._cell is not None:
        return True
    if mode.intercept and (recorder := mode.recorder()) is not None:
        return recorder.place(x).memory is recorder.place(y).memory
    if type(a) is not ndarray or type(b) is not ndarray:
        return False
    return (a if a.base is None else a.base) is (b if b.base is None else b.base)


def _overlaps(x, y, rule):
    """Whether ``y`` overlaps ``x``, with which it shares a storage, in a way that is refused."""
    if is_meta(x) or any(t.view_of is not None and t.view_of.lazy for t in (x, y)):
        return False  # there is no memory, or a conjugate has memory of its own
    spans = []
    for t in (x, y):
        a = t._array
        if not a.size or not is_dense(a.shape, a.strides, a.itemsize):
            return False
        start = late.geometry(t)[2] * a.itemsize
        spans.append((start, start + a.size * a.itemsize))
    (first, last), (start, end) = spans
    if spans[0] == spans[1] and rule != ANY:
        a, b = x._array, y._array
        return a.shape != b.shape or any(
            n > 1 and s != t for n, s, t in zip(a.shape, a.strides, b.strides, strict=True)
        )
    return first < end and start < last


def _error(name):
    return RuntimeError(
        f"{name}: unsupported operation: some elements of the input tensor and the written-to "
        "tensor refer to a single memory location. Please clone() the tensor before performing "
        "the operation."
    )
