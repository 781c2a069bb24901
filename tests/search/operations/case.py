"""A case: a call of one operation, its inputs as they lie in memory, and the script that shows it."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["OPERATORS", "Case", "Input", "Name", "Ref", "dense", "incoming", "written"]

#: Python's operators, by the methods that stand for them.
OPERATORS = {
    "__add__": "{} + {}", "__radd__": "{1} + {0}", "__sub__": "{} - {}", "__rsub__": "{1} - {0}",
    "__mul__": "{} * {}", "__rmul__": "{1} * {0}", "__truediv__": "{} / {}", "__rtruediv__": "{1} / {0}",
    "__floordiv__": "{} // {}", "__rfloordiv__": "{1} // {0}", "__mod__": "{} % {}", "__rmod__": "{1} % {0}",
    "__pow__": "{} ** {}", "__rpow__": "{1} ** {0}", "__matmul__": "{} @ {}", "__rmatmul__": "{1} @ {0}",
    "__and__": "{} & {}", "__rand__": "{1} & {0}", "__or__": "{} | {}", "__ror__": "{1} | {0}",
    "__xor__": "{} ^ {}", "__rxor__": "{1} ^ {0}", "__lshift__": "{} << {}", "__rshift__": "{} >> {}",
    "__eq__": "{} == {}", "__ne__": "{} != {}", "__lt__": "{} < {}", "__le__": "{} <= {}",
    "__gt__": "{} > {}", "__ge__": "{} >= {}", "__neg__": "-{}", "__invert__": "~{}",
    "__getitem__": "{}[{}]", "__bool__": "bool({})", "__float__": "float({})", "__int__": "int({})",
    "__len__": "len({})", "__index__": "range(9)[{}]",
}  # fmt: skip


@dataclass(frozen=True)
class Ref:
    """The input of a number."""

    index: int


@dataclass(frozen=True)
class Name:
    """What the framework calls so: a dtype, a layout, a memory format."""

    text: str


@dataclass(frozen=True)
class Input:
    """A tensor: ``size``, ``stride`` and ``offset`` say how it lies in the memory with ``data``.

    ``grad``: it requires a gradient. ``inner``: it is computed from the leaf that does.
    """

    dtype: str
    data: tuple
    size: tuple
    stride: tuple
    offset: int = 0
    grad: bool = False
    inner: bool = False

    def line(self, name):
        """The lines that make it, as the variable ``name``."""
        values = ", ".join(map(written, self.data))
        dtype = f"dtype=T.{self.dtype}"
        if not self.size and len(self.data) == 1:
            text = f"T.tensor({values}, {dtype})"
        else:
            text = f"T.tensor([{values}], {dtype})"
            if self.offset or self.stride != dense(self.size) or len(self.data) != self.numel:
                text += f".as_strided({self.size}, {self.stride}, {self.offset})"
            elif len(self.size) != 1:
                text += f".reshape({self.size})"
        if self.grad:
            text += ".requires_grad_()"
        line = f"{name} = {text}"
        return f"leaf_{line}\n{name} = leaf_{name} * 1" if self.inner else line

    @property
    def numel(self):
        return math.prod(self.size)


def dense(size):
    """The strides of a contiguous tensor."""
    found, step = [], 1
    for n in reversed(size):
        found.append(step)
        step *= max(n, 1)
    return tuple(reversed(found))


def incoming(shape, is_complex, number=0):
    """The gradient that a backward begins with at the result of a number."""
    random = np.random.default_rng(number)
    # All dtypes have these numbers, so that a run in double precision has the same weights.
    weights = random.integers(64, 192, shape) / 128
    return weights + 1j * random.integers(64, 192, shape) / 128 if is_complex else weights


def written(value):
    """An argument as it is written in a script."""
    if isinstance(value, Ref):
        return f"x{value.index}"
    if isinstance(value, Name):
        return f"T.{value.text}"
    if isinstance(value, complex):
        return f"complex({written(value.real)}, {written(value.imag)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' * (len(value) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, slice):
        return f"slice({written(value.start)}, {written(value.stop)}, {written(value.step)})"
    return "..." if value is ... else repr(value)


@dataclass(frozen=True)
class Case:
    """``name`` of the function or, with ``method``, of the method of the first argument."""

    name: str
    inputs: tuple
    args: tuple
    named: tuple = ()
    method: bool = False

    @property
    def call(self):
        args = [written(a) for a in self.args]
        named = [f"{key}={written(value)}" for key, value in self.named]
        if not self.method:
            return f"T.{self.name}({', '.join(args + named)})"
        if self.name in OPERATORS:
            return OPERATORS[self.name].format(*args, *args[:1])
        if self.name.endswith(".__get__"):
            return f"{args[0]}.{self.name.removesuffix('.__get__')}"
        return f"{args[0]}.{self.name}({', '.join(args[1:] + named)})"

    @property
    def making(self):
        """The lines that make the inputs."""
        return "\n".join(x.line(f"x{i}") for i, x in enumerate(self.inputs))

    @property
    def script(self):
        """A program that shows the case in both frameworks."""
        making = self.making.replace("\n", "\n    ")
        return f"""from math import inf, nan

import rushlight
import torch

for T in (torch, rushlight):
    T.manual_seed(0)
    {making}
    try:
        found = {self.call}
        print(T.__name__, found)
        for t in found if isinstance(found, (tuple, list)) else [found]:
            print(getattr(t, "dtype", ""), t.stride() if hasattr(t, "stride") else "")
    except Exception as error:
        print(T.__name__, repr(error))
"""
