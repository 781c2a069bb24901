"""What an operation is made of, recorded once for all calls that look alike."""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from rushlight.compiler.capture.lowering import checks_of, unfolded
from rushlight.compiler.capture.simplify import operands
from rushlight.compiler.ir.abstract import Abstract
from rushlight.compiler.ir.equation import Equation
from rushlight.compiler.ir.machine import other_machine
from rushlight.dtype import get_default_dtype
from rushlight.locks import new_lock
from rushlight.remote import default_device

__all__ = ["Parts", "parts_of"]


class Parts(NamedTuple):
    """The equations that ``equation`` is made of, and those that check its operands before."""

    equation: Equation
    checks: list
    made: list


_known: OrderedDict = OrderedDict()  # what parts depend on → ``Parts``, or None if there are none
_MOST = 512  # the largest number of entries
_lock = new_lock()


def parts_of(e):
    """The ``Parts`` of an equation that is like ``e``; None if the operation has no lowering."""
    key = _key(e)
    known = _known.get(key, e)  # another thread may drop the entry at any time
    if known is not e:
        return known
    equations = unfolded(e)
    found = None if equations is None else Parts(e, checks_of(e), equations)
    if key is not None:
        with _lock:
            _known[key] = found
            if len(_known) > _MOST:
                _known.popitem(last=False)
    return found


def _key(e):
    """What the parts of ``e`` depend on; None if that is not all known."""
    if other_machine() is not None:
        return None
    numbers = {v.id: i for i, v in enumerate(operands(e))}
    try:
        flat = [_described(v, numbers) for v in (e.ins[0] if e.op.variadic else e.ins)]
        params = [(k, _described(v, numbers)) for k, v in e.params.items()]
    except _Unknown:
        return None
    return e.op, *flat, *params, get_default_dtype(), default_device()


class _Unknown(Exception):
    """A parameter that cannot be part of a key, for example a generator."""


_PLAIN = (int, float, bool, complex, str, type(None), np.dtype)


def _described(value, numbers):
    if isinstance(value, Abstract) and value.id in numbers:
        return numbers[value.id], value.shape, value.dtype, value.strides, value.device
    if isinstance(value, tuple):
        return tuple([_described(v, numbers) for v in value])
    if type(value) in _PLAIN or isinstance(value, np.dtype):
        return type(value), repr(value) if type(value) in (float, complex) else value  # -0.0 is 0.0
    raise _Unknown
