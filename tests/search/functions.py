"""Cases: functions over Python state as source, and what is done to the state between calls."""

import re
from dataclasses import dataclass

from tests.search.accesses import WRAPPING_LINES, WRAPPINGS, accesses_of
from tests.search.effects import EFFECTS
from tests.search.places import PLACES
from tests.search.uses import USES, VALUE_LINES, WRITES

__all__ = ["FORMS", "INPUTS", "MODES", "WAYS", "Case", "Part", "Step"]

PROLOGUE = """import abc, argparse, array, collections, concurrent.futures, contextlib, contextvars, copy, ctypes, dataclasses
import datetime, decimal, enum, fractions, functools, gc, inspect, io, itertools, json, locale
import logging, math, mmap, operator, os, pathlib, pickle, queue, random, secrets, sqlite3
import statistics, struct, subprocess, sys, tempfile, threading, time, types, uuid, warnings, weakref
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
#: The argument ``x`` of a call; SAME is one tensor for all calls.
INPUTS = [
    "torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]])",
    "SAME",
    "torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]], requires_grad=True)",
    "torch.tensor([[1.0, -2.0, 3.0]])",
    "torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]], dtype=torch.float64)",
    "torch.tensor([[1.0, 0.5], [-2.0, 2.0], [3.0, -1.0]]).t()",
    "SAME[:1]",
    "SAME[:, :1].expand(2, 3)",
    "torch.tensor([[1, -2, 3], [4, 2, -1]])",
    "torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]]).bfloat16()",
    "nn.Parameter(torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]]))",
    "torch.ones(2, 3, requires_grad=True) * 2",
    "torch.zeros(0, 3)",
    "SAME.detach()",
]
#: What a call runs in.
MODES = [
    "contextlib.nullcontext()",
    "torch.no_grad()",
    "torch.inference_mode()",
    "torch.autocast('cpu', dtype=torch.bfloat16)",
    "torch.set_grad_enabled(False)",
    "torch.random.fork_rng()",
]
#: How it is called.
WAYS = ["(lambda call: call())", "in_a_thread", "contextvars.copy_context().run", "below"]
#: What is compiled, which calls ``f``.
FORMS = {
    "function": "form = f",
    "module": "class Net(nn.Module):\n    def forward(self, *a, **k):\n        return f(*a, **k)\n\n\nform = Net()",
    "method": "class Caller:\n    def method(self, *a, **k):\n        return f(*a, **k)\n\n\nform = Caller().method",
    "object": "class Called:\n    def __call__(self, *a, **k):\n        return f(*a, **k)\n\n\nform = Called()",
    "partial": "form = functools.partial(f)",
    "decorated": "form = decorate(f)",
    "step": "def form(*a, **k):\n    with torch.enable_grad():\n        return f(*a, **k)",
}


@dataclass(frozen=True)
class Part:
    """A function that reads one place: ``access`` in ``wrapping`` gives what ``use`` uses."""

    place: str
    kind: str = "number"
    value: str = "2.0"
    use: str = "scale"
    access: str = "direct"
    wrapping: str = ""


@dataclass(frozen=True)
class Step:
    """A call, and what comes before it: ``change`` of a part's place, to ``value``."""

    part: int = 0
    change: int | None = None
    value: str = "2.0"
    given: int = 0
    mode: int = 0
    way: int = 0


@dataclass(frozen=True)
class Case:
    """A function of one part or more, what it does besides, and its calls."""

    parts: tuple[Part, ...]
    effects: tuple[str, ...] = ()
    steps: tuple[Step, ...] = (Step(), Step())
    form: str = "function"

    @property
    def source(self):
        """The module: the places, the function ``f``, its changes, and what a look at them sees."""
        names = ["f"] if len(self.parts) == 1 else [f"f{i}" for i in range(len(self.parts))]
        effects = [EFFECTS[name] for name in self.effects]
        lines = [PROLOGUE, VALUE_LINES, WRAPPING_LINES, f"SAME = {INPUTS[0]}"]
        lines += [effect.lines for effect in effects]
        for i, (part, name) in enumerate(zip(self.parts, names, strict=True)):
            lines += _part(part, name, effects if i == 0 else [])
        if len(names) > 1:
            calls = [f"{name}(x)" for name in names]
            lines.append(
                f"def f(x):\n    first = {calls[0]}\n    return first, {', '.join(calls[1:])}"
            )
        passed = ", ".join(filter(None, ["x", *(PLACES[p.place].arguments for p in self.parts)]))
        lines += [FORMS[self.form], f"def call(form, x):\n    return form({passed})"]
        for i, step in enumerate(self.steps):
            lines += self._change(i, step, names)
        looks = [
            _named(PLACES[p.place].look or PLACES[p.place].read, n)
            for p, n in zip(self.parts, names, strict=True)
        ]
        looks = [f"lambda: {look}" for look in [*looks, *(e.look for e in effects)]]
        lines.append(f"LOOKS = [{', '.join(looks)}]")
        restore = [
            r
            for r in (*(PLACES[p.place].restore for p in self.parts), *(e.restore for e in effects))
            if r
        ]
        lines.append(_set_in("def restore():\n    BODY", "\n".join(restore or ["pass"])))
        return "\n\n".join(filter(None, lines)) + "\n"

    def _change(self, i, step, names):
        if step.change is None:
            return []
        place = PLACES[self.parts[step.part].place]
        lines = [place.declare] if place.declare.startswith("global") else []
        lines.append(
            _named(place.changes[step.change].replace("VALUE", step.value), names[step.part])
        )
        return [_set_in(f"def change_{i}():\n    BODY", "\n".join(lines))]

    @property
    def script(self):
        """The same as a program that runs alone: eagerly, or compiled where it is told so."""
        lines = [self.source, "run = torch.compile(form) if 'compiled' in sys.argv else form"]
        for i, step in enumerate(self.steps):
            if step.change is not None:
                lines.append(f"change_{i}()")
            lines.append(
                f"with {MODES[step.mode]}:\n    print({WAYS[step.way]}(lambda: call(run, {INPUTS[step.given]})))"
            )
            lines.append("print('    left:', *(look() for look in LOOKS))")
        return "\n".join(lines)


def _part(part, name, effects):
    """The lines of one part, whose function is ``name``."""
    place = PLACES[part.place]
    access = next(a for a in accesses_of(place) if a.name == part.access)
    read = WRAPPINGS[part.wrapping].replace("READ", access.expression)
    writes = part.use in WRITES
    use = WRITES[part.use].replace("TARGET", place.target) if writes else USES[part.kind][part.use]
    body = [place.declare] if writes and place.declare else []
    body += [f"v = {read}", *(effect.statements for effect in effects), use]
    head = place.head if "BODY" in place.head else place.head + "\n    BODY"
    lines = [place.setup, access.lines, _set_in(_named(head, name), "\n".join(body))]
    return [line.replace("VALUE", part.value) for line in lines]


def _named(text, name):
    """``text`` with another name for the function ``f`` (which no f-string's prefix is)."""
    return re.sub(r"\bf\b(?!['\"])", name, text)


def _set_in(text, body):
    """Put ``body`` where BODY stands, indented as it is there."""
    line = next(line for line in text.splitlines() if "BODY" in line)
    margin = line[: line.index("BODY")]
    return text.replace("BODY", ("\n" + margin).join(body.splitlines()))
