"""Functions over Python state: a compiled one must be what the eager one is.

``python -m tests.search.state --seed 7 --count 20000`` searches; a difference is printed as a script.
"""

import contextlib
import importlib.util
import itertools
import os
import sys
import tempfile
import types
import warnings
from dataclasses import dataclass, field

import numpy as np

import rushlight as torch
from tests.search.accesses import WRAPPING_LINES, WRAPPINGS, accesses_of
from tests.search.places import PLACES
from tests.search.uses import USES, VALUE_LINES, VALUES, WRITES

PROLOGUE = """import abc, argparse, array, collections, contextvars, copy, ctypes, dataclasses, datetime, decimal
import enum, fractions, functools, gc, inspect, io, itertools, json, locale, logging, math, mmap, operator
import os, pathlib, pickle, queue, random, secrets, sqlite3, statistics, struct, subprocess, sys, tempfile
import threading, time, types, uuid, warnings, weakref
import numpy as np
import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F

FIRST_SEEN = {}

def open_and_read(path):
    with open(path) as file:
        return file.read()

def open_and_write(path, text):
    with open(path, "w") as file:
        file.write(text)
"""
X = "torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]])"


@dataclass(frozen=True)
class Case:
    """A function that reads a place, and what is done to the place between its calls.

    Attributes:
        steps: Before each call: None, or a change and its value.
    """

    place: str
    access: str = "direct"
    wrapping: str = ""
    use: str = "scale"
    kind: str = "number"
    value: str = "2.0"
    steps: tuple = (None,)

    @property
    def source(self):
        """The module: the place, the function ``f`` and its changes."""
        place = PLACES[self.place]
        access = next(a for a in accesses_of(place) if a.name == self.access)
        read = WRAPPINGS[self.wrapping].replace("READ", access.expression)
        writes = self.use in WRITES
        use = (WRITES if writes else USES[self.kind])[self.use].replace("TARGET", place.target)
        body = f"v = {read}\n{use}"
        if writes and place.declare:
            body = f"{place.declare}\n{body}"
        head = place.head if "BODY" in place.head else place.head + "\n    BODY"
        parts = [PROLOGUE, VALUE_LINES, WRAPPING_LINES, place.setup, access.lines, _set_in(head, body)]
        for i, step in enumerate(self.steps):
            if step is not None:
                change, value = step
                lines = [place.declare] if place.declare.startswith("global") else []
                lines.append(place.changes[change].replace("VALUE", value))
                parts.append(_set_in(f"def change_{i}():\n    BODY", "\n".join(lines)))
        parts.append(f"def look():\n    return {place.look or place.read}")
        parts.append(_set_in("def restore():\n    BODY", place.restore or "pass"))
        return "\n\n".join(parts).replace("VALUE", self.value) + "\n"

    @property
    def script(self):
        """The same as a program that runs alone: eagerly, or compiled where it is told so."""
        lines = [self.source, "call_it = torch.compile(f) if 'compiled' in sys.argv else f"]
        for i, step in enumerate(self.steps):
            if step is not None:
                lines.append(f"change_{i}()")
            lines.append(f"print(call_it({X}), look())")
        return "\n".join(lines)


def _set_in(text, body):
    """Put ``body`` where BODY stands, indented as it is there."""
    line = next(line for line in text.splitlines() if "BODY" in line)
    margin = line[: line.index("BODY")]
    return text.replace("BODY", ("\n" + margin).join(body.splitlines()))


# A run ------------------------------------------------------------------------------------

_count = itertools.count()
_folder = tempfile.mkdtemp(prefix="rushlight-state-")


@contextlib.contextmanager
def loaded(source):
    """A module of this source, in a file of its own."""
    name = f"state_{next(_count)}"
    path = os.path.join(_folder, name + ".py")
    with open(path, "w") as file:
        file.write(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        with contextlib.suppress(Exception):
            module.restore()
        del sys.modules[name]
        os.remove(path)


def call_it(f, x):
    """What ``f(x)`` gives or raises."""
    marker = len(str(x.shape))  # noqa: F841
    try:
        return seen(f(x)), seen(x)
    except Exception as error:
        return type(error).__name__


@dataclass
class Run:
    """What the calls of a case gave, and what was warned of."""

    results: list = field(default_factory=list)
    warned: list = field(default_factory=list)


def run(case, compiled):
    """Load the case's module, and call its function after each change."""
    with warnings.catch_warnings(record=True) as caught, loaded(case.source) as module:
        warnings.simplefilter("always")
        f = torch.compile(module.f, options={"audit": False}) if compiled else module.f
        found = Run()
        for i, step in enumerate(case.steps):
            change = None
            if step is not None:
                try:
                    getattr(module, f"change_{i}")()
                except Exception as error:
                    change = type(error).__name__
            result = call_it(f, eval(X))
            try:
                state = seen(module.look())
            except Exception as error:
                state = type(error).__name__
            found.results.append((change, result, state))
        caught = [str(w.message) for w in caught]
    found.warned = [w for w in caught if "torch.compile: running eagerly" in w]
    if PLACES[case.place].fresh:
        news = [r[1] not in [s[1] for s in found.results[:i]] for i, r in enumerate(found.results)]
        found.results = news
    return found


def seen(value, depth=0):
    """``value`` as plain data, that two runs can be compared by."""
    if isinstance(value, torch.Tensor):
        grad = value.grad if value.is_leaf else None
        return ("tensor", str(value.dtype), value.requires_grad, value.detach().numpy().copy().tolist(), seen(grad))
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), value.tolist())
    if value is None or isinstance(value, (bool, int, float, str, bytes, complex, np.generic)):
        return (type(value).__name__, value)
    if depth > 6:
        return "deep"
    if isinstance(value, dict):
        return (type(value).__name__, [(seen(k), seen(v, depth + 1)) for k, v in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [seen(v, depth + 1) for v in value])
    if isinstance(value, types.FunctionType):
        return ("function", value.__name__)
    own = getattr(value, "__dict__", None)
    return (type(value).__name__, seen(dict(own), depth + 1) if type(own) is dict else None)


def same(a, b):
    """Whether two runs saw the same, numbers up to rounding."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a == b or (a != a and b != b) or abs(a - b) <= 1e-5 * max(abs(a), abs(b), 1.0)
    return bool(a == b)


def difference(case):
    """What a compiled run of ``case`` gave, and the eager run, where they differ; else None."""
    eager, compiled = run(case, False), run(case, True)
    if same(eager.results, compiled.results):
        return None
    for i, (a, b) in enumerate(zip(eager.results, compiled.results, strict=True)):
        if not same(a, b):
            return f"call {i}: eager {a}\n        compiled {b}\n warned {compiled.warned}"
    raise AssertionError
