"""Differences that are none: by their kind and its reason, not by operation.

Each function says whether a difference of a case is of its kind. It gets the case, rushlight's
outcome, PyTorch's outcome, and the difference.
"""

import re
from itertools import pairwise

import numpy as np

import rushlight
from rushlight.errors import DtypeError
from tests.search.operations.conditions import BY_NAME, same_factors
from tests.search.operations.documented import CONDITIONS

__all__ = ["is_excused"]


def lacks(case, ours, theirs, found):
    """PyTorch's CPU has no kernel for a dtype, or no derivative, and rushlight has one."""
    error = theirs.backward if "backward" in found.kind else theirs.error
    words = (
        "not implemented|Low precision dtypes|is not differentiable|automatic differentiation for|"
        "Autograd not support dtype|doesn't handle types|doesn't support tensors of type|"
        "of float, double, cfloat or cdouble"
    )
    return found.kind.endswith("takes") and re.search(words, str(error)) is not None


def broken(case, ours, theirs, found):
    """PyTorch breaks one of its own rules: an assertion of its code, or memory read past its end."""
    words = (
        "INTERNAL ASSERT|cannot be represented as a SymInt|std::bad_alloc|vector::|out of memory"
    )
    return any(re.search(words, str(e)) for e in (theirs.error, theirs.backward) if e)


def no_tensor(case, ours, theirs, found):
    """PyTorch's Python code reads an attribute of what is no tensor; rushlight says that it is none."""
    errors = (ours.error, theirs.error) if found.kind == "error" else (None, None)
    return isinstance(errors[0], TypeError) and isinstance(errors[1], AttributeError)


def narrower(case, ours, theirs, found):
    """The error is of a subclass, so that whoever catches PyTorch's catches it as well."""
    a, b = (
        (ours.backward, theirs.backward) if "backward" in found.kind else (ours.error, theirs.error)
    )
    return found.kind.endswith("error") and isinstance(a, type(b))


def conjugate(case, ours, theirs, found):
    """A conjugate has memory of its own: see docs/differences.md."""
    return found.kind == "memory" and theirs.conjugate


def mixed(case, ours, theirs, found):
    """What is written is also read: PyTorch's result depends on the order of both."""
    given = [v for key, v in case.named if key == "out"]
    outs = given[0] if given and isinstance(given[0], tuple) else given
    read = str([*case.args, *(v for key, v in case.named if key != "out")])
    reads = any(f"{out!r}" in read for out in outs)
    return found.kind in ("value", "shape", "input changed", "takes") and (
        reads or len({*map(repr, outs)}) < len(outs)
    )


def out_too(case, ours, theirs, found):
    """Methods, views and a few functions take ``out=``: see docs/differences.md."""
    error = str(theirs.error)
    return (
        found.kind in ("takes", "error")
        and isinstance(theirs.error, TypeError)
        and "out" in dict(case.named)
        and "out" in error
    )


def careful(case, ours, theirs, found):
    """rushlight refuses what goes wrong in silence: see docs/differences.md.

    These are writes to elements that share memory, ``out=`` that would lose a gradient, matrices
    with nan, and dtypes that only a tensor without elements gets through.
    """
    if found.kind != "refuses":
        return False
    words = "single memory location|functions with out=... arguments|contained non-finite values"
    empty = all(not t[1].size for t in theirs.tensors)
    refused = isinstance(ours.error, NotImplementedError | DtypeError)
    return re.search(words, str(ours.error)) is not None or (empty and refused)


def flags(case, ours, theirs, found):
    """A flag may be any truth value, and a bool a size: see docs/differences.md."""
    words = r"must be bool, not|must be tuple of ints, not bool|element of type bool"
    is_type = found.kind == "takes" and isinstance(theirs.error, TypeError)
    return is_type and re.search(words, str(theirs.error)) is not None


def padded(case, ours, theirs, found):
    """Zeros around an image, times an infinite weight, are nan or left out, by PyTorch's kernel.

    Attention's scores that are hidden, or infinite, likewise.
    """
    numbers = [v for x in case.inputs for v in x.data]
    attends = "attention" in case.name
    named = attends or any(word in case.name for word in ("conv", "lstm", "gru", "rnn"))
    most = 1e15 if attends else np.inf  # the square of a score
    return (
        named
        and found.kind in ("value", "gradient")
        and not (np.abs(np.asarray(numbers, complex)) < most).all()
    )


#: Functions that LAPACK computes, besides those of ``torch.linalg``.
_LAPACK = {
    "lu", "orgqr", "ormqr", "geqrf", "inverse", "pinverse", "cholesky_inverse", "cholesky_solve",
    "triangular_solve", "logdet",
}  # fmt: skip


def factored(case, ours, theirs, found):
    """The signs of singular vectors, and what becomes of nan, are up to LAPACK and the FFT."""
    name = case.name.rsplit(".")[-1]
    known = name in _LAPACK or hasattr(rushlight.linalg, name) or hasattr(rushlight.fft, name)
    if found.kind not in ("value", "input changed", "gradient") or not known:
        return False
    gradients = [g for g in theirs.gradients if g is not None and found.kind == "gradient"]
    if not all(np.isfinite(t[1]).all() for t in (*theirs.tensors, *gradients)):
        return True
    return same_factors(case, ours, theirs, found.kind)


def documented(case, ours, theirs, found):
    """docs/differences.md names it."""
    name = case.name.rsplit(".")[-1]
    kinds, condition = BY_NAME.get(name if name.endswith("__") else name.rstrip("_"), ((), None))
    return found.kind in kinds and condition(case, ours, theirs)


def comparison(case, ours, theirs, found):
    """Comparisons and logical operations in place leave no history: see docs/differences.md."""
    return found.kind == "requires_grad" and case.name.endswith("_") and _is_bool(case)


def resized(case, ours, theirs, found):
    """``out=`` of another size lies in memory as the result does; PyTorch's functions differ."""
    return found.kind == "strides" and "out" in dict(case.named)


def shared(case, ours, theirs, found):
    """A buffer of which several elements share memory gets the last one that is written."""
    return found.kind == "input changed" and theirs.shares


def composed(case, ours, theirs, found):
    """A function of several steps may write once where PyTorch's steps write, and lie otherwise."""
    if found.kind == "strides":
        return case.name == "einsum"
    function = getattr(rushlight, case.name.removesuffix("_"), None)
    pairs = zip(ours.versions, theirs.versions, strict=True)
    written = all(a == 0 or b > 0 for a, b in pairs)  # or nothing, where nothing changes
    return found.kind == "version" and written and not hasattr(function, "op")


def unordered(case, ours, theirs, found):
    """Boundaries that are not sorted have no meaning, and the place among them is any."""
    searches = ("searchsorted", "bucketize", "histogram")
    ascends = lambda x: all(a <= b for a, b in pairwise(x.data))
    named = found.kind == "value" and case.name.rsplit(".")[-1] in searches
    return named and not all(map(ascends, case.inputs))


def _is_bool(case):
    function = getattr(rushlight, case.name.removesuffix("_"), None)
    found = function and getattr(function, "op", None)
    return found and found.dtype is not None and not any(found.rules)


_KINDS = (
    lacks, careful, flags, padded, out_too, factored, broken, no_tensor, narrower, conjugate, mixed,
    documented, comparison, unordered, composed, shared, resized,
    *CONDITIONS,
)  # fmt: skip


def is_excused(case, ours, theirs, found):
    """Whether a difference is of a kind that has a reason."""
    return any(kind(case, ours, theirs, found) for kind in _KINDS)
