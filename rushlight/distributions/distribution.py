"""Distribution: what every probability distribution has in common."""

import warnings
from typing import Any

import rushlight
from rushlight.autograd.mode import no_grad, recorder
from rushlight.distributions import constraints
from rushlight.distributions.utils import lazy_property
from rushlight.dtype import int32
from rushlight.ops.core.range_checks import check_range
from rushlight.ours import is_ours
from rushlight.tensor import Size, Tensor

__all__ = ["Distribution"]


class Distribution:
    """The base class of probability distributions.

    A distribution consists of independent parts, which are arranged in ``batch_shape``. Each part
    draws values of ``event_shape``. A sample has the shape ``sample_shape + batch_shape +
    event_shape``, and ``log_prob`` returns one number for each event.

    A subclass has the class attributes ``arg_constraints`` (a dict from the name of each parameter
    to its constraint) and ``support``. It defines those of ``rsample``, ``sample``, ``log_prob``,
    ``mean``, ``variance`` and the other methods that exist for the distribution. If its parameters
    are attributes with the names in ``arg_constraints``, ``expand`` and the repr need no code of
    their own.

    Args:
        batch_shape: The shape of the independent parts.
        event_shape: The shape of one value.
        validate_args: Whether parameters, and the values given to methods, are checked. None
            means the default. Inside ``torch.compile`` only the shapes of values are checked,
            because the numbers in them are not known.

    Raises:
        ValueError: a parameter violates its constraint.

    >>> import rushlight as torch
    >>> d = torch.distributions.Distribution(torch.Size([3]), torch.Size([2]), validate_args=False)
    >>> d.batch_shape, d.event_shape
    (torch.Size([3]), torch.Size([2]))
    """

    has_rsample: Any = False
    has_enumerate_support = False
    _validate_args = __debug__
    _batch_shape: Size
    _event_shape: Size

    @staticmethod
    def set_default_validate_args(value):
        """Set whether distributions check their arguments by default.

        The setting is True at first, or False under ``python -O``.

        Args:
            value: True to check, False not to.

        Raises:
            ValueError: ``value`` is not a bool.
        """
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: expected a bool, got {value!r}")
        Distribution._validate_args = value

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()
        super().__init__()

    # Checks -------------------------------------------------------------------------------

    def _validate_parameters(self):
        try:
            rules = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`, so its parameters are not "
                "checked: set `arg_constraints = {}`, or pass validate_args=False",
                stacklevel=4,
            )
            return
        for name, constraint in rules.items():
            if constraints.is_dependent(constraint) or self._is_derived(name):
                continue
            value = getattr(self, name)
            if recorder() is not None:
                self._check_at_each_run(f"parameter {name}", constraint, value)
            elif not constraint._holds(value):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    def _is_derived(self, name):
        """Whether a parameter was not given, but is computed from others when it is read."""
        return name not in vars(self) and isinstance(getattr(type(self), name), lazy_property)

    def _validate_sample(self, value):
        """Check a value given to ``log_prob``, ``cdf`` or ``icdf``.

        Raises:
            ValueError: the value is not a tensor, has the wrong shape, or is outside the support.
        """
        name = type(self).__name__
        if not isinstance(value, Tensor):
            raise ValueError(f"{name}: the value must be a Tensor, got {type(value).__name__}")
        shape, wanted = value.shape, self._batch_shape + self._event_shape
        if shape[len(shape) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(
                f"{name}: the value's shape {tuple(shape)} must end in the event_shape "
                f"{tuple(self._event_shape)}"
            )
        for n, m in zip(reversed(shape), reversed(wanted), strict=False):
            if n not in (1, m) and m != 1:
                raise ValueError(
                    f"{name}: the value's shape {tuple(shape)} does not broadcast with batch_shape "
                    f"+ event_shape {tuple(wanted)}: {n} and {m} disagree"
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support`, so values are not checked: pass "
                "validate_args=False",
                stacklevel=3,
            )
            return
        if recorder() is not None:
            self._check_at_each_run("value argument", support, value)
        elif not support._holds(value):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to be "
                f"within the support ({support!r}) of the distribution {self!r}, but found invalid "
                f"values:\n{value}"
            )

    def _check_at_each_run(self, what, constraint, value):
        """Record a check of ``value``, whose numbers are not known in a trace.

        If the check fails, the call runs eagerly and raises the error with the numbers.
        """
        name, kind = type(self).__name__, type(constraint).__name__.lstrip("_")
        check_range(
            constraint.check(value).all().to(int32), low=1, high=1, error=ValueError,
            message=f"Expected {what} of distribution {name} to satisfy the constraint {kind}",
        )  # fmt: skip

    # Shapes -------------------------------------------------------------------------------

    @property
    def batch_shape(self):
        """The shape of the independent parts."""
        return self._batch_shape

    @property
    def event_shape(self):
        """The shape of one value."""
        return self._event_shape

    def expand(self, batch_shape, _instance=None):
        """Return the distribution with its parameters expanded to ``batch_shape``, without a copy.

        Args:
            batch_shape: The new shape of the independent parts. The old one must be expandable to
                it.
            _instance: A new object for subclasses to fill. Default: None.

        Returns:
            A distribution of the same class.

        Raises:
            NotImplementedError: a subclass has an ``__init__`` of its own and no ``expand``.
        """
        batch_shape = Size(batch_shape)
        return self._expanded(
            self._owner(), batch_shape, _instance, **self._expanded_parameters(batch_shape)
        )

    def _owner(self):
        """The class that defines this object's ``__init__``, if rushlight defines that class.

        If a user's subclass defines ``__init__``, the result is ``Distribution``.
        """
        found = next(c for c in type(self).__mro__ if "__init__" in vars(c))
        return found if is_ours(found) else Distribution

    def _expanded_parameters(self, batch_shape):
        """The parameters that were given, by name, with their batch dims expanded."""
        found = {}
        for name, constraint in self.arg_constraints.items():
            value = vars(self).get(name)
            if value is not None:
                event = value.shape[value.ndim - constraint.event_dim :]
                found[name] = value.expand(batch_shape + event)
        return found

    def _expanded(self, cls, batch_shape, instance, **attributes):
        """A new distribution of ``batch_shape``, with this one's event shape and ``attributes``.

        ``cls`` is the class whose ``__init__`` normally sets these attributes. A subclass with
        another ``__init__`` must define ``expand``, unless ``instance`` is given to be filled.
        """
        new = self._get_checked_instance(cls, instance)
        vars(new).update(attributes)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _get_checked_instance(self, cls, _instance=None):
        if _instance is not None:
            return _instance
        if type(self).__init__ is not cls.__init__:
            raise NotImplementedError(
                f"{type(self).__name__} has an __init__ of its own, so it must define expand() too"
            )
        return object.__new__(type(self))

    def _extended_shape(self, sample_shape=()):
        """The shape of the tensor that ``sample(sample_shape)`` returns."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    # What a subclass defines --------------------------------------------------------------

    @property
    def arg_constraints(self):
        """The constraint that each parameter must satisfy, by its name."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The constraint that tells which values can occur."""
        raise NotImplementedError

    @property
    def mean(self):
        """The mean, of shape ``batch_shape + event_shape``."""
        raise NotImplementedError

    @property
    def mode(self):
        """The most probable value, of shape ``batch_shape + event_shape``."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self):
        """The variance, of shape ``batch_shape + event_shape``."""
        raise NotImplementedError

    @property
    def stddev(self):
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape=()):
        """Draw values at random.

        Args:
            sample_shape: The shape of the draws. Default: ``()``, one draw of each part.

        Returns:
            Tensor of shape ``sample_shape + batch_shape + event_shape``, without gradients.
        """
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape=()):
        """Draw values that are a differentiable function of the parameters.

        Args:
            sample_shape: The shape of the draws. Default: ``()``, one draw of each part.

        Returns:
            Tensor of shape ``sample_shape + batch_shape + event_shape``.
        """
        raise NotImplementedError

    def sample_n(self, n):
        """The deprecated form of ``sample((n,))``."""
        warnings.warn(
            "Distribution.sample_n(n) is deprecated; use sample((n,))", FutureWarning, stacklevel=2
        )
        return self.sample(Size((n,)))

    def log_prob(self, value):
        """Compute the logarithm of the density, or of the probability, at ``value``.

        Args:
            value: Tensor that broadcasts with ``batch_shape + event_shape``.

        Returns:
            Tensor with one number for each event: the broadcast shape without ``event_shape``.
        """
        raise NotImplementedError

    def cdf(self, value):
        """Compute the probability of values up to ``value``.

        Args:
            value: Tensor that broadcasts with ``batch_shape + event_shape``.

        Returns:
            Tensor of the broadcast shape.
        """
        raise NotImplementedError

    def icdf(self, value):
        """Compute the quantile at the probability ``value``: the inverse of ``cdf``.

        Args:
            value: Tensor of numbers from 0 to 1 that broadcasts with ``batch_shape``.

        Returns:
            Tensor of the broadcast shape.
        """
        raise NotImplementedError

    def enumerate_support(self, expand=True):
        """Return all values of a discrete distribution, along a new dim 0.

        Args:
            expand: Expand the values to ``batch_shape``; False: leave batch dims of size 1.
                Default: True.

        Returns:
            Tensor ``(number of values,) + batch_shape + event_shape``.
        """
        raise NotImplementedError

    def entropy(self):
        """Compute the entropy, in nats.

        Returns:
            Tensor of shape ``batch_shape``.
        """
        raise NotImplementedError

    def perplexity(self):
        """Compute e to the entropy.

        Returns:
            Tensor of shape ``batch_shape``.
        """
        return rushlight.exp(self.entropy())

    def __repr__(self):
        given = [(k, vars(self)[k]) for k in self.arg_constraints if k in vars(self)]
        shown = [f"{k}: {v if v.numel() == 1 else v.shape}" for k, v in given]
        return f"{type(self).__name__}({', '.join(shown)})"
