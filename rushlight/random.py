"""Generators of random numbers: PyTorch's CPU stream, word by word.

The engine is MT19937 (Matsumoto and Nishimura 1998), seeded with the low 32 bits of the seed by
``init_genrand`` (2002), as in PyTorch, NumPy and C++. NumPy's C implementation makes the words, and
kernels make many of them (``backend/native.py``).

- A 32-bit draw is one word. A 64-bit draw is two: the first is the high half.
- Apart from the words, a generator holds one number. The Box-Muller transform makes normals in
  pairs, so the second normal of a pair waits here for the next draw of a single normal.
- ``get_state`` returns PyTorch's record of 5056 bytes, so PyTorch and rushlight can exchange states
  in both directions.

The modules of ``draw/`` describe how each distribution uses the words. The numbers
depend neither on the number of threads nor on the CPU. PyTorch's wheels once drew Bernoulli and
exponential numbers from MKL's vector library, but no longer do; 2.13 does not even link it.

Source: https://pytorch.org/docs/stable/generated/torch.Generator.html, and the behaviour of
PyTorch 2.13, against which the tests check every function.
"""

import contextlib
import os
from functools import cache
from threading import get_ident
from typing import Any

import numpy as np

from rushlight import late
from rushlight.autograd import mode
from rushlight.device import CPU, device, require
from rushlight.device_array import driver_of, drivers
from rushlight.draw import philox
from rushlight.locks import new_lock

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "seed", "set_rng_state", "thread_safe_generator",
]  # fmt: skip

DEFAULT_SEED = 67280421310721  # seed of a new Generator: the prime that PyTorch and Torch 7 use
BLOCK = 624  # number of words that the engine makes at a time
FEW = 2048  # below this many words, the function with the lower overhead per call is faster
HALF = np.array(32, np.uint64)  # a 0-dim array, because a NumPy scalar takes twice as long

# The C layout of PyTorch's record of a generator. Fields from Torch 7 that no code reads any more
# stay zero. The record also has fields for a waiting single-precision normal, but no CPU function
# uses these fields.
STATE = np.dtype(
    [
        ("seed", "<u8"), ("left", "<i4"), ("seeded", "<i4"), ("next", "<u8"),
        ("key", "<u8", BLOCK), ("normal_x", "<f8"), ("normal", "<f8"), ("normal_rho", "<f8"),
        ("has_normal", "<i4"), ("", "V4"), ("float_normal", "<f4"), ("has_float_normal", "?"),
    ],
    align=True,
)  # fmt: skip


def _refuse_trace():
    """Refuse to set or read a stream while a program is recorded.

    A compiled program draws when it runs, so the stream has no state at recording time.
    """
    mode.refuse_in_trace("a generator can only be drawn from: make and seed it outside")


