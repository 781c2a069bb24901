"""Random calls of functions: results, gradients, dtypes and strides are PyTorch's.

The compiled call gives what the eager one gives.
"""

import math
from functools import partial

import pytest

from tests.search import draws
from tests.search.arguments import Call, Draw, Input, each, given
from tests.search.outcomes import look

#: PyTorch computes these by several functions, whose results lie in memory differently.
_FREE_STRIDES = ("einsum",)
_BOOLS = (True, False)
_INFINITY = float("inf")


def _numbers(d, *shape, **options):
    """An input, or now and then integers."""
    return d.integers(-3, 4, *shape) if d.chance(0.15) else d.floats(*shape, **options)


def _broadcast(d, count):
    """``count`` shapes that broadcast to one."""
    shape = d.shape()
    shapes = [shape]
    for _ in range(count - 1):
        part = shape[d.randint(0, len(shape)) :] if d.chance(0.3) else shape
        shapes.append([1 if n != 0 and d.chance(0.2) else n for n in part])
    d.shuffle(shapes)
    return shapes


# Elementwise functions ----------------------------------------------------------------------


def _unary(d, draw=None, **options):
    shape = d.shape()
    return given(draw(d, shape) if draw else _numbers(d, *shape), **d.some(**options))


def _inside(low, high):
    return lambda d, shape: d.floats(*shape, low=low, high=high)


def _binary(d, low=-2.0, grad=True, **options):
    a, b = _broadcast(d, 2)
    draw = _numbers if low < 0 else Draw.floats
    args = [draw(d, *a, low=low, grad=grad), d.floats(*b, low=low, grad=grad)]
    d.shuffle(args)
    return given(*args, **d.some(**options))


def _beside_a_number(d, low=-2.0, grad=True, **options):
    """Two tensors, or a tensor and a number."""
    if d.chance():
        return _binary(d, low, grad, **options)
    x = d.floats(*d.shape(), low=low, grad=grad)
    return given(x, d.of(2, 0.5, -1, 3.0), **d.some(**options))


def _of_integers(d):
    return given(*[d.integers(-3, 9, *shape) for shape in _broadcast(d, 2)])


def _of_a_constant(d):
    """Functions whose gradient exists for the second argument alone."""
    a, b = _broadcast(d, 2)
    return given(d.floats(*a, low=1.1, grad=False), d.positive(*b))


def _alike(d, draw=Draw.floats, least=0):
    """Two tensors of one shape."""
    shape = d.shape(least)
    return draw(d, *shape), draw(d, *shape)


def _ternary(d, **options):
    return given(*[d.floats(*shape, low=0.2) for shape in _broadcast(d, 3)], **d.some(**options))


def _clamp(d):
    shapes = _broadcast(d, 3)
    x, low, high = [d.floats(*shape) for shape in shapes]
    if d.chance():
        low, high = d.of(-0.5, None), d.of(0.7, 1)
    return given(x, low, high)


def _where(d):
    condition, a, b = _broadcast(d, 3)
    return given(d.bools(*condition), d.floats(*a), d.of(d.floats(*b), 1.5))


ELEMENTWISE = {
    **each(
        "abs acos angle asinh atan ceil cos cosh deg2rad erf erfc exp exp2 expm1 floor frac "
        "nan_to_num neg positive rad2deg reciprocal relu round rsqrt sgn sigmoid sign sin sinc "
        "sinh sqrt square tan tanh trunc special.entr special.erfcx special.i0 special.i0e "
        "special.i1 special.i1e special.log_ndtr special.ndtr nn.functional.gelu "
        "nn.functional.hardswish nn.functional.logsigmoid nn.functional.mish nn.functional.selu "
        "nn.functional.silu nn.functional.softsign",
        _unary,
    ),
    **each(
        "acosh asin atanh digamma erfinv lgamma log log10 log1p log2 logit special.ndtri",
        partial(_unary, draw=_inside(0.1, 0.9)),
    ),
    "polygamma": lambda d: given(d.of(0, 1, 2), d.positive(*d.shape())),
    "mvlgamma": lambda d: given(d.floats(*d.shape(), low=1.1), 2),
    **each(
        "arctan2 copysign eq fmax fmin ge hypot logaddexp logaddexp2 lt maximum minimum", _binary
    ),
    **each("bitwise_and bitwise_or bitwise_xor gcd lcm", _of_integers),
    **each("igamma igammac special.zeta", _of_a_constant),
    **each("complex polar", lambda d: given(*_alike(d, Draw.positive))),
    **each("fmod mul remainder", _beside_a_number),
    "floor_divide": partial(_beside_a_number, grad=False),
    "pow": partial(_beside_a_number, low=0.2),
    "float_power": partial(_beside_a_number, low=0.2),
    "xlogy": partial(_beside_a_number, low=0.2),
    "special.xlog1py": partial(_beside_a_number, low=0.2),
    "add": partial(_beside_a_number, alpha=(2, 0.5)),
    "sub": partial(_beside_a_number, alpha=(2, 0.5)),
    "div": partial(_beside_a_number, rounding_mode=(None, "floor", "trunc")),
    "addcmul": partial(_ternary, value=(2.5, -1)),
    "addcdiv": partial(_ternary, value=(2.5, -1)),
    "lerp": lambda d: given(
        *[d.floats(*shape) for shape in _broadcast(d, 2)], d.of(0.3, 0.8, d.floats())
    ),
    "clamp": _clamp,
    "where": _where,
    "isclose": partial(_binary, rtol=(0.5,), atol=(0.3,), equal_nan=_BOOLS),
}


# Reductions and scans -----------------------------------------------------------------------


def _over(d, *between, least=0, needs_dim=False, **options):
    """A tensor, the arguments ``between``, and a dim by name or none."""
    shape = d.shape(least)
    named = d.some(**options)
    if needs_dim or d.chance(0.7):
        named["dim"] = d.dim(shape)
    else:
        named.pop("keepdim", None)
    return given(d.floats(*shape), *[draw(d) for draw in between], **named)


def _dims(d):
    """A reduction over several dims."""
    shape = d.shape()
    named = d.some(keepdim=_BOOLS)
    if d.chance(0.7):
        named["dim"] = d.sample(range(len(shape)), d.randint(0, len(shape)))
    else:
        named.pop("keepdim", None)
    return given(_numbers(d, *shape) if d.chance() else d.floats(*shape), **named)


def _with_correction(d):
    shape = d.sizes(d.size(1, 3), 2, 4)
    named = d.some(dim=(d.dim(shape),), keepdim=_BOOLS)
    if "dim" not in named:
        named.pop("keepdim", None)
    # A correction of as much as there is gives nan or infinity, in an unspecified way.
    return given(d.floats(*shape), correction=d.of(0, 1), **named)


def _first(d, **options):
    """``k`` of the elements along a dim."""
    shape = d.shape(1, empty=0)
    dim = d.dim(shape)
    return given(d.floats(*shape), d.randint(1, shape[dim]), dim, **d.some(**options))


def _norm_over(d, **options):
    shape = d.shape(1, empty=0)
    return given(d.floats(*shape), dim=d.dim(shape), **d.some(**options))


