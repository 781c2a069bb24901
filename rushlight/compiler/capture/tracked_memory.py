"""Memory while a call is recorded: a read gives the abstract value that the last write left there.

A tensor is a way to look at a memory: a path of views. Its value is computed from the memory's
present value, along this path, when an operation reads it after a write.
"""

import weakref

import numpy as np

from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.compiler.capture.inferred import inferred
from rushlight.compiler.capture.inputs import Captured, has_memory, key_of
from rushlight.compiler.capture.memory import Memory, Place, in_memory_order, lies_alike
from rushlight.compiler.ir.abstract import Abstract, user_line
from rushlight.compiler.ir.affine import strides_of
from rushlight.compiler.ir.equation import Equation
from rushlight.device import CPU
from rushlight.errors import TraceError
from rushlight.handled import is_handled
from rushlight.ops.core.definition import OPS
from rushlight.ops.tensor.memory_format import contiguous_format
from rushlight.random import default_generator, generator_of
from rushlight.remote import default_device, place_of
from rushlight.shaped import Shaped
from rushlight.storage import offset
from rushlight.strides import visit_order
from rushlight.tensor import Tensor

__all__ = ["LateWrite", "TrackedMemory"]


class LateWrite(TraceError):
    """A backward that comes after the call would write to memory that was there before it."""


