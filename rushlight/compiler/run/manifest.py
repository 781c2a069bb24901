"""The image of a program: the data besides its code that a run needs, kept on disk like the code.

The key of an image is made from the text of the recording. If a recorded call was compiled before,
its image is read, and nothing is lowered, fused or laid out again.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np

from rushlight.compiler.ir.abstract import Abstract, name_of
from rushlight.compiler.ir.scalar_program import ScalarProgram
from rushlight.compiler.run import cache
from rushlight.dtype import dtype
from rushlight.ops.core.definition import OPS, Op
from rushlight.ops.tensor.memory_format import memory_format
from rushlight.random import Generator

__all__ = ["Image", "key_of", "read"]


@dataclass
class Image:
    """A program's memory and calls.

    A place is (slot, byte offset, strides in bytes). Slots are positions in the table of addresses:
    slot 1 is the arena, slot 2 + i is input i, and the large outputs follow.

    Attributes:
        code: The key of the machine code.
        arena: Bytes of the arena.
        slots: The length of the table.
        scratch: Bytes of scratch memory that each thread needs.
        large: (number of the output, slot) for outputs that have memory of their own.
        results: The place of each output.
        written: Positions of the inputs that are written to.
        segments: In order: (name of a function, whether it is brief) for a stretch of kernels, or
            the number of a NumPy call in ``calls``.
        calls: (number of the equation, places of its inputs, parameters and results). The number
            is None if the schedule made the equation, so that the recording does not contain it.
        checking: Whether kernels check values.
    """

    code: str
    arena: int
    slots: int
    scratch: int
    large: list
    results: list
    written: list
    segments: list
    calls: list
    checking: bool

    def keep(self, key):
        """Write the image to the cache, unless a call has no number of its equation."""
        if key is not None and all(number is not None for number, *_ in self.calls):
            cache.put(key, json.dumps(asdict(self)).encode())


def read(key):
    """The image kept under ``key``; None if there is none."""
    kept = None if key is None else cache.get(key)
    if kept is None:
        return None
    found = Image(**json.loads(kept))
    found.results = [_place(p) for p in found.results]
    found.calls = [
        (
            number,
            [_place(p) for p in ins],
            {k: _place(p) for k, p in params.items()},
            [_place(p) for p in outs],
        )
        for number, ins, params, outs in found.calls
    ]
    return found


def _place(kept):
    """A place as read from JSON, with its strides as a tuple again; None stays None."""
    return kept and (kept[0], kept[1], tuple(kept[2]))


def key_of(equations, inputs, outputs, writes):
    """A text that identifies a recording in any process.

    None if the recording contains an object that has no such text.
    """
    writer = _Writer()
    try:
        text = repr((
            [writer.form(v) for v in inputs],
            writer.equations(equations),
            [writer.form(v) if isinstance(v, Abstract) else None for v in outputs],
            [(position, writer.form(v)) for position, v in writes],
        ))  # fmt: skip
    except TypeError:
        return None
    return "image " + sha256(text.encode()).hexdigest()


class _Writer:
    """Turns the contents of equations into plain data; values are numbered as they appear."""

    _PLAIN = frozenset((int, bool, float, complex, str, type(None), type(Ellipsis)))

    def __init__(self):
        self.numbers: dict = {}  # value id → number

    def form(self, x):
        kind = type(x)
        if kind in self._PLAIN:
            return x
        if kind is Abstract:
            number = self.numbers.get(x.id)
            if number is not None:
                return "%", number
            self.numbers[x.id] = len(self.numbers)
            return "%", x.shape, x.strides, _kind(x.dtype)
        if isinstance(x, tuple | list):
            return kind.__name__, [self.form(v) for v in x]
        if kind is dict:
            return [(k, self.form(v)) for k, v in x.items()]
        if kind is slice:
            return "slice", x.start, x.stop, x.step
        if kind is Op:
            return self.operation(x)
        if kind is dtype or kind is memory_format:
            return repr(x)
        if isinstance(x, np.dtype):
            return "dtype", _kind(x)
        if isinstance(x, np.generic | np.ndarray):
            return "array", _kind(x.dtype), x.shape, x.tobytes()
        if kind is ScalarProgram:
            values = [self.form(v) for v in (x.inputs, x.captured, x.bounds)]
            return *values, self.equations(x.equations), self.form(x.outputs)
        if kind is type:  # the class of an error
            return x.__module__, x.__qualname__
        if isinstance(x, Generator):
            return "generator"  # any one: the code does not depend on the generator
        raise TypeError(f"nothing is known of {kind}")

    def equations(self, equations):
        return [
            (self.operation(e.op), self.form(e.ins), self.form(e.params), self.form(e.outs))
            for e in equations
        ]

    def operation(self, op):
        if OPS[op.name] is not op:
            raise TypeError(f"{op.name} is an operation of this process")
        return op.name


def _kind(dtype):
    return name_of(dtype) + dtype.byteorder