REDUCTIONS = {
    **each("sum mean amax amin nansum nanmean", _dims),
    **each("prod argmax argmin all any aminmax", partial(_over, keepdim=_BOOLS)),
    "count_nonzero": _over,
    **each("median nanmedian max min logsumexp", partial(_over, needs_dim=True, keepdim=_BOOLS)),
    **each(
        "cumsum cumprod cummax cummin logcumsumexp softmax log_softmax",
        partial(_over, needs_dim=True),
    ),
    **each("std var std_mean var_mean", _with_correction),
    "kthvalue": partial(_first, keepdim=_BOOLS),
    "topk": partial(_first, largest=_BOOLS),
    "sort": partial(_over, needs_dim=True, descending=_BOOLS, stable=_BOOLS),
    "argsort": partial(_over, needs_dim=True, descending=_BOOLS, stable=_BOOLS),
    "msort": lambda d: given(d.floats(*d.shape())),
    "norm": lambda d: _norm_over(d, p=("fro", 1, 3, _INFINITY), keepdim=_BOOLS),
    "linalg.norm": lambda d: _norm_over(d, ord=(1, 3, _INFINITY), keepdim=_BOOLS),
    "linalg.vector_norm": lambda d: _norm_over(
        d, ord=(0, 1, 2, 3.0, 0.5, _INFINITY, -_INFINITY, -1)
    ),
    "nn.functional.normalize": lambda d: _norm_over(d, p=(1.0, 2.0, 3.0, _INFINITY)),
}


# Indices ------------------------------------------------------------------------------------


def _indexed(d):
    """(shape, dim, a shape that has another size in that dim)."""
    shape = d.sizes(d.size(1, 3))
    dim = d.randrange(len(shape))
    other = list(shape)
    other[dim] = d.size()
    return shape, dim, other


def _gather(d):
    shape, dim, other = _indexed(d)
    return given(d.floats(*shape), dim, d.integers(0, shape[dim], *other))


def _take_along(d):
    args, _ = _gather(d)
    return given(args[0], args[2], dim=args[1])


def _scatter(d, reductions=None, different=False, **options):
    shape, dim, other = _indexed(d)
    other[dim] = min(other[dim], shape[dim]) if different else other[dim]
    index = d.integers(0, shape[dim], *other)
    if different:  # which of two writes to one place stays is not specified
        lead = [n for i, n in enumerate(other) if i != dim]
        index = d.places(other[dim], shape[dim], *lead).used(f"{{}}.movedim(-1, {dim})")
    args = d.floats(*shape), dim, index, d.floats(*other)
    return given(*args, *([d.choice(reductions)] if reductions else []), **d.some(**options))


def _index_select(d):
    shape, dim, _ = _indexed(d)
    return given(d.floats(*shape), dim, d.integers(0, shape[dim], d.size(0, 4)))


def _index_add(d, different=False, **options):
    shape, dim, other = _indexed(d)
    if different:
        other[dim] = min(other[dim], shape[dim])
        index = d.places(other[dim], shape[dim])
    else:
        index = d.integers(0, shape[dim], other[dim])
    return given(d.floats(*shape), dim, index, d.floats(*other), **d.some(**options))


def _index_fill(d):
    shape, dim, other = _indexed(d)
    index = d.integers(0, shape[dim], other[dim])
    return given(d.floats(*shape), dim, index, d.of(2.5, d.floats()))


def _index_put(d):
    shape = d.sizes(d.size(1, 3))
    common = d.sizes(d.size(1, 2))
    count = d.size(1, len(shape))
    indices = tuple(d.integers(0, n, *common) for n in shape[:count])
    values = d.floats(*common, *shape[count:])
    return given(d.floats(*shape), indices, values, accumulate=True)


def _masked(d, value=None):
    shape = d.shape(empty=0)
    return given(d.floats(*shape), d.bools(*shape), *([value(d, shape)] if value else []))


def _sorted_and_values(d):
    lead = d.sizes(d.randint(0, 2))
    sequence = d.floats(*lead, d.size(), grad=False, use="{}.sort(-1).values")
    values = d.floats(*lead, d.size(), grad=False)
    values = values if lead else d.of(values, 0.3)
    side = d.of({"right": True}, {"side": "right"}, {"side": "left"}, {})
    return given(sequence, values, **side, **d.some(out_int32=_BOOLS))


def _bucketize(d):
    boundaries = d.floats(d.size(), grad=False, use="{}.sort().values")
    named = d.some(right=_BOOLS, out_int32=_BOOLS)
    return given(d.of(d.floats(*d.shape(), grad=False), 0.3), boundaries, **named)


