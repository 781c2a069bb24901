"""The value of a tensor inside a trace: shape and dtype, but no elements."""

import functools
import itertools
import os
import re
import sys
import sysconfig
from types import FrameType

from rushlight.autograd import mode
from rushlight.device import CPU
from rushlight.dtype import bfloat16, float16
from rushlight.errors import TraceError
from rushlight.shaped import Shaped

__all__ = [
    "HALF",
    "Abstract",
    "ShapeNeeded",
    "ValueNeeded",
    "name_of",
    "refuse_values",
    "user_line",
]

#: NumPy's dtypes of half precision. The compiler computes with such values in float32.
HALF = (float16.numpy, bfloat16.numpy)
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PYTHON = re.escape(sysconfig.get_path("stdlib") + os.sep)
_PASSED_THROUGH = re.compile(rf"{re.escape(_PACKAGE)}|<frozen |{_PYTHON}(?!(site|dist)-packages)")
_is_passed_through = functools.lru_cache(1024)(_PASSED_THROUGH.match)  # of file names


class ValueNeeded(TraceError, AttributeError):
    """Raised where code asks for a tensor's elements while only shape and dtype are known."""


class ShapeNeeded(TraceError):
    """Raised for an operation whose result has a shape that depends on values."""


@functools.cache
def name_of(dtype):
    """The name of a NumPy dtype. It is cached because NumPy builds the text at every request."""
    return dtype.name


def user_line():
    """``file:line`` of the innermost frame outside rushlight and Python's own library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_passed_through(frame.f_code.co_filename):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def refuse_values(name, shape):
    """Raise the error for code that needs a tensor's elements while a trace is recorded."""
    error = _value_needed(name, shape)
    _end_recording(error)
    raise error


def _value_needed(name, shape):
    return ValueNeeded(
        f"{user_line()}: this line needs the values of a tensor (.{name} of shape {list(shape)}) "
        "inside torch.compile, where only shapes and dtypes are known. Move it out of the compiled "
        "function, or return the tensor and look at it there."
    )


def _end_recording(error):
    """Let the recording raise ``error`` at its end, even if somebody catches it before."""
    recorder = mode.recorder()
    if recorder is not None:
        recorder.refused = recorder.refused or error


class Abstract(Shaped):
    """One value of a trace: it stands for an array, with shape, dtype, strides and device only."""

    __slots__ = ("device", "id")
    _ids = itertools.count()

    def __init__(self, shape, dtype, strides=None, device=CPU):
        super().__init__(shape, dtype, strides)
        self.device = device
        self.id = next(Abstract._ids)

    @staticmethod
    def refuse_shape(name):
        error = ShapeNeeded(
            f"{user_line()}: {name} gives a tensor whose shape depends on values, inside "
            "torch.compile. Move it out of the compiled function, or use a form of fixed shape "
            "such as torch.where."
        )
        _end_recording(error)
        raise error

    def __repr__(self):
        return f"%{self.id}:{self.dtype.name}{list(self.shape)}"

    def __getattr__(self, name):
        asks_values = ("__array__", "__array_interface__", "__buffer__")
        if name.startswith("__") and name not in asks_values:
            raise AttributeError(name)
        raise _value_needed(name, self.shape)  # no end: somebody may ask what kind of object it is

    def __bool__(self):
        return refuse_values("bool", self.shape)

    __array__ = property(lambda self: self.__getattr__("numpy"))
    __iter__ = __getitem__ = __int__ = __float__ = __index__ = property(
        lambda self: refuse_values("item", self.shape)
    )
