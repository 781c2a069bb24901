"""What the case of one seed shows, made small, as a worker of a run reports it."""

import os
import random
import re
from dataclasses import replace

from tests.search.operations.case import dense
from tests.search.operations.outcome import difference
from tests.search.operations.vary import Variation
from tests.search.workers import Work

__all__ = ["KNOWN", "Operations", "shrink"]

#: Kinds of differences that fail no test: a call that is wrong in two ways is told of one of them,
#: and which one depends on the order of the checks.
KNOWN = ("error", "takes", "refuses", "backward error", "backward takes", "backward refuses")


def case_of(seed, part=None):
    """The case of a seed. ``SEARCH_ONLY`` is a regular expression that its operation's name matches."""
    variation = Variation(random.Random(seed), part)
    only = re.compile(os.environ.get("SEARCH_ONLY", ""))
    variation.pool = {name: v for name, v in variation.pool.items() if only.search(name)}
    return variation.case()


def _simpler(case):
    """Cases that are simpler in one thing."""
    for i, _ in enumerate(case.named):
        yield replace(case, named=case.named[:i] + case.named[i + 1 :])
    for i, x in enumerate(case.inputs):
        put = lambda y, i=i: replace(case, inputs=case.inputs[:i] + (y,) + case.inputs[i + 1 :])
        if x.inner:
            yield put(replace(x, inner=False))
        if x.grad:
            yield put(replace(x, grad=False, inner=False))
        if x.offset or x.stride != dense(x.size) or len(x.data) != x.numel:
            data = (x.data * (x.numel + 1))[: x.numel]
            yield put(replace(x, data=data, stride=dense(x.size), offset=0))
        if x.dtype in ("float64", "float16", "bfloat16"):
            yield put(replace(x, dtype="float32"))
        if x.dtype in ("int32", "int16", "uint8", "int8"):
            yield put(replace(x, dtype="int64"))
        if any(v != 1 for v in x.data):
            yield put(replace(x, data=tuple([type(v)(1) for v in x.data])))


def shrink(case, kind):
    """The case with whatever the difference does not need taken out."""
    going = True
    while going:
        going = False
        for simpler in _simpler(case):
            found = difference(simpler)
            if found is not None and found.kind == kind:
                case, going = simpler, True
                break
    return case


class Operations(Work):
    """A worker's share of the seeds: a case each."""

    part = None

    def __init__(self, folder):
        super().__init__(folder)
        self.known = set()

    def one(self, seed):
        """The name and the script of the seed's difference."""
        case = case_of(seed, self.part)
        self.current.write_text(case.script)
        # What brings PyTorch down is no difference.
        found = difference(case, between=lambda: self.current.write_text(""))
        if found is None:
            return
        name = f"{found.kind} {'Tensor.' * case.method}{case.name}"
        if name not in self.known:
            self.known.add(name)
            case = shrink(case, found.kind)
            found = difference(case) or found
        yield name, f'"""{found}\n\n{case.call}\nSeed {seed}.\n"""\n\n{case.script}'