def _bincount(d):
    count = d.size(0 if d.chance(0.1) else 1, 6)
    weights = (d.floats(count, grad=False), d.integers(0, 9, count))
    return given(d.integers(0, 5, count), **d.some(weights=weights, minlength=(0, 7)))


def _histc(d):
    bounds = d.of({}, {"min": -1, "max": 1})
    return given(d.floats(*d.shape(1, empty=0), grad=False), **bounds, **d.some(bins=(1, 5)))


def _unique(d, **options):
    shape = d.shape(1, empty=0)
    named = d.some(return_inverse=_BOOLS, return_counts=_BOOLS, dim=(d.dim(shape),), **options)
    return given(d.integers(0, 3, *shape), **named)


def _is_in(d):
    elements = d.of(d.integers(0, 5, d.size(0, 4)), 3)
    return given(d.integers(0, 5, *d.shape()), elements, **d.some(invert=_BOOLS))


def _embedding(d):
    rows, columns, indices, options = draws.embedding(d)
    # A weight whose rows are scaled in place has no gradient.
    return given(indices, d.floats(rows, columns, grad="max_norm" not in options), **options)


def _embedding_bag(d):
    rows, columns, indices, inputs, options = draws.embedding_bag(d)
    return given(indices, d.floats(rows, columns), **inputs, **options)


def _left_out(arguments):
    args, _ = arguments
    return given(*args, include_self=False)


INDICES = {
    "gather": _gather,
    "take_along_dim": _take_along,
    "scatter": partial(_scatter, different=True),
    "scatter_add": _scatter,
    # Without the tensor itself, PyTorch's gradient of extrema counts its elements all the same.
    "scatter_reduce": partial(_scatter, reductions=("sum", "prod", "mean", "amax", "amin")),
    "Tensor.scatter_reduce": lambda d: _left_out(_scatter(d, reductions=("sum", "prod", "mean"))),
    "index_select": _index_select,
    "index_add": partial(_index_add, alpha=(1, 2.5)),
    "index_copy": partial(_index_add, different=True),
    "index_fill": _index_fill,
    "index_put": _index_put,
    "masked_select": _masked,
    "masked_fill": partial(_masked, value=lambda d, shape: d.of(2.5, d.floats())),
    "masked_scatter": partial(_masked, value=lambda d, shape: d.floats(math.prod(shape))),
    "take": lambda d: given(d.floats(2, 3), d.integers(-6, 6, *d.shape())),
    "nonzero": lambda d: given(d.bools(*d.shape())),
    "argwhere": lambda d: given(d.bools(*d.shape())),
    "searchsorted": _sorted_and_values,
    "bucketize": _bucketize,
    "bincount": _bincount,
    "histc": _histc,
    "unique": partial(_unique, sorted=_BOOLS),
    "unique_consecutive": _unique,
    "isin": _is_in,
    "nn.functional.one_hot": lambda d: given(
        d.integers(0, 4, *d.shape(1, empty=0)), d.of(-1, 4, 6)
    ),
    "nn.functional.embedding": _embedding,
    "nn.functional.embedding_bag": _embedding_bag,
}


# Products and matrices ----------------------------------------------------------------------


def _chain(d, *sizes):
    """Two matrices that may be multiplied."""
    a, b, c = sizes or d.sizes(3)
    return d.floats(a, b), d.floats(b, c)


def _matmul(d):
    a, b, c = d.sizes(3, 0 if d.chance(0.1) else 1)
    batch = d.sizes(d.randint(0, 2), 1, 2)
    left, right = d.of([a, b], [*batch, a, b]), d.of([b, c], [*batch[1:], b, c])
    return given(d.floats(*d.of(left, [b])), d.floats(*d.of(right, [b])))


def _added(shapes, **options):
    """A product added to a tensor: ``shapes`` of three sizes."""

    def draw(d):
        sizes = d.sizes(3)
        named = d.some(alpha=(1, 2, 0, 0.5), beta=(1, 0, 0.5), **options)
        return given(*[d.floats(*shape) for shape in shapes(d, *sizes)], **named)

    return draw


