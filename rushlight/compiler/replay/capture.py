"""``capture``: what a public function does for a call, as loops and views.

The function runs on stand-ins: tensors over ``Noted`` arrays. It hands its operations to a
``Capture``, as to a dispatch mode. So a capture sees the same operations as a trace does.
"""

import sys
import warnings
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import leaf
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.backend.rows import repeats_row
from rushlight.compiler.replay.noted import Noted, Noting, bare
from rushlight.compiler.replay.outcome import Outcome, lie_alike
from rushlight.compiler.replay.streams import NotedStream
from rushlight.compiler.replay.tape import MOST_ELEMENTS, Refused, Tape
from rushlight.dtype import OF, get_default_dtype
from rushlight.ops.core.compute import compute
from rushlight.ops.core.dispatch import apply, record, record_several
from rushlight.ops.core.fast_path import viewed
from rushlight.ops.create.filled import empty_
from rushlight.random import Generator
from rushlight.strides import by_columns, in_order
from rushlight.tensor import Tensor, from_array

__all__ = ["Captured", "capture"]

_FEW_FILLED = 1 << 10  # so many elements of a constant are copied
_MANY = 1 << 14  # elements of an operand with short rows


class Captured:
    """What a call does.

    Attributes:
        makes: The ``Outcome``.
        kind: None for one result, or the class of the list of results, ``tuple`` or ``list``.
        loops: The loops that fill the new arrays.
        buffers: The arrays that the loops use.
        spans: Where these and the operands lie; see ``Tape.memory``.
        writes: Whether the loops write to the first operand.
        default: The default dtype, on which results may depend, or None.
    """

    def __init__(self, makes, kind, tape, default):
        self.default = default
        self.makes, self.kind, self.loops = makes, kind, tape.finish(makes.new)
        self.buffers, self.spans, self.writes = tape.buffers, tape.memory, tape.writes


def capture(function, args, named, streams, writes=False):
    """What ``function(*args, **named)`` does, as a ``Captured``.

    ``streams``: the ``Streams`` from which it draws. ``writes``: it writes to the first argument,
    which must be no other's.

    Raises:
        Refused: the call does something else, or too much.
        Exception: what the function raises.
    """
    stage = Capture(writes, streams)
    given = [stage.stand_in(x) for x in args]
    options = {k: stage.stand_in(x) for k, x in named.items()}
    was = mode.exchange("dispatch_modes", stage)
    try:
        with _without_warnings():
            found = function(*given, **options)
    finally:
        mode.exchange("dispatch_modes", was)
    kind = type(found) if isinstance(found, (tuple, list)) else None
    results = (found,) if kind is None else found
    for x in results:
        stage.renew(x)
    is_rule = kind is None and type(found) is Noted
    tensors = stage.tensors(args, named)
    before = [_state(x) for x in tensors]
    own = [list(x) if type(x) is list else x for x in args]  # a gradient rule may fill its memo
    expected = function(*own, **named)
    if not writes and [_state(x) for x in tensors] != before:
        raise Refused  # the function changes an argument
    if type(expected) is not (ndarray if is_rule else type(found)):
        raise Refused
    wanted = (expected,) if kind is None else expected
    if not is_rule:
        if any(type(x) is not Tensor or type(x._array) is not Noted for x in results):
            raise Refused
        if any(not isinstance(x, Tensor) for x in wanted):
            raise Refused
    makes = Outcome(stage.tape, stage.standing, results, tensors, wanted, stage.dtypes)
    return Captured(makes, kind, stage.tape, stage.default)


def _state(x):
    """The state of the tensor or array ``x``, which differs after a function has changed ``x``."""
    if type(x) is ndarray:
        return x.tobytes(), x.shape, x.strides
    return id(x._array), x._array.shape, x._array.strides, id(x.view_of), id(x.node), [*x.cell]


def _equal(a, b):
    """Whether two arrays lie alike and, unless they are large, have the same bits."""
    return lie_alike(a, b) and (b.size > MOST_ELEMENTS or a.tobytes() == b.tobytes())


def _is_slow(x, y):
    """Whether NumPy's loop over short rows takes longer than Python's part of the call."""
    return type(x) is type(y) is ndarray and x.size >= _MANY and repeats_row(x, y)


