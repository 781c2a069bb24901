"""Functions over Python state: a compiled one must be what the eager one is, with all that it leaves.

``python -m tests.search.state --seed 7 --count 20000`` searches, and prints each difference as a
script that runs alone; ``--place`` has only cases of places with this in their names.
"""

import argparse
import atexit
import collections
import contextlib
import dataclasses
import importlib.util
import itertools
import os
import random
import shutil
import sys
import tempfile
import time
import warnings

import rushlight as torch
from tests.search.accesses import WRAPPINGS, accesses_of
from tests.search.effects import EFFECTS
from tests.search.functions import FORMS, INPUTS, MODES, WAYS, Case, Part, Step
from tests.search.observing import links, same, seen, tensors_in
from tests.search.places import PLACES
from tests.search.uses import USES, VALUES, WRITES

__all__ = ["case_from", "difference", "report", "shrunk"]

# Cases at random ----------------------------------------------------------------------------


def case_from(choose, only=""):
    """A case; ``choose(sequence)`` gives one of its items, early ones being simpler."""
    names = [name for name in PLACES if only in name]
    parts = [_part_from(choose, choose(names))]
    if choose([False, False, False, True]) and not PLACES[parts[0].place].fresh:
        other = _part_from(choose, choose([*PLACES]))
        place = PLACES[other.place]
        if other.place != parts[0].place and not place.fresh and not place.arguments:
            parts.append(other)
    effects = {choose([*EFFECTS]) for _ in range(choose([0, 0, 1, 1, 2]))}
    if PLACES[parts[0].place].fresh:
        effects = ()
    steps = [Step(), *(_step_from(choose, parts) for _ in range(choose([2, 3, 4, 5])))]
    form = choose([*FORMS]) if choose([False, False, True]) else "function"
    return Case(tuple(parts), tuple(sorted(effects)), tuple(steps), form)


def _part_from(choose, name):
    place = PLACES[name]
    kind = choose(place.kinds)
    access = choose([a.name for a in accesses_of(place)])
    uses = [*USES[kind], *(WRITES if place.target else ())]
    wrapping = choose([*WRAPPINGS]) if choose([False, True]) else ""
    if place.fresh:
        return Part(name, kind, "2.0", "double", access)
    return Part(name, kind, choose(VALUES[kind]), choose(uses), access, wrapping)


def _step_from(choose, parts):
    part = choose(range(len(parts)))
    place = PLACES[parts[part].place]
    change = choose([None, *range(len(place.changes)), *range(len(place.changes))])
    kind = parts[part].kind if choose([True, True, True, False]) else choose([*VALUES])
    value = choose(VALUES[kind])
    if place.fresh:
        return Step(part, change, value)
    given = choose(range(len(INPUTS))) if choose([False, False, True]) else 0
    mode = choose(range(len(MODES))) if choose([False, False, False, True]) else 0
    way = choose(range(len(WAYS))) if choose([False, False, False, True]) else 0
    return Step(part, change, value, given, mode, way)


# A run ------------------------------------------------------------------------------------


class NoCase(Exception):
    """The place cannot keep its first value."""


