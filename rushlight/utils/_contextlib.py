"""torch.utils._contextlib: base classes of contexts that also decorate functions."""

import inspect
import warnings

from rushlight.autograd.mode import in_context

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
        return in_context(self.clone, func)

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
        func: The function. Of a generator function, each step runs in a context.

    Raises:
        TypeError: ``ctx`` is neither.
        RuntimeError: ``func`` is a class.

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

    if inspect.isclass(func):
        raise RuntimeError(
            f"Cannot decorate classes: decorate the methods of {func.__name__} that are meant"
        )
    return in_context(made, func)
