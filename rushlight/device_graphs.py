"""Graphs: the work of a device, recorded once, and done again and again on the same memory.

A graph is a list of steps (``backend/recording.py``). Kernels that follow each other are one
submission to the driver. Operations without a kernel, and random numbers, are steps of the host in
between: so a replay draws new numbers, as in PyTorch.
"""

from __future__ import annotations

import itertools
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from rushlight.backend.queues import Pool
from rushlight.backend.recording import Recording
from rushlight.device_streams import CurrentStream
from rushlight.errors import AcceleratorError

if TYPE_CHECKING:
    from rushlight.devices import Devices

__all__ = ["Graph", "graph", "new_handle"]

_numbers = itertools.count(1)
#: (driver, handle) → the ``Pool`` of living graphs.
_pools: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_MODES = ("global", "thread_local", "relaxed")
_OWNED = (
    "This CUDAGraph instance already owns a captured graph. To capture a new graph, create a new "
    "instance."
)
_DEFAULT = (
    "CUDA graphs must be captured on a non-default stream. (However, after capture, it's ok to "
    "replay them on the default stream.)"
)


def new_handle():
    """A name for memory that graphs share."""
    return 0, next(_numbers)


def _pool_of(driver, handle):
    """The ``Pool`` of a device that a handle names."""
    pool = _pools.get((driver, handle))
    if pool is None or not pool.graphs:  # without graphs its memory was given back
        pool = _pools[driver, handle] = Pool()
    return pool


class Graph:
    """Work of a device that was recorded, and can be replayed on the same memory.

    While a graph captures, kernels are recorded and not run: results have no values before
    ``replay()``. Memory of tensors that are made meanwhile stays the graph's. What waits for the
    device, such as ``item()``, raises.

    Args:
        keep_graph: Prepare the graph not at the end of the capture, but at ``instantiate()`` or at
            the first ``replay()``.

    Raises:
        RuntimeError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     x, g = torch.ones(2, device="cuda"), torch.cuda.CUDAGraph()
    ...     with torch.cuda.graph(g):
    ...         y = x + 1
    ...     x.fill_(5)
    ...     g.replay()
    ...     assert y.tolist() == [6.0, 6.0]
    """

    _devices: Devices

    def __init__(self, keep_graph=False):
        if not self._devices.is_available():
            name = type(self).__name__
            raise RuntimeError(
                f"Tried to instantiate dummy base class {name}: there is no device of the type "
                f"{self._devices.kind}"
            )
        self._keep_graph = keep_graph
        self._generators: list = []
        self._handle: Any = None
        self._driver: Any = None
        self._recording: Recording | None = None  # while the graph captures
        self._captured: Recording | None = None
        self._runs: Any = None  # the functions that do the work

    def register_generator_state(self, generator):
        """Let operations of the next capture draw from ``generator``."""
        self._generators.append(generator)

    def capture_begin(self, pool=None, capture_error_mode="global", check_input_liveness=False):
        """Record the work of this thread on the current device from now on.

        Args:
            pool: From ``graph_pool_handle()``, or another graph's ``pool()``: share its memory.
            capture_error_mode: ``"global"``, ``"thread_local"`` or ``"relaxed"``; no effect,
                because other threads go on as ever.
            check_input_liveness: Accepted without effect.

        Raises:
            RuntimeError: the graph was captured, or the current stream is the default one.
            AcceleratorError: another graph captures on the device.
        """
        if self._captured is not None or self._recording is not None:
            raise RuntimeError(_OWNED)
        if capture_error_mode not in _MODES:
            raise RuntimeError(
                "Unknown capture error mode. Expected `global`, `thread_local`, or `relaxed`, got "
                f"{capture_error_mode}"
            )
        driver = self._devices.driver()
        if driver.local.queue is driver.default:
            raise RuntimeError(_DEFAULT)
        if driver.recording is not None:
            raise AcceleratorError(
                "CUDA error: operation not permitted when stream is capturing: another graph "
                "captures on the device"
            )
        self._driver, self._handle = driver, pool or (next(_numbers), 0)
        memory = _pool_of(driver, tuple(self._handle))
        memory.graphs += 1
        self._recording = driver.recording = Recording(driver, driver.local.queue, memory)
        self._recording.generators = self._generators

    def capture_end(self):
        """Record no more.

        Raises:
            RuntimeError: the capture began on another stream, or did not begin.
            AcceleratorError: something failed in the capture.
        """
        recording = self._recording
        if recording is None or self._devices.driver().local.queue is not recording.queue:
            raise RuntimeError("Capture must end on the same stream it began on.")
        self._recording = self._driver.recording = None
        try:
            recording.check()
            self._driver.drain(recording.queue)  # constants were copied in it
            self._captured = recording
            if not self._keep_graph:
                self.instantiate()
        except BaseException:
            self._captured = None
            self._driver.leave_pool(recording.pool)
            raise
        if not recording.steps:
            warnings.warn(
                "The CUDA Graph is empty. This usually means that the graph was attempted to be "
                "captured on wrong device or stream.",
                stacklevel=2,
            )

    def instantiate(self):
        """Prepare the recorded work for ``replay()``.

        Raises:
            RuntimeError: nothing was captured.
        """
        self._runs = self._found("instantiate").prepared()

    def replay(self):
        """Do the recorded work again, on the current stream of the device.

        Raises:
            RuntimeError: nothing was captured.
            AcceleratorError: an index or a label is out of range.
        """
        captured = self._found("replay")
        outer = self._driver.recorded()
        if outer is not None:  # the graph becomes a part of another one
            outer.steps += captured.steps
            outer.keep(self)
            return
        if self._runs is None:
            self.instantiate()
        for run in self._runs:
            run()

    def reset(self):
        """Forget the recorded work, and give its memory back; the graph can capture again."""
        captured, self._captured, self._runs = self._captured, None, None
        if captured is not None:
            self._driver.leave_pool(captured.pool)

    def pool(self):
        """Return the name of the graph's memory, for other graphs.

        Raises:
            RuntimeError: nothing was captured.
        """
        self._found("pool()")
        return self._handle

    def enable_debug_mode(self):
        """Do nothing: ``debug_dump`` always works."""

    def debug_dump(self, debug_path):
        """Write the steps as a graph in the language DOT to a file.

        Raises:
            RuntimeError: nothing was captured.
        """
        kinds = ["kernel" if type(s) is tuple else "host" for s in self._found("debug_dump").steps]
        lines = [f'  s{i} [label="{i}: {kind}"];' for i, kind in enumerate(kinds)]
        lines += [f"  s{i} -> s{i + 1};" for i in range(len(kinds) - 1)]
        with open(debug_path, "w") as file:
            file.write("\n".join(["digraph {", *lines, "}", ""]))

    def _found(self, name) -> Recording:
        if self._captured is None:
            raise RuntimeError(f"Called CUDAGraph::{name} without a preceding successful capture.")
        return self._captured

    def __del__(self):
        if getattr(self, "_captured", None) is not None:
            self.reset()


