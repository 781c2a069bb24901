"""The functions of ``torch.cuda``, ``torch.xpu`` and ``torch.opencl``, for devices of one type.

``device_streams.py`` and ``device_graphs.py`` have the classes.
"""

import os
from typing import NamedTuple

from rushlight import random
from rushlight.device import device as device_of_name
from rushlight.device import require
from rushlight.device_array import driver_of, drivers, make_current
from rushlight.device_graphs import Graph, graph, new_handle
from rushlight.device_memory import MemoryFunctions
from rushlight.device_streams import Current, CurrentOf, CurrentStream, Event, Stream
from rushlight.docstrings import document
from rushlight.ops.core import remote_calls

__all__ = ["DeviceProperties", "Devices"]


_CLASSES = {
    "device": Current, "device_of": CurrentOf, "Stream": Stream, "Event": Event, "graph": graph,
}  # fmt: skip


class DeviceProperties(NamedTuple):
    """What a device is.

    Attributes:
        name: Its name, from its driver.
        kind: ``"GPU"``, ``"CPU"`` or ``"accelerator"``.
        version: The version of OpenCL, or the architecture that kernels are made for.
        total_memory: Bytes of its memory.
        multi_processor_count: The number of its compute units.
        float64: Whether it computes with float64.
        major, minor: The compute capability of a CUDA device; 0 otherwise.
        driver: The name and the version of an OpenCL device's driver.
    """

    name: str
    kind: str
    version: str
    total_memory: int
    multi_processor_count: int
    float64: bool
    major: int = 0
    minor: int = 0
    driver: str = ""


