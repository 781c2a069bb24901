"""Constraints of each element by itself."""

from rushlight.autograd import mode
from rushlight.distributions.constraints.base import Bounded
from rushlight.ops.core.fast_path import plain

__all__ = [
    "Boolean", "GreaterThan", "GreaterThanEq", "HalfOpenInterval", "IntegerGreaterThan",
    "IntegerInterval", "Interval", "LessThan", "Real",
]  # fmt: skip


class Element(Bounded):
    """The base class of these constraints. Their ``check`` serves arrays as well as tensors."""

    def _holds(self, value):
        numbers = all(type(bound) in (int, float) for bound in vars(self).values())
        if mode.intercept or not numbers or type(self) not in _KINDS:
            return super()._holds(value)
        return bool(self.check(plain(value)).all())


class Boolean(Element):
    """0 and 1."""

    is_discrete = True

    def check(self, value):
        return (value == 0) | (value == 1)


class Real(Element):
    """All numbers: what is not nan."""

    def check(self, value):
        return value == value


class GreaterThan(Element):
    """Numbers in (lower_bound, ∞].

    >>> import rushlight as torch
    >>> torch.distributions.constraints.greater_than(0).check(torch.tensor([0.0, 1.0]))
    tensor([False,  True])
    """

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return self.lower_bound < value


class GreaterThanEq(Element):
    """Numbers in [lower_bound, ∞].

    >>> import rushlight as torch
    >>> torch.distributions.constraints.greater_than_eq(0).check(torch.tensor([-1.0, 0.0]))
    tensor([False,  True])
    """

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return self.lower_bound <= value


class LessThan(Element):
    """Numbers in [-∞, upper_bound).

    >>> import rushlight as torch
    >>> torch.distributions.constraints.less_than(1).check(torch.tensor([0.0, 1.0]))
    tensor([ True, False])
    """

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return value < self.upper_bound


class Interval(Element):
    """Numbers in [lower_bound, upper_bound].

    >>> import rushlight as torch
    >>> torch.distributions.constraints.interval(0, 1).check(torch.tensor([1.0, 2.0]))
    tensor([ True, False])
    """

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value):
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class HalfOpenInterval(Interval):
    """Numbers in [lower_bound, upper_bound).

    >>> import rushlight as torch
    >>> torch.distributions.constraints.half_open_interval(0, 1).check(torch.tensor([0.0, 1.0]))
    tensor([ True, False])
    """

    def check(self, value):
        return (self.lower_bound <= value) & (value < self.upper_bound)


class IntegerInterval(Interval):
    """The whole numbers lower_bound, …, upper_bound.

    >>> import rushlight as torch
    >>> torch.distributions.constraints.integer_interval(0, 9).check(torch.tensor([9.0, 0.5]))
    tensor([ True, False])
    """

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)


class IntegerGreaterThan(GreaterThanEq):
    """The whole numbers lower_bound, lower_bound + 1, and so on."""

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)


#: The classes whose ``check`` takes NumPy arrays. A user's class may need methods of tensors.
_KINDS = {
    Boolean, GreaterThan, GreaterThanEq, HalfOpenInterval, IntegerGreaterThan, IntegerInterval,
    Interval, LessThan, Real,
}  # fmt: skip
