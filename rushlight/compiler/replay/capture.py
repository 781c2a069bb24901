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
from rushlight.backend import numpy as xp
from rushlight.compiler.replay.noted import Noted, Noting, bare
from rushlight.compiler.replay.tape import MOST_ELEMENTS, Refused, Tape
from rushlight.ops.core.compute import compute
from rushlight.ops.core.dispatch import apply
from rushlight.ops.core.fast_path import viewed
from rushlight.ops.create.filled import empty_
from rushlight.strides import in_order
from rushlight.tensor import Tensor, ViewOf, from_array

__all__ = ["Captured", "Made", "capture"]

_FEW_FILLED = 1 << 10  # so many elements of a constant are copied


class Captured:
    """What a call does.

    Attributes:
        made: The ``Made`` of each result.
        kind: None for one result, or the class of the list of results, ``tuple`` or ``list``.
        loops: The loops that fill the results that are new.
        buffers: The arrays that the loops use.
        spans: Where these and the operands lie; see ``Tape.memory``.
        writes: Whether the loops write to the first operand.
    """

    def __init__(self, made, kind, loops, tape):
        self.made, self.kind, self.loops = made, kind, loops
        self.buffers, self.spans, self.writes = tape.buffers, tape.memory, tape.writes


class Made:
    """A result: a new tensor like ``tensor``, or a view.

    Attributes:
        turned: What the tensor's slot ``turned`` has.
        source: The tensor that a view was made of: an argument, or the ``Made`` of a new tensor.
        offset: Where a view begins, in bytes from the first element of ``source``.
        path: The steps that lead from ``source`` to the view; None if the result is ``source``.
        node: The node of the result, or None.
    """

    def __init__(self, tensor, source=None, offset=0, path=None):
        a = tensor._array
        self.dtype, self.shape, self.strides, self.turned = (
            a.dtype,
            a.shape,
            a.strides,
            tensor.turned,
        )
        self.source, self.offset, self.path = source, offset, path
        self.array, self.cell, self.node = a, tensor._cell, tensor.node


def capture(function, args, named, writes=False):
    """What ``function(*args, **named)`` does, as a ``Captured``.

    ``writes``: the function writes to the first argument, which must be no other's.

    Raises:
        Refused: the call does something else, or too much.
        Exception: what the function raises.
    """
    stage = Capture(writes)
    given = [stage.stand_in(x) for x in args]
    options = {k: stage.stand_in(x) for k, x in named.items()}
    was = mode.exchange("dispatch_modes", stage)
    try:
        with _without_warnings():
            found = function(*given, **options)
    finally:
        mode.exchange("dispatch_modes", was)
    kind = type(found) if isinstance(found, (tuple, list)) else None
    for x in (found,) if kind is None else found:
        stage.renew(x)
    expected = function(*args, **named)
    if type(expected) is not type(found):
        raise Refused
    pairs = [(found, expected)] if kind is None else [*zip(found, expected, strict=True)]
    tensors = stage.tensors(args, named)
    made = [stage.made(*pair, tensors) for pair in pairs]
    return Captured(made, kind, stage.tape.finish(stage.new), stage.tape)


def _lie_alike(a, b):
    return (a.dtype, a.shape, a.strides) == (b.dtype, b.shape, b.strides)


