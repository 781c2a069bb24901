"""Finds the formula for the classes of two distributions."""

from functools import reduce
from typing import Any

__all__ = ["kl_divergence", "register_kl"]

_FORMULAS: dict[tuple[type, type], Any] = {}
_found: dict[tuple[type, type], Any] = {}  # cache of look-ups, by the classes of p and q


def register_kl(type_p, type_q):
    """Decorate a function that computes KL(p ‖ q) for p and q of two classes and their subclasses.

    Args:
        type_p: The class of p.
        type_q: The class of q.

    Returns:
        Decorator, which returns the function ``f(p, q)`` unchanged.

    Raises:
        TypeError: ``type_p`` or ``type_q`` is not a class.

    Libraries register their own classes too, which need not be rushlight's distributions.

    >>> import rushlight as torch
    >>> d = torch.distributions
    >>> class Shifted(d.Normal):
    ...     pass
    >>> @d.register_kl(Shifted, Shifted)
    ... def shifted(p, q):
    ...     return torch.zeros(())
    >>> d.kl_divergence(Shifted(0.0, 1.0), Shifted(1.0, 1.0))
    tensor(0.)
    """
    for kind in (type_p, type_q):
        if not isinstance(kind, type):
            raise TypeError(f"register_kl: expected classes of distributions, got {kind!r}")

    def register(function):
        _FORMULAS[type_p, type_q] = function
        _found.clear()
        return function

    return register


def kl_divergence(p, q):
    """Compute KL(p ‖ q), the expected log ratio of two densities under the first one.

    Args:
        p: A distribution, under which the expectation is taken.
        q: A distribution of the same ``event_shape``.

    Returns:
        Tensor of the distributions' common ``batch_shape``.

    Raises:
        NotImplementedError: no formula is registered for these classes.

    >>> import rushlight as torch
    >>> Normal = torch.distributions.Normal
    >>> torch.distributions.kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    key = type(p), type(q)
    if key not in _found:
        _found[key] = _look_up(*key)
    formula = _found[key]
    if formula is None:
        raise NotImplementedError(
            f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}; add one "
            "with register_kl"
        )
    return formula(p, q)


def _look_up(type_p, type_q):
    """The formula that is registered for the nearest base classes; None if there is none.

    A nearer class of p counts more than a nearer class of q.
    """
    ranks = [
        (type_p.__mro__.index(a), type_q.__mro__.index(b), formula)
        for (a, b), formula in _FORMULAS.items()
        if issubclass(type_p, a) and issubclass(type_q, b)
    ]
    return reduce(lambda x, y: y if y[:2] < x[:2] else x, ranks)[2] if ranks else None
