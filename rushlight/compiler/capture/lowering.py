"""Lowering: composite operations become primitive ones.

A composite operation states the operations that it consists of by a rule in its own block, like a
gradient rule::

    softmax.lower(lambda x, dim: ...)

``expand`` runs the rule on tensors that have shapes but no elements, under a recorder of its own.
The recorded equations replace the composite one, and are lowered in turn. Sums of slices' gradients
become writes first (``slice_sums.py``). Each equation that remains is elementwise, a view, an
operation with a ``primitive`` (``ir/roles.py``), or a call of its NumPy forward.
"""

from contextlib import contextmanager

from rushlight.autograd import mode
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.capture.slice_sums import sums
from rushlight.compiler.ir.abstract import HALF, Abstract
from rushlight.compiler.ir.machine import other_machine
from rushlight.compiler.ir.roles import attention, joins
from rushlight.dtype import COMPLEX_KINDS, OF, float32
from rushlight.errors import TraceError
from rushlight.ops.core.definition import OPS
from rushlight.ops.index.slice import placed
from rushlight.ops.tensor.memory_format import contiguous_format
from rushlight.tensor import from_array

__all__ = ["checks_of", "deliver", "expand", "recording", "run_rule", "unfold", "unfolded"]


def expand(equations, checks=True):
    """``equations`` with composite operations replaced by the operations of their lowering.

    The results stay the same ``Abstract`` objects, so references to them stay valid. The checks of
    an equation's operands come just before the equation, unless ``checks`` is False.
    """
    parts = sums(equations)
    found: list = []
    for equation in equations:
        found += checks_of(equation) if checks else []
        part = parts.get(id(equation))
        found += _lowered(equation) if part is None else _joined(equation, part)
    return found


def _joined(equation, part):
    """The equations that write a part into the whole, in place of an addition; see ``sums``."""
    recorder = Recorder()
    with recording(recorder):
        whole, value = from_array(part.whole), from_array(part.part)
        result = placed(whole, value if part.fresh else whole[part.place] + value, part.place)
    deliver(equation, (result,), recorder)
    return recorder.equations


def checks_of(equation):
    """The checks that the forward of ``equation`` makes, as equations."""
    if equation.op.checking is None:
        return []
    recorder = Recorder()
    run_rule(equation.op.checking, equation, recorder, widen=False)
    return [e for made in recorder.equations for e in _lowered(made)]


def unfold(equations, keep):
    """``equations``, with those lowered, recursively, for which ``keep(equation)`` is false.

    Equations without a lowering are kept.
    """
    found: list = []
    for equation in equations:
        made = None if keep(equation) else _made_of(equation)
        found += [equation] if made is None else unfold(made, keep)
    return found


def unfolded(equation):
    """The equations that ``equation`` is made of, not recursively; None if it is not lowered."""
    return _made_of(equation)


def _lowered(equation):
    if attention(equation):
        return _whole(equation)
    made = _made_of(equation)
    if made is None and equation.op.role == "scatter" and joins(equation):
        return _whole(equation)  # a sum in half precision would be rounded at each step
    # The checks of the composite operation suffice: the parts of a lowering are not checked again.
    return [equation] if made is None else [e for m in made for e in _lowered(m)]


def _made_of(equation):
    """The equations that the lowering of ``equation`` records; they give the same values.

    None if the operation has no lowering, or the lowering does not serve this equation.
    """
    op = equation.op
    other = other_machine()
    far = other is not None and not other.calls
    rules = [op.far_lowering, op.lowering] if far else [op.lowering]
    if not any(rules) or not _serves(equation):
        return None
    for rule in filter(None, rules):
        recorder = Recorder()
        results = run_rule(rule, equation, recorder, op.widen)
        if results is not NotImplemented:
            break
    else:
        return None
    deliver(equation, results if isinstance(results, (tuple, list)) else (results,), recorder)
    return recorder.equations


