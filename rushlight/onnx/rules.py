"""The table of rules that translate operations into ONNX nodes.

A rule is a function of the Builder and an equation. It appends nodes and returns the names of the
results. An operation without a rule is lowered to simpler operations first.
"""

import numpy as np

from rushlight.onnx.builder import element_type
from rushlight.onnx.errors import OnnxExporterError, UnsupportedOperatorError

__all__ = ["RULES", "rule"]

RULES: dict = {}


def rule(*names):
    """Decorate a function that is the rule of the operations ``names``."""

    def note(function):
        RULES.update(dict.fromkeys(names, function))
        return function

    return note


def _simple(kind, *attributes):
    """Make a rule that appends one node of this kind with all inputs.

    Each of ``attributes`` is the name of a parameter that becomes an attribute of the same name, or
    a pair (parameter name, attribute name).
    """

    def convert(b, e):
        given = {a: e.params[p] for p, a in [a if type(a) is tuple else (a, a) for a in attributes]}
        return b.node(kind, *[b.name(x) for x in e.ins], **given)

    return convert


def _dimensioned(convert):
    """Restrict a rule to tensors with at least one dim, because ONNX needs one there."""

    def checked(b, e):
        if not e.raw.ins[0].shape:
            raise OnnxExporterError(f"torch.onnx.export: {e.op.name}: the tensor has no dims")
        return convert(b, e)

    return checked


rule("mm", "bmm")(_simple("MatMul"))
for _name in ("clone", "detach"):
    rule(_name)(_simple("Identity"))
rule("gather")(_dimensioned(_simple("GatherElements", ("dim", "axis"))))
rule("index_select")(_dimensioned(_simple("Gather", ("dim", "axis"))))


@rule("check_range")
def _check(b, e):
    return ()  # the file does not check the range of values


# Products ---------------------------------------------------------------------------------


@rule("linear", "linear_nd", "linear_unbiased", "linear_unbiased_nd")
def _linear(b, e):
    bias, x, weight = e.ins if len(e.ins) == 3 else (None, *e.ins)
    given = [b.name(v) for v in (x, weight, bias) if v is not None]
    if len(b.shape(x)) == 2:
        return b.node("Gemm", *given, transB=1)
    product = b.node("MatMul", given[0], b.node("Transpose", given[1], perm=[1, 0]))
    return b.node("Add", product, given[2]) if bias is not None else product


def _batched(kind):
    """Extend a rule for inputs (N, C, *) to inputs (C, *), by a batch of one sample.

    ``kind(e)`` is the number of dims after the channels.
    """

    def decorated(convert):
        def both(b, e):
            dims = len(e.raw.ins[0].shape) - kind(e)
            x = b.name(e.ins[0])
            if dims == 2:
                return convert(b, e, x)
            return b.node(
                "Squeeze", convert(b, e, b.node("Unsqueeze", x, b.ints([0]))), b.ints([0])
            )

        return both

    return decorated


@rule("convolution")
def _convolution(b, e):
    given = [b.name(v) for v in e.ins if v is not None]
    p = e.params
    return b.node(
        "Conv", *given, strides=list(p["stride"]), pads=[*p["padding"]] * 2,
        dilations=list(p["dilation"]), group=p["groups"],
        kernel_shape=list(e.raw.ins[1].shape[2:]),
    )  # fmt: skip


@rule("conv_transpose")
def _conv_transpose(b, e):
    given = [b.name(v) for v in e.ins if v is not None]
    p = e.params
    if any(more >= step for more, step in zip(p["output_padding"], p["stride"], strict=True)):
        raise OnnxExporterError(
            f"torch.onnx.export: conv_transpose: output_padding {p['output_padding']} must be less "
            f"than the stride {p['stride']} in ONNX"
        )
    return b.node(
        "ConvTranspose", *given, strides=list(p["stride"]), pads=[*p["padding"]] * 2,
        dilations=list(p["dilation"]), group=p["groups"],
        output_padding=list(p["output_padding"]), kernel_shape=list(e.raw.ins[1].shape[2:]),
    )  # fmt: skip


# Windows ----------------------------------------------------------------------------------


def _windows(e):
    """The attributes of a pooling node; ``ceil_mode`` is 1 if the last windows stick out."""
    w = e.raw.params["windows"]
    size = e.raw.ins[0].shape[-len(w.places) :]
    fit = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, *w[:4], strict=True)
    ]
    return {
        "kernel_shape": list(w.kernel_size), "strides": list(w.stride), "pads": [*w.padding] * 2,
        "dilations": list(w.dilation), "ceil_mode": int(fit != list(w.places)),
    }  # fmt: skip


@rule("max_pool1d", "max_pool2d", "max_pool3d")
@_batched(lambda e: len(e.raw.params["windows"].places))
def _max_pool(b, e, x):
    return b.node("MaxPool", x, **_windows(e))


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
@_batched(lambda e: len(e.raw.params["windows"].places))
def _avg_pool(b, e, x):
    given = _windows(e)
    if given.pop("dilations") and e.params["override"] is None:
        return b.node("AveragePool", x, **given, count_include_pad=int(e.params["include_pad"]))
    if given["ceil_mode"]:
        raise OnnxExporterError(
            f"torch.onnx.export: {e.op.name}: divisor_override has no form in ONNX where windows "
            "stick out (ceil_mode=True)"
        )
    mean = b.node("AveragePool", x, **given, count_include_pad=1)
    factor = np.prod(given["kernel_shape"]) / e.params["override"]
    return b.node("Mul", mean, b.number(factor, e.outs[0].dtype))


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
@_batched(lambda e: len(e.raw.params["places"]))
def _adaptive_avg_pool(b, e, x):
    places = e.raw.params["places"]
    sizes = b.shape(e.ins[0])[-len(places) :]
    if not all(type(n) is int for n in sizes):
        raise OnnxExporterError(
            f"torch.onnx.export: {e.op.name}: windows follow from the size, so {sizes} must be "
            "fixed; only the mean of all places (output_size=1) goes with any"
        )
    pairs = list(zip(sizes, places, strict=True))
    if all(n % k == 0 for n, k in pairs):
        steps = [n // k for n, k in pairs]
        return b.node("AveragePool", x, kernel_shape=steps, strides=steps)
    # ONNX has no pooling with windows of several sizes, so multiply by matrices of shares.
    shares = [b.constant(_shares(n, k, e.outs[0].dtype)) for n, k in pairs]
    before, after = "xyz"[: len(pairs)], "pqr"[: len(pairs)]
    terms = [f"nc{before}", *[f"{new}{old}" for new, old in zip(after, before, strict=True)]]
    return b.node("Einsum", x, *shares, equation=f"{','.join(terms)}->nc{after}")


def _shares(size, places, dtype):
    """A matrix (places, size): the weight of each element in the mean of each window."""
    found = np.zeros((places, size), dtype)
    for i in range(places):
        begin, end = i * size // places, -(-(i + 1) * size // places)
        found[i, begin:end] = 1 / (end - begin)
    return found


# Normalisation ----------------------------------------------------------------------------


def _vector(b, x, value, size, dtype):
    return b.constant(np.full(size, value, dtype)) if x is None else b.name(x)


@rule("batch_norm_fixed")
def _batch_norm(b, e):
    x, mean, var, weight, bias = [*e.ins, None, None][:5]
    size, dtype = e.raw.ins[1].shape, e.outs[0].dtype
    scale, offset = _vector(b, weight, 1, size, dtype), _vector(b, bias, 0, size, dtype)
    given = (b.name(x), scale, offset, b.name(mean), b.name(var))
    return b.node("BatchNormalization", *given, epsilon=e.params["eps"])


@rule("layer_norm")
def _layer_norm(b, e):
    x, weight, bias = [*e.ins, None, None][:3]
    n = e.params["n"]
    scale = _vector(b, weight, 1, e.raw.ins[0].shape[-n:], e.outs[0].dtype)
    given = [b.name(x), scale] + ([b.name(bias)] if bias is not None else [])
    return b.node("LayerNormalization", *given, axis=-n, epsilon=e.params["eps"])


@rule("softmax", "log_softmax")
def _softmax(b, e):
    kind = "Softmax" if e.op.name == "softmax" else "LogSoftmax"
    if not e.params["dim"]:
        return b.number(float(kind == "Softmax"), e.outs[0].dtype)
    return b.node(kind, b.name(e.ins[0]), axis=e.params["dim"][0])


# Reductions -------------------------------------------------------------------------------


def _reduced(b, e, kind, x):
    """Append a reduction of ``x`` over the dims of ``e``, or over all dims if ``e`` names none."""
    dims = e.params.get("dim")
    dims = (dims,) if type(dims) is int else dims
    keep = int(bool(e.params.get("keepdim")))
    if not e.raw.ins[0].shape:
        return b.node("Identity", x)
    return b.node(kind, x, *([] if dims is None else [b.ints(dims)]), keepdims=keep)


for _name, _kind in {
    "sum": "ReduceSum", "mean": "ReduceMean", "amax": "ReduceMax", "amin": "ReduceMin",
    "prod": "ReduceProd", "prod_all": "ReduceProd", "logsumexp": "ReduceLogSumExp",
    "max_all": "ReduceMax", "min_all": "ReduceMin",
}.items():  # fmt: skip

    def _reduce(b, e, kind=_kind):
        x, dtype = e.ins[0], e.outs[0].dtype
        number = np.dtype(np.int32) if dtype.kind == "b" else dtype
        name = b.name(x) if x.dtype == number else b.cast(b.name(x), number)
        found = _reduced(b, e, kind, name)
        return found if number == dtype else b.cast(found, dtype)

    rule(_name)(_reduce)


@rule("any", "all")
def _any(b, e):
    number = b.cast(b.cast(b.name(e.ins[0]), np.dtype(bool)), np.dtype(np.int32))
    kind = "ReduceSum" if e.op.name == "any" else "ReduceMin"
    return b.cast(_reduced(b, e, kind, number), e.outs[0].dtype)


@rule("max", "min")
def _max(b, e):
    kind = e.op.name.capitalize()
    if not e.raw.ins[0].shape:
        return b.name(e.ins[0]), b.number(0, np.dtype(np.int64))
    place = b.node(
        f"Arg{kind}", b.name(e.ins[0]), axis=e.params["dim"], keepdims=int(e.params["keepdim"])
    )
    return _reduced(b, e, f"Reduce{kind}", b.name(e.ins[0])), place


@rule("argmax", "argmin")
def _argmax(b, e):
    kind, x, dim = f"Arg{e.op.name[3:].capitalize()}", b.name(e.ins[0]), e.params["dim"]
    dim = dim[0] if type(dim) is tuple and len(dim) == 1 else dim
    if type(dim) is int:
        return b.node(kind, x, axis=dim, keepdims=int(e.params["keepdim"]))
    place = b.node(kind, b.node("Reshape", x, b.ints([-1])), axis=0, keepdims=0)
    return b.node("Reshape", place, b.vector(e.outs[0].shape))


@rule("cumsum")
def _cumsum(b, e):
    x, dtype = e.ins[0], e.outs[0].dtype
    name = b.name(x) if x.dtype == dtype else b.cast(b.name(x), dtype)
    if not e.raw.ins[0].shape:
        return name
    return b.node("CumSum", name, b.number(e.params["dim"], np.dtype(np.int64)))


# Random numbers ---------------------------------------------------------------------------


@rule("random")
def _random(b, e):
    kind = {"uniform": "RandomUniformLike", "normal": "RandomNormalLike"}.get(
        e.params["distribution"]
    )
    if kind is None:
        raise UnsupportedOperatorError(
            f"torch.onnx.export: no rule for random numbers of the distribution "
            f"{e.params['distribution']}"
        )
    names = ("low", "high") if kind == "RandomUniformLike" else ("mean", "scale")
    given = map(float, e.params["parameters"] or (0.0, 1.0))
    zeros = b.node("ConstantOfShape", b.vector(e.outs[0].shape))
    dtype = element_type(e.outs[0].dtype)
    return b.node(kind, zeros, dtype=dtype, **dict(zip(names, given, strict=True)))


# Order, places ----------------------------------------------------------------------------


@rule("topk")
@_dimensioned
def _topk(b, e):
    p = e.params
    return b.node(
        "TopK", b.name(e.ins[0]), b.vector([p["k"]]), count=2, axis=p["dim"],
        largest=int(p["largest"]), sorted=1,
    )  # fmt: skip


@rule("sort", "argsort")
@_dimensioned
def _sort(b, e):
    dim = e.params["dim"]
    found = b.node(
        "TopK", b.name(e.ins[0]), b.vector([e.outs[0].shape[dim]]), count=2, axis=dim,
        largest=int(e.params["descending"]), sorted=1,
    )  # fmt: skip
    return found if e.op.name == "sort" else found[1]


@rule("cat")
def _cat(b, e):
    dtype = e.outs[0].dtype
    parts = [b.name(x) if x.dtype == dtype else b.cast(b.name(x), dtype) for x in e.ins[0]]
    return b.node("Concat", *parts, axis=e.params["dim"])


@rule("embedding")
def _embedding(b, e):
    return b.node("Gather", b.name(e.ins[0]), b.name(e.ins[1]), axis=0)


@rule("index")
def _index(b, e):
    places = [i for i in e.ins[1:] if i is not None]
    if len(places) > 1:
        raise OnnxExporterError(
            "torch.onnx.export: index: indexing with several tensors at once has no rule; use "
            "gather, or index_select"
        )
    return b.node("Gather", b.name(e.ins[0]), b.name(places[0]), axis=e.params["dims"][0])


@rule("scatter", "scatter_add")
@_dimensioned
def _scatter(b, e):
    x, index, src = e.ins
    adds = e.op.name == "scatter_add" or e.params.get("reduce") == "add"
    names = (b.name(x), b.name(index), b.name(src, x.dtype))
    kind = "add" if adds else "none"
    return b.node("ScatterElements", *names, axis=e.params["dim"], reduction=kind)


@rule("patch")
def _patch(b, e):
    """Translate a write into a part of a tensor: copy the tensor with the part replaced."""
    base, value = e.ins
    if not all(type(n) is int for n in b.shape(base)):
        raise OnnxExporterError(
            "torch.onnx.export: a write into a part of a tensor needs a fixed size; use torch.where"
        )
    places = np.arange(base.size).reshape(base.shape)
    for op, args, params in e.raw.params["path"]:
        places = op.forward(np, places, *args, **params)
    part = b.node("Expand", b.name(value, base.dtype), b.ints(places.shape))
    flat = [b.node("Reshape", name, b.ints([-1])) for name in (b.name(base), part)]
    found = b.node("ScatterElements", flat[0], b.ints(places), flat[1], axis=0)
    return b.node("Reshape", found, b.ints(base.shape))


# The rest ---------------------------------------------------------------------------------


@rule("to_copy", "copy")
def _cast(b, e):
    x = e.ins[-1]
    found = b.cast(b.name(x, e.outs[0].dtype), e.outs[0].dtype)
    if len(e.ins) > 1 and e.ins[0].shape != getattr(x, "shape", ()):  # copy_ of what is smaller
        return b.node("Expand", found, b.ints(e.ins[0].shape))
    return found


@rule("full", "unset")
def _full(b, e):
    value = b.number(e.params["value"], e.outs[0].dtype)
    return b.node("Expand", value, b.vector(e.outs[0].shape)) if e.outs[0].shape else value


@rule("arange_")
def _arange(b, e):
    p, dtype = e.params, e.outs[0].dtype
    whole = np.dtype(np.int64)
    count = b.node("Range", *[b.number(n, whole) for n in (0, p["size"], 1)])
    if (p["start"], p["step"]) == (0, 1):
        return count if dtype == whole else b.cast(count, dtype)
    start, step = b.number(p["start"], dtype), b.number(p["step"], dtype)
    return b.node("Add", b.node("Mul", b.cast(count, dtype), step), start)


@rule("tril", "triu")
def _triangle(b, e):
    offset = b.number(e.params["diagonal"], np.dtype(np.int64))
    return b.node("Trilu", b.name(e.ins[0]), offset, upper=int(e.op.name == "triu"))


def _pads(pad, ndim):
    """Reorder paddings for ONNX: first all beginnings, then all ends, from the first dim on."""
    pairs = [(0, 0)] * (ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return [a for a, _ in pairs] + [z for _, z in pairs]


@rule("constant_pad_nd")
def _pad(b, e):
    x = e.ins[0]
    value = b.number(e.params["value"], x.dtype)
    pads = b.vector(_pads(e.params["pad"], len(b.shape(x))))
    return b.node("Pad", b.name(x), pads, value, mode="constant")


@rule(*[f"{how}_pad{n}d" for how in ("reflect", "replicate") for n in (1, 2, 3)])
def _pad_by_values(b, e):
    x = e.ins[0]
    mode = "reflect" if e.op.name.startswith("reflect") else "edge"
    return b.node("Pad", b.name(x), b.vector(_pads(e.params["pad"], len(b.shape(x)))), mode=mode)


_RESIZED = {"nearest": "nearest", "nearest_exact": "nearest", "bicubic": "cubic"}


@rule(
    *[f"upsample_nearest{exact}{n}d" for exact in ("", "_exact") for n in (1, 2, 3)],
    "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d",
)  # fmt: skip
def _resize(b, e):
    """Append a Resize by sizes, because with factors ONNX would round sizes differently."""
    name = e.op.name.removeprefix("upsample_")
    kind = next((m for n, m in _RESIZED.items() if name.startswith(n)), "linear")
    how = {"mode": kind, "coordinate_transformation_mode": "half_pixel"}
    if kind == "nearest":
        exact = name.startswith("nearest_exact")
        how["nearest_mode"] = "round_prefer_ceil" if exact else "floor"
        how["coordinate_transformation_mode"] = "half_pixel" if exact else "asymmetric"
    elif e.params["align"]:
        how["coordinate_transformation_mode"] = "align_corners"
    sizes = b.vector(e.outs[0].shape)
    return b.node("Resize", b.name(e.ins[0]), "", "", sizes, **how, cubic_coeff_a=-0.75)
