"""Constraints: which values a parameter may have, or a distribution may take.

A constraint of ``event_dim`` n looks at the last n dims together: ``check`` returns a bool for each
event. ``event_dim`` 0 means a bool for each element.
"""

from typing import Any

import rushlight

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent",
    "dependent_property", "greater_than", "greater_than_eq", "half_open_interval", "independent",
    "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive",
    "positive_definite", "positive_integer", "positive_semidefinite", "real", "real_vector",
    "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """The base class: a set of values.

    >>> import rushlight as torch
    >>> torch.distributions.constraints.positive.check(torch.tensor([-1.0, 1.0]))
    tensor([False,  True])
    """

    is_discrete: Any = False
    event_dim: Any = 0

    def check(self, value):
        """Whether each event of ``value`` is in the set, as a bool tensor."""
        raise NotImplementedError

    def _holds(self, value):
        """Whether all events of ``value`` are in the set."""
        return bool(self.check(value).array.all())

    def __repr__(self):
        return f"{type(self).__name__.lstrip('_')}()"


class _Bounded(Constraint):
    """A constraint with bounds, which its repr tells."""

    def __repr__(self):
        bounds = ", ".join(f"{k}={v}" for k, v in vars(self).items())
        return f"{type(self).__name__.lstrip('_')}({bounds})"


# Constraints that depend on other values ------------------------------------------------------


class _Dependent(Constraint):
    """Stands for a constraint that is known only together with other values."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self):
        """Whether values are discrete, where that is known.

        Raises:
            NotImplementedError: it depends on other values too.
        """
        return _known("is_discrete", self._is_discrete)

    @property
    def event_dim(self):
        """The dims of an event, where that is known.

        Raises:
            NotImplementedError: it depends on other values too.
        """
        return _known("event_dim", self._event_dim)

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        """The same with what is known filled in."""
        if is_discrete is NotImplemented:
            is_discrete = self._is_discrete
        if event_dim is NotImplemented:
            event_dim = self._event_dim
        return _Dependent(is_discrete=is_discrete, event_dim=event_dim)

    def check(self, x):
        raise ValueError("a dependent constraint cannot be checked without what it depends on")


def _known(name, value):
    if value is NotImplemented:
        raise NotImplementedError(f"a dependent constraint without {name}: pass it to `dependent`")
    return value


def is_dependent(constraint):
    """Whether the constraint is known only together with other values.

    >>> import rushlight as torch
    >>> torch.distributions.constraints.is_dependent(torch.distributions.constraints.real)
    False
    """
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property that gives a constraint, and on the class stands for a dependent one.

    Used as a decorator, with or without ``is_discrete`` and ``event_dim``.

    >>> from rushlight.distributions import Uniform, constraints
    >>> constraints.is_dependent(Uniform.support), Uniform(0.0, 2.0).support
    (True, Interval(lower_bound=0.0, upper_bound=2.0))
    """

    def __init__(
        self, fn=None, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ):
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn):  # type: ignore[override]
        """The property of ``fn``: ``dependent_property(event_dim=1)`` as a decorator."""
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


# Of elements ----------------------------------------------------------------------------------


class _Boolean(Constraint):
    """0 and 1."""

    is_discrete = True

    def check(self, value):
        return (value == 0) | (value == 1)


class _Real(Constraint):
    """All numbers: what is not nan."""

    def check(self, value):
        return value == value


class _GreaterThan(_Bounded):
    """(lower_bound, ∞]."""

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return self.lower_bound < value


class _GreaterThanEq(_Bounded):
    """[lower_bound, ∞]."""

    def __init__(self, lower_bound):
        self.lower_bound = lower_bound

    def check(self, value):
        return self.lower_bound <= value


class _LessThan(_Bounded):
    """[-∞, upper_bound)."""

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, value):
        return value < self.upper_bound


class _Interval(_Bounded):
    """[lower_bound, upper_bound]."""

    def __init__(self, lower_bound, upper_bound):
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value):
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class _HalfOpenInterval(_Interval):
    """[lower_bound, upper_bound)."""

    def check(self, value):
        return (self.lower_bound <= value) & (value < self.upper_bound)


class _IntegerInterval(_Interval):
    """lower_bound, …, upper_bound."""

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)


class _IntegerGreaterThan(_GreaterThanEq):
    """lower_bound, lower_bound + 1, …"""

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)


# Of vectors -----------------------------------------------------------------------------------


class _OneHot(Constraint):
    """Vectors of zeros and a single one."""

    is_discrete = True
    event_dim = 1

    def check(self, value):
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class _Simplex(Constraint):
    """Vectors of probabilities: not negative, of sum 1."""

    event_dim = 1

    def check(self, value):
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _Multinomial(Constraint):
    """Vectors of counts whose sum is at most ``upper_bound``."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound):
        self.upper_bound = upper_bound

    def check(self, x):
        return (x >= 0).all(-1) & (x.sum(-1) <= self.upper_bound)


# Of matrices ----------------------------------------------------------------------------------


class _LowerTriangular(Constraint):
    """Square matrices with zeros above the diagonal."""

    event_dim = 2

    def check(self, value):
        return (value.tril() == value).flatten(-2).all(-1)


class _LowerCholesky(_LowerTriangular):
    """Cholesky factors: lower triangular, with a positive diagonal."""

    def check(self, value):
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    """Cholesky factors of correlation matrices: their rows are of length 1."""

    def check(self, value):
        tolerance = rushlight.finfo(value.dtype).eps * value.shape[-1] * 10  # a row's rounding
        lengths = value.detach().square().sum(-1).sqrt()
        return super().check(value) & ((lengths - 1).abs() <= tolerance).all(-1)