@contextmanager
def _without_warnings():
    """A context in which a call of ``warnings.warn`` raises Refused: each call has to warn.

    A profiler sees the calls of this thread alone. ``warnings.catch_warnings`` would change what
    other threads do.
    """

    def seen(frame, event, called):
        if event == "c_call" and called is warnings.warn:
            raise Refused

    if sys.getprofile() is not None:
        raise Refused
    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(None)


class Capture:
    """The operations of one call, which it computes on Noted arrays."""

    def __init__(self, writes, streams):
        self.tape, self.streams = Tape(Noted, writes), streams
        self.generators: dict = {}  # id of a generator among the arguments → its base
        self.standing: list = []  # the stand-ins
        self.dtypes = {np.dtype(bool), np.dtype("i8")}  # of results
        self.default: Any = None  # the default dtype, on which results may depend
        self.sourced: list = []  # tensors made of no others, which are constants of the call

    def tensors(self, args, named):
        """The tensors and arrays among the arguments, in the order of the tape's inputs."""
        lists = [x if type(x) in (tuple, list) else (x,) for x in (*args, *named.values())]
        return [x for items in lists for x in items if isinstance(x, Tensor | ndarray)]

    def stand_in(self, x):
        """A tensor or array in place of the argument ``x``; others than these as they are."""
        if type(x) is Generator:
            self.generators[id(x)] = self.tape.other_input()
        if type(x) in (tuple, list):
            return type(x)([self.stand_in(item) for item in x])
        if type(x) is ndarray:
            self.standing.append(self.tape.input(x))
            return self.standing[-1]
        if not isinstance(x, Tensor):
            return x
        found = from_array(self.tape.input(x._array))
        if x.node is not None and mode.records():
            found.node = leaf(found)
        found.turned = x.turned
        self.dtypes.add(x._array.dtype)
        self.standing.append(found)
        return found

    def renew(self, result):
        """Give a result that is a constant memory of its own, so that loops fill it."""
        if type(result) is Tensor and type(a := self._input(result)) is Noted and a.is_constant():
            if a.size > _FEW_FILLED:
                raise Refused  # to fill memory is faster than to copy to it
            result._array = a.copy("K")

    # As a dispatch mode ----------------------------------------------------------------------

    def call(self, func, args, kwargs):
        """Refuse operators of users."""
        raise Refused

    def operation(self, op, args, params):
        """Compute an operation on Noted arrays."""
        if op.of_storage or op is empty_.op:
            raise Refused
        operands = args[0] if op.variadic else args
        inputs = [self._input(x) for x in operands]
        if op.dynamic(*inputs, **params) if callable(op.dynamic) else op.dynamic:
            raise Refused
        was = mode.exchange("dispatch_modes", None)
        try:
            if not op.draws and all(type(a) is not Noted for a in inputs):
                found = apply(op, args, params)
                if not any(isinstance(x, Tensor) for x in operands):
                    results = found if type(found) is tuple else [found]
                    self.sourced += results
                    for x in results:
                        self._allow(x._array.dtype, ())
                # Else it is no call of this function, but one of a finalizer.
                return found
            if any(type(a) is ndarray for a in inputs):
                raise Refused  # a tensor that is no argument
            if any(type(x) is Noted for x in operands):
                return self._raw(op, inputs, params)
            return self._computed(op, operands, inputs, params)
        finally:
            mode.exchange("dispatch_modes", was)

    def _input(self, x):
        """The array of an operand; a Noted one of a constant, if some operand may be Noted."""
        if not isinstance(x, Tensor):
            return x
        known = type(x._array) is ndarray and any(x is s for s in self.sourced)
        return self.tape.constant(x._array.copy("K")) if known else x._array

    def _raw(self, op, inputs, params):
        """The result of an operation that a gradient rule calls with arrays."""
        tensors = [from_array(a) if type(a) is Noted else a for a in inputs]
        found = self._computed(op, tensors, inputs, params)
        return tuple([x._array for x in found]) if type(found) is tuple else found._array

    def _computed(self, op, operands, inputs, params):
        given = (inputs,) if op.variadic else inputs
        if op.prepare is not None:
            params = op.prepare(*given, **params)
        if op.check is not None:
            op.check(*given, **params)
        if op.kind == "view":
            found = op.forward(xp, inputs[0].array, **params)
            return viewed(op, operands[0], inputs[0].as_view(found), params)
        in_c_order = all(a.flags.c_contiguous for a in inputs if type(a) is Noted)
        if op.arranges and op.kind != "elementwise" and not in_c_order:
            raise Refused  # it visits the elements in the order of memory
        noting = self._drawing(params) if op.draws else params
        before = self.streams.marks()
        expected = compute(op, bare(given), params)  # ahead, because it fills a memo, too
        self.streams.rewind(before)
        if self._has_kernel(op, inputs, params):
            found = native.compute(op, given, params)
            if found is None:
                raise Refused
        elif op.moves:
            found = self._moved(op, inputs, params)
        else:
            if op.kind == "elementwise":
                given = self._promoted(op, inputs)
                if len(given) == 2 and _is_slow(*bare(given)):
                    raise Refused
            found = op.forward(Noting(self.tape), *given, **noting)
            if op.raises and type(found) is ndarray:  # a check's result, which has no meaning
                return from_array(found)
        results = found if type(found) is tuple else (found,)
        tensors = [self._tensor(op, x, i in op.columns) for i, x in enumerate(results)]
        for x in tensors:
            self._allow(x._array.dtype, inputs)
        for x, wanted in zip(
            tensors, expected if type(expected) is tuple else (expected,), strict=True
        ):
            if not _equal(bare(x._array), wanted):
                raise Refused  # the operation itself computes in another order
        parents = [getattr(x, "node", None) for x in operands]
        recording = any(parents) and mode.records()
        if type(found) is tuple:
            if recording:
                record_several(op, operands, inputs, parents, params, tensors)
            return tuple(tensors)
        if recording and OF[found.dtype].category > 1:
            record(op, operands, inputs, parents, params, tensors[0])
        return tensors[0]

    def _has_kernel(self, op, inputs, params):
        """Whether a kernel may compute the operation, and not NumPy."""
        if op.least is None or all(type(a) is not Noted or a.size < op.least for a in inputs):
            return False
        return op.worth is None or op.worth(*bare(inputs), **params)

    def _drawing(self, params):
        """``params`` of an operation that draws, with a generator whose numbers are noted."""
        generator = params["generator"]
        self.streams.take(generator)
        stream = NotedStream(generator, self.generators.get(id(generator)), self.tape)
        return {**params, "generator": stream}

    def _tensor(self, op, found, columns):
        if type(found) is ndarray and not found.size:
            return from_array(found)  # it is no result of the call, or the call is refused
        if type(found) is not Noted:
            raise Refused
        found = by_columns(found) if columns else found
        if op.in_order:
            a = in_order(found.array)
            found = found.copy() if self.tape.place(a) is None else found.as_view(a)
        if self.tape.place(found.array)[0] and not op.shares:
            raise Refused  # an operation gives its input as its result
        o = from_array(found)
        if op.in_order:
            o.turned = None
        return o

    def _promoted(self, op, inputs):
        """The operands in the dtype in which an elementwise operation computes."""
        common = op.dtype(bare(inputs)).numpy
        self._allow(common, inputs)
        return [
            a.astype(common, copy=False) if type(a) is Noted and i not in op.conditions else a
            for i, a in enumerate(inputs)
        ]

    def _allow(self, dtype, inputs):
        """Let results have ``dtype``. Unless an operand has it, it may be the default dtype."""
        if dtype.kind in "fc" and all(getattr(a, "dtype", None) != dtype for a in inputs):
            self.default = get_default_dtype()
        self.dtypes.add(dtype)

    def _moved(self, op, inputs, params):
        """The result of an operation that moves elements; see ``Op.moves``."""

        def run(arrays):
            rest = iter(arrays)
            given = [next(rest) if type(x) is Noted else x for x in inputs]
            return compute(op, (given,) if op.variadic else given, params)

        return self.tape.moved(run, [a.array for a in inputs if type(a) is Noted])
