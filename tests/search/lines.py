"""Random functions of a few lines, compiled and eager, against each other and against PyTorch.

A family of functions says which lines there are and what they work on. A ``v`` in a line is any
value that an earlier line made, and ``NAME`` the value that it makes.
"""

import random
import re
import warnings
from dataclasses import dataclass
from typing import Any

import pytest

import rushlight


def table(text):
    """The lines in ``text``, which a newline or `` | `` ends."""
    return [line.strip() for line in re.split(r" \| |\n", text) if line.strip()]


@dataclass
class Family:
    """What random functions are made of.

    Attributes:
        kinds: Pairs of a weight and the lines of one kind, which are drawn alike.
        first: The lines at the head of each function; ``names`` are the values that they make.
        state: From a framework to the function's arguments by name; leaves among them get gradients.
        compares: Whether PyTorch is compared with.
        graphs: Whether gradients with a graph, which their rules compute with tensors, are looked at, too.
        calls: How often a function is called; ``move(state, k)`` comes before call ``k``.
    """

    kinds: list
    first: list
    names: list
    state: Any
    compares: bool = True
    graphs: bool = False
    calls: int = 1
    move: Any = lambda state, k: None

    def function(self, seed):
        """(lines, names of the results)."""
        draw = random.Random(seed)
        lines, names = [*self.first], [*self.names]
        weights, kinds = zip(*self.kinds, strict=True)
        for _ in range(draw.randrange(2, 9)):
            line = draw.choice(draw.choices(kinds, weights)[0])
            line = re.sub(r"\bv\b", draw.choice(names), line)
            if "NAME" in line:
                names.append(f"v{len(names)}")
                line = line.replace("NAME", names[-1])
            lines.append(line)
        return lines, draw.sample(names, draw.randrange(1, len(names) + 1))

    def outcome(self, lines, results, torch, compiled=False, graph=False):
        """What each call gives: values with their looks, and gradients; then maybe an exception.

        ``graph``: the gradients are to have a graph, so that their rules work on tensors.
        """
        state = self.state(torch)
        ends = [*lines, f"return [{', '.join(results)}]"]
        source = "\n    ".join([f"def f({', '.join(state)}):", *ends])
        scope = {"T": torch}
        exec(source, scope)
        f = torch.compile(scope["f"]) if compiled else scope["f"]
        seen: list = []
        for k in range(self.calls):
            self.move(state, k)
            try:
                seen.append(_call(f, state, torch, graph))
            except Exception as error:
                return [*seen, error]
        return seen

    def faults(self, seeds, other_torch):
        """A text for each function of which another way, or PyTorch, differs from the eager call."""
        found = []
        for seed in seeds:
            lines, results = self.function(seed)
            eager = self.outcome(lines, results, rushlight)
            seen = {"compiled": self.outcome(lines, results, rushlight, compiled=True)}
            if self.graphs:
                seen["create_graph"] = self.outcome(lines, results, rushlight, graph=True)
            if other_torch is not None:
                want = self.outcome(lines, results, other_torch)
                if not isinstance(want[-1], Exception):  # rushlight may do more
                    seen["PyTorch"] = want
            for name, other in seen.items():
                if not alike(other, eager):
                    text = "\n  ".join([f"seed {seed}", *lines, f"return {', '.join(results)}"])
                    found.append(f"{text}\n{name}: {other}\neager: {eager}")
        return found

    def search(self, count):
        """Assert that so many functions, with new seeds each time, have no faults."""
        first = random.randrange(1 << 32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self.faults(range(first, first + count), peer() if self.compares else None)
        assert not found, "\n\n".join(found)


def _call(f, state, torch, graph):
    """Call ``f`` and go backward from its results; what they and the arguments are then."""
    given = [t for t in state.values() if isinstance(t, torch.Tensor)]
    found = [*f(*state.values()), *given]
    total = torch.zeros((), dtype=torch.float64)
    for i, t in enumerate(found):
        if t.requires_grad:
            weights = torch.arange(t.numel(), dtype=t.dtype).reshape(t.shape) + 1 + i
            total = total + (t * weights).sum()
    if total.requires_grad:
        total.backward(create_graph=graph)
    values = [(t.tolist(), list(t.shape), t.requires_grad, t.is_leaf) for t in found]
    return values, [(torch.zeros(3) if t.grad is None else t.grad).tolist() for t in given]


def alike(found, want):
    """Whether outcomes are of the same exceptions, looks and, but for rounding, numbers."""
    (numbers, rest), (others, other) = _parts(found), _parts(want)
    return rest == other and numbers == pytest.approx(others, rel=1e-7, nan_ok=True)


def _parts(x):
    """The floats in nested lists, and everything else."""
    if isinstance(x, float):
        return [x], []
    if not isinstance(x, list | tuple):
        return [], [type(x) if isinstance(x, Exception) else x]
    parts = [_parts(y) for y in x]
    numbers, rest = [[y for part in parts for y in part[i]] for i in (0, 1)]
    return numbers, [len(x), *rest]


def peer():
    """PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch
