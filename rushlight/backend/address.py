"""Where the elements of an array are in memory."""

import ctypes
import sys

import numpy as np

__all__ = ["address"]

_read = ctypes.c_ssize_t.from_address
#: The pointer to the elements is the first field of NumPy's array object, after the head that every
#: object of CPython has; NumPy's C API guarantees this (``PyArrayObject_fields``).
_DATA = object.__basicsize__


def _by_field(array):
    return _read(id(array) + _DATA).value


def _by_numpy(array):
    return array.ctypes.data


def _is_field():
    """Whether the field is where it should be, in an array and in a view that begins later."""
    if sys.implementation.name != "cpython":
        return False
    array = np.zeros(3)
    return all(_by_field(a) == _by_numpy(a) for a in (array, array[1:]))


#: The address of the first element of ``array``, which must be an ndarray: of any other object some
#: other number would be read. NumPy's own way takes ten times as long.
address = _by_field if _is_field() else _by_numpy
