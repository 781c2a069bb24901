"""The guard of public functions that are made of several operations.

A function that makes tensors runs in a context for the device that the call names, and others in a
context for the device of their operands.

If the types of a call's arguments were seen before, the function runs at once. Otherwise a class
that overrides functions of ``torch`` may take the call over, and else the arguments are checked
against the function's forms (``argument_kinds.py``). The guard does the same after a call failed,
because the error may be a mere consequence of an argument of the wrong type.
"""

import inspect
from functools import wraps

from rushlight.autograd import mode
from rushlight.device import require
from rushlight.dtype import from_python
from rushlight.errors import ArgumentError
from rushlight.ops.core.argument_kinds import (
    decided_by_values,
    fits,
    forms_of,
    one_by_one,
    violation,
    with_numbers,
)
from rushlight.ops.core.handlers import (
    came_from_handler,
    hand_over,
    overridden,
    overrides,
    unhandled,
)
from rushlight.ops.core.overlap import refuse_overlaps, rule_of_out
from rushlight.ops.core.replays import Replays
from rushlight.remote import at, default_device, device_of
from rushlight.tensor import Tensor

__all__ = ["guard_all", "guarded", "of_space"]

#: Other names of parameters: a method's, and NumPy's, which PyTorch's functions in C accept.
_OTHERS = {"split_size": "split_size_or_sections"}
_OF_NUMPY = {"axis": "dim", "keepdims": "keepdim"}
_MOST = 256  # the largest number of combinations of types that the guard of a function remembers


def of_space(call, space, name, strict=False):
    """``guarded``, as the function ``name`` of a namespace such as ``linalg``.

    Handlers of classes and modes see PyTorch's name, ``linalg_norm``. Pickle finds the function by
    its module and ``__qualname__``.
    """
    if not hasattr(call, "composes") and not hasattr(call, "op"):
        call.composes = True  # its calls may be replayed
    made = guarded(call, f"{space}_{name}", strict)
    made.__name__ = f"{space}_{name}"
    made.__module__, made.__qualname__ = f"rushlight.{space}", name
    return made


def guarded(call, name, strict=True, spread=0, public=None):
    """``call`` with a guard. Without ``strict`` the arguments are checked only after a failure.

    ``spread``: from this number on a method takes ints one by one in place of a list; see
    ``one_by_one``. ``public`` is the function that handlers of classes and modes see. Default: the
    result.
    """
    seen: set = set()
    makes, follows = _makes(call)
    makes_parts = not getattr(call, "is_direct", False)  # other calls are of a single operation
    ask = _ASKED[getattr(call, "asks", True)]
    if arrange := getattr(call, "arrange", None):
        ask = _arranged(ask, arrange)
    code = inspect.unwrap(call).__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    composes = getattr(call, "composes", False)
    replays = Replays(writes=composes == "in place") if composes else None
    others = _OTHERS if getattr(call, "in_python", False) else {**_OTHERS, **_OF_NUMPY}
    spelled = {a: b for a, b in others.items() if b in names and a not in names}
    spelled |= getattr(call, "spelled", {})
    rule = rule_of_out(name) if "out" in names else 0
    #: names of arguments to be looked at
    special = {*spelled, *(["device"] if makes else []), *(["out"] if rule else [])}

    def check_overlap(args, named):
        """Raise if ``out`` overlaps an operand."""
        others = [v for k, v in named.items() if k != "out"]
        refuse_overlaps(named["out"], (*args, *others), name, rule)

    def failed(error, args, named):
        """Return a class's own result, or raise an error of the right type, or ``error``."""
        found = ask(public, args, named, deep=True)
        if found is not NotImplemented:
            return found
        if came_from_handler(error):  # of a part of the function
            raise error
        if any(from_python(x) is not x for x in (*args, *named.values())):
            named = {k: from_python(v) for k, v in named.items()}
            return checked(*map(from_python, args), **named)
        # An operation has judged its own arguments already.
        judged = isinstance(error, RuntimeError) and hasattr(call, "op")
        if strict or not (judged or isinstance(error, TypeError)):
            _check(call, name, args, named, strict)
        elif isinstance(error, TypeError) and not isinstance(error, ArgumentError):
            text = str(error)
            if decided_by_values(call, args, named):
                args, named = with_numbers(call, args, named)
                return call(*args, **named)
            if "argument '" not in text:  # the message is NumPy's
                text = violation(name, forms_of(call), args, named) or text
            raise ArgumentError(text) from error
        if type(error) is AttributeError:
            _refuse_others(error, name, args, named)
        raise error

    if strict:

        @wraps(call)
        def checked(*args, **named):
            if replays is not None and (replay := replays.run) is not None:
                found = replay(*args, **named)
                if found is not None:
                    return found
            types: tuple = tuple(map(type, args))
            if named:
                types = (*types, *named, *map(type, named.values()))
            if mode.intercept or types not in seen or (named and not special.isdisjoint(named)):
                return looked_at(types, args, named)
            try:
                return call(*args, **named)
            except Exception as error:
                return failed(error, args, named)

        def looked_at(types, args, named):
            if mode.intercept > mode.metas or types not in seen:
                found = ask(public, args, named, deep=True)
                if found is not NotImplemented:
                    return found
                if spread and len(args) > spread and fits("int", args[1]):
                    return checked(args[0], args[1:], **named)
            if (mode.intercept and makes_parts) or (
                makes and (d := named.get("device")) is not None and d != "cpu"
            ):
                d = _place(makes, follows, args, named)
                if d is not default_device():
                    with at(d):
                        return admitted(types, args, named)
            return admitted(types, args, named)

        def admitted(types, args, named):
            if types not in seen:
                _check(call, name, args, named)
                if not _decides(types, call, args, named):
                    args, named = with_numbers(call, args, named)
                elif len(seen) < _MOST:
                    seen.add(types)
            own = named
            if not spelled.keys().isdisjoint(named):
                own = {spelled.get(k, k): v for k, v in named.items()}
            if rule and "out" in named:
                check_overlap(args, named)
            try:
                return call(*args, **own)
            except Exception as error:
                return failed(error, args, named)

    else:

        @wraps(call)
        def checked(*args, **named):
            if replays is not None and (replay := replays.run) is not None:
                found = replay(*args, **named)
                if found is not None:
                    return found
            if mode.intercept:  # otherwise no subclass of Tensor overrides functions
                if mode.intercept > mode.metas:
                    found = ask(public, args, named, deep=True)
                    if found is not NotImplemented:
                        return found
                d = _place(makes, follows, args, named)
                if d is not default_device():
                    with at(d):
                        return checked(*args, **named)
            if named and rule and "out" in named:
                check_overlap(args, named)
            try:
                return call(*args, **named)
            except Exception as error:
                return failed(error, args, named)

    if replays is not None:
        replays.function = checked
    public = checked if public is None else public
    vars(checked)["is_guarded"] = True
    # Without a subclass that overrides functions, such a function is not asked, but its parts are.
    vars(checked)["asks_parts"] = not strict
    return checked


