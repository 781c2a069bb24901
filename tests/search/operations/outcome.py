"""What a case gives in one framework, and how two outcomes differ."""

import builtins
import warnings
from dataclasses import dataclass, field, replace
from math import inf, nan

import numpy as np

import rushlight
from tests.search.operations.case import Name, dense, incoming
from tests.search.operations.reasons import is_excused
from tests.search.programs.comparing import Difference, mismatch
from tests.search.programs.scopes import (
    address,
    array_of,
    is_exact,
    layout,
    overlaps,
    shake,
    torch,
    wide,
)

__all__ = ["difference", "evaluated"]

_NOISES = 4
_NOISE = 4.0  # in eps of each number
_DIGITS = 64  # errors that are allowed without a closer look, in eps of the largest number


def _names(T, case):
    names = {"T": T, "inf": inf, "nan": nan}
    exec(case.making, names)
    return names


def evaluated(T, case):
    """The result of a case, without a gradient."""
    with T.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(case.call, _names(T, case))


@dataclass
class Outcome:
    """Of one run: the error, or what can be seen of the results, the inputs and the gradients."""

    error: Exception | None = None
    structure: object = None
    tensors: list = field(default_factory=list)  # of (dtype, array, strides, requires_grad)
    aliases: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    versions: list = field(default_factory=list)
    backward: Exception | None = None
    gradients: list = field(default_factory=list)
    conjugate: bool = False  # a result is a view that reads its memory as conjugates
    shares: bool = False  # an input has two elements in one place
    overlapping: bool = False  # a tensor that was written has two elements in one place


def _take_apart(T, found, tensors):
    """The structure of a result; its tensors are appended to ``tensors``."""
    if isinstance(found, T.Tensor):
        tensors.append(found)
        return "tensor"
    if isinstance(found, T.Size):
        return tuple(found)
    if isinstance(found, (tuple, list)):
        name = type(found).__name__.removesuffix("_out")
        kind = getattr(found, "_fields", None) or ("tuple" if name.startswith("_") else name)
        return kind, [_take_apart(T, part, tensors) for part in found]
    if isinstance(found, dict):
        return {key: _take_apart(T, part, tensors) for key, part in found.items()}
    return found if isinstance(found, (bool, int, float, complex)) else str(found)


def _numbers(t):
    if "complex32" in str(t.dtype):
        t = t.to((torch if isinstance(t, torch.Tensor) else rushlight).complex64)
    return np.array(array_of(t))


def _whole(t):
    """The numbers of a tensor's whole memory."""
    base = t.detach()
    size = base.untyped_storage().nbytes() // base.element_size()
    return _numbers(base.as_strided((size,), (1,), 0))


def run(T, case, noise=0, twice=False):
    """The outcome of a case; ``noise`` is the seed of changes in the last digits of the inputs."""
    names = _names(T, case)
    inputs = [names[f"x{i}"] for i in range(len(case.inputs))]
    leaves = [names.get(f"leaf_x{i}", inputs[i]) for i, x in enumerate(case.inputs) if x.grad]
    if noise:
        random = np.random.default_rng(noise)
        for x in inputs:
            if not is_exact(array_of(x).dtype) and x.numel():
                base = x.detach()
                size = base.untyped_storage().nbytes() // base.element_size()
                shake(array_of(base.as_strided((size,), (1,), 0)), _NOISE, random)
    before = [x._version for x in inputs]
    places = [address(x) for x in inputs]
    outcome = Outcome()
    T.manual_seed(0)
    try:
        found = eval(case.call, names)
    except Exception as error:
        outcome.error = error
        found = ()
    results: list = []
    outcome.structure = _take_apart(T, found, results)
    outcome.conjugate = any(t.is_conj() or t.is_neg() for t in results)
    outcome.tensors = [(str(t.dtype), _numbers(t), layout(t), t.requires_grad) for t in results]
    outcome.aliases = [
        [
            t is x or (place is not None and address(t) == place)
            for x, place in zip(inputs, places, strict=True)
        ]
        for t in results
    ]
    outcome.inputs = [(tuple(x.shape), _whole(x)) for x in inputs]
    outcome.versions = [x._version - v for x, v in zip(inputs, before, strict=True)]
    outcome.shares = any(map(overlaps, inputs))
    outcome.overlapping = any(
        n and overlaps(x) for n, x in zip(outcome.versions, inputs, strict=True)
    )
    if outcome.error is None and leaves:
        try:
            outcome.gradients = _gradients(T, results, leaves)
        except Exception as error:
            outcome.backward = error
    return outcome


def _gradients(T, results, leaves):
    outs = [t for t in results if t.requires_grad]
    if not outs:
        return []
    seeds = []
    for i, t in enumerate(outs):
        weights = incoming(tuple(t.shape), t.is_complex(), i)
        seeds.append(T.from_numpy(np.asarray(weights)).to(t.dtype))
    found = T.autograd.grad(outs, leaves, seeds, allow_unused=True)
    return [None if g is None else (str(g.dtype), _numbers(g)) for g in found]


# Comparing ------------------------------------------------------------------------------------


