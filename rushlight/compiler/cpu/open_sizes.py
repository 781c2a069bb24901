"""Plans whose sizes are read when the code runs, so that one code serves many shapes.

The code of a plan has its numbers as constants. To compile a kernel takes some 50 milliseconds, and
a network has dozens of shapes. So in eager mode a plan is *opened*: its numbers lie in memory, and
the emitters get ``Value`` objects in their place. Numbers that choose between ways of writing the
code stay constants; ``Sizes.fixed`` has them, and they are a part of the code's key.
"""

import re
from dataclasses import replace
from types import MethodType

import numpy as np
from llvmlite import ir

from rushlight.compiler.codegen.frame import entry
from rushlight.compiler.codegen.loop import address
from rushlight.compiler.codegen.value import INT, Value
from rushlight.compiler.cpu.image_shifts import Dim, Shifts
from rushlight.compiler.cpu.image_strips import Layout
from rushlight.locks import cached_property

__all__ = [
    "Sizes", "arrays_of_images", "number", "opened", "same_of_images", "sizes_of_images",
    "structure_of",
]  # fmt: skip

_I64 = ir.IntType(64)
_PARTS = Dim, Shifts, Layout
_DIM = "source", "result", "count"


class Sizes:
    """The numbers of a plan: those in memory, and those that its code has as constants.

    Attributes:
        names: The paths of the numbers in memory, such as ``choice.layout.pitch``.
        fixed: path → number, for those that stay constants.
        arrays: name → numbers; these lie in memory, too.
        structure: What else the code depends on.
        same: path → another path, whose number it always has.
    """

    def __init__(self, plan, names, fixed, arrays, structure, same=None):
        self.names = tuple([n for n in names if n not in fixed])
        self.fixed, self.arrays, self.structure = fixed, arrays, structure
        self.same = same or {}
        self._read: dict = {}  # the name of a function → its Values
        self.rank = len(plan.description.shape)
        self.numbers = [number(plan, name) for name in self.names]

    @property
    def key(self):
        """What the code depends on."""
        return repr((self.names, sorted(self.fixed.items()), list(self.arrays), self.structure))

    @cached_property
    def memory(self):
        """The array that the code reads: the numbers, the places of the arrays, and the arrays."""
        at = len(self.numbers) + len(self.arrays)
        starts = []
        for numbers in self.arrays.values():
            starts.append(at)
            at += len(numbers)
        flat = [n for numbers in self.arrays.values() for n in numbers]
        return np.array([*self.numbers, *starts, *flat], np.int64)

    def steps(self, b):
        """The strides of the result, for the function that is being written."""
        values = {**self._read[b.function.name], **self.fixed}
        return [values[f"description.steps[{k}]"] for k in range(self.rank)]

    def read(self, b, args, at):
        """(path → Value, name → address of an array), for the function that is being written.

        The address of the memory is entry ``at`` of ``args``.
        """
        base = entry(b, args, at)
        load = lambda k: Value(b, b.load(address(b, base, k, 8), typ=_I64), INT)
        values = {name: load(k) for k, name in enumerate(self.names)}
        values |= {name: values[other] for name, other in self.same.items()}
        starts = {name: load(len(self.names) + k) for k, name in enumerate(self.arrays)}
        self._read[b.function.name] = values
        return values, {name: address(b, base, start, 8) for name, start in starts.items()}


def number(plan, path):
    """The number at a path such as ``choice.counts[2]``."""
    found = plan
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        found = found[int(index)] if index else getattr(found, name)
    return found


