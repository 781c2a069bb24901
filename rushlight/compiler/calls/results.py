"""The results of a compiled call: new tensors from the program, and tensors that existed before."""

import dataclasses
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
from rushlight.tensor import Tensor, disabled_torch_function, from_array

__all__ = ["Results", "refuse_twice"]


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
        self._names: dict = {}  # id(tensor) → its name in the lines
        self._grads = [  # (weak reference, name) of gradients that the call leaves in leaves
            (weakref.ref(leaf._grad), f"{self.outer(leaf)}._grad")
            for leaf, _ in recorder.grads.values()
            if leaf._grad is not None and not arguments.expression(leaf)
        ]
        self._open: set = set()  # ids of objects whose attributes are being written, against cycles
        source.names.update(wrap=from_array, detached=detached)

    @property
    def names(self):
        """The name of each of ``tensors``."""
        return [self._names[id(t)] for t in self.tensors]

    def expression(self, tree, apart=False):
        """The expression that makes ``tree`` in later calls.

        It stands after the lines ``new`` and ``shared``. With ``apart`` the tensor ``tree`` gets
        memory of its own.
        """
        if type(tree) is SymbolicNumber:
            return tree.name
        if type(tree) is Array:
            return self.source.name(tree._array)
        if isinstance(tree, Tensor):
            return self._new(tree) if apart else self._tensor(tree)
        owner = self.arguments.owner(tree)
        if owner is not None:
            return owner
        if self._is_known(tree):
            return self.source.name(tree)
        if type(tree) is slice:
            return f"slice({self._list((tree.start, tree.stop, tree.step))})"
        if isinstance(tree, tuple) and hasattr(tree, "_make"):  # a named tuple
            return f"{self.source.name(type(tree)._make)}([{self._list(tree)}])"
        if type(tree) in (tuple, list):
            items = self._list(tree)
            return f"[{items}]" if type(tree) is list else f"({items}{',' * (len(tree) == 1)})"
        if type(tree) is dict:
            items = [f"{self._key(k)}: {self.expression(v)}" for k, v in tree.items()]
            return "{" + ", ".join(items) + "}"
        if isinstance(tree, (tuple, list, dict)):
            return self._container(tree)
        if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
            return self._dataclass(tree)
        tree = without_numbers(tree)
        if type(tree) is set and all(map(is_plain, tree)):
            return f"set({self._key(frozenset(tree))})"
        if is_plain(tree):
            return self._key(tree)
        return self._made(tree)

    def can_set(self, value):
        """Whether each run can assign ``value`` anew, and later calls can compare its content."""
        if type(value) in (SymbolicNumber, Array) or is_plain(value) or isinstance(value, Tensor):
            return True
        if self._is_known(value):
            return True
        if isinstance(value, dict):
            return all(map(is_plain, value)) and all(map(self.can_set, value.values()))
        return isinstance(value, (tuple, list)) and all(map(self.can_set, value))

    def is_outer(self, container):
        """Whether a list or dict was there before the call."""
        return self.arguments.owner(container) or self._is_known(container)

    def _is_known(self, value):
        """Whether the object existed before the call."""
        return id(value) in self.recorder.observer.origins.outer

    def _list(self, items):
        return ", ".join([self.expression(item) for item in items])

    def _key(self, value):
        value = without_numbers(value)
        return repr(value) if value is None or type(value) is bool else self.source.name(value)

    def _container(self, tree):
        """The expression for a subclass of list, tuple or dict: it is rebuilt as by ``copy``."""
        make, args, *rest = tree.__reduce_ex__(4)
        state, items, pairs = (*rest, None, None, None)[:3]
        entries = [f"({self._key(k)}, {self.expression(v)})" for k, v in pairs or ()]
        own = f"{self.expression(state or {})}, [{self._list(items or ())}], [{', '.join(entries)}]"
        return f"{self.source.name(_copied)}({self.source.name(make)}, [{self._list(args)}], {own})"

    def _dataclass(self, tree):
        names = [field.name for field in dataclasses.fields(tree)]
        return self._rebuilt(tree, {name: getattr(tree, name) for name in names})

    def _made(self, tree):
        """The expression for an object that the function made, with the same attributes."""
        function = isinstance(tree, types.FunctionType)
        runs = hasattr(type(tree), "__next__") or isinstance(tree, (partial, types.MethodType))
        whole = hasattr(tree, "_parameters") or (function and tree.__closure__)
        if runs or whole or id(tree) in self._open:
            raise TraceError(
                f"the function returns a {type(tree).__name__} that it made, which a program "
                "cannot do; return the tensors in it"
            )
        own = getattr(tree, "__dict__", None)
        if function or isinstance(tree, type) or type(own) is not dict:
            return self._key(tree)
        self._open.add(id(tree))
        return self._rebuilt(tree, own)

    def _rebuilt(self, tree, fields):
        items = ", ".join([f"{name!r}: {self.expression(v)}" for name, v in fields.items()])
        return f"{self.source.name(_rebuilt)}({self.source.name(type(tree))}, {{{items}}})"

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
        for memory, tensors in found.values():
            self._share(memory, tensors)
        self.asked = []

    def _line(self, lines, t, expression):
        name, kind = self._names[id(t)], type(t)
        lines.append(f"{name} = {expression}")
        if kind is not Tensor and kind.__torch_function__ is not disabled_torch_function:
            lines.append(f"{name}.__class__ = {self.source.name(kind)}")

    def _existing(self, t):
        """The expression of a tensor that exists without the program; None if it does not."""
        for grad, name in self._grads:
            if grad() is t:
                return name
        if type(t._array) is Abstract:
            return None
        captured = self.recorder.captured[self.recorder.capture(t)]
        if isinstance(captured.get, Grad) and self.recorder.is_outer(t):
            return f"{self.outer(captured.get.leaf)}._grad"
        if t is self.recorder.over_arrays.get(id(t)) and t is captured.tensor:
            return f"wrap({self.source.name(t._array)})"  # a new tensor in each call, as from_numpy
        outer = captured.tensor is t or self.recorder.is_outer(t) or self.arguments.expression(t)
        return self.outer(t) if outer else None

    def outer(self, t):
        """The name, in the lines, of a tensor from outside."""
        return self.arguments.expression(t) or self.source.name(t)

    def _share(self, memory, tensors):
        """Write the lines of ``tensors``, which all look at ``memory``."""
        base, name = self._there(memory)
        if name is None:
            if len(tensors) == 1:
                return self._line(self.new, tensors[0], self._new(tensors[0]))
            base = self._whole(memory, tensors)
            name = self._names.setdefault(id(base), f"o{len(self._names)}")
            self._line(self.new, base, self._new(base))
        tensors = [t for t in tensors if t is not base]
        for t in sorted(tensors, key=lambda t: t.view_of is not None):
            self._derive(t, memory, base, name)
        return None

    def _there(self, memory):
        """(tensor, its name) over ``memory`` that exists without the program, or (None, None)."""
        for reference, name in self._grads:
            grad = reference()
            if grad is None or type(grad._array) is not Abstract:
                continue
            if self.recorder.place(grad).memory is memory:
                return grad, name
        if memory.key is None:
            return None, None
        captured = self.recorder.captured[memory.key]
        if isinstance(captured.get, Grad):
            return captured.tensor, f"{self.outer(captured.get.leaf)}._grad"
        return captured.tensor, self.outer(captured.tensor)

    def _whole(self, memory, tensors):
        """A tensor over the whole memory, from which the others can be made.

        One that has a history is preferred.
        """
        roots = [t if t.view_of is None else t.view_of.root for t in tensors]
        found = [t for t in roots if not self.recorder.place(t).path and t.view_of is None]
        tracked = [t for t in found if t.node is not None]
        return [*tracked, *found, from_array(memory.look)][0]

    def _derive(self, t, memory, base, name):
        """Write the line that makes ``t`` from ``base``, whose memory it looks at."""
        view = t.view_of
        known = None
        if view is not None and self.recorder.is_outer(view.root):
            known = self.outer(view.root)
        elif view is not None:
            place = self.recorder.place(view.root)
            moved = place.memory is not memory or place.path
            was_detached = view.root.node is None and t.node is not None
            if not moved and not was_detached:
                known = self._names.get(id(view.root))
        if known is not None:
            self._refuse_history(t)
            if not all(isinstance(op, Op) for op, _, _ in view.path):
                raise TraceError(
                    "a view that a custom Function returned is returned from torch.compile; "
                    "return a clone() from the Function"
                )
            return self._line(self.shared, t, self._seen(known, view.path, not view.untracked))
        if base.cell is not t.cell:
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


