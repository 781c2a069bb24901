"""Decorators of DataPipes: steps as methods, random ones, and checks of types."""

import functools
import inspect
import types
import typing
from typing import Any

from rushlight.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe

__all__ = [
    "argument_validation", "functional_datapipe", "guaranteed_datapipes_determinism",
    "non_deterministic", "runtime_validation", "runtime_validation_disabled",
]  # fmt: skip


class functional_datapipe:
    """Decorator of a class of DataPipes: pipes get a method ``name`` that adds such a step.

    Args:
        name: The name of the method.
        enable_df_api_tracing: Accepted without effect.

    >>> import rushlight as torch
    >>> @torch.utils.data.functional_datapipe("twice")
    ... class Twice(torch.utils.data.IterDataPipe):
    ...     def __init__(self, source):
    ...         self.source = source
    ...
    ...     def __iter__(self):
    ...         for sample in self.source:
    ...             yield from (sample, sample)
    >>> list(torch.utils.data.datapipes.iter.IterableWrapper([1, 2]).twice())
    [1, 1, 2, 2]
    """

    def __init__(self, name, enable_df_api_tracing=False):
        self.name = name
        self.enable_df_api_tracing = enable_df_api_tracing

    def __call__(self, cls):
        random = cls if isinstance(cls, non_deterministic) else getattr(cls, "__self__", None)
        pipe = random.cls if isinstance(random, non_deterministic) else cls
        if not isinstance(pipe, type) or not issubclass(pipe, (IterDataPipe, MapDataPipe)):
            raise TypeError(
                f"functional_datapipe can only decorate an IterDataPipe or MapDataPipe, not {cls!r}"
            )
        kind = IterDataPipe if issubclass(pipe, IterDataPipe) else MapDataPipe
        kind.register_datapipe_as_function(self.name, cls)
        return cls


class _Switch:
    """A context that sets the class's flag ``on`` as soon as it is made, and restores it."""

    on = False
    _value = True

    def __init__(self):
        kind = type(self)
        self.prev, kind.on = kind.on, self._value

    def __enter__(self):
        return None

    def __exit__(self, *exc):
        type(self).on = self.prev


class guaranteed_datapipes_determinism(_Switch):
    """Context in which DataPipes under ``non_deterministic`` cannot be made.

    >>> import rushlight as torch
    >>> with torch.utils.data.guaranteed_datapipes_determinism():
    ...     pass
    """


class runtime_validation_disabled(_Switch):
    """Context in which ``runtime_validation`` checks nothing.

    >>> import rushlight as torch
    >>> with torch.utils.data.runtime_validation_disabled():
    ...     pass
    """


class non_deterministic:
    """Decorator of a DataPipe whose order is not the same each time.

    Args:
        arg: The class; or a function that gets the arguments of the class, and returns whether the
            pipe made of them is random.

    Raises:
        TypeError: a random pipe is made in ``guaranteed_datapipes_determinism``.

    >>> import rushlight as torch
    >>> @torch.utils.data.non_deterministic
    ... class AnyOrder(torch.utils.data.IterDataPipe):
    ...     def __iter__(self):
    ...         return iter({1, 2})
    >>> sorted(AnyOrder())
    [1, 2]
    """

    def __init__(self, arg):
        self.cls: Any = None
        if isinstance(arg, type):
            if not issubclass(arg, IterDataPipe):
                raise TypeError(
                    "Only `IterDataPipe` can be decorated with `non_deterministic`, but "
                    f"{arg.__name__} is found"
                )
            self.cls = arg
        elif callable(arg):
            self.deterministic_fn = arg
        else:
            raise TypeError(f"{arg} can not be decorated by non_deterministic")

    def __call__(self, *args, **kwargs):
        if self.cls is None:  # the call decorates the class
            if not (args and isinstance(args[0], type) and issubclass(args[0], IterDataPipe)):
                raise TypeError(
                    f"Only `IterDataPipe` can be decorated with `non_deterministic`, but {args} is "
                    "found"
                )
            self.cls = args[0]
            return self.deterministic_wrapper_fn
        self._refuse(True)
        return self.cls(*args, **kwargs)

    def deterministic_wrapper_fn(self, *args, **kwargs):
        """Make a pipe, after a look at its arguments."""
        found = self.deterministic_fn(*args, **kwargs)
        if not isinstance(found, bool):
            raise TypeError(
                "deterministic_fn of `non_deterministic` decorator is required to return a boolean "
                f"value, but {type(found)} is found"
            )
        self._refuse(found)
        return self.cls(*args, **kwargs)

    def _refuse(self, is_random):
        if is_random and guaranteed_datapipes_determinism.on:
            raise TypeError(
                f"{self.cls.__name__} is non-deterministic, but you set "
                "'guaranteed_datapipes_determinism'"
            )