def sizes_of_images(d, layout, fixed):
    """The names of the numbers of images and of a layout; some constants are added to ``fixed``."""
    n = len(d.size)
    names = [f"description.{name}[{k}]" for name in ("size", "places") for k in range(n)]
    names += [f"description.steps[{k}]" for k in range(len(d.shape) - 1)]
    fixed[f"description.steps[{len(d.shape) - 1}]"] = 1
    for k, operand in enumerate(d.strides):
        names += [f"description.strides[{k}][{i}]" for i in range(len(operand) - 1)]
        fixed[f"description.strides[{k}][{n + 1}]"] = 1
    dims = range(3)
    for k in dims:
        names += [
            f"choice.layout.shifts.dims[{k}].{name}"
            for name in (*_DIM, "base", "reach", "plane_count")
        ]
    names += [f"choice.layout.shifts.{name}" for name in ("slice_count", "last_slice", "size")]
    names += [f"choice.layout.{name}" for name in (
        "images", "rows", "columns", "image_rows", "pitch", "run", "plane", "channel", "filled",
        "zeros",
    )]  # fmt: skip
    for k in range(3 - n):  # dims that are not there
        fixed |= {f"choice.layout.shifts.dims[{k}].{name}": 1 for name in (*_DIM, "plane_count")}
        fixed[f"choice.layout.shifts.dims[{k}].base"] = 0
        fixed[f"choice.layout.shifts.dims[{k}].reach"] = 0
    if n < 3:
        fixed |= {"choice.layout.shifts.slice_count": 1, "choice.layout.shifts.last_slice": 0}
    if layout.single:
        fixed["choice.layout.images"] = 1
    return names


def arrays_of_images(layout):
    """The arrays that ``lay_out`` reads."""
    shifts = layout.shifts
    return {
        "slices": shifts.slices,
        "planes of rows": shifts.dims[1].planes,
        "planes of columns": shifts.dims[2].planes,
    }


def same_of_images(d):
    """The path of each operand's row stride → the path of its row's length: it is in C order."""
    n = len(d.size)
    if n == 1:
        return {}
    sizes = {"result": ["size"], "input_grad": ["places"], "weight_grad": ["places", "size"]}
    return {
        f"description.strides[{k}][{n}]": f"description.{name}[{n - 1}]"
        for k, name in enumerate(sizes[d.form])
    }


def structure_of(d, layout):
    """What code depends on besides numbers: the operation, and which taps meet what."""
    dims = [(x.step, x.spread) for x in layout.shifts.dims]
    return d.form, str(d.dtype), len(d.size), layout.lanes, layout.whole, layout.single, dims


def opened(b, args, plan):
    """``plan`` for the function that is being written: numbers in memory are Values.

    A plan without ``sizes`` is returned as it is.
    """
    sizes = plan.sizes
    if sizes is None:
        return plan
    values, arrays = sizes.read(b, args, plan.description.sizes_at)
    read = {**sizes.fixed, **values}
    description = _Open(plan.description, "description", read)
    choice = _Open(plan.choice, "choice", read, arrays)
    return replace(plan, description=description, choice=choice)


#: Attributes that stay constants: ``structure`` has what they are made of.
_CONSTANT = {
    "Dim.step", "Dim.spread", "Shifts.phases", "Layout.lanes", "Convolution.counts_at",
    "Convolution.sizes_at",
}  # fmt: skip


class _Open:
    """A part of a plan with Values in the place of its numbers; its methods see the Values, too."""

    def __init__(self, of, path, read, arrays=None):
        self._of, self._path, self._read, self.arrays = of, path, read, arrays

    def __getattr__(self, name):
        found = getattr(self._of, name)
        if f"{type(self._of).__name__}.{name}" in _CONSTANT:
            return found
        return self._wrapped(found, f"{self._path}.{name}")

    def _wrapped(self, found, path):
        if path in self._read:
            return self._read[path]
        if isinstance(found, _PARTS):
            return _Open(found, path, self._read, self.arrays)
        if isinstance(found, MethodType):
            return MethodType(found.__func__, self)
        if type(found) is tuple:
            return tuple([self._wrapped(x, f"{path}[{i}]") for i, x in enumerate(found)])
        if type(found) is int:
            raise KeyError(f"{path} is neither in the memory of the sizes nor a constant")
        return found
