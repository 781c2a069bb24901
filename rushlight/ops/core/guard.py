"""The guard of public functions that are made of several operations.

A call whose arguments are of types that were seen before goes straight on. Any other is held
against the function's forms (``contract.py``), or handed to a class that overrides functions of
``torch``; so is one that failed, whose error may only be a consequence of an argument of the wrong
type.
"""

import inspect
from functools import wraps

from rushlight.autograd import mode
from rushlight.errors import ArgumentError
from rushlight.ops.core.argument_kinds import decided_by_values, forms_of, violation
from rushlight.ops.core.dispatch import overridden, overrides

__all__ = ["guard_all", "guarded"]

_MOST = 256  # combinations of types that a function remembers


def guarded(call, name, strict=True):
    """``call`` under guard; not ``strict``: only a call that failed is held against its forms."""
    seen: set = set()
    hand_over = overridden if getattr(call, "asks", True) else _nobody

    def failed(error, args, named):
        """What a class gives instead; else an error of the right type, or that of the call."""
        found = hand_over(checked, args, named, deep=True)
        if found is not NotImplemented:
            return found
        if strict or not isinstance(error, (TypeError, RuntimeError)):
            _check(call, name, args, named, strict)
        elif isinstance(error, TypeError) and not isinstance(error, ArgumentError):
            text = str(error)
            if "argument '" not in text:  # NumPy's own words
                text = violation(name, forms_of(call), args, named) or text
            raise ArgumentError(text) from error
        raise error

    if strict:

        @wraps(call)
        def checked(*args, **named):
            types: tuple = tuple(map(type, args))
            if named:
                types = (*types, *named, *map(type, named.values()))
            if types not in seen:
                found = hand_over(checked, args, named, deep=True)
                if found is not NotImplemented:
                    return found
                _check(call, name, args, named)
                if len(seen) < _MOST and _decides(types, call, args, named):
                    seen.add(types)
            try:
                return call(*args, **named)
            except Exception as error:
                return failed(error, args, named)

    else:

        @wraps(call)
        def checked(*args, **named):
            if mode.intercept:  # else no class of tensors overrides functions
                found = hand_over(checked, args, named, deep=True)
                if found is not NotImplemented:
                    return found
            try:
                return call(*args, **named)
            except Exception as error:
                return failed(error, args, named)

    vars(checked)["is_guarded"] = True
    return checked


def _decides(types, call, args, named):
    """Whether a call with arguments of these types needs no further look."""
    if any(isinstance(t, type) and overrides(t) for t in types):
        return False
    return not decided_by_values(call, args, named)


def _nobody(call, args, named, deep=False):
    return NotImplemented


def _check(call, name, args, named, strict=True):
    """TypeError where no form takes the arguments."""
    found = violation(name, forms_of(call), args, named)
    if found is not None:
        refusal = getattr(call, "refusal", TypeError) if strict else ArgumentError
        raise refusal(found) from None


def guard_all(functions, cls):
    """Put the functions, and the methods of ``cls``, that are no single operation under guard."""
    made: dict = {}
    for owner, read in ((functions, functions.get), (cls, cls.__dict__.get)):
        for name in list(functions if owner is functions else cls.__dict__):
            call = read(name)
            if not _is_open(name, call, owner is cls):
                continue
            if call not in made:
                made[call] = guarded(call, name)
                if owner is functions:
                    made[call].__module__ = "rushlight"  # where pickle finds it
            if owner is cls:
                setattr(cls, name, made[call])
            else:
                functions[name] = made[call]


def _is_open(name, call, is_method):
    """Whether a function is to be put under guard."""
    if name.startswith("__") or not inspect.isfunction(call):
        return False
    if hasattr(call, "op") or hasattr(call, "is_short"):
        return False
    code = call.__code__
    several = code.co_argcount + code.co_kwonlyargcount > 1 or code.co_flags & 0x0C
    return bool(several) or not is_method