def _whole(equation):
    """``equation``, which has a kernel of its own; half precision is converted to float32."""
    if equation.outs[0].dtype not in HALF:
        return [equation]
    recorder = Recorder()
    with recording(recorder):
        ins = [recorder.value(_operand(v, True)) for v in equation.ins]
        results = recorder.emit(equation.op, tuple(ins), equation.params)
    deliver(equation, [from_array(v) for v in results], recorder)
    return recorder.equations


def _serves(equation):
    """Whether lowering is of use: all values have elements, and none is complex.

    Of a list of operands, some may be empty.
    """
    values = (*operands(equation), *equation.outs)
    filled = equation.outs if equation.op.variadic else values
    real = all(v.dtype.kind not in COMPLEX_KINDS for v in values)
    return real and all(v.size for v in filled)


# Running a rule ---------------------------------------------------------------------------


def run_rule(lowering, equation, recorder, widen):
    """Run a rule on the operands of ``equation`` under ``recorder``; return its results."""
    rule, names = lowering
    given = dict(zip(equation.op.inputs, equation.ins, strict=False)) | equation.params
    with recording(recorder):
        return rule(*[_operand(given.get(name), widen) for name in names])


@contextmanager
def recording(recorder):
    """Context in which operations are recorded by ``recorder``, and not by an outer recorder."""
    state = mode.state
    was, autocast, grad = state.recorder, state.autocast, state.grad
    try:
        mode.set_grad(False)
        mode.exchange("autocast", None)
        mode.exchange("recorder", recorder)
        yield
    finally:
        mode.exchange("recorder", was)
        mode.exchange("autocast", autocast)
        mode.set_grad(grad)


def _operand(value, widen):
    """An operand as the rule gets it: a value becomes a tensor.

    With ``widen``, half precision is converted to float32.
    """
    if isinstance(value, list):
        return [_operand(v, widen) for v in value]
    if not isinstance(value, Abstract):
        return value
    tensor = from_array(value)
    return tensor.to(float32) if widen and value.dtype in HALF else tensor


# Putting results in place -----------------------------------------------------------------


def deliver(equation, results, recorder):
    """Rename the recorded results to the ``Abstract`` values of ``equation``."""
    place: dict = {}
    for wanted, result in zip(equation.outs, results, strict=True):
        value = _fitted(equation, wanted, recorder.value(result), recorder)
        made = any(v is value for e in recorder.equations for v in e.outs)
        if not made or value.id in place or not _same_layout(value, wanted):
            (value,) = recorder.emit(OPS["clone"], (value,), {"memory_format": contiguous_format})
        place[value.id] = wanted
    for e in recorder.equations:
        e.outs = [place.get(v.id, v) for v in e.outs]
        e.ins = tuple([_renamed(v, place) for v in e.ins])
        e.params = {k: _renamed(v, place) for k, v in e.params.items()}


def _renamed(value, place):
    if isinstance(value, list):
        return [_renamed(v, place) for v in value]
    return place.get(value.id, value) if isinstance(value, Abstract) else value


def _fitted(equation, wanted, value, recorder):
    """``value``, converted from float32 to the dtype of ``wanted`` if that is half precision."""
    if value.dtype == float32.numpy and wanted.dtype in HALF:
        params = {"dtype": wanted.dtype, "memory_format": None}
        (value,) = recorder.emit(OPS["to_copy"], (value,), params)
    if value.shape != wanted.shape or value.dtype != wanted.dtype:
        raise TraceError(
            f"{equation.op.name}: its lowering gives {OF[value.dtype]} {list(value.shape)}, the "
            f"operation itself {OF[wanted.dtype]} {list(wanted.shape)}: {equation!r}"
        )
    return value


def _same_layout(value, wanted):
    """Whether the strides are equal: later views were recorded on the strides of ``wanted``."""
    pairs = zip(value.shape, value.strides, wanted.strides, strict=True)
    return all(have == want for n, have, want in pairs if n > 1)
