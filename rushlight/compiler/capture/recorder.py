"""Recording: operations on tensors become equations on abstract values.

A tensor from outside (an argument, a parameter, a buffer, optimizer state) becomes an input of the
program when the traced function first touches it. The program carries out recorded writes to such
tensors at the end, after everything has been computed. A program that fails earlier has therefore
changed nothing: the call then runs eagerly, and eager mode raises the error.
"""

import weakref
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf, output, refresh, tick
from rushlight.autograd.write import follow, stamp
from rushlight.compiler.capture.inputs import Grad, Live, key_of
from rushlight.compiler.capture.memory import Memory, overlaps
from rushlight.compiler.capture.outer_arrays import Array
from rushlight.compiler.capture.symbolic_numbers import Numbers, SymbolicNumber, without_numbers
from rushlight.compiler.capture.tracked_memory import TrackedMemory
from rushlight.compiler.ir.abstract import HALF, Abstract, refuse_values
from rushlight.device import META
from rushlight.dtype import OF
from rushlight.ops.core.dispatch import record as attach
from rushlight.ops.core.dispatch import refuse
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.ops.core.remote_calls import check_devices
from rushlight.ops.create.from_data import from_numpy
from rushlight.remote import device_of
from rushlight.tensor import Tensor, ViewOf, from_array

__all__ = ["Recorder", "attached"]


class History(NamedTuple):
    """The nodes of one equation in the traced graph.

    Attributes:
        given: The nodes of its operands. None: gradients were off.
        made: The nodes of its results.
        seen: id of an abstract array → (its memory, the memory's version then). It has the operands
            and results if a result has a node, because the node may save these arrays.
    """

    equation: Any
    given: list | None
    made: list
    seen: dict

    def look_at(self, place):
        """Note the present version of the memory at a ``Place``."""
        self.seen[place.look.id] = place.memory, place.memory.version


