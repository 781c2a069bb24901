"""Samples at the edges of every family: no dims, no elements, memory in another order, complex numbers."""

# A table: one sample a line.
# fmt: off

import numpy as np

from tests.samples.networks import f
from tests.samples.rarer import complexes
from tests.samples.sample import floats, sample


def named(name, *args, **kw):
    """A call of ``torch.name``."""
    return lambda t, *xs: getattr(t, name)(*xs, *args, **kw)


COMPLEX = {"tolerance": 1e-4, "second": False}
_z, _w, _row = complexes(3, 4), complexes(4, 2, seed=3), complexes(4, seed=5)

# Complex numbers -----------------------------------------------------------------------------

for _name in ("neg", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "log2", "log10", "log1p",
              "expm1", "exp2", "rsqrt", "sigmoid", "positive"):
    sample(_name, named(_name), complexes(3, 4, low=0.2, high=0.9), **COMPLEX)
for _name in ("sub", "eq", "ne", "isclose", "logical_and"):
    sample(_name, named(_name), _z, _row, grad=_name == "sub")
for _name in ("isfinite", "isinf", "isnan", "isreal", "logical_not"):
    sample(_name, named(_name), _z, grad=False)
sample("mul", named("mul"), _z, floats(4), **COMPLEX)
sample("mul", named("mul", 2 - 1j), floats(3), **COMPLEX)
sample("div", named("div"), floats(3, 4), _row, **COMPLEX)
sample("pow", named("pow", 3), _z, **COMPLEX)
sample("pow", named("pow", 0.5 + 1j), _z, **COMPLEX)
sample("where", lambda t, x, y: t.where(x.real > 0, x, y), _z, _row, **COMPLEX)
sample("lerp", named("lerp", 0.3), _z, _row, **COMPLEX)
sample("addcmul", named("addcmul", value=0.5), _z, _row, complexes(3, 1, seed=9), **COMPLEX)
for _name in ("sum", "mean", "prod"):
    sample(_name, named(_name), _z, **COMPLEX)
    sample(_name, named(_name, 0), _z, **COMPLEX)
for _name in ("cumsum", "cumprod"):
    sample(_name, named(_name, 1), _z, **COMPLEX)
for _p in (1, 2, 3):
    sample("norm", named("norm", _p, 1), _z, **COMPLEX)
for _name in ("var", "std"):
    sample(_name, named(_name, 1), _z, **COMPLEX)
sample("matmul", named("matmul"), _z, _w, **COMPLEX)
sample("matmul", named("matmul"), _z, _row, **COMPLEX)
sample("matmul", named("matmul"), complexes(2, 3, 4), complexes(2, 4, 2, seed=7), **COMPLEX)
sample("addmm", named("addmm", beta=0.5, alpha=2), complexes(2), _z, _w, **COMPLEX)
sample("dot", named("dot"), _row, complexes(4, seed=11), **COMPLEX)
sample("einsum", lambda t, x, y: t.einsum("ij,jk->ik", x, y), _z, _w, **COMPLEX)
sample("linear", f("linear"), _z, complexes(2, 4, seed=1), complexes(2, seed=5), **COMPLEX)
sample("mse_loss", f("mse_loss"), floats(0, 3), floats(0, 3, seed=1), second=False)

