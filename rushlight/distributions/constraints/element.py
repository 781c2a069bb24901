"""Constraints of each element by itself."""

from rushlight.distributions.constraints.base import Bounded, Constraint

__all__ = [
    "Boolean", "GreaterThan", "GreaterThanEq", "HalfOpenInterval", "IntegerGreaterThan",
    "IntegerInterval", "Interval", "LessThan", "Real",
]  # fmt: skip


class Boolean(Constraint):
    """0 and 1."""

    is_discrete = True

    def check(self, value):
        return (value == 0) | (value == 1)


class Real(Constraint):
    """All numbers: what is not nan."""

    def check(self, value):
        return value == value


class GreaterThan(Bounded):
    """(lower_bound, ∞]."""

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return self.lower_bound < value


class GreaterThanEq(Bounded):
    """[lower_bound, ∞]."""

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return self.lower_bound <= value


class LessThan(Bounded):
    """[-∞, upper_bound)."""

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return value < self.upper_bound


class Interval(Bounded):
    """[lower_bound, upper_bound]."""

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value):
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class HalfOpenInterval(Interval):
    """[lower_bound, upper_bound)."""

    def check(self, value):
        return (self.lower_bound <= value) & (value < self.upper_bound)


class IntegerInterval(Interval):
    """lower_bound, …, upper_bound."""

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)


class IntegerGreaterThan(GreaterThanEq):
    """lower_bound, lower_bound + 1, …"""

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)
