"""PyTorch's database of operators and modules, with samples of arguments, for rushlight.

PyTorch tests its own operators on these samples, which come with it: ``torch.testing._internal``.
A sample's tensors become rushlight's, with their strides, aliases and marks; a function that the
database wrote around an operator is run with rushlight in the place of PyTorch.
"""

import types

import ml_dtypes
import numpy as np
import torch

import rushlight
from tests.search.programs.scopes import array_of

__all__ = ["Other", "difference", "outcome", "resolved"]


class Other(Exception):
    """An argument that has no counterpart: a sparse tensor, a generator, a subclass."""


# Arguments --------------------------------------------------------------------------------


_FUNCTIONS = types.FunctionType, types.BuiltinFunctionType


class Twins:
    """Rushlight's counterparts of PyTorch's values; one storage has one counterpart."""

    def __init__(self):
        self.known = {}

    def of(self, x):
        if isinstance(x, torch.Tensor):
            if id(x) not in self.known:
                self.known[id(x)] = self._tensor(x), x  # ``x`` lives on, so its id stays its own
            return self.known[id(x)][0]
        if isinstance(x, (torch.Generator, torch.nn.Module)):
            raise Other(type(x).__name__)
        if isinstance(x, (torch.dtype, torch.memory_format, torch.layout)):
            return getattr(rushlight, str(x).removeprefix("torch."))
        if isinstance(x, torch.device):
            return rushlight.device(str(x))
        if isinstance(x, torch.Size):
            return rushlight.Size(x)
        if isinstance(x, (list, tuple)):
            return type(x)([self.of(v) for v in x])
        if isinstance(x, dict):
            return {name: self.of(v) for name, v in x.items()}
        return _counterpart(x) if isinstance(x, _FUNCTIONS) else x

    def _tensor(self, x):
        if type(x) not in (torch.Tensor, torch.nn.Parameter) or x.layout is not torch.strided:
            raise Other(f"{type(x).__name__} {x.layout}")
        bare = x.detach()
        conj, neg = bare.is_conj(), bare.is_neg()
        bare = bare.conj() if conj else bare
        bare = torch._neg_view(bare) if neg else bare
        whole = self._memory(bare.untyped_storage(), bare.element_size())
        dtype = self.of(bare.dtype)
        place = tuple(bare.shape), bare.stride()
        if bare.numel():
            twin = whole.view(dtype).as_strided(*place, bare.storage_offset())
        else:
            twin = rushlight.empty_strided(*place, dtype=dtype)
        twin = twin.conj() if conj else twin
        twin = rushlight._neg_view(twin) if neg else twin
        return twin.detach().requires_grad_(x.requires_grad)

    def _memory(self, storage, itemsize):
        key = storage.data_ptr(), storage.nbytes()
        if key not in self.known:
            numbers = torch.empty(0, dtype=torch.uint8).set_(storage).numpy().copy()
            self.known[key] = rushlight.from_numpy(numbers), storage
        whole = self.known[key][0]
        return whole[: len(whole) // itemsize * itemsize]


def with_rushlight(function):
    """``function`` with rushlight wherever it says ``torch``."""
    names = {**function.__globals__, "torch": rushlight, "F": rushlight.nn.functional}
    if "wrapper_set_seed" in names:
        names["wrapper_set_seed"] = _seeded
    cells = [types.CellType(_counterpart(c.cell_contents)) for c in function.__closure__ or ()]
    twin = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, tuple(cells)
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def _seeded(function, *args, **named):
    rushlight.manual_seed(42)
    return function(*args, **named)


def _counterpart(x):
    if not isinstance(x, _FUNCTIONS):
        return x
    own = isinstance(x, types.FunctionType) and x.__module__.startswith("torch.testing")
    return with_rushlight(x) if own else resolved(x.__name__)


def resolved(name):
    """What rushlight has under a name of ``torch``, of a Tensor or of ``nn.functional``."""
    for start in (rushlight, rushlight.Tensor, rushlight.nn.functional):
        found = start
        for part in name.removeprefix("torch.").split("."):
            found = getattr(found, part, None)
        if found is not None:
            return found
    raise Other(name)


# Outcomes ---------------------------------------------------------------------------------


def outcome(framework, call, args, named):
    """(error, tensors of the result, error of backward, gradients) of a call."""
    given = [t for t in _tensors(framework, [args, named]) if t.requires_grad]
    for t in given:
        t.retain_grad()
        t.grad = None
    framework.manual_seed(0)
    try:
        results = _tensors(framework, call(*args, **named))
    except Exception as error:
        return error, [], None, []
    total = None
    for t in results:
        if t.requires_grad:
            t = framework.view_as_real(t.resolve_conj()) if t.is_complex() else t
            weights = framework.cos(framework.arange(t.numel(), dtype=framework.float64))
            part = (t * weights.to(t.dtype).reshape(tuple(t.shape))).sum().double()
            total = part if total is None else total + part
    try:
        if total is not None:
            total.backward()
    except Exception as error:
        return None, results, error, []
    return None, results, None, [t.grad for t in given]


def _tensors(framework, x):
    if isinstance(x, framework.Tensor):
        return [x]
    if isinstance(x, dict):
        x = [*x.values()]
    return (
        [t for part in x for t in _tensors(framework, part)] if isinstance(x, (list, tuple)) else []
    )


def difference(found, want, compiled=False):
    """What is wrong with an ``outcome``, in words, or None.

    ``compiled``: a result may be contiguous where the other is not.
    """
    error, results, backward, gradients = found
    other_error, others, other_backward, other_gradients = want
    if (error is None) is not (other_error is None):
        return f"{error!r} instead of {other_error!r}"
    if len(results) != len(others):
        return f"{len(results)} tensors instead of {len(others)}"
    for i, (x, y) in enumerate(zip(results, others, strict=True)):
        wrong = _numbers(x, y, 1) or _looks(x, y, compiled and x.is_contiguous())
        if wrong:
            return f"result {i}: {wrong}"
    if other_backward is not None:
        return None  # rushlight may do more
    if backward is not None:
        return f"backward: {backward!r}"
    for i, (x, y) in enumerate(zip(gradients, other_gradients, strict=True)):
        wrong = None if y is None else "none" if x is None else _numbers(x, y, 8)
        if wrong:
            return f"gradient {i}: {wrong}"
    return None


def _looks(x, y, any_strides):
    if x.requires_grad is not y.requires_grad:
        return f"requires_grad {x.requires_grad}"
    steps = [
        [step for step, n in zip(t.stride(), t.shape, strict=True) if n > 1 and t.numel()]
        for t in (x, y)
    ]
    return (
        None
        if any_strides or steps[0] == steps[1]
        else f"strides {x.stride()} instead of {y.stride()}"
    )


def _numbers(x, y, factor):
    """What is wrong with the dtype, shape and numbers of ``x``; a ``factor`` for the rounding."""
    if y.layout is not torch.strided or y.dtype is torch.complex32:
        return None
    x, y = array_of(x), array_of(y)
    if x.dtype != y.dtype or x.shape != y.shape:
        return f"{x.dtype} {x.shape} instead of {y.dtype} {y.shape}"
    if x.dtype.kind in "biu":
        wrong = x != y
    else:
        wide = np.complex128 if x.dtype.kind == "c" else np.float64
        eps = float(ml_dtypes.finfo(x.dtype).eps)
        with np.errstate(all="ignore"):
            x, y = x.astype(wide), y.astype(wide)
            most = np.max(np.abs(y), where=np.isfinite(y), initial=0.0)
            close = np.abs(x - y) <= factor * eps * (32 * np.abs(y) + 16 * most + 4)
        wrong = ~(close | (x == y) | (np.isnan(x) & np.isnan(y)))
        if wide is np.complex128:
            wrong &= np.isfinite(x) | np.isfinite(y)
    if not wrong.any():
        return None
    at = tuple([int(i[0]) for i in np.nonzero(wrong)])
    return f"{x[at]} instead of {y[at]} at {at}, {np.count_nonzero(wrong)} of {wrong.size}"
