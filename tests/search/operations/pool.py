"""What is varied: the calls that the conformance samples make, as PyTorch sees them."""

import contextlib
import functools
import itertools
import random
import warnings

import numpy as np

import rushlight
from tests import conformance
from tests.samples import SAMPLES
from tests.search.calls import INPUTS, REST, names, run
from tests.search.operations.case import OPERATORS, Name
from tests.search.programs.scopes import array_of, torch

try:
    from torch.overrides import TorchFunctionMode, resolve_name
except ImportError:
    TorchFunctionMode = object

__all__ = ["Given", "pool"]

#: Parts of names: of memory that nobody wrote, of a process's state, and of what is no operation.
_UNFIT = (
    "empty", "resize", "seed", "grad", "requires", "dtype", "device", "layout", "storage", "is_",
    "set_", "share", "hook", "data_ptr", "num_threads", "memory", "names", "default", "tolist",
    "index__", "autocast", "version", "sparse", "compressed", "quant", "_foreach", "has_", "item",
    "current", "array", "lobpcg", "contains", "data.", "numpy", "pickle", "copy__", "type", "init",
)  # fmt: skip
_MOST = 400  # elements of an input, so that a script holds them
_CALLS = 60  # of a sample: some have loops
#: Of names that no sample calls: how many calls are wanted, and how many tried.
_WANTED, _TRIES = 3, 60


class Given:
    """A tensor of a recorded call: its numbers, and the order of its dims in memory."""

    def __init__(self, t):
        self.dtype = str(t.dtype).removeprefix("torch.")
        self._array = np.array(array_of(t))
        self.order = tuple(sorted(range(t.ndim), key=lambda d: -t.stride(d)))


class Unfit(Exception):
    """No script can hold the call."""


class _Recorder(TorchFunctionMode):
    """Notes the calls of functions and methods that are made under it."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.seen = set()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.count += 1
        if self.count > _CALLS:
            raise Unfit
        if function not in self.seen:
            self.seen.add(function)
            with contextlib.suppress(Unfit):
                self.calls += _call(function, args, kwargs)
        return function(*args, **kwargs)


def _call(function, args, kwargs):
    name = resolve_name(function)
    if name is None or any(part in name for part in _UNFIT):
        return []
    return [(name.removeprefix("torch."), _plain(args), _plain(kwargs))]


def _plain(value):
    """An argument without anything of PyTorch's."""
    if isinstance(value, torch.Tensor):
        if value.numel() > _MOST or str(value.dtype).removeprefix("torch.") not in DTYPES:
            raise Unfit
        return Given(value)
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, list):
        return list(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
        return Name(str(value).removeprefix("torch."))
    if value is None or value is ... or type(value) in (bool, int, float, complex, str, slice):
        return value
    raise Unfit


DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip


def _form(value):
    """What tells recorded arguments apart: not the numbers of tensors."""
    if isinstance(value, Given):
        return value.dtype, value._array.shape
    if isinstance(value, (tuple, list)):
        return list(map(_form, value))
    return {key: _form(v) for key, v in value.items()} if isinstance(value, dict) else value


def _of_samples(part):
    for s in SAMPLES.values():
        if part is not None and s.name not in part:
            continue
        recorder = _Recorder()
        torch.manual_seed(0)
        given = conformance.tensors(torch, s)
        with torch.enable_grad(), contextlib.suppress(Unfit), recorder:
            s.call(torch, *given)
        yield from recorder.calls


def _of_small_arguments(have):
    """Calls with small arguments that PyTorch takes, of public names that no sample calls."""
    choose = random.Random(0)
    for where, name in names(rushlight, torch):
        place = {"torch": "", "F": "nn.functional.", "Tensor": "Tensor."}[where]
        known = {name, name.removesuffix("_")} & have
        if known or any(part in place + name for part in _UNFIT):
            continue
        found = 0
        tries = list(itertools.product(INPUTS.values(), REST))
        for given, rest in choose.sample(tries, _TRIES):
            recorder = _Recorder()
            with recorder:
                _, outcome = run(torch, where, name, given, rest)
            if not isinstance(outcome, Exception):
                calls = [c for c in recorder.calls if c[0].endswith(f".{name}") or c[0] == name]
                yield from calls[:1]
                found += 1
            if found == _WANTED:
                break


def _is_public(name):
    """Whether rushlight has the name; of Python's own methods those that are written as operators."""
    last = name.removesuffix(".__get__").rsplit(".")[-1]
    if last.startswith("__"):
        return last in OPERATORS
    owner = rushlight
    for part in name.removesuffix(".__get__").split("."):
        owner = getattr(owner, part, None)
    return owner is not None


@functools.cache
def pool(part=None):
    """{name: [(args, named), ...]} with names as ``add`` and ``Tensor.add`` and ``linalg.inv``.

    ``part``: the names of the samples whose calls are taken. By default all are, and calls of
    further public names.
    """
    found: dict = {}
    seen = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calls = list(_of_samples(part))
        if part is None:
            calls += _of_small_arguments({name.rsplit(".")[-1] for name, _, _ in calls})
    for name, args, named in calls:
        name = name.removeprefix("functional.")
        if not _is_public(name):
            continue
        key = f"{name}{_form(args)}{_form(named)}"
        if key not in seen:
            seen.add(key)
            found.setdefault(name, []).append((args, named))
    return {name: found[name] for name in sorted(found)}
