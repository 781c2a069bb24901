"""The arguments of a custom operation's ``forward``, by position."""

from inspect import Signature, signature

__all__ = ["bound", "leaves_out"]


def leaves_out(forward, args):
    """Whether ``args`` are not all arguments of ``forward``."""
    code = getattr(forward, "__code__", None)
    return code is not None and len(args) != code.co_argcount


def bound(forward, args, named, has_setup):
    """The arguments of ``forward`` in their order; with ``setup_context`` the defaults, too."""
    parameters = [*signature(forward).parameters.values()]
    found = Signature(parameters if has_setup else parameters[1:]).bind(*args, **named)
    if has_setup:
        found.apply_defaults()
    if found.kwargs:  # backward gives gradients by position
        name = next(iter(found.kwargs))
        raise TypeError(f"forward() got an unexpected keyword argument {name!r}")
    return found.args
