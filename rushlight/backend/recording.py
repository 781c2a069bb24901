"""Work of a device that is recorded instead of started, to be done again on the same memory."""

from itertools import groupby
from threading import get_ident
from typing import Any, NoReturn

from rushlight.errors import AcceleratorError

__all__ = ["Recording"]

_NOT_PERMITTED = (
    "CUDA error: operation not permitted when stream is capturing: {name} waits for the device. "
    "Do this before or after the graph is captured."
)
_UNPINNED = (
    "Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is "
    "pinned. Please use tensor.pin_memory() or allocate the tensor with pin_memory=True."
)
_FAILED = "CUDA error: operation failed due to a previous error during capture"


class Recording:
    """What one thread has asked a device to do.

    Args:
        device: The ``backend.device.Device``.
        queue: The queue whose work is recorded.
        pool: The ``Pool`` for memory that is allocated meanwhile.

    Attributes:
        steps: In order: (kernel, its arguments), or a function that does something on the host.
        kept: What must live as long as the steps.
        generators: Generators of random numbers that may be used besides the device's own.
    """

    def __init__(self, device, queue, pool):
        self.device, self.queue, self.pool = device, queue, pool
        self.thread = get_ident()
        self.steps: list = []
        self.kept: list = []
        self.generators: list = []
        self._failed = False

    def launch(self, kernel, args):
        """Record a launch of a kernel."""
        self.steps.append((kernel, list(args)))

    def do(self, step):
        """Record that the function ``step`` is called."""
        self.steps.append(step)

    def keep(self, thing):
        """Keep an object, such as memory with a constant, as long as the steps."""
        self.kept.append(thing)

    def refuse(self, name) -> NoReturn:
        """Raise AcceleratorError, since ``name`` waits for the device; the recording is lost."""
        self._failed = True
        raise AcceleratorError(_NOT_PERMITTED.format(name=name))

    def refuse_unpinned(self) -> NoReturn:
        """Raise RuntimeError, since the host's memory of a copy may move."""
        raise RuntimeError(_UNPINNED)

    def check(self):
        """Raise AcceleratorError if a step was refused."""
        if self._failed:
            raise AcceleratorError(_FAILED)

    def prepared(self):
        """The functions that do the recorded work when they are called in order.

        Launches that follow each other are started as one.
        """
        found: list[Any] = []
        for is_launch, group in groupby(self.steps, key=lambda step: type(step) is tuple):
            steps = [*group]
            found += [self.device.sequence(steps).launch] if is_launch else steps
        return found
