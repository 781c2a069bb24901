"""Where docs/differences.md says that PyTorch's own answer is not kept, by conditions on a case.

``BY_NAME`` has for the last part of an operation's name, without the underscore of its in-place
form, functions (case, ours, theirs) that tell whether the difference is the documented one.
"""

import numpy as np

from tests.search.operations.case import Ref, dense
from tests.search.programs.scopes import eps, is_exact, wide

__all__ = ["BY_NAME", "same_factors"]


def _arguments(case):
    """The arguments as arrays; None in place of what holds no numbers."""
    for value in (*case.args, *[v for key, v in case.named if key != "out"]):
        if isinstance(value, Ref):
            x = case.inputs[value.index]
            at = x.offset + sum(
                (i * s for i, s in zip(np.indices(x.size), x.stride, strict=True)),
                start=np.zeros(x.size, int),
            )
            yield np.asarray(x.data)[at] if x.numel else np.zeros(x.size)
        else:
            is_number = isinstance(value, (bool, int, float, complex))
            yield np.asarray(value) if is_number else None


def _numbers(case):
    return [a for a in _arguments(case) if a is not None]


def zero_to_zero(case, ours, theirs):
    """0 to the power of 0 is 1 for complex numbers, too."""
    pairs = _numbers(case)
    has_zero = all((a == 0).any() for a in pairs)
    return has_zero and any(t[1].dtype.kind == "c" for t in theirs.tensors)


def at_infinity(case, ours, theirs):
    """zeta(x, inf) is 0."""
    return np.isposinf(np.asarray(_numbers(case)[-1], float)).any()


def nearer_to_poles(case, ours, theirs):
    """polygamma has 15 digits where PyTorch has 9, and it and its slope are infinite at the poles."""
    x = np.asarray(max(_numbers(case), key=lambda a: a.ndim), float)
    pairs = [(a[1], b[1]) for a, b in zip(ours.tensors, theirs.tensors, strict=True)]
    pairs += [
        (a[1], b[1])
        for a, b in zip(ours.gradients, theirs.gradients, strict=True)
        if a is not None and b is not None
    ]
    poles = (x <= 0) & (np.abs(x - np.round(x)) < 1e-3)
    with np.errstate(all="ignore"):
        for a, b in pairs:
            same = (np.abs(wide(a) - wide(b)) <= 1e-6 * np.maximum(np.abs(wide(a)), 1)) | (a == b)
            same |= np.isnan(a) & np.isnan(b)
            if not (same | (poles | np.isinf(x) if x.shape == a.shape else poles.any())).all():
                return False
    return True


def infinite(case, ours, theirs):
    """The mean of infinite numbers is infinite. (Equal elements, as in shared memory, are no noise.)"""
    return theirs.shares or any(np.isinf(np.asarray(a, complex)).any() for a in _numbers(case))


def beyond_int32(case, ours, theirs):
    """Exponents beyond int32 count as they are; the slope is the power, which does not wrap."""
    exponents = _numbers(case)[-1]
    if exponents.dtype.kind not in "iu":
        return False
    wraps = (exponents < 0) | (exponents > 62)
    return bool((wraps if ours.gradients else np.abs(wide(exponents)) > 2**31).any())


def with_gaps(case, ours, theirs):
    """A copy of a window, or of a tensor whose elements share memory, is dense."""
    x = case.inputs[case.args[0].index] if isinstance(case.args[0], Ref) else None
    return x is not None and (len(x.data) != x.numel or x.offset > 0 or theirs.shares)


def unsorted(case, ours, theirs):
    """Boundaries that are not sorted have no meaning, and the place among them is any."""
    for a in _numbers(case):
        if a.ndim and a.dtype.kind != "c" and not (np.diff(a.astype(float)) >= 0).all():
            return True
    return False


def shared_memory(case, ours, theirs):
    """Elements share memory: PyTorch's median then reads the memory behind them.

    Equal elements are no noise, by which layer_norm of a constant row would be known, and
    attention lies otherwise.
    """
    return theirs.shares


