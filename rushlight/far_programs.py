"""Functions of many tensors, such as an optimizer's step, as one program on a device.

Each operation on a device starts a kernel. A program starts few kernels for all tensors together.
To record and compile it takes as long as some 40 calls, so the first calls run as they are.
"""

from typing import Any

from rushlight.autograd import mode
from rushlight.device_array import DeviceArray

__all__ = ["FarProgram"]

_FIRST_CALLS = 20


class FarProgram:
    """A function that one program computes, on a device, after some calls.

    Args:
        function: Its results, and what it writes, depend on tensors, and not on their elements.
            Otherwise, as in other cases that cannot be recorded, it runs as it is.
    """

    def __init__(self, function):
        self.function, self.calls = function, 0
        self._program: Any = None

    def __call__(self, array, *args, **named):
        """``function(*args, **named)``. ``array``: that of one of the tensors."""
        if mode.metas and type(array) is DeviceArray and self._serves(array):
            return self._program.call(args, named)
        return self.function(*args, **named)

    def _serves(self, array):
        if mode.intercept > mode.metas or array.memory.driver.recording is not None:
            return False  # somebody looks at each operation
        self.calls += 1
        if self._program is None and self.calls > _FIRST_CALLS:
            from rushlight.compiler.calls.compiled import Quiet

            self._program = Quiet(self.function)
        return self._program is not None