def _class(error):
    """The class of Python's own that an error is of."""
    return next(c for c in type(error).__mro__ if c.__module__ == builtins.__name__)


def difference(case, between=lambda: None):
    """How rushlight's outcome differs from PyTorch's, or None.

    ``between`` is called when rushlight has run and PyTorch has not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = run(rushlight, case)
        between()
        try:
            theirs = run(torch, case)
        except ValueError:  # a tensor of negative size
            return None
        if any("complex32" in t[0] for t in theirs.tensors):
            return None  # there is none
        found = _Comparison(case, ours, theirs).difference()
        return None if found is None or is_excused(case, ours, theirs, found) else found


class _Comparison:
    def __init__(self, case, ours, theirs):
        self.case, self.ours, self.theirs = case, ours, theirs
        self.others = None

    def difference(self):
        ours, theirs = self.ours, self.theirs
        if ours.error is not None or theirs.error is not None:
            return _errors("", ours.error, theirs.error)
        if (found := self.structure()) is not None:
            return found
        for i, (a, b) in enumerate(zip(ours.tensors, theirs.tensors, strict=True)):
            if a[0] != b[0]:
                return Difference("dtype", f"result {i}: {a[0]} instead of {b[0]}")
            if a[1].shape != b[1].shape:
                return Difference("shape", f"result {i}: {a[1].shape} instead of {b[1].shape}")
            if a[3] != b[3]:
                return Difference("requires_grad", f"result {i}: {a[3]} instead of {b[3]}")
            wrong = self.numbers(a[1], b[1], lambda o, i=i: o.tensors[i][1])
            if wrong:
                return Difference("value", f"result {i}: {wrong}")
        if ours.aliases != theirs.aliases:
            return Difference("memory", f"{ours.aliases} instead of {theirs.aliases}")
        for i, (a, b) in enumerate(zip(ours.tensors, theirs.tensors, strict=True)):
            if a[2] != b[2]:
                return Difference("strides", f"result {i}: {a[2]} instead of {b[2]}")
        return self.of_inputs() or self.of_gradients()

    def structure(self):
        a, b = self.ours.structure, self.theirs.structure
        if isinstance(a, float) and isinstance(b, float):
            wrong = self.numbers(np.float64(a), np.float64(b), lambda o: np.float64(o.structure))
            return Difference("value", wrong) if wrong else None
        if type(a) is type(b) and str(a) == str(b):
            return None
        return Difference("structure", f"{a} instead of {b}")

    def of_inputs(self):
        ours, theirs = self.ours, self.theirs
        for i, (a, b) in enumerate(zip(ours.inputs, theirs.inputs, strict=True)):
            if a[0] != b[0]:
                return Difference("input's shape", f"input {i}: {a[0]} instead of {b[0]}")
            wrong = a[1].shape == b[1].shape and self.numbers(
                a[1], b[1], lambda o, i=i: o.inputs[i][1]
            )
            if wrong:
                return Difference("input changed", f"input {i}: {wrong}")
        if ours.versions != theirs.versions:
            return Difference("version", f"{ours.versions} instead of {theirs.versions}")
        return None

    def of_gradients(self):
        ours, theirs = self.ours, self.theirs
        if ours.backward is not None or theirs.backward is not None:
            return _errors("backward ", ours.backward, theirs.backward)
        if len(ours.gradients) != len(theirs.gradients):
            return Difference("gradient none", "no gradients in one of the frameworks")
        for i, (a, b) in enumerate(zip(ours.gradients, theirs.gradients, strict=True)):
            if (a is None) != (b is None):
                return Difference("gradient none", f"of leaf {i}: {a} instead of {b}")
            if a is None:
                continue
            if a[0] != b[0] or a[1].shape != b[1].shape:
                return Difference(
                    "gradient dtype",
                    f"of leaf {i}: {a[0]} {a[1].shape} instead of {b[0]} {b[1].shape}",
                )
            wrong = self.numbers(a[1], b[1], lambda o, i=i: o.gradients[i][1])
            if wrong:
                return Difference("gradient", f"of leaf {i}: {wrong}")
        return None

    # Numbers --------------------------------------------------------------------------------

    def numbers(self, found, want, part):
        """What is wrong with numbers, in words, or None. ``part`` takes them from an outcome."""
        floor = _size(want) if not is_exact(want.dtype) else 0.0
        if "out" in dict(self.case.named) and want.dtype in (np.float64, np.complex128):
            floor *= 1 + float(
                np.finfo(np.float32).eps / np.finfo(np.float64).eps
            )  # it was float32
        if not mismatch(found, want, [], _DIGITS * floor, _DIGITS):
            return None
        if self.ours.overlapping or _out_of_range(self.case, want):
            return None
        if not is_exact(found.dtype) and _may_overflow(self.case):
            # Where sums and products overflow in between depends on their order.
            apart = ~(np.isfinite(wide(found)) & np.isfinite(wide(want)))
            found = np.where(apart, want, found)
        noisy = []
        for k, other in enumerate(self.noisy()):
            try:
                if k <= _NOISES or part(other).shape == want.shape:
                    noisy.append(part(other))
            except (IndexError, TypeError):  # noise makes it another result, or an error
                return None
        wrong = mismatch(found, want, noisy, _DIGITS * floor, _DIGITS)
        if wrong and not is_exact(want.dtype) and self.is_nearer(found, want, part):
            return None
        if wrong and self.was_single(want, part):
            floor *= 1 + float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
            return mismatch(found, want, noisy, _DIGITS * floor, _DIGITS)
        return wrong

    def was_single(self, want, part):
        """Whether PyTorch's float64 was float32 in between: functions of integers are.

        PyTorch's own number is another one if functions of integers are float64.
        """
        if want.dtype not in (np.float64, np.complex128):
            return False
        exact = self.in_double(self.case, part)
        return mismatch(exact, want, [], _DIGITS * _size(want), _DIGITS) is not None

    def in_double(self, case, part):
        """Numbers of PyTorch's where functions of integers, and new tensors, are float64."""
        torch.set_default_dtype(torch.float64)
        try:
            return part(run(torch, case))
        finally:
            torch.set_default_dtype(torch.float32)

    def noisy(self):
        """Outcomes of PyTorch's: a second one, and those of inputs that differ in the last digits."""
        if self.others is None:
            cases = [self.case, _unshared(self.case)] if self.theirs.shares else [self.case]
            self.others = [
                run(torch, self.case),
                *(run(torch, case, k + 1) for case in cases for k in range(_NOISES)),
            ]
        return self.others

    def is_nearer(self, found, want, part):
        """Whether PyTorch's own numbers in double precision say that ours are no worse than its."""
        try:
            exact = self.in_double(_doubled(self.case), part)
        except Exception:
            return False
        if exact.shape != want.shape or is_exact(exact.dtype):
            return False
        exact, found, want = wide(exact), wide(found), wide(want)
        with np.errstate(all="ignore"):
            eps = float(np.finfo(np.float64).eps)
            same = (found == exact) | (np.isnan(found) & np.isnan(exact)) | (found == want)
            error = np.abs(want - exact)
            finite = error[np.isfinite(error)]
            usual = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
            slack = error + usual + eps  # its own error at one element may be small by chance
            near = np.abs(found - exact) <= slack
            near |= (
                np.isnan(want) & ~np.isnan(exact) & (np.abs(found - exact) <= 0.2 * np.abs(exact))
            )
        return bool(np.all(same | near | (np.isnan(found) & np.isnan(want))))


