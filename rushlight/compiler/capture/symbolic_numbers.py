"""Python's numbers in places that the function assigns to: counters, sums, rates.

``self.steps += 1`` is no operation on tensors, and finds another number at each call. So while a
call is recorded a ``SymbolicNumber`` stands in that place, and notes what is computed of it. Each
run reads the place and does that arithmetic again, in Python, ahead of the program; a result that
meets a tensor is an input of the program, and one that was assigned is assigned after it.

What the function decides by a number (``if self.steps % 100 == 0``) is a condition: the other way
is another program. Whatever wants the number itself (an index, a text, a function of ``math``)
makes its value a condition.
"""

import operator

import numpy as np

from rushlight.compiler.capture.stand_in import methods

__all__ = ["SymbolicNumber", "Numbers", "without_numbers"]


class SymbolicNumber:
    """A number of the trace: its value in this call, and its name in the lines of each."""

    __slots__ = ("name", "numbers", "value")

    def __init__(self, numbers, name, value):
        self.numbers, self.name, self.value = numbers, name, value

    __class__ = property(lambda self: type(self.value))

    def known(self):
        """The value, which other calls then have to have as well."""
        self.numbers.pin(self)
        return self.value

    def __getattr__(self, name):
        return getattr(self.known(), name)

    def __bool__(self):
        return self.numbers.decide("{0} != 0", bool, self)

    # NumPy would keep an object that it does not know as it is, in an array of objects.

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.known(), dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **named):
        named = {key: without_numbers(value) for key, value in named.items()}
        return getattr(ufunc, method)(*map(without_numbers, inputs), **named)

    def __array_function__(self, function, types, args, named):
        named = {key: without_numbers(value) for key, value in named.items()}
        return function(*map(without_numbers, args), **named)


class Numbers:
    """The arithmetic on numbers in one trace.

    Attributes:
        roots: (template, id of the owner) → the ``SymbolicNumber`` that stands in this place; of an
            argument (name in the lines, None).
        steps: What each run does, in order, as (name or None, text, operands, value): the text,
            with its operands' names, gives what gets the name; where there is none, it has to
            give the value.
    """

    def __init__(self):
        self.roots: dict = {}
        self.steps: list = []
        self._pinned: set = set()

    def root(self, template, owner, value):
        """A stand-in for the number in a place."""
        number = SymbolicNumber(self, f"i{len(self.roots)}", value)
        self.roots[template, id(owner)] = number
        return number

    def argument(self, name, value):
        """A stand-in for a number that is an argument."""
        number = self.roots[name, None] = SymbolicNumber(self, name, value)
        return number

    def compute(self, text, function, *operands):
        """What ``function`` gives of numbers; ``text`` says the same."""
        try:
            found = function(*map(_value, operands))
        except ArithmeticError:  # which the function may catch
            found = None
        if type(found) not in (int, float):
            return function(*map(without_numbers, operands))
        number = SymbolicNumber(self, f"j{len(self.steps)}", found)
        self.steps.append((number.name, text, operands, None))
        if "**" in text:  # of which the type depends on the values
            self.steps.append((None, "type({0})", (number,), type(found)))
        return number

    def decide(self, text, function, *operands):
        """Whether something holds of numbers, which is then a condition."""
        found = function(*map(_value, operands))
        self.steps.append((None, text, operands, found))
        return found

    def fits(self, number):
        """Whether ``number`` is a float, or an integer of 64 bits, which is then a condition."""
        if type(number.value) is float:
            return True
        return self.decide(
            f"{-(2**63)} <= {{0}} < {2**63}", lambda n: -(2**63) <= n < 2**63, number
        )

    def pin(self, number):
        """Make the value of ``number`` a condition."""
        if number.name not in self._pinned:
            self._pinned.add(number.name)
            self.steps.append((None, "equal({0}, {1})", (number, number.value), True))

    def is_pinned(self, root):
        """Whether a condition holds for one value of ``root`` only, or of what depends on it."""
        depending = {root.name}
        for name, _, operands, _ in self.steps:
            if any(type(x) is SymbolicNumber and x.name in depending for x in operands):
                depending.add(name)
        return not depending.isdisjoint(self._pinned)

    def add_lines(self, source):
        """Add the lines of the steps to those of a call."""
        if not self.steps:
            return
        with source.block("try:"):
            for name, text, operands, value in self.steps:
                names = [x.name if type(x) is SymbolicNumber else source.name(x) for x in operands]
                if name is not None:
                    source.line(f"{name} = {text.format(*names)}")
                else:
                    source.demand(source.same(f"({text.format(*names)})", value))
        source.line("except ArithmeticError: return MISS")


def without_numbers(value):
    """``value`` with the values of its symbolic numbers, which other calls then have to have."""
    if type(value) is SymbolicNumber:
        return value.known()
    if type(value) in (tuple, list, set, frozenset):
        return type(value)(map(without_numbers, value))
    return value


def _value(x):
    return x.value if type(x) is SymbolicNumber else x


# Methods of numbers -----------------------------------------------------------------------

_ARITHMETIC = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
}  # fmt: skip
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_SIGNS = {"neg": "-", "pos": "+", "abs": "abs"}


def _binary(text, function, method):
    def run(self, other):
        if type(other) not in (SymbolicNumber, int, float, bool):
            return NotImplemented
        return getattr(self.numbers, method)(text, function, self, other)

    return run


def _reflected(text, function):
    return _binary(text, lambda x, y: function(y, x), "compute")


def _unary(text, function):
    return lambda self: self.numbers.compute(text, function, self)


def _of_value(name):
    return lambda self, *args: getattr(self.known(), name)(*args)


def _give_methods():
    for name in methods(SymbolicNumber, int, float):
        setattr(SymbolicNumber, name, _of_value(name))
    for name, sign in _ARITHMETIC.items():
        function = getattr(operator, name)
        setattr(SymbolicNumber, f"__{name}__", _binary(f"{{0}} {sign} {{1}}", function, "compute"))
        setattr(SymbolicNumber, f"__r{name}__", _reflected(f"{{1}} {sign} {{0}}", function))
    for name, sign in _COMPARISONS.items():
        function = getattr(operator, name)
        setattr(SymbolicNumber, f"__{name}__", _binary(f"{{0}} {sign} {{1}}", function, "decide"))
    for name, sign in _SIGNS.items():
        setattr(SymbolicNumber, f"__{name}__", _unary(f"{sign}({{0}})", getattr(operator, name)))


_give_methods()
