"""Records a function of single samples for ``vmap``."""

import numpy as np

from rushlight.autograd import mode
from rushlight.compiler.capture.recorder import Recorder
from rushlight.compiler.capture.replay_recorder import ReplayRecorder
from rushlight.compiler.capture.tracked_memory import TrackedMemory
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.tensor import Tensor, from_array

__all__ = ["BatchRecorder", "Call"]


class Call:
    """A call of a custom Function, recorded as one equation."""

    kind, variadic, draws, lowering, role = "function", False, False, None, ""
    check = checking = None
    raises = True  # it runs even if nothing reads its results, because it may do anything

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments
        self.name = function.__name__
        self.inputs = tuple([f"x{i}" for i, a in enumerate(arguments) if isinstance(a, Tensor)])

    def given(self, tensors):
        """All arguments, with ``tensors`` in the place of the recorded ones."""
        tensors = iter(tensors)
        return [next(tensors) if isinstance(a, Tensor) else a for a in self.arguments]

    def __call__(self, *tensors):
        return self.function.apply(*self.given(tensors))

    def batched(self, size, randomness, operands):
        """The results for a batch by the Function's ``vmap``; None if it has none."""
        rule = getattr(self.function, "vmap", None)
        if rule is None:
            return None
        tensors = iter([0 if b else None for _, b in operands])
        dims = [next(tensors) if isinstance(a, Tensor) else None for a in self.arguments]
        info = BatchInfo(size, randomness)
        results, out_dims = rule(info, tuple(dims), *self.given([x for x, _ in operands]))
        several = isinstance(results, (tuple, list))
        found = list(results) if several else [results]
        places = list(out_dims) if isinstance(out_dims, (tuple, list)) else [out_dims] * len(found)
        found = [
            r.expand(size, *r.shape) if d is None else r.movedim(d, 0)
            for r, d in zip(found, places, strict=True)
        ]
        return found if several else found[0]


class BatchInfo:
    """What ``Function.vmap`` is told about the batch.

    Attributes:
        batch_size: The number of samples.
        randomness: ``"error"``, ``"different"`` or ``"same"``.
    """

    def __init__(self, batch_size, randomness):
        self.batch_size, self.randomness = batch_size, randomness