for _name, _call in {
    "reshape": lambda t, x: x.t().reshape(-1), "permute": lambda t, x: x.permute(1, 0), "H": lambda t, x: x.H,
    "mH": lambda t, x: x.mH, "cat": lambda t, x: t.cat([x, x.conj()]), "getitem": lambda t, x: x[1:, [0, 2]],
    "flip": lambda t, x: x.flip(0), "tril": lambda t, x: x.tril(), "index_select": lambda t, x: x.index_select(0, t.tensor([0, 0])),
    "gather": lambda t, x: x.gather(1, t.tensor([[0], [1]])), "view_as_real": lambda t, x: t.view_as_real(x.t()),
    "scatter_add": lambda t, x: x.scatter_add(0, t.tensor([[0, 2, 1, 0]]), x[:1] * 2), "diag": lambda t, x: t.diag(x[0]),
    "polar": lambda t, x: t.polar(x.abs(), x.angle()), "pad": lambda t, x: t.nn.functional.pad(x, (1, 1)),
    "masked_fill": lambda t, x: x.masked_fill(t.tensor([True, False, False, True]), 2j), "clone": lambda t, x: x.clone(),
    "to": lambda t, x: x.to(t.complex128), "square": lambda t, x: t.view_as_real(x).square().sum(-1),
}.items():
    sample(_name, _call, complexes(3, 4), **COMPLEX)

# Memory in another order, no dims, no elements -----------------------------------------------

_t, _scalar, _none = floats(3, 4, t=True, low=0.3), floats(low=0.5), floats(0, 3)
for _name in ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "atan2", "hypot", "fmax", "xlogy", "logaddexp"):
    sample(_name, named(_name), _t, floats(4, 3, low=0.3, seed=1).T)
    sample(_name, named(_name), _scalar, floats(low=0.5, seed=1), second=False)
    sample(_name, named(_name), _none, floats(3, low=0.5), second=False)
for _name in ("sum", "mean", "nansum", "amax", "std", "var", "logsumexp", "norm", "prod", "cumsum", "cumprod", "logcumsumexp",
              "softmax", "log_softmax", "sort", "topk", "median", "kthvalue", "cummax", "max", "min", "argmax"):
    _args = {"norm": (2, 1), "topk": (2, 1), "kthvalue": (2, 1)}.get(_name, (1,))
    sample(_name, named(_name, *_args), _t, second=False, grad=_name != "argmax")
for _name in ("sum", "prod", "nansum", "cumsum", "cumprod", "softmax", "log_softmax", "logcumsumexp", "logsumexp", "norm"):
    sample(_name, named(_name, *((2, 0) if _name == "norm" else (0,))), _none, second=False)
    sample(_name, named(_name, *((2, 0) if _name == "norm" else (0,))), _scalar, second=False)
for _name in ("max", "min", "median", "sort", "cummax", "cummin", "amax", "amin"):
    sample(_name, named(_name, 0), _scalar, second=False)
for _name in ("sort", "cummax", "cummin"):
    sample(_name, named(_name, 0), _none, second=False)
for _name in ("std", "var"):
    sample(_name, named(_name, 0, correction=0), floats(1, 3), second=False)

sample("conv2d", f("conv2d"), floats(2, 2, 5, 4, t=True), floats(3, 2, 2, 2, t=True, seed=1), tolerance=1e-4, second=False)
sample("conv2d", f("conv2d", padding=1), floats(0, 2, 4, 4), floats(3, 2, 3, 3, seed=1), floats(3), second=False)
sample("conv3d", f("conv3d", stride=(1, 2, 1)), floats(1, 2, 3, 4, 3), floats(2, 2, 2, 2, 2, seed=1), floats(2), tolerance=1e-4)
sample("conv1d", f("conv1d", padding="same", dilation=2), floats(2, 5), floats(3, 2, 3, seed=1), tolerance=1e-4)
for _name, _kw in {"max_pool2d": {"kernel_size": 2}, "avg_pool2d": {"kernel_size": 2}, "adaptive_avg_pool2d": {"output_size": 2}}.items():
    sample(_name, f(_name, **_kw), floats(2, 2, 4, 4, t=True), second=False)
for _name in ("relu", "gelu", "silu", "softplus", "hardtanh", "leaky_relu", "elu"):
    sample(_name, f(_name), _t, second=False)
    sample(_name, f(_name), _scalar, second=False)
    sample(_name, f(_name), _none, second=False)
