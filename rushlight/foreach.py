"""``torch._foreach_add`` and its relatives: one operation on each tensor of a list.

PyTorch has them because one kernel on a GPU serves a whole list. Here each is a loop over the list,
which becomes one program on a device if no gradient is recorded; see ``far_programs.py``.
Functions without a trailing underscore return a tuple; the others write into the tensors and return
their list.
"""

from functools import wraps

from rushlight.autograd import mode
from rushlight.autograd.write import check_write
from rushlight.far_programs import FarProgram
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.outputs import in_place
from rushlight.tensor import Tensor

__all__: list[str] = []  # all names are private in PyTorch, too

_UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 "
    "neg reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
)
_BINARY = "add sub mul div pow clamp_max clamp_min maximum minimum"
#: Operations that take tensors only, and those that take numbers instead.
_OF_NUMBERS = {"maximum": "clamp_min", "minimum": "clamp_max"}


def _asking(call, writes=False):
    """``call``, which classes and modes may take over as a whole.

    ``writes``: the result is the first list, which is written.
    """
    far = FarProgram(call)

    @wraps(call)
    def asking(*args, **named):
        if mode.intercept > mode.metas:
            found = overridden(asking, args, named, deep=True)
            if found is not NotImplemented:
                return found
        first = args[0] if args else None
        if not mode.metas or mode.records() or not isinstance(first, (tuple, list)) or not first:
            return call(*args, **named)
        found = far(getattr(first[0], "_array", None), *args, **named)
        return first if writes else found

    return asking


def _asking_writer(call):
    return _asking(call, writes=True)


def _checked(tensors):
    if not isinstance(tensors, (tuple, list)) or not all(isinstance(t, Tensor) for t in tensors):
        raise TypeError("_foreach: expected a tuple or list of Tensors")
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return tensors


def _writable(tensors, name):
    """``tensors`` after checks of them all, so that an error leaves none of them written."""
    for t in _checked(tensors):
        check_write(t, name)
    return tensors


def _spread(other, n):
    """Return ``n`` operands: those of a list, or one number or tensor for all."""
    if not isinstance(other, (tuple, list)):
        return [other] * n
    if len(other) != n:
        kind = "Tensor" if other and isinstance(other[0], Tensor) else "Scalar"
        raise RuntimeError(
            f"{kind} lists must have the same number of tensors, got {n} and {len(other)}"
        )
    return other


def _in_place(name):
    found = Tensor.__dict__.get(name + "_")
    return in_place(FUNCTIONS[name], name + "_") if found is None else found


def _publish(name, run):
    """Publish ``run(operation, tensors, …)``, a list of results, for ``name`` and ``name_``."""

    def each(*args, **named):
        return tuple(run(lambda n: FUNCTIONS[n], *args, **named))

    def each_(self, *args, **named):
        run(_in_place, _writable(self, name + "_"), *args, **named)
        return self

    for call, source in ((each, name), (each_, name + "_")):
        title = f"_foreach_{source}"
        call.__name__ = call.__qualname__ = title
        call.__doc__ = f"Apply ``{source}`` to each tensor of a list."
        globals()[title] = _asking(call, call is each_)


def _unary(name):
    def run(find, self):
        return [find(name)(t) for t in _checked(self)]

    return run


def _binary(name):
    def run(find, self, other, **named):
        if not isinstance(self, (tuple, list)):  # pow of a number
            return [find(name)(self, t) for t in _checked(other)]
        pairs = zip(_checked(self), _spread(other, len(self)), strict=True)
        return [
            find(name if isinstance(y, Tensor) else _OF_NUMBERS.get(name, name))(x, y, **named)
            for x, y in pairs
        ]

    return run


def _ternary(name):
    def run(find, self, tensor1, tensor2, value=1, scalars=None):
        n = len(_checked(self))
        value = value if scalars is None else scalars
        values = value.tolist() if isinstance(value, Tensor) else value
        operands = [_spread(part, n) for part in (tensor1, tensor2, values)]
        return [find(name)(x, a, b, value=v) for x, a, b, v in zip(self, *operands, strict=True)]

    return run


def _lerp(find, self, tensors1, weight):
    n = len(_checked(self))
    operands = zip(self, _spread(tensors1, n), _spread(weight, n), strict=True)
    return [find("lerp")(x, y, w) for x, y, w in operands]


for _name in _UNARY.split():
    _publish(_name, _unary(_name))
for _name in _BINARY.split():
    _publish(_name, _binary(_name))
for _name in ("addcdiv", "addcmul"):
    _publish(_name, _ternary(_name))
_publish("lerp", _lerp)


@_asking
def _foreach_clone(self, *, memory_format=None):
    """Return a copy of each tensor."""
    named = {} if memory_format is None else {"memory_format": memory_format}
    return tuple([t.clone(**named) for t in _checked(self)])


@_asking_writer
def _foreach_copy_(self, src, non_blocking=False):
    """Write each tensor of ``src`` into the tensor at its place."""
    for x, y in zip(_writable(self, "copy_"), _spread(src, len(self)), strict=True):
        x.copy_(y)
    return self


@_asking_writer
def _foreach_zero_(self):
    """Set all elements of all tensors to 0."""
    for x in _writable(self, "zero_"):
        x.zero_()
    return self


@_asking
def _foreach_norm(self, ord=2, dtype=None):
    """Return the norm of each tensor, over all its elements."""
    return tuple([t.reshape(-1).norm(ord, dtype=dtype) for t in _checked(self)])


@_asking
def _foreach_max(self):
    """Return the largest element of each tensor."""
    return tuple([t.max() for t in _checked(self)])


@_asking
def _foreach_powsum(self, ord=2, dtype=None):
    """Return the sum of the absolute values to the power ``ord``, for each tensor."""
    return tuple([t.abs().pow(ord).sum(dtype=dtype) for t in _checked(self)])


@_asking
def _foreach_mm(self, mat2):
    """Return the product of each tensor and the matrix at its place in ``mat2``."""
    return tuple([x.mm(y) for x, y in zip(_checked(self), _spread(mat2, len(self)), strict=True)])