def argument_validation(f):
    """Decorator of a function: arguments that are hinted as DataPipes must be such.

    Args:
        f: The function, with hints.

    Returns:
        The function with the check, which raises TypeError.

    >>> import rushlight as torch
    >>> @torch.utils.data.argument_validation
    ... def first(pipe: torch.utils.data.IterDataPipe):
    ...     return next(iter(pipe))
    >>> first(torch.utils.data.datapipes.iter.IterableWrapper([3]))
    3
    """
    signature, hints = inspect.signature(f), typing.get_type_hints(f)

    @functools.wraps(f)
    def checked(*args, **kwargs):
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            hint = typing.get_origin(hints.get(name)) or hints.get(name)
            if isinstance(hint, type) and issubclass(hint, (IterDataPipe, MapDataPipe)):
                kind = IterDataPipe if issubclass(hint, IterDataPipe) else MapDataPipe
                if not isinstance(value, kind):
                    raise TypeError(
                        f"Expected argument '{name}' as a {kind.__name__}, but found {type(value)}"
                    )
        return f(*args, **kwargs)

    return checked


def runtime_validation(f):
    """Decorator of ``__iter__``: samples must be of the type ``T`` of its ``Iterator[T]``.

    Args:
        f: The method, with a hint of its result.

    Returns:
        The method with the check, which raises RuntimeError.

    >>> import rushlight as torch
    >>> from collections.abc import Iterator
    >>> class Words(torch.utils.data.IterDataPipe):
    ...     @torch.utils.data.runtime_validation
    ...     def __iter__(self) -> Iterator[str]:
    ...         yield from ("a", "b")
    >>> list(Words())
    ['a', 'b']
    """
    if f.__name__ != "__iter__":
        raise TypeError(f"Can not decorate function {f.__name__} with 'runtime_validation'")

    @functools.wraps(f)
    def checked(self):
        wanted = typing.get_args(typing.get_type_hints(f).get("return"))
        for sample in f(self):
            if wanted and not runtime_validation_disabled.on and not _is(sample, wanted[0]):
                raise RuntimeError(
                    f"Expected an instance as subtype of {wanted[0]}, but found {sample}"
                    f"({type(sample)})"
                )
            yield sample

    return checked


def _is(value, hint):
    """Whether ``value`` has the type ``hint``, also inside of tuples, lists, sets and dicts."""
    if hint is typing.Any or isinstance(hint, typing.TypeVar):
        return True
    kind, inner = typing.get_origin(hint), typing.get_args(hint)
    if kind is None:
        return isinstance(value, hint)
    if kind in (typing.Union, types.UnionType):
        return any(_is(value, h) for h in inner)
    if not isinstance(value, kind):
        return False
    if kind is tuple:
        if inner[-1:] == (...,):
            return all(_is(v, inner[0]) for v in value)
        return len(value) == len(inner) and all(map(_is, value, inner))
    if kind is dict:
        return all(_is(k, inner[0]) and _is(v, inner[1]) for k, v in value.items())
    return all(_is(v, inner[0]) for v in value) if kind in (list, set, frozenset) else True