class BatchRecorder(ReplayRecorder):
    """The recording of a function of single samples.

    A tensor from outside becomes a value of its own, even if another one looks at the same memory,
    because the two may have different histories.
    """

    #: Gradients may go through nodes from before the recording, whose values are known.
    batches = True

    def __init__(self, randomness):
        super().__init__()
        self.randomness = randomness
        self.own: set = set()  # ids of the abstract values made here
        self.tensors: dict = {}  # id of a tensor from outside → (tensor, its value)

    def sample(self, t):
        """A tensor like one sample of the batch ``t``, without elements."""
        array = t._array
        value = Abstract(array.shape[1:], array.dtype, array.strides[1:])
        self.own.add(value.id)
        found = from_array(value)
        return found.requires_grad_() if t.requires_grad and mode.state.grad else found

    def outside(self):
        """(tensor, value) of each tensor from outside that the function read."""
        found = list(self.tensors.values())
        return [*found, *[(c.tensor, c.value) for c in self.captured.values()]]

    # Recording ------------------------------------------------------------------------------

    def emit(self, op, ins, params):
        if op.draws and self.randomness == "error":
            raise RuntimeError(
                f"vmap: called random operation while in randomness error mode: {op.name}. Please "
                "either use the 'same' or 'different' randomness flags on vmap or perform the "
                "randomness operation out of vmap"
            )
        outs = TrackedMemory.emit(self, op, ins, params)
        self.equations[-1].tracked = not self._forgets()
        self.own.update([v.id for v in outs])
        return outs

    def _detached(self, value):
        found = super()._detached(value)
        self.own.add(found.id)
        return found

    def note_alias(self, tensor, source):
        """A tensor without history shares its memory with its detached one, as in eager mode."""
        if source.node is None and type(source._array) is Abstract:
            return Recorder.note_alias(self, tensor, source)
        return super().note_alias(tensor, source)

    def capture(self, tensor, get=None):
        key = super().capture(tensor, get)
        self.own.add(self.outer[key].look.id)
        return key

    def _look(self, look, memory, path, value=None):
        self.own.add(look.id)
        return super()._look(look, memory, path, value)

    def value(self, x):
        if not isinstance(x, Tensor) or not self._is_outside(x):
            return super().value(x)
        if self.place(x).memory.version:
            return super().value(x)
        if id(x) not in self.tensors:
            value = Abstract(x._array.shape, x._array.dtype, x._array.strides)
            self.tensors[id(x)] = x, value
        return self.tensors[id(x)][1]

    def values(self, results):
        """The value of each tensor in ``results``."""
        return [self.value(t) for t in results if isinstance(t, Tensor)]

    def selects(self, index):
        return self._is_outside(index)

    def _is_outside(self, x):
        if id(x) in self.moved:
            return False
        if isinstance(x._array, Abstract):
            return x._array.id not in self.own
        return self.is_outer(x)

    def function(self, function, args):
        """Record a call of a custom Function; returns what it returns.

        Its forward is recorded, too, for gradients that are computed inside of the recording.
        Gradients of the batch take the Function's own backward, so the results are those of a
        ``Call``.
        """
        tensors = [a for a in args if isinstance(a, Tensor)]
        values = [self.value(t) for t in tensors]
        self.batches = False
        try:
            found = function.apply(*args)
        finally:
            self.batches = True
        several = isinstance(found, (tuple, list))
        results = [t for t in (found if several else [found]) if isinstance(t, Tensor)]
        if any(t is a for t in results for a in tensors):
            raise RuntimeError(
                f"vmap: {function.__name__} writes to its inputs, which vmap does not support"
            )
        outs = [Abstract(t._array.shape, t._array.dtype) for t in results]
        self.equations.append(Equation(Call(function, args), tuple(values), {}, outs))
        self.equations[-1].tracked = not self._forgets()
        self.own.update([v.id for v in outs])
        now = {id(t._array): value for t, value in zip(results, outs, strict=True)}
        nodes = [getattr(t.node, "source", t.node) for t in results]
        for kept in next((node.saved for node in nodes if type(node) is function._ctx_class), ()):
            array = getattr(kept, "_array", None)  # a result that was saved has its history, too
            if id(array) in now:
                kept._array = now[id(array)]
        for t in results:
            t._array = now[id(t._array)]
        return found

    def refuse_values(self, tensor, name):
        if name in ("repr", "format"):  # the text shows no values
            return
        if name in ("item", "tolist", "float", "int", "numpy"):
            raise RuntimeError(
                f"vmap: It looks like you're calling .{name}() on a Tensor. We don't support vmap "
                f"over calling .{name}() on any Tensor, please try to rewrite what you're doing "
                "with other operations."
            )
        raise RuntimeError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control "
            "flow. We don't support that yet; use torch.where, which computes both ways."
        )

    # What a batch has no need of ------------------------------------------------------------

    def live(self, get, place=None, steady=False):
        return from_array(np.asarray(get()))

    def touch_module(self, module):
        pass

    def touch_function(self, cls):
        pass

    def note(self, tensor):
        pass

    def _note_nodes(self, equation, given, operands, outs):
        pass

    def changed(self, samples):
        """(tensor, new value) of each argument, or tensor from outside, that was written."""
        found = [(s, self.value(s)) for s in samples if self._was_written(s)]
        known = {id(s) for s, _ in found}
        for key in self.written:
            tensor = self.captured[key].tensor
            if id(tensor) not in known:
                found.append((tensor, self.outer[key].value))
        return found

    def _was_written(self, s):
        array = s._array if isinstance(s, Tensor) else None
        place = self.looks.get(array.id) if isinstance(array, Abstract) else None
        return place is not None and place.memory.version > 0