def _square(d, use="{}", grad=True):
    """Matrices that are far from singular, used as ``use``."""
    n = d.size(1, 3)
    shape = (*d.sizes(d.randint(0, 1), 1, 2), n, n)
    dtype = "torch.float64" if d.double else "torch.float32"
    regular = f"({{}} + 5 * torch.eye({n}, dtype={dtype}))"
    return d.floats(*shape, low=-1.0, high=1.0, grad=grad, use=use.format(regular))


def _solve(d):
    a = _square(d)
    n = int(a.use.split("eye(")[1].split(",")[0])
    return given(a, d.floats(n, d.size()))


def _matrix_norm(d):
    x = d.floats(*d.sizes(d.randint(2, 3)))
    return given(x, ord=d.of("fro", "nuc", 1, -1, 2, -2, _INFINITY), **d.some(keepdim=_BOOLS))


def _einsum(d):
    a, b, c = d.sizes(3)
    equation, shapes = d.of(
        ("ij,jk->ik", [(a, b), (b, c)]), ("ij,jk", [(a, b), (b, c)]), ("ij,jk->", [(a, b), (b, c)]),
        ("ij,jk->jik", [(a, b), (b, c)]), ("ii->i", [(a, a)]), ("ij->j", [(a, b)]),
        ("bij,bjk->bik", [(c, a, b), (c, b, a)]), ("...i,...i", [(a, b, c), (b, c)]),
        ("i,j,k->kij", [(a,), (b,), (c,)]), ("bhqd,bhkd->bhqk", [(a, 2, b, c), (a, 2, 3, c)]),
    )  # fmt: skip
    return given(equation, *[d.floats(*shape) for shape in shapes])


def _linear(d):
    a, b = d.sizes(2)
    bias = [d.floats(b)] if d.chance() else []
    return given(d.floats(*d.shape(), a), d.floats(b, a), *bias)


def _bilinear(d):
    a, b, c = d.sizes(3)
    lead = d.sizes(d.randint(0, 2))
    bias = [d.floats(c)] if d.chance() else []
    return given(d.floats(*lead, a), d.floats(*lead, b), d.floats(c, a, b), *bias)


def _tensordot(d):
    a, b, c = d.sizes(3)
    dims = d.of(([1], [0]), ([1, 2], [0, 1]), ([0], [2]), 0, 2)
    return given(d.floats(a, b, c), d.floats(b, c, a), dims=dims)


def _symmetric(d):
    n = d.size(1, 3)
    dtype = "torch.float64" if d.double else "torch.float32"
    # Different numbers on the diagonal keep the eigenvalues apart.
    diagonal = f"torch.diag(torch.arange({n}, dtype={dtype}) * 4 + 4)"
    return d.floats(n, n, low=-0.5, high=0.5, use=f"(lambda x: x + x.mT + {diagonal})({{}})")