def near_one(case, ours, theirs):
    """The slope comes from the result, which is rounded to a number near 1."""
    pairs = zip(ours.gradients, theirs.gradients, strict=True)
    return all(
        (np.abs(wide(a[1]) - wide(b[1])) <= 8 * eps(a[1].dtype)).all() for a, b in pairs if a and b
    )


def complex_infinity(case, ours, theirs):
    """PyTorch's absolute value of infinity and nan as parts of one number is nan in its vectors."""
    return any(a.dtype.kind == "c" and not np.isfinite(a).all() for a in _numbers(case))


def subnormal(case, ours, theirs):
    """The result for the smallest numbers is infinite (PyTorch: nan)."""
    return any((np.abs(a) < 1e-37).any() for a in _numbers(case))


def singular(case, ours, theirs):
    """A determinant is 0, or what rounding leaves of it."""
    last = np.asarray(ours.tensors[-1][1]), np.asarray(theirs.tensors[-1][1])
    return any(np.isneginf(t.real).any() for t in last)


def of_complex(case, ours, theirs):
    """The gradient of complex silu is a conjugate. (That of PyTorch's in-place form is not.)"""
    return any(a.dtype.kind == "c" for a in _numbers(case))


def huge(case, ours, theirs):
    """The absolute value of a complex number overflows where that of its parts does not."""
    return any((np.abs(a) > 1e38).any() for a in _numbers(case))


def without_self(case, ours, theirs):
    """PyTorch counts the element of ``input`` among the extrema although it was left out."""
    text = str((case.args, case.named))
    return "False" in text and ("amax" in text or "amin" in text)


def of_itself(case, ours, theirs):
    """What is written is read as well."""
    return case.args.count(case.args[0]) > 1


def of_old(case, ours, theirs):
    """subtract(input, alpha, other), where PyTorch takes a 0-dim tensor for the one or the other."""
    return len(case.args) == 3


def out_of_another_size(case, ours, theirs):
    """Tensors in ``out`` are resized. (PyTorch's copies broadcast to them.) They get no history."""
    return "out" in dict(case.named)


def out_with_gaps(case, ours, theirs):
    """PyTorch's narrow_copy writes into ``out`` as if that were contiguous."""
    out = dict(case.named).get("out")
    return isinstance(out, Ref) and case.inputs[out.index].stride != dense(
        case.inputs[out.index].size
    )


def without_share(case, ours, theirs):
    """What does not depend on the tensor that requires a gradient requires none: copies, and nothing."""
    pairs = zip(ours.tensors, theirs.tensors, strict=True)
    apart = [(a[1].size, i) for i, (a, b) in enumerate(pairs) if a[3] != b[3]]
    return all(not size or (i and case.name == "triangular_solve") for size, i in apart)


def before_the_end(case, ours, theirs):
    """Indices behind the last offset are in no bag, and do not count in its mean."""
    named = dict(case.named)
    in_nn = case.name.startswith("nn.")
    indices = case.args[0 if in_nn else 1]
    offsets = named.get("offsets", case.args[2] if len(case.args) > 2 else None)
    is_last = named.get("include_last_offset", (case.args[9 if in_nn else 7 :] or [False])[0])
    if not is_last or not isinstance(indices, Ref) or not isinstance(offsets, Ref):
        return False
    ends = case.inputs[offsets.index]
    last = ends.data[ends.offset + (ends.numel - 1) * ends.stride[0]] if ends.numel else 0
    return last < case.inputs[indices.index].numel