def _arranged(hand_over, arrange):
    """``hand_over``, which shows the arguments in one form of several that the function takes."""

    def handed(call, args, params, deep=False):
        return hand_over(call, arrange(*args), params, deep)

    return handed


def _refuse_others(error, name, args, named):
    """Raise TypeError if ``error`` comes from an argument that is no tensor but should be one."""
    for value in (*args, *named.values()):
        for x in value if isinstance(value, (tuple, list)) else (value,):
            if error.obj is x and not isinstance(x, Tensor):
                raise ArgumentError(
                    f"{name}(): an argument must be Tensor, not {type(x).__name__}"
                ) from error


def _decides(types, call, args, named):
    """Whether later calls with arguments of these types need no check, given a valid first one."""
    if any(isinstance(t, type) and overrides(t) for t in types):
        return False
    return not decided_by_values(call, args, named)


def _makes(call):
    """(whether a call may name the device of its result, whether it takes its operands' device).

    A function that makes tensors without a tensor as its model, such as ``zeros``, makes them on
    the device ``mode.state.place``. Other functions compute on the device of their operands.
    """
    code = inspect.unwrap(call).__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    forms = getattr(call, "forms", ())
    makes = "device" in names or any(" device" in form for form in forms)
    return makes, not makes or names[:1] in (("input",), ("self",))


def _place(makes, follows, args, named):
    """The device on which the call makes new tensors."""
    d = named.get("device") if makes else None
    if d is not None:
        return require(d)
    for x in (*args, *named.values()) if follows else ():
        for item in x if type(x) in (list, tuple) else (x,):
            if isinstance(item, Tensor):
                return device_of(item)
    return default_device()


def _nobody(call, args, named, deep=False):
    return NotImplemented


def _modes(call, args, named, deep=False):
    """``overridden`` for a function that modes take over, but no class."""
    found = hand_over(call, (), args, named) if mode.state.function_modes else NotImplemented
    if found is NotImplemented and mode.state.function_modes:
        raise unhandled(call, ())
    return found


#: A function's mark ``asks`` → who may take its calls over.
_ASKED = {True: overridden, False: _nobody, "modes": _modes}


def _check(call, name, args, named, strict=True):
    """Raise the function's error (default TypeError) if its arguments fit no form."""
    found = violation(name, forms_of(call), args, named)
    if found is not None:
        refusal = getattr(call, "refusal", TypeError) if strict else ArgumentError
        raise refusal(found) from None


def guard_all(functions, cls):
    """Guard all ``functions``, and all methods of ``cls``, that are no single operations."""
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
                spread, found = one_by_one(call), made[call]
                if spread:
                    found = guarded(call, name, spread=spread)
                elif getattr(call, "apart", False):
                    found = guarded(call, name)
                setattr(cls, name, found)
            else:
                functions[name] = made[call]


def _is_open(name, call, is_method):
    """Whether a function needs a guard."""
    if name.startswith("__") or not inspect.isfunction(call):
        return False
    if hasattr(call, "op") or hasattr(call, "is_short"):
        return False
    code = call.__code__
    several = code.co_argcount + code.co_kwonlyargcount > 1 or code.co_flags & 0x0C
    return bool(several) or not is_method