MATRICES = {
    "matmul": _matmul,
    "mm": lambda d: given(*_chain(d)),
    "bmm": lambda d: given(d.floats(2, 3, 4), d.floats(2, 4, d.size())),
    "mv": lambda d: given(d.floats(3, 4), d.floats(4)),
    "dot": lambda d: given(d.floats(4), d.floats(4)),
    "outer": lambda d: given(d.floats(d.size()), d.floats(d.size())),
    "inner": lambda d: given(d.floats(*d.shape(), 3), d.floats(*d.shape(), 3)),
    "addmm": _added(lambda d, a, b, c: [(d.of(1, a), c), (a, b), (b, c)]),
    "baddbmm": _added(lambda d, a, b, c: [(2, a, c), (2, a, b), (2, b, c)]),
    "addbmm": _added(lambda d, a, b, c: [(a, c), (2, a, b), (2, b, c)]),
    "addmv": _added(lambda d, a, b, c: [(a,), (a, b), (b,)]),
    "addr": _added(lambda d, a, b, c: [(a, b), (a,), (b,)]),
    "einsum": _einsum,
    "tensordot": _tensordot,
    "cross": lambda d: given(d.floats(2, 3), d.floats(d.of(1, 2), 3), dim=1),
    "nn.functional.linear": _linear,
    "nn.functional.bilinear": _bilinear,
    "linalg.matrix_norm": _matrix_norm,
    "linalg.slogdet": lambda d: given(_square(d)),
    "linalg.qr": lambda d: given(_square(d)),
    "linalg.solve_triangular": lambda d: given(
        d.floats(3, 3, use="({}.tril() + 4 * torch.eye(3))"), d.floats(3, d.size()), upper=False
    ),
    "cholesky_solve": lambda d: given(
        d.floats(3, d.size()), d.floats(3, 3, use="({}.tril() + 4 * torch.eye(3))")
    ),
    "linalg.solve": _solve,
    "linalg.matrix_exp": lambda d: given(d.floats(2, 2, low=-1.0, high=1.0)),
    "linalg.cholesky": lambda d: given(_symmetric(d)),
    "linalg.eigvalsh": lambda d: given(_symmetric(d)),
    "linalg.svdvals": lambda d: given(d.floats(*d.sizes(d.randint(0, 1)), 3, 2)),
    "nn.functional.pdist": lambda d: given(d.floats(d.size(), 3), **d.some(p=(1.0, 3.0))),
    "nn.functional.cosine_similarity": lambda d: given(
        *_alike(d, least=1), dim=0, **d.some(eps=(1e-4,))
    ),
    "nn.functional.pairwise_distance": lambda d: given(
        *_alike(d, least=1), **d.some(p=(1.0, 3.0), keepdim=_BOOLS)
    ),
}


# Shapes -------------------------------------------------------------------------------------


def _several(d, along=None, low=1):
    """Tensors of one shape, but in the dim ``along``."""
    shape = d.sizes(d.size(1, 3))
    found = []
    for _ in range(d.size(low, 3)):
        if along is not None:
            shape = [d.size() if i == along % len(shape) else n for i, n in enumerate(shape)]
        found.append(d.floats(*shape))
    return found, len(shape)


def _stack(d):
    tensors, count = _several(d)
    return given(tensors, **d.some(dim=(d.randint(-count - 1, count),)))


def _cat(d):
    dim = d.of(0, -1)
    return given(_several(d, along=dim)[0], dim)


def _shaped(*draws, least=1, empty=0.1):
    """A tensor, and what each of ``draws`` gives for its shape and one of its dims."""

    def draw(d):
        shape = d.shape(least, empty=empty)
        dim = d.randrange(len(shape)) if shape else 0
        return given(d.floats(*shape), *[draw(d, shape, dim) for draw in draws])

    return draw


def _dim(d, shape, dim):
    return d.of(dim, dim - len(shape))


def _parts(d, shape, dim):
    """Sizes that sum to that of the dim, or one size."""
    if d.chance():
        return d.size()
    cut = d.randint(0, shape[dim])
    return [cut, shape[dim] - cut]


def _sections(d, shape, dim):
    return d.of(d.size(), tuple(sorted(d.sizes(2, 0, 5))))


def _unfolded(d):
    shape = d.sizes(d.size(1, 3), 2, 5)
    dim = d.randrange(len(shape))
    return given(d.floats(*shape), dim, d.size(1, shape[dim]), d.size(1, 3))


def _repeated(d):
    shape = d.shape(1)
    dim = d.randrange(len(shape))
    repeats = d.of(2, Input(f"torch.tensor({d.sizes(shape[dim], 0, 3)}, dtype=torch.int64)"))
    return given(d.floats(*shape), repeats, dim=dim)


def _narrow(d):
    shape = d.sizes(d.size(1, 3))
    dim = d.randrange(len(shape))
    start = d.randrange(shape[dim])
    return given(d.floats(*shape), dim, start, d.randint(0, shape[dim] - start))


