"""Random variations of a recorded call."""

import math

import ml_dtypes
import numpy as np

from tests.search.operations.case import Case, Input, Name, Ref
from tests.search.operations.pool import DTYPES, Given, pool
from tests.search.programs.scopes import torch

__all__ = ["Variation"]

_NUMPY = {name: np.dtype(getattr(ml_dtypes, name, name)) for name in DTYPES}
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_SPECIAL = (math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0, -1.0)
_STRINGS = (
    "none",
    "mean",
    "sum",
    "floor",
    "trunc",
    "linear",
    "constant",
    "bogus",
    "ij",
    "prod",
    "amax",
)
_OPTIONS = ("dim", "keepdim", "dtype", "out", "bogus", "axis", "alpha", "inplace")
_GAP = 3  # elements at most before and after a tensor's own in its memory


def _cast(values, dtype):
    """Values as numbers of ``dtype``; those it does not have become others."""
    to = _NUMPY[dtype]
    with np.errstate(all="ignore"):
        if to.kind == "c":
            return values.astype(to)
        values = values.real if values.dtype.kind == "c" else values
        if to.kind in "iu" and values.dtype.kind not in "biu":
            limits = np.iinfo(to)
            values = np.nan_to_num(values.astype(float), nan=1.0)
            low, high = max(limits.min, -(2**62)), min(limits.max, 2**62)
            return np.clip(np.round(values), low, high).astype(to)
        if to.kind == "b" and values.dtype.kind != "b":
            return values > 0
        return values.astype(to)


def _listed(flat):
    """Numbers as Python has them."""
    if flat.dtype.kind == "V" or flat.dtype == ml_dtypes.bfloat16 or flat.dtype == np.float16:
        flat = flat.astype(np.float32)
    return tuple(flat.tolist())


