"""What a compiled call returns: new tensors from the program, and those that were there before."""

import dataclasses
import types
from functools import partial

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import Leaf
from rushlight.autograd.write import detached
from rushlight.compiler.arrays import Array
from rushlight.compiler.guard import is_plain
from rushlight.compiler.numbers import Number, without_numbers
from rushlight.compiler.trace import Grad
from rushlight.errors import TraceError
from rushlight.tensor import Tensor, disabled_torch_function, from_array

__all__ = ["Results", "refuse_twice"]


class Results:
    """The results of a traced call, as an expression that makes those of other calls.

    In the lines of ``source`` the program's outputs are ``found``. A tensor that looks into the
    memory of another one (an argument, a parameter, another result) is made of that one again, so
    that they share memory as in eager.

    Attributes:
        values: The abstract values that the program must give, in the order of ``found``.
        tensors: The traced tensor of each.
        names: The name of each in the lines.
        new: The lines that make tensors of what the program gave.
        shared: The lines that find or make the others, once the new ones have their history.
    """

    def __init__(self, source, arguments, recorder):
        self.source = source
        self.arguments = arguments
        self.recorder = recorder
        self.values: list = []
        self.tensors: list = []
        self.new: list = []
        self.shared: list = []
        self._names: dict = {}  # id(tensor) → its name in the lines
        self._cells: dict = {}  # id(cell) → the result that has it, its array, and the cell
        self._open: set = set()  # ids of objects that are taken apart
        source.names.update(wrap=from_array, detached=detached)

    @property
    def names(self):
        """The name of each of ``tensors``."""
        return [self._names[id(t)] for t in self.tensors]

    def expression(self, tree, apart=False):
        """The expression that gives what ``tree`` is, after the lines ``new`` and ``shared``.

        With ``apart`` the tensor ``tree`` gets memory that it shares with no result before it.
        """
        if type(tree) is Number:
            return tree.name
        if type(tree) is Array:
            return self.source.name(tree.array)
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
        """Whether each run can put ``value`` somewhere, and know it there by what is in it."""
        if type(value) in (Number, Array) or is_plain(value) or isinstance(value, Tensor):
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
        """Whether the function found an object outside."""
        return id(value) in self.recorder.observer.origins.outer

    def _list(self, items):
        return ", ".join([self.expression(item) for item in items])

    def _key(self, value):
        value = without_numbers(value)
        return repr(value) if value is None or type(value) is bool else self.source.name(value)

    def _container(self, tree):
        """A subclass of list, tuple or dict, made as its copy is."""
        kind = self.source.name(type(tree))
        if not isinstance(tree, dict):
            return f"{kind}([{self._list(tree)}])"
        items = [f"({self._key(k)}, {self.expression(v)})" for k, v in tree.items()]
        return f"{kind}([{', '.join(items)}])"

    def _dataclass(self, tree):
        names = [field.name for field in dataclasses.fields(tree)]
        return self._rebuilt(tree, {name: getattr(tree, name) for name in names})

    def _made(self, tree):
        """An object that the function made: each run makes one with the same attributes."""
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
            self._names[id(t)] = f"o{len(self._names)}"
            name = self._names[id(t)] = f"o{len(self._names)}"
            there = self._existing(t) or self._view(t)
            lines = self.new if there is None else self.shared
            lines.append(f"{name} = {there or self._new(t)}")
            kind = type(t)
            if kind is not Tensor and kind.__torch_function__ is not disabled_torch_function:
                lines.append(f"{name}.__class__ = {self.source.name(kind)}")
        return self._names[id(t)]

    def _existing(self, t):
        """The expression of a tensor from outside, or of one that shares its memory."""
        if type(t.array) is not ndarray:
            for leaf, _ in self.recorder.grads.values():
                if leaf._grad is t and not self.arguments.expression(leaf):
                    return f"{self.outer(leaf)}._grad"
            return None
        captured = self.recorder.captured[self.recorder.capture(t)]
        if isinstance(captured.get, Grad):
            return f"{self.outer(captured.get.leaf)}._grad"
        base = captured.tensor
        if base is t or self.arguments.expression(t):
            return self.outer(t)
        if not self.recorder.is_outer(t):
            return self._alias(t, base)
        return self.outer(t)

    def _alias(self, t, base):
        if t.node is not None:
            raise TraceError(
                "a detach() of a tensor from outside that was made to require grad inside "
                "torch.compile is returned; return a clone of it"
            )
        return f"detached({self.outer(base)}{'' if base.cell is t.cell else '.data'})"

    def outer(self, t):
        """The name of a tensor that exists outside."""
        return self.arguments.expression(t) or self.source.name(t)

    def _view(self, t):
        """The expression of a view of a tensor that exists outside or is itself a result."""
        view = t.view_of
        if view is None:
            name, array, _ = self._cells.setdefault(
                id(t.cell), (self._names[id(t)], t.array, t.cell)
            )
            shared = name != self._names[id(t)] and array is t.array and t.node is None
            return f"detached({name})" if shared else None
        root = view.root
        known = self._names.get(id(root))
        if known is None and type(root.array) is not ndarray:
            return None
        if any(isinstance(x, Tensor) for _, args, _ in view.path for x in args):
            return None
        along = self.source.name(tuple(view.path))
        root = known or self.outer(root)
        return f"{self.source.name(_along)}({root}, {along}, {not view.untracked})"

    def _new(self, t):
        if type(t.node) is Leaf:
            raise TraceError(
                "a leaf that was made inside torch.compile is returned; have it require grad "
                "outside"
            )
        self.values.append(self.recorder.value(t))
        self.tensors.append(t)
        found = f"found[{len(self.values) - 1}]"
        if len(t.cell) > 2 and not mode.state.inference:
            return f"{self.source.name(_inferred)}({found})"
        return f"wrap({found})"


def refuse_twice(trees, results):
    """Raise TraceError where a list or dict that the function made is left in two places.

    Each would get one of its own.
    """
    seen = set()
    trees = [*trees]
    for tree in trees:  # grows while it is gone through
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
    """The view of ``tensor`` that the operations of ``path`` give."""
    with mode.set_grad_enabled(tracked and mode.is_grad_enabled()):
        for op, args, params in path:
            tensor = op.call(tensor, *args, **params)
    return tensor


def _inferred(array):
    """A tensor as it comes out of inference mode."""
    with mode.inference_mode():
        return from_array(array)


def _rebuilt(kind, fields):
    """An object with these fields, without running its ``__init__``."""
    made = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