class graph:
    """Context whose work on a device becomes a graph.

    Args:
        cuda_graph: The graph, which is empty.
        pool: From ``graph_pool_handle()``, or another graph's ``pool()``: share its memory.
        stream: The current stream in the context. Default: one of its own.
        capture_error_mode: See ``capture_begin``.
        enable_annotations, check_input_liveness: Accepted without effect.

    Raises:
        RuntimeError: there is no device.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     x, g = torch.zeros(1, device="cuda"), torch.cuda.CUDAGraph()
    ...     with torch.cuda.graph(g):
    ...         x.add_(1)
    ...     for _ in range(3):
    ...         g.replay()
    ...     assert x.item() == 3
    """

    _devices: Devices

    def __init__(
        self, cuda_graph, pool=None, stream=None, capture_error_mode="global",
        enable_annotations=False, check_input_liveness=False,
    ):  # fmt: skip
        if stream is None:
            stream = self._stream()
        self.cuda_graph, self.pool, self.capture_stream = cuda_graph, pool, stream
        self.capture_error_mode = capture_error_mode
        self._context = CurrentStream(stream)

    def _stream(self):
        """The stream of the current device for captures that name none."""
        if not self._devices.is_available():
            return self._devices.Stream()  # raises
        driver = self._devices.driver()
        if driver.capturing is None:
            driver.capturing = driver.take_queue(0)
        return self._devices.Stream(queue=driver.capturing)

    def __enter__(self):
        self._devices.synchronize()
        self._devices.empty_cache()
        self._context.__enter__()
        try:
            self.cuda_graph.capture_begin(self.pool, self.capture_error_mode)
        except BaseException:
            self._context.__exit__()
            raise

    def __exit__(self, *exc):
        try:
            self.cuda_graph.capture_end()
        finally:
            self._context.__exit__()