class Recorder(TrackedMemory):
    """The trace of one call.

    Attributes:
        observer: Notes which Python objects the function reads and writes; ``observe`` makes it.
            None if only operations are recorded.
        checks: See ``TrackedMemory``. The observer's conditions are checked before these.
        places: Functions without arguments. Each gives conditions about objects that may be
            replaced between calls, such as an optimizer's state. A condition here is (template,
            objects, value, fixed): only the template and ``fixed`` must stay the same.
        calls: Deferred calls, each (function, arguments, keywords), which every run makes. The
            first ``first_calls`` of them run before the program, the others after it.
        passed: (number of equations at that time, node) for each node that a gradient passed.
        histories: id of an equation → its ``History``. Equations that operations on memory added,
            such as a write's, have none.
    """

    auditing = False  # True if the recording is only compared with an earlier one: no program

    def __init__(self, leaves=(), is_apart=lambda container: False, observe=None):
        super().__init__()
        self.began = tick()
        self.leaves = leaves
        self.lives: list = []
        self.grads: dict = {}  # id(leaf) → (leaf, its grad at entry, whether that was read)
        self.nodes: dict = {}  # id(tensor) → (tensor, node at entry)
        self.over_arrays: dict = {}  # id → tensor made here over a NumPy array from outside
        self.places: list = []
        self.calls: list = []
        self.passed: list = []
        self.histories: dict = {}
        self._history_of: dict = {}  # node → the History of the equation that made it
        self.first_calls = 0
        self.hooks: dict = {}  # id → (dict of hooks from outside, its copy from before the trace)
        self.modules: dict = {}  # id → Module that was called
        self.made: list = []  # weak references to the tensors that the trace made
        self.stepped: dict = {}  # optimizer → the states that its steps in this trace share
        self.numbers = Numbers()
        self._tensors: dict = {}  # name of a SymbolicNumber → its input tensor
        self._over: dict = {}  # id of a stand-in → the tensor over its array
        self.constants: list = []  # results of functions marked with assume_constant_result
        self.undo: list = []  # functions that take back state made for the trace
        self.observer: Any = None if observe is None else observe(self, is_apart)
        for i, t in enumerate(leaves):
            self.captured[self.capture(t)].get = i

    # Values -----------------------------------------------------------------------------

    def enter(self, device):
        """Refuse new tensors on ``device`` if the program cannot make them there."""
        if device is META or self.exporting:
            inside = "torch.export" if self.exporting else "torch.compile"
            self.refuse(
                f'inside {inside}, tensors are made on the device "{device}", which a program '
                "cannot do"
            )

    def _saved(self, x):
        """The array that a node saves for an operand. It looks at memory, as in eager mode."""
        return self.place(x).look if isinstance(x, Tensor) else x

    def live(self, get, place=None, steady=False):
        """A 0-dim tensor that holds ``get()`` at each run; see ``Live``."""
        found = get()
        if isinstance(found, Tensor):
            return found
        if type(found) is SymbolicNumber:
            return self._live_number(found)
        dtype = np.dtype(np.float64) if isinstance(found, float) else np.asarray(found).dtype
        value = Abstract((), dtype)
        # A deferred call that runs before the program may change even a steady number.
        steady = steady and not self.first_calls
        self.lives.append(Live(get, place, steady, self.first_calls, value))
        return from_array(value)

    def _live_number(self, number, dtype=None):
        """The input tensor of ``number``, converted to ``dtype`` if that is given.

        An integer that does not fit into 64 bits is returned as a plain value.
        """
        if number.name not in self._tensors:
            if not self.numbers.fits(number):
                return number.known()
            value = Abstract((), type(number.value))
            get = partial(getattr, number, "value")
            self.lives.append(Live(get, None, False, 0, value, number))
            self._tensors[number.name] = from_array(value)
        found = self._tensors[number.name]
        return found if dtype is None else found.to(OF[dtype])

    def live_array(self, data):
        """A tensor over the memory of ``data`` if it is a stand-in for an array; else ``data``."""
        if type(data) is not Array:
            return data
        if id(data) not in self._over:
            self.observer.origins.note_outer(data._array)
            with mode.suspended():
                self._over[id(data)] = from_numpy(data._array)
        return self._over[id(data)]

    def constant(self, compute):
        """``compute()`` as a constant of the program. An audit reuses the recorded constant."""
        if not self.auditing:
            self.constants.append(compute())
            return self.constants[-1]
        return self.constants.pop(0) if self.constants else compute()

    def guard(self, get):
        """Let the program serve later calls only if ``get()`` equals its present value."""
        self.checks.append(("{0}() == {1}", (get, get()), True))

    def defer(self, function, *args, **kwargs):
        """Call the function at each run, outside the program, because it runs Python code."""
        self.calls.append((function, args, kwargs))

    def settle_calls(self, optimizer):
        """Let deferred calls run before the program if one may set the rate of ``optimizer``.

        Such calls are schedulers' steps. Numbers that the trace reads from now on are read after
        these calls.
        """
        late = self.calls[self.first_calls :]
        if any(getattr(args[0], "optimizer", optimizer) is optimizer for _, args, _ in late):
            self.first_calls = len(self.calls)

    def sets_option(self, group, key):
        """Whether the traced function itself assigned the present value of an option."""
        return self.observer.effects.has_assigned(group, key)

    def let_go(self):
        """Once the trace is done, keep no gradient nor other tensor that each run finds anew.

        What looks up an option at each run refers to the recorder.
        """
        for key, found in self.captured.items():
            if found.get is not None:
                found.tensor = self.outer[key]._array = None
        self.kept.clear()
        self.grads.clear()

    def touch_grad(self, tensor, read=True):
        """Note an outer tensor's gradient before the trace reads or changes it."""
        if id(tensor) not in self.grads and self.is_outer(tensor):
            before = tensor._grad
            self.grads[id(tensor)] = (tensor, before, read)
            if read:
                self.checks.append(("{0}._grad is None", (tensor,), before is None))
                if before is not None:
                    self._capture_grad(tensor, before)

    def _capture_grad(self, leaf, before):
        """Make a gradient an input. If it is another input, too, later calls must have it so."""
        get = Grad(leaf)
        captured = self.captured[self.capture(before, get)]
        known = captured.get
        if isinstance(known, Grad) and known is not get and captured.tensor is before:
            self.checks.append(("{0}._grad is {1}._grad", (leaf, known.leaf), True))
        elif known is not get:
            self.checks.append(("{0}._grad", (leaf,), before))

    def accumulate(self, leaf, g):
        """Add ``g`` to the gradient of ``leaf``. A first gradient gets memory of its own."""
        before = leaf._grad
        if before is None:
            leaf._grad = from_array(self._laid_out(self.snapshot(g), leaf._array.strides))
            self.note(leaf._grad)
        else:
            before.add_(g)

    def refuse_values(self, tensor, name):
        """Refuse to read a tensor's value while recording.

        The value at recording time would be frozen into every later run.
        """
        refuse_values(name, tensor._array.shape)

    def touch_module(self, module):
        """Note a called Module: the program holds only for its present forward and hooks."""
        if id(module) not in self.modules:
            self.modules[id(module)] = module
            self.observer.module(module)

    def touch_function(self, cls):
        """Note a custom Function that is applied: the program holds only for its methods."""
        self.observer.function_class(cls)

    def stand_in(self, numbers, arrays):
        """Replace numbers and arrays from outside by stand-ins.

        Both lists have entries (template, owner, value).
        """
        effects = self.observer.effects
        for template, owner, value in numbers:
            effects.stand_in(owner, template, self.numbers.root(template, owner, value))
        for template, owner, value in arrays:
            effects.stand_in(owner, template, Array(value))

    def note(self, tensor):
        """Note a tensor that the trace made, in case the function keeps it somewhere outside."""
        if type(tensor._array) is Abstract:
            self.made.append(weakref.ref(tensor))

    def note_alias(self, tensor, source):
        """Note a tensor that has the memory of ``source`` without its history, as ``detach()``."""
        if id(source) in self.moved:
            tensor._array = self.moved[id(source)][1]
        self.note(tensor)
        if type(tensor._array) is not Abstract:
            self.aliases[id(tensor)] = tensor
            if source.view_of is None and self.is_outer(source):
                self.capture(source)

    def note_history(self, tensor):
        """Note the node that an outer tensor had before the trace gives it another one."""
        if id(tensor) not in self.nodes and self.is_outer(tensor):
            self.nodes[id(tensor)] = (tensor, tensor.node)

    def note_hooks(self, hooks):
        """Note the hooks of an outer object before the trace changes them."""
        self.hooks.setdefault(id(hooks), (hooks, dict(hooks)))

    def settle_hooks(self):
        """Refuse the call if an outer object's hooks are not the same as before the trace."""
        if any([*hooks] != [*before] for hooks, before in self.hooks.values()):
            self.refuse(
                "the function adds a hook to something outside, or removes one, which a program "
                "cannot do again; do it outside torch.compile"
            )

    def is_outer_node(self, node):
        """Whether a node was there before the trace."""
        if type(node) is Leaf:
            tensor = node.variable
            return tensor is None or self.is_outer(tensor)
        return node.clock < self.began

    # Operations ---------------------------------------------------------------------------

    def record(self, op, args, params):
        """Run ``op`` on abstract values: the traced counterpart of ``dispatch.apply``."""
        if self.numbers.roots:
            args, params = self._without_numbers(op, args, params)
        operands = args[0] if op.variadic else args
        for i, x in enumerate(operands):
            if not isinstance(x, Tensor) and x is not None and scalar_dtype(x) is None:
                if isinstance(x, ndarray):
                    self.refuse(f"{op.name}: a NumPy array reached a trace; make it a tensor")
                refuse(op, 0 if op.variadic else i, x)
            elif op.tensors and op.inputs[i] in op.tensors and not isinstance(x, Tensor):
                refuse(op, i, x)
        if op.of_storage:
            return self._view_of_storage(op, args[0], params)
        values = [self.value(x) for x in operands]
        if not op.inputs:
            values = []
        if op.prepare is not None:
            params = op.prepare(*((values,) if op.variadic else values), **params)
        params = {k: self._parameter(v) for k, v in params.items()}
        if self.observer is not None:  # else others looked at the devices
            check_devices(op, [*values, *[v for v in params.values() if type(v) is Abstract]])
        results = self.emit(op, (values,) if op.variadic else tuple(values), params)
        equation, given = self.equations[-1], [getattr(x, "node", None) for x in operands]
        if op.kind == "view":
            results = [self._view(op, args, values, params, results[0])]
        outs = [from_array(r) for r in results]
        for out in outs:
            self.note(out)
        if op.kind == "view":
            self._link(outs[0], args, op, params)
        self._attach(op, operands, params, outs)
        self._note_nodes(equation, given, operands, outs)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def _note_nodes(self, equation, given, operands, outs):
        """Enter ``equation`` in ``histories``; ``given`` are the operands' nodes before it."""
        made = [out.node for out in outs]
        history = History(equation, given if mode.records() else None, made, {})
        if any(node is not None for node in made):
            for x in (*operands, *outs):
                if isinstance(x, Tensor):
                    history.look_at(self.place(x))
            self._history_of.update({node: history for node in made if node is not None})
        self.histories[id(equation)] = history

    def _view(self, op, args, values, params, value):
        """The array of a view with the elements ``value``."""
        place = self.place(args[0])
        look = value
        if place.look.strides != values[0].strides:  # the value has not the memory's layout
            (look,) = self.infer(op, (place.look, *values[1:]), params)
        self._look(look, place.memory, (*place.path, (op, args[1:], params)), value)
        return look

    def _view_of_storage(self, op, x, params):
        """A view of the whole storage of ``x``, not only of the part that ``x`` shows."""
        refresh(x)
        memory = self.place(x).memory
        alike = x._array.dtype == memory.look.dtype
        start = memory.within(**params) if alike else None
        if start is None:
            self.refuse(
                f"{op.name} looks at memory beyond a tensor from outside, at one with gaps or at "
                "numbers of another dtype, which a program cannot do; do it outside torch.compile"
            )
        self._note_offset(memory)
        path = ((op, (), {**params, "start": start}),)
        found = self._along(memory.value, path)
        out = from_array(found)
        self.note(out)
        self._link(out, (x,), op, params)
        self._look(found, memory, path, found)
        self._attach(op, (x,), params, [out])
        return out

    def _without_numbers(self, op, args, params):
        """``args`` and ``params`` with each ``SymbolicNumber`` replaced by an input or its value.

        In type promotion a Python number counts less than a tensor. So a number becomes an input
        tensor only if the result's dtype stays the same. Otherwise its value becomes a condition.
        """
        params = {k: without_numbers(v) for k, v in params.items()}
        if op.kind != "elementwise" or op.varies:
            return [without_numbers(v) for v in args], params
        arrays = [x._array for x in args if isinstance(x, Tensor)]
        most = max([OF[a.dtype].category for a in arrays], default=0)
        dtype = _alone([a for a in arrays if OF[a.dtype].category == most])
        dtypes = {int: 1, float: 2}
        found = [
            self._live_number(x, dtype)
            if type(x) is SymbolicNumber
            and dtypes[type(x.value)] <= most
            and name not in op.tensors
            and dtype not in HALF
            else without_numbers(x)
            for x, name in zip(args, op.inputs, strict=True)
        ]
        return found, params

    def _parameter(self, value):
        if isinstance(value, Tensor):
            return self.value(value)
        return value

    def _link(self, out, args, op, params):
        x = args[0]
        view = x.view_of
        # An argument that is a view counts as a base: other calls may pass views of other tensors.
        own = view is None or key_known(self, x)
        root, path = (x, ()) if own else (view.root, view.path)
        out.cell = x.cell
        kind = ViewOf if own else type(view)
        untracked = not mode.records() or (not own and view.untracked)
        out.view_of = kind(root, (*path, (op, args[1:], params)), x.cell[0], untracked)

    def _attach(self, op, operands, params, outs):
        if mode.records():
            attached(self._saved, op, operands, params, outs)

    # Writes -------------------------------------------------------------------------------

    def write(self, x, value):
        """``x[...] = value``: from here on the memory that ``x`` looks at has a new value."""
        new = self._fitted(self.value(value), x)
        place = self.place(x)
        if overlaps(place.look):
            self.refuse("elements that share memory are written; write to a clone() of the tensor")
        if place.memory.look.dtype == bool != place.look.dtype:
            self.refuse("bytes of bools are written, which may become other bytes than 0 and 1")
        if place.look.size:
            self._write(place.memory, new, place.path)
        self._lead_to_base(x, value)
        for t in (x,) if x.view_of is None else (x, x.view_of.root):
            self.note_history(t)
        stamp(x)
        follow(x, value)
        history = self._history_of.get(getattr(value, "node", None))
        if history is not None:  # x takes over the node, which may save the memory of x now
            history.look_at(self.place(x))
        return x

    def _lead_to_base(self, x, value):
        """Let the view ``x`` lead to the base of the argument it was made of, if that is a view.

        What is written to ``x`` then gets into the history of the base, and so of all its views.
        """
        view = x.view_of
        outer = None if view is None else view.root.view_of
        if outer is None or outer.lazy or not mode.records():
            return
        if value.node is not None or view.root.node is not None or outer.root.node is not None:
            path, untracked = (*outer.path, *view.path), outer.untracked or view.untracked
            x.view_of = type(view)(outer.root, path, view.seen, untracked)

    def replace(self, x, value):
        """``x.data = value``: from here on ``x`` looks at the memory of ``value``."""
        if not self.is_outer(x):
            x._array, x.cell, x.view_of = value._array, [*x.cell], None
            self.note_alias(x, value)
            if x.node is not None:
                x.node.fit(value._array)
            return
        place = self.place(value)
        now, new = x._array, place.look
        alike = (now.shape, now.dtype, now.strides) == (new.shape, new.dtype, new.strides)
        alike = alike and device_of(x) is new.device
        if not alike or place.memory.key is not None or place.path or x.view_of is not None:
            self.refuse(
                ".data of a tensor from outside can only be set to a new tensor of the same shape, "
                "dtype and strides"
            )
        self.capture(x)
        _, _, cell = self.moved.get(id(x), (None, None, x.cell))
        self.moved[id(x)] = x, new, cell
        x.cell = [*x.cell]

    def settle_moved(self):
        """Finish ``x.data = value``: the program writes each value into the old memory of ``x``."""
        for x, look, _ in self.moved.values():
            memory, old = self.looks[look.id].memory, self.outer[key_of(x._array)]
            seen = [reference() for reference in self.made] + [*self.aliases.values()]
            for t in seen:
                if t is not None and self.place(t).memory in (memory, old):
                    self.refuse("what .data of a tensor from outside was, or became, is used again")
            # A new Memory, so that values saved for a gradient stay as they were, as in eager.
            anew = self.outer[old.key] = Memory(old.look, old.value, old.key, old._array)
            self._write(anew, memory.value, ())

    def restore(self):
        """Undo what the recording changed in outer tensors and in their hooks."""
        for tensor, grad, _ in self.grads.values():
            tensor._grad = grad
        for tensor, node in self.nodes.values():
            tensor.node = node
        for tensor, _, cell in self.moved.values():
            tensor.cell = cell
        for hooks, before in self.hooks.values():
            if [*hooks] != [*before]:
                hooks.clear()
                hooks.update(before)


def attached(saved, op, operands, params, outs):
    """Give the results of ``op`` nodes, if it has an operand with one.

    ``saved(x)`` is the array that a node keeps of an operand.
    """
    parents = [x.node if isinstance(x, Tensor) else None for x in operands]
    if not any(parents):  # a node is always true
        return
    arrays = [saved(x) for x in operands]
    if len(outs) > 1:
        node = attach(op, operands, arrays, parents, params, outs[0], outs)
        for i, o in enumerate(outs):
            floating = node is not None and OF[o._array.dtype].category > 1
            o.node = output(node, i, len(outs), o._array) if floating else None
    elif OF[outs[0]._array.dtype].category > 1:
        attach(op, operands, arrays, parents, params, outs[0])


def _alone(arrays):
    """The result dtype of 0-dim arrays. None if there is no array, or one of them has dims."""
    if not arrays or any(a.ndim for a in arrays):
        return None
    dtypes = {a.dtype for a in arrays}
    return np.result_type(*dtypes) if len(dtypes) > 1 else arrays[0].dtype


def key_known(recorder, x):
    return type(x._array) is not Abstract and key_of(x._array) in recorder.outer
