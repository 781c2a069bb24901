"""torch.utils._contextlib: base classes of contexts that also decorate functions."""

import functools
import inspect
import warnings
from typing import Any

__all__: list[str] = []


class _DecoratorContextManager:
    """The base class of a context. An object ``c`` decorates a function by ``@c``.

    Each call of the function enters a copy of the context. A generator enters a copy for each of
    its steps, so that the caller's code between the steps runs outside the context.

    >>> class Loud(_DecoratorContextManager):
    ...     def __enter__(self):
    ...         print("in")
    ...     def __exit__(self, *error):
    ...         print("out")
    >>> Loud()(lambda: 3)()
    in
    out
    3
    """

    def __call__(self, func):
        if inspect.isclass(func):
            warnings.warn(
                f"{type(self).__name__}: decorating a class is deprecated; decorate its __init__",
                FutureWarning,
                stacklevel=2,
            )
            func.__init__ = self(func.__init__)  # type: ignore[method-assign]
            return func
        if inspect.isgeneratorfunction(func):
            return self._around_generator(func)

        @functools.wraps(func)
        def call(*args, **kwargs):
            with self.clone():
                return func(*args, **kwargs)

        return call

    def _around_generator(self, func):
        @functools.wraps(func)
        def call(*args, **kwargs):
            steps = func(*args, **kwargs)
            advance: Any = steps.send
            given: tuple = (None,)
            while True:
                try:
                    with self.clone():
                        value = advance(*given)
                except StopIteration as end:
                    return end.value
                try:
                    advance, given = steps.send, ((yield value),)
                except GeneratorExit:
                    steps.close()
                    raise
                except BaseException as error:
                    advance, given = steps.throw, (error,)

        return call

    def __enter__(self):
        raise NotImplementedError

    def __exit__(self, exc_type, exc_value, traceback):
        raise NotImplementedError

    def clone(self):
        """Return the context for the next call. A class with options overrides this method."""
        return self.__class__()


class _NoParamDecoratorContextManager(_DecoratorContextManager):
    """A context without options: the class itself decorates a function, without parentheses."""

    def __new__(cls, orig_func=None):
        made = super().__new__(cls)
        return made if orig_func is None else made(orig_func)


def context_decorator(ctx, func):
    """Return ``func``, each call of which runs in a context.

    Args:
        ctx: The context, or a function that makes one for each call.
        func: The function.

    Raises:
        TypeError: ``ctx`` is neither.

    >>> import contextlib
    >>> context_decorator(contextlib.nullcontext(), len)([1, 2])
    2
    """
    if hasattr(ctx, "__enter__"):
        made = lambda: ctx
    elif callable(ctx):
        made = ctx
    else:
        raise TypeError(
            f"context_decorator: a context, or a function that makes one, is wanted, not {ctx!r}"
        )

    @functools.wraps(func)
    def run(*args, **kwargs):
        with made():
            return func(*args, **kwargs)

    return run