class Generator:
    """A stream of random numbers that equals PyTorch's stream for the same seed.

    Several threads may draw from one generator. Their draws do not mix, because each draw holds the
    generator's lock.

    Args:
        device: The device of the tensors for which the numbers are. Default: the CPU. Numbers for
            CUDA devices and Intel's GPUs are of another stream, PyTorch's for CUDA.

    Raises:
        RuntimeError: the device has no generator.
        AssertionError: there is no such device.

    >>> import rushlight as torch
    >>> g = torch.Generator().manual_seed(7)
    >>> torch.rand(2, generator=g), g.initial_seed()
    (tensor([0.5349, 0.1988]), 7)
    """

    __slots__ = (
        "__weakref__", "_engine", "_few", "_many", "_memory", "_pending", "_seed", "lock",
        "normal",
    )  # fmt: skip

    noted = False  # ``compiler/replay/streams.py`` has generators whose draws are noted

    normal: float | None  # the second normal of a pair, which waits for the next draw
    _engine: Any
    _memory: Any

    def __new__(cls, device=None):
        """An object of the class for the device."""
        if cls is Generator and device is not None and _kind(device) in _PHILOX:
            return object.__new__(PhiloxGenerator)
        return object.__new__(cls)

    def __init__(self, device=None):
        if device is not None:
            _require_cpu(device)
        _refuse_trace()
        self.lock = new_lock(awaited=True)
        self.normal = None
        self._engine = None
        self._memory = None  # the engine's memory as an array
        self._seed = DEFAULT_SEED
        self._pending = True  # True until the engine has been given the seed

    @property
    def device(self):
        """The device of the numbers, which is always the CPU."""
        return CPU

    def manual_seed(self, seed, /):
        """Start the stream of ``seed``.

        Args:
            seed: An int from -2**63 to 2**64 - 1. A negative seed stands for ``seed + 2**64``.

        Returns:
            This generator.

        Raises:
            ValueError: ``seed`` is outside this range.
            RuntimeError: ``seed`` is not an int.
        """
        if type(seed) is bool or not isinstance(seed, int):
            raise RuntimeError(f"manual_seed: expected an int, got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"manual_seed: {seed} is outside [-2**63, 2**64 - 1]")
        _refuse_trace()
        with self.lock:
            self._seed, self._pending, self.normal = seed % 2**64, True, None
        return self

    def seed(self):
        """Start the stream of an unpredictable seed, and return the seed."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self):
        """Return the seed that started the stream."""
        return self._seed

    def get_state(self):
        """Return the state as a uint8 tensor (5056), byte for byte PyTorch's."""
        from rushlight.tensor import from_array

        return from_array(self.state_bytes())

    def set_state(self, new_state, /):
        """Go on from a state that ``get_state`` returned.

        Args:
            new_state: uint8 tensor (5056), from rushlight or from PyTorch.

        Returns:
            This generator.

        Raises:
            TypeError: ``new_state`` is not a uint8 tensor.
            RuntimeError: ``new_state`` is not the state of a generator.
        """
        from rushlight.tensor import Tensor

        if not isinstance(new_state, Tensor):
            raise TypeError(f"set_state: expected a uint8 tensor, got {type(new_state).__name__}")
        if new_state._array.dtype != np.uint8:
            raise TypeError(f"set_state: expected a uint8 tensor, got {new_state.dtype}")
        return self.set_state_bytes(new_state._array)

    def clone_state(self):
        """Return a new generator in the same state."""
        return type(self)().set_state_bytes(self.state_bytes())

    def get_offset(self):
        """Of a GPU's generator only: raises RuntimeError."""
        raise RuntimeError("get_offset: a CPU generator has no offset")

    def set_offset(self, offset, /):
        """Of a GPU's generator only: raises RuntimeError."""
        raise RuntimeError("set_offset: a CPU generator has no offset")

    def graphsafe_get_state(self):
        """Of a GPU's generator only: raises NotImplementedError."""
        raise NotImplementedError("graphsafe_get_state: a CPU generator has no graphs")

    def graphsafe_set_state(self, state, /):
        """Of a GPU's generator only: raises NotImplementedError."""
        raise NotImplementedError("graphsafe_set_state: a CPU generator has no graphs")

    def state_bytes(self):
        """The state as a new array of 5056 uint8."""
        _refuse_trace()
        record = np.zeros((), STATE)
        with self.lock:
            self._start()
            engine = self._engine.state["state"]
            position = int(engine["pos"])
            # A freshly seeded engine has not made its first block: PyTorch then says next = 0.
            fresh = position == BLOCK and engine["key"][0] == self._seed & 0xFFFFFFFF
            record["seed"] = self._seed
            record["left"] = BLOCK + 1 - position
            record["seeded"] = 1
            record["next"] = 0 if fresh else position
            record["key"] = engine["key"]
            if self.normal is not None:
                record["has_normal"] = 1
                record["normal"] = self.normal
        return np.frombuffer(record.tobytes(), np.uint8).copy()

    def set_state_bytes(self, array):
        """Take the state from an array of 5056 uint8; returns the generator."""
        _refuse_trace()
        if array.size != STATE.itemsize:
            raise RuntimeError(
                f"set_state: a generator's state has {STATE.itemsize} bytes; this has {array.size}"
            )
        record = np.frombuffer(array.tobytes(), STATE)[0]
        left, following = int(record["left"]), int(record["next"])
        used = left == 1 and following <= BLOCK
        if not record["seeded"] or not (used or 0 < left == BLOCK + 1 - following):
            raise RuntimeError(
                f"set_state: not a state of MT19937: seeded {record['seeded']}, {left} words left, "
                f"next {following} of {BLOCK}"
            )
        with self.lock:
            self._start()
            key = record["key"].astype(np.uint32)
            self._engine.state = {
                "bit_generator": "MT19937",
                "state": {"key": key, "pos": BLOCK + 1 - left},
            }
            self._seed = int(record["seed"])
            self.normal = float(record["normal"]) if record["has_normal"] else None
        return self

    def __reduce__(self):
        # The state has the parts of PyTorch's: the seed, a GPU's offset, and the tensor of bytes.
        return type(self), (self.device,), (self._seed, None, self.get_state())

    def __setstate__(self, state):
        seed, _, whole = state
        self.manual_seed(seed)
        self.set_state(whole)

    def _start(self):
        # numpy.random is imported, and the engine made, at the first draw. So ``import rushlight``
        # and generators that nobody draws from stay cheap.
        if not self._pending:
            return
        if self._engine is None:
            self._engine = np.random.MT19937(_zeros())
            self._few = self._engine.random_raw
            self._many = np.random.Generator(self._engine).integers
        np.random.RandomState(self._engine).seed(self._seed & 0xFFFFFFFF)
        self._pending = False

    def mark(self):
        """Return the present position of the stream, for ``rewind``."""
        with self.lock:
            if self._pending or self._memory is None:
                self._start()
                self._look()
            return self._memory.copy(), self._seed, self.normal

    def rewind(self, mark):
        """Go back to the position that ``mark`` returned."""
        with self.lock:
            self._start()
            self._memory[:], self._seed, self.normal = mark

    def stands_at(self, mark):
        """Whether the stream is at the position that ``mark`` returned."""
        memory, *rest = self.mark()
        return rest == [*mark[1:]] and np.array_equal(memory, mark[0])

    def _look(self):
        """Set ``self._memory`` to the engine's memory: 624 words of the key, then the position.

        Reading the state through NumPy's ``state`` takes two hundred times as long as a copy of
        this array.
        """
        import ctypes

        address = self._engine.ctypes.state_address
        words: Any = (ctypes.c_uint32 * (BLOCK + 1)).from_address(address)
        self._memory = np.frombuffer(words, np.uint32)

    def engine(self):
        """NumPy's bit generator, which gives the next words. The caller must hold the lock."""
        self._start()
        return self._engine

    def empty(self, count, dtype):
        """An array for numbers."""
        return np.empty(count, dtype)

    def words(self, count):
        """Return the next ``count`` 32-bit words. The caller must hold the lock.

        The array is uint64 for fewer than ``FEW`` words, else uint32.
        """
        if self._pending:
            self._start()
        if count < FEW:
            return self._few(count)
        found = self.by_kernel(count, np.uint32)
        return self._many(0, 1 << 32, count, np.uint32) if found is None else found

    def double_words(self, count):
        """Return the next ``count`` 64-bit draws as uint64. The caller must hold the lock."""
        if self._pending:
            self._start()
        words = self.by_kernel(2 * count, np.uint32) if 2 * count >= FEW else None
        words = self._few(2 * count) if words is None else words.astype(np.uint64)
        draws = words[0::2] << HALF
        draws |= words[1::2]
        return draws

    def by_kernel(self, count, dtype, *bounds):
        """The next numbers from ``backend/native.py``, or None. The caller must hold the lock."""
        if self._pending:
            self._start()
        return late.drawn(self._engine, count, dtype, *bounds)


@cache
def _zeros():
    """NumPy's protocol of seeds for an engine that is seeded right after it was made.

    A seed of NumPy's own is mixed into 624 words, which takes 0.1 ms. Programs that make a
    generator for each draw, as the library torchsde does, would spend most of their time there.
    """

    class Zeros(np.random.bit_generator.ISeedSequence):
        def generate_state(self, n_words, dtype=np.uint32):
            return np.zeros(n_words, dtype)

    return Zeros()


def _kind(d):
    return "cuda" if isinstance(d, int) else device(d).type


def _require_cpu(d):
    if _kind(d) == "opencl":
        require(d)
    elif _kind(d) != "cpu":
        raise RuntimeError(f"Generator: the device '{d}' has none; its numbers are the CPU's")


#: Types of devices with numbers of their own.
_PHILOX = ("cuda", "xpu")
#: PyTorch's record of a CUDA generator.
#: Threads that try a call, before it comes, so that later ones are replayed. The streams of devices
#: could not go back to where they were, because other threads may draw from them meanwhile.
trying: set[int] = set()

PHILOX_STATE = np.dtype([("seed", "<u8"), ("offset", "<u8")])


class PhiloxGenerator(Generator):
    """The stream of a CUDA device, or of a GPU of Intel's; ``draw/philox.py`` makes its numbers.

    Args:
        device: The device.

    Attributes:
        blocks: The most blocks of threads that a kernel has.

    >>> import rushlight as torch
    >>> if torch.cuda.is_available():
    ...     g = torch.Generator("cuda").manual_seed(0)
    ...     torch.rand(5, generator=g, device="cuda")
    """

    __slots__ = ("_device", "_offset", "blocks")

    def __init__(self, device=None):
        super().__init__()
        kind = _kind(device)
        if not drivers(kind):
            raise RuntimeError(
                f"Device type {kind.upper()} is not supported for torch.Generator() api: no such "
                "device was found"
            )
        self._device = require(device if not isinstance(device, int) else f"cuda:{device}")
        driver = driver_of(self._device)
        self.blocks = driver.units * (driver.threads // philox.BLOCK)
        self._offset = 0

    @property
    def device(self):
        """The device of the numbers."""
        return self._device

    def manual_seed(self, seed, /):
        """Start the stream of ``seed``; see ``Generator.manual_seed``."""
        super().manual_seed(seed)
        self._offset = 0
        return self

    def take(self, count):
        """Take ``count`` numbers of each thread's stream: the number of the first one."""
        if trying and get_ident() in trying:
            raise RuntimeError("a call that is tried must not draw from a device's stream")
        first = self._offset
        self._offset += count
        return first

    def get_offset(self):
        """Return how many numbers of each thread's stream were taken."""
        return self._offset

    def set_offset(self, offset, /):
        """Go on after ``offset`` numbers of each thread's stream, a multiple of 4."""
        if offset % 4:
            raise RuntimeError(f"offset must be a multiple of 4, got {offset}")
        self._offset = offset

    graphsafe_get_state = Generator.clone_state

    def graphsafe_set_state(self, state, /):
        """Take the state of another generator."""
        return self.set_state_bytes(state.state_bytes())

    def clone_state(self):
        """Return a new generator in the same state."""
        return PhiloxGenerator(self._device).set_state_bytes(self.state_bytes())

    def state_bytes(self):
        """The state as a new array of 16 uint8: the seed and the offset."""
        _refuse_trace()
        record = np.array((self._seed, self._offset), PHILOX_STATE)
        return np.frombuffer(record.tobytes(), np.uint8).copy()

    def set_state_bytes(self, array):
        """Take the state from an array of 16 uint8, or of 8 with only the seed."""
        _refuse_trace()
        if array.size not in (8, PHILOX_STATE.itemsize):
            raise RuntimeError(f"set_state: RNG state is wrong size: {array.size} bytes, not 16")
        record = np.frombuffer(array.tobytes().ljust(16, b"\0"), PHILOX_STATE)[0]
        with self.lock:
            self._seed, self._offset = int(record["seed"]), int(record["offset"])
            self.normal = None
        return self

    def __reduce__(self):
        state = self._seed, self._offset, self.get_state()
        return Generator, (self.device,), state

    def mark(self):
        """Return the present position of the stream, for ``rewind``."""
        return self._offset, self._seed, self.normal

    def rewind(self, mark):
        """Go back to the position that ``mark`` returned."""
        self._offset, self._seed, self.normal = mark

    def engine(self):
        """None, because the stream has no engine of NumPy."""
        return None

    def by_kernel(self, count, dtype, *bounds):
        """None, because the kernels are those of the CPU's stream."""
        return None

    def words(self, count):
        """Return ``count`` 32-bit words, for distributions without a kernel of PyTorch's here."""
        threads = max(1, -(-count // 4))
        return philox.words(self._seed, self.take(4) // 4, threads).T.reshape(-1)[:count]

    def double_words(self, count):
        """Return ``count`` 64-bit words; see ``words``."""
        pairs = self.words(2 * count).astype(np.uint64)
        return pairs[0::2] << HALF | pairs[1::2]


default_generator = Generator()
default_generator.seed()
_of_devices: dict = {}  # device → its default generator


def generator_type(d):
    """The type of the device whose generators draw for the device ``d``."""
    return d.type if d.type in _PHILOX else "cpu"


def generator_of(d):
    """The default generator of a device, from ``device_of``."""
    if generator_type(d) == "cpu":
        return default_generator
    found = _of_devices.get(d)
    if found is None:
        found = _of_devices[d] = PhiloxGenerator(d).manual_seed(default_generator.initial_seed())
    return found


def all_states():
    """The states of all default generators, for ``restore``."""
    return [(g, g.state_bytes()) for g in (default_generator, *_of_devices.values())]


def restore(states):
    """Set default generators to the ``states`` that ``all_states`` returned."""
    for g, state in states:
        g.set_state_bytes(state)


def manual_seed(seed):
    """Start the stream of ``seed`` in the default generator.

    Args:
        seed: An int from -2**63 to 2**64 - 1. A negative seed stands for ``seed + 2**64``.

    Returns:
        The default generator.

    Raises:
        ValueError: ``seed`` is outside [-2**63, 2**64 - 1].

    >>> import rushlight as torch
    >>> torch.manual_seed(7) is torch.default_generator
    True
    """
    default_generator.manual_seed(int(seed))
    for g in _of_devices.values():
        g.manual_seed(int(seed))
    return default_generator


def seed():
    """Start the stream of an unpredictable seed in the default generator.

    Returns:
        The seed, an int from 0 to 2**64 - 1.

    >>> import rushlight as torch
    >>> torch.seed() == torch.initial_seed()
    True
    """
    found = default_generator.seed()
    for g in _of_devices.values():
        g.manual_seed(found)
    return found


def initial_seed():
    """Return the seed that started the default generator's stream.

    Returns:
        An int from 0 to 2**64 - 1.

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state():
    """Return the default generator's state, for ``set_rng_state``.

    Returns:
        uint8 tensor (5056).

    >>> import rushlight as torch
    >>> _ = torch.manual_seed(0)
    >>> state = torch.get_rng_state()
    >>> x = torch.rand(2)
    >>> torch.set_rng_state(state)
    >>> torch.equal(torch.rand(2), x)
    True
    """
    return default_generator.get_state()


def set_rng_state(new_state):
    """Set the default generator to a state that ``get_rng_state`` returned.

    Args:
        new_state: uint8 tensor (5056), from rushlight or from PyTorch.

    Raises:
        TypeError: ``new_state`` is not a uint8 tensor.
        RuntimeError: ``new_state`` is not the state of a generator.

    >>> import rushlight as torch
    >>> state = torch.get_rng_state()
    >>> x = torch.rand(2)
    >>> torch.set_rng_state(state)
    >>> torch.equal(torch.rand(2), x)
    True
    """
    default_generator.set_state(new_state)


def thread_safe_generator():
    """Return the generator of a ``DataLoader`` worker that is a thread: there are none.

    Returns:
        None, for which random functions use the default generator.

    >>> import rushlight as torch
    >>> torch.rand(1, generator=torch.random.thread_safe_generator()).shape
    torch.Size([1])
    """


@contextlib.contextmanager
def fork_rng(
    devices=None, enabled=True, _caller="fork_rng", _devices_kw="devices", device_type=None
):
    """Restore the default generator's state after the ``with`` block or the decorated function.

    Args:
        devices: GPUs whose generators are restored, too. Default: all that were used.
        enabled: Restore the state. Default: True.
        device_type: The type of ``devices``, such as ``"cuda"``; ``"meta"`` restores nothing.
            Default: None.

    Yields:
        None.

    Raises:
        RuntimeError: ``device_type`` does not exist.
        AssertionError: a device of ``devices`` does not exist.

    >>> import rushlight as torch
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(3)
    """
    if device_type is not None and device(device_type).type == "meta":
        yield
        return
    if not enabled:
        yield
        return
    for d in devices or ():
        generator_of(require(f"{device_type or 'cuda'}:{d}" if isinstance(d, int) else d))
    states = all_states()
    try:
        yield
    finally:
        restore(states)