def _size(x):
    """The largest finite number of an array."""
    x = np.abs(wide(x))
    return float(np.max(x, where=np.isfinite(x), initial=0.0))


#: By dtypes: from where on a product of several numbers may overflow.
_HUGE = {"float16": 16.0, "float64": 1e77, "complex128": 1e77}


def _may_overflow(case):
    """Whether an operation of several numbers, or a gradient, has huge ones."""
    function = getattr(rushlight, case.name.removesuffix("_"), None)
    is_elementwise = getattr(getattr(function, "op", None), "kind", "") == "elementwise"
    if is_elementwise and not any(x.grad for x in case.inputs):
        return False
    numbers = [(float(np.abs(v)), _HUGE.get(x.dtype, 1e9)) for x in case.inputs for v in x.data]
    numbers += [(abs(v), 1e9) for _, v in case.named if isinstance(v, float)]
    return any(limit < v < inf for v, limit in numbers)


def _unshared(case):
    """The case with inputs whose elements have places of their own, so that each has its own noise."""

    def alone(x):
        at = x.offset + sum(np.indices(x.size)[d] * s for d, s in enumerate(x.stride))
        data = tuple([x.data[i] for i in np.ravel(at)]) if x.numel else ()
        return replace(x, data=data, stride=dense(x.size), offset=0)

    return replace(case, inputs=tuple(map(alone, case.inputs)))


def _doubled(case):
    to = {
        "float16": "float64",
        "bfloat16": "float64",
        "float32": "float64",
        "complex64": "complex128",
    }
    inputs = tuple([replace(x, dtype=to.get(x.dtype, x.dtype)) for x in case.inputs])
    double = lambda v: Name(to.get(v.text, v.text)) if isinstance(v, Name) else v
    named = tuple([(key, double(v)) for key, v in case.named])
    return replace(case, inputs=inputs, args=tuple(map(double, case.args)), named=named)


def _out_of_range(case, want):
    """Whether integers may come of floats that are none: what they are is up to the processor."""
    if want.dtype.kind not in "iu":
        return False
    limits = np.iinfo(want.dtype)
    numbers = [v for x in case.inputs for v in x.data if isinstance(v, (float, complex))]
    numbers += [
        v for v in (*case.args, *(v for _, v in case.named)) if isinstance(v, (float, complex))
    ]
    real = [abs(v) for v in numbers]
    return any(v != v or v > limits.max // 2 for v in real)


def _errors(where, ours, theirs):
    if ours is None:
        return Difference(f"{where}takes", f"PyTorch raises {theirs!r}")
    if theirs is None:
        return Difference(f"{where}refuses", repr(ours))
    if _class(ours) is not _class(theirs):
        return Difference(f"{where}error", f"{ours!r} instead of {theirs!r}")
    return None
