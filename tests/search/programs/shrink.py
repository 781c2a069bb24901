"""Making a program smaller that shows a difference, while it shows one of the same kind."""

import re
import time
from dataclasses import replace

from tests.search.programs.program import Input, dense
from tests.search.programs.session import Session, check

SECONDS = 20.0  # for one program


def shrink(program, kind, seconds=SECONDS):
    """The smallest program found whose difference is of ``kind``."""
    until = time.monotonic() + seconds

    def fails(candidate):
        try:
            found = check(candidate, kind=kind, noisy=4, amount=4.0)
        except Exception:  # it cannot be run at all
            return False
        return found is not None and found.kind == kind

    progress = True
    while progress:
        progress = False
        for way in (fewer_lines, fewer_outputs, simpler_lines, simpler_inputs):
            position = 0
            while position < len(options := list(way(program))):
                if time.monotonic() > until:
                    return program
                candidate = options[position].without_unused()
                if candidate != program and fails(candidate):
                    program, progress = candidate, True  # and what was the next is here now
                else:
                    position += 1
    return program


def fewer_lines(p):
    """Without a line, and what depends on it; blocks of lines first."""
    n = len(p.steps)
    for size in (n // 2, n // 4, 1):
        for end in range(n, 0, -max(size, 1)):
            kept = without(p, range(max(0, end - max(size, 1)), end))
            if kept is not None:
                yield kept


def without(p, left_out):
    gone, steps = set(), []
    for i, step in enumerate(p.steps):
        if i in left_out or gone.intersection(step.uses):
            gone |= set(step.makes)
        else:
            steps.append(step)
    outputs = [n for n in p.outputs if n not in gone]
    if not outputs:
        outputs = [n for s in steps[-1:] for n in s.makes or [s.writes]]
    if len(steps) == len(p.steps) or not outputs:
        return None
    return replace(p, steps=tuple(steps), outputs=tuple(outputs))


def fewer_outputs(p):
    if p.backward:
        yield replace(p, backward="")
    if p.backward == "inside":
        yield replace(p, backward="outside")
    for name in p.outputs:
        if len(p.outputs) > 1:
            yield replace(p, outputs=tuple([n for n in p.outputs if n != name]))


def simpler_lines(p):
    """What a line makes comes from outside, or is left out and its operand read in its place."""
    made = values(p)
    for i, step in enumerate(p.steps):
        rest = (*p.steps[:i], *p.steps[i + 1 :])
        if len(step.makes) == 1 and made is not None:
            (name,) = step.makes
            new = f"x{1 + max([int(n[1:]) for n in p.inputs], default=0)}"
            steps = renamed(rest, name, new)
            outputs = tuple([new if n == name else n for n in p.outputs])
            inputs = {**p.inputs, new: like(made[name])}
            yield replace(p, inputs=inputs, steps=steps, outputs=outputs)
        for name in step.makes:
            for other in dict.fromkeys(step.uses):
                outputs = tuple(dict.fromkeys([other if n == name else n for n in p.outputs]))
                yield replace(p, steps=renamed(rest, name, other), outputs=outputs)
    for i, step in enumerate(p.steps):
        name = step.makes[0] if len(step.makes) == 1 else None
        if name is None or not step.uses or step.text == f"{name} = {step.uses[0]} * 2":
            continue
        plain = replace(step, text=f"{name} = {step.uses[0]} * 2", exact=False)
        yield replace(p, steps=(*p.steps[:i], plain, *p.steps[i + 1 :]))


def renamed(steps, old, new):
    swap = re.compile(rf"\b{old}\b")
    return tuple([replace(s, text=swap.sub(new, s.text)) for s in steps])


def values(p):
    """The values that the lines make, or None where they cannot be run."""
    session = Session(p.inputs, noisy=0)
    for step in p.steps:
        session.step(step)
    scope = session.ours
    return scope if all(n in scope.values for s in p.steps for n in s.makes) else None


def like(t):
    dtype = str(t.dtype).removeprefix("torch.")
    grad = t.requires_grad and (t.is_floating_point() or t.is_complex())
    return Input(tuple(t.shape), dtype, tuple(t.stride()), 0, "plain", 1, grad)


def simpler_inputs(p):
    for name, x in p.inputs.items():
        for other in simpler(x):
            if other != x:
                yield replace(p, inputs={**p.inputs, name: other})
    for name, x in p.inputs.items():
        for other, y in p.inputs.items():
            if name < other and (x.shape, x.dtype) == (y.shape, y.dtype):
                outputs = tuple(dict.fromkeys([name if n == other else n for n in p.outputs]))
                yield replace(p, steps=renamed(p.steps, other, name), outputs=outputs)


def simpler(x):
    shape = x.shape
    yield replace(x, grad=False)
    yield replace(x, strides=dense(shape), offset=0)
    yield replace(x, offset=0)
    for values in ("plain", "fine"):
        if x.values == "special" or values == "plain":
            yield replace(x, values=values)
    if x.dtype != "float32":
        yield replace(x, dtype="float32")
    if x.dtype not in ("float32", "float64"):
        yield replace(x, dtype="float64")
    yield replace(x, seed=0)
    for d, n in enumerate(shape):
        for fewer in {1, 2, 3, n // 2, n - 1}:
            if fewer < n and fewer > 0:
                smaller = (*shape[:d], fewer, *shape[d + 1 :])
                yield replace(x, shape=smaller, strides=dense(smaller), offset=0)
                yield replace(x, shape=smaller)
        fewer = (*shape[:d], *shape[d + 1 :])
        yield replace(x, shape=fewer, strides=(*x.strides[:d], *x.strides[d + 1 :]))
