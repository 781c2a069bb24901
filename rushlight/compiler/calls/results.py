"""The results of a compiled call: new tensors from the program, and tensors that existed before."""

import types
import weakref
from functools import partial

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf, refresh
from rushlight.autograd.write import detached
from rushlight.compiler.capture.inputs import Grad
from rushlight.compiler.capture.outer_arrays import Array
from rushlight.compiler.capture.symbolic_numbers import SymbolicNumber, without_numbers
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.python.comparisons import is_plain
from rushlight.errors import TraceError
from rushlight.ops.core.definition import Op
from rushlight.tensor import Tensor, as_class, disabled_torch_function, from_array

__all__ = ["Results"]

_HEAP_TYPE = 1 << 9  # a flag of classes that no C code defines statically


class Results:
    """The results of a traced call, as Python lines that make the results of later calls.

    In the lines of ``source`` the list of the program's outputs is ``found``. If a result shares
    memory with another tensor (an argument, a parameter, another result), the lines make it from
    that tensor, so that the two share memory as in eager mode.

    Attributes:
        values: The abstract values that the program must compute, in the order of ``found``.
        tensors: The traced tensor of each value.
        asked: The tensors that expressions have named so far; ``settle`` writes their lines.
        others: (name, node, array) of results with a history in the memory of another tensor.
        names: The name of each of ``tensors`` in the lines.
        new: The lines that make tensors from the program's outputs.
        shared: The lines that find or make the other tensors. They run after ``new``, when the new
            tensors have their history.
        made: The lines that make lists, dicts and objects of the tensors. They run after
            ``shared``.
    """

    def __init__(self, source, arguments, recorder):
        self.source = source
        self.arguments = arguments
        self.recorder = recorder
        self.values: list = []
        self.tensors: list = []
        self.asked: list = []
        self.others: list = []
        self.new: list = []
        self.shared: list = []
        self.made: list = []
        self._names: dict = {}  # id(tensor) → its name in the lines
        #: id of each tensor from outside that came to require grad → its node before.
        self._leaves = {
            id(t): before
            for t, before in recorder.nodes.values()
            if type(t.node) is Leaf and t.node is not before
        }
        self._slots = self._find_slots()
        self._objects: dict = {}  # id of a list, dict or object that the call made → its name
        self._kept: list = []  # these objects: no other one may get their ids
        self._early: set = set()  # names that a line used before the object was complete
        source.names.update(wrap=from_array, detached=detached)

    @property
    def names(self):
        """The name of each of ``tensors``."""
        return [self._names[id(t)] for t in self.tensors]

    def has_slot(self, leaf):
        """Whether the program keeps the gradient of ``leaf`` in place (``Slot``)."""
        return any(leaf is owner for owner, *_ in self._slots)

    def _find_slots(self):
        """(leaf, its gradient, memory, cell) of the gradients that the program keeps in place.

        The trace made such a gradient, which has memory of its own. If several leaves have the
        same gradient, the first of them has the slot. The reference to the gradient is weak, and
        its clock cell is kept.
        """
        found, memories = [], set()
        for leaf, _, _ in self.recorder.grads.values():
            now = leaf._grad
            if now is None or self.arguments.expression(leaf) or type(now._array) is not Abstract:
                continue
            if self._leaves.get(id(leaf), leaf) is None:
                continue  # later calls may find another tensor in its place
            place = self.recorder.place(now)
            whole = place.memory.key is None and not place.path
            if whole and id(place.memory) not in memories:
                memories.add(id(place.memory))
                found.append((leaf, weakref.ref(now), place.memory, now.cell))
        return found

    def expression(self, tree):
        """The expression that makes ``tree`` in later calls.

        It stands after the lines ``new``, ``shared`` and ``made``.
        """
        if type(tree) is SymbolicNumber:
            return tree.name
        if type(tree) is Array:
            return self.source.name(tree._array)
        if isinstance(tree, Tensor):
            return self._tensor(tree)
        owner = self.arguments.owner(tree)
        if owner is not None:
            return owner
        if self._is_known(tree):
            return self.source.name(tree)
        if type(tree) is slice:
            return f"slice({self._list((tree.start, tree.stop, tree.step))})"
        if isinstance(tree, tuple) and hasattr(tree, "_make"):  # a named tuple
            return f"{self.source.name(type(tree)._make)}([{self._list(tree)}])"
        if type(tree) is tuple:
            return f"({self._list(tree)}{',' * (len(tree) == 1)})"
        if type(tree) not in (list, dict) and is_plain(known := without_numbers(tree)):
            return self._key(known)
        return self._object(tree)

    def can_set(self, value, within=()):
        """Whether each run can assign ``value`` anew, and later calls can compare its content.

        ``within`` has the ids of the containers that ``value`` lies in.
        """
        if type(value) in (SymbolicNumber, Array) or is_plain(value) or isinstance(value, Tensor):
            return True
        if self._is_known(value):
            return True
        if id(value) in within or not isinstance(value, (tuple, list, dict)):
            return False
        within = (*within, id(value))
        if isinstance(value, dict) and not all(map(is_plain, value)):
            return False
        items = value.values() if isinstance(value, dict) else value
        return all(self.can_set(item, within) for item in items)

    def _is_known(self, value):
        """Whether the object existed before the call."""
        return id(value) in self.recorder.observer.origins.outer

    def _list(self, items):
        return ", ".join([self.expression(item) for item in items])

    def _key(self, value):
        value = without_numbers(value)
        return repr(value) if value is None or type(value) is bool else self.source.name(value)

    # Objects that the call made -----------------------------------------------------------

    def _object(self, tree):
        """The name of ``tree``. Lines of ``made`` make it, once, wherever it occurs."""
        if id(tree) in self._objects:
            name = self._objects[id(tree)]
            self._early.add(name)
            return name
        if self.recorder.observer.origins.is_outer(tree):
            return self.source.name(tree)
        if isinstance(tree, types.FunctionType) and not _holds_values(tree):
            return self._key(tree)
        make, args, state, own, items, pairs = _parts(tree)
        name = self._objects[id(tree)] = f"m{len(self._objects)}"
        self._kept += [tree, args, state, own, items, pairs]
        blank = self._blank(make, args)
        if name in self._early:
            raise _refused(tree)
        start = len(self.made)
        items = f"[{self._list(items)}]"
        pairs = [(self.expression(k), self.expression(v)) for k, v in pairs]
        slots = [f"{k!r}: {self.expression(v)}" for k, v in own.items()]
        if type(tree) is list and name not in self._early:
            self.made.append(f"{name} = {items}")
        elif type(tree) is dict and name not in self._early:
            self.made.append(f"{name} = {{{', '.join([f'{k}: {v}' for k, v in pairs])}}}")
        else:
            pairs = "".join([f"({k}, {v}), " for k, v in pairs])
            if name in self._early:
                self.made.insert(start, f"{name} = {blank}")
                blank = name
            filled = self.source.name(_filled)
            own = "{" + ", ".join(slots) + "}"
            self.made.append(f"{name} = {filled}({blank}, {own}, {items}, ({pairs}))")
        if state is not None:
            self.made.append(f"{name}.__setstate__({self.expression(state)})")
        self._early.discard(name)
        return name

    def _blank(self, make, args):
        """The expression that makes an object before it has its content."""
        if make in (list, dict):
            return f"{make.__name__}()"
        return f"{self.source.name(make)}({self._list(args)})"

    def forget(self):
        """Free the objects that were named. Only tensors may be asked for from here on."""
        self._objects.clear()
        self._kept.clear()

    # Tensors ----------------------------------------------------------------------------

    def _tensor(self, t):
        if id(t) not in self._names:
            refresh(t)  # the history of a view whose base was written since
            self._names[id(t)] = f"o{len(self._names)}"
            self.asked.append(t)
        return self._names[id(t)]

    def settle(self):
        """Write the lines of all tensors in ``asked``, once it is known which share memory."""
        found: dict = {}  # id of a Memory → (the Memory, the tensors that look at it)
        for t in self.asked:
            there = self._existing(t)
            if there is not None:
                self._line(self.shared, t, there)
                continue
            memory = self.recorder.place(t).memory
            found.setdefault(id(memory), (memory, []))[1].append(t)
        self._refuse_selected(found)
        for memory, tensors in found.values():
            self._share(memory, tensors)
        self.asked = []

    def _refuse_selected(self, found):
        """Refuse a result that eager mode makes a view of memory which is there after the call."""
        for key in found.keys() & self.recorder.selected.keys():
            _, whole, _ = self.recorder.selected[key]
            if whole.key is not None or id(whole) in found:
                raise TraceError(
                    "a result is x[i] with a tensor i, which is a view of x, and a program would "
                    "return a copy; index with an int, or return a clone()"
                )

    def _line(self, lines, t, expression):
        name, kind = self._names[id(t)], type(t)
        lines.append(f"{name} = {expression}")
        if kind is not Tensor and kind.__torch_function__ is not disabled_torch_function:
            turn = self.source.name(as_class)
            lines.append(f"{name} = {turn}({name}, {self.source.name(kind)})")

    def _existing(self, t):
        """The expression of a tensor that exists without the program; None if it does not."""
        for leaf, grad, *_ in self._slots:
            if grad() is t:
                return f"{self.outer(leaf)}._grad"
        if type(t._array) is Abstract:
            return None
        captured = self.recorder.captured[self.recorder.capture(t)]
        if isinstance(captured.get, Grad) and t is captured.tensor:
            return self._grad_before(captured)
        if t is self.recorder.over_arrays.get(id(t)) and t is captured.tensor:
            return f"wrap({self.source.name(t._array)})"  # a new tensor in each call, as from_numpy
        outer = captured.tensor is t or self.recorder.is_outer(t) or self.arguments.expression(t)
        return self.outer(t) if outer else None

    def outer(self, t):
        """The name, in the lines, of a tensor from outside."""
        return self.arguments.expression(t) or self.source.name(t)

    def _share(self, memory, tensors):
        """Write the lines of ``tensors``, which all look at ``memory``."""
        base, cell, name = self._there(memory)
        if name is None:
            if len(tensors) == 1:
                return self._line(self.new, tensors[0], self._new(tensors[0]))
            base = self._whole(memory, tensors)
            cell = base.cell
            name = self._names.setdefault(id(base), f"o{len(self._names)}")
            self._line(self.new, base, self._new(base))
        tensors = [t for t in tensors if t is not base]
        for t in sorted(tensors, key=lambda t: t.view_of is not None):
            self._derive(t, memory, base, cell, name)
        return None

    def _there(self, memory):
        """(tensor, cell, name) of a tensor over ``memory`` that is there after the program.

        The tensor is None if only the program's own lines have it. The name is None if there is no
        such tensor.
        """
        for leaf, grad, there, cell in self._slots:
            if there is memory:
                return grad(), cell, f"{self.outer(leaf)}._grad"
        if memory.key is None:
            return None, None, None
        captured = self.recorder.captured[memory.key]
        t = captured.tensor
        name = self._grad_before(captured) if isinstance(captured.get, Grad) else self.outer(t)
        return t, t.cell, name

    def _grad_before(self, captured):
        """The name of a gradient from before the call; its leaf may have another one by now."""
        grads = [c for c in self.recorder.captured.values() if isinstance(c.get, Grad)]
        return f"g{next(i for i, c in enumerate(grads) if c is captured)}"

    def _whole(self, memory, tensors):
        """A tensor over the whole memory, from which the others can be made.

        One that has a history is preferred.
        """
        roots = [t if t.view_of is None else t.view_of.root for t in tensors]
        found = [t for t in roots if not self.recorder.place(t).path and t.view_of is None]
        tracked = [t for t in found if t.node is not None]
        return [*tracked, *found, from_array(memory.look)][0]

    def _derive(self, t, memory, base, cell, name):
        """Write the line that makes ``t`` from the tensor ``base``, which looks at the same memory.

        ``cell`` is the clock cell of that tensor, and ``name`` its name; see ``_there``.
        """
        view = t.view_of
        known = None
        if view is not None and self.recorder.is_outer(view.root):
            # A gradient has another name than other tensors from outside.
            known = name if view.root is base else self.outer(view.root)
        elif view is not None:
            place = self.recorder.place(view.root)
            moved = place.memory is not memory or place.path
            was_detached = view.root.node is None and t.node is not None
            if not moved and not was_detached:
                known = self._names.get(id(view.root))
        if known is not None:
            self._refuse_history(t)
            if t.node is None and not view.untracked and id(view.root) in self._leaves:
                raise TraceError(
                    "a view is returned whose base came to require grad after the view was made; "
                    "call requires_grad_() before torch.compile, or return a detach() of the view"
                )
            if not all(isinstance(op, Op) for op, _, _ in view.path):
                raise TraceError(
                    "a view that a custom Function returned is returned from torch.compile; "
                    "return a clone() from the Function"
                )
            return self._line(self.shared, t, self._seen(known, view.path, not view.untracked))
        if cell is not t.cell:
            name = f"{name}.data"
        look = f"detached({name})"
        path = self.recorder.place(t).path
        if path:
            look = self._seen(look, memory.from_storage(path), False)
        if t.node is None:
            return self._line(self.shared, t, look)
        self._line(self.new, t, look)
        self._refuse_leaf(t)
        self.others.append((self._names[id(t)], t.node, t._array))
        return None

    def _seen(self, root, path, tracked):
        path = self.source.name(tuple(path))
        return f"{self.source.name(_along)}({root}, {path}, {tracked})"

    def _refuse_history(self, t):
        """Refuse the view ``t`` if its nodes, up to its root tensor's, have hooks or an error.

        Each call makes these nodes anew, without either.
        """
        node, root = t.node, t.view_of.root.node
        while node is not None and node is not root:
            if node.hooks:
                raise TraceError(
                    "a view with a hook is returned beside the tensor that it is a view of; "
                    "register the hook outside torch.compile, or return a clone of the view"
                )
            if any(cell is not None and cell[0] > node.clock for cell in node.cells):
                raise TraceError(
                    "a part that split or unbind gave is returned after a write to its base, so "
                    "that no gradient can pass it; return a clone of the part"
                )
            node = node.parents[0] if node.parents else None

    def _refuse_leaf(self, t):
        if type(t.node) is Leaf:
            raise TraceError(
                "a leaf that was made inside torch.compile is returned; have it require grad "
                "outside, or return a clone of it"
            )

    def _new(self, t):
        self._refuse_leaf(t)
        self.values.append(self.recorder.value(t))
        self.tensors.append(t)
        found = f"found[{len(self.values) - 1}]"
        if len(t.cell) > 2 and not mode.state.inference:
            return f"{self.source.name(_inferred)}({found})"
        return f"wrap({found})"


def _along(tensor, path, tracked):
    """The view of ``tensor`` that the operations of ``path`` lead to."""
    with mode.set_grad_enabled(tracked):
        for op, args, params in path:
            tensor = op.call(tensor, *args, **params)
    return tensor


def _inferred(array):
    """An inference tensor over ``array``."""
    with mode.inference_mode():
        return from_array(array)


def _refused(tree):
    return TraceError(
        f"the function returns a {type(tree).__name__} that it made, which a program cannot do; "
        "return the tensors in it"
    )


def _holds_values(function):
    """Whether a function has values of its own: a closure, defaults or attributes."""
    own = function.__closure__, function.__defaults__, function.__kwdefaults__, function.__dict__
    return any(own)


def _parts(tree):
    """(function, its arguments, state, attributes, items, pairs): how to make an object again.

    The state is what the object's ``__setstate__`` takes, or None.

    Raises:
        TraceError: the object cannot be made again.
    """
    kind = type(tree)
    if kind is list:
        return list, (), None, {}, tree, ()
    if kind is dict:
        return dict, (), None, {}, (), tree.items()
    whole = hasattr(tree, "_parameters") or isinstance(tree, (type, types.FunctionType))
    if whole or hasattr(kind, "__next__") or isinstance(tree, (partial, types.MethodType)):
        raise _refused(tree)
    if _is_of_python(kind):
        make, args, state = object.__new__, (kind,), object.__getstate__(tree)
        items, pairs, sets = None, None, False
    else:
        try:
            make, args, *rest = tree.__reduce_ex__(4)
        except (TypeError, ValueError):
            raise _refused(tree) from None
        state, items, pairs = (*rest, None, None, None)[:3]
        sets = hasattr(tree, "__setstate__")
    own: dict = {}
    if not sets:  # attributes, and perhaps a second dict with the values of __slots__
        for d in state if type(state) is tuple else (state,):
            own |= d or {}
        state = None
    return make, args, state, own, [*(items or ())], [*(pairs or ())]


def _is_of_python(kind):
    """Whether ``object.__new__`` makes objects of the class ``kind``: no base is written in C."""
    if not all(k is object or k.__flags__ & _HEAP_TYPE for k in kind.__mro__):
        return False
    if isinstance(getattr(kind, "__del__", None), types.FunctionType):
        return True  # no trial, whose end would run the user's code
    try:
        object.__new__(kind)
    except TypeError:
        return False
    return True


def _filled(made, own, items, pairs):
    """The object ``made``, with its attributes, items and pairs."""
    for name, value in own.items():
        object.__setattr__(made, name, value)
    if items:
        made.extend(items)
    for key, value in pairs:
        made[key] = value
    return made