_count = itertools.count()
_folder = tempfile.mkdtemp(prefix="rushlight-state-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)


class _Unseen(dict):
    def __repr__(self):
        return "{}"


@contextlib.contextmanager
def loaded(source):
    """A module of this source, in a file of its own."""
    name = f"state_{next(_count)}"
    path = os.path.join(_folder, name + ".py")
    with open(path, "w") as file:
        file.write(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    module.__warningregistry__ = _Unseen()  # which the first warning would add to the globals
    sys.modules[name] = module
    try:
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise NoCase from error
        yield module
    finally:
        with contextlib.suppress(Exception):
            module.restore()
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        del sys.modules[name]
        os.remove(path)


def run(case, compiled):
    """What each call of a case gave, and left; and the warnings of calls that ran eagerly."""
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught, loaded(case.source) as module:
        warnings.simplefilter("always")
        f = torch.compile(module.form, options={"audit": False}) if compiled else module.form
        found, before = [], []
        for i, step in enumerate(case.steps):
            change = _tried(getattr(module, f"change_{i}", lambda: None))[0]
            x = eval(INPUTS[step.given], vars(module))
            result, tensors = _call(module, f, x, step)
            left = [_tried(look) for look in module.LOOKS]
            others = [x, *before, *(t for look in left for t in tensors_in(look[1]))]
            found.append(
                (
                    change,
                    result,
                    seen(x),
                    [(e, seen(value)) for e, value in left],
                    links(tensors, others),
                )
            )
            before = tensors
        told = [
            str(w.message) for w in caught if "torch.compile: running eagerly" in str(w.message)
        ]
    if PLACES[case.parts[0].place].fresh:
        found = [r[1] not in [other[1] for other in found[:i]] for i, r in enumerate(found)]
    return found, told


def _call(module, f, x, step):
    """What a call gives or raises, and what a gradient through it leaves; the tensors it gave."""

    def backward():
        sum(t.sum() for t in tensors if t.requires_grad and t.grad_fn is not None).backward()

    with eval(MODES[step.mode], vars(module)):
        way = eval(WAYS[step.way], vars(module))
        error, value = _tried(lambda: way(lambda: module.call(f, x)))
    tensors = tensors_in(value)
    result = seen(value)
    if any(t.requires_grad and t.grad_fn is not None for t in tensors):
        result = (result, _tried(backward)[0])
    return (error, result), tensors


def _tried(function):
    """(type of the error, result)."""
    try:
        return None, function()
    except Exception as error:
        return type(error).__name__, None


def goes_back_twice(eager, compiled):
    """Whether only the compiled call refuses to go back again: its results have one graph."""
    (_, found), (_, again) = eager[1], compiled[1]
    refused = type(again) is tuple and again[-1] == "GraphError"
    return refused and type(found) is tuple and found[-1] is None and same(found[0], again[0])


def difference(case):
    """The first call in which a compiled run of ``case`` is not the eager one, in words; or None."""
    try:
        (eager, _), (compiled, told) = run(case, False), run(case, True)
    except NoCase:
        return None
    for i, (a, b) in enumerate(zip(eager, compiled, strict=True)):
        if not same(a, b) and not goes_back_twice(a, b):
            return f"call {i}: eager    {a}\n        compiled {b}\nwarned: {told}"
    return None


# Smaller cases ------------------------------------------------------------------------------


def shrunk(case):
    """A smaller case that still differs."""
    smaller = True
    while smaller:
        smaller = next((c for c in _simpler(case) if difference(c) is not None), None)
        case = smaller or case
    return case


def _simpler(case):
    """Cases that are a little smaller."""
    change = dataclasses.replace
    for i in range(len(case.parts)):
        if len(case.parts) > 1:
            steps = [
                change(s, part=0, change=s.change if s.part != i else None) for s in case.steps
            ]
            yield change(case, parts=(case.parts[1 - i],), steps=tuple(steps))
    if case.form != "function":
        yield change(case, form="function")
    for i in range(len(case.effects)):
        yield change(case, effects=case.effects[:i] + case.effects[i + 1 :])
    for i, step in enumerate(case.steps):
        yield change(case, steps=case.steps[:i] + case.steps[i + 1 :])
        for name, least in {"change": None, "given": 0, "mode": 0, "way": 0}.items():
            simple = change(step, **{name: least})
            if simple != step:
                yield change(case, steps=(*case.steps[:i], simple, *case.steps[i + 1 :]))
    for i, part in enumerate(case.parts):
        values = change(part, value=VALUES[part.kind][0])
        simples = [change(part, wrapping=""), change(part, access="direct"), values]
        if not PLACES[part.place].fresh:
            simples.append(change(part, use=next(iter(USES[part.kind]))))
        for simple in simples:
            if simple != part:
                yield change(case, parts=(*case.parts[:i], simple, *case.parts[i + 1 :]))


def report(case):
    """What is wrong with ``case``, and a script that shows it."""
    return f"{case}\n{difference(case)}\n\n{case.script}"


# On the command line --------------------------------------------------------------------------


def search(seed, count, only="", seconds=1e9):
    """(the cases that differ, how many ran, how many of them warned)."""
    begin, found = time.monotonic(), []
    for ran in range(count):
        case = case_from(random.Random(f"{seed} {ran}").choice, only)
        if time.monotonic() - begin > seconds:
            return found, ran
        if difference(case) is not None:
            found.append(case)
    return found, count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--place", default="", help="only places with this in their names")
    parser.add_argument("--scripts", type=int, default=3, help="how many scripts to print")
    options = parser.parse_args()
    found, count = search(options.seed, options.count, options.place)
    small = collections.Counter(map(shrunk, found))
    for case in [*small][: options.scripts]:
        print(report(case), "\n" + "-" * 90)
    for case, times in small.most_common():
        print(times, case)
    print(f"seed {options.seed}: {len(found)} of {count} functions differ")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