class TrackedMemory:
    """The memory that tensors look at, and the equations that compute its values.

    Attributes:
        equations: The equations so far.
        captured: From the key of a memory from outside to its input, a ``Captured``.
        outer: From the key of a memory from outside to its ``Memory``.
        written: The keys of the memories from outside that the program writes, in order.
        looks: From the id of a traced tensor's array to its ``Place``.
        moved: From the id of a tensor to (outer tensor, abstract array it looks at now, cell).
        checks: Conditions under which the program holds, each (template, objects, value). The
            template, filled with the objects' names, is an expression that must give the value.
        shares: Whether two tensors from outside look at one memory.
        sealed: Memory whose ``look`` has a smaller id than this, and memory from outside, cannot be
            written: the gradient for a backward after the call is recorded. 0: all can.
        selected: id of a memory → (the memory, that of which it is a view in eager mode, the
            version of this at that time). See ``note_selected``.
    """

    batches = False  # True if vmap records
    exporting = False  # True if torch.export records

    def __init__(self):
        self.equations: list = []
        self.captured: dict = {}
        self.outer: dict = {}
        self.written: dict = {}
        self.looks: dict = {}
        self.moved: dict = {}
        # Tensors made here that look at memory from outside.
        self.aliases: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
        self.views: dict = {}  # id → view from outside whose memory is that of another tensor
        self.checks: list = []
        self.kept: list = []  # tensors that must stay alive, because their ids are keys
        self.shares = False
        self.sealed = 0
        self.selected: dict = {}
        self.refused: TraceError | None = None

    def refuse(self, reason):
        """Raise a TraceError, because a program cannot repeat what the function does here."""
        error = TraceError(f"{user_line()}: {reason}")
        self.refused = self.refused or error  # is raised at the end even if somebody catches it
        raise error

    def capture(self, tensor, get=None):
        """Make an outer tensor an input; ``get`` finds it again. Returns its memory's key."""
        if is_handled(tensor):
            raise TraceError(
                f"{user_line()}: a tensor whose class, {type(tensor).__name__}, has "
                "__torch_dispatch__ comes into torch.compile, which does not call such handlers; "
                "compile the handler's own computations, or give the tensor as an argument: then "
                "the function runs eagerly"
            )
        if not has_memory(tensor._array):
            raise TraceError(
                f'{user_line()}: a tensor on the device "meta" from outside comes into '
                "torch.compile, where it has no elements to compute with; give it as an argument "
                "of the function"
            )
        key = key_of(tensor._array)
        if self.exporting and isinstance(tensor._array, Shaped):
            self.refuse(
                f"a tensor on the device {tensor.device} comes into torch.export, "
                "whose programs run on the CPU; move the model with cpu() first"
            )
        known = self.captured.get(key)
        if known is None:
            value = self._like(tensor._array)
            self.captured[key] = Captured(tensor, get, value)
            look = self._like(value)
            memory = self.outer[key] = Memory(look, value, key, tensor._array)
            self.looks[look.id] = Place(memory, (), look, value, 0)
            self.kept.append(tensor)
        elif known.tensor is not tensor and self.is_outer(tensor):
            # Two tensors over one memory are one input: later calls must have it so, too.
            template = "{0}({1}._array) == {0}({2}._array)"
            if known.tensor._array is tensor._array:
                template = "{1}._array is {2}._array"
            self.checks.append((template, (key_of, known.tensor, tensor), True))
            self.shares = True
        return key

    def place(self, x):
        """The ``Place`` that the tensor ``x`` looks at now."""
        array = x._array
        if id(x) in self.moved:
            array = self.moved[id(x)][1]
        if type(array) is Abstract:
            found = self.looks.get(array.id)
            if found is None:
                memory = Memory(array, array)
                found = self.looks[array.id] = Place(memory, (), array, array, 0)
            return found
        key = key_of(array)
        if x.view_of is None or key in self.outer:
            return self.looks[self.outer[self.capture(x)].look.id]
        root = self.place(x.view_of.root)
        if id(x) not in self.views:
            # The user may make ``x`` look at other memory, for example by ``x.data = …``.
            self.views[id(x)] = x
            self.checks.append(("{0}.view_of", (x,), x.view_of))
            # The base may be looked up in each call, so that it may be another tensor next time.
            self.checks.append(("{0}.view_of.root is {1}", (x, x.view_of.root), True))
        look = self._like(array)
        return self._look(look, root.memory, (*root.path, *x.view_of.path))

    def _look(self, look, memory, path, value=None):
        """Note the place of the abstract array ``look``; ``value`` is the value there now."""
        version = memory.version if value is not None else -1
        self.looks[look.id] = found = Place(memory, path, look, value, version)
        return found

    def value(self, x):
        """The abstract value that ``x`` (a tensor or a constant) has now."""
        if not isinstance(x, Tensor):
            return x
        refresh(x)  # the node of a view whose base was written since
        array = x._array
        if type(array) is Abstract and array.id not in self.looks:
            return array
        place = self.place(x)
        memory = place.memory
        if id(memory) in self.selected:
            _, whole, version = self.selected[id(memory)]
            if whole.version != version:
                self._refuse_selected()
        if place.version != memory.version:
            place.value, place.version = self._reread(memory.value, place.path), memory.version
        return place.value

    def _reread(self, value, path):
        """The part of a memory's new value that is kept for all later reads."""
        return self._along(value, path)

    def selects(self, index):
        """Whether a 0-dim index means what a Python integer means."""
        return True

    def note_selected(self, part, whole):
        """Note that ``part``, a copy, is a view of the tensor ``whole`` in eager mode.

        A program does not know where in memory an index that it computes leads. So nothing may be
        written through ``part``, and ``part`` is not read after a write to the memory.
        """
        memory, own = self.place(whole).memory, self.place(part).memory
        _, memory, version = self.selected.get(id(memory), (None, memory, memory.version))
        self.selected[id(own)] = own, memory, version

    def _refuse_selected(self):
        self.refuse(
            "x[i] with a tensor i is a view of x, and one of the two is written while the other is "
            "in use; index with an int, or write to a clone()"
        )

    def snapshot(self, x):
        """A copy of the present value of ``x``. Later writes to ``x`` do not change the copy."""
        (found,) = self.emit(OPS["clone"], (self.value(x),), {"memory_format": None})
        return found

    def _along(self, value, path):
        for op, args, params in path:
            if op.of_storage:
                value = self._ordered(value)
                own = value.shape, strides_of(value.shape), 0
                params = {**params, "geometry": own}
            (value,) = self.emit(op, (value, *args), params)
        return value

    def _ordered(self, value):
        """``value`` with its dims in the order in which they lie in memory."""
        dims = in_memory_order(value)
        if dims == [*range(value.ndim)]:
            return value
        return self.emit(OPS["permute"], (value,), {"dims": tuple(dims)})[0]

    def offset(self, x):
        """The storage offset of ``x`` in elements. Later calls must have the same offset."""
        place = self.place(x)
        self._note_offset(place.memory)
        return place.start()

    def _note_offset(self, memory):
        """Make the storage offset of an outer memory a condition of the program."""
        if memory._array is not None:
            first = (offset, self.captured[memory.key].tensor)
            self.checks.append(("{0}({1}._array)", first, offset(memory._array)))

    def is_outer(self, tensor):
        """Whether a tensor was there before the trace."""
        return type(tensor._array) is not Abstract and self.aliases.get(id(tensor)) is not tensor

    def emit(self, op, ins, params):
        """Append an equation; returns its abstract results."""
        outs = self.infer(op, ins, params)
        if op.draws and params["generator"] is default_generator:
            with mode.suspended():  # the device's generator is made when it is first used
                params = {**params, "generator": generator_of(outs[0].device)}
        self.equations.append(Equation(op, ins, params, outs))
        return outs

    def infer(self, op, ins, params):
        """The abstract results of an equation, on their device."""
        outs = inferred(op, ins, params)
        if op.kind == "source":
            d = default_device()
        elif "there" in params:  # a copy between devices
            d = params["there"]
        else:
            flat = ins[0] if op.variadic else ins
            found = [v.device for v in flat if type(v) is Abstract and v.device is not CPU]
            d = found[0] if found else CPU
        for out in outs:
            out.device = d
        return outs

    def _like(self, array):
        """An abstract array that lies as ``array``, on its device."""
        d = CPU if self.batches else place_of(array)
        return Abstract(array.shape, array.dtype, array.strides, d)

    def _write(self, memory, value, path):
        """Write ``value`` to the part of ``memory`` that ``path`` views. Its layout stays."""
        if id(memory) in self.selected:
            self._refuse_selected()
        if self.sealed and (memory.key is not None or memory.look.id < self.sealed):
            raise LateWrite(
                f"{user_line()}: the backward writes to a tensor of shape "
                f"{tuple(memory.look.shape)} that was there before it, and it comes after the "
                "call; have backward() inside torch.compile too"
            )
        if path or not isinstance(value, Abstract) or not lies_alike(value, memory.look):
            params = {"path": path, "strides": memory.look.strides}
            (value,) = self.emit(OPS["patch"], (memory.value, value), params)
        memory.write(value)
        if memory.key is not None:
            self.written[memory.key] = None

    def _laid_out(self, value, strides):
        """``value`` with its dims laid out in memory in the order of ``strides``."""
        if value.strides == strides:
            return value
        order = visit_order(value.shape, strides)
        if order == visit_order(value.shape, value.strides):
            return value
        (turned,) = self.emit(OPS["permute"], (value,), {"dims": tuple(order)})
        (copy,) = self.emit(OPS["clone"], (turned,), {"memory_format": contiguous_format})
        back = tuple(np.argsort(order).tolist())
        return self.emit(OPS["permute"], (copy,), {"dims": back})[0]

    def _fitted(self, value, x):
        if not isinstance(value, Abstract):
            return value
        there = self.place(x).look.device
        if value.device is not there:
            params = {"there": there, "back": value.device, "count": None}
            (value,) = self.emit(OPS["to_device"], (value,), params)
        if value.dtype != x._array.dtype:
            (value,) = self.emit(OPS["to_copy"], (value,), {"dtype": x._array.dtype})
        if value.shape != tuple(x._array.shape):
            (value,) = self.emit(OPS["expand"], (value,), {"size": tuple(x._array.shape)})
        return value
