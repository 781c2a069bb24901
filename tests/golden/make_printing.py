"""Record PyTorch's own text of many tensors in printing.json: python tests/golden/make_printing.py

Each case holds the tensor's bytes, the arguments of set_printoptions, what else the text depends
on, and repr(tensor). Needs PyTorch.
"""

import base64
import itertools
import json
import pathlib

import numpy as np
import torch

NAMES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
SHAPES = ((), (1,), (0,), (0, 3), (2, 0, 4), (7,), (40,), (3, 4), (2, 3, 2), (2, 1, 2, 3), (5, 9))
INF, NAN = float("inf"), float("nan")
VALUES = {
    "integer valued": [1, -2, 300],
    "integer valued, special": [1, -0.0, INF, NAN, -INF],
    "zeros": [0.0, -0.0],
    "only special": [INF, -INF, NAN, 0.0],
    "fractions": [0.5, -1.25, 99.99996],
    "rounds up": [0.99999, -9.99996, 0.00012],
    "just fixed": [1.5, 1500.0],
    "just scientific": [1.5, 1501.0],
    "just fixed, small": [1e-4, 2e-4],
    "zeros over several lines": [0.0] * 60,
    "small": [0.5e-4, 0.25e-3],
    "large": [1e8, 1.1e8],
    "large and exact": [1e8, 1e5],
    "special in scientific": [1e-5, 2.5, NAN, -INF, 0.0, -0.0],
    "long exponents": [1e-200, -1e200, 3.0],
    "subnormal": [5e-324, 1e-310],
    "single subnormal": [1e-45, 1e-40],
}
OPTIONS = (
    {"precision": 8},
    {"precision": 0},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "short", "precision": 6, "linewidth": 40},
    {"profile": "full"},
    {"threshold": 5},
    {"threshold": 5, "edgeitems": 1},
    {"threshold": 5, "edgeitems": 2},
    {"threshold": 11, "edgeitems": 6},
    {"threshold": 0, "edgeitems": 0},
    {"edgeitems": 0},
    {"linewidth": 30},
    {"linewidth": 1},
    {"threshold": 11, "edgeitems": 1, "linewidth": 20, "sci_mode": True},
)
EXTRAS = (
    {"requires_grad": True},
    {"requires_grad": True, "grad_fn_name": "MulBackward0"},
    {"class_name": "LongerNamedTensor", "requires_grad": True},
    {"default_dtype": "float64"},
    {"default_dtype": "bfloat16"},
    {"default_dtype": "float64", "grad_fn_name": "MulBackward0"},
)


def tensor(values, name, shape):
    """A tensor of ``shape`` that repeats ``values``."""
    count = int(np.prod(shape))
    repeated = list(itertools.islice(itertools.cycle(values), count))
    return torch.tensor(repeated, dtype=torch.float64).reshape(shape).to(getattr(torch, name))


def spread(name, shape, seed=0):
    """A tensor of random values of the dtype's kind."""
    generator = torch.Generator().manual_seed(seed)
    dtype = getattr(torch, name)
    if dtype.is_floating_point or dtype.is_complex:
        kind = torch.complex128 if dtype.is_complex else torch.float64
        return torch.randn(shape, dtype=kind, generator=generator).mul(3).to(dtype)
    return torch.randint(0, 2 if name == "bool" else 120, shape, generator=generator).to(dtype)


def extremes(name):
    """The smallest and the largest value, and what lies between."""
    dtype = getattr(torch, name)
    if name == "bool":
        return torch.tensor([True, False])
    info = torch.finfo(dtype) if dtype.is_floating_point or dtype.is_complex else torch.iinfo(dtype)
    return torch.tensor([info.min, 0, 1, info.max], dtype=dtype)


def live_text(t, *, default_dtype="float32", grad_fn_name=None, class_name="tensor", **rest):
    """What PyTorch prints for ``t`` with these surroundings."""
    t = t.clone()
    if class_name != "tensor":
        t = t.as_subclass(type(class_name, (torch.Tensor,), {}))
    if rest.get("requires_grad") or grad_fn_name:
        t.requires_grad_()
    if grad_fn_name:
        t = t * 1
    torch.set_default_dtype(getattr(torch, default_dtype))
    try:
        return repr(t)
    finally:
        torch.set_default_dtype(torch.float32)


def case(t, options, extra):
    """One record; set_printoptions is called with ``options`` on top of the default profile."""
    torch.set_printoptions(profile="default")
    torch.set_printoptions(**options)
    data = base64.b64encode(t.reshape(-1).view(torch.uint8).numpy().tobytes()).decode()
    return {
        "dtype": str(t.dtype).removeprefix("torch."),
        "shape": list(t.shape),
        "data": data,
        "options": options,
        "extra": extra,
        "text": live_text(t, **extra),
    }


def cases():
    """All records, in a fixed order."""
    for name in NAMES:
        shapes = SHAPES if name in ("bool", "int64", "float32", "complex64") else SHAPES[1:8:3]
        yield case(extremes(name), {}, {})
        for shape in shapes:
            yield case(spread(name, shape), {}, {})
    for values in VALUES.values():
        for name in ("float16", "bfloat16", "float32", "float64"):
            yield case(tensor(values, name, (len(values),)), {}, {})
        yield case(torch.tensor([complex(v, -v) for v in values]), {}, {})
        yield case(torch.tensor([complex(-1, v) for v in values]), {}, {})
    for options, name in itertools.product(OPTIONS, ("int64", "float32", "complex64")):
        for shape in ((), (12,), (3, 4), (4, 1, 5)):
            yield case(spread(name, shape), options, {})
    for extra, shape in itertools.product(EXTRAS, ((), (0,), (2, 0), (3,), (11,), (2, 3))):
        for name in ("float32", "float64", "complex64", "complex128"):
            yield case(spread(name, shape), {}, extra)
    for linewidth, shape in itertools.product((20, 40, 60), ((2,), (0, 2))):
        extra = {"requires_grad": True, "grad_fn_name": "MulBackward0"}
        yield case(spread("bfloat16", shape), {"linewidth": linewidth, "edgeitems": 0}, extra)
    for shape in ((1000,), (1001,), (2, 600), (600, 2), (7, 8, 20)):
        yield case(torch.arange(int(np.prod(shape)), dtype=torch.int16).reshape(shape), {}, {})
        yield case(spread("float16", shape), {}, {})


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("printing.json")
    lines = ",\n".join(json.dumps(c) for c in cases())
    path.write_text(f"[\n{lines}\n]\n")