def _permutation(d, shape, dim):
    return tuple(d.sample(range(len(shape)), len(shape)))


def _diagonal(d):
    shape = d.sizes(d.size(2, 3))
    first, second = d.sample(range(len(shape)), 2)
    return given(d.floats(*shape), d.randint(-1, 1), first, second)


def _triangle(d):
    return given(d.floats(*d.sizes(d.size(2, 3))), **d.some(diagonal=(-1, 1, 5)))


def _roll(d):
    shape = d.shape(1)
    dims = d.of(d.dim(shape), tuple(range(len(shape))))
    shifts = tuple(d.randint(-5, 5) for _ in dims) if isinstance(dims, tuple) else d.randint(-5, 5)
    return given(
        d.floats(*shape),
        shifts,
        **d.of({}, {"dims": dims}) if isinstance(shifts, int) else {"dims": dims},
    )


def _expand(d):
    shape = d.sizes(d.size(1, 3))
    to = [d.size(0, 4) if n == 1 else d.of(n, -1) for n in shape]
    return given(d.floats(*shape), d.sizes(d.randint(0, 1)) + to)


def _flatten(d):
    shape = d.shape(1)
    start = d.randrange(len(shape))
    return given(d.floats(*shape), start, d.of(-1, d.randint(start, len(shape) - 1)))


SHAPES = {
    "stack": _stack,
    "cat": _cat,
    **each("hstack vstack dstack column_stack", lambda d: given(_several(d)[0])),
    "split": _shaped(_parts, _dim),
    "chunk": _shaped(lambda d, shape, dim: d.size(1, 5), _dim),
    "tensor_split": _shaped(_sections, _dim),
    "unbind": _shaped(_dim),
    "Tensor.unfold": _unfolded,
    "repeat_interleave": _repeated,
    "tile": _shaped(lambda d, shape, dim: tuple(d.sizes(d.size(1, 4), 1, 2)), least=0),
    "Tensor.repeat": _shaped(lambda d, shape, dim: (2, *d.sizes(len(shape), 0, 3)), least=0),
    "Tensor.expand": _expand,
    "broadcast_tensors": lambda d: given(*[d.floats(*shape) for shape in _broadcast(d, 3)]),
    "meshgrid": lambda d: given(
        *[d.floats(d.size()) for _ in range(d.size(1, 3))], indexing=d.of("ij", "xy")
    ),
    "narrow": _narrow,
    "permute": _shaped(_permutation),
    "movedim": _shaped(_dim, lambda d, shape, dim: d.randrange(len(shape))),
    "transpose": _shaped(_dim, lambda d, shape, dim: d.randrange(len(shape))),
    "flatten": _flatten,
    "unflatten": lambda d: given(d.floats(2, 6), 1, d.of((2, 3), (-1, 3), (6, 1))),
    "squeeze": _shaped(_dim),
    "unsqueeze": _shaped(_dim),
    "flip": _shaped(lambda d, shape, dim: d.of([dim], list(range(len(shape))))),
    "fliplr": lambda d: given(d.floats(*d.sizes(2))),
    "flipud": lambda d: given(d.floats(*d.sizes(2))),
    "select": _shaped(_dim, lambda d, shape, dim: d.randrange(shape[dim]), empty=0),
    "roll": _roll,
    "tril": _triangle,
    "triu": _triangle,
    "diag": lambda d: given(d.floats(*d.sizes(d.size(1, 2))), **d.some(diagonal=(-1, 1))),
    "diagonal": _diagonal,
    "diag_embed": lambda d: given(d.floats(*d.sizes(d.size(1, 2))), **d.some(offset=(-1, 1))),
    **each("atleast_1d atleast_2d atleast_3d ravel", lambda d: given(d.floats(*d.shape()))),
}


# Images and sequences -----------------------------------------------------------------------