class Devices(MemoryFunctions):
    """The functions for devices of one type.

    They take a ``device`` as a number, a string or a ``torch.device``. None means the current one.
    Those that need a device raise AssertionError (RuntimeError for OpenCL) if there is none.

    Args:
        kind: The type: ``"cuda"``, ``"xpu"`` or ``"opencl"``.
    """

    def __init__(self, kind):
        self._kind = kind
        own = {f"{kind.upper()}Graph" if kind != "opencl" else "Graph": Graph}
        self.device, self.device_of, self.Stream, self.Event, self.graph, self.Graph = [
            type(name, (base,), {"_devices": self, "__doc__": base.__doc__})
            for name, base in (_CLASSES | own).items()
        ]

    @property
    def kind(self):
        """The type of the devices."""
        return self._kind

    def functions(self):
        """The functions and classes for a module, by name."""
        return {name: getattr(self, name) for name in _NAMES}

    def place(self, device=None):
        """The ``torch.device`` that ``device`` names."""
        if isinstance(device, int):
            device = device_of_name(self.kind, device)
        found = require(self.kind if device is None else device)
        if found.type != self.kind:
            raise ValueError(f"Expected a {self.kind} device, but got: {found}")
        return found

    def driver(self, device=None):
        """The driver of a device."""
        return driver_of(self.place(device))

    # What there is ------------------------------------------------------------------------------

    def is_available(self):
        """Return whether there is a device.

        Returns:
            A bool.

        >>> import rushlight as torch
        >>> device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        """
        return bool(drivers(self.kind))

    def device_count(self):
        """Return the number of devices.

        Returns:
            An int.

        >>> import rushlight as torch
        >>> torch.cuda.device_count() >= 0
        True
        """
        return len(drivers(self.kind))

    def is_initialized(self):
        """Return whether a device was used in this process.

        Returns:
            A bool.

        >>> import rushlight as torch
        >>> torch.cuda.is_initialized() in (False, True)
        True
        """
        return any(d.is_open() for d in drivers(self.kind))

    def init(self):
        """Prepare the current device, which its first use does as well.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     torch.cuda.init()
        """
        self.driver().open()

    def get_device_name(self, device=None):
        """Return the name of a device.

        Returns:
            A str.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        """
        return self.driver(device).name

    def get_device_properties(self, device=None):
        """Return what a device is, as ``DeviceProperties``.

        Returns:
            ``DeviceProperties``.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> for i in range(torch.cuda.device_count()):
        ...     assert torch.cuda.get_device_properties(i).total_memory > 0
        """
        d = self.driver(device)
        major, minor = d.capability
        return DeviceProperties(
            d.name, d.kind, d.version, d.memory, d.units, d.doubles, major, minor, d.driver
        )

    def is_bf16_supported(self, including_emulation=True):
        """Return whether there is a device: kernels convert bfloat16 themselves.

        Args:
            including_emulation: Whether such a conversion counts.

        Returns:
            A bool.

        >>> import rushlight as torch
        >>> torch.cuda.is_bf16_supported() == torch.cuda.is_available()
        True
        """
        return bool(including_emulation and self.is_available())

    # The current device -----------------------------------------------------------------------

    def current_device(self):
        """Return the number of the current device of this thread.

        Returns:
            An int.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     assert torch.cuda.current_device() >= 0
        """
        return self.place().index

    def set_device(self, device):
        """Make a device the current one in this thread: the one that its type's name means.

        Args:
            device: A device; a negative number has no effect.

        Raises:
            AssertionError: there is no device.
            RuntimeError: there is no such device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     torch.cuda.set_device(0)
        """
        if isinstance(device, int) and device < 0:
            return
        make_current(self.kind, self.place(device).index)

    def synchronize(self, device=None):
        """Wait until a device has done all its work.

        Raises:
            AssertionError: there is no device.
            RuntimeError: one of its kernels failed.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     torch.cuda.synchronize()
        """
        driver = self.driver(device)
        driver.refuse_recorded("synchronize")
        driver.synchronize()

    def fallbacks(self):
        """Return how often each operation was computed on the host, for want of a kernel.

        Returns:
            A dict: name of the operation → number of calls, on devices of all types. Operations
            that draw random numbers are not counted. With RUSHLIGHT_FALLBACK=error in the
            environment such a call is an error.

        >>> import rushlight as torch
        >>> all(n > 0 for n in torch.opencl.fallbacks().values())
        True
        """
        return dict(remote_calls.fallbacks)

    # Random numbers: OpenCL devices get those of the CPU's generator ----------------------------

    def _generators(self):
        return [random.generator_of(self.place(i)) for i in range(self.device_count())]

    @property
    def default_generators(self):
        """The default generator of each device."""
        return tuple(self._generators())

    def manual_seed(self, seed):
        """Start the stream of ``seed`` for the current device; without a device only check it.

        Args:
            seed: An int.

        >>> import rushlight as torch
        >>> torch.cuda.manual_seed(0)
        """
        seed = int(seed)
        if self.is_available():
            random.generator_of(self.place()).manual_seed(seed)

    def manual_seed_all(self, seed):
        """Start the stream of ``seed`` for all devices.

        Args:
            seed: An int.

        >>> import rushlight as torch
        >>> torch.cuda.manual_seed_all(0)
        """
        seed = int(seed)
        for g in self._generators():
            g.manual_seed(seed)

    def seed(self):
        """Start the stream of an unpredictable seed for the current device, if there is one.

        >>> import rushlight as torch
        >>> torch.cuda.seed()
        """
        if self.is_available():
            random.generator_of(self.place()).seed()

    def seed_all(self):
        """Start the stream of one unpredictable seed for all devices.

        >>> import rushlight as torch
        >>> torch.cuda.seed_all()
        """
        seed = int.from_bytes(os.urandom(8), "little")
        for g in self._generators():
            g.manual_seed(seed)

    def initial_seed(self):
        """Return the seed of the current device's stream.

        Returns:
            An int.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     seed = torch.cuda.initial_seed()
        """
        return random.generator_of(self.place()).initial_seed()

    def get_rng_state(self, device=None):
        """Return the state of a device's generator.

        Returns:
            A uint8 tensor.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     state = torch.cuda.get_rng_state()
        """
        return random.generator_of(self.place(device)).get_state()

    def set_rng_state(self, new_state, device=None):
        """Set the state of a device's generator.

        Args:
            new_state: From ``get_rng_state``.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     torch.cuda.set_rng_state(torch.cuda.get_rng_state())
        """
        random.generator_of(self.place(device)).set_state(new_state)

    def get_rng_state_all(self):
        """Return a list of the state for each device.

        Returns:
            A list of uint8 tensors.

        >>> import rushlight as torch
        >>> len(torch.cuda.get_rng_state_all()) == torch.cuda.device_count()
        True
        """
        return [g.get_state() for g in self._generators()]

    def set_rng_state_all(self, new_states):
        """Set the state for each device.

        Args:
            new_states: A sequence, as from ``get_rng_state_all``.

        Raises:
            AssertionError: there is no device for a state.

        >>> import rushlight as torch
        >>> torch.cuda.set_rng_state_all(torch.cuda.get_rng_state_all())
        """
        for i, state in enumerate(new_states):
            self.set_rng_state(state, i)

    # Streams ----------------------------------------------------------------------------------

    def current_stream(self, device=None):
        """Return the stream of a device to which the work of this thread goes.

        Returns:
            A ``Stream``.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     torch.cuda.current_stream().synchronize()
        """
        return self.Stream(self.place(device), queue=self.driver(device).local.queue)

    def default_stream(self, device=None):
        """Return the stream of a device to which work goes unless a program chooses another one.

        Returns:
            A ``Stream``.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     assert torch.cuda.default_stream() == torch.cuda.current_stream()
        """
        return self.Stream(self.place(device), queue=self.driver(device).default)

    def stream(self, stream):
        """Return a context in which a stream and its device are the current ones.

        Args:
            stream: A ``Stream``; None has no effect.

        Returns:
            A context manager.

        >>> import rushlight as torch
        >>> with torch.cuda.stream(None):
        ...     pass
        """
        return CurrentStream(stream)

    def StreamContext(self, stream):
        """Return the context ``stream(stream)``.

        Args:
            stream: A ``Stream``; None has no effect.

        Returns:
            A context manager.

        >>> import rushlight as torch
        >>> with torch.cuda.StreamContext(None):
        ...     pass
        """
        return CurrentStream(stream)

    def set_stream(self, stream):
        """Make a stream and its device the current ones of this thread.

        Args:
            stream: A ``Stream``; None has no effect.

        >>> import rushlight as torch
        >>> torch.cuda.set_stream(None)
        """
        if stream is not None:
            CurrentStream(stream).__enter__()

    # Graphs -----------------------------------------------------------------------------------

    def is_current_stream_capturing(self):
        """Return whether a graph records the work of this thread.

        Returns:
            A bool.

        >>> import rushlight as torch
        >>> torch.cuda.is_current_stream_capturing()
        False
        """
        return any(d.recorded() is not None for d in drivers(self.kind))

    def graph_pool_handle(self):
        """Return a name for memory that several graphs share.

        Returns:
            A pair of numbers, for the argument ``pool`` of ``graph``.

        >>> import rushlight as torch
        >>> len(torch.cuda.graph_pool_handle())
        2
        """
        return new_handle()

    def make_graphed_callables(
        self, callables, sample_args, num_warmup_iters=3, allow_unused_input=False, pool=None
    ):
        """Return modules or functions whose forward and backward are graphs.

        Args:
            callables: A module, a function, or a tuple of these.
            sample_args: A tuple of tensors like those of later calls; for a tuple of callables a
                tuple of such tuples.
            num_warmup_iters: The number of calls before those that are recorded.
            allow_unused_input: Whether gradients may not depend on an input.
            pool: As for ``graph``.

        Returns:
            What takes the place of ``callables``: a module is changed and returned.

        Raises:
            AssertionError: there is no device.

        >>> import rushlight as torch
        >>> if torch.cuda.is_available():
        ...     x = torch.ones(2, 3, device="cuda")
        ...     model = torch.cuda.make_graphed_callables(torch.nn.Linear(3, 1).cuda(), (x,))
        ...     assert model(x).shape == (2, 1)
        """
        from rushlight.graphed import graphed

        self.place()
        return graphed(self, callables, sample_args, num_warmup_iters, allow_unused_input, pool)


_OWN = ("default_generators", "driver", "functions", "kind", "place")  # not for the modules
_defined = vars(MemoryFunctions) | vars(Devices)
_NAMES = [*_CLASSES, *[n for n in _defined if not n.startswith("_") and n not in _OWN]]
for _name in _NAMES[len(_CLASSES) :]:
    document(_defined[_name], "devices")
