"""What a repeated call on a device is found by: its key, and the numbers that its kernels get."""

import struct

import numpy as np

from rushlight import precision
from rushlight.device_array import DeviceArray
from rushlight.dtype import dtype, get_default_dtype

__all__ = [
    "Number",
    "bits",
    "is_constant",
    "is_hashable",
    "is_input",
    "is_number",
    "is_plain",
    "key_of",
    "without_numbers",
]

_NUMBERS = {float, int}


class Number:
    """A Python number that is an input of a kernel, because it may be another one in each call."""

    ndim, shape, strides, size = 0, (), (), 1

    def __init__(self, value, dtype):
        self.value, self.dtype = value, dtype


def without_numbers(op, operands, params, numbers):
    """The operands and parameters, with ``Number`` objects for numbers such as learning rates.

    Simple numbers stay: they rarely change, and the code for ``x ** 2.0`` is another one than for
    any power. So do integers that are parameters, which may be no values.
    """
    if _NUMBERS.isdisjoint(map(type, (*operands, *params.values()))):
        return operands, params
    dtype = _dtype_of_numbers(op, operands)
    if dtype is None:
        return operands, params

    def number(x, kinds=_NUMBERS):
        if type(x) not in kinds or _is_simple(x):
            return x
        numbers.append(x)
        return Number(x, dtype)

    return [number(a) for a in operands], {k: number(v, (float,)) for k, v in params.items()}


def _dtype_of_numbers(op, operands):
    """The dtype of the numbers that are inputs of a call; None if they are parts of its code."""
    dtypes = {a.dtype for a in operands if type(a) is DeviceArray}
    if op.kind != "elementwise" or len(dtypes) != 1 or min(dtypes).char not in "fd":
        return None
    return min(dtypes)


_BITS = {"f": (struct.Struct("<f"), "<u4"), "d": (struct.Struct("<d"), "<u8")}


def bits(value, dtype):
    """The bits of a number in float32 or float64, as an int."""
    form, integer = _BITS[dtype.char]
    try:
        return int.from_bytes(form.pack(value), "little")
    except OverflowError:  # it is infinite in float32
        with np.errstate(over="ignore"):
            return int(np.asarray(value, dtype).astype(dtype.newbyteorder("<")).view(integer))


def _is_simple(x):
    """Whether ``x`` is a part of the code: a small number, infinite, nan, or not exact."""
    if type(x) is int:
        return abs(x) <= 16 or abs(x) > 2**24
    return (abs(x) <= 16 and (2 * x).is_integer()) or x - x != 0


def is_constant(x):
    """Whether a value may be a part of code: it is no number that rarely comes again."""
    return type(x) not in _NUMBERS or _is_simple(x)


_PLAIN = {
    DeviceArray, type(None), bool, int, float, complex, str, dtype, np.dtype, slice, type(...),
}  # fmt: skip


def is_plain(x):
    """Whether a value is an array on a device, or one that is equal to later ones."""
    if isinstance(x, tuple | list):
        return all(map(is_plain, x)) and not any(type(item) is DeviceArray for item in x)
    return type(x) in _PLAIN or isinstance(x, np.dtype)


def key_of(op, d, operands, params, numbers, more=None, opens=True):
    """What a call on the device ``d`` depends on; None if operands lie elsewhere.

    ``numbers`` gets the buffer and the start of each array, and 0 and the bits of each number that
    is an input (``opens``: there may be such). ``more`` is a part of the key.
    """
    # ``d`` lives as long as the process. Its own hash would take as long as all the rest.
    key = [op, id(d), more, precision.state, get_default_dtype(), *params]
    append, first = key.append, len(key)
    for x in (*operands, *params.values()) if params else operands:
        kind = type(x)
        if kind is DeviceArray:
            append(x._look or x.look)
            memory = x.memory
            if memory.device is not d:
                return None
            numbers.append(memory.buffer)
            numbers.append(x.start)
        elif x is None or kind is bool or kind is str:
            append(x)
        elif (
            (kind is float or (kind is int and len(key) < first + len(operands)))
            and opens
            and not _is_simple(x)
            and (dtype := _dtype_of_numbers(op, operands)) is not None
        ):
            append((Number, dtype))
            numbers += 0, bits(x, dtype)
        else:
            append(_look(x))
    return tuple(key)


_INT = {int}


def _look(x):
    """What of a value is a part of a key. Equal values of several types differ: 1 is no True."""
    kind = type(x)
    if kind is int:
        return kind, x
    if kind is float:
        return kind, x or repr(x)  # 0.0 is no -0.0
    if kind is DeviceArray:
        return x.look
    if kind is tuple or kind is list:
        return kind, *(x if {*map(type, x)} == _INT else map(_look, x))
    if kind is dict:
        return kind, *[(k, _look(v)) for k, v in x.items()]
    if kind is slice:
        return kind, x.start, x.stop, x.step
    return kind, x, repr(x) if isinstance(x, float | complex | np.generic) else None


def is_hashable(key):
    """Whether a key tells what a call depends on."""
    try:
        return key is not None and hash(key) is not None
    except TypeError:
        return False


def is_input(x):
    """Whether an operand or parameter is an input of the program of a call."""
    return isinstance(x, DeviceArray | Number)


def is_number(x):
    """Whether such an input is a number, not memory."""
    return type(x) is Number
