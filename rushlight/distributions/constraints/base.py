"""The base class of constraints, and those that depend on other values."""

from typing import Any

from rushlight.device_array import to_host
from rushlight.remote import is_remote

__all__ = ["Bounded", "Constraint", "Dependent", "DependentProperty", "is_dependent"]


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
        found = self.check(value)
        if is_remote(found):  # a single bool is copied
            found = found.all()
        return bool(to_host(found._array).all())

    def __repr__(self):
        return f"{type(self).__name__.lstrip('_')}()"


class Bounded(Constraint):
    """A constraint with bounds, which its repr shows."""

    def __repr__(self):
        bounds = ", ".join(f"{k}={v}" for k, v in vars(self).items())
        return f"{type(self).__name__.lstrip('_')}({bounds})"


class Dependent(Constraint):
    """A placeholder for a constraint that depends on the values of other parameters."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self):
        """Whether values are discrete, if the placeholder knows.

        Raises:
            NotImplementedError: the answer depends on other parameters' values.
        """
        return _known("is_discrete", self._is_discrete)

    @property
    def event_dim(self):
        """The number of dims of an event, if the placeholder knows.

        Raises:
            NotImplementedError: the answer depends on other parameters' values.
        """
        return _known("event_dim", self._event_dim)

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        """A placeholder with ``is_discrete`` and ``event_dim`` filled in, if given."""
        if is_discrete is NotImplemented:
            is_discrete = self._is_discrete
        if event_dim is NotImplemented:
            event_dim = self._event_dim
        return Dependent(is_discrete=is_discrete, event_dim=event_dim)

    def check(self, x):
        raise ValueError("a dependent constraint cannot be checked without what it depends on")


def _known(name, value):
    if value is NotImplemented:
        raise NotImplementedError(f"a dependent constraint without {name}: pass it to `dependent`")
    return value


def is_dependent(constraint):
    """Return whether a constraint depends on the values of other parameters.

    Args:
        constraint: A constraint.

    Returns:
        True or False.

    >>> import rushlight as torch
    >>> torch.distributions.constraints.is_dependent(torch.distributions.constraints.real)
    False
    """
    return isinstance(constraint, Dependent)


class DependentProperty(property, Dependent):
    """A property whose value is a constraint that depends on the object's parameters.

    On an object, the property returns the constraint. On the class, it is itself a placeholder
    (``Dependent``). It is used as a decorator, with or without ``is_discrete`` and ``event_dim``.

    Args:
        fn: The property's function of the object, which returns a constraint.
        is_discrete: Whether the values are discrete. Default: it depends on the object, too.
        event_dim: Number of dims of one event. Default: it depends on the object, too.

    >>> from rushlight.distributions import Uniform, constraints
    >>> constraints.is_dependent(Uniform.support), Uniform(0.0, 2.0).support
    (True, Interval(lower_bound=0.0, upper_bound=2.0))
    """

    def __init__(
        self, fn=None, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ):
        property.__init__(self, fn)
        Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn):  # type: ignore[override]
        """Decorate ``fn``, as in ``@dependent_property(event_dim=1)``."""
        return DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)