def _grid_sample(d):
    dims, batch = d.of(2, 2, 3), d.size(1, 2)
    modes = ("bilinear", "nearest", "bicubic")[: 3 if dims == 2 else 2]
    named = {
        "mode": d.choice(modes),
        "padding_mode": d.of("zeros", "border", "reflection"),
        "align_corners": d.of(*_BOOLS),
    }
    image = d.floats(batch, d.size(1, 2), *d.sizes(dims))
    return given(image, d.floats(batch, *d.sizes(dims, 1, 3), dims), **named)


def _affine_grid(d):
    dims, batch = d.of(2, 3), d.size(1, 2)
    size = [batch, 2, *d.sizes(dims)]
    return given(d.floats(batch, dims, dims + 1), size, align_corners=d.of(*_BOOLS))


def _attention(d):
    batch, heads, queries, keys = d.size(1, 2), d.size(), d.size(1, 5), d.size(1, 5)
    features, values = d.sizes(2)
    named = d.some(scale=(0.3,))
    kind = d.random()
    if kind < 0.3:
        named["is_causal"] = True
    elif kind < 0.6:
        shape = d.of((queries, keys), (batch, 1, queries, keys), (1, keys))
        named["attn_mask"] = d.of(d.floats(*shape), d.bools(*shape))
    shared = heads
    if d.chance(0.3) and heads % 2 == 0:
        shared, named["enable_gqa"] = heads // 2, True
    q = d.floats(batch, heads, queries, features)
    return given(
        q, d.floats(batch, shared, keys, features), d.floats(batch, shared, keys, values), **named
    )


def _interpolate(d):
    named = {"mode": d.of("bilinear", "bicubic"), "antialias": True}
    named |= d.some(align_corners=_BOOLS)
    if d.chance():
        # PyTorch repeats the first row where the width becomes 1.
        named["size"] = (d.size(1, 6), d.size(2, 6))
    else:
        named["scale_factor"] = d.of(0.5, 1.7, 2.0)
    return given(d.floats(d.size(1, 2), d.size(1, 3), *d.sizes(2, 4, 7)), **named)


def _pad(d):
    amounts = [d.randint(-1, 2) for _ in range(2 * d.size(1, 4))]
    return given(d.floats(*d.sizes(2), 3, 4), amounts, value=d.of(0.0, 2.0))


def _fold(d):
    kernel = d.size(1, 3)
    size = d.sizes(2, 3, 5)
    blocks = math.prod(n - kernel + 1 for n in size)
    return given(d.floats(2, 2 * kernel * kernel, blocks), size, kernel)


IMAGES = {
    "nn.functional.grid_sample": _grid_sample,
    "nn.functional.affine_grid": _affine_grid,
    "nn.functional.scaled_dot_product_attention": _attention,
    "nn.functional.interpolate": _interpolate,
    "nn.functional.pad": _pad,
    "nn.functional.fold": _fold,
    "nn.functional.glu": lambda d: given(d.floats(2, 4), dim=d.of(-1, 0)),
    "nn.functional.local_response_norm": lambda d: given(
        d.floats(2, 3, 4, contiguous=True), d.size()
    ),
    "nn.functional.softmin": lambda d: given(d.floats(2, 3), dim=d.of(0, 1)),
}
FAMILIES = {
    "losses": {f"nn.functional.{name}": draw for name, (_, draw) in draws.LOSSES.items()},
    "elementwise": ELEMENTWISE,
    "reductions": REDUCTIONS,
    "indices": INDICES,
    "matrices": MATRICES,
    "shapes": SHAPES,
    "images": IMAGES,
}


def draw_call(seed):
    d = Draw(seed)
    family = d.choice([*FAMILIES])
    name = d.choice([*FAMILIES[family]])
    return Call(name, FAMILIES[family][name](d))


@pytest.mark.parity
def test_random_functions():
    look(draw_call, 30, _FREE_STRIDES)


@pytest.mark.search
@pytest.mark.parity
def test_many_random_functions():
    look(draw_call, 500, _FREE_STRIDES)