class Variation:
    """Cases by random numbers: ``case()`` gives one."""

    def __init__(self, random, part=None):
        self.random, self.pool = random, pool(part) if part else pool()
        self.rng = np.random.default_rng(random.randrange(1 << 32))

    def chance(self, probability):
        return self.random.random() < probability

    def of(self, *options):
        return self.random.choice(options)

    def case(self):
        name = self.random.choice(list(self.pool))
        args, named = self.random.choice(self.pool[name])
        self.name, self.inputs = name, []
        self.begin_dtypes()
        grads = self.chance(0.35)
        args, named = list(self.refs(args)), {k: self.refs(v) for k, v in named.items()}
        if grads:
            self.inputs = [self.with_grad(x) for x in self.inputs]
        if self.chance(0.4):
            args, named = self.other_arguments(args, named)
        args = [self.number_or_tensor(a) for a in args]
        return self.form(name, args, named)

    # Tensors --------------------------------------------------------------------------------

    def begin_dtypes(self):
        """How dtypes are drawn: as recorded, one for all floats, or each by itself."""
        self.way = self.random.choices(("same", "one", "each"), (4, 4, 3))[0]
        self.one = self.random.choice(DTYPES) if self.chance(0.5) else self.random.choice(_FLOATS)

    def dtype(self, given):
        is_float = given.dtype in _FLOATS or given.dtype.startswith("complex")
        if self.way == "one" and is_float:
            return self.one
        if self.way == "each" and self.chance(0.6 if is_float else 0.4):
            return self.random.choice(DTYPES)
        return given.dtype

    def refs(self, value):
        """An argument with an input in place of each recorded tensor."""
        if isinstance(value, Given):
            self.inputs.append(self.tensor(value))
            return Ref(len(self.inputs) - 1)
        if isinstance(value, (tuple, list)):
            return type(value)(map(self.refs, value))
        return value

    def tensor(self, given):
        values = given._array
        if self.chance(0.12):
            values = self.other_shape(values)
        dtype = self.dtype(given)
        return self.laid(_cast(self.values(values, dtype), dtype), dtype, given.order)

    def other_shape(self, values):
        shape = list(values.shape)
        way = self.of("size", "one", "none", "less", "more", "number")
        if way == "number":
            shape = []
        elif way == "more" and len(shape) < 5:
            shape.insert(self.random.randint(0, len(shape)), self.of(1, 1, 2))
        elif shape:
            d = self.random.randrange(len(shape))
            if way == "less":
                del shape[d]
            else:
                shape[d] = {"one": 1, "none": 0}.get(way, max(0, shape[d] + self.of(-1, 1)))
        return np.resize(values, shape) if values.size else np.ones(shape, values.dtype)

    def values(self, values, dtype):
        is_float = values.dtype.kind not in "biu"
        way = self.random.choices(
            ("recorded", "normal", "integers", "special", "extreme", "ties"),
            (8, 3, 2, 2, 1, 1) if is_float else (16, 0, 2, 0, 1, 1),
        )[0]
        shape, rng = values.shape, self.rng
        loops = "_polynomial_" in self.name or self.name == "binomial"
        if (way == "extreme" or (way == "special" and self.name == "binomial")) and loops:
            way = "ties"  # a degree, or a count, is a number of steps in PyTorch as well
        if way == "normal":
            values = rng.standard_normal(shape) * self.of(1.0, 1.0, 10.0, 1000.0)
        elif way == "integers":
            values = rng.integers(-3, 5, shape)
        elif way == "special":
            values = np.where(rng.random(shape) < 0.3, rng.choice(_SPECIAL, shape), values)
        elif way == "extreme":
            values = np.asarray(rng.choice(self.extremes(dtype), shape))
        elif way == "ties":
            values = rng.choice(np.asarray([-1.0, 0.5, 2.0]), shape)
        values = np.asarray(values)
        if dtype.startswith("complex") and values.dtype.kind != "c" and self.chance(0.7):
            values = values.astype(complex)
            values.imag = rng.permutation(values.real.ravel()).reshape(shape)
        return values

    def extremes(self, dtype):
        kind = _NUMPY[dtype].kind
        if kind in "iu":
            limits = np.iinfo(_NUMPY[dtype])
            return np.asarray([limits.min, limits.max, 0, 1, limits.max // 2], _NUMPY[dtype])
        if kind == "b":
            return np.asarray([False, True])
        limits = ml_dtypes.finfo(_NUMPY[dtype])
        return np.asarray(
            [limits.max, limits.min, limits.smallest_normal, limits.smallest_subnormal, limits.eps],
            np.float64,
        )

    def laid(self, values, dtype, order=None):
        """An input with ``values`` that lies in memory in a random way."""
        n = values.ndim
        order = list(order) if order is not None and len(order) == n else list(range(n))
        way = self.random.choices(
            ("recorded", "order", "last", "gaps", "expanded", "overlapping", "single"),
            (6, 2, 1, 2, 1, 0.5, 1),
        )[0]
        if way == "order":
            self.random.shuffle(order)
        elif way == "last" and n > 2:
            order = [0, *range(2, n), 1]
        step, strides = 1, [0] * n
        for d in reversed(order):
            if way == "gaps" and self.chance(0.5):
                step *= self.of(2, 3)
            strides[d] = step
            if way == "expanded" and self.chance(0.4):
                strides[d] = 0
            elif way == "single" and values.shape[d] == 1:
                strides[d] = self.of(0, 1, 2, 7)
            elif way == "overlapping":
                step += self.of(0, 1)
            else:
                step *= max(values.shape[d], 1)
        offset = self.of(0, 0, 0, self.random.randint(1, _GAP))
        span = 1 + sum((m - 1) * s for m, s in zip(values.shape, strides, strict=True))
        length = offset + (span if values.size else 0) + (self.of(0, 2) if offset else 0)
        memory = np.resize(values, length) if values.size else np.ones(length, values.dtype)
        if values.size:
            places = offset + sum(
                (i * s for i, s in zip(np.indices(values.shape), strides, strict=True)),
                start=np.zeros(values.shape, int),
            )
            memory[places] = values
        return Input(dtype, _listed(memory), values.shape, tuple(strides), offset)

    def with_grad(self, x):
        wants = x.dtype in _FLOATS or x.dtype.startswith("complex")
        if not wants or self.chance(0.3):
            return x
        return Input(x.dtype, x.data, x.size, x.stride, x.offset, grad=True, inner=self.chance(0.5))

    # Other arguments ------------------------------------------------------------------------

    def other_arguments(self, args, named):
        for _ in range(self.of(1, 1, 2)):
            keys = [*range(len(args)), *named]
            if not keys or self.chance(0.12):
                named = named | {self.random.choice(_OPTIONS[:3]): self.fresh()}
                continue
            key = self.random.choice(keys)
            if isinstance(key, int):
                if key == len(args) - 1 and key and self.chance(0.1):
                    args = args[:-1]
                else:
                    args = [*args[:key], self.other(args[key]), *args[key + 1 :]]
            elif self.chance(0.25):
                named = {k: v for k, v in named.items() if k != key}
            else:
                named = named | {key: self.other(named[key])}
        return args, named

    def fresh(self):
        return self.of(0, -1, 1, True, False, None, Name(self.random.choice(DTYPES)), (0,), (0, -1))

    def other(self, value):
        """Another argument in place of this one."""
        if isinstance(value, bool):
            return self.of(not value, not value, not value, None, 1)
        if isinstance(value, int):
            return self.of(
                value + 1, value - 1, -value, 0, -1, 1, 2, 3, -2, 7, True, float(value), None, 20
            )
        if isinstance(value, float):
            large = 7.5 if "_polynomial_" in self.name else 1e10  # a degree is a number of steps
            return self.of(
                -value, 0.0, 1.0, -0.5, math.inf, math.nan, 0.5, round(value) if math.isfinite(value) else 3,
                2, large, -0.0, complex(value, 1.0), True, None,
            )  # fmt: skip
        if isinstance(value, complex):
            return self.of(value.conjugate(), value.real, 0j, complex(math.nan, 0.0))
        if isinstance(value, str):
            return self.random.choice(_STRINGS)
        if value is None:
            return self.of(0, 1, True, 0.5, -1)
        if isinstance(value, Name):
            return Name(self.random.choice(DTYPES))
        if isinstance(value, Ref):
            if self.chance(0.4):
                return Ref(self.random.randrange(len(self.inputs)))
            return self.of(2, 0.5, -1, 0, True, 1 + 2j, None)
        if isinstance(value, (tuple, list)):
            return self.other_list(value)
        return value

    def other_list(self, value):
        items = list(value)
        way = self.of("item", "item", "item", "less", "more", "kind")
        if way == "kind":
            items = list(items)
            return tuple(items) if isinstance(value, list) else items
        if way == "more" or not items:
            items.append(items[-1] if items and self.chance(0.5) else self.of(0, 1, -1))
        elif way == "less":
            del items[self.random.randrange(len(items))]
        else:
            i = self.random.randrange(len(items))
            items[i] = self.other(items[i])
        return type(value)(items)

    def number_or_tensor(self, value):
        """A number in place of a tensor of no dims, or a tensor in place of a number."""
        if isinstance(value, Ref) and not self.inputs[value.index].size and self.chance(0.25):
            x = self.inputs[value.index]
            return x.data[x.offset]
        if isinstance(value, (int, float, complex)) and self.chance(0.05):
            dtype = self.random.choice(DTYPES)
            number = _cast(np.asarray(value if abs(value) < 1e6 else 1), dtype)
            self.inputs.append(Input(dtype, _listed(number.reshape(1)), (), ()))
            return Ref(len(self.inputs) - 1)
        return value

    # Forms ----------------------------------------------------------------------------------

    def form(self, name, args, named):
        method = name.startswith("Tensor.")
        name = name.removeprefix("Tensor.")
        own = bool(args) and isinstance(args[0], Ref)
        plain = "." not in name and not name.startswith("__")
        if method and not own and not name.startswith("__"):
            if not hasattr(torch, name):
                args = [Ref(0), *args[1:]] if self.inputs else args
            else:
                method = False
        if plain and own:
            if self.chance(0.3):
                method = hasattr(torch.Tensor, name)
            if self.chance(0.15) and hasattr(torch.Tensor, f"{name}_"):
                name, method = f"{name}_", True
            if method and self.chance(0.3) and hasattr(torch, name):
                method = False
        case = Case(name, tuple(self.inputs), tuple(args), tuple(named.items()), method)
        if not method and not name.startswith("nn.") and self.chance(0.12):
            return self.with_out(case)
        return case

    def with_out(self, case):
        """The case with ``out=`` tensors of mostly the right dtype and shape."""
        from tests.search.operations.outcome import evaluated

        try:
            found = evaluated(torch, case)
        except Exception:
            found = torch.zeros(3)
        parts = found if isinstance(found, tuple) else (found,)
        if not all(isinstance(t, torch.Tensor) for t in parts):
            return case
        outs = [self.out(t, case) for t in parts]
        value = tuple(outs) if isinstance(found, tuple) else outs[0]
        rest = tuple([(key, v) for key, v in case.named if key != "out"])
        return Case(case.name, tuple(self.inputs), case.args, (*rest, ("out", value)))

    def out(self, t, case):
        if case.inputs and self.chance(0.12):
            return Ref(self.random.randrange(len(case.inputs)))
        dtype = str(t.dtype).removeprefix("torch.")
        if dtype not in DTYPES or self.chance(0.25):
            dtype = self.random.choice(DTYPES)
        values = np.ones(tuple(t.shape), _NUMPY[dtype])
        if self.chance(0.15):
            values = self.other_shape(values)
        elif self.chance(0.1):
            values = values.ravel()[:0]
        x = self.laid(values, dtype)
        self.inputs.append(self.with_grad(x) if self.chance(0.03) else x)
        return Ref(len(self.inputs) - 1)
