"""What a compiled call returns: new tensors from the program, and those that were there before."""

import dataclasses

from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.write import detached
from rushlight.compiler.trace import Grad
from rushlight.errors import TraceError
from rushlight.tensor import Tensor, from_array

__all__ = ["Results"]


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
        source.names.update(wrap=from_array, detached=detached)

    @property
    def names(self):
        """The name of each of ``tensors``."""
        return [self._names[id(t)] for t in self.tensors]

    def expression(self, tree, apart=False):
        """The expression that gives what ``tree`` is, after the lines ``new`` and ``shared``.

        With ``apart`` the tensor ``tree`` gets memory that it shares with no result before it.
        """
        if isinstance(tree, Tensor):
            return self._new(tree) if apart else self._tensor(tree)
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
        return self._key(tree)

    def _list(self, items):
        return ", ".join([self.expression(item) for item in items])

    def _key(self, value):
        return repr(value) if value is None or type(value) is bool else self.source.name(value)

    def _container(self, tree):
        """A subclass of list, tuple or dict, made as its copy is."""
        kind = self.source.name(type(tree))
        if not isinstance(tree, dict):
            return f"{kind}([{self._list(tree)}])"
        items = [f"({self._key(k)}, {self.expression(v)})" for k, v in tree.items()]
        return f"{kind}([{', '.join(items)}])"

    def _dataclass(self, tree):
        fields = {f.name: self.expression(getattr(tree, f.name)) for f in dataclasses.fields(tree)}
        items = ", ".join([f"{name!r}: {value}" for name, value in fields.items()])
        return f"{self.source.name(_rebuilt)}({self.source.name(type(tree))}, {{{items}}})"

    # Tensors ----------------------------------------------------------------------------

    def _tensor(self, t):
        if id(t) not in self._names:
            self._names[id(t)] = f"o{len(self._names)}"
            name = self._names[id(t)] = f"o{len(self._names)}"
            there = self._existing(t) or self._view(t)
            if there is None:
                self.new.append(f"{name} = {self._new(t)}")
            else:
                self.shared.append(f"{name} = {there}")
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
        self.values.append(self.recorder.value(t))
        self.tensors.append(t)
        return f"wrap(found[{len(self.values) - 1}])"


def _along(tensor, path, tracked):
    """The view of ``tensor`` that the operations of ``path`` give."""
    with mode.set_grad_enabled(tracked and mode.is_grad_enabled()):
        for op, args, params in path:
            tensor = op.call(tensor, *args, **params)
    return tensor


def _rebuilt(kind, fields):
    """A dataclass instance with these fields, without running its ``__init__``."""
    made = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
