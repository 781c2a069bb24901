"""The arguments of a call: their tensors, and the lines that find these in later calls."""

import dataclasses

import numpy as np

from rushlight.autograd.tape import refresh
from rushlight.compiler.calls.guard import GONE, demand_there
from rushlight.compiler.python.comparisons import is_plain
from rushlight.composite import Composite
from rushlight.errors import TraceError
from rushlight.remote import RemoteArray
from rushlight.tensor import Tensor

__all__ = ["Arguments", "check_array"]


def check_array(source, name, array):
    """Add a guard: the array ``name`` has the device, shape, strides and dtype of ``array``."""
    dtype = source.name(array.dtype)
    source.demand(f"type({name}) is {source.name(type(array))}")
    if isinstance(array, RemoteArray):
        source.demand(f"{name}.device is {source.name(array.device)}")
    source.demand(
        f"{name}.shape == {array.shape!r} and {name}.strides == {array.strides!r} "
        f"and ({name}.dtype is {dtype} or {name}.dtype == {dtype})"
    )


class Arguments:
    """The tensors among the arguments of one call, in order.

    Tensor ``i`` is ``t<i>`` in the lines of ``source``, and its array ``a<i>``.

    Attributes:
        leaves: The tensors, each once.
        given: How many of ``leaves`` are in the call's arguments. The others lie outside, in
            places that the function assigns.
        numbers: position or keyword → (name in the lines, value) of a float that may differ in
            other calls.
        objects: Arguments that are compared by identity: modules, optimizers, the user's objects.
    """

    def __init__(self, source, args, kwargs, moving=False):
        self.source = source
        self.numbers: dict = {}
        self._given = args, kwargs
        self.leaves: list = []
        self.objects: list = []
        self.containers: list = []  # (list, dict or array, its copy from before)
        self._position: dict = {}
        self._owners: dict = {}  # id of a container → its name
        self._names = 0
        self.refusal: TraceError | None = None
        source.names["refresh"] = refresh
        source.demand(f"len(args) == {len(args)}")
        for i, value in enumerate(args):
            self._argument(f"args[{i}]", i, value, moving)
        if kwargs:
            source.demand(f"(*kwargs,) == {source.name(tuple(kwargs))}")
        else:
            source.demand("not kwargs")
        for key, value in kwargs.items():
            self._argument(f"kwargs[{key!r}]", key, value, moving)
        self.given = len(self.leaves)

    def with_numbers(self, numbers):
        """(args, kwargs), where a ``SymbolicNumber`` replaces each number that may differ."""
        args, kwargs = self._given
        found = {key: numbers.argument(*known) for key, known in self.numbers.items()}
        args = [found.get(i, value) for i, value in enumerate(args)]
        return args, {key: found.get(key, value) for key, value in kwargs.items()}

    def add(self, places):
        """Treat the values at ``places`` outside like arguments.

        Each place is (template, (object,), value).
        """
        source = self.source
        if places:
            with source.block("try:"):
                for template, (owner,), value in places:
                    demand_there(source, source.name(owner), template, owner)
                    self._walk(template.format(source.name(owner)), value)
            source.line(f"except {GONE}: return MISS")

    def expression(self, tensor):
        """The name of ``tensor`` in the lines; None if it is no argument."""
        i = self._position.get(id(tensor))
        return None if i is None else f"t{i}"

    def _argument(self, expression, key, value, moving):
        if not moving or type(value) is not float:
            self._walk(expression, value)
            return
        name = self._named(expression)
        self.source.demand(f"type({name}) is float")
        self.numbers[key] = name, value

    def _walk(self, expression, value):
        source = self.source
        if isinstance(value, Tensor):
            self._tensor(expression, value)
        elif is_plain(value):
            name = self._named(expression)
            source.demand(source.same(name, value))
        elif isinstance(value, np.ndarray):
            name = self._named(expression)
            known = source.name(value.copy())
            self.containers.append((value, value.copy()))
            source.demand(
                f"{name}.__class__ is {known}.__class__ and {name}.dtype == {known}.dtype and "
                f"{name}.shape == {known}.shape and {name}.tobytes() == {known}.tobytes()"
            )
        elif isinstance(value, (tuple, list)):
            name = self._container(expression, value)
            source.demand(f"len({name}) == {len(value)}")
            for i, item in enumerate(value):
                self._walk(f"{name}[{i}]", item)
        elif isinstance(value, dict):
            name = self._container(expression, value)
            source.demand(f"[*{name}] == {source.name([*value])}")
            for key, item in value.items():
                self._walk(f"{name}[{source.name(key)}]", item)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            name = self._container(expression, value)
            for field in dataclasses.fields(value):
                self._walk(f"{name}.{field.name}", getattr(value, field.name))
        else:
            source.demand(f"{expression} is {source.name(value)}")
            self.objects.append(value)

    def _named(self, expression):
        self._names += 1
        self.source.line(f"x{self._names} = {expression}")
        return f"x{self._names}"

    def owner(self, container):
        """The name of a list, dict or dataclass instance; None if no argument contains it."""
        return self._owners.get(id(container))

    def covers(self, container):
        """Whether the guards of the arguments compare the contents of ``container``."""
        return id(container) in self._owners or any(c is container for c, _ in self.containers)

    def _container(self, expression, value):
        name = self._owners[id(value)] = self._named(expression)
        if isinstance(value, (list, dict)):
            self.containers.append((value, value.copy()))
        elif not isinstance(value, tuple) and hasattr(value, "__dict__"):
            self._owners[id(vars(value))] = f"{name}.__dict__"
            self.containers.append((vars(value), vars(value).copy()))
        self.source.demand(f"type({name}) is {self.source.name(type(value))}")
        return name

    def _tensor(self, expression, t):
        source = self.source
        if isinstance(t, Composite):
            self.refusal = TraceError(
                f"an argument is one of the {t.noun}, of layout {t.layout}; {t.remedy}"
            )
            source.demand(f"type({expression}) is {source.name(type(t))}")
            return
        if id(t) in self._position:
            source.demand(f"{expression} is {self.expression(t)}")
            return
        refresh(t)
        lazy = t.view_of is not None and t.view_of.lazy
        if lazy:
            self.refusal = TraceError(
                "an argument is a conjugate made by conj(), H or mH, which follows the writes to "
                "another tensor; pass resolve_conj() of it"
            )
        i = self._position[id(t)] = len(self.leaves)
        source.line(f"t{i} = {expression}")
        source.demand(f"type(t{i}) is {source.name(type(t))}")
        if lazy:
            source.demand(f"t{i}.view_of is not None and t{i}.view_of.lazy")
        with source.block(f"if t{i}.view_of is not None:"):
            source.line(f"refresh(t{i})")
            if not lazy:
                source.demand(f"not t{i}.view_of.lazy")
        source.line(f"a{i} = t{i}._array")
        check_array(source, f"a{i}", t._array)
        if t.node is None:
            source.demand(f"t{i}.node is None")
        else:
            leaf = "not " if t.node.clock == 0 else ""
            source.demand(f"t{i}.node is not None and {leaf}t{i}.node.clock")
        for j, other in enumerate(self.leaves):
            # Whether two arguments share their array must be as in the recorded call.
            if other._array.shape == t._array.shape and other._array.dtype == t._array.dtype:
                one = other._array is t._array  # a tensor and its detach(), for example
                also = f" and t{i} is not t{j}" if one else ""
                source.demand(f"a{i} is {'' if one else 'not '}a{j}{also}")
        self.leaves.append(t)
