"""Starts of kernels: one builtin function in native code sets the arguments and calls the driver.

From Python, the calls that a start needs would take several microseconds. The builtin function
reads Python's integers itself, so that no ctypes call converts them.
"""

import ctypes
import sysconfig
from ctypes import c_uint64
from functools import cache
from typing import Any

from rushlight import late, locks

__all__ = ["ARGUMENTS", "QUEUE", "Kernel", "new_builtin", "new_method"]

#: Words of a kernel's record: 0 to 6 are the driver's own, then the queue, then the arguments.
QUEUE, ARGUMENTS = 7, 8
_FASTCALL = 0x80  # METH_FASTCALL

#: ``launch(record, queue, *numbers)``: write the queue and the numbers into the record at this
#: address, and return what ``start`` gives, 0 without an error. ``start`` is the driver's part.
_LAUNCH = """
declare i64 @PyLong_AsUnsignedLongLongMask(ptr)
declare ptr @PyLong_FromLongLong(i64)
define ptr @launch(ptr %self, ptr %args, i64 %count) {
entry:
  %first = load ptr, ptr %args
  %address = call i64 @PyLong_AsUnsignedLongLongMask(ptr %first)
  %record = inttoptr i64 %address to ptr
  br label %next
next:
  %i = phi i64 [ 1, %entry ], [ %following, %more ]
  %going = icmp ult i64 %i, %count
  br i1 %going, label %more, label %last
more:
  %from = getelementptr ptr, ptr %args, i64 %i
  %item = load ptr, ptr %from
  %word = call i64 @PyLong_AsUnsignedLongLongMask(ptr %item)
  %place = add i64 %i, 6
  %to = getelementptr i64, ptr %record, i64 %place
  store i64 %word, ptr %to
  %following = add i64 %i, 1
  br label %next
last:
  %code = call i32 @start(ptr %record)
  %wide = sext i32 %code to i64
  %found = call ptr @PyLong_FromLongLong(i64 %wide)
  ret ptr %found
}
"""
_NEEDED = "PyLong_AsUnsignedLongLongMask", "PyLong_FromLongLong"
_loaded: list = []  # machine code must live as long as its functions


class _Method(ctypes.Structure):
    """Python's ``PyMethodDef``."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]  # fmt: skip


def new_method(name, address, flags):
    """A ``PyMethodDef`` that lives as long as the process, since builtin functions may."""
    found = _Method(name, address, flags, None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(found))
    return found


def new_builtin(method, own):
    """A builtin function of Python with the machine code of ``method``; ``own`` is its self."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, *[ctypes.py_object] * 2]
    return make(ctypes.addressof(method), own, None)


@cache
def starter(text) -> Any:
    """The function ``launch`` for a driver; ``text``: its ``i32 @start(ptr %record)``."""
    machine, python = late.machine(), ctypes.pythonapi
    imports = {n: ctypes.cast(getattr(python, n), ctypes.c_void_p).value for n in _NEEDED}
    _loaded.append(machine.load(machine.code(_LAUNCH + text), imports))
    launch = new_builtin(new_method(b"launch", _loaded[-1].address("launch"), _FASTCALL), None)
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return launch  # no other thread comes between the arguments and the start
    lock = locks.new_lock()

    def alone(*numbers):
        with lock:
            return launch(*numbers)

    return alone


class Kernel:
    """A kernel that is ready to start. Its arguments are memory: a buffer and an offset in bytes.

    Args:
        device, code, groups, numbers: See ``Device.kernel``.
        text: See ``starter``.
    """

    def __init__(self, device, code, groups, numbers, text):
        self.device, self.code, self.groups = device, code, groups
        self._last = [n % 2**64 for n in numbers]
        self._text = text
        self._record: Any = None
        self._place = 0  # the address of the record

    def header(self, record, count):
        """The first words of a ``record`` with ``count`` arguments, as many as the driver needs."""
        raise NotImplementedError

    def failed(self, code):
        """Raise the error that the driver's ``code`` stands for."""
        raise NotImplementedError

    def prepare(self, count):
        """Make the record for so many words of arguments, before ``numbers`` of the kernel."""
        with self.device.preparing:
            if self._place:  # another thread was faster, and may use its record already
                return
            last = self._last
            record = (c_uint64 * (ARGUMENTS + count + len(last)))()
            record[ARGUMENTS + count :] = last
            header = self.header(record, count + len(last))
            record[: len(header)] = header
            self._launch = starter(self._text)
            self._record, self._place = record, ctypes.addressof(record)

    def start(self, queue, numbers):
        """Put the kernel into a queue. ``numbers``: the buffer and the offset of each argument."""
        if not self._place:
            self.prepare(len(numbers))
        if code := self._launch(self._place, queue, *numbers):
            self.failed(code)
        self.device.launches += 1

    def launch(self, args):
        """Put the kernel into the queue, or record that. ``args``: pairs (buffer, offset)."""
        device = self.device
        if device.recording is not None and (recording := device.recorded()) is not None:
            recording.launch(self, args)
        else:
            self.start(device.ready(), [n for pair in args for n in pair])