class _Square(Constraint):
    """Square matrices."""

    event_dim = 2

    def check(self, value):
        is_square = value.shape[-2] == value.shape[-1]
        return rushlight.full(value.shape[:-2], is_square, dtype=rushlight.bool)


class _Symmetric(_Square):
    """Symmetric matrices, up to 1e-6."""

    def check(self, value):
        square = super().check(value)
        if value.shape[-2] != value.shape[-1]:
            return square
        return rushlight.isclose(value, value.mT, atol=1e-6).all(-2).all(-1)


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices without negative eigenvalues."""

    def check(self, value):
        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return (rushlight.linalg.eigvalsh(value) >= 0).all(-1)


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices of positive eigenvalues."""

    def check(self, value):
        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return rushlight.linalg.cholesky_ex(value).info == 0


# Made of others -------------------------------------------------------------------------------


class _IndependentConstraint(Constraint):
    """A constraint of ``reinterpreted_batch_ndims`` more dims, all of whose elements satisfy it.

    >>> import rushlight as torch
    >>> from rushlight.distributions import constraints
    >>> constraints.independent(constraints.positive, 1).check(torch.tensor([[1.0, -1.0]]))
    tensor([False])
    """

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        _require_constraints("independent", [base_constraint])
        if not isinstance(reinterpreted_batch_ndims, int) or reinterpreted_batch_ndims < 0:
            raise AssertionError(
                "constraints.independent: reinterpreted_batch_ndims must be an int of at least 0, "
                f"got {reinterpreted_batch_ndims!r}"
            )
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self):
        """Whether the base constraint is discrete."""
        return self.base_constraint.is_discrete

    @property
    def event_dim(self):
        """The base constraint's and the reinterpreted dims."""
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value):
        result = self.base_constraint.check(value)
        dims = self.reinterpreted_batch_ndims
        if result.ndim < dims:
            raise ValueError(
                f"{self}: a value of shape {tuple(value.shape)} has {value.ndim} dims, "
                f"an event has {self.event_dim}"
            )
        return result.flatten(-dims).all(-1) if dims else result

    def _holds(self, value):
        if value.ndim < self.event_dim:
            self.check(value)  # which says so
        return self.base_constraint._holds(value)

    def __repr__(self):
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """Values that every component of a mixture can take.

    >>> from rushlight.distributions import constraints
    >>> constraints.MixtureSameFamilyConstraint(constraints.positive)
    MixtureSameFamilyConstraint(GreaterThan(lower_bound=0.0))
    """

    def __init__(self, base_constraint):
        _require_constraints("MixtureSameFamilyConstraint", [base_constraint])
        self.base_constraint = base_constraint

    @property
    def is_discrete(self):
        """Whether the components' constraint is discrete."""
        return self.base_constraint.is_discrete

    @property
    def event_dim(self):
        """The dims of an event of the components."""
        return self.base_constraint.event_dim

    def check(self, value):
        result = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return result.all(-1)  # over components

    def __repr__(self):
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"


class _Sequence(Constraint):
    """Constraints of parts of a tensor along ``dim``."""

    def __init__(self, cseq, dim=0):
        self.cseq = list(cseq)
        self.dim = dim
        _require_constraints(type(self).__name__.strip("_").lower(), self.cseq)

    @property
    def is_discrete(self):
        """Whether any part is discrete."""
        return any(c.is_discrete for c in self.cseq)

    def _check_dim(self, value):
        if not -value.ndim <= self.dim < value.ndim:
            raise AssertionError(
                f"{self}: dim {self.dim} is none of a value of shape {tuple(value.shape)}"
            )


class _Cat(_Sequence):
    """Constraints of parts of the given lengths, which lie one after the other along ``dim``.

    >>> import rushlight as torch
    >>> from rushlight.distributions import constraints
    >>> parts = constraints.cat([constraints.real, constraints.positive], dim=0, lengths=[1, 2])
    >>> parts.check(torch.tensor([-1.0, -1.0, 1.0]))
    tensor([ True, False,  True])
    """

    def __init__(self, cseq, dim=0, lengths=None):
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(
                f"constraints.cat: {len(self.cseq)} constraints, but {len(self.lengths)} lengths"
            )

    @property
    def event_dim(self):
        """The largest of the parts'."""
        return max(c.event_dim for c in self.cseq)

    def check(self, value):
        self._check_dim(value)
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths, strict=True):
            checks.append(constraint.check(value.narrow(self.dim, start, length)))
            start += length
        return rushlight.cat(checks, self.dim)


class _Stack(_Sequence):
    """Constraints of the slices along ``dim``.

    >>> import rushlight as torch
    >>> from rushlight.distributions import constraints
    >>> parts = constraints.stack([constraints.real, constraints.positive], dim=0)
    >>> parts.check(torch.tensor([-1.0, -1.0]))
    tensor([ True, False])
    """

    @property
    def event_dim(self):
        """The largest of the slices', and one more where ``dim`` lies in the event."""
        most = max(c.event_dim for c in self.cseq)
        return most + 1 if self.dim + most < 0 else most

    def check(self, value):
        self._check_dim(value)
        checks = [c.check(v) for c, v in zip(self.cseq, value.unbind(self.dim), strict=True)]
        return rushlight.stack(checks, self.dim)


def _require_constraints(name, constraints):
    for c in constraints:
        if not isinstance(c, Constraint):
            raise AssertionError(
                f"constraints.{name}: expected Constraint objects, got {type(c).__name__}"
            )


# Public names ---------------------------------------------------------------------------------

dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack
