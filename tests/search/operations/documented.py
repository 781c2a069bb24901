"""Differences that docs/differences.md has, as conditions on a case's inputs and numbers.

Each function says whether a difference of a case is the one of its docstring. It gets the case,
rushlight's outcome, PyTorch's outcome, and the difference.
"""

from dataclasses import replace
from functools import reduce
from math import inf, nan

import numpy as np

import rushlight
from tests.search.operations.case import Input, Ref, dense, incoming
from tests.search.programs.scopes import array_of, eps, torch, wide

__all__ = ["CONDITIONS"]

_DIGITS = 64  # in eps of the largest number: how far a number may be from what it is compared with


def _name(case):
    return case.name.rsplit(".")[-1].removesuffix("_")


def _pairs(ours, theirs, kind):
    """(rushlight's, PyTorch's) arrays of the kind of a difference."""
    parts = {
        "value": lambda o: [t[1] for t in o.tensors],
        "gradient": lambda o: [g[1] for g in o.gradients if g is not None],
        "input changed": lambda o: [x[1] for x in o.inputs],
    }.get(kind)
    return [] if parts is None else list(zip(parts(ours), parts(theirs), strict=True))


def _apart(a, b, digits=_DIGITS):
    """A mask of the numbers that differ by more than rounding."""
    a, b = wide(a), wide(b)
    with np.errstate(all="ignore"):
        same = (a == b) | ((a != a) & (b != b))
        return ~same & ~(np.abs(a - b) <= digits * np.abs(b))


def _given(case):
    """The inputs that a call reads, without its ``out``."""
    outs = str(dict(case.named).get("out"))
    return [x for i, x in enumerate(case.inputs) if repr(Ref(i)) not in outs]


def nan_of_nan(case, ours, theirs, found):
    """The polynomial of nan, and a distance to nan, are nan. PyTorch's are whatever was in memory.

    PyTorch's maximum of differences leaves nan out.
    """
    named = "_polynomial_" in case.name or (_name(case) == "cdist" and inf in _numbers(case))
    values = [v for x in _given(case) for v in x.data] + list(case.args)
    if not named or all(v == v for v in values):
        return False
    pairs = _pairs(ours, theirs, found.kind)
    return bool(pairs) and all(
        a.shape == b.shape and np.isnan(a[_apart(a, b, 1e-5)]).all() for a, b in pairs
    )


def _numbers(case):
    return [v for v in (*case.args, *dict(case.named).values()) if isinstance(v, float)]


def alone(case, ours, theirs, found):
    """PyTorch's own answer to an element by itself: several at once get another (gelu of inf)."""
    function = reduce(
        lambda owner, part: getattr(owner, part, None), case.name.split("."), rushlight
    )
    if found.kind != "value" or getattr(getattr(function, "op", None), "kind", "") != "elementwise":
        return False
    if case.method or "out" in dict(case.named):
        return False
    a, b = ours.tensors[0][1], theirs.tensors[0][1]
    for at in map(tuple, np.argwhere(_apart(a, b)).tolist()):
        single = [replace(x, data=(_at(x, at, a.shape),), size=(), stride=(), offset=0) for x in
                  case.inputs]  # fmt: skip
        small = replace(case, inputs=tuple(single))
        names = {"T": torch, "inf": inf, "nan": nan}
        with torch.no_grad():
            exec(small.making, names)
            own = array_of(eval(small.call, names))
        if own.shape or _apart(a[at], own, 4096 * eps(own.dtype)).any():
            return False
    return True


def _at(x, at, shape):
    """The element of an input that becomes the element ``at`` of a result."""
    lead = len(shape) - len(x.size)
    places = [0 if n == 1 else i for i, n in zip(at[lead:], x.size, strict=True)]
    return x.data[x.offset + sum(i * s for i, s in zip(places, x.stride, strict=True))]


# Special functions ----------------------------------------------------------------------------


def _exact(case, kind):
    """The function of mpmath that tells the exact number, or None."""
    import mpmath as mp

    values = {
        "bessel_j0": lambda x: mp.besselj(0, x), "bessel_j1": lambda x: mp.besselj(1, x),
        "bessel_y0": lambda x: mp.bessely(0, x), "bessel_y1": lambda x: mp.bessely(1, x),
        "airy_ai": mp.airyai,
    }  # fmt: skip
    sign = lambda x: (x > 0) - (x < 0)
    slope = lambda x: mp.besseli(0, x) - (mp.besseli(1, x) / x if x else mp.mpf(1) / 2)
    gradients = {
        "digamma": lambda x: mp.psi(1, x), "i1": slope,
        "i1e": lambda x: mp.exp(-abs(x)) * (slope(x) - sign(x) * mp.besseli(1, x)),
    }  # fmt: skip
    return {"value": values, "input changed": values, "gradient": gradients}[kind].get(_name(case))


def exact(case, ours, theirs, found):
    """Our number is exact to rounding. PyTorch's special functions have 9 digits, or a pole's width."""
    kind = found.kind
    if kind not in ("value", "gradient", "input changed") or not _exact(case, kind):
        return False
    function, x = _exact(case, kind), _points(case)
    for a, b in _pairs(ours, theirs, kind):
        if a.shape != b.shape or a.shape != x.shape:
            return False
        weights = _weights(a) if kind == "gradient" else np.ones(a.shape)
        for at in map(tuple, np.argwhere(_apart(a, b)).tolist()):
            if not _is(function, float(x[at]), complex(a[at]).real, float(weights[at]), a.dtype):
                return False
    return True


def _points(case):
    x = case.inputs[0]
    names = {"T": torch, "inf": inf, "nan": nan}
    exec(x.line("x0"), names)
    return np.array(wide(array_of(names["x0"].detach())))


def _is(function, x, found, weight, dtype):
    import mpmath as mp

    if x != x:
        return found != found
    with mp.workdps(40):
        try:
            want = function(mp.mpf(x)) * weight
        except (ValueError, ZeroDivisionError):  # a pole
            return abs(found) == inf
        # Where the function is steep, the last digit of x counts as well. A result of float32 may
        # lie in memory of another dtype.
        digit = max(eps(np.dtype(np.float32)), eps(dtype)) if dtype.kind != "f" else eps(dtype)
        near = function(mp.mpf(x) * (1 + digit)) * weight
        slack = _DIGITS * digit * abs(want) + 4 * abs(near - want)
        largest = float(np.finfo(dtype if dtype.kind != "V" else np.float32).max)
        return abs(found - want) <= slack or (abs(want) > largest and abs(found) == inf)


def exact_gamma(case, ours, theirs, found):
    """Our incomplete gamma functions are exact to rounding. PyTorch's have 9 digits at ``input``."""
    import mpmath as mp

    name = {"gammainc": "igamma", "gammaincc": "igammac"}.get(_name(case), _name(case))
    if name not in ("igamma", "igammac") or found.kind != "value":
        return False
    a, b = ours.tensors[0][1], theirs.tensors[0][1]
    for at in map(tuple, np.argwhere(_apart(a, b)).tolist()):
        s, x = [float(_at(case.inputs[arg.index], at, a.shape)) for arg in case.args[:2]]
        with mp.workdps(40):
            want = (
                mp.gammainc(s, 0, x, True) if name == "igamma" else mp.gammainc(s, x, mp.inf, True)
            )
        if not abs(a[at] - want) <= _DIGITS * eps(a.dtype) * abs(want):
            return False
    return True


# Other operations -----------------------------------------------------------------------------


def rounded_alpha(case, ours, theirs, found):
    """The gradient of celu in float64. PyTorch's has 1 / ``alpha`` in float32."""
    pairs = _pairs(ours, theirs, found.kind)
    return (
        _name(case) == "celu"
        and found.kind == "gradient"
        and not any(_apart(a, b, 1e-5).any() for a, b in pairs)
    )


def smallest(case, ours, theirs, found):
    """The sign of a gcd with the smallest integer, whose absolute value the dtype does not have."""
    limits = {x.dtype: np.iinfo(x.dtype).min for x in case.inputs if x.dtype.startswith("int")}
    least = any(limits.get(x.dtype) in x.data for x in case.inputs)
    pairs = _pairs(ours, theirs, found.kind)
    same = all(a.shape == b.shape and (np.abs(a) == np.abs(b)).all() for a, b in pairs)
    return _name(case) in ("gcd", "lcm") and least and same


def hermitian(case, ours, theirs, found):
    """A complex Cholesky factor has a real diagonal. LAPACK leaves out the imaginary parts."""
    if _name(case) != "cholesky_inverse" or found.kind not in (
        "value",
        "gradient",
        "input changed",
    ):
        return False
    x = case.inputs[0]
    return x.dtype.startswith("complex") and any(complex(v).imag for v in x.data)


def in_pieces(case, ours, theirs, found):
    """A copy of a window or of an expanded tensor is dense. PyTorch's has the gaps and overlaps."""
    x = case.inputs[0] if case.inputs else None
    return (
        _name(case) in ("diagonal_scatter", "as_strided_scatter")
        and found.kind in ("strides", "value")
        and not _is_dense(x)
    )


def _is_dense(x):
    """Whether the elements fill a block of memory, in any order of the dims."""
    order = sorted(range(len(x.size)), key=lambda d: -x.stride[d])
    own = [(x.stride[d], x.size[d]) for d in order if x.size[d] != 1]
    return [s for s, _ in own] == list(dense([n for _, n in own]))


def eigenvectors(case, ours, theirs, found):
    """The sign or phase of an eigenvector, and a basis of the vectors of equal eigenvalues."""
    if (_name(case), found.kind) == ("eigvals", "gradient"):  # the vectors may be nearly parallel
        pairs = _pairs(ours, theirs, found.kind)
        if not np.allclose(ours.tensors[0][1], theirs.tensors[0][1], 1e-3):
            return True  # LAPACK gives them in another order
        digits = [1e4 * eps(a.real.dtype) for a, _ in pairs]
        return all(
            np.allclose(a, b, digit, digit * np.abs(b).max(initial=0.0))
            for (a, b), digit in zip(pairs, digits, strict=True)
        )
    whole = len(ours.tensors) == len(theirs.tensors) == 2
    if _name(case) not in ("eig", "eigh") or not whole or found.kind not in ("value", "gradient"):
        return False
    values, vectors = [(a[1], b[1]) for a, b in zip(ours.tensors, theirs.tensors, strict=True)]
    size = np.abs(values[1]).max(initial=0.0)
    digit = 1e4 * eps(values[1].real.dtype)
    gaps = np.abs(values[1][..., :, None] - values[1][..., None, :]) + size * np.eye(
        values[1].shape[-1]
    )
    equal = bool((gaps < digit * size).any())
    turned = not np.allclose(*vectors, digit, digit)
    if found.kind == "gradient":  # it depends on the sign, and equal eigenvalues divide by 0
        return equal or turned
    same = np.allclose(*map(np.abs, vectors), digit, digit)
    return bool((np.abs(values[0] - values[1]) <= digit * size).all()) and (same or equal)


def linear(case, ours, theirs, found):
    """The derivative of as_strided_scatter, from what PyTorch's function makes of single ones."""
    if (_name(case), found.kind) != ("as_strided_scatter", "gradient"):
        return False
    with torch.no_grad():
        zeros = [_zeros(x, dense(x.size) if i else x.stride) for i, x in enumerate(case.inputs)]
        plain = replace(case, inputs=tuple(zeros))
        weights = _weights(theirs.tensors[0][1])
        leaves = [i for i, x in enumerate(case.inputs) if x.grad]
        return all(
            a.shape == (want := _slopes(plain, i, weights)).shape
            and not _apart(a, want, 1e-2).any()
            for i, (a, _) in zip(leaves, _pairs(ours, theirs, "gradient"), strict=True)
        )


def _zeros(x, stride):
    """An input of zeros in float64, which lies in memory by ``stride``; integers stay."""
    if "float" not in x.dtype and "complex" not in x.dtype:
        return x
    kept = stride == x.stride
    data = (0.0,) * (len(x.data) if kept else x.numel)
    return Input("float64", data, x.size, stride, x.offset if kept else 0, inner=x.inner)


def _weights(out):
    """The incoming gradient of the first result."""
    return incoming(out.shape, out.dtype.kind == "c")


def _slopes(case, i, weights):
    """By how much the weighted sum of a linear function's result grows with each element."""
    names = {"T": torch, "inf": inf, "nan": nan}
    exec(case.making, names)
    x = names[f"x{i}"]
    out = np.zeros(tuple(x.shape), weights.dtype)
    call = lambda: array_of(eval(case.call, names)).astype(weights.dtype)
    base = call()
    for at in np.ndindex(out.shape):
        x[at] = 1
        out[at] = ((call() - base) * weights).sum()
        x[at] = 0
    return out


def volumes(case, ours, theirs, found):
    """A convolution of volumes is contiguous. PyTorch's lies as its library likes."""
    return found.kind == "strides" and _name(case) in ("conv3d", "conv_transpose3d", "convolution")


def unwritten(case, ours, theirs, found):
    """rushlight counts a write to ``out``, and makes it. PyTorch forgets one of the two."""
    out = dict(case.named).get("out")
    if not isinstance(out, Ref):
        return False
    if found.kind == "version":
        pairs = enumerate(zip(ours.versions, theirs.versions, strict=True))
        return all(a == b or (i == out.index and a > b) for i, (a, b) in pairs)
    was = _whole_of(case.inputs[out.index])
    now = theirs.inputs[out.index][1]
    kept = was.shape == now.shape and not _apart(was, now).any()
    return found.kind in ("value", "shape", "strides", "input changed", "input's shape") and kept


def _whole_of(x):
    return wide(array_of(torch.tensor(x.data, dtype=getattr(torch, x.dtype))))


def others(case, ours, theirs, found):
    """Four of PyTorch's answers that are not kept.

    The gradient of a singular determinant is 0, a frequency goes into the wrong place of an ``out``
    with gaps, an infinite weight of a norm meets its own negative, and the gradient of acosh at
    complex infinity is nan.
    """
    name, out = _name(case), dict(case.named).get("out")
    pairs = _pairs(ours, theirs, found.kind)
    if name == "det":
        digit = eps(theirs.tensors[0][1].real.dtype) if theirs.tensors else 0.0
        return found.kind == "gradient" and bool((np.abs(theirs.tensors[0][1]) <= 64 * digit).any())
    norms = "group_norm", "batch_norm", "instance_norm"
    if name in (*norms, "acosh", "arccosh", "asinh", "arcsinh"):
        given = case.inputs[1:] if name.endswith("norm") else case.inputs
        infinite = any(inf in (abs(v.real), abs(v.imag)) for x in given for v in x.data)
        return infinite and all(
            np.isnan(b[_apart(a, b, max(1e-3, 4 * eps(b.dtype)))]).all() for a, b in pairs
        )
    return name == "fftfreq" and isinstance(out, Ref) and not _is_dense(case.inputs[out.index])


def weight_with_gaps(case, ours, theirs, found):
    """PyTorch's gradient of batch_norm reads the weight as if it were contiguous."""
    x = case.inputs[0] if case.inputs else None
    named = _name(case) == "batch_norm" and found.kind == "gradient"
    return named and any(t.size == x.size[1:2] and not _is_dense(t) for t in case.inputs[1:])


def without_channels(case, ours, theirs, found):
    """A convolution without input channels is its bias. PyTorch's result has no channels either."""
    names = ("conv1d", "conv2d", "conv3d", "convolution", "conv_tbc")
    return _name(case) in names and any(0 in x.size[1:2] for x in case.inputs[:2])


def singular_condition(case, ours, theirs, found):
    """The condition number of a singular matrix is infinite or huge, by the rounding of LAPACK."""
    if _name(case) != "cond" or found.kind not in ("value", "gradient", "input changed"):
        return False
    pairs = _pairs(ours, theirs, "value")
    with np.errstate(all="ignore"):
        huge = [
            ~(np.minimum(np.abs(wide(a)), np.abs(wide(b))) < 0.01 / eps(b.dtype)) for a, b in pairs
        ]
    return found.kind == "gradient" or all(
        h[_apart(a, b, 1e-3)].all() for h, (a, b) in zip(huge, pairs, strict=True)
    )


def nan_places(case, ours, theirs, found):
    """Gradients of nan places: such a place is one at the border. PyTorch's gradient is 0, or nan.

    In half precision PyTorch's may also be that of another place.
    """
    if "grid_sample" not in _name(case) or found.kind != "gradient":
        return False
    if not any(v != v for x in case.inputs for v in x.data):
        return False
    half = any(x.dtype in ("float16", "bfloat16") for x in case.inputs)
    return half or all(
        ((b == 0) | np.isnan(b))[_apart(a, b, 1e-4)].all()
        for a, b in _pairs(ours, theirs, found.kind)
    )


def derivative_of_ctc(case, ours, theirs, found):
    """The derivative of ctc_loss, 0 for a class of probability 0.

    PyTorch's is nan there, and leaves out a path whose last target is the blank.
    """
    if _name(case) != "ctc_loss" or found.kind != "gradient":
        return False
    blank = dict(case.named).get("blank", (case.args[4:] or [0])[0])
    if blank in case.inputs[case.args[1].index].data:
        return True
    pairs = _pairs(ours, theirs, found.kind)
    return all((np.isnan(b) & (a == 0))[_apart(a, b, 1e-3)].all() for a, b in pairs)


def overflowing_gates(case, ours, theirs, found):
    """Gates of large complex numbers are 0 or 1. PyTorch's are nan, as its complex sigmoid is."""
    named = _name(case) in ("lstm", "gru", "lstm_cell", "gru_cell")
    large = any(isinstance(v, complex) and abs(v) > 80 for x in case.inputs for v in x.data)
    pairs = _pairs(ours, theirs, found.kind)
    return named and large and all(np.isnan(b[_apart(a, b, 1e-3)]).all() for a, b in pairs)


def of_no_inverse(case, ours, theirs, found):
    """The inverse of a singular matrix is nan, or huge, by the rounding of LAPACK."""
    if _name(case) not in ("inv", "inv_ex", "inverse") or found.kind not in ("value", "gradient"):
        return False
    x = _points(case)
    if not x.size or not np.isfinite(x).all():
        return False
    sizes = np.linalg.svd(x, compute_uv=False)
    singular = sizes[..., -1] <= _DIGITS * eps(theirs.tensors[0][1].real.dtype) * sizes[..., 0]
    apart = [_apart(a, b, 1e-3) for a, b in _pairs(ours, theirs, found.kind)]
    apart = [m if m.ndim == singular.ndim else m.any((-2, -1)) for m in apart]
    return bool(apart) and not any((m & ~singular).any() for m in apart)


def rounded_determinant(case, ours, theirs, found):
    """The error of a determinant is in digits of the largest one that rows of these sizes have."""
    if _name(case) != "det" or found.kind != "value":
        return False
    x = _points(case)
    largest = np.prod(np.linalg.norm(x, axis=-1), axis=-1)
    a, b = [wide(o.tensors[0][1]) for o in (ours, theirs)]
    with np.errstate(all="ignore"):
        near = np.abs(a - b) <= _DIGITS * eps(theirs.tensors[0][1].real.dtype) * largest
    return bool(near.all())


def far_below(case, ours, theirs, found):
    """The slope of log_ndtr at -infinity is infinite. PyTorch's is nan."""
    if _name(case) != "log_ndtr" or found.kind != "gradient":
        return False
    x = _points(case)
    return all(
        a.shape == x.shape and np.isneginf(x[_apart(a, b)]).all()
        for a, b in _pairs(ours, theirs, found.kind)
    )


def as_converted(case, ours, theirs, found):
    """A gradient as beside floats. PyTorch's rules compute in 8 bits, which wrap around."""
    from tests.search.operations.outcome import run

    narrow = [x for x in case.inputs if x.dtype in ("uint8", "int8")]
    if found.kind != "gradient" or not narrow or not theirs.tensors:
        return False
    wider = theirs.tensors[0][0].removeprefix("torch.")
    to = lambda x: replace(x, dtype=wider, data=tuple(map(float, x.data))) if x in narrow else x
    plain = run(torch, replace(case, inputs=tuple(map(to, case.inputs))))
    pairs = _pairs(ours, plain, "gradient") if plain.backward is None else []
    return bool(pairs) and all(
        a.shape == b.shape and not _apart(a, b, 256 * eps(b.real.dtype)).any() for a, b in pairs
    )


def of_less_rank(case, ours, theirs, found):
    """The pseudo-inverse has the reciprocals of singular values that are rounding, and no others."""
    if _name(case) not in ("pinverse", "pinv") or found.kind not in ("value", "gradient"):
        return False
    x, digit = _points(case), eps(theirs.tensors[0][1].real.dtype)
    given = [*case.args[1:2], *(v for key, v in case.named if key in ("rcond", "rtol"))]
    usual = 1e-15 if _name(case) == "pinverse" else digit * max(x.shape[-2:])
    cutoff = given[0] if given else usual
    if not isinstance(cutoff, (bool, int, float)) or not x.size or not np.isfinite(x).all():
        return False
    sizes = np.linalg.svd(x, compute_uv=False)
    share = sizes / sizes.max(-1, keepdims=True)
    return bool(((share > cutoff - digit) & (share < _DIGITS * digit)).any())


CONDITIONS = (
    eigenvectors, nan_of_nan, alone, exact, rounded_alpha, smallest, hermitian, in_pieces, linear,
    volumes, unwritten, others, weight_with_gaps, without_channels, singular_condition,
    of_less_rank, exact_gamma, rounded_determinant, far_below, nan_places, derivative_of_ctc,
    overflowing_gates, of_no_inverse, as_converted,
)  # fmt: skip