#: The name → the kinds of differences, and the condition.
BY_NAME = {
    "pow": (("value", "input changed", "gradient"), zero_to_zero),
    "__pow__": (("value", "gradient"), zero_to_zero),
    "float_power": (("value", "input changed", "gradient"), zero_to_zero),
    "__rpow__": (("value", "gradient"), zero_to_zero),
    "zeta": (("value", "input changed", "gradient"), at_infinity),
    "polygamma": (("value", "input changed", "gradient"), nearer_to_poles),
    "var_mean": (("value",), infinite),
    "std_mean": (("value",), infinite),
    "ldexp": (("value", "input changed", "gradient"), beyond_int32),
    "select_scatter": (("value", "strides"), with_gaps),
    "slice_scatter": (("value", "strides"), with_gaps),
    "searchsorted": (("value",), unsorted),
    "bucketize": (("value",), unsorted),
    "median": (("value",), shared_memory),
    "nanmedian": (("value",), shared_memory),
    "narrow_copy": (("value",), out_with_gaps),
    "triangular_solve": (("requires_grad",), without_share),
    "lu_unpack": (("requires_grad",), without_share),
    "lu": (("value",), out_with_gaps),
    "tanh": (("gradient",), near_one),
    "rnn_tanh_cell": (("gradient",), near_one),
    "rnn_tanh": (("gradient",), near_one),
    "lstm_cell": (("gradient",), near_one),
    "lstm": (("gradient",), near_one),
    "polar": (("gradient",), huge),
    "silu": (("gradient",), of_complex),
    "linspace": (("requires_grad",), out_of_another_size),
    "logspace": (("requires_grad",), out_of_another_size),
    "layer_norm": (("value",), shared_memory),
    "scaled_dot_product_attention": (("strides",), shared_memory),
    "pairwise_distance": (("value", "gradient"), complex_infinity),
    "triplet_margin_loss": (("value", "gradient"), complex_infinity),
    "scaled_modified_bessel_k1": (("value", "input changed"), subnormal),
    "split_copy": (("input's shape", "shape"), out_of_another_size),
    "split_with_sizes_copy": (("input's shape", "shape"), out_of_another_size),
    "slogdet": (("value", "input changed"), singular),
    "logdet": (("value", "input changed"), singular),
    "scatter_reduce": (("gradient",), without_self),
    "index_reduce": (("gradient",), without_self),
    "masked_scatter": (("value", "input changed"), of_itself),
    "subtract": (("dtype",), of_old),
    "embedding_bag": (("value", "gradient"), before_the_end),
    "unbind_copy": (("input's shape", "shape"), out_of_another_size),
}


# Factors that are not unique ---------------------------------------------------------------------


def same_factors(case, ours, theirs, kind):
    """Whether factors differ by what LAPACK may choose: signs, and bases where a matrix has less rank.

    Products of the factors are the same, and those that are orthonormal in PyTorch are so here. Then
    the gradients are others as well.
    """
    name = case.name.rsplit(".")[-1]
    if (name, len(theirs.tensors)) not in (("svd", 3), ("qr", 2)):
        return False
    a, b = [[t[1] for t in o.tensors] for o in (ours, theirs)]
    if any(is_exact(t.dtype) or not np.isfinite(t).all() or not t.size for t in (*a, *b)):
        return False
    scale = float(max(eps(t.dtype) * max(np.abs(t).max(), 1) for t in b)) * 1000
    a, b = list(map(wide, a)), list(map(wide, b))
    near = lambda x, y: x.shape == y.shape and np.abs(x - y).max() <= scale
    if name == "svd" and kind == "gradient" and all(map(near, a, b)):
        return False
    if not all(map(near, map(_gram, a[:1]), map(_gram, b[:1]))):
        return False
    if name == "qr" and kind == "gradient":
        diagonal = np.abs(np.diagonal(b[1], axis1=-2, axis2=-1))
        return bool((diagonal <= scale).any())  # of less than full rank
    if name == "qr":
        return near(a[0] @ a[1], b[0] @ b[1])
    last = (lambda v: v) if case.name.startswith("linalg") else lambda v: v.conj().mT
    return near(a[1], b[1]) and near(*[_product(u, s, last(v)) for u, s, v in (a, b)])


def _product(U, S, Vh):
    k = S.shape[-1]
    return (U[..., :k] * S[..., None, :]) @ Vh[..., :k, :]


def _gram(q):
    return q.conj().mT @ q
