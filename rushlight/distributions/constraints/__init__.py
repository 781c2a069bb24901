"""Constraints: which values a parameter may have, or a distribution may take.

A constraint of ``event_dim`` n judges the last n dims together, as one event. ``check`` returns a
bool for each event; for ``event_dim`` 0, that is a bool for each element.
"""

from rushlight.distributions.constraints.base import (
    Constraint,
    Dependent,
    DependentProperty,
    is_dependent,
)
from rushlight.distributions.constraints.composite import (
    Cat,
    IndependentConstraint,
    MixtureSameFamilyConstraint,
    Stack,
)
from rushlight.distributions.constraints.element import (
    Boolean,
    GreaterThan,
    GreaterThanEq,
    HalfOpenInterval,
    IntegerGreaterThan,
    IntegerInterval,
    Interval,
    LessThan,
    Real,
)
from rushlight.distributions.constraints.matrix import (
    CorrCholesky,
    LowerCholesky,
    LowerTriangular,
    PositiveDefinite,
    PositiveSemidefinite,
    Square,
    Symmetric,
)
from rushlight.distributions.constraints.vector import Multinomial, OneHot, Simplex
from rushlight.docstrings import document

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent",
    "dependent_property", "greater_than", "greater_than_eq", "half_open_interval", "independent",
    "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive",
    "positive_definite", "positive_integer", "positive_semidefinite", "real", "real_vector",
    "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip

dependent = Dependent()
dependent_property = DependentProperty
independent = IndependentConstraint
boolean = Boolean()
one_hot = OneHot()
nonnegative_integer = IntegerGreaterThan(0)
positive_integer = IntegerGreaterThan(1)
integer_interval = IntegerInterval
real = Real()
real_vector = independent(real, 1)
positive = GreaterThan(0.0)
nonnegative = GreaterThanEq(0.0)
greater_than = GreaterThan
greater_than_eq = GreaterThanEq
less_than = LessThan
multinomial = Multinomial
unit_interval = Interval(0.0, 1.0)
interval = Interval
half_open_interval = HalfOpenInterval
simplex = Simplex()
lower_triangular = LowerTriangular()
lower_cholesky = LowerCholesky()
corr_cholesky = CorrCholesky()
square = Square()
symmetric = Symmetric()
positive_semidefinite = PositiveSemidefinite()
positive_definite = PositiveDefinite()
cat = Cat
stack = Stack

#: PyTorch's names of the classes, which libraries use to register their own rules.
globals().update({
    f"_{kind.__name__}": kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, Constraint) and kind is not Constraint
})  # fmt: skip

for _name in __all__:
    document(globals()[_name], "constraint")
