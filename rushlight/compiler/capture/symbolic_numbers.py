"""Python numbers that change from call to call, such as counters, sums and learning rates.

``self.steps += 1`` is no operation on tensors, and each call finds another number there. So while a
call is recorded, a ``SymbolicNumber`` replaces the number, and notes the arithmetic on it. Each run
reads the number and repeats the arithmetic in Python before the program. A result that is combined
with a tensor becomes an input of the program; a result that was assigned is assigned after the
program.

Functions of ``math`` take the double out of an object, so a stand-in for the function replaces it
in the call (``math.sqrt(1 - beta**step)``).

A decision by a number (``if self.steps % 100 == 0``) becomes a condition: the other branch is
another program. If code needs the number itself (an index, a text), the number's value becomes a
condition.
"""

import math
import operator

import numpy as np

from rushlight.compiler.capture.stand_in import methods

__all__ = ["Numbers", "SymbolicNumber", "function_of_numbers", "without_numbers"]


class SymbolicNumber:
    """A number in a trace: its value in this call, and its name in the call's function."""

    __slots__ = ("name", "numbers", "value")

    def __init__(self, numbers, name, value):
        self.numbers, self.name, self.value = numbers, name, value

    __class__ = property(lambda self: type(self.value))

    def known(self):
        """The value; it becomes a condition of the program."""
        self.numbers.pin(self)
        return self.value

    def __getattr__(self, name):
        return getattr(self.known(), name)

    def __bool__(self):
        return self.numbers.decide("{0} != 0", bool, self)

    # Without these methods NumPy would put the SymbolicNumber into an array of objects.

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
        roots: (template, id of the owner) → the ``SymbolicNumber`` that replaces this number. For
            an argument the key is (name in the call's function, None).
        steps: The steps of each run, in order, as (name or None, text, operands, value). The text
            is a Python expression once the operands' names are filled in. With a name, the step
            assigns the expression to it; without, the expression must give the value.
    """

    def __init__(self):
        self.roots: dict = {}
        self.steps: list = []
        self._pinned: set = set()

    def root(self, template, owner, value):
        """A stand-in for the number ``value`` at the place (template, owner)."""
        number = SymbolicNumber(self, f"i{len(self.roots)}", value)
        self.roots[template, id(owner)] = number
        return number

    def argument(self, name, value):
        """A stand-in for the argument ``value``; ``name`` is its name in the call's function."""
        number = self.roots[name, None] = SymbolicNumber(self, name, value)
        return number

    def compute(self, text, function, *operands):
        """``function(*operands)`` as a new number; ``text`` is the same as a Python expression."""
        try:
            found = function(*map(_value, operands))
        except (ArithmeticError, ValueError):  # is raised again below: the values decide
            found = None
        if type(found) not in (int, float):
            return function(*map(without_numbers, operands))
        number = SymbolicNumber(self, f"j{len(self.steps)}", found)
        self.steps.append((number.name, text, operands, None))
        if "**" in text:  # the type of a power depends on the operands' values
            self.steps.append((None, "type({0})", (number,), type(found)))
        return number

    def decide(self, text, function, *operands):
        """``function(*operands)``, a truth value, which becomes a condition of the program."""
        found = function(*map(_value, operands))
        self.steps.append((None, text, operands, found))
        return found

    def fits(self, number):
        """Whether ``number`` is a float, or fits into 64 bits, which becomes a condition."""
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
        """Whether the value of ``root``, or of a number computed from it, is a condition."""
        depending = {root.name}
        for name, _, operands, _ in self.steps:
            if any(type(x) is SymbolicNumber and x.name in depending for x in operands):
                depending.add(name)
        return not depending.isdisjoint(self._pinned)

    def add_lines(self, source):
        """Add the lines of the steps to the call's function."""
        if not self.steps:
            return
        with source.block("try:"):
            for name, text, operands, value in self.steps:
                names = [x.name if type(x) is SymbolicNumber else source.name(x) for x in operands]
                if name is not None:
                    source.line(f"{name} = {text.format(*names)}")
                else:
                    source.demand(source.same(f"({text.format(*names)})", value))
        source.line("except (ArithmeticError, ValueError): return MISS")


def without_numbers(value):
    """``value`` with its symbolic numbers replaced by their values, which become conditions."""
    if type(value) is SymbolicNumber:
        return value.known()
    if type(value) in (tuple, list, set, frozenset):
        return type(value)(map(without_numbers, value))
    return value


def _value(x):
    return x.value if type(x) is SymbolicNumber else x


# Functions of numbers ---------------------------------------------------------------------

#: Functions in ``math`` that give one float or int. Some of them are missing in older Pythons.
_OF_MATH = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "copysign", "cos",
    "cosh", "degrees", "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "fma", "fmod",
    "gamma", "hypot", "ldexp", "lgamma", "log", "log10", "log1p", "log2", "nextafter", "pow",
    "radians", "remainder", "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "ulp",
)  # fmt: skip
_FUNCTIONS = {id(f): f for f in (float, int, round, *[getattr(math, n, int) for n in _OF_MATH])}


def function_of_numbers(function, args):
    """A function to call in place of ``function``, so that each run computes the result again.

    It is None if no argument is a ``SymbolicNumber``, or if the call needs the numbers' values.
    """
    numbers = next((x.numbers for x in args if type(x) is SymbolicNumber), None)
    if numbers is None or id(function) not in _FUNCTIONS:
        return None
    if any(type(x) not in (SymbolicNumber, int, float) for x in args):
        return None
    text = "{0}(" + ", ".join([f"{{{k + 1}}}" for k in range(len(args))]) + ")"
    return lambda *given: numbers.compute(text, _applied, function, *given)


def _applied(function, *args):
    return function(*args)


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