sample("layer_norm", f("layer_norm", normalized_shape=(4,)), floats(3, 4, t=True), tolerance=1e-4)
sample("layer_norm", f("layer_norm", normalized_shape=(3,)), _none, second=False)
sample("linear", f("linear"), floats(2, 3, 4), floats(5, 4, seed=1))
sample("linear", f("linear"), floats(0, 4), floats(5, 4, seed=1), floats(5, seed=2), second=False)
sample("linear", f("linear"), floats(3, 4, t=True), floats(5, 4, seed=1, t=True))
for _name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
    sample(_name, f(_name, reduction="sum"), floats(4, t=True), floats(4, seed=1), second=False)
    sample(_name, f(_name, reduction="none"), floats(), floats(seed=1), second=False)
    sample(_name, f(_name, reduction="sum"), floats(0), floats(0), second=False)

for _name, _call in {
    "reshape": lambda t, x: x.reshape(3, 0), "flatten": lambda t, x: x.flatten(), "transpose": lambda t, x: x.transpose(0, 1),
    "cat": lambda t, x: t.cat([x, x]), "stack": lambda t, x: t.stack([x, x]), "getitem": lambda t, x: x[:, 1:],
    "index": lambda t, x: x[:, [0, 0]], "flip": lambda t, x: x.flip(0), "roll": lambda t, x: x.roll(1, 0),
    "gather": lambda t, x: x.gather(0, t.zeros(0, 3, dtype=t.int64)), "repeat": lambda t, x: x.repeat(2, 1),
    "expand": lambda t, x: x.expand(2, 0, 3), "tril": lambda t, x: x.tril(), "split": lambda t, x: x.split(1, 1),
    "masked_fill": lambda t, x: x.masked_fill(t.tensor(True), 1.0), "mm": lambda t, x: t.mm(x.t(), x),
    "index_select": lambda t, x: x.index_select(1, t.tensor([2, 0])),
}.items():
    sample(_name, _call, _none, second=False)
for _name, _call in {
    "reshape": lambda t, x: x.reshape(1, 1), "flatten": lambda t, x: x.flatten(), "unsqueeze": lambda t, x: x.unsqueeze(0),
    "squeeze": lambda t, x: x.squeeze(0), "expand": lambda t, x: x.expand(2, 3), "stack": lambda t, x: t.stack([x, x]),
    "getitem": lambda t, x: x[None], "index": lambda t, x: x[t.tensor(True)], "gather": lambda t, x: x.gather(0, t.tensor(0)),
    "repeat": lambda t, x: x.repeat(2), "masked_fill": lambda t, x: x.masked_fill(t.tensor(False), 1.0),
    "flip": lambda t, x: x.flip(0), "roll": lambda t, x: x.roll(1), "transpose": lambda t, x: x.transpose(0, -1),
    "index_select": lambda t, x: x.index_select(0, t.tensor([0])), "scatter": lambda t, x: x.scatter(0, t.tensor(0), 3.0),
    "take": lambda t, x: t.take(x, t.tensor([0, 0])), "view": lambda t, x: x.view(1),
}.items():
    sample(_name, _call, _scalar, second=False, trace=_name != "index")

# What the compositions of other samples do not reach -----------------------------------------

sample("view_dtype", lambda t, x: x.view(t.int32), floats(3, 4), grad=False)
sample("view_dtype", lambda t, x: x.view(t.float32), floats(3, 4, dtype=np.float64), grad=False, dtypes=())
sample("squeeze", lambda t, x: x.squeeze((0, 2)), floats(1, 3, 1, 2))
sample("getitem", lambda t, x: x[...], floats(2, 3))
sample("repeat_interleave", lambda t, x, n: x.repeat_interleave(n, 0, output_size=4), floats(3, 2), np.array([1, 0, 3]), trace=False)
for _name, _call in {
    "unbind": lambda t, x: (x * 2).t().unbind(0), "split": lambda t, x: (x * 2).t().split(3),
    "split_sizes": lambda t, x: (x * 2).split([1, 2], 0)[1],
}.items():
    sample(_name, _call, floats(3, 4))
