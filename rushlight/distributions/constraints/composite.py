"""Constraints that are made of other constraints."""

import rushlight
from rushlight.distributions.constraints.base import Constraint

__all__ = ["Cat", "IndependentConstraint", "MixtureSameFamilyConstraint", "Stack"]


class IndependentConstraint(Constraint):
    """The base constraint, for events of ``reinterpreted_batch_ndims`` more dims.

    An event satisfies the constraint if all its parts satisfy the base constraint.

    Args:
        reinterpreted_batch_ndims: How many more dims one event has: an int, at least 0.

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
        """The base constraint's ``event_dim`` plus the number of reinterpreted dims."""
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
            self.check(value)  # raises the error that names the missing dims
        return self.base_constraint._holds(value)

    def __repr__(self):
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """Values that every component of a mixture can take.

    Args:
        base_constraint: The constraint of one component.

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


class Cat(_Sequence):
    """Constraints of parts of the given lengths, which lie one after the other along ``dim``.

    Args:
        lengths: The parts' lengths along ``dim``, in elements. Default: 1 each.

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
        """The largest ``event_dim`` of the parts."""
        return max(c.event_dim for c in self.cseq)

    def check(self, value):
        self._check_dim(value)
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths, strict=True):
            checks.append(constraint.check(value.narrow(self.dim, start, length)))
            start += length
        return rushlight.cat(checks, self.dim)


class Stack(_Sequence):
    """Constraints of the slices along ``dim``.

    Args:
        cseq: The constraints: a list, with one for each slice.

    >>> import rushlight as torch
    >>> from rushlight.distributions import constraints
    >>> parts = constraints.stack([constraints.real, constraints.positive], dim=0)
    >>> parts.check(torch.tensor([-1.0, -1.0]))
    tensor([ True, False])
    """

    @property
    def event_dim(self):
        """The largest ``event_dim`` of the slices, plus 1 if ``dim`` lies in the event."""
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