def refuse_twice(trees, results):
    """Raise TraceError if the function left one list or dict, which it made, in two places.

    The lines would make a separate list or dict for each place.
    """
    seen = set()
    trees = [*trees]
    for tree in trees:  # the list grows during the loop
        if isinstance(tree, (list, dict)) and not results.is_outer(tree):
            if id(tree) in seen:
                raise TraceError(
                    f"the function leaves one {type(tree).__name__} in two places, which a program "
                    "cannot do; give each its own"
                )
            seen.add(id(tree))
        if isinstance(tree, (list, tuple, dict)):
            trees += tree.values() if isinstance(tree, dict) else tree


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


def _copied(make, args, state, items, pairs):
    """A container, built from the parts that its ``__reduce_ex__`` returned."""
    found = make(*args)
    if state and hasattr(found, "__setstate__"):
        found.__setstate__(state)
    else:  # a dict of attributes, and perhaps a second dict with the values of __slots__
        own, slots = state if type(state) is tuple else (state, None)
        if own:
            found.__dict__.update(own)
        for name, value in (slots or {}).items():
            setattr(found, name, value)
    if items:
        found.extend(items)
    for key, value in pairs:
        found[key] = value
    return found


def _rebuilt(kind, fields):
    """An object of the class ``kind`` with these fields; its ``__init__`` is not run."""
    try:
        made = object.__new__(kind)
    except TypeError:  # a type in C, such as SimpleNamespace
        made = kind.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