def _equal(a, b):
    """Whether two arrays lie alike and, unless they are large, have the same bits."""
    return _lie_alike(a, b) and (b.size > MOST_ELEMENTS or a.tobytes() == b.tobytes())


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

    def __init__(self, writes):
        self.tape = Tape(Noted, writes)
        self.standing: list = []  # the stand-ins
        self.dtypes = {np.dtype(bool), np.dtype("i8")}  # of results
        self.new: list = []  # the arrays of new results
        self.sourced: list = []  # tensors made of no others, which are constants of the call

    def tensors(self, args, named):
        """The tensors among the arguments, in the order of the tape's inputs."""
        lists = [x if type(x) in (tuple, list) else (x,) for x in (*args, *named.values())]
        return [x for items in lists for x in items if isinstance(x, Tensor)]

    def stand_in(self, x):
        """A tensor in place of the tensor ``x``; other arguments as they are."""
        if type(x) in (tuple, list):
            return type(x)([self.stand_in(item) for item in x])
        if not isinstance(x, Tensor):
            return x
        found = from_array(self.tape.input(x._array))
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

    def made(self, found, expected, tensors):
        """How the result ``expected`` is made, from ``found``, that of the stand-ins."""
        if type(found) is not Tensor or type(found._array) is not Noted:
            raise Refused
        for s, x in zip(self.standing, tensors, strict=True):
            if found is s and expected is x:
                return Made(x, x)
        a, b = found._array.array, expected._array
        if type(expected) is not Tensor or type(b) is not ndarray:
            raise Refused
        if not _lie_alike(a, b):  # trials of the entry compare the bits
            raise Refused
        if expected.view_of is None and found.view_of is None:
            if b.dtype not in self.dtypes:
                raise Refused  # it may depend on the default dtype
            self.new.append(a)
            return Made(expected)
        return self._view(found, expected, tensors)

    def _view(self, found, expected, tensors):
        view, seen = expected.view_of, found.view_of
        if type(view) is not ViewOf or seen is None or not expected._array.flags.writeable:
            raise Refused
        number = next((i for i, s in enumerate(self.standing) if s is seen.root), None)
        base, offset = self.tape.place(found._array.array)
        path = view.path
        source: Any
        if number is None:  # a view of a new tensor
            source = self.made(seen.root, view.root, tensors)
            if source.source is not None or (seen.root is found) or base:
                raise Refused
            offset -= seen.root._array.array.ctypes.data
        else:
            source = tensors[number]
            inner = source.view_of
            root = source if inner is None else inner.root
            path = path[0 if inner is None else len(inner.path) :]
            if base != number + 1 or view.root is not root:
                raise Refused
        if [s[0] for s in path] != [s[0] for s in seen.path]:
            raise Refused
        return Made(expected, source, offset, path)

    # As a dispatch mode ----------------------------------------------------------------------

    def call(self, func, args, kwargs):
        """Refuse operators of users."""
        raise Refused

    def operation(self, op, args, params):
        """Compute an operation on Noted arrays."""
        if op.draws or op.dynamic or op.of_storage or op is empty_.op:
            raise Refused
        operands = args[0] if op.variadic else args
        inputs = [self._input(x) for x in operands]
        was = mode.exchange("dispatch_modes", None)
        try:
            if all(type(a) is not Noted for a in inputs):
                found = apply(op, args, params)
                if not any(isinstance(x, Tensor) for x in operands):
                    self.sourced += found if type(found) is tuple else [found]
                # Else it is no call of this function, but one of a finalizer.
                return found
            if any(type(a) is ndarray for a in inputs):
                raise Refused  # a tensor that is no argument
            return self._computed(op, operands, inputs, params)
        finally:
            mode.exchange("dispatch_modes", was)

    def _input(self, x):
        """The array of an operand; a Noted one of a constant, if some operand may be Noted."""
        if not isinstance(x, Tensor):
            return x
        known = type(x._array) is ndarray and any(x is s for s in self.sourced)
        return self.tape.constant(x._array.copy("K")) if known else x._array

    def _computed(self, op, operands, inputs, params):
        given = (inputs,) if op.variadic else inputs
        if op.prepare is not None:
            params = op.prepare(*given, **params)
        if op.check is not None:
            op.check(*given, **params)
        if op.least is not None and any(type(a) is Noted and a.size >= op.least for a in inputs):
            raise Refused  # a kernel computes it
        if op.kind == "view":
            found = op.forward(xp, inputs[0].array, **params)
            return viewed(op, operands[0], inputs[0].as_view(found), params)
        in_c_order = all(a.flags.c_contiguous for a in inputs if type(a) is Noted)
        if op.arranges and op.kind != "elementwise" and not in_c_order:
            raise Refused  # it visits the elements in the order of memory
        if op.moves:
            found = self._moved(op, inputs, params)
        else:
            found = op.forward(Noting(self.tape), *given, **params)
        results = found if type(found) is tuple else (found,)
        tensors = tuple([self._tensor(op, x) for x in results])
        expected = compute(op, bare(given), params)
        for x, wanted in zip(
            tensors, expected if type(expected) is tuple else (expected,), strict=True
        ):
            if not _equal(x._array.array, wanted):
                raise Refused  # the operation itself computes in another order
        return tensors if type(found) is tuple else tensors[0]

    def _tensor(self, op, found):
        if type(found) is not Noted:
            raise Refused
        if op.in_order:
            a = in_order(found.array)
            found = found.copy() if self.tape.place(a) is None else found.as_view(a)
        if self.tape.place(found.array)[0]:
            raise Refused  # an operation gives its input as its result
        if found.dtype.kind in "fc" and found.dtype not in self.dtypes:
            raise Refused  # it may depend on the default dtype
        o = from_array(found)
        if op.in_order:
            o.turned = None
        return o

    def _moved(self, op, inputs, params):
        """The result of an operation that moves elements; see ``Op.moves``."""

        def run(arrays):
            rest = iter(arrays)
            given = [next(rest) if type(x) is Noted else x for x in inputs]
            return compute(op, (given,) if op.variadic else given, params)

        return self.tape.moved(run, [a.array for a in inputs if type(a) is Noted])
